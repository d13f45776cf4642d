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
mod log;
mod mailbox;
mod push;
mod replies;
mod requests;
mod upkeep;
mod waits;
mod weigh;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use djr_engine::Executor;
use djr_engine::notify::Events;
use djr_storage::aof::Offset;
use djr_storage::keyspace::{Turn, UnixMillis};

pub(crate) use connection::{Connection, ReadOutcome};
pub(crate) use driver::{Accepted, Driver, Listener, Peer, Ready, Stream};
pub(crate) use mailbox::{Mail, Mailbox};
pub(crate) use push::Pushes;
pub(crate) use waits::{Ended, Wait, Waits, give_back_undelivered};

use gather::Gathered;
use log::WorkerLog;

use crate::clock;
use crate::introspection::{Event, Thresholds};
use crate::memory::{Defragmenter, Room};
use crate::pubsub::Hub;
use crate::session::{Requests, Watches};
use crate::shared::{Gate, Shared};
use crate::stats::WorkerStats;
use crate::tracking::Broadcast;

/// One read takes at most so many bytes: what a socket usually holds.
const READ_SIZE: usize = 128 << 10;
/// How often periodic work is done.
const TICK: Duration = Duration::from_millis(100);
/// Listeners have the numbers from here on.
const LISTENERS: usize = usize::MAX / 2;

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
}

impl Core {
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
