//! RESET

use djr_engine::spec::{CommandSpec, Flags, Group, Run};
use djr_engine::{Args, Reply};
use djr_protocol::RespVersion;

use crate::commands::{Context, Result};

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "reset",
    since: "6.2.0",
    group: Group::Connection,
    summary: "Makes the connection as it was when it was new.",
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
    crate::commands::reset_watches(context);
    context.core.unsubscribe_all(context.session);
    context.core.untrack(context.session);
    context.core.unmonitor(context.session);
    context.session.reset(&context.core.shared.acl);
    reply.set_version(RespVersion::V2);
    reply.simple("RESET");
    Ok(())
}
