//! One socket, what is to be sent, and what has come.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::time::Duration;

use bytes::BytesMut;
use djr_protocol::{CommandEncoder, Limits, ReplyDecoder, Value};
use tokio::io::Interest;

use crate::error::ClientError;
use crate::options::Options;
use crate::push::Replies;
use crate::stream::Stream;

/// Room made for what comes, at least; a large reply gets all that it still needs at once.
const READ_LEN_MIN: usize = 16 * 1024;

/// Room made at once for a reply that says it is large: no server's promise is believed further than this.
const READ_LEN_MAX: usize = 1024 * 1024;

/// A sending buffer that grew beyond this is given back once it is empty.
const OUTPUT_KEPT_MAX: usize = 1024 * 1024;

pub(crate) struct Connection {
    pub(crate) stream: Stream,
    decoder: ReplyDecoder,
    limits: Limits,
    input: BytesMut,
    output: Vec<u8>,
    /// How much of `output` has been sent.
    sent: usize,
    /// Replies of commands whose callers have gone: thrown away when they come.
    abandoned: usize,
    /// Replies that a caller waits for, or has waited for.
    awaited: usize,
    /// Replies that [`receive`](Connection::receive) is to give out. While there are such, `awaited` is 0, and the other way round.
    streamed: usize,
    replies: Replies,
    /// How long the server may be silent while there is something to be sent to it.
    reply_timeout: Option<Duration>,
    pushes: VecDeque<Vec<Value>>,
    pushes_max: usize,
    pushes_lost: u64,
}

impl Connection {
    pub(crate) fn new(stream: Stream, options: &Options) -> Connection {
        let decoder = ReplyDecoder::new();
        Connection {
            stream,
            decoder: if options.keep_double_text {
                decoder.keep_double_text()
            } else {
                decoder
            },
            limits: options.limits,
            input: BytesMut::new(),
            output: Vec::new(),
            sent: 0,
            abandoned: 0,
            awaited: 0,
            streamed: 0,
            replies: Replies::On,
            reply_timeout: options.reply_timeout,
            pushes: VecDeque::new(),
            pushes_max: options.pushes_max,
            pushes_lost: 0,
        }
    }

    pub(crate) fn is_closed(&mut self) -> bool {
        self.stream.is_closed()
    }

    /// What came after the last reply that was read.
    pub(crate) fn take_input(&mut self) -> BytesMut {
        std::mem::take(&mut self.input)
    }

    /// Whether the server was told not to answer.
    pub(crate) fn is_silent(&self) -> bool {
        self.replies != Replies::On
    }

    /// Whether replies are left for [`receive`](Connection::receive).
    pub(crate) fn is_streaming(&self) -> bool {
        self.streamed > 0
    }

    /// Whether a part of what was queued has not been sent.
    pub(crate) fn has_unsent(&self) -> bool {
        self.sent < self.output.len()
    }

    /// Queues a command whose one reply the caller waits for.
    pub(crate) fn queue<A: AsRef<[u8]>>(&mut self, args: &[A]) {
        self.encode(args);
        self.replies.count(args);
        self.awaited += 1;
    }

    /// Queues a command with any number of replies, which [`receive`](Connection::receive) will give out.
    pub(crate) fn queue_streamed<A: AsRef<[u8]>>(&mut self, args: &[A]) {
        self.encode(args);
        self.streamed += self.replies.count(args).unwrap_or(0);
    }

    fn encode<A: AsRef<[u8]>>(&mut self, args: &[A]) {
        let mut encoder = CommandEncoder::new(&mut self.output);
        for arg in args {
            encoder.arg(arg.as_ref());
        }
    }

    /// Queues encoded commands whose replies the caller waits for.
    pub(crate) fn queue_encoded(&mut self, bytes: &[u8], commands: usize) {
        self.output.extend_from_slice(bytes);
        self.awaited += commands;
    }

    /// Queues encoded commands whose replies [`receive`](Connection::receive) will give out.
    pub(crate) fn queue_encoded_streamed(&mut self, bytes: &[u8], commands: usize) {
        self.output.extend_from_slice(bytes);
        self.streamed += commands;
    }

    /// Nobody waits any more for the replies to what was queued before: call first in every new exchange.
    pub(crate) fn abandon(&mut self) {
        self.abandon_awaited();
        self.abandoned += std::mem::take(&mut self.streamed);
    }

    /// Nobody waits any more for what a dropped caller waited for. What is left to be received still is.
    pub(crate) fn abandon_awaited(&mut self) {
        self.abandoned += std::mem::take(&mut self.awaited);
    }

    /// Sends all that is queued. Reads, too: a server that can't get rid of its replies stops reading.
    pub(crate) async fn flush(&mut self) -> Result<(), ClientError> {
        loop {
            let rest = self.output.get(self.sent..).unwrap_or_default();
            let written = match rest {
                [] => self.stream.try_flush().map(|()| 0),
                rest => self.stream.try_write(rest),
            };
            match written {
                Ok(0) if self.sent == self.output.len() => break,
                Ok(0) => return Err(io::Error::from(io::ErrorKind::WriteZero).into()),
                Ok(len) => self.sent += len,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let both = Interest::READABLE | Interest::WRITABLE;
                    let ready = limited(self.reply_timeout, async {
                        Ok(self.stream.ready(both).await?)
                    });
                    if ready.await?.is_readable()
                        && let Err(error) = self.fill_now()
                    {
                        // What came before the end is to be read first.
                        if self.input.is_empty() {
                            return Err(error);
                        }
                        break;
                    }
                }
                // A server that turns us away says why before it hangs up.
                Err(error) if is_hang_up(&error) && self.has_last_words() => break,
                Err(error) => return Err(error.into()),
            }
        }
        self.sent = 0;
        self.output.clear();
        if self.output.capacity() > OUTPUT_KEPT_MAX {
            self.output = Vec::new();
        }
        Ok(())
    }

    /// Whether anything is left to be read, now that nothing can be sent any more.
    fn has_last_words(&mut self) -> bool {
        while self.fill_now().is_ok_and(|len| len > 0) {}
        !self.input.is_empty()
    }

    /// The next reply to what was [queued](Connection::queue); what is pushed meanwhile is kept.
    pub(crate) async fn reply(&mut self) -> Result<Value, ClientError> {
        loop {
            match self.next().await? {
                Value::Push(items) => self.keep_push(items),
                value => {
                    if self.is_wanted() {
                        return Ok(value);
                    }
                }
            }
        }
    }

    /// The next value of any kind: a push that was kept, or what comes.
    pub(crate) async fn receive(&mut self) -> Result<Value, ClientError> {
        if let Some(items) = self.pushes.pop_front() {
            return Ok(Value::Push(items));
        }
        self.begin_reading().await?;
        loop {
            match self.next().await? {
                value @ Value::Push(_) => return Ok(value),
                value => {
                    if self.is_wanted() {
                        return Ok(value);
                    }
                }
            }
        }
    }

    /// The next push; a reply that comes before it is one that nobody waits for.
    pub(crate) async fn push(&mut self) -> Result<Vec<Value>, ClientError> {
        if let Some(items) = self.pushes.pop_front() {
            return Ok(items);
        }
        self.begin_reading().await?;
        loop {
            match self.next().await? {
                Value::Push(items) => return Ok(items),
                _ => {
                    self.is_wanted();
                }
            }
        }
    }

    /// Before anything is read that is no reply to a caller: his replies are abandoned if he has gone, and what he left
    /// half sent is sent, or the rest would never be answered.
    async fn begin_reading(&mut self) -> Result<(), ClientError> {
        self.abandon_awaited();
        if self.has_unsent() {
            self.flush().await?;
        }
        Ok(())
    }

    /// A reply has come: whether it is not one of those that were abandoned.
    fn is_wanted(&mut self) -> bool {
        if self.abandoned > 0 {
            self.abandoned -= 1;
            return false;
        }
        if self.awaited > 0 {
            self.awaited -= 1;
        } else {
            // 0 where any number may come.
            self.streamed = self.streamed.saturating_sub(1);
        }
        true
    }

    /// A push that has come already.
    pub(crate) fn try_push(&mut self) -> Option<Vec<Value>> {
        self.pushes.pop_front()
    }

    pub(crate) fn pushes_lost(&self) -> u64 {
        self.pushes_lost
    }

    fn keep_push(&mut self, items: Vec<Value>) {
        if self.pushes.len() >= self.pushes_max {
            self.pushes.pop_front();
            self.pushes_lost += 1;
        }
        self.pushes.push_back(items);
    }

    async fn next(&mut self) -> Result<Value, ClientError> {
        loop {
            if let Some(value) = self.decoder.decode(&mut self.input, &self.limits)? {
                return Ok(value);
            }
            self.make_room();
            if self.stream.read(&mut self.input).await? == 0 {
                return Err(ClientError::Closed);
            }
        }
    }

    /// Takes what has come, without waiting; how much that was.
    fn fill_now(&mut self) -> Result<usize, ClientError> {
        self.make_room();
        match self.stream.try_read(&mut self.input) {
            Ok(0) => Err(ClientError::Closed),
            Ok(len) => Ok(len),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            Err(error) => Err(error.into()),
        }
    }

    fn make_room(&mut self) {
        let len = self.decoder.missing().clamp(READ_LEN_MIN, READ_LEN_MAX);
        self.input.reserve(len);
    }
}

/// Leaves out what is sent and received: there may be passwords in it.
impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("stream", &self.stream)
            .field("unsent", &(self.output.len() - self.sent))
            .field("unread", &self.input.len())
            .field("awaited", &self.awaited)
            .field("streamed", &self.streamed)
            .field("abandoned", &self.abandoned)
            .field("pushes", &self.pushes.len())
            .finish_non_exhaustive()
    }
}

fn is_hang_up(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
    )
}

/// At most so long.
pub(crate) async fn limited<T>(
    timeout: Option<Duration>,
    work: impl Future<Output = Result<T, ClientError>>,
) -> Result<T, ClientError> {
    match timeout {
        None => work.await,
        Some(limit) => tokio::time::timeout(limit, work)
            .await
            .unwrap_or(Err(ClientError::Timeout(limit))),
    }
}
