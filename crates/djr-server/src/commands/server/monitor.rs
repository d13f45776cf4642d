//! MONITOR

use std::sync::atomic::Ordering::Relaxed;

use djr_engine::spec::{CommandSpec, Flags, Group, Run};
use djr_engine::{Args, CommandError, Reply};

use crate::commands::{Context, Result};

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "monitor",
    since: "1.0.0",
    group: Group::Server,
    summary: "Shows every command that the server runs from now on.",
    flags: Flags::ADMIN
        .with(Flags::LOADING)
        .with(Flags::NO_SCRIPT)
        .with(Flags::STALE),
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

pub(super) fn run(context: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    if context.session.multi.is_some() || context.session.info.multi.load(Relaxed) >= 0 {
        // What is shown would come among the replies of the transaction.
        return Err(CommandError::text(
            "ERR MONITOR isn't allowed for DENY BLOCKING client",
        ));
    }
    context.core.monitor(context.session);
    reply.ok();
    Ok(())
}
