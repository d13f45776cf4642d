//! BGREWRITEAOF

use djr_engine::spec::{CommandSpec, Flags, Group, Run};
use djr_engine::{Args, CommandError, Reply};

use super::bgsave::is_in_transaction;
use crate::commands::{Context, Result};
use crate::snapshots::{Busy, Job, NotBegun};

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "bgrewriteaof",
    since: "1.0.0",
    group: Group::Server,
    summary: "Writes the append-only log anew in the background, as short as can be.",
    flags: Flags::ADMIN
        .with(Flags::NO_ASYNC_LOADING)
        .with(Flags::NO_SCRIPT),
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

pub(super) fn run(context: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    let shared = &context.core.shared;
    let snapshots = &shared.snapshots;
    if snapshots.state().running(Job::Rewrite).is_some() {
        return Err(already());
    }
    let begun = if is_in_transaction(context) {
        Err(NotBegun::Busy(Busy(Job::Save)))
    } else {
        snapshots.begin_rewrite(shared)
    };
    match begun {
        Ok(()) => reply.simple("Background append only file rewriting started"),
        Err(NotBegun::Busy(Busy(Job::Rewrite))) => return Err(already()),
        Err(NotBegun::Busy(Busy(Job::Save))) => {
            snapshots.schedule_rewrite();
            reply.simple("Background append only file rewriting scheduled");
        }
        Err(NotBegun::Failed) => {
            return Err(CommandError::text(
                "ERR Can't execute an AOF background rewriting. Please check the server logs for more information.",
            ));
        }
    }
    Ok(())
}

fn already() -> CommandError {
    CommandError::text("ERR Background append only file rewriting already in progress")
}
