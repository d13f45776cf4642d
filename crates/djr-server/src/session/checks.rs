//! What is looked at before a command runs: who asks, in what state the session is, in what state the server.

use djr_engine::command::Command;
use djr_engine::spec::Flags;
use djr_engine::{Args, CommandError, Engine, Executor};

use super::Session;
use super::permissions::check_user;
use crate::acl::Origin;
use crate::shared::{Gate, Shared};
use crate::worker::Core;

/// A command that may run, or why not and (if it exists) which it was.
pub(super) fn check(
    core: &mut Core,
    executor: &mut Executor,
    session: &Session,
    engine: &Engine,
    command: Option<&'static Command>,
    args: &Args<'_>,
) -> Result<&'static Command, (Option<&'static Command>, CommandError)> {
    let Some(command) = command else {
        return Err((None, engine.unknown_command(args)));
    };
    let refused = |error| Err((Some(command), error));
    if !command.accepts(args.len()) {
        return refused(CommandError::Arity(command.full_name.clone()));
    }
    // CONFIG SET may have taken the password away since.
    if !session.identity.is_authenticated()
        && !command.flags.has(Flags::NO_AUTH)
        && core.shared.acl.needs_password()
    {
        return refused(CommandError::text("NOAUTH Authentication required."));
    }
    // MULTI and WATCH say themselves what is wrong, and the transaction goes on.
    let speaks_for_itself = matches!(command.spec.name, "multi" | "watch");
    if session.multi.is_some() && command.flags.has(Flags::NO_MULTI) && !speaks_for_itself {
        return refused(CommandError::text(
            "ERR Command not allowed inside a transaction",
        ));
    }
    let origin = match session.multi {
        Some(_) => Origin::Multi,
        None => Origin::TopLevel,
    };
    if let Err(denied) = check_user(core, session, command, args, origin) {
        return refused(denied.error(session.identity.user(), command));
    }
    core.check_room(executor, session, command, args)
        .map_err(|error| (Some(command), error))?;
    check_log(core, command).map_err(|error| (Some(command), error))?;
    if session.is_restricted() && !is_allowed_to_subscribers(command) {
        return refused(CommandError::format(format!(
            "ERR Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context",
            command.full_name
        )));
    }
    check_activity(core, command).map_err(|error| (Some(command), error))?;
    if session.is_monitor && (command.may_replicate() || command.flags.has(Flags::READONLY)) {
        // To Redis it is a kind of replica.
        return refused(CommandError::text(
            "ERR Replica can't interact with the keyspace",
        ));
    }
    Ok(command)
}

/// What a RESP2 client may send while it waits for messages.
fn is_allowed_to_subscribers(command: &Command) -> bool {
    matches!(
        command.spec.name,
        "ping"
            | "quit"
            | "reset"
            | "subscribe"
            | "unsubscribe"
            | "psubscribe"
            | "punsubscribe"
            | "ssubscribe"
            | "sunsubscribe"
    )
}

/// Whether the state of the server lets a command run.
pub(crate) fn check_state(core: &Core, command: &Command) -> Result<(), CommandError> {
    check_log(core, command)?;
    check_activity(core, command)
}

fn check_log(core: &Core, command: &Command) -> Result<(), CommandError> {
    let stops = Gate::MISCONF | Gate::SAVE_FAILED;
    if core.gate & stops != 0 && command.flags.has(Flags::WRITE) {
        return core.shared.check_writes();
    }
    if core.gate & Gate::SAVE_FAILED != 0 && command.spec.name == "ping" {
        return Err(crate::snapshots::misconf());
    }
    Ok(())
}

impl Shared {
    /// Whether data may be changed: not while what is written cannot be made to last.
    pub(super) fn check_writes(&self) -> Result<(), CommandError> {
        let gate = self.gate.bits();
        if gate & Gate::MISCONF != 0 {
            return Err(self.persistence.misconf());
        }
        if gate & Gate::SAVE_FAILED != 0 {
            return Err(crate::snapshots::misconf());
        }
        Ok(())
    }
}

fn check_activity(core: &Core, command: &Command) -> Result<(), CommandError> {
    let gate = core.gate;
    if gate & Gate::LOADING != 0 && !command.flags.has(Flags::LOADING) {
        return Err(CommandError::text(
            "LOADING Redis is loading the dataset in memory",
        ));
    }
    if gate & Gate::BUSY != 0 && !command.flags.has(Flags::ALLOW_BUSY) {
        return Err(core.shared.engine.scripts.running().busy_error());
    }
    Ok(())
}
