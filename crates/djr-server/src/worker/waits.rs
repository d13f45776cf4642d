//! Clients that wait for keys: parked by the engine, answered when a wait has ended.
//!
//! ```text
//! park ─► (served, by any worker | timeout | CLIENT UNBLOCK) ─► Ended ─► its worker: reply, then the requests behind it
//!    └──► the connection ends: so does the wait
//! ```
//!
//! Whoever [ends](Waiter::end) a wait answers it, once, by an [`Ended`] to the worker of the client. What was taken from the keyspace
//! for a reply is kept with it until the socket has accepted its bytes. Is the peer found gone before that, it goes back.
//!
//! **Invariant:** an [`Undo`] is either with a reply on its way ([`Ended`], [`Undelivered`] of a connection), or in
//! [`Waits::to_give_back`], or done with.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use djr_engine::blocking::{Served, Undo, Waiter};
use djr_engine::{CommandError, Engine, Executor, Reply};
use djr_storage::aof::Offset;
use djr_storage::keyspace::{Footprint, Turn, UnixMillis};

use super::log::WorkerLog;
use super::{Connection, Core, Mail, Worker};
use crate::clock;
use crate::commands::{Migration, WaitsForLog, answer_late, look_at_log};
use crate::session::{Done, Replies, Session, WorkerShell};
use crate::shared::Shared;

/// The wait of a session.
pub(crate) struct Wait {
    pub(crate) waiter: Arc<Waiter>,
    deadline: Option<Instant>,
    /// `CLIENT REPLY` has switched its reply off.
    quiet: bool,
}

/// A wait that has ended, and what its client is to get.
pub(crate) struct Ended {
    waiter: Arc<Waiter>,
    reply: Vec<u8>,
    error: Option<CommandError>,
    undo: Undo,
    /// The end of the log after what was taken.
    log_end: Offset,
    /// The wait is still registered with its keys.
    registered: bool,
}

/// What was taken for a reply that the socket has not accepted yet.
pub(crate) struct Undelivered {
    /// The end of the reply, in bytes from the connection's beginning.
    pub(super) end: u64,
    pub(super) undo: Undo,
}

/// The waits of a worker.
#[derive(Default)]
pub(crate) struct Waits {
    /// Those with an end in time, by it: whose they are.
    deadlines: BTreeMap<(Instant, u64), Arc<Waiter>>,
    /// Those whose commands are to be run again at some time, by it: whose they are.
    again: BTreeMap<(UnixMillis, u64), Arc<Waiter>>,
    /// The same by whose they are.
    again_at: HashMap<u64, UnixMillis>,
    /// Those that have ended and are not answered.
    ended: VecDeque<Ended>,
    /// Those that have ended and are still registered with their keys.
    registered: Vec<Arc<Waiter>>,
    /// What was taken for clients that have gone.
    to_give_back: Vec<Undo>,
    /// WAITAOF: those who wait for the log.
    pub(crate) for_log: Vec<WaitsForLog>,
    /// MIGRATE: what the target servers have answered.
    migrated: Vec<Migration>,
}

impl Waits {
    /// How long until the next of them is over, or has its command run again.
    pub(super) fn next_timeout(&self) -> Option<Duration> {
        let over = self
            .deadlines
            .first_key_value()
            .map(|((deadline, _), _)| deadline.saturating_duration_since(clock::monotonic()));
        let again = self.again.first_key_value().map(|((at, _), _)| {
            let millis = at.saturating_sub(clock::unix_millis()).max(0);
            Duration::from_millis(millis.unsigned_abs())
        });
        over.into_iter().chain(again).min()
    }

    /// Notes when a waiter's command is to be run again, if it is: after `now`.
    fn arm(&mut self, waiter: Arc<Waiter>, now: UnixMillis) {
        if let Some(at) = waiter.again_at() {
            let at = at.max(now.saturating_add(1));
            let client = waiter.address.client;
            self.again_at.insert(client, at);
            self.again.insert((at, client), waiter);
        }
    }

    fn disarm(&mut self, client: u64) {
        if let Some(at) = self.again_at.remove(&client) {
            self.again.remove(&(at, client));
        }
    }

    /// Whether something has come up that should be settled before the worker waits.
    pub(super) fn has_to_settle(&self) -> bool {
        !self.ended.is_empty() || !self.to_give_back.is_empty()
    }

    /// What a target server has answered.
    pub(super) fn push_migrated(&mut self, migration: Migration) {
        self.migrated.push(migration);
    }

    pub(super) fn push(&mut self, ended: Ended) {
        self.ended.push_back(ended);
    }
}

impl Ended {
    /// A wait that ends without a result. [`Waiter::end`] has been `true`.
    pub(crate) fn with(shared: &Shared, waiter: Arc<Waiter>, error: Option<CommandError>) -> Self {
        let mut reply = Vec::new();
        let mut encoder = Reply::new(&mut reply, waiter.version());
        match &error {
            Some(error) => encoder.error(&error.to_string()),
            None => answer_late(shared, &waiter, &mut encoder),
        }
        Self::with_reply(waiter, reply, error)
    }

    /// A wait that ends with this reply.
    pub(crate) fn with_reply(
        waiter: Arc<Waiter>,
        reply: Vec<u8>,
        error: Option<CommandError>,
    ) -> Self {
        Self {
            waiter,
            reply,
            error,
            undo: Undo::default(),
            log_end: 0,
            registered: true,
        }
    }

    /// The worker of the client.
    pub(crate) fn worker(&self) -> usize {
        self.waiter.address.worker
    }
}

impl Core {
    /// The session's client waits from now on.
    pub(crate) fn park(&mut self, session: &mut Session, waiter: Arc<Waiter>) {
        let deadline = waiter
            .timeout
            .and_then(|timeout| clock::monotonic().checked_add(timeout));
        if let Some(deadline) = deadline {
            let key = (deadline, waiter.address.client);
            self.waits.deadlines.insert(key, waiter.clone());
        }
        self.waits.arm(waiter.clone(), self.now);
        *session.info.waiter.lock() = Some(waiter.clone());
        session.wait = Some(Box::new(Wait {
            waiter,
            deadline,
            quiet: session.replies != Replies::On,
        }));
    }

    /// Passes on what has come of work for no session.
    pub(crate) fn settle_shell(&mut self, done: Done) {
        let told = done.invalidations.into_iter();
        told.for_each(|invalidation| self.invalidate(invalidation, None));
        let served = done.served.into_iter();
        served.for_each(|served| self.served(served));
        done.events.deliver(|event| self.notify(event));
    }

    /// The session's client waits for another server: CLIENT UNBLOCK leaves it alone.
    pub(crate) fn hold(&mut self, session: &mut Session, waiter: Arc<Waiter>) {
        session.wait = Some(Box::new(Wait {
            waiter,
            deadline: None,
            quiet: session.replies != Replies::On,
        }));
    }

    /// A wait has been served here.
    pub(crate) fn served(&mut self, served: Served) {
        let Served {
            waiter,
            reply,
            error,
            undo,
        } = served;
        self.answer(Ended {
            waiter,
            reply,
            error,
            undo,
            log_end: self.log.end,
            registered: false,
        });
    }

    /// Sends the end of a wait to the client's worker.
    pub(crate) fn answer(&mut self, ended: Ended) {
        if ended.worker() == self.index {
            self.waits.push(ended);
        } else if let Some(worker) = self.shared.workers.get(ended.worker()) {
            worker.mailbox.send(Mail::Ended(Box::new(ended)));
        }
    }

    /// Ends the waits whose time is over.
    pub(super) fn end_overdue_waits(&mut self) {
        if self.waits.deadlines.is_empty() {
            return;
        }
        let now = clock::monotonic();
        while let Some(entry) = self.waits.deadlines.first_entry() {
            if entry.key().0 > now {
                break;
            }
            let waiter = entry.remove();
            if waiter.end() {
                let ended = Ended::with(&self.shared, waiter, None);
                self.waits.push(ended);
            }
        }
    }

    /// Ends the waits for the log for which it has come far enough, or is no more.
    fn end_log_waits(&mut self) {
        let shared = &self.shared;
        let ended = &mut self.waits.ended;
        self.waits.for_log.retain(|wait| {
            let Some(error) = look_at_log(shared, wait) else {
                return !wait.waiter.has_ended();
            };
            if wait.waiter.end() {
                ended.push_back(Ended::with(shared, wait.waiter.clone(), error));
            }
            false
        });
    }

    /// Requests of one connection are executed from now on.
    #[inline]
    pub(crate) fn begin_requests(&mut self) {
        self.log_start = self.log.end;
    }

    /// They have been.
    #[inline]
    pub(crate) fn end_requests(&mut self, session: &mut Session) {
        if self.log.end != self.log_start {
            session.written = self.log.end;
        }
    }

    /// The end of the log after the last write of the session whose requests are being executed.
    pub(crate) fn written_by(&self, session: &Session) -> Offset {
        if self.log.end != self.log_start {
            self.log.end
        } else {
            session.written
        }
    }

    /// The session does not wait any more.
    fn unpark(&mut self, session: &mut Session) -> Option<Box<Wait>> {
        let wait = session.wait.take()?;
        *session.info.waiter.lock() = None;
        if let Some(deadline) = wait.deadline {
            let key = (deadline, wait.waiter.address.client);
            self.waits.deadlines.remove(&key);
        }
        if !self.waits.again_at.is_empty() {
            self.waits.disarm(wait.waiter.address.client);
        }
        Some(wait)
    }

    /// A connection ends: what it waits for, and what it was not told.
    pub(super) fn abandon(&mut self, connection: &mut Connection) {
        if let Some(wait) = self.unpark(&mut connection.session)
            // Otherwise its end is on the way.
            && wait.waiter.end()
        {
            self.waits.registered.push(wait.waiter);
        }
        let undelivered = connection.take_undelivered();
        let undos = undelivered.map(|undelivered| undelivered.undo);
        self.waits.to_give_back.extend(undos);
    }

    /// Takes the registrations of waits that have ended out of the keyspace, unless a script keeps it: then later.
    fn deregister(&mut self) {
        let (engine, now) = (&self.shared.engine, self.now);
        self.waits
            .registered
            .retain(|waiter| !engine.end_wait(waiter, now));
    }

    /// Whether the peer of a connection that has something undelivered is known to be gone.
    pub(super) fn has_lost_peer(connection: &Connection) -> bool {
        connection.has_undelivered() && (connection.peer_ended || connection.stream.peer_is_gone())
    }
}

impl Worker {
    /// Answers the waits that have ended, goes on with the requests behind them, and gives back what could not be delivered, until
    /// there is nothing left of that. Whether there was something.
    pub(super) fn settle_waits(&mut self, turn: &Turn) -> bool {
        let mut any = false;
        self.core.end_overdue_waits();
        if !self.core.waits.for_log.is_empty() {
            self.core.end_log_waits();
        }
        if !self.core.waits.again.is_empty() {
            self.try_again();
        }
        if !self.core.waits.migrated.is_empty() {
            let core = &mut self.core;
            let answered = std::mem::take(&mut core.waits.migrated).into_iter();
            let later = answered.filter_map(|one| core.migrated(&mut self.executor, one));
            let later: Vec<_> = later.collect();
            self.core.waits.migrated.extend(later);
        }
        loop {
            if let Some(ended) = self.core.waits.ended.pop_front() {
                self.answer(ended, turn);
                any = true;
            } else if !self.core.waits.to_give_back.is_empty() {
                if !self.give_back() {
                    break;
                }
                any = true;
            } else {
                break;
            }
        }
        if !self.core.waits.registered.is_empty() {
            self.core.deregister();
        }
        any
    }

    /// Runs the commands again whose time has come.
    fn try_again(&mut self) {
        let (engine, core) = (&self.shared.engine, &mut self.core);
        let now = core.now;
        while let Some(entry) = core.waits.again.first_entry()
            && entry.key().0 <= now
        {
            let waiter = entry.remove();
            core.waits.again_at.remove(&waiter.address.client);
            let mut shell = WorkerShell::new(&self.shared, &mut core.log);
            engine.try_again(&mut self.executor, &waiter, now, &mut shell);
            let done = shell.done();
            core.settle_shell(done);
            let events = &self.executor.events;
            events.deliver(|event| core.notify(event));
            if !waiter.has_ended() {
                core.waits.arm(waiter, now);
            }
        }
    }

    fn answer(&mut self, ended: Ended, turn: &Turn) {
        let Some(mut connection) = self.put_reply(ended) else {
            return;
        };
        let id = connection.session.slot;
        self.core.queue(id, &mut connection);
        self.core.put_back(id, connection, true);
        self.resume(id, turn);
    }

    /// Puts the reply of a wait into its connection's buffer. `None`: there is no such connection.
    fn put_reply(&mut self, ended: Ended) -> Option<Box<Connection>> {
        let core = &mut self.core;
        if ended.registered {
            core.waits.registered.push(ended.waiter.clone());
        }
        let slot = ended.waiter.address.slot;
        let place = core.connections.get_mut(slot);
        let found = place.and_then(|place| {
            place.take_if(|connection| {
                let wait = connection.session.wait.as_ref();
                wait.is_some_and(|wait| Arc::ptr_eq(&wait.waiter, &ended.waiter))
            })
        });
        let Some(mut connection) = found else {
            core.waits.to_give_back.push(ended.undo);
            return None;
        };
        let wait = core.unpark(&mut connection.session);
        if let Some(error) = &ended.error {
            core.stats.count_error(&error.to_string());
            core.stats.commands[ended.waiter.command.id].failed.add(1);
        }
        if wait.is_some_and(|wait| !wait.quiet) {
            connection.out.extend_from_slice(&ended.reply);
            connection.note_undelivered(ended.undo);
        }
        if ended.log_end > 0 {
            // Whoever logged it may not have handed it to the system yet: this turn does, before its replies.
            core.log.end = core.log.end.max(ended.log_end);
            connection.session.written = connection.session.written.max(ended.log_end);
            core.log.dirty = true;
        }
        Some(connection)
    }

    /// Gives back what was taken for clients that have gone. `false`: a script keeps the keyspace, some of it must wait.
    fn give_back(&mut self) -> bool {
        let core = &mut self.core;
        let mut undos = std::mem::take(&mut core.waits.to_give_back);
        let (engine, now) = (&self.shared.engine, core.now);
        let mut shell = WorkerShell::new(&self.shared, &mut core.log);
        let returned = give_back(engine, &mut self.executor, &mut undos, now, &mut shell);
        let done = shell.done();
        core.settle_shell(done);
        core.stats.returned_pops.add(returned as u64);
        let all = undos.is_empty();
        core.waits.to_give_back.append(&mut undos);
        all
    }

    /// Serves those who wait for keys that have changed otherwise than by a command: by the active expiry.
    pub(super) fn serve_waiters(&mut self) {
        let (engine, core) = (&self.shared.engine, &mut self.core);
        if engine.keyspace.waits().has_ready() {
            let now = core.now;
            let mut shell = WorkerShell::new(&self.shared, &mut core.log);
            engine.serve(&mut self.executor, Footprint::ALL, now, &mut shell);
            let done = shell.done();
            core.settle_shell(done);
            let events = &self.executor.events;
            events.deliver(|event| core.notify(event));
        }
    }

    /// The server ends: nobody waits any more, what is ready goes out, and what can't be delivered goes back.
    pub(super) fn end_waits(&mut self) {
        let core = &mut self.core;
        for connection in core.connections.iter_mut().flatten() {
            if let Some(wait) = &connection.session.wait
                && wait.waiter.end()
            {
                core.waits.registered.push(wait.waiter.clone());
            }
        }
        self.core.take_mail();
        while let Some(ended) = self.core.waits.ended.pop_front() {
            if let Some(mut connection) = self.put_reply(ended) {
                let id = connection.session.slot;
                self.core.queue(id, &mut connection);
                self.core.put_back(id, connection, true);
            }
        }
        self.core.end_turn();
        for id in 0..self.core.connections.len() {
            if let Some(Some(connection)) = self.core.connections.get_mut(id)
                && connection.has_undelivered()
            {
                self.core.close(id);
            }
        }
        self.give_back();
        self.core.end_turn();
    }
}

/// Gives back what is in `undos`, and leaves there what has to wait for a script to end. Returns how many elements have gone back.
fn give_back(
    engine: &Engine,
    executor: &mut Executor,
    undos: &mut Vec<Undo>,
    now: UnixMillis,
    shell: &mut WorkerShell<'_>,
) -> usize {
    let mut returned = 0;
    undos.retain_mut(|undo| {
        let before = undo.len();
        let refused = engine.give_back(executor, undo, now, shell);
        if refused > 0 {
            tracing::warn!(
                "{refused} elements, taken for a client that was gone, could not be given back: \
                 their keys hold something else by now"
            );
        }
        returned += before - undo.len() - refused;
        !undo.is_empty()
    });
    returned
}

/// Gives back what is still on its way to clients. For the server's end, when all workers have ended.
pub(crate) fn give_back_undelivered(shared: &Shared) {
    let mails = shared
        .workers
        .iter()
        .flat_map(|worker| worker.mailbox.take());
    let mut undos: Vec<Undo> = mails
        .filter_map(|mail| match mail {
            Mail::Ended(ended) => Some(ended.undo),
            _ => None,
        })
        .collect();
    let mut log = WorkerLog {
        log: shared.log(),
        ..WorkerLog::default()
    };
    let now = clock::unix_millis();
    let mut executor = Executor::new(0);
    let mut shell = WorkerShell::new(shared, &mut log);
    give_back(&shared.engine, &mut executor, &mut undos, now, &mut shell);
}
