//! PUBLISH channel message, SPUBLISH shardchannel message

use djr_engine::spec::{Access, Arg, CommandSpec, Flags, Group, KeySpec, Keys, Run};
use djr_engine::spec::{BeginSearch, FindKeys};
use djr_engine::{Args, Reply};

use crate::commands::{Context, Result};
use crate::pubsub::Kind;

pub(super) static PUBLISH: CommandSpec = CommandSpec {
    name: "publish",
    since: "2.0.0",
    group: Group::PubSub,
    summary: "Sends a message to those who have subscribed to a channel, or to a pattern that it matches.",
    complexity: "O(N+M), N being the number of subscribers and M the number of patterns that anyone has subscribed to",
    syntax: &[Arg::string("channel"), Arg::string("message")],
    flags: Flags::PUBSUB
        .with(Flags::LOADING)
        .with(Flags::STALE)
        .with(Flags::FAST),
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

pub(super) static SPUBLISH: CommandSpec = CommandSpec {
    name: "spublish",
    since: "7.0.0",
    summary: "Sends a message to those who have subscribed to a shard channel.",
    complexity: "O(N), N being the number of subscribers",
    syntax: &[Arg::string("shardchannel"), Arg::string("message")],
    keys: Keys::Explicit(&[shard_channels(0)]),
    ..PUBLISH
};

/// Shard channels stand where keys do, though they are none: a cluster finds their slot by them.
pub(super) const fn shard_channels(last: i32) -> KeySpec {
    KeySpec {
        begin: BeginSearch::Index(1),
        find: FindKeys::Range {
            last,
            step: 1,
            limit: 0,
        },
        access: Access::NOT_KEY,
    }
}

pub(super) fn publish(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    run(Kind::Channel, context, args, reply)
}

pub(super) fn spublish(
    context: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result {
    run(Kind::Shard, context, args, reply)
}

fn run(kind: Kind, context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    let receivers = context.core.publish(kind, args.get(1), args.get(2));
    reply.integer(receivers as i64);
    Ok(())
}
