//! The dispatcher: opens the keys of a command, runs it, logs its effect.

use std::time::Duration;

use djr_storage::keyspace::{Access, Expired, Footprint, KeyHash, Keyspace, UnixMillis};

use crate::blocking::Blocking;
use crate::command::{Command, KeyShape};
use crate::context::{Quiet, ReadContext, WriteContext};
use crate::effect::{Effect, EffectLog, Effects};
use crate::eviction::Evictor;
use crate::keys::each_key;
use crate::notify::Events;
use crate::registry::{Registry, Resolved};
use crate::script::{Functions, Scripts};
use crate::settings::Settings;
use crate::spec::{Flags, Reach, Read, Run, Write};
use crate::stats::Lookups;
use crate::{Args, CommandError, Reply, Rng, Shell};

/// What all workers share: the keyspace, the commands, the scripts, the settings.
pub struct Engine {
    /// All databases.
    pub keyspace: Keyspace,
    /// All commands.
    pub registry: &'static Registry,
    /// What CONFIG changes at run time.
    pub settings: Settings,
    /// The scripts that clients have sent.
    pub scripts: Scripts,
    /// The libraries of functions that clients have loaded.
    pub functions: Functions,
}

/// What one worker needs to execute commands: memory that is used again, counters, random numbers.
pub struct Executor {
    /// Random numbers for sampling.
    pub rng: Rng,
    /// Hits, misses, expired keys.
    pub lookups: std::sync::Arc<Lookups>,
    /// Whether reading a key counts as an access to it: `false` under `CLIENT NO-TOUCH`.
    pub touch: bool,
    /// The client that is to be told when a key changes that it reads now (`CLIENT TRACKING`).
    pub reader: Option<u64>,
    /// The keyspace events of the command, transaction or script under way.
    pub events: Events,
    /// The error that a script has ended with is that of a command which it called, and was told of already ([`Shell::ran`]). Whoever
    /// counts errors takes it.
    pub error_told: bool,
    pub(crate) evictor: Evictor,
    pub(crate) effects: Effects,
    pub(crate) blocking: Blocking,
    pub(crate) interpreter: crate::script::Interpreter,
}

impl Executor {
    /// An executor whose random numbers begin at `seed`.
    pub fn new(seed: u64) -> Self {
        Self {
            rng: Rng::new(seed),
            lookups: Default::default(),
            touch: true,
            reader: None,
            events: Events::default(),
            error_told: false,
            evictor: Evictor::default(),
            effects: Effects::default(),
            blocking: Blocking::default(),
            interpreter: Default::default(),
        }
    }
}

/// What is known of a request before it runs: its command and, if it has keys at known places, the first key's hash.
/// A worker prepares many requests of a batch at once, so that it can prefetch their keys.
#[derive(Clone, Copy, Debug, Default)]
pub struct Prepared {
    /// What the name leads to; `None` if to nothing ([`Registry::resolve`] says why).
    pub command: Option<&'static Command>,
    hash: KeyHash,
    /// Index of that key; 0: there is none.
    key_at: u32,
}

/// A list, a hash, … that a request will look into.
#[derive(Clone, Copy, Debug)]
pub struct WantedStructure {
    /// The hash of its key.
    pub key: KeyHash,
    /// Index of the argument that will be looked up in it, if that is known.
    pub member_at: Option<usize>,
}

impl Prepared {
    /// What hangs from the key's entry, if that should be loaded beforehand.
    #[inline]
    pub fn wanted_structure(&self) -> Option<WantedStructure> {
        let command = self.command?;
        (self.key_at != 0 && command.wants_structure).then_some(WantedStructure {
            key: self.hash,
            member_at: (command.member_at != 0).then_some(usize::from(command.member_at)),
        })
    }

    /// The hash of the first key.
    #[inline]
    pub fn key(&self) -> Option<KeyHash> {
        (self.key_at != 0).then_some(self.hash)
    }

    /// The arguments that this was prepared from, with the hash of their first key.
    #[inline]
    pub fn hashed<'a>(&self, args: Args<'a>) -> Args<'a> {
        match self.key() {
            Some(hash) => args.with_hash(self.key_at, hash),
            None => args,
        }
    }
}

/// How long a shard is waited for before it is looked whether a script keeps it.
const PATIENCE: Duration = Duration::from_millis(10);

/// What a command did to the log's unit that is being built.
pub(crate) enum Logged {
    Nothing,
    /// Nothing but what has been written: its client is to wait.
    Blocked,
    /// The request's own bytes are still to be logged.
    Verbatim,
    /// The effects have been written.
    Written,
}

impl Engine {
    /// Finds the command of a request and hashes its first key.
    #[inline(always)]
    pub fn prepare(&self, args: &Args<'_>) -> Prepared {
        let Resolved::Command(command) = self.registry.resolve(args) else {
            return Prepared::default();
        };
        let key_at = command.prefetched_key;
        if key_at == 0 || key_at as usize >= args.len() {
            return Prepared {
                command: Some(command),
                ..Prepared::default()
            };
        }
        Prepared {
            command: Some(command),
            hash: self.keyspace.key(args.get(key_at as usize)).hash,
            key_at,
        }
    }

    /// The shards that a command opens in a session of `db`.
    pub fn footprint(&self, command: &Command, db: u32, args: &Args<'_>) -> Footprint {
        match command.spec.reach {
            _ if command.opens_all() => Footprint::ALL,
            Reach::Sort => crate::commands::sort_footprint(&self.keyspace, args),
            Reach::Cursor => crate::commands::scan_footprint(&self.keyspace, db, args),
            _ => {
                let mut footprint = Footprint::NONE;
                each_key(command, args, |index, _| {
                    let key = args.key(index, |bytes| self.keyspace.key(bytes));
                    footprint = footprint.union(self.keyspace.footprint(key.hash));
                });
                footprint
            }
        }
    }

    /// Executes one command of its own (not of a transaction): opens its shards, runs it, logs what it did.
    /// Its arity has been checked. An error is returned and nothing of it is in `reply`.
    pub fn execute(
        &self,
        executor: &mut Executor,
        command: &'static Command,
        args: &Args<'_>,
        now: UnixMillis,
        shell: &mut dyn Shell,
        reply: &mut Reply<'_>,
    ) -> Result<(), CommandError> {
        if matches!(command.run, Run::Shell) {
            return shell.run(command, args, reply);
        }
        let result = if command.blocks {
            self.execute_blocking(executor, command, args, now, shell, reply)
        } else {
            self.execute_locked(executor, command, args, now, shell, reply)
        };
        if self.keyspace.waits().has_ready() {
            let footprint = self.footprint(command, shell.db(), args);
            self.serve(executor, footprint, now, shell);
        }
        if !executor.events.is_empty() {
            executor.events.deliver(|event| shell.notify(event));
        }
        result
    }

    #[inline]
    fn execute_locked(
        &self,
        executor: &mut Executor,
        command: &'static Command,
        args: &Args<'_>,
        now: UnixMillis,
        shell: &mut dyn Shell,
        reply: &mut Reply<'_>,
    ) -> Result<(), CommandError> {
        let db = shell.db();
        let mut access = match (command.key_shape, args.hashed_key()) {
            (KeyShape::One(_), Some(hash)) => self.open_key(hash, now)?,
            _ => self.open(self.footprint(command, db, args), now)?,
        };
        if self.keyspace.waits().has_ready() {
            access = self.serve_first(executor, access, now, shell)?;
        }
        if !executor.touch {
            access.set_touch(false);
        }
        if self.keyspace.tracking().is_on() {
            return self.execute_tracked(executor, access, command, args, now, shell, reply);
        }
        let result = match command.run {
            Run::Read(read) => {
                let result = self.read(executor, &access, read, db, args, now, reply);
                if !access.has_expired() {
                    return result;
                }
                result.map(|()| Logged::Nothing)
            }
            Run::Write(write) => {
                let result = self.write(executor, &mut access, write, db, args, now, reply);
                // The usual case: nothing to log but the request itself, if that.
                if !access.has_expired() && executor.effects.is_empty() {
                    match result {
                        Ok(Logged::Verbatim) => match args.raw() {
                            Some(raw) if !self.registry.has_renames() => {
                                shell.log().append(db, &[raw]);
                                return Ok(());
                            }
                            _ => Ok(Logged::Verbatim),
                        },
                        result => return result.map(|_| ()),
                    }
                } else {
                    result
                }
            }
            _ => self.run(executor, &mut access, command, db, args, now, shell, reply),
        };
        self.log_all(executor, &mut access, result, db, args, shell)
    }

    /// Logs what a command did where that is not just the request.
    #[cold]
    pub(crate) fn log_all(
        &self,
        executor: &mut Executor,
        access: &mut Access<'_>,
        result: Result<Logged, CommandError>,
        db: u32,
        args: &Args<'_>,
        shell: &mut dyn Shell,
    ) -> Result<(), CommandError> {
        self.log_expired(executor, access, shell);
        if let Ok(Logged::Verbatim) = result {
            executor.effects.push_request(self.registry, db, args);
        }
        executor.effects.append_to(shell.log());
        self.tell_invalidations(access, shell);
        result.map(|_| ())
    }

    /// Opens the shard of one key; refuses where a script that runs too long keeps it.
    #[inline]
    fn open_key(&self, hash: KeyHash, now: UnixMillis) -> Result<Access<'_>, CommandError> {
        match self.keyspace.try_open_key(hash, now) {
            Some(access) => Ok(access),
            None => self.open(self.keyspace.footprint(hash), now),
        }
    }

    /// Opens shards; refuses where a script that runs too long keeps them.
    #[inline]
    pub fn open(&self, footprint: Footprint, now: UnixMillis) -> Result<Access<'_>, CommandError> {
        loop {
            if self.scripts.running().is_busy() && footprint != Footprint::NONE {
                return Err(self.scripts.running().busy_error());
            }
            if let Some(access) = self.keyspace.try_open(footprint, now, PATIENCE) {
                return Ok(access);
            }
        }
    }

    /// Runs a command inside a transaction or a script, in the shards that are open. Its effect is added to the unit.
    #[expect(
        clippy::too_many_arguments,
        reason = "what a command needs, lent one by one: a struct of these would be borrowed as a whole"
    )]
    pub(crate) fn run_inside(
        &self,
        executor: &mut Executor,
        access: &mut Access<'_>,
        command: &'static Command,
        args: &Args<'_>,
        now: UnixMillis,
        shell: &mut dyn Shell,
        reply: &mut Reply<'_>,
    ) -> Result<(), CommandError> {
        let db = shell.db();
        let result = self.run(executor, access, command, db, args, now, shell, reply);
        self.remember_reader(executor, access, command, args);
        if matches!(result, Ok(Logged::Verbatim)) {
            executor.effects.push_request(self.registry, db, args);
        }
        result.map(|_| ())
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "what a command needs, lent one by one: a struct of these would be borrowed as a whole"
    )]
    pub(crate) fn run(
        &self,
        executor: &mut Executor,
        access: &mut Access<'_>,
        command: &'static Command,
        db: u32,
        args: &Args<'_>,
        now: UnixMillis,
        shell: &mut dyn Shell,
        reply: &mut Reply<'_>,
    ) -> Result<Logged, CommandError> {
        let start = reply.len();
        let result = match command.run {
            Run::Read(read) => self
                .read(executor, access, read, db, args, now, reply)
                .map(|()| Logged::Nothing),
            Run::Write(write) => self.write(executor, access, write, db, args, now, reply),
            Run::Script(script) => {
                script(self, executor, access, args, now, shell, reply).map(|()| Logged::Written)
            }
            Run::Shell => shell.run(command, args, reply).map(|()| Logged::Nothing),
            Run::Container => Err(CommandError::Arity(command.full_name.clone())),
        };
        if result.is_err() {
            reply.truncate(start);
        }
        result
    }

    /// The same while somebody tracks keys.
    #[expect(
        clippy::too_many_arguments,
        reason = "what a command needs, lent one by one: a struct of these would be borrowed as a whole"
    )]
    #[cold]
    fn execute_tracked(
        &self,
        executor: &mut Executor,
        mut access: Access<'_>,
        command: &'static Command,
        args: &Args<'_>,
        now: UnixMillis,
        shell: &mut dyn Shell,
        reply: &mut Reply<'_>,
    ) -> Result<(), CommandError> {
        let db = shell.db();
        let result = self.run(executor, &mut access, command, db, args, now, shell, reply);
        // What has expired is gone before it is read.
        self.log_expired(executor, &mut access, shell);
        self.remember_reader(executor, &mut access, command, args);
        self.log_all(executor, &mut access, result, db, args, shell)
    }

    /// Notes that the session's client has read the keys of a command, if it wants to know of their changes.
    pub(crate) fn remember_reader(
        &self,
        executor: &Executor,
        access: &mut Access<'_>,
        command: &Command,
        args: &Args<'_>,
    ) {
        if let Some(reader) = executor.reader
            && command.flags.has(Flags::READONLY)
            && !matches!(command.run, Run::Script(_))
        {
            each_key(command, args, |index, _| {
                access.track(args.key(index, |bytes| self.keyspace.key(bytes)), reader);
            });
        }
    }

    /// Tells the shell which keys have changed that clients may have in caches of their own.
    pub(crate) fn tell_invalidations(&self, access: &mut Access<'_>, shell: &mut dyn Shell) {
        if self.keyspace.tracking().is_on() {
            access.take_invalidations(&mut |invalidation| shell.invalidate(invalidation));
        }
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "what a command needs, lent one by one: a struct of these would be borrowed as a whole"
    )]
    #[inline(always)]
    fn read(
        &self,
        executor: &mut Executor,
        access: &Access<'_>,
        read: Read,
        db: u32,
        args: &Args<'_>,
        now: UnixMillis,
        reply: &mut Reply<'_>,
    ) -> Result<(), CommandError> {
        let start = reply.len();
        let mut context = ReadContext {
            db: access.db(db),
            access,
            now,
            engine: self,
            rng: &mut executor.rng,
            lookups: &executor.lookups,
            events: &executor.events,
        };
        let result = read(&mut context, args, reply);
        if result.is_err() {
            reply.truncate(start);
        }
        result
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "what a command needs, lent one by one: a struct of these would be borrowed as a whole"
    )]
    #[inline(always)]
    fn write(
        &self,
        executor: &mut Executor,
        access: &mut Access<'_>,
        write: Write,
        db: u32,
        args: &Args<'_>,
        now: UnixMillis,
        reply: &mut Reply<'_>,
    ) -> Result<Logged, CommandError> {
        let start = reply.len();
        let mut context = WriteContext {
            access,
            db_index: db,
            now,
            engine: self,
            rng: &mut executor.rng,
            lookups: &executor.lookups,
            effects: &mut executor.effects,
            blocking: &mut executor.blocking,
            events: &executor.events,
            removed: false,
            quiet: None,
        };
        let result = match write(&mut context, args, reply) {
            Ok(Effect::None) => Ok(Logged::Nothing),
            Ok(Effect::Verbatim) => Ok(Logged::Verbatim),
            Ok(Effect::Rewritten(_)) => Ok(Logged::Written),
            Ok(Effect::Blocked(_)) => Ok(Logged::Blocked),
            Err(error) => {
                reply.truncate(start);
                Err(error)
            }
        };
        let quiet = context.quiet;
        if access.has_lent() {
            let changed = match result {
                Ok(Logged::Nothing) | Err(_) => false,
                Ok(Logged::Blocked) => !executor.effects.is_empty(),
                Ok(Logged::Verbatim | Logged::Written) => true,
            };
            match quiet {
                None => access.settle_lent(changed),
                Some(quiet) => access.settle_lent_for(false, changed && quiet == Quiet::Watchers),
            }
        }
        result
    }

    /// Logs what was removed because it was met past its deadline, and notes its events before those of what met it.
    pub(crate) fn log_expired(
        &self,
        executor: &mut Executor,
        access: &mut Access<'_>,
        shell: &mut dyn Shell,
    ) {
        if !access.has_expired() {
            return;
        }
        access.purge_expired();
        let (log, events) = (shell.log(), &executor.events);
        let (wanted, before) = (self.settings.notify(), events.len());
        access.take_expired(&mut |db, expired| {
            log_expiry(log, db, expired);
            events.push_expired(wanted, db, expired);
            match expired {
                Expired::Key(_) => executor.lookups.expired.add(1),
                Expired::Field { .. } => executor.lookups.expired_fields.add(1),
                Expired::Fields { .. } => {}
            }
        });
        events.move_to_front(before);
    }
}

/// Logs one thing that has expired, as a batch of its own.
pub fn log_expiry(log: &mut dyn EffectLog, db: u32, expired: Expired<'_>) {
    let mut encoded = Vec::new();
    match expired {
        Expired::Key(key) => djr_protocol::encode_command(&mut encoded, &[b"DEL", key]),
        Expired::Field { key, field } => {
            djr_protocol::encode_command(&mut encoded, &[b"HDEL", key, field]);
        }
        Expired::Fields { .. } => return,
    }
    log.append(db, &[&encoded]);
}
