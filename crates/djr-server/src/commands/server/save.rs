//! SAVE

use djr_engine::spec::{CommandSpec, Flags, Group, Run};
use djr_engine::{Args, CommandError, Executor, Reply};

use crate::commands::{Context, Result};
use crate::snapshots::{Busy, Job, NotBegun};

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "save",
    since: "1.0.0",
    group: Group::Server,
    summary: "Writes a snapshot of the data set, and waits for it.",
    flags: Flags::ADMIN
        .with(Flags::NO_ASYNC_LOADING)
        .with(Flags::NO_MULTI)
        .with(Flags::NO_SCRIPT),
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

pub(super) fn run(
    context: &mut Context<'_>,
    _: &mut Executor,
    _: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result {
    let shared = context.core.shared.clone();
    match shared.snapshots.save_now(&shared) {
        Ok(()) => reply.ok(),
        Err(NotBegun::Busy(Busy(Job::Save))) => {
            return Err(CommandError::text(
                "ERR Background save already in progress",
            ));
        }
        // As Redis says it: why is in the log.
        Err(_) => return Err(CommandError::text("ERR")),
    }
    Ok(())
}
