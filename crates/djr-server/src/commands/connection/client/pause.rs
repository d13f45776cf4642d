//! CLIENT PAUSE timeout [WRITE|ALL], CLIENT UNPAUSE

use std::sync::atomic::Ordering::Relaxed;

use djr_engine::spec::{Arg, CommandSpec, Flags, Group, Run};
use djr_engine::{Args, CommandError, Reply};

use crate::commands::{Context, Result};
use crate::shared::Gate;

pub(super) static PAUSE: CommandSpec = CommandSpec {
    name: "pause",
    since: "3.0.0",
    group: Group::Connection,
    summary: "Holds commands back for a time.",
    syntax: &[
        Arg::integer("timeout"),
        Arg::one_of(
            "mode",
            &[Arg::token("write", "WRITE"), Arg::token("all", "ALL")],
        )
        .optional(),
    ],
    flags: Flags::ADMIN
        .with(Flags::LOADING)
        .with(Flags::NO_SCRIPT)
        .with(Flags::STALE),
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

pub(super) static UNPAUSE: CommandSpec = CommandSpec {
    name: "unpause",
    since: "6.2.0",
    group: Group::Connection,
    summary: "Ends a pause.",
    flags: Flags::ADMIN
        .with(Flags::LOADING)
        .with(Flags::NO_SCRIPT)
        .with(Flags::STALE),
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

pub(super) fn pause(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    let writes_only = match args.len() {
        3 => false,
        4 if args.is(3, "write") => true,
        4 if args.is(3, "all") => false,
        4 => {
            return Err(CommandError::text(
                "ERR CLIENT PAUSE mode must be WRITE or ALL",
            ));
        }
        _ => {
            return Err(CommandError::text(
                "ERR unknown subcommand or wrong number of arguments for 'PAUSE'. Try CLIENT HELP.",
            ));
        }
    };
    let timeout_ms = args
        .integer(2)
        .map_err(|_| CommandError::text("ERR timeout is not an integer or out of range"))?;
    if timeout_ms < 0 {
        return Err(CommandError::text("ERR timeout is negative"));
    }
    let until = context
        .core
        .now
        .checked_add(timeout_ms)
        .ok_or(CommandError::text("ERR timeout is out of range"))?;
    let shared = &context.core.shared;
    // A pause under way is not made shorter or weaker.
    let running = shared.gate.bits() & Gate::PAUSED != 0;
    let (until_before, writes_before) = (
        shared.pause_until_ms.load(Relaxed),
        shared.pause_writes_only.load(Relaxed),
    );
    shared.pause_until_ms.store(
        if running {
            until.max(until_before)
        } else {
            until
        },
        Relaxed,
    );
    shared
        .pause_writes_only
        .store(writes_only && (!running || writes_before), Relaxed);
    shared.gate.set(Gate::PAUSED);
    context.core.gate |= Gate::PAUSED;
    reply.ok();
    Ok(())
}

pub(super) fn unpause(context: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    context.core.shared.gate.clear(Gate::PAUSED);
    context.core.gate &= !Gate::PAUSED;
    reply.ok();
    Ok(())
}
