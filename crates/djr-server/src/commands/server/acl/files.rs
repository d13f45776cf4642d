//! ACL LOAD, ACL SAVE

use std::path::PathBuf;

use djr_engine::spec::{CommandSpec, Group, Run};
use djr_engine::{Args, CommandError, Reply};

use super::{ADMIN, ON_ALL_NODES};
use crate::commands::{Context, Result};

pub(super) static LOAD: CommandSpec = CommandSpec {
    name: "load",
    since: "6.0.0",
    group: Group::Server,
    summary: "Replaces all users by those of the file of users.",
    complexity: "O(N) in the number of users",
    flags: ADMIN,
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

pub(super) static SAVE: CommandSpec = CommandSpec {
    name: "save",
    summary: "Writes all users into the file of users.",
    tips: ON_ALL_NODES,
    ..LOAD
};

fn file(context: &Context<'_>) -> std::result::Result<PathBuf, CommandError> {
    let file = context.core.shared.config.acl_file();
    file.ok_or(CommandError::text(
        "ERR This Redis instance is not configured to use an ACL file. You may want to specify users via the ACL SETUSER \
         command and then issue a CONFIG REWRITE (assuming you have a Redis configuration file set) in order to store users \
         in the Redis configuration.",
    ))
}

pub(super) fn load(context: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    let file = file(context)?;
    let gone = context.core.shared.acl.load(&file).map_err(|error| {
        tracing::warn!("ACL LOAD: {error}");
        CommandError::format(format!("ERR {error}"))
    })?;
    context.core.users_changed(context.session, &gone);
    reply.ok();
    Ok(())
}

pub(super) fn save(context: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    let file = file(context)?;
    context.core.shared.acl.save(&file).map_err(|error| {
        tracing::warn!("ACL SAVE: {}: {error}", file.display());
        CommandError::text(
            "ERR There was an error trying to save the ACLs. Please check the server logs for more information",
        )
    })?;
    reply.ok();
    Ok(())
}
