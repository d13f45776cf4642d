//! LASTSAVE

use djr_engine::spec::{CommandSpec, Flags, Group, Run};
use djr_engine::{Args, Reply};

use crate::commands::{Context, Result};

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "lastsave",
    since: "1.0.0",
    group: Group::Server,
    summary: "Tells when the data set was last saved.",
    flags: Flags::FAST.with(Flags::LOADING).with(Flags::STALE),
    acl: &["admin", "dangerous"],
    tips: &["nondeterministic_output"],
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

pub(super) fn run(context: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    reply.integer(context.core.shared.snapshots.state().last_save_ms / 1000);
    Ok(())
}
