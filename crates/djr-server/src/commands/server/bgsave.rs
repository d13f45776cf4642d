//! BGSAVE [SCHEDULE | CANCEL]

use std::sync::atomic::Ordering::Relaxed;

use djr_engine::spec::{Arg, CommandSpec, Flags, Group, Run};
use djr_engine::{Args, CommandError, Reply};

use crate::commands::{Context, Result};
use crate::snapshots::{Busy, Job, NotBegun};

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "bgsave",
    since: "1.0.0",
    group: Group::Server,
    summary: "Takes a snapshot of the data set and writes it in the background.",
    syntax: &[Arg::one_of(
        "operation",
        &[
            Arg::token("schedule", "SCHEDULE"),
            Arg::token("cancel", "CANCEL"),
        ],
    )
    .optional()],
    flags: Flags::ADMIN
        .with(Flags::NO_ASYNC_LOADING)
        .with(Flags::NO_SCRIPT),
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

pub(super) fn run(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    let shared = &context.core.shared;
    let snapshots = &shared.snapshots;
    let schedule = match args.len() {
        1 => false,
        2 if args.is(1, "schedule") => true,
        2 if args.is(1, "cancel") => {
            reply.simple(snapshots.cancel_save()?);
            return Ok(());
        }
        _ => return Err(CommandError::Syntax),
    };
    if is_in_transaction(context) {
        if snapshots.state().running(Job::Save).is_some() {
            return Err(already());
        }
        snapshots.schedule_save();
        reply.simple("Background saving scheduled");
        return Ok(());
    }
    match snapshots.begin_save(shared) {
        Ok(()) => reply.simple("Background saving started"),
        Err(NotBegun::Busy(Busy(Job::Save))) => return Err(already()),
        Err(NotBegun::Busy(Busy(Job::Rewrite))) if schedule => {
            snapshots.schedule_save();
            reply.simple("Background saving scheduled");
        }
        Err(NotBegun::Busy(Busy(Job::Rewrite))) => {
            return Err(CommandError::text(
                "ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE SCHEDULE in order to schedule a BGSAVE whenever possible.",
            ));
        }
        Err(NotBegun::Failed) => return Err(CommandError::text("ERR")),
    }
    Ok(())
}

fn already() -> CommandError {
    CommandError::text("ERR Background save already in progress")
}

/// Inside EXEC the keyspace is open, and a snapshot would have half of a transaction.
pub(super) fn is_in_transaction(context: &Context<'_>) -> bool {
    context.session.info.multi.load(Relaxed) >= 0
}
