//! COMMAND, COMMAND INFO [command-name ...]

use djr_engine::command::Command;
use djr_engine::spec::{Arg, BeginSearch, CommandSpec, FindKeys, Flags, Group, KeySpec, Run};
use djr_engine::{Args, Reply};

use crate::commands::{Context, Result};

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "info",
    since: "2.8.13",
    group: Group::Server,
    summary: "Tells about some commands.",
    syntax: &[Arg::string("command-name").optional().multiple()],
    flags: Flags::LOADING.with(Flags::STALE),
    acl: &["connection"],
    tips: &["nondeterministic_output_order"],
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

pub(super) fn all(context: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    let registry = context.core.shared.engine.registry;
    reply.array(registry.callable().count());
    registry
        .callable()
        .for_each(|command| write(reply, command));
    Ok(())
}

pub(super) fn some(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    if args.len() == 2 {
        return all(context, args, reply);
    }
    reply.array(args.len() - 2);
    for name in args.from(2) {
        match context.core.shared.engine.registry.by_full_name(name) {
            Some(command) => write(reply, command),
            None => reply.null(),
        }
    }
    Ok(())
}

fn write(reply: &mut Reply<'_>, command: &Command) {
    let (first, last, step) = command.key_range;
    reply.array(10);
    reply.bulk(command.full_name.as_bytes());
    reply.integer(command.arity.into());
    let flags: Vec<_> = command.flags.names().collect();
    write_set(reply, &flags);
    reply.integer(first.into());
    reply.integer(last.into());
    reply.integer(step.into());
    let categories: Vec<_> = command
        .categories
        .iter()
        .map(|name| format!("@{name}"))
        .collect();
    let categories: Vec<_> = categories.iter().map(String::as_str).collect();
    write_set(reply, &categories);
    reply.set(command.spec.tips.len());
    command
        .spec
        .tips
        .iter()
        .for_each(|tip| reply.bulk(tip.as_bytes()));
    reply.set(command.keys.len());
    command
        .keys
        .iter()
        .for_each(|spec| write_key_spec(reply, spec));
    reply.set(command.subcommands.len());
    command.subcommands.iter().for_each(|sub| write(reply, sub));
}

fn write_set(reply: &mut Reply<'_>, names: &[&str]) {
    reply.set(names.len());
    names.iter().for_each(|name| reply.simple(name));
}

fn write_key_spec(reply: &mut Reply<'_>, spec: &KeySpec) {
    reply.map(3);
    reply.bulk(b"flags");
    let flags: Vec<_> = spec.access.names().collect();
    write_set(reply, &flags);
    reply.bulk(b"begin_search");
    match spec.begin {
        BeginSearch::Index(index) => {
            write_search(reply, "index", &[("index", i64::from(index))]);
        }
        BeginSearch::Keyword {
            keyword,
            start_from,
        } => {
            reply.map(2);
            reply.bulk(b"type");
            reply.bulk(b"keyword");
            reply.bulk(b"spec");
            reply.map(2);
            reply.bulk(b"keyword");
            reply.bulk(keyword.as_bytes());
            reply.bulk(b"startfrom");
            reply.integer(start_from.into());
        }
        BeginSearch::Unknown => write_search(reply, "unknown", &[]),
    }
    reply.bulk(b"find_keys");
    match spec.find {
        FindKeys::Range { last, step, limit } => write_search(
            reply,
            "range",
            &[
                ("lastkey", last.into()),
                ("keystep", step.into()),
                ("limit", limit.into()),
            ],
        ),
        FindKeys::KeyNum { index, first, step } => write_search(
            reply,
            "keynum",
            &[
                ("keynumidx", index.into()),
                ("firstkey", first.into()),
                ("keystep", step.into()),
            ],
        ),
        FindKeys::Unknown => write_search(reply, "unknown", &[]),
    }
}

fn write_search(reply: &mut Reply<'_>, kind: &str, fields: &[(&str, i64)]) {
    reply.map(2);
    reply.bulk(b"type");
    reply.bulk(kind.as_bytes());
    reply.bulk(b"spec");
    reply.map(fields.len());
    for (name, value) in fields {
        reply.bulk(name.as_bytes());
        reply.integer(*value);
    }
}
