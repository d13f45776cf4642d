//! XPENDING key group \[\[IDLE min-idle-time\] start end count \[consumer\]\]

use djr_storage::types::Stream;
use djr_storage::types::stream::{Group as ConsumerGroup, Pending, StreamId};

use super::super::prelude::*;
use super::group::no_key_or_group;
use super::ids::{parse_end, parse_start};
use super::reply::reply_id;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "xpending",
    since: "5.0.0",
    group: Group::Stream,
    summary: "Tells what was delivered to the consumers of a group and is not acknowledged.",
    complexity: "O(log P + N), P being the number of pending entries and N that of those looked at; without a range O(C), C being the number of consumers",
    syntax: &[
        Arg::key("key", Access::READ),
        Arg::string("group"),
        Arg::block(
            "filters",
            &[
                Arg::integer("min-idle-time").after("IDLE").optional(),
                Arg::string("start"),
                Arg::string("end"),
                Arg::integer("count"),
                Arg::string("consumer").optional(),
            ],
        )
        .optional(),
    ],
    flags: Flags::READONLY,
    tips: &["nondeterministic_output"],
    run: Run::Read(xpending),
    ..CommandSpec::DEFAULT
};

struct Filters<'a> {
    idle_min: i64,
    start: StreamId,
    end: StreamId,
    count: usize,
    consumer: Option<&'a [u8]>,
}

impl<'a> Filters<'a> {
    fn parse(args: &Args<'a>) -> Result<Option<Self>, CommandError> {
        match args.len() {
            3 => return Ok(None),
            6..=9 => {}
            _ => return Err(CommandError::Syntax),
        }
        let (mut at, mut idle_min) = (3, 0);
        if args.is(3, "IDLE") {
            idle_min = args.integer(4)?;
            if args.len() < 8 {
                return Err(CommandError::Syntax);
            }
            at = 5;
        }
        let count = args.integer(at + 2)?.max(0) as usize;
        Ok(Some(Self {
            idle_min,
            start: parse_start(args.get(at))?,
            end: parse_end(args.get(at + 1))?,
            count,
            consumer: (at + 3 < args.len()).then(|| args.get(at + 3)),
        }))
    }
}

fn xpending(
    context: &mut ReadContext<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    let filters = Filters::parse(args)?;
    let key = context.key(args, 1);
    let stream = context.object::<Stream>(key)?;
    let group = stream.and_then(|stream| stream.group(args.get(2)));
    let group = group.ok_or_else(|| no_key_or_group(key.bytes, args.get(2)))?;
    match filters {
        Some(filters) => reply_pending(group, &filters, context.now, reply),
        None => reply_summary(group, reply),
    }
    Ok(())
}

fn reply_summary(group: &ConsumerGroup, reply: &mut Reply<'_>) {
    reply.array(4);
    reply.integer(group.pending_len() as i64);
    let Some((first, last)) = group.pending_edges() else {
        reply.null();
        reply.null();
        reply.null_array();
        return;
    };
    reply_id(reply, first);
    reply_id(reply, last);
    let (mark, mut len) = (reply.array_later(), 0);
    for consumer in group
        .consumers()
        .filter(|consumer| consumer.pending_len() > 0)
    {
        reply.array(2);
        reply.bulk(consumer.name());
        reply.bulk_integer(consumer.pending_len() as i64);
        len += 1;
    }
    reply.finish(mark, len);
}

fn reply_pending(
    group: &ConsumerGroup,
    filters: &Filters<'_>,
    now: UnixMillis,
    reply: &mut Reply<'_>,
) {
    let ids = filters.start..=filters.end;
    let wanted = |(_, pending): &(StreamId, &Pending)| {
        filters.idle_min == 0 || now.wrapping_sub(pending.delivered_at) >= filters.idle_min
    };
    match filters.consumer {
        None => reply_list(
            group,
            group.pending_range(ids).filter(wanted),
            filters.count,
            now,
            reply,
        ),
        Some(name) => {
            let consumer = group
                .find_consumer(name)
                .and_then(|index| group.consumer(index));
            let pending = consumer
                .into_iter()
                .flat_map(|consumer| consumer.pending(ids.clone()))
                .filter_map(|id| Some((id, group.pending(id)?)));
            reply_list(group, pending.filter(wanted), filters.count, now, reply);
        }
    }
}

fn reply_list<'a>(
    group: &ConsumerGroup,
    pending: impl Iterator<Item = (StreamId, &'a Pending)>,
    count: usize,
    now: UnixMillis,
    reply: &mut Reply<'_>,
) {
    let (mark, mut len) = (reply.array_later(), 0);
    for (id, pending) in pending.take(count) {
        reply.array(4);
        reply_id(reply, id);
        let consumer = group.consumer(pending.consumer);
        reply.bulk(consumer.map_or(b"", |consumer| consumer.name()));
        reply.integer(now.wrapping_sub(pending.delivered_at).max(0));
        reply.integer(pending.deliveries as i64);
        len += 1;
    }
    reply.finish(mark, len);
}

#[cfg(test)]
mod tests {
    use crate::testkit::check;

    const PENDING: &str = "XADD s 1-1 a b | XADD s 1-2 a b | XADD s 1-3 a b | XGROUP CREATE s g 0 | XREADGROUP GROUP g b COUNT 2 STREAMS s > | @wait 50 | \
        XREADGROUP GROUP g a STREAMS s > | @wait 7";
    const REPLIES: &str =
        "1-1 | 1-2 | 1-3 | OK | [[s [[1-1 [a b]] [1-2 [a b]]]]] | ok | [[s [[1-3 [a b]]]]] | ok";

    #[test]
    fn summary_and_range() {
        check(
            &format!(
                "{PENDING} | XPENDING s g | XPENDING s g - + 10 | XPENDING s g IDLE 50 - + 1 | XPENDING s g (1-1 + 10 b | XPENDING s g - + 10 x | \
                      XPENDING s g - + -1 | XPENDING s g + - 5"
            ),
            &format!(
                "{REPLIES} | [3 1-1 1-3 [[a 1] [b 2]]] | [[1-1 b 57 1] [1-2 b 57 1] [1-3 a 7 1]] | [[1-1 b 57 1]] | [[1-2 b 57 1]] | [] | [] | []"
            ),
        );
    }

    #[test]
    fn errors() {
        check(
            "XPENDING s g | XGROUP CREATE s g 0 MKSTREAM | XPENDING s g | XPENDING s h | XPENDING s g - | XPENDING s g - + x | XPENDING s g IDLE 5 - + | \
             XPENDING s g x + 5 | XPENDING s g (18446744073709551615-18446744073709551615 + 5",
            "NOGROUP No such key 's' or consumer group 'g' | OK | [0 (nil) (nil) (nil)] | NOGROUP No such key 's' or consumer group 'h' | \
             ERR syntax error | ERR value is not an integer or out of range | ERR syntax error | \
             ERR Invalid stream ID specified as stream command argument | ERR invalid start ID for the interval",
        );
    }
}
