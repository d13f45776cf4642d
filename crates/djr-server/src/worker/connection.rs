//! One connection: its socket, what came in and is not a whole request yet, what goes out.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::sync::atomic::Ordering::Relaxed;

use djr_engine::blocking::Undo;
use djr_protocol::RequestDecoder;
use djr_storage::aof::Offset;

use super::READ_SIZE;
use super::choke::ReadAhead;
use super::driver::Stream;
use super::waits::Undelivered;
use crate::session::Session;
use crate::snapshots::BackupFile;

/// A buffer of replies that a burst made larger than this is given back after its use.
const OUT_KEPT_MAX: usize = 64 << 10;

/// Room for a large argument at first, and when that is full.
const FIRST_ROOM: usize = 1 << 20;
const SECOND_ROOM: usize = 8 << 20;
/// Replies that the socket does not take are put aside when they are so many.
const CHUNK_LEN: usize = 256 << 10;

/// A client's socket and its session.
pub(crate) struct Connection {
    pub(crate) stream: Stream,
    pub(crate) session: Session,
    /// How far the request has been read whose beginning is in `input`; `None`: not at all.
    pub(crate) decoder: Option<Box<RequestDecoder>>,
    /// The beginning of a request whose end has not come yet, or requests that wait for the session to go on.
    pub(crate) input: Vec<u8>,
    /// What has come behind that while requests had to wait for replies.
    pub(crate) ahead: Option<Box<ReadAhead>>,
    /// Replies that were put aside, before those in `out`.
    pub(crate) backlog: Option<Box<Backlog>>,
    /// Replies not written yet, from `out_written` on.
    pub(crate) out: Vec<u8>,
    pub(crate) out_written: usize,
    /// Bytes of replies that the socket has accepted so far.
    accepted: u64,
    /// What was taken for replies among them, in their order; `None`: nothing.
    #[expect(
        clippy::box_collection,
        reason = "few connections have any, and there may be many connections"
    )]
    undelivered: Option<Box<Vec<Undelivered>>>,
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

/// Replies that the socket has not taken for some time, in chunks: none of them is moved, however many they get.
#[derive(Default)]
pub(crate) struct Backlog {
    chunks: VecDeque<Vec<u8>>,
    /// Bytes of the first one that are written.
    written: usize,
    /// Bytes that are not.
    len: usize,
    /// Bytes of memory.
    capacity: usize,
    /// What comes behind them.
    source: Option<Source>,
    /// The last write ended because it was the others' turn: the socket may take more.
    is_hungry: bool,
}

/// A file that is sent.
struct Source {
    backup: BackupFile,
    /// Bytes that are not read yet.
    left: u64,
}

/// So much of a file is read and sent in a turn.
const FED_PER_TURN: usize = 1 << 20;

impl Backlog {
    fn push(&mut self, chunk: Vec<u8>, written: usize) {
        if self.chunks.is_empty() {
            self.written = written;
        }
        self.len += chunk.len() - written;
        self.capacity += chunk.capacity();
        self.chunks.push_back(chunk);
    }

    /// `Ok(true)`: all is out.
    fn write(&mut self, stream: &mut Stream) -> io::Result<bool> {
        self.is_hungry = false;
        let mut fed = 0;
        loop {
            while let Some(chunk) = self.chunks.front() {
                let before = self.written;
                let done = write_from(stream, chunk, &mut self.written);
                self.len -= self.written - before;
                if !done? {
                    return Ok(false);
                }
                self.capacity -= chunk.capacity();
                self.chunks.pop_front();
                self.written = 0;
            }
            if fed >= FED_PER_TURN {
                self.is_hungry = self.source.is_some();
                return Ok(!self.is_hungry);
            }
            match self.read_source()? {
                0 => return Ok(true),
                count => fed += count,
            }
        }
    }

    /// Reads a chunk of the file; 0: there is nothing left.
    fn read_source(&mut self) -> io::Result<usize> {
        let Some(Source { backup, left }) = &mut self.source else {
            return Ok(0);
        };
        let count = (CHUNK_LEN as u64).min(*left) as usize;
        let mut chunk = vec![0; count];
        backup.file.read_exact(&mut chunk)?;
        *left -= count as u64;
        if *left == 0 {
            self.source = None;
        }
        if count > 0 {
            self.push(chunk, 0);
        }
        Ok(count)
    }

    /// Whether a file comes behind what is in memory.
    pub(super) fn has_source(&self) -> bool {
        self.source.is_some()
    }

    pub(super) fn is_hungry(&self) -> bool {
        self.is_hungry
    }
}

/// Writes what the socket takes of what is behind `written`. `Ok(true)`: all is out. An error: the peer is gone.
fn write_from(stream: &mut Stream, bytes: &[u8], written: &mut usize) -> io::Result<bool> {
    while *written < bytes.len() {
        match stream.write(&bytes[*written..]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => *written += count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
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
            decoder: None,
            input: Vec::new(),
            ahead: None,
            backlog: None,
            out: Vec::new(),
            out_written: 0,
            accepted: 0,
            undelivered: None,
            above_limit_since: 0,
            wait_for: 0,
            queued: false,
            pushed: false,
            closing: false,
            peer_ended: false,
            readable: false,
        }
    }

    /// Reads once into `buffer`: what was read ahead, then from the socket.
    pub(crate) fn read(
        stream: &mut Stream,
        ahead: &mut Option<Box<ReadAhead>>,
        buffer: &mut [u8],
    ) -> ReadOutcome {
        if let Some(kept) = ahead {
            let count = kept.read(buffer);
            if count > 0 {
                return ReadOutcome::Bytes(count, true);
            }
            *ahead = None;
        }
        Self::read_socket(stream, buffer)
    }

    pub(super) fn read_socket(stream: &mut Stream, buffer: &mut [u8]) -> ReadOutcome {
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

    /// The socket takes no more. What is left makes room for more replies, without being moved more often than once.
    fn put_aside(&mut self) {
        if self.out_len_here() >= CHUNK_LEN {
            let written = std::mem::take(&mut self.out_written);
            let chunk = std::mem::take(&mut self.out);
            let backlog = self.backlog.get_or_insert_default();
            backlog.push(chunk, written);
        } else if self.out_written > self.out.len() / 2 {
            self.out.drain(..self.out_written);
            self.out_written = 0;
        }
    }

    /// Bytes that the request that has begun still needs, at least.
    fn missing(&self) -> usize {
        self.decoder.as_ref().map_or(0, |decoder| decoder.missing())
    }

    /// Makes room behind the beginning of a request for its next part. Returns where that goes.
    pub(crate) fn make_room(&mut self) -> usize {
        let missing = self.missing();
        let input = &mut self.input;
        let start = input.len();
        let room = missing.clamp(READ_SIZE / 8, READ_SIZE);
        if missing > READ_SIZE && input.capacity() < start + room {
            // The peer only says that it sends so much: it is believed when it has sent some of it. If there is no room, the usual
            // growth says so.
            let believed = match start {
                ..FIRST_ROOM => FIRST_ROOM,
                FIRST_ROOM..SECOND_ROOM => SECOND_ROOM,
                _ => usize::MAX,
            };
            let _ = input.try_reserve_exact(believed.min(missing + READ_SIZE / 2));
        }
        input.resize(start + room, 0);
        start
    }

    /// Bytes that have come and are not executed yet.
    pub(crate) fn input_len(&self) -> usize {
        self.input.len() + self.ahead.as_ref().map_or(0, |ahead| ahead.len())
    }

    /// Counts what was read.
    pub(crate) fn count_in(&self, count: usize) {
        let info = &self.session.info;
        info.bytes_in
            .store(info.bytes_in.load(Relaxed) + count as u64, Relaxed);
    }

    /// Bytes of replies that wait for the socket.
    pub(crate) fn out_len(&self) -> usize {
        self.backlog_len() + self.out_len_here()
    }

    /// Sends a file behind the replies so far.
    pub(super) fn feed(&mut self, backup: BackupFile) {
        let written = std::mem::take(&mut self.out_written);
        let chunk = std::mem::take(&mut self.out);
        let backlog = self.backlog.get_or_insert_default();
        backlog.push(chunk, written);
        let left = backup.len;
        backlog.source = Some(Source { backup, left });
    }

    /// Those that were put aside.
    pub(crate) fn backlog_len(&self) -> usize {
        self.backlog.as_ref().map_or(0, |backlog| {
            let source = backlog.source.as_ref();
            backlog.len + source.map_or(0, |source| source.left as usize)
        })
    }

    fn out_len_here(&self) -> usize {
        self.out.len() - self.out_written
    }

    /// Bytes of memory that they take.
    pub(crate) fn out_capacity(&self) -> usize {
        let backlog = self.backlog.as_ref();
        self.out.capacity() + backlog.map_or(0, |backlog| backlog.capacity)
    }

    /// Nothing of what waits is sent.
    pub(crate) fn forget_replies(&mut self) {
        self.backlog = None;
        self.out = Vec::new();
        self.out_written = 0;
    }

    /// Notes what was taken for the reply that has just been appended.
    pub(super) fn note_undelivered(&mut self, undo: Undo) {
        if !undo.is_empty() {
            let end = self.accepted + self.out_len() as u64;
            let undelivered = self.undelivered.get_or_insert_default();
            undelivered.push(Undelivered { end, undo });
        }
    }

    /// Whether something was taken for replies that are not out.
    pub(super) fn has_undelivered(&self) -> bool {
        self.undelivered.is_some()
    }

    /// Bytes of memory of that.
    pub(super) fn undelivered_bytes(&self) -> usize {
        let undelivered = self.undelivered.as_ref();
        undelivered.map_or(0, |all| all.capacity() * size_of::<Undelivered>())
    }

    /// Takes what was taken for replies that the socket has not accepted as a whole.
    pub(super) fn take_undelivered(&mut self) -> impl Iterator<Item = Undelivered> {
        let accepted = self.accepted;
        let undelivered = self.undelivered.take();
        undelivered
            .into_iter()
            .flat_map(|undelivered| *undelivered)
            .filter(move |undelivered| undelivered.end > accepted)
    }

    /// Writes what the socket takes. `Ok(true)`: all is out. An error: the peer is gone.
    pub(crate) fn write(&mut self, spare: &mut Vec<Vec<u8>>) -> io::Result<bool> {
        let before = self.out_len();
        let result = self.write_all();
        self.accepted += (before - self.out_len()) as u64;
        if !result? {
            self.put_aside();
            return Ok(false);
        }
        self.backlog = None;
        self.out_written = 0;
        self.undelivered = None;
        let mut out = std::mem::take(&mut self.out);
        if out.capacity() <= OUT_KEPT_MAX && out.capacity() > 0 {
            out.clear();
            spare.push(out);
        }
        Ok(true)
    }

    fn write_all(&mut self) -> io::Result<bool> {
        if let Some(backlog) = &mut self.backlog
            && !backlog.write(&mut self.stream)?
        {
            return Ok(false);
        }
        write_from(&mut self.stream, &self.out, &mut self.out_written)
    }
}

// The allocator has a size of 256 bytes, and the next is 320. There may be ten thousands of connections.
const _: () = assert!(size_of::<Connection>() <= 256);
