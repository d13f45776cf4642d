//! COMMAND and its subcommands: what a client can learn about commands.

mod docs;
mod getkeys;
mod info;
mod list;

use djr_engine::spec::{CommandSpec, Flags, Group, Run};
use djr_engine::{Args, Reply};

use crate::commands::{Context, Entry, Result, ServerRun, help};

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "command",
    since: "2.8.13",
    group: Group::Server,
    summary: "Tells about all commands.",
    flags: Flags::LOADING.with(Flags::STALE),
    acl: &["connection"],
    tips: &["nondeterministic_output_order"],
    ignores_more: true,
    run: Run::Shell,
    subcommands: &[
        &COUNT,
        &docs::SPEC,
        &getkeys::GETKEYS,
        &getkeys::GETKEYSANDFLAGS,
        &HELP,
        &info::SPEC,
        &list::SPEC,
    ],
    ..CommandSpec::DEFAULT
};

static COUNT: CommandSpec = CommandSpec {
    name: "count",
    since: "2.8.13",
    group: Group::Server,
    summary: "Tells how many commands there are.",
    flags: Flags::LOADING.with(Flags::STALE),
    acl: &["connection"],
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

static HELP: CommandSpec = CommandSpec {
    name: "help",
    since: "5.0.0",
    group: Group::Server,
    summary: "Tells about the subcommands.",
    flags: Flags::LOADING.with(Flags::STALE),
    acl: &["connection"],
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

pub(super) static RUNS: &[Entry] = &[
    (&SPEC, ServerRun::Plain(info::all)),
    (&COUNT, ServerRun::Plain(count)),
    (&docs::SPEC, ServerRun::Plain(docs::run)),
    (&getkeys::GETKEYS, ServerRun::Plain(getkeys::getkeys)),
    (
        &getkeys::GETKEYSANDFLAGS,
        ServerRun::Plain(getkeys::getkeysandflags),
    ),
    (&HELP, ServerRun::Plain(run_help)),
    (&info::SPEC, ServerRun::Plain(info::some)),
    (&list::SPEC, ServerRun::Plain(list::run)),
];

fn count(context: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    reply.integer(context.core.shared.engine.registry.callable().count() as i64);
    Ok(())
}

fn run_help(_: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    help(reply, &SPEC);
    Ok(())
}
