//! Clients that do not read their replies.
//!
//! When much waits for a client's socket, none of its requests is executed until most of it is on its way: replies take memory, which a system
//! may be slow to provide, and all others would wait for that. What the client sends is read all the same, and kept: many send the
//! whole of a pipeline before they read anything. Where `client-output-buffer-limit` has a limit for the client there is no such pause: it is to be disconnected.

use std::collections::VecDeque;
use std::sync::atomic::Ordering::Relaxed;

use super::requests::READS_PER_TURN;
use super::{Connection, Core, ReadOutcome, Worker};

/// Above so many bytes of replies that the socket has not taken, requests wait; they go on below half of it.
const UNSENT_MAX: usize = 1 << 20;

/// Small pieces are put together up to this: many of one byte would take many times their size.
const CHUNK_LEN: usize = 64 << 10;

/// What a client has sent whose requests wait.
#[derive(Default)]
pub(crate) struct ReadAhead {
    chunks: VecDeque<Vec<u8>>,
    /// Bytes of the first chunk that are used up.
    used: usize,
    /// Bytes that are not.
    len: usize,
}

impl ReadAhead {
    /// Bytes that are still to be used.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    fn push(&mut self, chunk: &[u8]) {
        self.len += chunk.len();
        match self.chunks.back_mut() {
            Some(last) if last.len() + chunk.len() <= CHUNK_LEN => last.extend_from_slice(chunk),
            _ => self.chunks.push_back(chunk.to_vec()),
        }
    }

    /// Fills the beginning of a buffer; returns how many bytes of it. 0: there is nothing more.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> usize {
        let Some(chunk) = self.chunks.front() else {
            return 0;
        };
        let rest = &chunk[self.used..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.used += count;
        self.len -= count;
        if self.used == chunk.len() {
            self.chunks.pop_front();
            self.used = 0;
        }
        count
    }
}

impl Worker {
    /// Reads what a client sends whose requests wait. It has been read so many times in this turn.
    pub(super) fn read_ahead(&mut self, connection: &mut Connection, id: usize, reads: usize) {
        for _ in reads..READS_PER_TURN {
            match Connection::read_socket(&mut connection.stream, &mut self.read_buffer) {
                ReadOutcome::Bytes(count, more) => {
                    let ahead = connection.ahead.get_or_insert_default();
                    ahead.push(&self.read_buffer[..count]);
                    let len = connection.input_len();
                    if len > self.core.shared.config.query_buffer_limit() {
                        self.core.refuse_input(connection);
                        return self.core.queue(id, connection);
                    }
                    connection.session.info.input_bytes.store(len, Relaxed);
                    self.core.weigh_later(id);
                    if !more {
                        return;
                    }
                }
                ReadOutcome::Later => return,
                ReadOutcome::Closed => {
                    // It may still read. Its end is met again when its requests have been executed.
                    connection.peer_ended = true;
                    connection.readable = true;
                    return;
                }
            }
        }
        connection.readable = true;
        self.core.unread.push(id);
    }
}

impl Core {
    /// After requests were executed: lets those that come wait, if too many replies do.
    #[inline]
    pub(super) fn choke(&self, connection: &mut Connection) {
        if connection.out_len() > UNSENT_MAX {
            self.choke_if_unlimited(connection);
        }
    }

    #[cold]
    fn choke_if_unlimited(&self, connection: &mut Connection) {
        let session = &mut connection.session;
        let is_subscriber = session.subscriptions.is_some();
        let waits_for_more = session.postponed || session.wait.is_some() || connection.closing;
        if !waits_for_more && !self.shared.config.output_limit(is_subscriber).exists() {
            session.choked = true;
            session.yielded = false;
        }
    }
}

impl Connection {
    /// After replies were written: whether requests go on in the next turn, for few enough replies wait.
    #[inline]
    pub(super) fn unchoke(&mut self) -> bool {
        let goes_on = self.session.choked && self.out_len() <= UNSENT_MAX / 2;
        if goes_on {
            self.session.choked = false;
            // What has come before is executed before anything is read.
            self.session.yielded = true;
        }
        goes_on
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn small_pieces_take_little_memory() {
        let mut ahead = ReadAhead::default();
        for _ in 0..1_000_000 {
            ahead.push(b"x");
        }
        let memory: usize = ahead.chunks.iter().map(Vec::capacity).sum();
        assert!(memory < 2_500_000 && ahead.chunks.len() < 20);
    }

    proptest! {
        #[test]
        fn what_was_read_ahead_comes_in_order(
            chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..50), 0..20),
            sizes in proptest::collection::vec(1_usize..70, 1..10),
        ) {
            let mut ahead = ReadAhead::default();
            let (mut wanted, mut got) = (Vec::new(), Vec::new());
            let mut sizes = sizes.iter().cycle();
            let mut read = |ahead: &mut ReadAhead| {
                let mut buffer = vec![0; *sizes.next().expect("a cycle")];
                let count = ahead.read(&mut buffer);
                got.extend_from_slice(&buffer[..count]);
                count
            };
            for chunk in &chunks {
                ahead.push(chunk);
                wanted.extend_from_slice(chunk);
                if chunk.len() % 2 == 0 {
                    read(&mut ahead);
                }
            }
            while read(&mut ahead) > 0 {}
            prop_assert_eq!(ahead.len(), 0);
            prop_assert_eq!(got, wanted);
        }
    }
}
