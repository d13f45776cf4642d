//! One connection: its socket, what came in and is not a whole request yet, what goes out.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::sync::atomic::Ordering::Relaxed;

use djr_protocol::RequestDecoder;
use djr_storage::aof::Offset;

use super::driver::Stream;
use super::waits::Undelivered;
use crate::session::Session;

/// A buffer of replies that a burst made larger than this is given back after its use.
const OUT_KEPT_MAX: usize = 64 << 10;

/// A client's socket and its session.
pub(crate) struct Connection {
    pub(crate) stream: Stream,
    pub(crate) session: Session,
    pub(crate) decoder: RequestDecoder,
    /// The beginning of a request whose end has not come yet, or requests that wait for the session to go on.
    pub(crate) input: Vec<u8>,
    /// Replies not written yet, from `out_written` on.
    pub(crate) out: Vec<u8>,
    pub(crate) out_written: usize,
    /// What was taken for replies among them, in their order.
    pub(crate) undelivered: VecDeque<Undelivered>,
    /// Since when the replies are above the soft limit, in milliseconds since 1970; 0: they are not.
    pub(crate) above_limit_since: i64,
    /// The replies may go out once the log is durable up to here.
    pub(crate) wait_for: Offset,
    /// Is in the worker's list of connections to write to.
    pub(crate) queued: bool,
    /// Among what waits for the end of the turn is something that answers no request.
    pub(crate) pushed: bool,
    /// Nothing more is read; it ends once the replies are out.
    pub(crate) closing: bool,
    /// The peer sends nothing more than what the socket holds.
    pub(crate) peer_ended: bool,
    /// The socket may have more to read.
    pub(crate) readable: bool,
}

/// What a read brought.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ReadOutcome {
    /// So many bytes; `true` if there may be more at once.
    Bytes(usize, bool),
    /// Nothing now.
    Later,
    /// The peer has ended the connection.
    Closed,
}

impl Connection {
    pub(crate) fn new(stream: Stream, session: Session) -> Self {
        Self {
            stream,
            session,
            decoder: RequestDecoder::new(),
            input: Vec::new(),
            out: Vec::new(),
            out_written: 0,
            undelivered: VecDeque::new(),
            above_limit_since: 0,
            wait_for: 0,
            queued: false,
            pushed: false,
            closing: false,
            peer_ended: false,
            readable: false,
        }
    }

    /// Reads once into `buffer`.
    pub(crate) fn read(stream: &mut Stream, buffer: &mut [u8]) -> ReadOutcome {
        loop {
            match stream.read(buffer) {
                Ok(0) => return ReadOutcome::Closed,
                Ok(count) => {
                    let more = count == buffer.len() || stream.may_have_more();
                    return ReadOutcome::Bytes(count, more);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return ReadOutcome::Later;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return ReadOutcome::Closed,
            }
        }
    }

    /// What is out makes room. Each byte is moved about once at most, however long the peer stays behind.
    fn forget_written(&mut self) {
        if self.out_written > self.out.len() / 2 {
            self.out.drain(..self.out_written);
            self.out_written = 0;
        }
    }

    /// Counts what was read.
    pub(crate) fn count_in(&self, count: usize) {
        let info = &self.session.info;
        info.bytes_in
            .store(info.bytes_in.load(Relaxed) + count as u64, Relaxed);
    }

    /// Bytes of replies that wait for the socket.
    pub(crate) fn out_len(&self) -> usize {
        self.out.len() - self.out_written
    }

    /// Takes what was taken for replies that the socket has not accepted as a whole.
    pub(super) fn take_undelivered(&mut self) -> impl Iterator<Item = Undelivered> {
        let written = self.out_written;
        let undelivered = std::mem::take(&mut self.undelivered);
        undelivered
            .into_iter()
            .filter(move |undelivered| undelivered.end > written)
    }

    /// Writes what the socket takes. `Ok(true)`: all is out. An error: the peer is gone.
    pub(crate) fn write(&mut self, spare: &mut Vec<Vec<u8>>) -> io::Result<bool> {
        while self.out_written < self.out.len() {
            match self.stream.write(&self.out[self.out_written..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => self.out_written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.forget_written();
                    return Ok(false);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.out_written = 0;
        self.undelivered.clear();
        let mut out = std::mem::take(&mut self.out);
        if out.capacity() <= OUT_KEPT_MAX && out.capacity() > 0 {
            out.clear();
            spare.push(out);
        }
        Ok(true)
    }
}
