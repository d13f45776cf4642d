//! QUIT

use djr_engine::spec::{CommandSpec, Flags, Group, Run};
use djr_engine::{Args, Reply};

use crate::commands::{Context, Result};

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "quit",
    since: "1.0.0",
    group: Group::Connection,
    summary: "Ends the connection once the replies are out.",
    ignores_more: true,
    flags: Flags::ALLOW_BUSY
        .with(Flags::FAST)
        .with(Flags::LOADING)
        .with(Flags::NO_AUTH)
        .with(Flags::NO_SCRIPT)
        .with(Flags::STALE),
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

pub(super) fn run(context: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    context.session.close = true;
    reply.ok();
    Ok(())
}
