//! The data set's way back from disk: recovery at the start. And the log's thread.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use djr_engine::command::Command;
use djr_engine::registry::Resolved;
use djr_engine::{Args, CommandError, EffectLog, Engine, Executor, OwnedRequest, Reply, Shell};
use djr_protocol::RespVersion;
use djr_storage::aof::{
    AofConfig, Log, OnDurable, RecoveryMode, RecoveryReport, ReplayedCommand, recover,
};
use djr_storage::disk::{Disk, OsDisk};

use crate::shared::{Gate, Shared};

/// The log and what goes on around it.
#[derive(Default)]
pub(crate) struct Persistence {
    log: OnceLock<Arc<Log>>,
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
        engine: &Engine,
        config: AofConfig,
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
        let mut replayer = Replayer::new(engine);
        let recovered = recover(
            &disk,
            &config,
            mode,
            truncate_ok,
            &mut |command: &ReplayedCommand<'_>| replayer.run(command),
        )
        .map_err(|error| error.to_string())?;
        let log = Log::open(disk, config, recovered.state, on_durable)
            .map_err(|error| error.to_string())?;
        // Nobody else opens one.
        let _ = self.log.set(Arc::new(log));
        Ok(recovered.report)
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

    /// The log's thread: makes durable. Returns when the log is stopped.
    pub(crate) fn run(&self, shared: &Shared) {
        let Some(log) = self.log() else { return };
        while log.wait_for_work(Duration::from_secs(1)) {
            if log.sync().is_err() {
                self.failed(shared);
            }
        }
    }
}

/// Applies the commands of a log to the engine.
struct Replayer<'a> {
    engine: &'a Engine,
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

impl<'a> Replayer<'a> {
    fn new(engine: &'a Engine) -> Self {
        Self {
            engine,
            executor: Executor::new(0),
            shell: ReplayShell::default(),
            out: Vec::new(),
        }
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
