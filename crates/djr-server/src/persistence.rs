//! The data set's way to disk and back: recovery at the start, the log's thread, compaction.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use djr_engine::command::Command;
use djr_engine::registry::Resolved;
use djr_engine::{Args, CommandError, EffectLog, Engine, Executor, OwnedRequest, Reply, Shell};
use djr_protocol::RespVersion;
use djr_storage::aof::{
    AofConfig, BaseFile, Log, LogError, OnDurable, RecoveryMode, RecoveryReport, Replay,
    ReplayedCommand, recover,
};
use djr_storage::disk::{Disk, OsDisk};
use djr_storage::keyspace::Footprint;
use djr_storage::rdb::{LoadError, LoadOptions};

use crate::clock;
use crate::loading::{LoadState, contents};
use crate::shared::{Gate, Shared};

/// The log and what goes on around it.
#[derive(Default)]
pub(crate) struct Persistence {
    log: OnceLock<Arc<Log>>,
    /// A compaction is under way.
    rewriting: AtomicBool,
    /// The last one failed.
    rewrite_failed: AtomicBool,
}

/// The time that replayed commands see: before every deadline, for what was alive when it was logged is alive now.
const REPLAY_NOW: i64 = 0;

impl Persistence {
    /// The log, once it is open.
    pub(crate) fn log(&self) -> Option<Arc<Log>> {
        self.log.get().cloned()
    }

    /// Recovers the data set and opens the log. Writes can be logged when this returns.
    pub(crate) fn load(
        &self,
        shared: &Shared,
        config: AofConfig,
        snapshot: &Path,
        repair: bool,
        truncate_ok: bool,
        on_durable: OnDurable,
    ) -> Result<RecoveryReport, String> {
        let disk: Arc<dyn Disk> = Arc::new(OsDisk);
        let mode = if repair {
            RecoveryMode::Repair
        } else {
            RecoveryMode::Refuse
        };
        let mut replayer = Replayer::new(shared);
        let recovered = recover(&disk, &config, mode, truncate_ok, &mut replayer)
            .map_err(|error| error.to_string())?;
        // Redis starts empty here. But somebody who has snapshots only, and finds an empty server, has lost everything.
        let report = &recovered.report;
        let adopt = report.base == BaseFile::None
            && report.commands == 0
            && load_snapshot(&mut replayer, snapshot)?;
        let log = Log::open(disk, config, recovered.state, on_durable)
            .map_err(|error| error.to_string())?;
        if adopt {
            tracing::warn!(
                "there is no append-only log yet, so the data comes from {}; the log is made from it now and is what is loaded from now on",
                snapshot.display()
            );
            self.compact(&shared.engine, &log)
                .map_err(|error| error.to_string())?;
        }
        // Nobody else opens one.
        let _ = self.log.set(Arc::new(log));
        Ok(recovered.report)
    }

    /// Loads the snapshot, if there is one: how a server without a log starts.
    pub(crate) fn load_snapshot(&self, shared: &Shared, path: &Path) -> Result<bool, String> {
        load_snapshot(&mut Replayer::new(shared), path)
    }

    /// Whether a compaction is under way.
    pub(crate) fn is_rewriting(&self) -> bool {
        self.rewriting.load(Ordering::Relaxed)
    }

    /// `ok` or `err`, as INFO says it.
    pub(crate) fn last_rewrite_status(&self) -> &'static str {
        if self.rewrite_failed.load(Ordering::Relaxed) {
            "err"
        } else {
            "ok"
        }
    }

    /// The log has failed: from now on writes are refused.
    #[cold]
    pub(crate) fn failed(&self, shared: &Shared) {
        if shared.gate.bits() & Gate::MISCONF == 0 {
            shared.gate.set(Gate::MISCONF);
            if let Some(error) = self.log.get().and_then(|log| log.poisoned()) {
                tracing::error!(
                    "the append-only log has failed, writes are refused from now on: {error}"
                );
            }
            shared.wake_workers();
        }
    }

    /// What a write is answered while the log is failed.
    pub(crate) fn misconf(&self) -> CommandError {
        let why = self
            .log
            .get()
            .and_then(|log| log.poisoned())
            .map(ToString::to_string);
        CommandError::format(format!(
            "MISCONF Errors writing to the AOF file: {}",
            why.unwrap_or_default()
        ))
    }

    /// The log's thread: makes durable, compacts when the log has grown. Returns when the log is stopped.
    pub(crate) fn run(&self, shared: &Shared) {
        let Some(log) = self.log() else { return };
        while log.wait_for_work(Duration::from_secs(1)) {
            if log.sync().is_err() {
                self.failed(shared);
            }
        }
    }

    /// Compacts the log if it has grown so far (`auto-aof-rewrite-percentage`, `auto-aof-rewrite-min-size`).
    pub(crate) fn compact_if_due(&self, shared: &Shared, percentage: u64, min_size: u64) {
        let Some(log) = self.log() else { return };
        if log.poisoned().is_none()
            && log.sizes().rewrite_due(percentage, min_size)
            && let Err(error) = self.compact(&shared.engine, &log)
        {
            tracing::error!("compaction of the append-only log: {error}");
        }
    }

    /// Writes the keyspace as a new base. Everything else waits meanwhile.
    fn compact(&self, engine: &Engine, log: &Log) -> Result<(), LogError> {
        if self.rewriting.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let began = clock::monotonic();
        let before = log.sizes().current;
        let result = write_base(engine, log);
        self.rewriting.store(false, Ordering::Release);
        self.rewrite_failed
            .store(result.is_err(), Ordering::Relaxed);
        if result.is_ok() {
            tracing::info!(
                "append-only log compacted from {before} to {} bytes in {:.3} seconds",
                log.sizes().current,
                (clock::monotonic() - began).as_secs_f64()
            );
        }
        result
    }
}

/// Whether there was one. `Err` is a sentence for people.
fn load_snapshot(replayer: &mut Replayer<'_>, path: &Path) -> Result<bool, String> {
    let Some(contents) = contents(path)? else {
        return Ok(false);
    };
    replayer
        .rdb(path, &contents, false)
        .map(|_| true)
        .map_err(|error| format!("{} can't be loaded: {error}", path.display()))
}

fn write_base(engine: &Engine, log: &Log) -> Result<(), LogError> {
    let access = engine.keyspace.open(Footprint::ALL, clock::unix_millis());
    let mut writer = log.begin_rewrite()?;
    let mut failure = None;
    for library in engine.functions.libraries().iter() {
        let words: [&[u8]; 3] = [b"FUNCTION", b"LOAD", &library.code];
        failure = failure.or(writer.write_command(0, &words).err());
    }
    for db in 0..engine.keyspace.dbs() {
        access.db(db).for_each(|entry| {
            if failure.is_some() {
                return;
            }
            entry.rewrite(&mut |words| {
                if failure.is_none() {
                    failure = writer.write_command(db, words).err();
                }
            });
        });
    }
    match failure {
        Some(error) => Err(error),
        None => writer.finish(),
    }
}

/// Applies the commands of a log to the engine.
struct Replayer<'a> {
    engine: &'a Engine,
    loading: &'a LoadState,
    checksum: bool,
    executor: Executor,
    shell: ReplayShell,
    out: Vec<u8>,
}

/// The session that replayed commands run in: it has a db, and nothing is logged.
#[derive(Default)]
struct ReplayShell {
    db: u32,
    nowhere: (),
}

impl Replay for Replayer<'_> {
    fn command(&mut self, command: &ReplayedCommand<'_>) -> Result<(), String> {
        self.run(command)
    }

    fn rdb_base(&mut self, path: &Path, bytes: &[u8]) -> Result<u64, LoadError> {
        // The commands behind it may refer to keys whose time has come since.
        self.rdb(path, bytes, true)
    }

    fn progress(&mut self, replayed: u64, total: u64) {
        self.loading.replayed(replayed, total);
    }
}

impl<'a> Replayer<'a> {
    fn new(shared: &'a Shared) -> Self {
        Self {
            engine: &shared.engine,
            loading: &shared.loading,
            checksum: shared.config.rdb_checksum(),
            executor: Executor::new(0),
            shell: ReplayShell::default(),
            out: Vec::new(),
        }
    }

    /// Loads a snapshot: keys, then functions. Returns where it ends.
    fn rdb(&mut self, path: &Path, bytes: &[u8], keep_expired: bool) -> Result<u64, LoadError> {
        let options = LoadOptions {
            now: clock::unix_millis(),
            limits: self.engine.settings.value_limits(),
            keep_expired,
            checksum: self.checksum,
            replace: false,
        };
        let report = self.loading.load(self.engine, path, bytes, options)?;
        for code in &report.functions {
            let args: [&[u8]; 4] = [b"FUNCTION", b"LOAD", b"REPLACE", code];
            self.run(&ReplayedCommand { db: 0, args: &args })
                .map_err(|error| {
                    let path = path.display();
                    LoadError::Refused(format!("{path}: a library of functions: {error}"))
                })?;
        }
        Ok(report.end)
    }

    fn run(&mut self, replayed: &ReplayedCommand<'_>) -> Result<(), String> {
        if replayed.db >= self.engine.keyspace.dbs() {
            return Err(format!(
                "db {} is out of range: see 'databases'",
                replayed.db
            ));
        }
        self.shell.db = replayed.db;
        let request = OwnedRequest::from_args(replayed.args.iter().copied());
        let args = request.args();
        let command = match self.engine.registry.resolve(&args) {
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
            .map_err(|error| format!("'{}' was refused: {error}", command.full_name))
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
