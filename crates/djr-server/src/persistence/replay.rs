//! Applies the commands of a log to the engine.

use djr_engine::command::Command;
use djr_engine::registry::Resolved;
use djr_engine::{Args, CommandError, EffectLog, Engine, Executor, OwnedRequest, Reply, Shell};
use djr_protocol::RespVersion;
use djr_storage::aof::ReplayedCommand;

/// The time that replayed commands see: before every deadline, for what was alive when it was logged is alive now.
const REPLAY_NOW: i64 = 0;

/// Applies the commands of a log to the engine.
pub(super) struct Replayer<'a> {
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
    pub(super) fn new(engine: &'a Engine) -> Self {
        Self {
            engine,
            executor: Executor::new(0),
            shell: ReplayShell::default(),
            out: Vec::new(),
        }
    }

    pub(super) fn run(&mut self, replayed: &ReplayedCommand<'_>) -> Result<(), String> {
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
