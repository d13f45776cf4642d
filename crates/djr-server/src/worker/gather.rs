//! Reading a group of connections before the first of them is served, so that clients that send one request at a time wait for
//! memory together and not one after the other.

use djr_protocol::ProtocolError;
use djr_storage::keyspace::Turn;

use super::{Connection, LISTENERS, ReadOutcome, Ready, Worker};
use crate::session::{Ahead, Requests};

/// So many connections are read before the first of them is served, and so much is read from each then.
pub(super) const GROUP: usize = 8;
const GATHER_SIZE: usize = 32 << 10;

/// What one read of a connection brought.
pub(super) struct Gathered {
    buffer: Box<[u8]>,
    requests: Requests,
    /// Bytes in the buffer.
    count: usize,
    /// The socket may have more.
    more: bool,
    /// Bytes that the requests take, or what is wrong behind them.
    taken: Result<usize, ProtocolError>,
}

impl Gathered {
    pub(super) fn new() -> Self {
        Self {
            buffer: vec![0; GATHER_SIZE].into_boxed_slice(),
            requests: Requests::default(),
            count: 0,
            more: false,
            taken: Ok(0),
        }
    }
}

impl Worker {
    /// Attends to some sockets. First each is read and its first keys are looked for in memory, then all are served: so
    /// clients that send one request at a time wait for memory together, not one after the other.
    pub(super) fn serve_group(&mut self, events: &[Ready], turn: &Turn) {
        let mut group: [Option<Ahead<'_>>; GROUP] = [const { None }; GROUP];
        for (event, place) in std::iter::zip(events, 0..) {
            if event.id >= LISTENERS {
                self.core.accept(event.id - LISTENERS);
                continue;
            }
            if event.writable {
                self.core.write_rest(event.id);
            }
            if event.readable {
                if event.ended
                    && let Some(Some(connection)) = self.core.connections.get_mut(event.id)
                {
                    connection.peer_ended = true;
                }
                group[place] = self.gather(event.id, place, turn);
                if group[place].is_none() {
                    self.serve(event.id, turn);
                }
            }
        }
        if let Some(first) = group.iter_mut().flatten().next() {
            first.prefetch_entries();
        }
        for place in 0..events.len() {
            let Some(mut ahead) = group[place].take() else {
                continue;
            };
            if let Some(next) = group.iter_mut().flatten().next() {
                next.prefetch_entries();
            }
            self.serve_gathered(events[place].id, place, &mut ahead, turn);
        }
    }

    /// Reads and decodes what has come on a connection, and prepares the first requests. `None`: it has no whole request to begin
    /// with, or is in a state that must be looked at; nothing of what may have been read is lost.
    fn gather<'t>(&mut self, id: usize, place: usize, turn: &'t Turn) -> Option<Ahead<'t>> {
        let connection = self.core.connections.get_mut(id)?.as_mut()?;
        let session = &connection.session;
        if connection.closing
            || session.is_held()
            || !session.authenticated
            || !connection.input.is_empty()
        {
            return None;
        }
        let gathered = &mut self.gathered[place];
        let ReadOutcome::Bytes(count, more) =
            Connection::read(&mut connection.stream, &mut gathered.buffer)
        else {
            return None; // and the same again
        };
        self.core.stats.count_read(count);
        connection.count_in(count);
        gathered.count = count;
        gathered.more = more;
        gathered.requests.batch.clear();
        let input = &gathered.buffer[..count];
        gathered.taken = connection.decoder.decode(
            input,
            &self.core.shared.config.request_limits(),
            &mut gathered.requests.batch,
        );
        let (engine, db) = (&self.shared.engine, connection.session.db);
        Some(Ahead::new(&gathered.requests, input, engine, turn, db))
    }

    /// Executes what [`gather`](Self::gather) has read, and goes on with the connection if it may have more.
    fn serve_gathered(&mut self, id: usize, place: usize, ahead: &mut Ahead<'_>, turn: &Turn) {
        // It may have been killed by the one before.
        let Some(mut connection) = self.core.connections.get_mut(id).and_then(Option::take) else {
            return;
        };
        let Gathered {
            buffer,
            requests,
            count,
            more,
            taken,
        } = &mut self.gathered[place];
        let input = &buffer[..*count];
        self.core.prepare_out(&mut connection);
        let done = requests.execute(
            input,
            &self.shared.engine,
            ahead,
            &mut self.core,
            &mut self.executor,
            &mut connection.session,
            &mut connection.out,
        );
        let mut failure = None;
        let used = if done < requests.batch.len() {
            connection.decoder = djr_protocol::RequestDecoder::new();
            requests.batch.raw_range(done).start
        } else {
            match taken {
                Ok(taken) => *taken,
                Err(error) => {
                    failure = Some(*error);
                    *count
                }
            }
        };
        let more = *more || connection.peer_ended;
        let rest = input[used..].to_vec();
        self.core.settle(&mut connection, rest, failure);
        let open = self.go_on(&mut connection, id, more, 1, turn);
        self.core.put_back(id, connection, open);
    }
}
