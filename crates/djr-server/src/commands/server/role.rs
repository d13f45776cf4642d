//! ROLE

use djr_engine::spec::{CommandSpec, Flags, Group, Run};
use djr_engine::{Args, Reply};

use crate::commands::{Context, Result};

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "role",
    since: "2.8.12",
    group: Group::Server,
    summary: "Tells the part in replication: a master without replicas.",
    flags: Flags::FAST
        .with(Flags::LOADING)
        .with(Flags::NO_SCRIPT)
        .with(Flags::STALE),
    acl: &["admin", "dangerous"],
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

pub(super) fn run(context: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    let offset = context.core.shared.log().map_or(0, |log| log.end());
    reply.array(3);
    reply.bulk(b"master");
    reply.integer(offset as i64);
    reply.array(0);
    Ok(())
}
