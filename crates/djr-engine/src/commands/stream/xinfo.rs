//! XINFO STREAM key \[FULL \[COUNT count\]\], XINFO GROUPS key, XINFO CONSUMERS key group, XINFO HELP

use djr_storage::types::Stream;
use djr_storage::types::stream::{Consumer, Group as ConsumerGroup, StreamId};

use super::super::prelude::*;
use super::group::no_group;
use super::reply::{reply_entries, reply_entry, reply_id, reply_known};
use super::xgroup::unknown_form;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "xinfo",
    since: "5.0.0",
    group: Group::Stream,
    summary: "Tells about a stream, its groups and their consumers.",
    complexity: "Depends on the subcommand",
    subcommands: &[&CONSUMERS, &GROUPS, &HELP, &STREAM],
    run: Run::Container,
    ..CommandSpec::DEFAULT
};

static CONSUMERS: CommandSpec = CommandSpec {
    name: "consumers",
    since: "5.0.0",
    group: Group::Stream,
    summary: "Lists the consumers of a group.",
    complexity: "O(C), C being the number of consumers",
    syntax: &[Arg::key("key", Access::READ), Arg::string("group")],
    flags: Flags::READONLY,
    tips: &["nondeterministic_output"],
    run: Run::Read(consumers),
    ..CommandSpec::DEFAULT
};

static GROUPS: CommandSpec = CommandSpec {
    name: "groups",
    since: "5.0.0",
    group: Group::Stream,
    summary: "Lists the consumer groups of a stream.",
    complexity: "O(G), G being the number of groups",
    syntax: &[Arg::key("key", Access::READ)],
    flags: Flags::READONLY,
    run: Run::Read(groups),
    ..CommandSpec::DEFAULT
};

static HELP: CommandSpec = CommandSpec {
    name: "help",
    since: "5.0.0",
    group: Group::Stream,
    summary: "Lists the subcommands.",
    flags: Flags::LOADING.with(Flags::STALE),
    run: Run::Read(help),
    ..CommandSpec::DEFAULT
};

static STREAM: CommandSpec = CommandSpec {
    name: "stream",
    since: "5.0.0",
    group: Group::Stream,
    summary: "Tells about a stream; in full with its entries and groups.",
    complexity: "O(B), B being the number of blocks",
    syntax: &[
        Arg::key("key", Access::READ),
        Arg::block(
            "full-block",
            &[
                Arg::token("full", "FULL"),
                Arg::integer("count").after("COUNT").optional(),
            ],
        )
        .optional(),
    ],
    flags: Flags::READONLY,
    run: Run::Read(stream),
    ..CommandSpec::DEFAULT
};

/// How many entries FULL shows if nothing is said.
const FULL_COUNT: usize = 10;

fn stream(
    context: &mut ReadContext<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    let stream = stream_of(context, args)?;
    let full = match args.len() {
        3 => None,
        4 | 6 if args.is(3, "FULL") => Some(()),
        _ => return Err(unknown_form(args)),
    };
    if full.is_none() {
        reply.map(10);
        reply_facts(stream, reply);
        reply.bulk(b"groups");
        reply.integer(stream.groups().len() as i64);
        let entries = stream.entries();
        let ends = [
            (
                &b"first-entry"[..],
                entries.range(StreamId::MIN, StreamId::MAX).next(),
            ),
            (
                b"last-entry",
                entries.range_back(StreamId::MIN, StreamId::MAX).next(),
            ),
        ];
        for (name, entry) in ends {
            reply.bulk(name);
            match entry {
                Some(entry) => reply_entry(reply, entry),
                None => reply.null(),
            }
        }
        return Ok(());
    }
    let mut count = FULL_COUNT;
    if args.len() == 6 {
        if !args.is(4, "COUNT") {
            return Err(unknown_form(args));
        }
        count = match args.integer(5)? {
            ..=-1 => FULL_COUNT,
            0 => usize::MAX,
            count => count as usize,
        };
    }
    reply.map(9);
    reply_facts(stream, reply);
    reply.bulk(b"entries");
    let entries = stream.entries().range(StreamId::MIN, StreamId::MAX);
    reply_entries(reply, entries.take(count));
    reply.bulk(b"groups");
    reply.array(stream.groups().len());
    for (name, group) in stream.groups() {
        reply_full_group(stream, name, group, count, reply);
    }
    Ok(())
}

fn stream_of<'a>(context: &ReadContext<'a>, args: &Args<'_>) -> Result<&'a Stream, CommandError> {
    let stream = context.object::<Stream>(context.key(args, 2))?;
    stream.ok_or(CommandError::NoSuchKey)
}

/// The first seven pairs.
fn reply_facts(stream: &Stream, reply: &mut Reply<'_>) {
    let entries = stream.entries();
    for (name, number) in [
        (&b"length"[..], entries.len()),
        (b"radix-tree-keys", entries.blocks() as u64),
        (b"radix-tree-nodes", entries.radix_nodes()),
    ] {
        reply.bulk(name);
        reply.integer(number as i64);
    }
    reply.bulk(b"last-generated-id");
    reply_id(reply, entries.last_id());
    reply.bulk(b"max-deleted-entry-id");
    reply_id(reply, entries.max_deleted_id());
    reply.bulk(b"entries-added");
    reply.integer(entries.added() as i64);
    reply.bulk(b"recorded-first-entry-id");
    reply_id(reply, entries.first_id());
}

fn reply_full_group(
    stream: &Stream,
    name: &[u8],
    group: &ConsumerGroup,
    count: usize,
    reply: &mut Reply<'_>,
) {
    reply.map(7);
    reply.bulk(b"name");
    reply.bulk(name);
    reply.bulk(b"last-delivered-id");
    reply_id(reply, group.last_id);
    reply.bulk(b"entries-read");
    reply_known(reply, group.entries_read);
    reply.bulk(b"lag");
    reply_known(reply, group.lag(stream.entries()));
    reply.bulk(b"pel-count");
    reply.integer(group.pending_len() as i64);
    reply.bulk(b"pending");
    reply.array(count.min(group.pending_len()));
    for (id, pending) in group
        .pending_range(StreamId::MIN..=StreamId::MAX)
        .take(count)
    {
        reply.array(4);
        reply_id(reply, id);
        let consumer = group.consumer(pending.consumer);
        reply.bulk(consumer.map_or(b"", Consumer::name));
        reply.integer(pending.delivered_at);
        reply.integer(pending.deliveries as i64);
    }
    reply.bulk(b"consumers");
    reply.array(group.consumers_len());
    for consumer in group.consumers() {
        reply_full_consumer(group, consumer, count, reply);
    }
}

fn reply_full_consumer(
    group: &ConsumerGroup,
    consumer: &Consumer,
    count: usize,
    reply: &mut Reply<'_>,
) {
    reply.map(5);
    reply.bulk(b"name");
    reply.bulk(consumer.name());
    reply.bulk(b"seen-time");
    reply.integer(consumer.seen_at);
    reply.bulk(b"active-time");
    reply.integer(consumer.active_at.unwrap_or(-1));
    reply.bulk(b"pel-count");
    reply.integer(consumer.pending_len() as i64);
    reply.bulk(b"pending");
    let (mark, mut len) = (reply.array_later(), 0);
    for id in consumer.pending(StreamId::MIN..=StreamId::MAX).take(count) {
        let Some(pending) = group.pending(id) else {
            continue;
        };
        reply.array(3);
        reply_id(reply, id);
        reply.integer(pending.delivered_at);
        reply.integer(pending.deliveries as i64);
        len += 1;
    }
    reply.finish(mark, len);
}

fn groups(
    context: &mut ReadContext<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    let stream = stream_of(context, args)?;
    reply.array(stream.groups().len());
    for (name, group) in stream.groups() {
        reply.map(6);
        reply.bulk(b"name");
        reply.bulk(name);
        reply.bulk(b"consumers");
        reply.integer(group.consumers_len() as i64);
        reply.bulk(b"pending");
        reply.integer(group.pending_len() as i64);
        reply.bulk(b"last-delivered-id");
        reply_id(reply, group.last_id);
        reply.bulk(b"entries-read");
        reply_known(reply, group.entries_read);
        reply.bulk(b"lag");
        reply_known(reply, group.lag(stream.entries()));
    }
    Ok(())
}

fn consumers(
    context: &mut ReadContext<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    let (stream, now) = (stream_of(context, args)?, context.now);
    let group = stream.group(args.get(3));
    let group = group.ok_or_else(|| no_group(args.get(2), args.get(3)))?;
    reply.array(group.consumers_len());
    for consumer in group.consumers() {
        reply.map(4);
        reply.bulk(b"name");
        reply.bulk(consumer.name());
        reply.bulk(b"pending");
        reply.integer(consumer.pending_len() as i64);
        reply.bulk(b"idle");
        reply.integer(now.saturating_sub(consumer.seen_at).max(0));
        reply.bulk(b"inactive");
        let inactive = consumer.active_at.map(|at| now.saturating_sub(at));
        reply.integer(inactive.unwrap_or(-1));
    }
    Ok(())
}

fn help(_: &mut ReadContext<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    reply.array(HELP_LINES.len());
    HELP_LINES.iter().for_each(|line| reply.simple(line));
    Ok(())
}

/// As Redis 8 and Valkey 9 answer it.
const HELP_LINES: &[&str] = &[
    "XINFO <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "CONSUMERS <key> <groupname>",
    "    Show consumers of <groupname>.",
    "GROUPS <key>",
    "    Show the stream consumer groups.",
    "STREAM <key> [FULL [COUNT <count>]",
    "    Show information about the stream.",
    "HELP",
    "    Print this help.",
];

#[cfg(test)]
mod tests {
    use crate::testkit::check;

    const SOME: &str = "XADD s 1-1 a b | XADD s 1-2 c d | XGROUP CREATE s g 0 | XREADGROUP GROUP g c COUNT 1 STREAMS s > | XGROUP CREATECONSUMER s g b | @wait 5";
    const REPLIES: &str = "1-1 | 1-2 | OK | [[s [[1-1 [a b]]]]] | 1 | ok";

    #[test]
    fn tells_about_streams() {
        check(
            &format!("{SOME} | XINFO STREAM s | XINFO STREAM s FULL COUNT 1"),
            &format!(
                "{REPLIES} | [length 2 radix-tree-keys 1 radix-tree-nodes 2 last-generated-id 1-2 max-deleted-entry-id 0-0 entries-added 2 \
                 recorded-first-entry-id 1-1 groups 1 first-entry [1-1 [a b]] last-entry [1-2 [c d]]] | \
                 [length 2 radix-tree-keys 1 radix-tree-nodes 2 last-generated-id 1-2 max-deleted-entry-id 0-0 entries-added 2 \
                 recorded-first-entry-id 1-1 entries [[1-1 [a b]]] groups [[name g last-delivered-id 1-1 entries-read 1 lag 1 pel-count 1 \
                 pending [[1-1 c 1700000000000 1]] consumers [\
                 [name b seen-time 1700000000000 active-time -1 pel-count 0 pending []] \
                 [name c seen-time 1700000000000 active-time 1700000000000 pel-count 1 pending [[1-1 1700000000000 1]]]]]]]"
            ),
        );
    }

    #[test]
    fn tells_about_groups() {
        check(
            &format!("{SOME} | XINFO GROUPS s | XINFO CONSUMERS s g | @resp 3 | XINFO GROUPS s"),
            &format!(
                "{REPLIES} | [[name g consumers 2 pending 1 last-delivered-id 1-1 entries-read 1 lag 1]] | \
                 [[name b pending 0 idle 5 inactive -1] [name c pending 1 idle 5 inactive 5]] | ok | \
                 [{{name: g consumers: 2 pending: 1 last-delivered-id: 1-1 entries-read: 1 lag: 1}}]"
            ),
        );
    }

    #[test]
    fn errors() {
        check(
            "XINFO STREAM n | XADD s 1-1 a b | XINFO CONSUMERS s g | XINFO STREAM s FOO | XINFO STREAM s FULL COUNT | XINFO STREAM s FULL COUNT x | XINFO FOO s",
            "ERR no such key | 1-1 | NOGROUP No such consumer group 'g' for key name 's' | \
             ERR unknown subcommand or wrong number of arguments for 'STREAM'. Try XINFO HELP. | \
             ERR unknown subcommand or wrong number of arguments for 'STREAM'. Try XINFO HELP. | \
             ERR value is not an integer or out of range | ERR unknown subcommand 'FOO'. Try XINFO HELP.",
        );
    }
}
