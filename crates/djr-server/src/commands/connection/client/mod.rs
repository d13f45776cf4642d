//! CLIENT subcommand …

mod filter;
mod kill;
mod line;
mod list;
mod names;
mod pause;
mod switches;
mod tracking;
mod unblock;

pub(crate) use line::client_line;

use djr_engine::spec::{CommandSpec, Flags, Group, Run};
use djr_engine::{Args, Reply};

use crate::commands::{Context, Entry, Result, ServerRun, help};

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "client",
    since: "2.4.0",
    group: Group::Connection,
    summary: "About connections.",
    flags: Flags::NONE,
    subcommands: &[
        &tracking::CACHING,
        &switches::CAPA,
        &names::GETNAME,
        &tracking::GETREDIR,
        &HELP,
        &ID,
        &switches::IMPORT_SOURCE,
        &list::INFO,
        &kill::SPEC,
        &list::SPEC,
        &switches::NO_EVICT,
        &switches::NO_TOUCH,
        &pause::PAUSE,
        &switches::REPLY,
        &names::SETINFO,
        &names::SETNAME,
        &tracking::TRACKING,
        &tracking::TRACKINGINFO,
        &unblock::SPEC,
        &pause::UNPAUSE,
    ],
    ..CommandSpec::DEFAULT
};

static ID: CommandSpec = CommandSpec {
    name: "id",
    since: "5.0.0",
    group: Group::Connection,
    summary: "Tells this connection's number.",
    flags: Flags::ALLOW_BUSY
        .with(Flags::LOADING)
        .with(Flags::NO_SCRIPT)
        .with(Flags::STALE),
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

static HELP: CommandSpec = CommandSpec {
    name: "help",
    since: "5.0.0",
    group: Group::Connection,
    summary: "Tells about the subcommands.",
    flags: Flags::LOADING.with(Flags::STALE),
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

pub(super) static RUNS: &[Entry] = &[
    (&names::GETNAME, ServerRun::Plain(names::getname)),
    (&HELP, ServerRun::Plain(run_help)),
    (&ID, ServerRun::Plain(id)),
    (&list::INFO, ServerRun::Plain(list::info)),
    (&switches::CAPA, ServerRun::Plain(switches::capa)),
    (
        &switches::IMPORT_SOURCE,
        ServerRun::Plain(switches::import_source),
    ),
    (&kill::SPEC, ServerRun::Plain(kill::run)),
    (&list::SPEC, ServerRun::Plain(list::list)),
    (&switches::NO_EVICT, ServerRun::Plain(switches::no_evict)),
    (&switches::NO_TOUCH, ServerRun::Plain(switches::no_touch)),
    (&pause::PAUSE, ServerRun::Plain(pause::pause)),
    (&switches::REPLY, ServerRun::Plain(switches::reply)),
    (&names::SETINFO, ServerRun::Plain(names::setinfo)),
    (&names::SETNAME, ServerRun::Plain(names::setname)),
    (&tracking::CACHING, ServerRun::Plain(tracking::caching)),
    (&tracking::GETREDIR, ServerRun::Plain(tracking::getredir)),
    (&tracking::TRACKING, ServerRun::Plain(tracking::tracking)),
    (
        &tracking::TRACKINGINFO,
        ServerRun::Plain(tracking::trackinginfo),
    ),
    (&unblock::SPEC, ServerRun::Plain(unblock::run)),
    (&pause::UNPAUSE, ServerRun::Plain(pause::unpause)),
];

fn id(context: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    reply.integer(context.session.info.id as i64);
    Ok(())
}

fn run_help(_: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    help(reply, &SPEC);
    Ok(())
}
