//! LATENCY DOCTOR | GRAPH | HISTOGRAM | HISTORY | LATEST | RESET | HELP

mod doctor;
mod sparkline;

use djr_engine::command::Command;
use djr_engine::spec::{Arg, CommandSpec, Flags, Group, Run};
use djr_engine::{Args, CommandError, Reply};

use crate::commands::{Context, Entry, Result, ServerRun, help};

use doctor::advice;
use sparkline::sparkline;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "latency",
    since: "2.8.13",
    group: Group::Server,
    summary: "About what takes long.",
    subcommands: &[
        &DOCTOR, &GRAPH, &HELP, &HISTOGRAM, &HISTORY, &LATEST, &RESET,
    ],
    run: Run::Container,
    ..CommandSpec::DEFAULT
};

static DOCTOR: CommandSpec = CommandSpec {
    name: "doctor",
    since: "2.8.13",
    group: Group::Server,
    summary: "Tells in words what took long, and what can be done.",
    flags: Flags::ADMIN
        .with(Flags::LOADING)
        .with(Flags::NO_SCRIPT)
        .with(Flags::STALE),
    tips: &[
        "nondeterministic_output",
        "request_policy:all_nodes",
        "response_policy:special",
    ],
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

static GRAPH: CommandSpec = CommandSpec {
    name: "graph",
    since: "2.8.13",
    group: Group::Server,
    summary: "Draws the latest times of an event.",
    syntax: &[Arg::string("event")],
    flags: Flags::ADMIN
        .with(Flags::LOADING)
        .with(Flags::NO_SCRIPT)
        .with(Flags::STALE),
    tips: &[
        "nondeterministic_output",
        "request_policy:all_nodes",
        "response_policy:special",
    ],
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

static HELP: CommandSpec = CommandSpec {
    name: "help",
    since: "2.8.13",
    group: Group::Server,
    summary: "Tells about the subcommands.",
    flags: Flags::LOADING.with(Flags::STALE),
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

static HISTOGRAM: CommandSpec = CommandSpec {
    name: "histogram",
    since: "7.0.0",
    group: Group::Server,
    summary: "Tells how long commands take: how many took at most so many microseconds.",
    complexity: "O(N) with N commands",
    syntax: &[Arg::string("command").multiple().optional()],
    flags: Flags::ADMIN
        .with(Flags::LOADING)
        .with(Flags::NO_SCRIPT)
        .with(Flags::STALE),
    tips: &[
        "nondeterministic_output",
        "request_policy:all_nodes",
        "response_policy:special",
    ],
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

static HISTORY: CommandSpec = CommandSpec {
    name: "history",
    since: "2.8.13",
    group: Group::Server,
    summary: "Tells the latest times of an event.",
    syntax: &[Arg::string("event")],
    flags: Flags::ADMIN
        .with(Flags::LOADING)
        .with(Flags::NO_SCRIPT)
        .with(Flags::STALE),
    tips: &[
        "nondeterministic_output",
        "request_policy:all_nodes",
        "response_policy:special",
    ],
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

static LATEST: CommandSpec = CommandSpec {
    name: "latest",
    since: "2.8.13",
    group: Group::Server,
    summary: "Tells of each event when it was last slow, how long, and the longest ever.",
    flags: Flags::ADMIN
        .with(Flags::LOADING)
        .with(Flags::NO_SCRIPT)
        .with(Flags::STALE),
    tips: &[
        "nondeterministic_output",
        "request_policy:all_nodes",
        "response_policy:special",
    ],
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

static RESET: CommandSpec = CommandSpec {
    name: "reset",
    since: "2.8.13",
    group: Group::Server,
    summary: "Forgets the times of some events, or of all.",
    syntax: &[Arg::string("event").multiple().optional()],
    flags: Flags::ADMIN
        .with(Flags::LOADING)
        .with(Flags::NO_SCRIPT)
        .with(Flags::STALE),
    tips: &["request_policy:all_nodes", "response_policy:agg_sum"],
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

pub(super) static RUNS: &[Entry] = &[
    (&DOCTOR, ServerRun::Plain(doctor)),
    (&GRAPH, ServerRun::Plain(graph)),
    (&HELP, ServerRun::Plain(run_help)),
    (&HISTOGRAM, ServerRun::Plain(histogram)),
    (&HISTORY, ServerRun::Plain(history)),
    (&LATEST, ServerRun::Plain(latest)),
    (&RESET, ServerRun::Plain(reset)),
];

/// What a graph is wide and high.
const GRAPH_SIZE: (usize, usize) = (80, 4);

fn doctor(context: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    reply.verbatim("txt", advice(context).as_bytes());
    Ok(())
}

fn graph(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    let name = args.get(2);
    let series = context.core.shared.introspection.latency.get(name);
    let Some(series) = series else {
        return Err(CommandError::format(format!(
            "ERR No samples available for event '{}'",
            String::from_utf8_lossy(name)
        )));
    };
    let now = context.core.now / 1000;
    let samples: Vec<_> = series
        .history
        .iter()
        .map(|(at, millis)| (*millis, age(now - at)))
        .collect();
    let max = samples.iter().map(|(millis, _)| *millis).max().unwrap_or(0);
    let mut text = format!(
        "{} - high {max} ms, low {} ms (all time high {} ms)\n",
        String::from_utf8_lossy(name),
        series.min_ms(),
        series.max_ms
    );
    text.push_str(&"-".repeat(GRAPH_SIZE.0));
    text.push('\n');
    text.push_str(&sparkline(&samples, GRAPH_SIZE));
    reply.verbatim("txt", text.as_bytes());
    Ok(())
}

/// How long ago something was, as short as can be.
fn age(seconds: i64) -> String {
    match seconds.max(0) {
        seconds @ 0..60 => format!("{seconds}s"),
        seconds @ 60..3600 => format!("{}m", seconds / 60),
        seconds @ 3600..86_400 => format!("{}h", seconds / 3600),
        seconds => format!("{}d", seconds / 86_400),
    }
}

fn histogram(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    let shared = &context.core.shared;
    let registry = shared.engine.registry;
    let with_subcommands =
        |command: &'static Command| std::iter::once(command).chain(&command.subcommands);
    let commands: Vec<&Command> = if args.len() == 2 {
        let all = registry.commands().iter().flat_map(with_subcommands);
        all.collect()
    } else {
        args.from(2)
            .filter_map(|name| registry.by_full_name(&name.to_ascii_lowercase()))
            .flat_map(with_subcommands)
            .collect()
    };
    let counted: Vec<_> = commands
        .into_iter()
        .map(|command| (command, shared.distribution(command.id)))
        .filter(|(_, distribution)| distribution.calls > 0)
        .collect();
    reply.map(counted.len());
    for (command, distribution) in counted {
        reply.bulk(command.full_name.as_bytes());
        reply.map(2);
        reply.bulk(b"calls");
        reply.integer(distribution.calls as i64);
        reply.bulk(b"histogram_usec");
        let steps = distribution.doubling();
        reply.map(steps.len());
        for (micros, count) in steps {
            reply.integer(micros as i64);
            reply.integer(count as i64);
        }
    }
    Ok(())
}

fn history(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    let series = context.core.shared.introspection.latency.get(args.get(2));
    let history = series.unwrap_or_default().history;
    reply.array(history.len());
    for (at, millis) in history {
        reply.array(2);
        reply.integer(at);
        reply.integer(millis as i64);
    }
    Ok(())
}

fn latest(context: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    let events = context.core.shared.introspection.latency.all();
    reply.array(events.len());
    for (event, series) in events {
        let (at, millis) = series.latest();
        reply.array(4);
        reply.bulk(event.name().as_bytes());
        reply.integer(at);
        reply.integer(millis as i64);
        reply.integer(series.max_ms as i64);
    }
    Ok(())
}

fn reset(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    let names: Vec<_> = args.from(2).collect();
    let forgotten = context.core.shared.introspection.latency.reset(&names);
    reply.integer(forgotten as i64);
    Ok(())
}

fn run_help(_: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    help(reply, &SPEC);
    Ok(())
}
