//! MODULE LIST | HELP: there are none

use djr_engine::spec::{CommandSpec, Flags, Group, Run};
use djr_engine::{Args, Reply};

use crate::commands::{Context, Entry, Result, ServerRun, help};

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "module",
    since: "4.0.0",
    group: Group::Server,
    summary: "About modules: there are none.",
    subcommands: &[&HELP, &LIST],
    ..CommandSpec::DEFAULT
};

static HELP: CommandSpec = CommandSpec {
    name: "help",
    since: "5.0.0",
    group: Group::Server,
    summary: "Tells about the subcommands.",
    flags: Flags::LOADING.with(Flags::STALE),
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

static LIST: CommandSpec = CommandSpec {
    name: "list",
    since: "4.0.0",
    group: Group::Server,
    summary: "Tells which modules are loaded: none.",
    flags: Flags::ADMIN.with(Flags::NO_SCRIPT),
    tips: &["nondeterministic_output_order"],
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

pub(super) static RUNS: &[Entry] = &[
    (&HELP, ServerRun::Plain(run_help)),
    (&LIST, ServerRun::Plain(list)),
];

fn list(_: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    reply.array(0);
    Ok(())
}

fn run_help(_: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    help(reply, &SPEC);
    Ok(())
}
