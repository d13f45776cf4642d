//! ECHO message

use djr_engine::spec::{Arg, CommandSpec, Flags, Group, Run};
use djr_engine::{Args, Reply};

use crate::commands::{Context, Result};

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "echo",
    since: "1.0.0",
    group: Group::Connection,
    summary: "Answers the message.",
    syntax: &[Arg::string("message")],
    flags: Flags::FAST.with(Flags::LOADING).with(Flags::STALE),
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

pub(super) fn run(_: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    reply.bulk(args.get(1));
    Ok(())
}
