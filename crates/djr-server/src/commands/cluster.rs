//! CLUSTER, READONLY, READWRITE, ASKING: answered as by a server that is not in cluster mode

use djr_engine::spec::{CommandSpec, Flags, Group, Run};
use djr_engine::{Args, CommandError, Reply};

use super::{Context, Entry, Result, ServerRun};

static ASKING: CommandSpec = CommandSpec {
    name: "asking",
    since: "3.0.0",
    group: Group::Cluster,
    summary: "In cluster mode: lets the next command through to a slot that is being moved here.",
    acl: &["connection"],
    flags: Flags::FAST,
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

static CLUSTER: CommandSpec = CommandSpec {
    name: "cluster",
    summary: "In cluster mode: about the cluster.",
    complexity: "O(1)",
    acl: &[],
    flags: Flags::NONE,
    ignores_more: true,
    syntax: &[djr_engine::spec::Arg::string("subcommand")],
    ..ASKING
};

static READONLY: CommandSpec = CommandSpec {
    name: "readonly",
    summary: "In cluster mode: lets this connection read from a replica.",
    flags: Flags::FAST.with(Flags::LOADING).with(Flags::STALE),
    ..ASKING
};

static READWRITE: CommandSpec = CommandSpec {
    name: "readwrite",
    summary: "In cluster mode: ends what READONLY began.",
    ..READONLY
};

pub(super) static COMMANDS: &[&CommandSpec] = &[&ASKING, &CLUSTER, &READONLY, &READWRITE];

pub(super) static RUNS: &[&[Entry]] = &[&[
    (&ASKING, ServerRun::Plain(disabled)),
    (&CLUSTER, ServerRun::Plain(disabled)),
    (&READONLY, ServerRun::Plain(disabled)),
    (&READWRITE, ServerRun::Plain(disabled)),
]];

fn disabled(_: &mut Context<'_>, _: &Args<'_>, _: &mut Reply<'_>) -> Result {
    Err(CommandError::text(
        "ERR This instance has cluster support disabled",
    ))
}
