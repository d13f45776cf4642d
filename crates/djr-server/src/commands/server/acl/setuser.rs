//! ACL SETUSER username [rule ...], ACL DELUSER username [username ...]

use djr_engine::spec::{Arg, CommandSpec, Group, Run};
use djr_engine::{Args, CommandError, Reply};

use super::{ADMIN, ON_ALL_NODES};
use crate::acl::DEFAULT;
use crate::commands::{Context, Result};

pub(super) static SETUSER: CommandSpec = CommandSpec {
    name: "setuser",
    since: "6.0.0",
    group: Group::Server,
    summary: "Adds a user, or changes what they may do.",
    complexity: "O(N) in the number of rules",
    syntax: &[
        Arg::string("username"),
        Arg::string("rule").optional().multiple(),
    ],
    flags: ADMIN,
    tips: ON_ALL_NODES,
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

pub(super) static DELUSER: CommandSpec = CommandSpec {
    name: "deluser",
    summary: "Removes users and ends their connections.",
    complexity: "O(N) in the number of users, and of clients",
    syntax: &[Arg::string("username").multiple()],
    ..SETUSER
};

pub(super) fn setuser(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    let acl = &context.core.shared.acl;
    acl.set(args.get(2), args.from(3))
        .map_err(|error| CommandError::format(format!("ERR {error}")))?;
    context.core.users_changed(context.session, &[]);
    reply.ok();
    Ok(())
}

pub(super) fn deluser(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    if args.from(2).any(|name| name == DEFAULT) {
        return Err(CommandError::text(
            "ERR The 'default' user cannot be removed",
        ));
    }
    let mut gone: Vec<Box<[u8]>> = Vec::new();
    for name in args.from(2) {
        if context.core.shared.acl.remove(name) {
            gone.push(name.into());
        }
    }
    if !gone.is_empty() {
        context.core.users_changed(context.session, &gone);
    }
    reply.integer(gone.len() as i64);
    Ok(())
}
