//! INFO [section ...]

mod memory;
mod sections;

use djr_engine::spec::{Arg, CommandSpec, Flags, Group, Run};
use djr_engine::{Args, Reply};

use crate::commands::{Context, Result};

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "info",
    since: "1.0.0",
    group: Group::Server,
    summary: "Tells about the server, section by section.",
    syntax: &[Arg::string("section").optional().multiple()],
    flags: Flags::LOADING.with(Flags::STALE),
    acl: &["dangerous"],
    tips: &[
        "nondeterministic_output",
        "request_policy:all_shards",
        "response_policy:special",
    ],
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

/// A section: its name, whether `INFO` without arguments shows it, and what writes it.
type Section = (&'static str, bool, fn(&mut sections::Report<'_>));

static SECTIONS: &[Section] = &[
    ("server", true, sections::server),
    ("clients", true, sections::clients),
    ("memory", true, memory::memory),
    ("memoryclasses", true, memory::classes),
    ("persistence", true, sections::persistence),
    ("stats", true, sections::stats),
    ("replication", true, sections::replication),
    ("cpu", true, sections::cpu),
    ("modules", true, sections::modules),
    ("commandstats", false, sections::commandstats),
    ("errorstats", true, sections::errorstats),
    ("latencystats", false, sections::latencystats),
    ("cluster", true, sections::cluster),
    ("keyspace", true, sections::keyspace),
];

pub(super) fn run(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    let named: Vec<String> = args
        .from(1)
        .map(|name| String::from_utf8_lossy(name).to_ascii_lowercase())
        .collect();
    let is_named = |name: &str| named.iter().any(|wanted| wanted == name);
    let everything = is_named("all") || is_named("everything");
    let default = named.is_empty() || is_named("default");
    let mut report = sections::Report::new(context);
    for (name, is_default, write) in SECTIONS {
        if everything || (default && *is_default) || is_named(name) {
            report.begin(name);
            write(&mut report);
        }
    }
    let text = report.finish();
    reply.verbatim("txt", text.as_bytes());
    Ok(())
}
