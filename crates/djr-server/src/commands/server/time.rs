//! TIME

use djr_engine::spec::{CommandSpec, Flags, Group, Run};
use djr_engine::{Args, Reply};

use crate::clock;
use crate::commands::{Context, Result};

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "time",
    since: "2.6.0",
    group: Group::Server,
    summary: "Tells the time of the server.",
    flags: Flags::FAST.with(Flags::LOADING).with(Flags::STALE),
    tips: &["nondeterministic_output"],
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

pub(super) fn run(_: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    let micros = clock::unix_micros() as i64;
    reply.array(2);
    reply.bulk_integer(micros / 1_000_000);
    reply.bulk_integer(micros % 1_000_000);
    Ok(())
}
