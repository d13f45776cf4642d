//! One socket, what is to be sent, and what has come.

use std::collections::VecDeque;
use std::io;

use bytes::BytesMut;
use djr_protocol::{CommandEncoder, Limits, ReplyDecoder, Value};
use tokio::io::Interest;

use crate::error::ClientError;
use crate::options::Options;
use crate::stream::Stream;

/// Room made for what comes, at least; a large reply gets all that it still needs at once.
const READ_LEN_MIN: usize = 16 * 1024;

/// Room made at once for a reply that says it is large: no server's promise is believed further than this.
const READ_LEN_MAX: usize = 1024 * 1024;

/// A sending buffer that grew beyond this is given back once it is empty.
const OUTPUT_KEPT_MAX: usize = 1024 * 1024;

#[derive(Debug)]
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
    /// Commands that have been queued and not been answered, the abandoned ones left out.
    unanswered: usize,
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
            unanswered: 0,
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

    /// Queues a command that will have one reply.
    pub(crate) fn queue<A: AsRef<[u8]>>(&mut self, args: &[A]) {
        self.queue_uncounted(args);
        self.unanswered += 1;
    }

    /// Queues a command with any number of replies.
    pub(crate) fn queue_uncounted<A: AsRef<[u8]>>(&mut self, args: &[A]) {
        let mut encoder = CommandEncoder::new(&mut self.output);
        for arg in args {
            encoder.arg(arg.as_ref());
        }
    }

    /// Queues commands that are encoded already.
    pub(crate) fn queue_encoded(&mut self, bytes: &[u8], commands: usize) {
        self.output.extend_from_slice(bytes);
        self.unanswered += commands;
    }

    /// Nobody waits any more for the replies to what was queued before: call first in every new exchange.
    pub(crate) fn abandon(&mut self) {
        self.abandoned += std::mem::take(&mut self.unanswered);
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
                    if self.stream.ready(both).await?.is_readable() {
                        self.fill_now()?;
                    }
                }
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

    /// The next reply to what was [queued](Connection::queue); what is pushed meanwhile is kept.
    pub(crate) async fn reply(&mut self) -> Result<Value, ClientError> {
        loop {
            match self.next().await? {
                Value::Push(items) => self.keep_push(items),
                _ if self.abandoned > 0 => self.abandoned -= 1,
                value => {
                    self.unanswered = self.unanswered.saturating_sub(1);
                    return Ok(value);
                }
            }
        }
    }

    /// The next value of any kind: a push that was kept, or what comes.
    pub(crate) async fn receive(&mut self) -> Result<Value, ClientError> {
        if let Some(items) = self.pushes.pop_front() {
            return Ok(Value::Push(items));
        }
        loop {
            match self.next().await? {
                value @ Value::Push(_) => return Ok(value),
                _ if self.abandoned > 0 => self.abandoned -= 1,
                value => {
                    self.unanswered = self.unanswered.saturating_sub(1);
                    return Ok(value);
                }
            }
        }
    }

    /// The next push; a reply that comes before it is one that nobody waits for.
    pub(crate) async fn push(&mut self) -> Result<Vec<Value>, ClientError> {
        loop {
            if let Some(items) = self.pushes.pop_front() {
                return Ok(items);
            }
            match self.next().await? {
                Value::Push(items) => return Ok(items),
                _ => self.abandoned = self.abandoned.saturating_sub(1),
            }
        }
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

    /// Takes what has come, without waiting.
    fn fill_now(&mut self) -> Result<(), ClientError> {
        self.make_room();
        match self.stream.try_read(&mut self.input) {
            Ok(0) => Err(ClientError::Closed),
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn make_room(&mut self) {
        let len = self.decoder.missing().clamp(READ_LEN_MIN, READ_LEN_MAX);
        self.input.reserve(len);
    }
}
