//! `docs/commands.md`, written from the declarations of the commands.

use std::fmt::Write as _;

use djr_engine::command::Command;
use djr_engine::registry::Registry;
use djr_engine::spec::{CommandSpec, Group};

/// The groups, in the order of the document, with their headings.
const GROUPS: &[(Group, &str)] = &[
    (Group::String, "Strings"),
    (Group::Generic, "Keys"),
    (Group::Hash, "Hashes"),
    (Group::List, "Lists"),
    (Group::Set, "Sets"),
    (Group::SortedSet, "Sorted sets"),
    (Group::Stream, "Streams"),
    (Group::Bitmap, "Bitmaps"),
    (Group::HyperLogLog, "HyperLogLog"),
    (Group::Geo, "Geo"),
    (Group::Transactions, "Transactions"),
    (Group::Scripting, "Scripts and functions"),
    (Group::PubSub, "Publish/subscribe"),
    (Group::Connection, "Connection"),
    (Group::Server, "Server"),
    (Group::Cluster, "Cluster"),
];

/// Where Redis and Valkey differ, or where we differ from both: command (`container|sub` for a subcommand) and what to know.
const NOTES: &[(&str, &str)] = &[
    (
        "set",
        "The conditions of both families: `IFEQ` as in Valkey 8.1 and Redis 8.4; `IFNE`, `IFDEQ`, `IFDNE` as in Redis 8.4.",
    ),
    (
        "hexpire",
        "As in Redis 8, also of its kin: the errors' texts, deadlines up to 2^46 - 1 ms, `OBJECT ENCODING` says `listpackex`. A deadline in the \
         past is told as `hdel` (Valkey: `hexpired`).",
    ),
    (
        "httl",
        "Rounds up to whole seconds, as in Redis 8 (Valkey: to the nearest).",
    ),
    (
        "hlen",
        "Counts live fields only (Redis and Valkey: those too that are past their deadline and not removed yet).",
    ),
    (
        "hsetex",
        "`NX` and `XX` on the key as in Valkey 9, the rest as in Redis 8.",
    ),
    (
        "delex",
        "Redis 8.4. Valkey's spelling of `DELEX key IFEQ value` is `DELIFEQ key value`.",
    ),
    (
        "delifeq",
        "Valkey 9.0. Redis's spelling is `DELEX key IFEQ value`.",
    ),
    (
        "digest",
        "Redis 8.4: the XXH3 digest, in hexadecimal, that `IFDEQ` and `IFDNE` compare.",
    ),
    ("msetex", "Redis 8.4 and Valkey 9.1."),
    (
        "incrbyfloat",
        "Calculates with x87's extended precision on every processor, as Redis does on x86.",
    ),
    (
        "flushall",
        "`SYNC` and `ASYNC` are accepted. Memory is given back by the worker that runs it.",
    ),
    (
        "scan",
        "A cursor stays valid across resizes: each element that is there the whole time is returned, and none twice.",
    ),
    (
        "debug",
        "Only where `enable-debug-command` allows it; `DEBUG HELP` lists what there is.",
    ),
    ("object|refcount", "Always 1: values are not shared."),
    ("lolwut", "Ours."),
];

/// The document. Equal declarations make equal text.
pub fn markdown(registry: &Registry) -> String {
    let mut out = String::from(
        "# Commands\n\n\
         <!-- Written by `cargo xtask commands` from the declarations of the commands. Not to be edited by hand. -->\n\n\
         Replies and error texts are those of Redis 7.2 and newer; where Redis 8 and Valkey 9 have different commands for the same thing, \
         both work. `since` is the version of Redis or Valkey that brought a command. Flags and ACL categories are those of `COMMAND INFO`.\n\n",
    );
    let total = registry.commands().len();
    let subcommands: usize = registry
        .commands()
        .iter()
        .map(|command| command.subcommands.len())
        .sum();
    // Writing to a String does not fail.
    let _ = writeln!(out, "{total} commands, {subcommands} subcommands.");
    for (group, heading) in GROUPS {
        let mut commands: Vec<_> = registry
            .commands()
            .iter()
            .filter(|command| command.spec.group == *group)
            .collect();
        if commands.is_empty() {
            continue;
        }
        commands.sort_by_key(|command| command.spec.name);
        let _ = write!(
            out,
            "\n## {heading}\n\n\
             | command | what it does | since | cost | flags | ACL |\n\
             |---|---|---|---|---|---|\n"
        );
        for command in &commands {
            row(&mut out, command);
            command
                .subcommands
                .iter()
                .for_each(|sub| row(&mut out, sub));
        }
        notes(&mut out, &commands);
    }
    out
}

fn row(out: &mut String, command: &Command) {
    let spec = command.spec;
    let list = |names: Vec<&str>| names.join(" ");
    let acl: Vec<_> = command
        .categories
        .iter()
        .map(|name| format!("@{name}"))
        .collect();
    let _ = writeln!(
        out,
        "| `{}` | {} | {} | {} | {} | {} |",
        cell(&syntax(command)),
        cell(spec.summary),
        spec.since,
        cell(spec.complexity),
        list(command.flags.names().collect()),
        acl.join(" "),
    );
}

/// `SET key value [NX|XX]`
fn syntax(command: &Command) -> String {
    let CommandSpec { syntax, .. } = command.spec;
    let name = command.full_name.to_uppercase().replace('|', " ");
    let args = syntax.iter().map(ToString::to_string);
    std::iter::once(name)
        .chain(args)
        .collect::<Vec<_>>()
        .join(" ")
}

/// Text inside a table, where a bar would begin the next cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn notes(out: &mut String, commands: &[&Command]) {
    let all = commands
        .iter()
        .flat_map(|command| std::iter::once(*command).chain(&command.subcommands));
    let lines: Vec<_> = all
        .filter_map(|command| {
            let (_, note) = NOTES.iter().find(|(name, _)| *name == command.full_name)?;
            let name = command.full_name.to_uppercase().replace('|', " ");
            Some(format!("- **{name}**: {note}\n"))
        })
        .collect();
    if !lines.is_empty() {
        let _ = write!(out, "\n{}", lines.concat());
    }
}

/// Notes about commands that do not exist.
pub fn stray_notes(registry: &Registry) -> Vec<&'static str> {
    NOTES
        .iter()
        .map(|(name, _)| *name)
        .filter(|name| registry.by_full_name(name.as_bytes()).is_none())
        .collect()
}
