//! COMMAND GETKEYS command [arg ...], COMMAND GETKEYSANDFLAGS command [arg ...]

use djr_engine::keys::each_key_access;
use djr_engine::registry::Resolved;
use djr_engine::spec::{Access, Arg, CommandSpec, Flags, Group, KeySpec, Run};
use djr_engine::{Args, CommandError, OwnedRequest, Reply};

use crate::commands::{Context, Result};

pub(super) static GETKEYS: CommandSpec = CommandSpec {
    name: "getkeys",
    since: "2.8.13",
    group: Group::Server,
    summary: "Finds the keys in a command line.",
    syntax: &[
        Arg::string("command"),
        Arg::string("arg").optional().multiple(),
    ],
    flags: Flags::LOADING.with(Flags::STALE),
    acl: &["connection"],
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

pub(super) static GETKEYSANDFLAGS: CommandSpec = CommandSpec {
    name: "getkeysandflags",
    since: "7.0.0",
    group: Group::Server,
    summary: "Finds the keys in a command line, and what is done to them.",
    syntax: &[
        Arg::string("command"),
        Arg::string("arg").optional().multiple(),
    ],
    flags: Flags::LOADING.with(Flags::STALE),
    acl: &["connection"],
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

pub(super) fn getkeys(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    let keys = find(context, args)?;
    reply.array(keys.len());
    keys.iter().for_each(|(key, _)| reply.bulk(key));
    Ok(())
}

pub(super) fn getkeysandflags(
    context: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result {
    let keys = find(context, args)?;
    reply.array(keys.len());
    for (key, access) in keys {
        let flags: Vec<_> = access.names().collect();
        reply.array(2);
        reply.bulk(&key);
        reply.set(flags.len());
        flags.iter().for_each(|flag| reply.simple(flag));
    }
    Ok(())
}

fn find(
    context: &Context<'_>,
    args: &Args<'_>,
) -> std::result::Result<Vec<(Vec<u8>, Access)>, CommandError> {
    let request = OwnedRequest::from_args(args.from(2));
    let inner = request.args();
    let Resolved::Command(command) = context.core.shared.engine.registry.resolve(&inner) else {
        return Err(CommandError::text("ERR Invalid command specified"));
    };
    let is_key = |spec: &KeySpec| !spec.access.has(Access::NOT_KEY);
    if !command.keys.iter().any(is_key) {
        return Err(CommandError::text("ERR The command has no key arguments"));
    }
    if !command.accepts(inner.len()) {
        return Err(CommandError::text(
            "ERR Invalid number of arguments specified for command",
        ));
    }
    let mut keys = Vec::new();
    let found = each_key_access(command, &inner, |index, access| {
        keys.push((inner.get(index).to_vec(), access))
    });
    if found.is_err() {
        keys.clear();
    }
    if keys.is_empty() && !command.flags.has(Flags::NO_MANDATORY_KEYS) {
        return Err(CommandError::text(
            "ERR Invalid arguments specified for command",
        ));
    }
    Ok(keys)
}
