//! ACL CAT [category], ACL LIST, ACL USERS, ACL WHOAMI

use djr_engine::command::{CATEGORIES, Command};
use djr_engine::spec::{Arg, CommandSpec, Group, Run};
use djr_engine::{Args, CommandError, Reply};

use super::{ADMIN, FLAGS};
use crate::acl::category;
use crate::commands::{Context, Result};

pub(super) static CAT: CommandSpec = CommandSpec {
    name: "cat",
    since: "6.0.0",
    group: Group::Server,
    summary: "Lists the categories, or the commands of one.",
    complexity: "O(N) in the number of commands",
    syntax: &[Arg::string("category").optional()],
    flags: FLAGS,
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

pub(super) static LIST: CommandSpec = CommandSpec {
    name: "list",
    summary: "Lists all users with their rules, as a file of users has them.",
    complexity: "O(N) in the number of users",
    syntax: &[],
    flags: ADMIN,
    ..CAT
};

pub(super) static USERS: CommandSpec = CommandSpec {
    name: "users",
    summary: "Lists the names of all users.",
    ..LIST
};

pub(super) static WHOAMI: CommandSpec = CommandSpec {
    name: "whoami",
    summary: "Tells the user of this connection.",
    complexity: "O(1)",
    flags: FLAGS,
    ..LIST
};

pub(super) fn cat(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    if args.len() > 3 {
        return Err(CommandError::text(
            "ERR unknown subcommand or wrong number of arguments for 'CAT'. Try ACL HELP.",
        ));
    }
    if args.len() == 2 {
        reply.array(CATEGORIES.len());
        CATEGORIES
            .iter()
            .for_each(|name| reply.bulk(name.as_bytes()));
        return Ok(());
    }
    let Some(wanted) = category(args.get(2)) else {
        let shown = String::from_utf8_lossy(args.get(2));
        return Err(CommandError::format(format!(
            "ERR Unknown category '{shown}'"
        )));
    };
    let registry = context.core.shared.engine.registry;
    let commands = registry.commands().iter();
    let found: Vec<&Command> = commands
        .flat_map(|command| std::iter::once(command).chain(&command.subcommands))
        .filter(|command| command.categories.contains(&wanted))
        .collect();
    reply.array(found.len());
    found
        .iter()
        .for_each(|command| reply.bulk(command.full_name.as_bytes()));
    Ok(())
}

pub(super) fn list(context: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    let lines = context.core.shared.acl.lines();
    reply.array(lines.len());
    lines.iter().for_each(|line| reply.bulk(line));
    Ok(())
}

pub(super) fn users(context: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    let users = context.core.shared.acl.users();
    reply.array(users.len());
    users.iter().for_each(|user| reply.bulk(user.name()));
    Ok(())
}

pub(super) fn whoami(context: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    reply.bulk(context.session.identity.user().name());
    Ok(())
}
