//! What the engine asks of the session that a command came from.

use std::sync::Arc;

use djr_storage::keyspace::Invalidation;

use crate::blocking::{ClientAddress, Served, Waiter};
use crate::command::Command;
use crate::effect::EffectLog;
use crate::notify::Event;
use crate::script::ScriptFlags;
use crate::{Args, CommandError, Reply};

/// The session around the engine: it runs the commands that concern itself or the server, keeps the
/// selected db, and decides what is permitted. Implemented by the server, and by the test kit.
pub trait Shell {
    /// The number of the selected db.
    fn db(&self) -> u32;

    /// Selects a db (`SELECT` inside a script; its end selects the former one again).
    fn select(&mut self, db: u32);

    /// Runs a command declared [`Run::Shell`](crate::spec::Run::Shell). Called for those inside transactions and scripts
    /// while the keyspace is open: it must not open any part of it.
    fn run(
        &mut self,
        command: &'static Command,
        args: &Args<'_>,
        reply: &mut Reply<'_>,
    ) -> Result<(), CommandError>;

    /// Whether a command inside a script or transaction may run now: access rights, memory, a log that takes no writes.
    fn permit(&mut self, command: &'static Command, args: &Args<'_>) -> Result<(), CommandError>;

    /// Whose session it is, if its client can wait. Without it, a blocking command that finds nothing says so at once.
    fn address(&self) -> Option<ClientAddress> {
        None
    }

    /// The command that runs has found nothing: the client waits, and hears no more of it until the wait has ended. Called while
    /// its keys are open.
    fn parked(&mut self, _waiter: Arc<Waiter>) {}

    /// A wait has ended, here, of a client here or of another worker: takes the reply to it.
    fn served(&mut self, _served: Served) {}

    /// Where effects go.
    fn log(&mut self) -> &mut dyn EffectLog;

    /// Whether a script that begins with such flags may run now: memory, the state of a replica.
    fn permit_script(&mut self, _flags: &ScriptFlags) -> Result<(), CommandError> {
        Ok(())
    }

    /// The same for a command that a script calls.
    fn permit_call(
        &mut self,
        command: &'static Command,
        args: &Args<'_>,
    ) -> Result<(), CommandError> {
        self.permit(command, args)
    }

    /// Whether a client that has waited may still run its command, which is about to be served.
    fn permit_waiter(&mut self, _waiter: &Waiter) -> Result<(), CommandError> {
        Ok(())
    }

    /// Whether the session's user may run a command with these arguments (`redis.acl_check_cmd`).
    fn may_run(&mut self, _command: &'static Command, _args: &Args<'_>) -> bool {
        true
    }

    /// Milliseconds of a clock that never goes back, for `busy-reply-threshold`.
    fn clock_ms(&mut self) -> u64 {
        0
    }

    /// Called now and then (less than a millisecond apart) while a script runs past `busy-reply-threshold`: serves the other
    /// clients as far as that is possible without the keyspace (`BUSY`, `SCRIPT KILL`), and says whether to go on.
    fn script_is_busy(&mut self) -> ScriptFate {
        ScriptFate::Continue
    }

    /// Something has changed that clients may have in caches of their own. Called while the keys are open.
    fn invalidate(&mut self, _invalidation: Invalidation) {}

    /// A command of a script or a transaction begins. What it returns comes back as [`Ran::since`]: a time, for those who measure.
    fn begins(&mut self, _command: &'static Command, _args: &Args<'_>, _inside: Inside) -> u64 {
        0
    }

    /// A command of a script or a transaction has run, for statistics and those who watch.
    fn ran(&mut self, _ran: &Ran<'_>) {}

    /// Takes a keyspace event that the setting wants. Called after the locks of its command, transaction or script are released,
    /// once for each event, in their order. See [`Settings::notify`](crate::settings::Settings::notify) for the channels.
    fn notify(&mut self, _event: Event<'_>) {}

    /// Writes a line of a script (`redis.log`) to the server's log. Levels as in Redis: 0 debug, 1 verbose, 2 notice, 3 warning.
    fn script_log(&mut self, _level: u8, _line: &[u8]) {}
}

/// What a command is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inside {
    /// It was queued between MULTI and EXEC.
    Transaction,
    /// A script or a function has called it.
    Script,
}

/// A command of a script or a transaction that has run, or was refused.
#[derive(Debug)]
pub struct Ran<'a> {
    /// The command.
    pub command: &'static Command,
    /// Its arguments, the name included.
    pub args: &'a Args<'a>,
    /// What it is part of.
    pub inside: Inside,
    /// What [`Shell::begins`] said.
    pub since: u64,
    /// What it answered, if that is an error.
    pub error: Option<&'a CommandError>,
    /// Whether it was refused before it ran.
    pub refused: bool,
    /// Whether its error is that of a command inside of it, which was told of already.
    pub error_told: bool,
}

/// Whether a busy script goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScriptFate {
    /// It does.
    Continue,
    /// It ends with an error, whatever it has written: for a server that is shutting down.
    Kill,
}
