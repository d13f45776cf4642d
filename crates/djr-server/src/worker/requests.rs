//! From a socket to executed requests: reads what has come, decodes it, has it executed, keeps what is no whole request yet.

use std::sync::atomic::Ordering::Relaxed;

use djr_protocol::{Limits, ProtocolError, RequestDecoder};
use djr_storage::keyspace::Turn;

use super::{Connection, Core, ReadOutcome, Stream, Worker};
use crate::session::Ahead;

/// A connection gets so many reads in one turn before the others have theirs.
pub(super) const READS_PER_TURN: usize = 4;

impl Worker {
    /// Reads from a connection and executes what came.
    pub(super) fn serve(&mut self, id: usize, turn: &Turn) {
        let Some(mut connection) = self.core.connections.get_mut(id).and_then(Option::take) else {
            return;
        };
        let open = self.serve_taken(&mut connection, id, 0, turn);
        self.core.put_back(id, connection, open);
    }

    /// The same, after so many reads in this turn. `false`: the connection has ended.
    pub(super) fn serve_taken(
        &mut self,
        connection: &mut Connection,
        id: usize,
        reads: usize,
        turn: &Turn,
    ) -> bool {
        if connection.session.wait.is_some() && connection.peer_ended {
            return self.end_of_wait(connection, id);
        }
        if connection.session.choked && !connection.closing {
            self.read_ahead(connection, id, reads);
            return true;
        }
        if connection.closing || connection.session.is_held() {
            connection.readable = true;
            return true;
        }
        if reads >= READS_PER_TURN {
            connection.readable = true;
            self.core.unread.push(id);
            return true;
        }
        let (count, more) = if connection.input.is_empty() {
            let (stream, ahead) = (&mut connection.stream, &mut connection.ahead);
            match Connection::read(stream, ahead, &mut self.read_buffer) {
                ReadOutcome::Bytes(count, more) => (count, more),
                ReadOutcome::Later => return true,
                ReadOutcome::Closed => return self.end_of_input(connection, id),
            }
        } else {
            // The request that has begun goes on: right behind its beginning, with room for all of it that is known to come.
            let start = connection.make_room();
            let (stream, ahead) = (&mut connection.stream, &mut connection.ahead);
            match Connection::read(stream, ahead, &mut connection.input[start..]) {
                ReadOutcome::Bytes(count, more) => {
                    connection.input.truncate(start + count);
                    (count, more)
                }
                ReadOutcome::Later => {
                    connection.input.truncate(start);
                    return true;
                }
                ReadOutcome::Closed => {
                    connection.input.truncate(start);
                    return self.end_of_input(connection, id);
                }
            }
        };
        self.core.stats.count_read(count);
        connection.count_in(count);
        self.consume(connection, count, turn);
        let more = more || connection.peer_ended;
        self.go_on(connection, id, more, reads + 1, turn)
    }

    /// Reads on from a connection that has been read so many times in this turn, if it has more. `false`: it has ended.
    pub(super) fn go_on(
        &mut self,
        connection: &mut Connection,
        id: usize,
        more: bool,
        reads: usize,
        turn: &Turn,
    ) -> bool {
        self.core.queue(id, connection);
        self.core.choke(connection);
        if connection.session.choked {
            return !more || self.serve_taken(connection, id, reads, turn);
        }
        if connection.closing || connection.session.is_held() {
            if connection.session.yielded {
                self.core.unread.push(id);
            }
            connection.readable = more;
            if connection.session.wait.is_some() && connection.peer_ended {
                return self.end_of_wait(connection, id);
            }
            return true;
        }
        !more || self.serve_taken(connection, id, reads, turn)
    }

    /// The peer sends nothing more, but may still wait for replies (`printf … | nc`). `false`: it does not.
    pub(super) fn end_of_input(&mut self, connection: &mut Connection, id: usize) -> bool {
        connection.closing = true;
        self.core.queue(id, connection);
        connection.out_len() > 0
    }

    /// The same for a client that waits for a key. As with Redis it waits no more, and what it sent behind that is not executed.
    pub(super) fn end_of_wait(&mut self, connection: &mut Connection, id: usize) -> bool {
        self.core.abandon(connection);
        self.end_of_input(connection, id)
    }

    /// Executes the whole requests among what has come; keeps the rest in the connection.
    fn consume(&mut self, connection: &mut Connection, fresh: usize, turn: &Turn) {
        self.core.prepare_out(connection);
        let Connection {
            session,
            decoder,
            input,
            out,
            ..
        } = connection;
        let mut kept = std::mem::take(input);
        let mut begun = decoder
            .take()
            .map_or_else(RequestDecoder::new, |begun| *begun);
        let bytes: &[u8] = if kept.is_empty() {
            &self.read_buffer[..fresh]
        } else {
            &kept
        };
        let mut used = 0;
        let failure = loop {
            let rest = &bytes[used..];
            self.requests.batch.clear();
            // One at a time until AUTH: it changes the limits for what is behind it.
            let one_by_one = !session.identity.is_authenticated();
            let result = if !one_by_one {
                begun.decode(
                    rest,
                    &self.core.shared.config.request_limits(),
                    &mut self.requests.batch,
                )
            } else {
                begun.decode_one(rest, &Limits::unauthenticated(), &mut self.requests.batch)
            };
            let count = self.requests.batch.len();
            let engine = &self.shared.engine;
            let mut ahead = Ahead::new(&self.requests, rest, engine, turn, session.db);
            if count > 1 {
                ahead.prefetch_entries();
            }
            let done = self.requests.execute(
                rest,
                engine,
                &mut ahead,
                &mut self.core,
                &mut self.executor,
                session,
                out,
            );
            if session.close {
                break None;
            }
            if done < count {
                // What was not executed is decoded again when the session goes on.
                used += self.requests.batch.raw_range(done).start;
                begun = RequestDecoder::new();
                break None;
            }
            match result {
                Ok(taken) => {
                    used += taken;
                    if count == 0 || !one_by_one {
                        break None;
                    }
                }
                Err(error) => break Some(error),
            }
        };
        if kept.is_empty() {
            kept.extend_from_slice(&self.read_buffer[used..fresh]);
        } else {
            kept.drain(..used);
            if kept.is_empty() {
                kept = Vec::new();
            }
        }
        if !kept.is_empty() {
            *decoder = Some(Box::new(begun));
        }
        self.core.settle(connection, kept, failure);
    }

    /// Goes on with the requests that were held back.
    pub(super) fn resume(&mut self, id: usize, turn: &Turn) {
        let Some(mut connection) = self.core.connections.get_mut(id).and_then(Option::take) else {
            return;
        };
        if connection.is_fed() {
            self.core.put_back(id, connection, true);
            self.core.write_later(id);
            return;
        }
        connection.session.postponed = false;
        connection.session.yielded = false;
        let session = &connection.session;
        let goes_on = !connection.closing && session.wait.is_none() && !session.choked;
        if goes_on && !connection.input.is_empty() {
            self.consume(&mut connection, 0, turn);
            self.core.queue(id, &mut connection);
            self.core.choke(&mut connection);
            if connection.session.yielded {
                self.core.unread.push(id);
            }
        }
        let readable = std::mem::take(&mut connection.readable);
        let open = !readable || self.serve_taken(&mut connection, id, 0, turn);
        self.core.put_back(id, connection, open);
    }
}

impl Core {
    /// Makes ready for the replies of a connection.
    pub(super) fn prepare_out(&mut self, connection: &mut Connection) {
        let is_subscriber = connection.session.subscriptions.is_some();
        let limit = self.shared.config.output_limit(is_subscriber);
        let written = connection.out_written;
        self.output_len_max =
            (limit.hard_or_none().saturating_add(written)).saturating_sub(connection.backlog_len());
        if let Stream::Tls(stream) = &mut connection.stream {
            self.log_in_by_certificate(stream, &mut connection.session);
        }
        if connection.out.capacity() == 0
            && let Some(spare) = self.spare.pop()
        {
            connection.out = spare;
        }
    }

    /// After a connection's requests have been executed: tells its peer of a protocol error, keeps what is left of its input.
    pub(super) fn settle(
        &mut self,
        connection: &mut Connection,
        input: Vec<u8>,
        failure: Option<ProtocolError>,
    ) {
        let session = &mut connection.session;
        if let Some(error) = failure
            && !session.close
        {
            let text = format!("ERR {error}");
            self.stats.count_error(&text);
            djr_engine::Reply::new(&mut connection.out, session.version).error(&text);
            session.close = true;
        }
        if session.close {
            connection.closing = true;
            return;
        }
        // What is postponed is whole already.
        if input.len() > self.shared.config.query_buffer_limit() && !session.is_held() {
            return self.refuse_input(connection);
        }
        let is_heavy = !input.is_empty() || session.is_heavy();
        connection.input = input;
        let info = &connection.session.info;
        info.input_bytes.store(connection.input_len(), Relaxed);
        if is_heavy {
            self.weigh_later(connection.session.slot);
        }
    }

    /// Too much has come that can't be executed.
    #[cold]
    pub(super) fn refuse_input(&mut self, connection: &mut Connection) {
        tracing::warn!(
            client = connection.session.info.id,
            "Closing client that reached max query buffer length"
        );
        self.stats.limit_disconnections.add(1);
        connection.forget_replies();
        connection.closing = true;
    }
}
