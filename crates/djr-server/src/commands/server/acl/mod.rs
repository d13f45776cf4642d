//! ACL subcommand …

mod dryrun;
mod files;
mod genpass;
mod getuser;
mod log;
mod names;
mod setuser;

use djr_engine::spec::{CommandSpec, Flags, Group, Run};
use djr_engine::{Args, Reply};

use crate::commands::{Context, Entry, Result, ServerRun, help};

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "acl",
    since: "6.0.0",
    group: Group::Server,
    summary: "About users and what they may do.",
    subcommands: &[
        &names::CAT,
        &setuser::DELUSER,
        &dryrun::SPEC,
        &genpass::SPEC,
        &getuser::SPEC,
        &HELP,
        &names::LIST,
        &files::LOAD,
        &log::SPEC,
        &files::SAVE,
        &setuser::SETUSER,
        &names::USERS,
        &names::WHOAMI,
    ],
    ..CommandSpec::DEFAULT
};

/// Of the subcommands for everyone.
const FLAGS: Flags = Flags::LOADING.with(Flags::STALE).with(Flags::NO_SCRIPT);
/// Of the subcommands for administrators.
const ADMIN: Flags = FLAGS.with(Flags::ADMIN);
const ON_ALL_NODES: &[&str] = &["request_policy:all_nodes", "response_policy:all_succeeded"];

static HELP: CommandSpec = CommandSpec {
    name: "help",
    since: "6.0.0",
    group: Group::Server,
    summary: "Tells about the subcommands.",
    flags: Flags::LOADING.with(Flags::STALE),
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

pub(super) static RUNS: &[Entry] = &[
    (&names::CAT, ServerRun::Plain(names::cat)),
    (&setuser::DELUSER, ServerRun::Plain(setuser::deluser)),
    (&dryrun::SPEC, ServerRun::Plain(dryrun::run)),
    (&genpass::SPEC, ServerRun::Plain(genpass::run)),
    (&getuser::SPEC, ServerRun::Plain(getuser::run)),
    (&HELP, ServerRun::Plain(run_help)),
    (&names::LIST, ServerRun::Plain(names::list)),
    (&files::LOAD, ServerRun::Plain(files::load)),
    (&log::SPEC, ServerRun::Plain(log::run)),
    (&files::SAVE, ServerRun::Plain(files::save)),
    (&setuser::SETUSER, ServerRun::Plain(setuser::setuser)),
    (&names::USERS, ServerRun::Plain(names::users)),
    (&names::WHOAMI, ServerRun::Plain(names::whoami)),
];

fn run_help(_: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    help(reply, &SPEC);
    Ok(())
}
