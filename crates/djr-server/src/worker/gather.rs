//! Reading a group of connections before the first of them is served, so that clients that send one request at a time wait for
//! memory together and not one after the other.

use djr_protocol::{ProtocolError, RequestDecoder};
use djr_storage::keyspace::Turn;

use super::{Connection, Core, LISTENERS, ReadOutcome, Ready, Worker};
use crate::session::{Ahead, Requests};

/// So many connections are read before the first of them is served, and so much is read from each then.
pub(super) const GROUP: usize = 8;
const GATHER_SIZE: usize = 32 << 10;

/// What one read of a connection brought.
pub(super) struct Gathered {
    /// The connection, until it is served.
    id: Option<usize>,
    buffer: Box<[u8]>,
    requests: Requests,
    decoder: RequestDecoder,
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
            id: None,
            buffer: vec![0; GATHER_SIZE].into_boxed_slice(),
            requests: Requests::default(),
            decoder: RequestDecoder::new(),
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
            || !session.identity.is_authenticated()
            || !connection.input.is_empty()
        {
            return None;
        }
        let gathered = self.core.gathered.get_mut(place)?.as_mut()?;
        let ReadOutcome::Bytes(count, more) = Connection::read(
            &mut connection.stream,
            &mut connection.ahead,
            &mut gathered.buffer,
        ) else {
            return None; // and the same again
        };
        self.core.stats.count_read(count);
        connection.count_in(count);
        gathered.id = Some(id);
        gathered.count = count;
        gathered.more = more;
        gathered.requests.batch.clear();
        gathered.decoder = RequestDecoder::new();
        let input = &gathered.buffer[..count];
        gathered.taken = gathered.decoder.decode(
            input,
            &self.core.shared.config.request_limits(),
            &mut gathered.requests.batch,
        );
        let (engine, db) = (&self.shared.engine, connection.session.db);
        Some(Ahead::new(&gathered.requests, input, engine, turn, db))
    }

    /// Executes what [`gather`](Self::gather) has read, and goes on with the connection if it may have more.
    fn serve_gathered(&mut self, id: usize, place: usize, ahead: &mut Ahead<'_>, turn: &Turn) {
        let of_place = self.core.gathered.get_mut(place).and_then(Option::as_mut);
        if of_place.and_then(|gathered| gathered.id.take()) != Some(id) {
            return; // served while a script was busy
        }
        let connection = self.core.connections.get_mut(id).and_then(Option::take);
        // It may have been killed by the one before.
        if let Some(mut connection) = connection
            && let Some(mut gathered) = self.core.gathered[place].take()
        {
            self.execute_gathered(&mut connection, &mut gathered, ahead);
            let more = gathered.more || connection.peer_ended;
            self.core.gathered[place] = Some(gathered);
            let open = self.go_on(&mut connection, id, more, 1, turn);
            self.core.put_back(id, connection, open);
        }
    }

    fn execute_gathered(
        &mut self,
        connection: &mut Connection,
        gathered: &mut Gathered,
        ahead: &mut Ahead<'_>,
    ) {
        let requests = &mut gathered.requests;
        let input = &gathered.buffer[..gathered.count];
        self.core.prepare_out(connection);
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
            gathered.decoder = RequestDecoder::new();
            requests.batch.raw_range(done).start
        } else {
            match gathered.taken {
                Ok(taken) => taken,
                Err(error) => {
                    failure = Some(error);
                    input.len()
                }
            }
        };
        let rest = input[used..].to_vec();
        if !rest.is_empty() {
            let decoder = std::mem::take(&mut gathered.decoder);
            connection.decoder = Some(Box::new(decoder));
        }
        self.core.settle(connection, rest, failure);
    }
}

impl Core {
    /// Gives the connections of a group that are not served yet what was read from them, as if it had not been looked at. For
    /// while a script is busy: they must not wait for its end. Returns which they are.
    pub(super) fn give_back_gathered(&mut self) -> Vec<usize> {
        let mut ids = Vec::new();
        for gathered in self.gathered.iter_mut().flatten() {
            let Some(id) = gathered.id.take() else {
                continue;
            };
            // It may have been killed.
            if let Some(Some(connection)) = self.connections.get_mut(id) {
                connection.input = gathered.buffer[..gathered.count].to_vec();
                connection.decoder = None;
                ids.push(id);
            }
        }
        ids
    }
}
