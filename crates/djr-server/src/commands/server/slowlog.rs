//! SLOWLOG GET | LEN | RESET | HELP

use djr_engine::spec::{Arg, CommandSpec, Flags, Group, Run};
use djr_engine::{Args, CommandError, Reply};

use crate::commands::{Context, Entry, Result, ServerRun, help};
use crate::introspection::Kind;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "slowlog",
    since: "2.2.12",
    group: Group::Server,
    summary: "About the commands that were slow.",
    subcommands: &[&GET, &HELP, &LEN, &RESET],
    run: Run::Container,
    ..CommandSpec::DEFAULT
};

static GET: CommandSpec = CommandSpec {
    name: "get",
    since: "2.2.12",
    group: Group::Server,
    summary: "Tells the latest slow commands: id, time, microseconds, arguments, client.",
    complexity: "O(N) in the number of entries",
    syntax: &[Arg::integer("count").optional()],
    flags: Flags::ADMIN.with(Flags::LOADING).with(Flags::STALE),
    tips: &["request_policy:all_nodes", "nondeterministic_output"],
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

static HELP: CommandSpec = CommandSpec {
    name: "help",
    since: "6.2.0",
    group: Group::Server,
    summary: "Tells about the subcommands.",
    flags: Flags::LOADING.with(Flags::STALE),
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

static LEN: CommandSpec = CommandSpec {
    name: "len",
    since: "2.2.12",
    group: Group::Server,
    summary: "Tells how many slow commands are kept.",
    flags: Flags::ADMIN.with(Flags::LOADING).with(Flags::STALE),
    tips: &[
        "request_policy:all_nodes",
        "response_policy:agg_sum",
        "nondeterministic_output",
    ],
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

static RESET: CommandSpec = CommandSpec {
    name: "reset",
    since: "2.2.12",
    group: Group::Server,
    summary: "Forgets the slow commands.",
    complexity: "O(N) in the number of entries",
    flags: Flags::ADMIN.with(Flags::LOADING).with(Flags::STALE),
    tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

pub(super) static RUNS: &[Entry] = &[
    (&GET, ServerRun::Plain(get)),
    (&HELP, ServerRun::Plain(run_help)),
    (&LEN, ServerRun::Plain(len)),
    (&RESET, ServerRun::Plain(reset)),
];

/// Entries that are shown unless asked otherwise.
const COUNT: usize = 10;

fn get(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    let count = match args.len() {
        2 => COUNT,
        3 => parse_count(args, 2)?,
        _ => {
            return Err(CommandError::text(
                "ERR unknown subcommand or wrong number of arguments for 'GET'. Try SLOWLOG HELP.",
            ));
        }
    };
    show(context, Kind::Slow, count, reply);
    Ok(())
}

/// How many entries are wanted; -1 for all.
pub(super) fn parse_count(
    args: &Args<'_>,
    index: usize,
) -> std::result::Result<usize, CommandError> {
    match args.integer(index) {
        Ok(-1) => Ok(usize::MAX),
        Ok(count) if count >= 0 => Ok(usize::try_from(count).unwrap_or(usize::MAX)),
        _ => Err(CommandError::text(
            "ERR count should be greater than or equal to -1",
        )),
    }
}

/// The latest entries of a kind.
pub(super) fn show(context: &Context<'_>, kind: Kind, count: usize, reply: &mut Reply<'_>) {
    let log = &context.core.shared.introspection.command_log;
    let entries = log.latest(kind, count);
    reply.array(entries.len());
    for entry in entries {
        reply.array(6);
        reply.integer(entry.id as i64);
        reply.integer(entry.at);
        reply.integer(entry.value as i64);
        reply.array(entry.args.len());
        entry.args.iter().for_each(|arg| reply.bulk(arg));
        reply.bulk(entry.peer.as_bytes());
        reply.bulk(entry.name.as_bytes());
    }
}

fn len(context: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    let log = &context.core.shared.introspection.command_log;
    reply.integer(log.len(Kind::Slow) as i64);
    Ok(())
}

fn reset(context: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    let log = &context.core.shared.introspection.command_log;
    log.reset(Kind::Slow);
    reply.ok();
    Ok(())
}

fn run_help(_: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    help(reply, &SPEC);
    Ok(())
}
