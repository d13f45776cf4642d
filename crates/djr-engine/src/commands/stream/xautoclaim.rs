//! XAUTOCLAIM key group consumer min-idle-time start \[COUNT count\] \[JUSTID\]

use djr_storage::types::Stream;
use djr_storage::types::stream::{Entries, Group as ConsumerGroup, Pending, StreamId};

use super::super::prelude::*;
use super::effects::{Claimed, log_acknowledged, log_claims, log_consumer};
use super::group::{no_key_or_group, update_group};
use super::ids::parse_start;
use super::reply::{reply_entry, reply_id};
use crate::notify::Notify;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "xautoclaim",
    since: "6.2.0",
    group: Group::Stream,
    summary: "Makes a consumer the owner of entries that have been pending for long, whosever they were.",
    complexity: "O(log P + COUNT), P being the number of pending entries",
    syntax: &[
        Arg::key("key", Access::RW.with(Access::DELETE)),
        Arg::string("group"),
        Arg::string("consumer"),
        Arg::string("min-idle-time"),
        Arg::string("start"),
        Arg::integer("count").after("COUNT").optional(),
        Arg::token("justid", "JUSTID").optional(),
    ],
    flags: Flags::WRITE.with(Flags::FAST),
    tips: &["nondeterministic_output"],
    run: Run::Write(xautoclaim),
    ..CommandSpec::DEFAULT
};

/// The most entries that are claimed if nothing is said.
const COUNT: i64 = 100;
/// So many pending entries are looked at for each one that may be claimed.
const ATTEMPTS_PER_ENTRY: i64 = 10;
/// The greatest COUNT: as many ids as fit into Redis's memory.
const COUNT_MAX: i64 = i64::MAX / 16;

struct Options {
    idle_min: i64,
    start: StreamId,
    count: i64,
    just_id: bool,
}

impl Options {
    fn parse(args: &Args<'_>) -> Result<Self, CommandError> {
        let idle_min = args
            .integer(4)
            .map_err(|_| CommandError::text("ERR Invalid min-idle-time argument for XAUTOCLAIM"))?;
        let mut options = Self {
            idle_min: idle_min.max(0),
            start: parse_start(args.get(5))?,
            count: COUNT,
            just_id: false,
        };
        let mut index = 6;
        while index < args.len() {
            if args.is(index, "COUNT") && index + 1 < args.len() {
                let count = args.integer(index + 1).ok();
                options.count = count
                    .filter(|count| (1..=COUNT_MAX).contains(count))
                    .ok_or(CommandError::text("ERR COUNT must be > 0"))?;
                index += 2;
            } else if args.is(index, "JUSTID") {
                options.just_id = true;
                index += 1;
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(options)
    }
}

/// What it changed, to be logged.
#[derive(Default)]
struct Changes {
    new_consumer: bool,
    claims: Vec<Claimed>,
    /// Pending ones whose entries are gone.
    lost: Vec<StreamId>,
}

fn xautoclaim(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    let (key, name, consumer) = (context.key(args, 1), args.get(2), args.get(3));
    // A miss is told even if the options are wrong.
    let is_there = context.db_read().contains(key);
    context.count_lookup(key, is_there);
    let options = Options::parse(args)?;
    let stream = context.object::<Stream>(key)?;
    if stream.is_none_or(|stream| stream.group(name).is_none()) {
        return Err(no_key_or_group(key.bytes, name));
    }
    let now = context.now;
    let changes = update_group(context, key, name, |entries, group| {
        claim(entries, group, consumer, &options, now, reply)
    })?;
    let changes = changes.unwrap_or_default();
    if changes.new_consumer {
        context.notify(Notify::STREAM, "xgroup-createconsumer", key.bytes);
    }
    let mut logged = None;
    if changes.new_consumer && changes.claims.is_empty() {
        logged = Some(log_consumer(context, key, name, consumer));
    }
    if !changes.lost.is_empty() {
        logged = log_acknowledged(context, key, name, &changes.lost);
    }
    if !changes.claims.is_empty() {
        logged = log_claims(context, key, name, consumer, &changes.claims, now);
    }
    Ok(logged.map_or(Effect::None, Effect::Rewritten))
}

fn claim(
    entries: &Entries,
    group: &mut ConsumerGroup,
    consumer: &[u8],
    options: &Options,
    now: UnixMillis,
    reply: &mut Reply<'_>,
) -> Changes {
    let mut changes = Changes::default();
    let (consumer, new) = group.add_consumer(consumer, now);
    changes.new_consumer = new;
    if let Some(consumer) = group.consumer_mut(consumer) {
        consumer.seen_at = now;
    }
    let mut left = options.count;
    let mut attempts = options.count.saturating_mul(ATTEMPTS_PER_ENTRY);
    let mut next = first_pending(group, Some(options.start));
    while let Some((id, pending)) = next
        && attempts > 0
        && left > 0
    {
        attempts -= 1;
        if entries.get(id).is_none() {
            group.acknowledge(id);
            changes.lost.push(id);
            left -= 1;
        } else if options.idle_min == 0
            || now.wrapping_sub(pending.delivered_at) >= options.idle_min
        {
            let more = u64::from(!options.just_id);
            let deliveries = pending.deliveries.wrapping_add(more);
            let pending = Pending {
                consumer,
                delivered_at: now,
                deliveries,
            };
            group.assign(id, pending);
            changes.claims.push(Claimed { id, deliveries });
            left -= 1;
        }
        next = first_pending(group, id.next());
    }
    if !changes.claims.is_empty()
        && let Some(consumer) = group.consumer_mut(consumer)
    {
        consumer.active_at = Some(now);
    }
    let cursor = next.map_or(StreamId::MIN, |(id, _)| id);
    reply_claimed(entries, cursor, &changes, options.just_id, reply);
    changes
}

fn first_pending(group: &ConsumerGroup, from: Option<StreamId>) -> Option<(StreamId, Pending)> {
    let mut pending = group.pending_range(from?..=StreamId::MAX);
    pending.next().map(|(id, pending)| (id, *pending))
}

fn reply_claimed(
    entries: &Entries,
    cursor: StreamId,
    changes: &Changes,
    just_id: bool,
    reply: &mut Reply<'_>,
) {
    reply.array(3);
    reply_id(reply, cursor);
    reply.array(changes.claims.len());
    for claimed in &changes.claims {
        match entries.get(claimed.id) {
            Some(entry) if !just_id => reply_entry(reply, entry),
            _ => reply_id(reply, claimed.id),
        }
    }
    reply.array(changes.lost.len());
    changes.lost.iter().for_each(|id| reply_id(reply, *id));
}

#[cfg(test)]
mod tests {
    use crate::testkit::{check, check_effects};

    const PENDING: &str = "XADD s 1-1 a b | XADD s 1-2 c d | XADD s 1-3 e f | XGROUP CREATE s g 0 | XREADGROUP GROUP g c STREAMS s >";
    const REPLIES: &str = "1-1 | 1-2 | 1-3 | OK | [[s [[1-1 [a b]] [1-2 [c d]] [1-3 [e f]]]]]";

    #[test]
    fn goes_through_what_is_pending() {
        check(
            &format!(
                "{PENDING} | @wait 10 | XAUTOCLAIM s g d 11 - | XAUTOCLAIM s g d 10 - COUNT 1 | XAUTOCLAIM s g d 0 1-2 COUNT 1 JUSTID | XDEL s 1-3 | \
                      XAUTOCLAIM s g e 5 (1-1 | XPENDING s g - + 9 | XAUTOCLAIM s g e 0 0 COUNT 1 JUSTID"
            ),
            &format!(
                "{REPLIES} | ok | [0-0 [] []] | [1-2 [[1-1 [a b]]] []] | [1-3 [1-2] []] | 1 | [0-0 [] [1-3]] | [[1-1 d 0 2] [1-2 d 0 1]] | [1-2 [1-1] []]"
            ),
        );
    }

    #[test]
    fn errors() {
        check(
            "XAUTOCLAIM s g c 0 0 | XAUTOCLAIM s g c x 0 | XAUTOCLAIM s g c 0 x | XAUTOCLAIM s g c 0 0 COUNT 0 | XAUTOCLAIM s g c 0 0 COUNT x | XAUTOCLAIM s g c 0 0 x",
            "NOGROUP No such key 's' or consumer group 'g' | ERR Invalid min-idle-time argument for XAUTOCLAIM | \
             ERR Invalid stream ID specified as stream command argument | ERR COUNT must be > 0 | ERR COUNT must be > 0 | ERR syntax error",
        );
    }

    #[test]
    fn logs_what_it_found() {
        check_effects(
            &format!(
                "{PENDING} | XDEL s 1-2 | @wait 5 | XAUTOCLAIM s g d 1 0 | XAUTOCLAIM s g e 1000 0"
            ),
            "XADD s 1-1 a b | XADD s 1-2 c d | XADD s 1-3 e f | XGROUP CREATE s g 0 | \
             MULTI | XCLAIM s g c 0 1-1 1-2 1-3 TIME 1700000000000 RETRYCOUNT 1 FORCE JUSTID | XGROUP SETID s g 1-3 ENTRIESREAD 3 | EXEC | XDEL s 1-2 | \
             MULTI | XACK s g 1-2 | XCLAIM s g d 0 1-1 1-3 TIME 1700000000005 RETRYCOUNT 2 FORCE JUSTID | EXEC | XGROUP CREATECONSUMER s g e",
        );
    }
}
