//! SYNC: a backup over the connection, for `redis-cli --rdb`. There are no replicas.

use djr_engine::spec::{CommandSpec, Flags, Group, Run};
use djr_engine::{Args, CommandError, Reply};

use crate::commands::{Context, Result};

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "sync",
    since: "1.0.0",
    group: Group::Server,
    summary: "Sends a snapshot to a client that has said REPLCONF rdb-only 1, and ends the connection. Replicas get none.",
    syntax: &[],
    flags: Flags::ADMIN
        .with(Flags::NO_ASYNC_LOADING)
        .with(Flags::NO_MULTI)
        .with(Flags::NO_SCRIPT),
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

pub(super) fn run(context: &mut Context<'_>, _: &Args<'_>, _: &mut Reply<'_>) -> Result {
    let wanted = context.session.backup;
    if !wanted.is_wanted() {
        return Err(CommandError::text(
            "ERR There are no replicas: SYNC sends backups only, after REPLCONF rdb-only 1",
        ));
    }
    let begun = context.core.begin_backup(context.session, wanted.of());
    begun.map_err(|error| CommandError::format(format!("ERR Unable to make a backup: {error}")))
}
