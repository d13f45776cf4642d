//! COMMANDLOG GET | LEN | RESET | HELP

use djr_engine::spec::{Arg, CommandSpec, Flags, Group, Run};
use djr_engine::{Args, CommandError, Reply};

use super::slowlog::{parse_count, show};
use crate::commands::{Context, Entry, Result, ServerRun, help};
use crate::introspection::Kind;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "commandlog",
    since: "8.1.0",
    group: Group::Server,
    summary: "About the commands that were slow, or whose request or reply was large.",
    subcommands: &[&GET, &HELP, &LEN, &RESET],
    run: Run::Container,
    ..CommandSpec::DEFAULT
};

static GET: CommandSpec = CommandSpec {
    name: "get",
    since: "8.1.0",
    group: Group::Server,
    summary: "Tells the latest of a kind: id, time, microseconds or bytes, arguments, client.",
    complexity: "O(N) in the number of entries",
    syntax: &[
        Arg::integer("count"),
        Arg::one_of(
            "type",
            &[
                Arg::token("slow", "SLOW"),
                Arg::token("large-request", "LARGE-REQUEST"),
                Arg::token("large-reply", "LARGE-REPLY"),
            ],
        ),
    ],
    flags: Flags::ADMIN.with(Flags::LOADING).with(Flags::STALE),
    tips: &["request_policy:all_nodes", "nondeterministic_output"],
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

static HELP: CommandSpec = CommandSpec {
    name: "help",
    since: "8.1.0",
    group: Group::Server,
    summary: "Tells about the subcommands.",
    flags: Flags::LOADING.with(Flags::STALE),
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

static LEN: CommandSpec = CommandSpec {
    name: "len",
    since: "8.1.0",
    group: Group::Server,
    summary: "Tells how many of a kind are kept.",
    syntax: &[Arg::one_of(
        "type",
        &[
            Arg::token("slow", "SLOW"),
            Arg::token("large-request", "LARGE-REQUEST"),
            Arg::token("large-reply", "LARGE-REPLY"),
        ],
    )],
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
    since: "8.1.0",
    group: Group::Server,
    summary: "Forgets those of a kind.",
    complexity: "O(N) in the number of entries",
    syntax: &[Arg::one_of(
        "type",
        &[
            Arg::token("slow", "SLOW"),
            Arg::token("large-request", "LARGE-REQUEST"),
            Arg::token("large-reply", "LARGE-REPLY"),
        ],
    )],
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

fn get(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    let count = parse_count(args, 2)?;
    let kind = kind(args, 3)?;
    show(context, kind, count, reply);
    Ok(())
}

fn kind(args: &Args<'_>, index: usize) -> std::result::Result<Kind, CommandError> {
    for (name, kind) in [
        ("slow", Kind::Slow),
        ("large-request", Kind::LargeRequest),
        ("large-reply", Kind::LargeReply),
    ] {
        if args.is(index, name) {
            return Ok(kind);
        }
    }
    Err(CommandError::text(
        "ERR type should be one of the following: slow, large-request, large-reply",
    ))
}

fn len(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    let log = &context.core.shared.introspection.command_log;
    reply.integer(log.len(kind(args, 2)?) as i64);
    Ok(())
}

fn reset(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    let log = &context.core.shared.introspection.command_log;
    log.reset(kind(args, 2)?);
    reply.ok();
    Ok(())
}

fn run_help(_: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    help(reply, &SPEC);
    Ok(())
}
