//! Serving those who wait, after a command, transaction or script has changed their keys.
//!
//! ```text
//! RPUSH k ─► k is ready ─► (locks released) ─► serve: for each waiter of k, in order of arrival:
//!                                              open its keys, run its command, log, hand the reply over
//! ```
//!
//! Whoever opens a shard with a ready key before it was served does that first: no other client gets between a change and those
//! who have waited for it, as if both had happened at once. Keys are served in the order in which they became ready; what
//! serving changes (BLMOVE) makes other keys ready, which are served after them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use djr_protocol::RespVersion;
use djr_storage::keyspace::{Access, Footprint, ReadyKey, Ticket, UnixMillis};

use super::{Mode, Waiter, remove_registrations};
use crate::engine::{Engine, Executor, Logged};
use crate::registry::Resolved;
use crate::{CommandError, OwnedRequest, Reply, Shell};

/// A waiter whose command has had a result.
pub struct Served {
    /// Who waited.
    pub waiter: Arc<Waiter>,
    /// The reply, an error perhaps.
    pub reply: Vec<u8>,
    /// What the error is, if it is one.
    pub error: Option<CommandError>,
    /// What gives back what was taken, if the reply can't be delivered.
    pub undo: Undo,
}

/// How to give back what a command took for a client that could not be told.
#[derive(Debug, Default)]
pub struct Undo {
    db: u32,
    requests: VecDeque<OwnedRequest>,
}

impl Undo {
    /// Whether nothing was taken.
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// The number of elements, or of commands that give them back.
    pub fn len(&self) -> usize {
        self.requests.len()
    }
}

/// A ready key being served.
struct Round {
    ready: ReadyKey,
    /// The waiters up to here have been tried.
    tried: Ticket,
    /// What has to be open.
    footprint: Footprint,
}

/// What comes after some waiters were looked at, their shards being open.
enum Step {
    /// Going on, with more shards open.
    Widen,
    /// Telling a waiter, then going on.
    Tell(Box<Served>),
    /// Nothing: the key has been served, or another one is before it.
    Done,
}

impl Engine {
    /// Serves those who wait for keys of the open shards that have changed, before anyone else gets to use them.
    #[cold]
    pub(crate) fn serve_first<'a>(
        &'a self,
        executor: &mut Executor,
        access: Access<'a>,
        now: UnixMillis,
        shell: &mut dyn Shell,
    ) -> Result<Access<'a>, CommandError> {
        let mut access = access;
        while access.first_ready().is_some() {
            let footprint = access.footprint();
            drop(access);
            self.serve(executor, footprint, now, shell);
            access = self.open(footprint, now)?;
        }
        Ok(access)
    }

    /// Serves the waiters of all ready keys of these shards, and of those keys that this makes ready.
    pub fn serve(
        &self,
        executor: &mut Executor,
        footprint: Footprint,
        now: UnixMillis,
        shell: &mut dyn Shell,
    ) {
        let mut footprint = footprint;
        while self.keyspace.waits().has_ready() {
            // A script that keeps the keyspace has served everyone before it began.
            let first = self.open(footprint, now).map(|access| access.first_ready());
            let Ok(Some(ready)) = first else {
                return;
            };
            let key = self.keyspace.key(&ready.key);
            let mut round = Round {
                footprint: self.keyspace.footprint(key.hash),
                ready,
                tried: 0,
            };
            self.serve_key(executor, &mut round, now, shell);
            footprint = footprint.union(round.footprint);
        }
    }

    fn serve_key(
        &self,
        executor: &mut Executor,
        round: &mut Round,
        now: UnixMillis,
        shell: &mut dyn Shell,
    ) {
        while let Ok(mut access) = self.open(round.footprint, now) {
            let step = self.serve_some(executor, &mut access, round, now, shell);
            drop(access);
            match step {
                Step::Widen => {}
                Step::Tell(served) => shell.served(*served),
                Step::Done => return,
            }
        }
    }

    /// Tries the next waiters, until one has a result.
    fn serve_some(
        &self,
        executor: &mut Executor,
        access: &mut Access<'_>,
        round: &mut Round,
        now: UnixMillis,
        shell: &mut dyn Shell,
    ) -> Step {
        let db = round.ready.db;
        let key = self.keyspace.key(&round.ready.key);
        match access.db(db).ready_generation(key) {
            None => return Step::Done,
            // Changed again since: it may be something for those who were tried in vain.
            Some(generation) if generation != round.ready.generation => {
                round.ready.generation = generation;
                round.tried = 0;
            }
            Some(_) => {}
        }
        let first = access.first_ready();
        if first.is_some_and(|first| first.order < round.ready.order) {
            return Step::Done;
        }
        loop {
            let kind = access.db(db).peek(key).map(|entry| entry.kind());
            let view = access.db(db);
            let next = view
                .waiters(key, round.tried)
                .find_map(|(ticket, registration)| {
                    let waiter = registration.waiter.clone().downcast::<Waiter>().ok()?;
                    waiter.on.wants(kind).then_some((ticket, waiter))
                });
            let Some((ticket, waiter)) = next else {
                access.db_mut(db).end_ready(key);
                self.log_expired(executor, access, shell);
                self.tell_invalidations(access, shell);
                return Step::Done;
            };
            if !access.footprint().covers(waiter.footprint) {
                round.footprint = round.footprint.union(waiter.footprint);
                return Step::Widen;
            }
            round.tried = ticket;
            if !waiter.claim() {
                continue;
            }
            let served = self.run_again(executor, access, waiter, now, shell);
            // What it changed itself is no news for those before it.
            if let Some(generation) = access.db(db).ready_generation(key) {
                round.ready.generation = generation;
            }
            if let Some(served) = served {
                return Step::Tell(Box::new(served));
            }
        }
    }

    /// Runs a waiter's command, its keys being open. `None`: it goes on waiting.
    fn run_again(
        &self,
        executor: &mut Executor,
        access: &mut Access<'_>,
        waiter: Arc<Waiter>,
        now: UnixMillis,
        shell: &mut dyn Shell,
    ) -> Option<Served> {
        let mut out = Vec::new();
        let mut reply = Reply::new(&mut out, waiter.version);
        let (command, args, db) = (waiter.command, waiter.request.args(), waiter.db);
        executor.blocking.mode = Mode::Again;
        let result = shell
            .permit_waiter(&waiter)
            .and_then(|()| self.run(executor, access, command, db, &args, now, shell, &mut reply));
        executor.blocking.mode = Mode::Never;
        let requests = std::mem::take(&mut executor.blocking.undo);
        let waits_on = matches!(result, Ok(Logged::Blocked));
        if let Some(at) = executor.blocking.again_at.take() {
            waiter.again_at.store(at, Ordering::Relaxed);
        }
        if !waits_on {
            remove_registrations(access, &waiter);
        }
        waiter.settle(!waits_on);
        let error = self
            .log_all(executor, access, result, db, &args, shell)
            .err();
        if waits_on {
            return None;
        }
        if let Some(error) = &error {
            reply.error(&error.to_string());
        }
        Some(Served {
            undo: Undo { db, requests },
            waiter,
            reply: out,
            error,
        })
    }

    /// Gives back what was taken for a client that could not be told, and takes it out of `undo`: all of it, unless a script keeps
    /// the keyspace. Returns how much the keyspace refused, its keys being something else by now.
    pub fn give_back(
        &self,
        executor: &mut Executor,
        undo: &mut Undo,
        now: UnixMillis,
        shell: &mut dyn Shell,
    ) -> usize {
        let before = shell.db();
        shell.select(undo.db);
        let mut refused = 0;
        while let Some(request) = undo.requests.front() {
            let args = request.args();
            let mut out = Vec::new();
            let mut reply = Reply::new(&mut out, RespVersion::V2);
            let result = match self.registry.declared().resolve(&args) {
                Resolved::Command(command) => {
                    self.execute(executor, command, &args, now, shell, &mut reply)
                }
                _ => Err(self.unknown_command(&args)),
            };
            match result {
                Err(error) if crate::script::is_busy(&error) => break,
                Err(_) => refused += 1,
                Ok(()) => {}
            }
            undo.requests.pop_front();
        }
        shell.select(before);
        refused
    }
}
