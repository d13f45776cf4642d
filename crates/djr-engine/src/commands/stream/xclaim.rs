//! XCLAIM key group consumer min-idle-time id … \[IDLE ms\] \[TIME unix-time-milliseconds\] \[RETRYCOUNT count\] \[FORCE\] \[JUSTID\] \[LASTID lastid\]

use djr_storage::types::Stream;
use djr_storage::types::stream::{Entries, Group as ConsumerGroup, Pending, StreamId};

use super::super::prelude::*;
use super::effects::{Claimed, log_acknowledged, log_claims, log_consumer, log_group_id};
use super::group::{no_key_or_group, update_group};
use super::ids::parse_strict;
use super::reply::{reply_entry, reply_id};
use crate::error::quoted;
use crate::notify::Notify;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "xclaim",
    since: "5.0.0",
    group: Group::Stream,
    summary: "Makes a consumer the owner of entries that are pending for others.",
    complexity: "O(log P) per id, P being the number of pending entries",
    syntax: &[
        Arg::key("key", Access::RW.with(Access::UPDATE)),
        Arg::string("group"),
        Arg::string("consumer"),
        Arg::string("min-idle-time"),
        Arg::string("id").multiple(),
        Arg::integer("ms").after("IDLE").optional(),
        Arg::unix_time("unix-time-milliseconds")
            .after("TIME")
            .optional(),
        Arg::integer("count").after("RETRYCOUNT").optional(),
        Arg::token("force", "FORCE").optional(),
        Arg::token("justid", "JUSTID").optional(),
        Arg::string("lastid").after("LASTID").optional(),
    ],
    flags: Flags::WRITE.with(Flags::FAST),
    tips: &["nondeterministic_output"],
    run: Run::Write(xclaim),
    ..CommandSpec::DEFAULT
};

struct Options {
    idle_min: i64,
    ids: Vec<StreamId>,
    delivered_at: UnixMillis,
    deliveries: Option<u64>,
    force: bool,
    just_id: bool,
    last_id: StreamId,
}

impl Options {
    fn parse(args: &Args<'_>, now: UnixMillis) -> Result<Self, CommandError> {
        let idle_min = integer(args, 4, "min-idle-time argument")?;
        let ids: Vec<_> = args
            .from(5)
            .map_while(|text| parse_strict(text, 0).ok())
            .collect();
        let mut index = 5 + ids.len();
        let mut options = Self {
            idle_min: idle_min.max(0),
            ids,
            delivered_at: -1,
            deliveries: None,
            force: false,
            just_id: false,
            last_id: StreamId::MIN,
        };
        while index < args.len() {
            index += options.take(args, index, now)?;
        }
        // A clock that is ahead of ours is no reason to refuse. While the log is replayed there is no clock.
        if options.delivered_at < 0 || options.delivered_at > now && now > 0 {
            options.delivered_at = now;
        }
        Ok(options)
    }

    /// Takes the option at `index` and returns how many arguments it is long.
    fn take(
        &mut self,
        args: &Args<'_>,
        index: usize,
        now: UnixMillis,
    ) -> Result<usize, CommandError> {
        let more = index + 1 < args.len();
        if args.is(index, "FORCE") {
            self.force = true;
            return Ok(1);
        } else if args.is(index, "JUSTID") {
            self.just_id = true;
            return Ok(1);
        } else if args.is(index, "IDLE") && more {
            let idle = integer(args, index + 1, "IDLE option argument")?;
            self.delivered_at = now.wrapping_sub(idle);
        } else if args.is(index, "TIME") && more {
            self.delivered_at = integer(args, index + 1, "TIME option argument")?;
        } else if args.is(index, "RETRYCOUNT") && more {
            let count = integer(args, index + 1, "RETRYCOUNT option argument")?;
            self.deliveries = u64::try_from(count).ok();
        } else if args.is(index, "LASTID") && more {
            self.last_id = parse_strict(args.get(index + 1), 0)?;
        } else {
            return Err(CommandError::format(format!(
                "ERR Unrecognized XCLAIM option '{}'",
                quoted(args.get(index), usize::MAX)
            )));
        }
        Ok(2)
    }

    /// When the consumer has been seen: now, and while the log is replayed, when the entries were delivered.
    fn seen_at(&self, now: UnixMillis) -> UnixMillis {
        if now > 0 { now } else { self.delivered_at }
    }
}

fn integer(args: &Args<'_>, index: usize, what: &str) -> Result<i64, CommandError> {
    args.integer(index)
        .map_err(|_| CommandError::format(format!("ERR Invalid {what} for XCLAIM")))
}

/// What it changed, to be logged.
#[derive(Default)]
struct Changes {
    new_consumer: bool,
    claims: Vec<Claimed>,
    /// Pending ones whose entries are gone.
    lost: Vec<StreamId>,
    group_id: Option<(StreamId, Option<i64>)>,
}

fn xclaim(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    let (key, name, consumer) = (context.key(args, 1), args.get(2), args.get(3));
    let stream = context.counted_object::<Stream>(key)?;
    if stream.is_none_or(|stream| stream.group(name).is_none()) {
        return Err(no_key_or_group(key.bytes, name));
    }
    let (options, now) = (Options::parse(args, context.now)?, context.now);
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
        let time = options.delivered_at;
        logged = log_claims(context, key, name, consumer, &changes.claims, time);
    }
    if let Some((last_id, read)) = changes.group_id {
        logged = Some(log_group_id(context, key, name, last_id, read));
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
    if options.last_id > group.last_id {
        group.last_id = options.last_id;
        changes.group_id = Some((group.last_id, group.entries_read));
    }
    let seen_at = options.seen_at(now);
    let (consumer, new) = group.add_consumer(consumer, seen_at);
    changes.new_consumer = new;
    if let Some(consumer) = group.consumer_mut(consumer) {
        consumer.seen_at = seen_at;
    }
    let mark = reply.array_later();
    for &id in &options.ids {
        let Some(entry) = entries.get(id) else {
            if group.acknowledge(id) {
                changes.lost.push(id);
            }
            continue;
        };
        let deliveries = match group.pending(id) {
            Some(pending)
                if options.idle_min > 0
                    && now.wrapping_sub(pending.delivered_at) < options.idle_min =>
            {
                continue;
            }
            Some(pending) => pending.deliveries,
            // Redis counts the forced entry as delivered once before.
            None if options.force => 1,
            None => continue,
        };
        let deliveries = match options.deliveries {
            Some(deliveries) => deliveries,
            None if options.just_id => deliveries,
            None => deliveries.wrapping_add(1),
        };
        let pending = Pending {
            consumer,
            delivered_at: options.delivered_at,
            deliveries,
        };
        group.assign(id, pending);
        if let Some(consumer) = group.consumer_mut(consumer) {
            consumer.active_at = Some(seen_at);
        }
        changes.claims.push(Claimed { id, deliveries });
        if options.just_id {
            reply_id(reply, id);
        } else {
            reply_entry(reply, entry);
        }
    }
    reply.finish(mark, changes.claims.len());
    changes
}

#[cfg(test)]
mod tests {
    use crate::testkit::{check, check_effects};

    const PENDING: &str = "XADD s 1-1 a b | XADD s 1-2 c d | XADD s 1-3 e f | XGROUP CREATE s g 0 | XREADGROUP GROUP g c COUNT 2 STREAMS s >";
    const REPLIES: &str = "1-1 | 1-2 | 1-3 | OK | [[s [[1-1 [a b]] [1-2 [c d]]]]]";

    #[test]
    fn moves_what_is_idle() {
        check(
            &format!(
                "{PENDING} | @wait 10 | XCLAIM s g d 11 1-1 1-2 | XCLAIM s g d 10 1-1 1-3 5-5 | XPENDING s g - + 9 | XCLAIM s g d 0 1-2 JUSTID | \
                      XCLAIM s g d 0 1-1 IDLE 5 RETRYCOUNT 9 | XPENDING s g - + 9 | XCLAIM s g e 0 1-3 FORCE | XCLAIM s g e 0 1-3 TIME 1699999999000 JUSTID | XPENDING s g - + 9 e"
            ),
            &format!(
                "{REPLIES} | ok | [] | [[1-1 [a b]]] | [[1-1 d 0 2] [1-2 c 10 1]] | [1-2] | [[1-1 [a b]]] | [[1-1 d 5 9] [1-2 d 0 1]] | \
                      [[1-3 [e f]]] | [1-3] | [[1-3 e 1010 2]]"
            ),
        );
    }

    #[test]
    fn forgets_what_was_deleted() {
        check(
            &format!(
                "{PENDING} | XDEL s 1-1 | XCLAIM s g d 0 1-1 1-2 LASTID 1-3 | XPENDING s g | XREADGROUP GROUP g c STREAMS s >"
            ),
            &format!("{REPLIES} | 1 | [[1-2 [c d]]] | [1 1-2 1-2 [[d 1]]] | (nil)"),
        );
    }

    #[test]
    fn errors() {
        check(
            "XCLAIM s g c 0 1-1 | XGROUP CREATE s g 0 MKSTREAM | XCLAIM s g c x 1-1 | XCLAIM s g c 0 1-1 IDLE x | XCLAIM s g c 0 1-1 TIME x | \
             XCLAIM s g c 0 1-1 RETRYCOUNT x | XCLAIM s g c 0 1-1 LASTID x | XCLAIM s g c 0 1-1 x | XCLAIM s g c 0 1-1 IDLE | XCLAIM s h c 0 1-1",
            "NOGROUP No such key 's' or consumer group 'g' | OK | ERR Invalid min-idle-time argument for XCLAIM | ERR Invalid IDLE option argument for XCLAIM | \
             ERR Invalid TIME option argument for XCLAIM | ERR Invalid RETRYCOUNT option argument for XCLAIM | \
             ERR Invalid stream ID specified as stream command argument | ERR Unrecognized XCLAIM option 'x' | ERR Unrecognized XCLAIM option 'IDLE' | \
             NOGROUP No such key 's' or consumer group 'h'",
        );
    }

    #[test]
    fn logs_what_it_found() {
        check_effects(
            &format!(
                "{PENDING} | XDEL s 1-1 | @wait 5 | XCLAIM s g d 1 1-1 1-2 1-3 FORCE LASTID 1-3 | XCLAIM s g x 1000 1-3"
            ),
            "XADD s 1-1 a b | XADD s 1-2 c d | XADD s 1-3 e f | XGROUP CREATE s g 0 | \
             MULTI | XCLAIM s g c 0 1-1 1-2 TIME 1700000000000 RETRYCOUNT 1 FORCE JUSTID | XGROUP SETID s g 1-2 ENTRIESREAD 2 | EXEC | XDEL s 1-1 | \
             MULTI | XACK s g 1-1 | XCLAIM s g d 0 1-2 1-3 TIME 1700000000005 RETRYCOUNT 2 FORCE JUSTID | XGROUP SETID s g 1-3 ENTRIESREAD 2 | EXEC | \
             XGROUP CREATECONSUMER s g x",
        );
    }
}
