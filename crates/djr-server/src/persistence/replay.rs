//! Applies the commands of a log, and the snapshot before them, to the engine.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use djr_engine::command::Command;
use djr_engine::registry::Resolved;
use djr_engine::{Args, CommandError, EffectLog, Engine, Executor, OwnedRequest, Reply, Shell};
use djr_protocol::RespVersion;
use djr_storage::aof::{Replay, ReplayedCommand};
use djr_storage::keyspace::Keyspace;
use djr_storage::rdb::{LoadError, LoadOptions};

use super::lanes::Lanes;
use crate::clock;
use crate::config::Config;
use crate::loading::{LoadState, TELL_EVERY, contents};
use crate::shared::Shared;

/// More lanes than this the reader could not feed.
const LANES_MAX: usize = 8;
/// A request has its places in 32 bits.
const COMMAND_LEN_MAX: usize = 2 << 30;

/// The time that replayed commands see: before every deadline, for what was alive when it was logged is alive now.
pub(super) const REPLAY_NOW: i64 = 0;

/// Applies the commands of a log to the engine.
pub(super) struct Replayer<'a> {
    engine: &'a Engine,
    lanes: Lanes,
    loading: &'a LoadState,
    config: &'a Config,
    checksum: bool,
    /// `key-load-delay`, in microseconds.
    delay: u64,
    /// When the log is told of the progress next.
    tell_at: Instant,
    room: Room,
    /// Keys of a snapshot take the place of those that are there.
    pub(super) replace: bool,
    executor: Executor,
    shell: ReplayShell,
    out: Vec<u8>,
}

/// Room for keys that the rest of a log will bring. Tables grow in small steps, each of which moves everything; a log's length tells before
/// how far that will go.
#[derive(Default)]
struct Room {
    /// By db: keys when the log began.
    before: Option<Vec<usize>>,
    /// How often it was made.
    times: u32,
}

impl Room {
    /// The first time after this part of a log, then whenever the part has doubled.
    const FIRST: f64 = 1.0 / 64.0;

    /// As much as came so far will come again before the next time.
    fn make(&mut self, keyspace: &Keyspace, part: f64) {
        let keys = || (0..keyspace.dbs()).map(|db| keyspace.len(db));
        let before = self.before.get_or_insert_with(|| keys().collect());
        let due = Self::FIRST * f64::from(1u32 << self.times);
        if !(due..1.0).contains(&part) {
            return;
        }
        self.times += 1;
        for (db, (keys, before)) in keys().zip(before.iter()).enumerate() {
            let came = keys.saturating_sub(*before);
            if came > 0 {
                keyspace.reserve(db as u32, came);
            }
        }
    }

    /// Gives back what did not come.
    fn fit(&self, keyspace: &Keyspace) {
        if self.times > 0 {
            (0..keyspace.dbs()).for_each(|db| keyspace.fit(db));
        }
    }
}

/// The session that replayed commands run in: it has a db, and nothing is logged.
#[derive(Default)]
pub(super) struct ReplayShell {
    db: u32,
    nowhere: (),
}

impl Replay for Replayer<'_> {
    fn command(&mut self, command: &ReplayedCommand<'_>) -> Result<(), String> {
        if self.delay > 0 {
            std::thread::sleep(Duration::from_micros(self.delay));
            self.delay = self.config.key_load_delay();
        }
        self.run(command)
    }

    fn rdb_base(&mut self, path: &Path, bytes: &[u8]) -> Result<u64, LoadError> {
        // The commands behind it may refer to keys whose time has come since.
        self.rdb(path, bytes, true)
    }

    fn finish(&mut self) -> Result<(), String> {
        self.lanes.finish()?;
        self.room.fit(&self.engine.keyspace);
        Ok(())
    }

    fn progress(&mut self, replayed: u64, total: u64) {
        self.loading.replayed(replayed, total);
        self.room
            .make(&self.engine.keyspace, replayed as f64 / total as f64);
        self.delay = self.config.key_load_delay();
        let now = clock::monotonic();
        if now >= self.tell_at {
            self.tell_at = now + TELL_EVERY;
            self.loading.tell_replay();
        }
    }
}

impl<'a> Replayer<'a> {
    pub(super) fn new(shared: &'a Arc<Shared>) -> Self {
        Self {
            engine: &shared.engine,
            lanes: Lanes::new(shared, lanes(shared)),
            loading: &shared.loading,
            config: &shared.config,
            delay: shared.config.key_load_delay(),
            tell_at: clock::monotonic() + TELL_EVERY,
            room: Room::default(),
            checksum: shared.config.rdb_checksum(),
            replace: false,
            executor: Executor::new(0),
            shell: ReplayShell::default(),
            out: Vec::new(),
        }
    }

    /// Loads a snapshot that is not the base of a log, if there is one. `Err` is a sentence for people.
    pub(super) fn snapshot(&mut self, path: &Path) -> Result<bool, String> {
        let Some(contents) = contents(path)? else {
            return Ok(false);
        };
        self.rdb(path, &contents, false)
            .map(|_| true)
            .map_err(|error| format!("{} can't be loaded: {error}", path.display()))
    }

    /// Loads a snapshot: keys, then functions. Returns where it ends.
    pub(super) fn rdb(
        &mut self,
        path: &Path,
        bytes: &[u8],
        keep_expired: bool,
    ) -> Result<u64, LoadError> {
        let options = LoadOptions {
            now: clock::unix_millis(),
            limits: self.engine.settings.value_limits(),
            keep_expired,
            checksum: self.checksum,
            replace: self.replace,
        };
        let report = self
            .loading
            .load(self.engine, self.config, path, bytes, options)?;
        for code in &report.functions {
            let args: [&[u8]; 4] = [b"FUNCTION", b"LOAD", b"REPLACE", code];
            let loaded = self.run(&ReplayedCommand {
                db: 0,
                args: &args,
                encoded: None,
            });
            loaded.map_err(|error| {
                let path = path.display();
                LoadError::Refused(format!("{path}: a library of functions: {error}"))
            })?;
        }
        Ok(report.end)
    }

    /// Runs a command, after all before it where that matters.
    pub(super) fn run(&mut self, replayed: &ReplayedCommand<'_>) -> Result<(), String> {
        if self.lanes.take(replayed)? {
            return Ok(());
        }
        if replayed.db >= self.engine.keyspace.dbs() {
            return Err(format!(
                "db {} is out of range: see 'databases'",
                replayed.db
            ));
        }
        self.shell.db = replayed.db;
        let len: usize = replayed.args.iter().map(|arg| arg.len()).sum();
        if len >= COMMAND_LEN_MAX {
            return Err("a command of 2 GiB or more".to_owned());
        }
        let request = OwnedRequest::from_args(replayed.args.iter().copied());
        let args = request.args();
        let command = match self.engine.registry.declared().resolve(&args) {
            Resolved::Command(command) if command.accepts(args.len()) => command,
            Resolved::Command(command) => {
                return Err(CommandError::Arity(command.full_name.clone()).to_string());
            }
            _ => return Err(self.engine.unknown_command(&args).to_string()),
        };
        self.out.clear();
        let mut reply = Reply::new(&mut self.out, RespVersion::V2);
        self.engine
            .execute(
                &mut self.executor,
                command,
                &args,
                REPLAY_NOW,
                &mut self.shell,
                &mut reply,
            )
            .map_err(|error| refused(command, &args, &error))
    }
}

/// How many threads replay beside the one that reads: the reader has its own share of the work.
fn lanes(shared: &Shared) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    cores.min(shared.workers.len().max(2)).min(LANES_MAX)
}

/// The words for a command that the engine refused.
pub(super) fn refused(command: &Command, args: &Args<'_>, error: &CommandError) -> String {
    let name = &command.full_name;
    match args.len() {
        0 | 1 => format!("'{name}' was refused: {error}"),
        _ => {
            let first = args.get(1);
            let shown = first.get(..64).unwrap_or(first).escape_ascii();
            format!("'{name}' of {shown} was refused: {error}")
        }
    }
}

impl ReplayShell {
    pub(super) fn new(db: u32) -> Self {
        Self { db, nowhere: () }
    }
}

impl Shell for ReplayShell {
    fn db(&self) -> u32 {
        self.db
    }
    fn select(&mut self, db: u32) {
        self.db = db;
    }
    fn run(
        &mut self,
        _: &'static Command,
        _: &Args<'_>,
        _: &mut Reply<'_>,
    ) -> Result<(), CommandError> {
        Err(CommandError::text("ERR not a command that changes data"))
    }
    fn permit(&mut self, _: &'static Command, _: &Args<'_>) -> Result<(), CommandError> {
        Ok(())
    }
    fn log(&mut self) -> &mut dyn EffectLog {
        &mut self.nowhere
    }
}
