//! CONFIG GET | SET | RESETSTAT | REWRITE | HELP

use djr_engine::spec::{Arg, CommandSpec, Flags, Group, Run};
use djr_engine::{Args, CommandError, Reply, glob};

use crate::commands::{Context, Entry, Result, ServerRun, help};
use crate::config::{Id, change, rewrite};

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "config",
    since: "2.0.0",
    group: Group::Server,
    summary: "About the configuration.",
    flags: Flags::NONE,
    subcommands: &[&GET, &HELP, &RESETSTAT, &REWRITE, &SET],
    ..CommandSpec::DEFAULT
};

const FLAGS: Flags = Flags::ADMIN
    .with(Flags::LOADING)
    .with(Flags::NO_SCRIPT)
    .with(Flags::STALE);

const ON_ALL_NODES: &[&str] = &["request_policy:all_nodes", "response_policy:all_succeeded"];

static GET: CommandSpec = CommandSpec {
    name: "get",
    since: "2.0.0",
    group: Group::Server,
    summary: "Tells the values of the parameters that match the patterns.",
    complexity: "O(N) with N parameters",
    syntax: &[Arg::string("parameter").multiple()],
    flags: FLAGS,
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

static SET: CommandSpec = CommandSpec {
    name: "set",
    since: "2.0.0",
    group: Group::Server,
    summary: "Changes parameters while the server runs: all of them, or none.",
    complexity: "O(N) with N parameters",
    syntax: &[Arg::block("data", &[Arg::string("parameter"), Arg::string("value")]).multiple()],
    flags: FLAGS,
    tips: ON_ALL_NODES,
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

static RESETSTAT: CommandSpec = CommandSpec {
    name: "resetstat",
    since: "2.0.0",
    group: Group::Server,
    summary: "Sets the statistics of INFO to 0.",
    flags: FLAGS,
    tips: ON_ALL_NODES,
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

static REWRITE: CommandSpec = CommandSpec {
    name: "rewrite",
    since: "2.8.0",
    group: Group::Server,
    summary: "Writes the values of now into the configuration file.",
    flags: FLAGS,
    tips: ON_ALL_NODES,
    run: Run::Shell,
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

pub(super) static RUNS: &[Entry] = &[
    (&GET, ServerRun::Plain(get)),
    (&HELP, ServerRun::Plain(run_help)),
    (&RESETSTAT, ServerRun::Plain(resetstat)),
    (&REWRITE, ServerRun::Plain(run_rewrite)),
    (&SET, ServerRun::Plain(set)),
];

fn get(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    let config = &context.core.shared.config;
    // A name without pattern is found even if it is hidden, and comes back as it was spelled.
    let is_pattern = |text: &[u8]| text.iter().any(|byte| matches!(byte, b'*' | b'?' | b'['));
    let mut found: Vec<(&[u8], Id)> = Vec::new();
    let mut add = |name, id| {
        if !found
            .iter()
            .any(|(known, _): &(&[u8], Id)| known.eq_ignore_ascii_case(name))
        {
            found.push((name, id));
        }
    };
    for pattern in args.from(2) {
        if !is_pattern(pattern) {
            if let Some(id) = Id::find(pattern) {
                add(pattern, id);
            }
            continue;
        }
        for id in Id::all().filter(|id| !id.parameter().hidden) {
            for name in id.parameter().names() {
                if glob::matches_ignoring_case(pattern, name.as_bytes()) {
                    add(name.as_bytes(), id);
                }
            }
        }
    }
    reply.map(found.len());
    for (name, id) in found {
        reply.bulk(name);
        reply.bulk(&config.print(id));
    }
    Ok(())
}

fn set(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    if !args.len().is_multiple_of(2) {
        return Err(CommandError::Syntax);
    }
    let words: Vec<_> = args.from(2).collect();
    let pairs: Vec<_> = words
        .chunks_exact(2)
        .map(|pair| (pair[0], pair[1]))
        .collect();
    change(&context.core.shared, &pairs)
        .map_err(|error| CommandError::format(error.to_string()))?;
    reply.ok();
    Ok(())
}

fn resetstat(context: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    for worker in &context.core.shared.workers {
        worker.stats.reset();
    }
    context.core.shared.acl.denied.reset();
    reply.ok();
    Ok(())
}

fn run_rewrite(context: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    let shared = &context.core.shared;
    match rewrite(&shared.config, &shared.users_to_configure()) {
        Ok(()) => tracing::info!("CONFIG REWRITE executed with success."),
        Err(error) => {
            tracing::warn!("CONFIG REWRITE failed: {error}");
            return Err(CommandError::format(error.to_string()));
        }
    }
    reply.ok();
    Ok(())
}

fn run_help(_: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    help(reply, &SPEC);
    Ok(())
}
