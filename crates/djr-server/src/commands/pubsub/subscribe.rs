//! SUBSCRIBE channel …, PSUBSCRIBE pattern …, SSUBSCRIBE shardchannel …, and their opposites

use djr_engine::spec::{Arg, CommandSpec, Flags, Group, Keys, Run};
use djr_engine::{Args, Reply};

use super::publish::shard_channels;
use crate::commands::{Context, Result};
use crate::pubsub::{Kind, Subscriptions};

pub(super) static SUBSCRIBE: CommandSpec = CommandSpec {
    name: "subscribe",
    since: "2.0.0",
    group: Group::PubSub,
    summary: "Has the messages of channels sent to this connection.",
    complexity: "O(N), N being the number of channels",
    syntax: &[Arg::string("channel").multiple()],
    flags: Flags::PUBSUB
        .with(Flags::NO_SCRIPT)
        .with(Flags::LOADING)
        .with(Flags::STALE),
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

pub(super) static UNSUBSCRIBE: CommandSpec = CommandSpec {
    name: "unsubscribe",
    summary: "Ends subscriptions to channels, to all of them if none is named.",
    syntax: &[Arg::string("channel").optional().multiple()],
    ..SUBSCRIBE
};

pub(super) static PSUBSCRIBE: CommandSpec = CommandSpec {
    name: "psubscribe",
    summary: "Has the messages of all channels that match these patterns sent to this connection.",
    complexity: "O(N), N being the number of patterns",
    syntax: &[Arg::pattern("pattern").multiple()],
    ..SUBSCRIBE
};

pub(super) static PUNSUBSCRIBE: CommandSpec = CommandSpec {
    name: "punsubscribe",
    summary: "Ends subscriptions to patterns, to all of them if none is named.",
    syntax: &[Arg::pattern("pattern").optional().multiple()],
    ..PSUBSCRIBE
};

pub(super) static SSUBSCRIBE: CommandSpec = CommandSpec {
    name: "ssubscribe",
    since: "7.0.0",
    summary: "Has the messages of shard channels sent to this connection.",
    complexity: "O(N), N being the number of shard channels",
    syntax: &[Arg::string("shardchannel").multiple()],
    keys: Keys::Explicit(&[shard_channels(-1)]),
    ..SUBSCRIBE
};

pub(super) static SUNSUBSCRIBE: CommandSpec = CommandSpec {
    name: "sunsubscribe",
    summary: "Ends subscriptions to shard channels, to all of them if none is named.",
    syntax: &[Arg::string("shardchannel").optional().multiple()],
    ..SSUBSCRIBE
};

pub(super) fn subscribe(
    context: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result {
    add(Kind::Channel, "subscribe", context, args, reply)
}

pub(super) fn psubscribe(
    context: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result {
    add(Kind::Pattern, "psubscribe", context, args, reply)
}

pub(super) fn ssubscribe(
    context: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result {
    add(Kind::Shard, "ssubscribe", context, args, reply)
}

pub(super) fn unsubscribe(
    context: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result {
    remove(Kind::Channel, "unsubscribe", context, args, reply)
}

pub(super) fn punsubscribe(
    context: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result {
    remove(Kind::Pattern, "punsubscribe", context, args, reply)
}

pub(super) fn sunsubscribe(
    context: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result {
    remove(Kind::Shard, "sunsubscribe", context, args, reply)
}

fn add(
    kind: Kind,
    verb: &str,
    context: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result {
    for name in args.from(1) {
        context.core.subscribe(context.session, kind, name);
        confirm(kind, verb, Some(name), context, reply);
    }
    Ok(())
}

fn remove(
    kind: Kind,
    verb: &str,
    context: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result {
    for name in args.from(1) {
        context.core.unsubscribe(context.session, kind, name);
        confirm(kind, verb, Some(name), context, reply);
    }
    if args.len() > 1 {
        return Ok(());
    }
    let subscriptions = context.session.subscriptions.as_ref();
    let names = subscriptions.map_or(Vec::new(), |subscriptions| subscriptions.names(kind));
    if names.is_empty() {
        confirm(kind, verb, None, context, reply);
    }
    for name in &names {
        context.core.unsubscribe(context.session, kind, name);
        confirm(kind, verb, Some(name), context, reply);
    }
    Ok(())
}

/// One for each name, as there would be a message for each.
fn confirm(
    kind: Kind,
    verb: &str,
    name: Option<&[u8]>,
    context: &Context<'_>,
    reply: &mut Reply<'_>,
) {
    let subscriptions = context.session.subscriptions.as_deref();
    let count = subscriptions.map_or(0, |subscriptions: &Subscriptions| {
        subscriptions.confirmed(kind)
    });
    reply.push(3);
    reply.bulk(verb.as_bytes());
    match name {
        Some(name) => reply.bulk(name),
        None => reply.null(),
    }
    reply.integer(count as i64);
}
