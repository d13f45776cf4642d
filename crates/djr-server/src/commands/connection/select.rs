//! SELECT index

use djr_engine::spec::{Arg, CommandSpec, Flags, Group, Run};
use djr_engine::{Args, CommandError, Reply};

use crate::commands::{Context, Result};

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "select",
    group: Group::Connection,
    summary: "Selects the db that the commands of this connection work on.",
    syntax: &[Arg::integer("index")],
    flags: Flags::LOADING
        .with(Flags::STALE)
        .with(Flags::FAST)
        .with(Flags::ALLOW_BUSY),
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

pub(super) fn run(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    let index = args.integer32(1)?;
    let dbs = context.core.shared.engine.keyspace.dbs();
    let db = u32::try_from(index)
        .ok()
        .filter(|db| *db < dbs)
        .ok_or(CommandError::DbIndex)?;
    context.session.select(db);
    reply.ok();
    Ok(())
}
