//! A worker: one thread that serves its connections and executes what they send.
//!
//! ```text
//! turn:  wait ─► for each ready connection: read ─► decode ─► execute ─► (replies in memory)
//!                                                                └─► log (in memory)
//!        ─► hand the log to the operating system ─► write the replies ─► periodic work
//! ```
//!
//! **Invariant:** a reply leaves only after the log of its command is with the operating system (`everysec`, `no`) or
//! durable (`always`).

mod arrivals;
mod backup;
mod busy;
mod choke;
mod connection;
mod driver;
mod gather;
mod mailbox;
mod push;
mod upkeep;
mod waits;
mod weigh;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use djr_engine::notify::Events;
use djr_engine::{EffectLog, Executor};
use djr_protocol::{Limits, ProtocolError, RequestDecoder};
use djr_storage::aof::{FsyncPolicy, Log, Offset};
use djr_storage::keyspace::{Turn, UnixMillis};

pub(crate) use connection::{Connection, ReadOutcome};
pub(crate) use driver::{Accepted, Driver, Listener, Peer, Ready, Stream};
pub(crate) use mailbox::{Mail, Mailbox};
pub(crate) use push::Pushes;
pub(crate) use waits::{Ended, Wait, Waits, give_back_undelivered};

use gather::Gathered;

use crate::clock;
use crate::introspection::{Event, Thresholds};
use crate::memory::{Defragmenter, Room};
use crate::pubsub::Hub;
use crate::session::{Ahead, Requests, Watches};
use crate::shared::{Gate, Shared};
use crate::stats::WorkerStats;
use crate::tracking::Broadcast;

/// One read takes at most so many bytes: what a socket usually holds.
const READ_SIZE: usize = 128 << 10;
/// A connection gets so many reads in one turn before the others have theirs.
const READS_PER_TURN: usize = 4;
/// How often periodic work is done.
const TICK: Duration = Duration::from_millis(100);
/// Listeners have the numbers from here on.
const LISTENERS: usize = usize::MAX / 2;
/// Buffers for replies that are kept for use by the next connection.
const SPARE_BUFFERS_MAX: usize = 256;
/// How many of them are given back in a tick.
const SPARE_BUFFERS_PER_TICK: usize = 4;

/// A worker thread's own state.
pub(crate) struct Worker {
    /// The same as the core's: here, so that both can be lent at once.
    shared: Arc<Shared>,
    core: Core,
    executor: Executor,
    requests: Requests,
    read_buffer: Box<[u8]>,
    ready: Vec<Ready>,
}

/// The part of a worker that commands may need: everything but what executes them.
pub(crate) struct Core {
    pub(crate) shared: Arc<Shared>,
    pub(crate) index: usize,
    pub(crate) stats: Arc<WorkerStats>,
    pub(crate) log: WorkerLog,
    /// The end of the log before the requests that are being executed.
    log_start: Offset,
    /// The time of day at the beginning of this turn.
    pub(crate) now: UnixMillis,
    /// The same moment by the clock that never goes back.
    pub(crate) clock: Instant,
    /// The reasons for looking twice ([`Gate`]) at the beginning of this turn.
    pub(crate) gate: u32,
    /// As long may the buffer of replies get whose connection's requests are executed.
    pub(crate) output_len_max: usize,
    driver: Driver,
    listeners: Vec<Listener>,
    /// Listeners at which more may wait than a turn takes.
    unaccepted: Vec<usize>,
    /// Listeners at which somebody waits for whom there was no descriptor.
    full_listeners: Vec<usize>,
    connections: Vec<Option<Box<Connection>>>,
    free: Vec<usize>,
    /// Freed in this turn: used again only in the next, when no event speaks of them any more.
    freed: Vec<usize>,
    /// Connections with replies to write at the end of the turn.
    queued: Vec<usize>,
    /// Connections whose replies wait until the log is durable.
    waiting: VecDeque<usize>,
    /// Connections whose requests wait for the end of a pause.
    paused: Vec<usize>,
    /// Connections that have more to read or to execute than a turn gives them.
    unread: Vec<usize>,
    spare: Vec<Vec<u8>>,
    next_tick: Instant,
    /// What was read from each connection of a group; absent while it is executed.
    gathered: Box<[Option<Box<Gathered>>]>,
    /// A script of this worker runs too long, and others have been told.
    busy_script: bool,
    /// Watches that have ended and are still in the keyspace.
    unwatch_later: Vec<Watches>,
    /// Who of this worker's clients has subscribed to what.
    pub(crate) hub: Hub,
    pushes: Pushes,
    pub(crate) broadcast: Broadcast,
    /// Of clients that wait for keys.
    pub(crate) waits: Waits,
    /// Keyspace events of what has expired.
    events: Events,
    /// What is known of the limits of memory.
    pub(crate) room: Room,
    weigher: weigh::Weigher,
    pub(crate) defrag: Defragmenter,
    /// What is worth a note, since the beginning of this turn.
    pub(crate) thresholds: Thresholds,
}

/// The worker's way to the log.
#[derive(Default)]
pub(crate) struct WorkerLog {
    log: Option<Arc<Log>>,
    /// Which of the server's logs it is.
    generation: u32,
    /// The end of what this worker has appended.
    end: Offset,
    /// Something was appended in this turn.
    dirty: bool,
    /// Changes of the data set so far, for `rdb_changes_since_last_save`.
    changes: Arc<djr_engine::stats::Counter>,
}

impl EffectLog for WorkerLog {
    #[inline]
    fn append(&mut self, db: u32, parts: &[&[u8]]) {
        self.changes.add(1);
        if let Some(log) = &self.log {
            self.end = log.append_parts(db, parts);
            self.dirty = true;
        }
    }
}

impl Worker {
    pub(crate) fn new(
        shared: Arc<Shared>,
        index: usize,
        driver: Driver,
        mut listeners: Vec<Listener>,
        executor: Executor,
    ) -> std::io::Result<Self> {
        for (number, listener) in listeners.iter_mut().enumerate() {
            driver.add_listener(listener, LISTENERS + number)?;
        }
        let stats = shared.workers[index].stats.clone();
        Ok(Self {
            shared: shared.clone(),
            core: Core {
                log: WorkerLog {
                    changes: stats.changes.clone(),
                    ..WorkerLog::default()
                },
                log_start: 0,
                shared,
                index,
                stats,
                now: clock::unix_millis(),
                clock: clock::monotonic(),
                gate: 0,
                output_len_max: usize::MAX,
                driver,
                listeners,
                unaccepted: Vec::new(),
                full_listeners: Vec::new(),
                connections: Vec::new(),
                free: Vec::new(),
                freed: Vec::new(),
                queued: Vec::new(),
                waiting: VecDeque::new(),
                paused: Vec::new(),
                unread: Vec::new(),
                spare: Vec::new(),
                next_tick: clock::monotonic() + TICK,
                gathered: (0..gather::GROUP)
                    .map(|_| Some(Box::new(Gathered::new())))
                    .collect(),
                busy_script: false,
                unwatch_later: Vec::new(),
                hub: Hub::default(),
                pushes: Pushes::default(),
                broadcast: Broadcast::default(),
                waits: Waits::default(),
                events: Events::default(),
                room: Room::default(),
                weigher: weigh::Weigher::default(),
                defrag: Defragmenter::default(),
                thresholds: Thresholds::default(),
            },
            executor,
            requests: Requests::default(),
            read_buffer: vec![0; READ_SIZE].into_boxed_slice(),
            ready: Vec::new(),
        })
    }

    /// Serves until the server ends.
    pub(crate) fn run(mut self) {
        while !self.core.shared.shutdown.is_requested() {
            if let Err(error) = self.turn() {
                tracing::error!("worker {}: {error}", self.core.index);
                self.core.shared.shutdown.request();
            }
        }
        self.end_waits();
    }

    fn turn(&mut self) -> std::io::Result<()> {
        let mut ready = std::mem::take(&mut self.ready);
        let timeout = if self.core.unread.is_empty() && self.core.unaccepted.is_empty() {
            // Counted from this turn's beginning: the next tick may be late by the length of a turn.
            let core = &self.core;
            let tick = core.next_tick.saturating_duration_since(core.clock);
            let wait = self.core.waits.next_timeout();
            let wait = wait.map_or(tick, |wait| wait.min(tick));
            let defrag = self.core.time_to_defrag();
            defrag.map_or(wait, |defrag| defrag.min(wait))
        } else {
            Duration::ZERO
        };
        self.core.driver.wait(Some(timeout), &mut ready)?;
        self.core.begin_turn();
        self.core.take_mail();
        self.core.receive_messages();
        self.core.accept_more();
        // While requests are executed: keeps what prefetches look at.
        let turn = self.shared.engine.keyspace.pin();
        let unread = std::mem::take(&mut self.core.unread);
        for id in unread {
            if let Some(Some(connection)) = self.core.connections.get_mut(id) {
                connection.readable = true;
            }
            self.resume(id, &turn);
        }
        for events in ready.chunks(gather::GROUP) {
            self.serve_group(events, &turn);
        }
        self.ready = ready;
        if self.core.clock >= self.core.next_tick {
            self.tick(&turn);
        }
        self.core.defrag_slice();
        self.settle_waits(&turn);
        drop(turn);
        self.core.end_turn();
        // Writing may have found a peer gone.
        while self.core.waits.has_to_settle() {
            let turn = self.shared.engine.keyspace.pin();
            if !self.settle_waits(&turn) {
                break;
            }
            drop(turn);
            self.core.end_turn();
        }
        Ok(())
    }

    /// Reads from a connection and executes what came.
    fn serve(&mut self, id: usize, turn: &Turn) {
        let Some(mut connection) = self.core.connections.get_mut(id).and_then(Option::take) else {
            return;
        };
        let open = self.serve_taken(&mut connection, id, 0, turn);
        self.core.put_back(id, connection, open);
    }

    /// The same, after so many reads in this turn. `false`: the connection has ended.
    fn serve_taken(
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
    fn go_on(
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
    fn end_of_input(&mut self, connection: &mut Connection, id: usize) -> bool {
        connection.closing = true;
        self.core.queue(id, connection);
        connection.out_len() > 0
    }

    /// The same for a client that waits for a key. As with Redis it waits no more, and what it sent behind that is not executed.
    fn end_of_wait(&mut self, connection: &mut Connection, id: usize) -> bool {
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

    /// Periodic work.
    fn tick(&mut self, turn: &Turn) {
        let core = &mut self.core;
        core.next_tick = core.clock + TICK;
        if core.index == 0 {
            let shared = &core.shared;
            shared.introspection.rates.sample(core.now, shared.totals());
        }
        let since = core.event_begins();
        core.expire();
        core.event_ends(Event::ExpireCycle, since);
        let since = core.event_begins();
        core.evict_in_tick(&mut self.executor);
        core.event_ends(Event::EvictionCycle, since);
        core.begin_defrag();
        self.serve_waiters();
        let core = &mut self.core;
        core.accept_again();
        core.give_back_spare();
        core.close_idle();
        core.close_stuck_backups();
        core.close_unfinished_handshakes();
        core.end_pause_if_due();
        core.close_all_overfull();
        core.weigh_some();
        core.unwatch();
        core.tell_expired();
        core.limit_tracking();
        if core.shared.gate.bits() & Gate::PAUSED == 0 {
            for id in std::mem::take(&mut core.paused) {
                self.resume(id, turn);
            }
        }
    }

    /// Goes on with the requests that were held back.
    fn resume(&mut self, id: usize, turn: &Turn) {
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
    fn prepare_out(&mut self, connection: &mut Connection) {
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

    /// Gives some buffers back that a burst has left. One that is in use at every turn is back soon.
    fn give_back_spare(&mut self) {
        let count = self.spare.len().min(SPARE_BUFFERS_PER_TICK);
        self.spare.drain(..count);
    }

    /// After a connection's requests have been executed: tells its peer of a protocol error, keeps what is left of its input.
    fn settle(
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
    fn refuse_input(&mut self, connection: &mut Connection) {
        tracing::warn!(
            client = connection.session.info.id,
            "Closing client that reached max query buffer length"
        );
        self.stats.limit_disconnections.add(1);
        connection.forget_replies();
        connection.closing = true;
    }

    fn begin_turn(&mut self) {
        self.now = clock::unix_millis();
        self.clock = clock::monotonic();
        // In this order: who sees that loading has ended sees the log, too.
        self.gate = self.shared.gate.bits();
        if self.log.generation != self.shared.persistence.generation() {
            self.take_log();
        }
        self.look_at_limits();
        self.thresholds.refresh(&self.shared.config, self.now);
        self.stats.turns.add(1);
        self.free.append(&mut self.freed);
    }

    /// Hands the log to the operating system, then writes the replies.
    fn end_turn(&mut self) {
        let wrote = std::mem::take(&mut self.log.dirty);
        if wrote && let Some(log) = &self.log.log {
            log.note_time(self.now as u64 / 1000);
            let since = self.event_begins();
            let flushed = log.flush();
            self.event_ends(Event::AofWrite, since);
            if flushed.is_err() {
                self.log_failed();
            }
        }
        self.flush_broadcast();
        self.flush_outboxes();
        self.close_doomed();
        if wrote {
            self.delay_pushes();
        }
        for id in std::mem::take(&mut self.queued) {
            self.finish_replies(id);
        }
        while let Some(id) = self.waiting.pop_front() {
            // In the order of their offsets, near enough: stop at the first that must go on waiting.
            if !self.finish_replies(id) {
                self.waiting.rotate_right(1);
                break;
            }
        }
        self.weigh_grown();
    }

    /// There is another log, or none any more.
    #[cold]
    fn take_log(&mut self) {
        // In this order: it may be a later log than the number says, and is taken once more then.
        let generation = self.shared.persistence.generation();
        self.log.log = self.shared.log();
        self.log.generation = generation;
        let seen = &self.shared.workers[self.index].log_generation;
        seen.store(generation, std::sync::atomic::Ordering::Release);
    }

    #[cold]
    fn log_failed(&mut self) {
        if self.log.log.as_ref().is_some_and(|log| log.is_closed()) {
            // It was switched off during this turn: no reply waits for it.
            self.log.log = None;
        } else {
            self.shared.persistence.failed(&self.shared);
        }
    }

    /// What this turn has published may speak of what it has written: it waits for the log as replies do.
    fn delay_pushes(&mut self) {
        let end = self.log.end;
        for id in &self.queued {
            if let Some(Some(connection)) = self.connections.get_mut(*id)
                && std::mem::take(&mut connection.pushed)
            {
                connection.wait_for = connection.wait_for.max(end);
            }
        }
    }

    /// Writes a connection's replies if the log has come far enough; else they wait. `false`: they wait.
    fn finish_replies(&mut self, id: usize) -> bool {
        let Some(connection) = self.connections.get_mut(id).and_then(Option::as_mut) else {
            return true;
        };
        connection.queued = false;
        if let Some(log) = &self.log.log
            // Else it was switched off meanwhile.
            && !log.is_closed()
        {
            let is_always = log.policy() == FsyncPolicy::Always;
            let reached = if is_always {
                log.durable()
            } else {
                log.written()
            };
            if connection.wait_for > reached {
                if log.poisoned().is_some() {
                    // What the log has not got must not be acknowledged.
                    self.close(id);
                    return true;
                }
                if is_always {
                    connection.queued = true;
                    self.waiting.push_back(id);
                    return false;
                }
            }
        }
        if Self::has_lost_peer(connection) {
            self.close(id);
        } else {
            self.write_rest(id);
        }
        true
    }

    /// Writes what a connection's socket takes.
    fn write_rest(&mut self, id: usize) {
        let Some(connection) = self.connections.get_mut(id).and_then(Option::as_mut) else {
            return;
        };
        if connection.out_len() == 0 || connection.queued {
            let finished = connection.closing && !connection.queued;
            if finished || connection.stream.flush_ciphertext().is_err() {
                self.close(id);
            }
            return;
        }
        let before = connection.out_len();
        let result = connection.write(&mut self.spare);
        let written = (before - connection.out_len()) as u64;
        let info = &connection.session.info;
        info.output_bytes.store(connection.out_len(), Relaxed);
        info.bytes_out
            .store(info.bytes_out.load(Relaxed) + written, Relaxed);
        if written > 0 && connection.is_fed() {
            info.active_ms.store(self.now as u64, Relaxed);
        }
        self.stats.writes.add(1);
        self.stats.bytes_out.add(written);
        self.spare.truncate(SPARE_BUFFERS_MAX);
        let done = match result {
            Ok(done) => done,
            Err(_) => return self.close(id),
        };
        if !done {
            if self.is_overfull(id) {
                return self.close_overfull(id);
            }
            self.weigh_later(id);
            if self.is_hungry(id) {
                self.unread.push(id);
            }
        }
        let Some(connection) = self.connections.get_mut(id).and_then(Option::as_mut) else {
            return;
        };
        if connection.unchoke() {
            self.unread.push(id);
        }
        if done {
            connection.above_limit_since = 0;
        }
        if done && connection.closing {
            self.close(id);
        }
    }

    /// Notes that a connection has replies for the end of the turn.
    fn queue(&mut self, id: usize, connection: &mut Connection) {
        if self.holds_pushes() {
            self.release_pushes(&connection.session, &mut connection.out);
        }
        if self.log.end > connection.wait_for && self.log.dirty {
            connection.wait_for = self.log.end;
        }
        if (!connection.out.is_empty() || connection.closing) && !connection.queued {
            connection.queued = true;
            self.queued.push(id);
        }
    }

    fn put_back(&mut self, id: usize, mut connection: Box<Connection>, open: bool) {
        if connection.session.postponed {
            self.paused.push(id);
        }
        let open = open && !connection.session.dropped;
        if self.holds_pushes() {
            self.queue(id, &mut connection);
        }
        let overfull = connection.session.overfull;
        self.connections[id] = Some(connection);
        if overfull {
            self.close_overfull(id);
        } else if !open {
            self.close(id);
        }
    }

    fn take_mail(&mut self) {
        for mail in self.shared.workers[self.index].mailbox.take() {
            match mail {
                Mail::Connection(accepted) => self.add(accepted),
                Mail::Kill(id) => self.kill(id),
                Mail::UsersChanged => self.end_lost_subscribers(),
                Mail::Ended(ended) => self.waits.push(*ended),
                Mail::Backup(backup) => self.send_backup(*backup),
                Mail::Migrated(migration) => self.waits.push_migrated(*migration),
                Mail::EvictClients => self.evict_clients_again(),
            }
        }
    }
}
