//! CLIENT REPLY, NO-EVICT, NO-TOUCH: switches of one connection

use std::sync::atomic::Ordering::Relaxed;

use djr_engine::spec::{Arg, CommandSpec, Flags, Group, Run};
use djr_engine::{Args, CommandError, Reply};

use crate::commands::{Context, Result};
use crate::session::Replies;

pub(super) static REPLY: CommandSpec = CommandSpec {
    name: "reply",
    since: "3.2.0",
    group: Group::Connection,
    summary: "Chooses whether commands are answered.",
    syntax: &[Arg::one_of(
        "action",
        &[
            Arg::token("on", "ON"),
            Arg::token("off", "OFF"),
            Arg::token("skip", "SKIP"),
        ],
    )],
    flags: Flags::ALLOW_BUSY
        .with(Flags::LOADING)
        .with(Flags::NO_MULTI)
        .with(Flags::NO_SCRIPT)
        .with(Flags::STALE),
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

pub(super) static NO_EVICT: CommandSpec = CommandSpec {
    name: "no-evict",
    since: "7.0.0",
    group: Group::Connection,
    summary: "Keeps this connection from being ended for want of memory.",
    syntax: &[Arg::one_of(
        "enabled",
        &[Arg::token("on", "ON"), Arg::token("off", "OFF")],
    )],
    flags: Flags::ADMIN
        .with(Flags::ALLOW_BUSY)
        .with(Flags::LOADING)
        .with(Flags::NO_SCRIPT)
        .with(Flags::STALE),
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

pub(super) static NO_TOUCH: CommandSpec = CommandSpec {
    name: "no-touch",
    since: "7.2.0",
    group: Group::Connection,
    summary: "Makes the commands of this connection leave no trace in the access times of keys.",
    syntax: &[Arg::one_of(
        "enabled",
        &[Arg::token("on", "ON"), Arg::token("off", "OFF")],
    )],
    flags: Flags::ALLOW_BUSY
        .with(Flags::LOADING)
        .with(Flags::NO_SCRIPT)
        .with(Flags::STALE),
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

pub(super) static CAPA: CommandSpec = CommandSpec {
    name: "capa",
    since: "8.0.0",
    group: Group::Connection,
    summary: "Says what the client is able to do.",
    syntax: &[Arg::string("capability").multiple()],
    flags: Flags::ALLOW_BUSY
        .with(Flags::LOADING)
        .with(Flags::NO_SCRIPT)
        .with(Flags::STALE),
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

pub(super) static IMPORT_SOURCE: CommandSpec = CommandSpec {
    name: "import-source",
    since: "8.1.0",
    group: Group::Connection,
    summary: "Says that the client imports a data set, of which nothing expires meanwhile.",
    syntax: &[Arg::one_of(
        "enabled",
        &[Arg::token("on", "ON"), Arg::token("off", "OFF")],
    )],
    flags: Flags::LOADING.with(Flags::NO_SCRIPT).with(Flags::STALE),
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

/// What is not known is no error: it may be of a later version.
pub(super) fn capa(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    if (2..args.len()).any(|index| args.is(index, "redirect")) {
        let info = &context.session.info;
        info.follows_redirects.store(true, Relaxed);
    }
    reply.ok();
    Ok(())
}

/// There is no such mode.
pub(super) fn import_source(_: &mut Context<'_>, _: &Args<'_>, _: &mut Reply<'_>) -> Result {
    Err(CommandError::text("ERR Server is not in import mode"))
}

pub(super) fn reply(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    if args.is(2, "on") {
        context.session.replies = Replies::On;
        reply.ok();
    } else if args.is(2, "off") {
        context.session.replies = Replies::Off;
    } else if args.is(2, "skip") {
        if context.session.replies != Replies::Off {
            // Its own, which is none, and the next one's.
            context.session.replies = Replies::Skip(2);
        }
    } else {
        return Err(CommandError::Syntax);
    }
    Ok(())
}

pub(super) fn no_evict(
    context: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result {
    context.session.info.no_evict.store(on_off(args)?, Relaxed);
    reply.ok();
    Ok(())
}

pub(super) fn no_touch(
    context: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result {
    let on = on_off(args)?;
    context.session.no_touch = on;
    context.session.info.no_touch.store(on, Relaxed);
    reply.ok();
    Ok(())
}

fn on_off(args: &Args<'_>) -> std::result::Result<bool, CommandError> {
    if args.is(2, "on") {
        Ok(true)
    } else if args.is(2, "off") {
        Ok(false)
    } else {
        Err(CommandError::Syntax)
    }
}
