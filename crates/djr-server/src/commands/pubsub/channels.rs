//! PUBSUB CHANNELS [pattern], NUMPAT, NUMSUB [channel …], SHARDCHANNELS [pattern], SHARDNUMSUB [shardchannel …], HELP

use djr_engine::spec::{Arg, CommandSpec, Flags, Group, Run};
use djr_engine::{Args, CommandError, Reply};

use crate::commands::{Context, Entry, Result, ServerRun, help};
use crate::pubsub::Kind;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "pubsub",
    since: "2.8.0",
    group: Group::PubSub,
    summary: "Tells about channels and who has subscribed to them.",
    complexity: "Depends on the subcommand",
    subcommands: &[
        &CHANNELS,
        &HELP,
        &NUMPAT,
        &NUMSUB,
        &SHARDCHANNELS,
        &SHARDNUMSUB,
    ],
    ..CommandSpec::DEFAULT
};

static CHANNELS: CommandSpec = CommandSpec {
    name: "channels",
    since: "2.8.0",
    group: Group::PubSub,
    summary: "Lists the channels that someone has subscribed to.",
    complexity: "O(N), N being the number of these channels",
    syntax: &[Arg::pattern("pattern").optional()],
    flags: Flags::PUBSUB.with(Flags::LOADING).with(Flags::STALE),
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

static HELP: CommandSpec = CommandSpec {
    name: "help",
    since: "6.2.0",
    summary: "Lists the subcommands.",
    flags: Flags::LOADING.with(Flags::STALE),
    group: Group::PubSub,
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

static NUMPAT: CommandSpec = CommandSpec {
    name: "numpat",
    summary: "Tells how many patterns someone has subscribed to.",
    complexity: "O(1)",
    syntax: &[],
    ..CHANNELS
};

static NUMSUB: CommandSpec = CommandSpec {
    name: "numsub",
    summary: "Tells how many have subscribed to each of these channels.",
    complexity: "O(N), N being the number of channels asked for",
    syntax: &[Arg::string("channel").optional().multiple()],
    ..CHANNELS
};

static SHARDCHANNELS: CommandSpec = CommandSpec {
    name: "shardchannels",
    since: "7.0.0",
    summary: "Lists the shard channels that someone has subscribed to.",
    ..CHANNELS
};

static SHARDNUMSUB: CommandSpec = CommandSpec {
    name: "shardnumsub",
    since: "7.0.0",
    summary: "Tells how many have subscribed to each of these shard channels.",
    syntax: &[Arg::string("shardchannel").optional().multiple()],
    ..NUMSUB
};

pub(super) static RUNS: &[Entry] = &[
    (&CHANNELS, ServerRun::Plain(channels)),
    (&HELP, ServerRun::Plain(run_help)),
    (&NUMPAT, ServerRun::Plain(numpat)),
    (&NUMSUB, ServerRun::Plain(numsub)),
    (&SHARDCHANNELS, ServerRun::Plain(shardchannels)),
    (&SHARDNUMSUB, ServerRun::Plain(shardnumsub)),
];

fn channels(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    list(Kind::Channel, context, args, reply)
}

fn shardchannels(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    list(Kind::Shard, context, args, reply)
}

fn numsub(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    count(Kind::Channel, context, args, reply)
}

fn shardnumsub(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    count(Kind::Shard, context, args, reply)
}

fn numpat(context: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    reply.integer(context.core.shared.pubsub.len(Kind::Pattern) as i64);
    Ok(())
}

fn list(kind: Kind, context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    if args.len() > 3 {
        return Err(CommandError::format(format!(
            "ERR unknown subcommand or wrong number of arguments for '{}'. Try PUBSUB HELP.",
            String::from_utf8_lossy(args.get(1))
        )));
    }
    let pattern = (args.len() == 3).then(|| args.get(2));
    let names = context.core.shared.pubsub.names(kind, pattern);
    reply.array(names.len());
    names.iter().for_each(|name| reply.bulk(name));
    Ok(())
}

fn count(kind: Kind, context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    let names = args.from(2);
    reply.array(names.len() * 2);
    for name in names {
        reply.bulk(name);
        let count = context.core.shared.pubsub.subscribers(kind, name);
        reply.integer(count as i64);
    }
    Ok(())
}

fn run_help(_: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    help(reply, &SPEC);
    Ok(())
}
