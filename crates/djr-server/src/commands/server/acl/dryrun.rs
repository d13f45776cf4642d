//! ACL DRYRUN username command [arg ...]

use djr_engine::registry::Resolved;
use djr_engine::spec::{Arg, CommandSpec, Group, Run};
use djr_engine::{Args, CommandError, OwnedRequest, Reply};

use super::ADMIN;
use crate::commands::{Context, Result};

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "dryrun",
    since: "7.0.0",
    group: Group::Server,
    summary: "Tells whether a user may run a command, without running it.",
    syntax: &[
        Arg::string("username"),
        Arg::string("command"),
        Arg::string("arg").optional().multiple(),
    ],
    flags: ADMIN,
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

pub(super) fn run(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    let shared = &context.core.shared;
    let shown = |index| String::from_utf8_lossy(args.get(index));
    let Some(user) = shared.acl.user(args.get(2)) else {
        return Err(CommandError::format(format!(
            "ERR User '{}' not found",
            shown(2)
        )));
    };
    let request = OwnedRequest::from_args(args.from(3));
    let inner = request.args();
    let Resolved::Command(command) = shared.engine.registry.resolve(&inner) else {
        return Err(CommandError::format(format!(
            "ERR Command '{}' not found",
            shown(3)
        )));
    };
    if !command.accepts(inner.len()) {
        return Err(CommandError::Arity(command.full_name.clone()));
    }
    let (db, dbs) = (context.session.db, shared.config.databases());
    match user.check(command, &inner, db, dbs) {
        Ok(()) => reply.ok(),
        Err(denied) => reply.bulk(&denied.full_text(&user, command, &inner)),
    }
    Ok(())
}
