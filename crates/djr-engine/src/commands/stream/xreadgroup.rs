//! XREADGROUP GROUP group consumer \[COUNT count\] \[BLOCK milliseconds\] \[CLAIM min-idle-time\] \[NOACK\] STREAMS key … id …

use djr_storage::types::Stream;
use djr_storage::types::stream::{
    ConsumerIndex, Entries, Group as ConsumerGroup, Pending, StreamId,
};

use super::super::prelude::*;
use super::effects::{Claimed, log_acknowledged, log_claims, log_consumer, log_group_id};
use super::group::update_group;
use super::ids::parse_strict;
use super::read_options::ReadOptions;
use super::reply::{reply_entry, reply_entry_parts, reply_id};
use super::xread::{STREAMS, StreamReplies, keys_after_streams};
use crate::blocking::BlockedOn;
use crate::error::quoted;
use crate::notify::Notify;
use crate::spec::Keys;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "xreadgroup",
    since: "5.0.0",
    group: Group::Stream,
    summary: "Delivers entries to a consumer of a group: new ones, or those that it has not acknowledged.",
    complexity: "O(log B + N log P) per stream, B being the number of blocks, N that of the entries returned and P that of pending ones",
    syntax: &[
        Arg::block(
            "group-block",
            &[Arg::string("group"), Arg::string("consumer")],
        )
        .after("GROUP"),
        Arg::integer("count").after("COUNT").optional(),
        Arg::integer("milliseconds").after("BLOCK").optional(),
        Arg::integer("min-idle-time").after("CLAIM").optional(),
        Arg::token("noack", "NOACK").optional(),
        STREAMS,
    ],
    flags: Flags::WRITE.with(Flags::BLOCKING),
    keys: Keys::Explicit(&[keys_after_streams(4)]),
    find_keys: Some(find_keys),
    run: Run::Write(xreadgroup),
    ..CommandSpec::DEFAULT
};

/// The keys behind STREAMS where that is an option: a group, or a consumer, may have this name too.
fn find_keys(args: &Args<'_>, found: &mut dyn FnMut(usize, Access)) {
    let mut index = 1;
    while index < args.len() {
        index += match () {
            () if args.is(index, "STREAMS") => {
                let first = index + 1;
                let keys = (args.len() - first) / 2;
                return (first..first + keys).for_each(|key| found(key, Access::READ));
            }
            () if args.is(index, "GROUP") => 3,
            () if args.is(index, "NOACK") => 1,
            () => 2,
        };
    }
}

/// What of a stream is wanted.
#[derive(Clone, Copy)]
enum Wanted {
    /// `>`: what no consumer has got.
    New,
    /// What this consumer has got behind this id, and not acknowledged.
    Behind(StreamId),
}

/// Delivering of one stream.
struct Delivery<'a> {
    wanted: Wanted,
    group: &'a [u8],
    consumer: &'a [u8],
    count: usize,
    no_ack: bool,
    claim: Option<i64>,
    now: UnixMillis,
}

/// What it changed, to be logged.
#[derive(Default)]
struct Delivered {
    /// The consumer is new.
    new_consumer: bool,
    claims: Vec<Claimed>,
    /// Pending ones whose entries are gone.
    lost: Vec<StreamId>,
    /// The group has come further: its last id, and how many it has read.
    group_id: Option<(StreamId, Option<i64>)>,
}

fn xreadgroup(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    let options = ReadOptions::parse(context, args, true)?;
    let (group, consumer) = options.group.unwrap_or_default();
    let mut wanted = Vec::with_capacity(options.keys);
    for index in 0..options.keys {
        let key = context.key(args, options.key(index));
        let stream = context.object::<Stream>(key)?;
        context.count_lookup(key, stream.is_some());
        if stream.is_none_or(|stream| stream.group(group).is_none()) {
            return Err(no_group_to_read(key.bytes, group));
        }
        wanted.push(parse_wanted(args.get(options.id(index)))?);
    }
    let mut out = StreamReplies::begin(reply);
    let mut logged = None;
    for (index, wanted) in wanted.into_iter().enumerate() {
        let key = context.key(args, options.key(index));
        let delivery = Delivery {
            wanted,
            group,
            consumer,
            count: options.count,
            no_ack: options.no_ack,
            claim: options.claim,
            now: context.now,
        };
        if let Some(effect) = delivery.run(context, key, &mut out)? {
            logged = Some(effect);
        }
    }
    if out.finish() {
        return Ok(logged.map_or(Effect::None, Effect::Rewritten));
    }
    match options.block {
        Some(timeout) if context.may_block() => {
            if let Some(at) = next_claim(context, args, &options)? {
                context.try_again_at(at);
            }
            context.block(options.all_keys(), BlockedOn::ConsumerGroup, timeout)
        }
        _ => {
            reply.null_array();
            Ok(logged.map_or(Effect::None, Effect::Rewritten))
        }
    }
}

/// The shortest time between two looks at what is pending.
const RETRY_INTERVAL_MS: i64 = 10;

/// When an entry may have been pending for long enough, if that is what is waited for: by what is pending now, and what may be
/// delivered to others from now on.
fn next_claim(
    context: &WriteContext<'_, '_>,
    args: &Args<'_>,
    options: &ReadOptions<'_>,
) -> Result<Option<UnixMillis>, CommandError> {
    let (Some(idle_min), Some((name, _))) = (options.claim, options.group) else {
        return Ok(None);
    };
    let mut since = context.now;
    for index in 0..options.keys {
        let stream = context.object::<Stream>(context.key(args, options.key(index)))?;
        let group = stream.and_then(|stream| stream.group(name));
        since = since.min(
            group
                .and_then(ConsumerGroup::oldest_delivery)
                .unwrap_or(since),
        );
    }
    let earliest = context.now.saturating_add(RETRY_INTERVAL_MS);
    Ok(Some(since.saturating_add(idle_min).max(earliest)))
}

fn parse_wanted(text: &[u8]) -> Result<Wanted, CommandError> {
    match text {
        b">" => Ok(Wanted::New),
        b"$" | b"+" => {
            let text = String::from_utf8_lossy(text);
            Err(CommandError::format(format!(
                "ERR The {text} ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer by specifying a \
                 proper ID, or use the > ID to get new messages. The {text} ID would just return an empty result set."
            )))
        }
        text => Ok(match parse_strict(text, 0)? {
            // Nothing is behind it, so Redis takes it for its sign of new ones.
            StreamId::MAX => Wanted::New,
            id => Wanted::Behind(id),
        }),
    }
}

#[cold]
fn no_group_to_read(key: &[u8], group: &[u8]) -> CommandError {
    CommandError::format(format!(
        "NOGROUP No such key '{}' or consumer group '{}' in XREADGROUP with GROUP option",
        quoted(key, usize::MAX),
        quoted(group, usize::MAX)
    ))
}

impl Delivery<'_> {
    /// Delivers, and logs that.
    fn run(
        &self,
        context: &mut WriteContext<'_, '_>,
        key: Key<'_>,
        out: &mut StreamReplies<'_, '_>,
    ) -> Result<Option<crate::effect::Rewritten>, CommandError> {
        // Whoever waits is looked at again and again: that is no reason to change anything.
        if context.runs_again() && !self.may_deliver(context, key)? {
            return Ok(None);
        }
        let delivered = update_group(context, key, self.group, |entries, group| {
            self.deliver(entries, group, key.bytes, out)
        })?;
        let delivered = delivered.unwrap_or_default();
        if delivered.new_consumer {
            context.notify(Notify::STREAM, "xgroup-createconsumer", key.bytes);
        }
        Ok(self.log(context, key, &delivered))
    }

    fn may_deliver(
        &self,
        context: &WriteContext<'_, '_>,
        key: Key<'_>,
    ) -> Result<bool, CommandError> {
        let Some(stream) = context.object::<Stream>(key)? else {
            return Ok(false);
        };
        let Some(group) = stream.group(self.group) else {
            return Ok(false);
        };
        let has_new = stream.entries().last_live_id() > Some(group.last_id);
        Ok(has_new || self.claim.is_some() || matches!(self.wanted, Wanted::Behind(_)))
    }

    fn deliver(
        &self,
        entries: &Entries,
        group: &mut ConsumerGroup,
        key: &[u8],
        out: &mut StreamReplies<'_, '_>,
    ) -> Delivered {
        let mut delivered = Delivered::default();
        let (consumer, new) = group.add_consumer(self.consumer, self.now);
        delivered.new_consumer = new;
        if let Some(consumer) = group.consumer_mut(consumer) {
            consumer.seen_at = self.now;
        }
        match self.wanted {
            Wanted::Behind(id) => self.deliver_again(
                entries,
                group,
                consumer,
                id,
                out.stream(key),
                &mut delivered,
            ),
            Wanted::New => {
                let claimable = self.claimable(entries, group, &mut delivered);
                let has_new = entries.last_live_id() > Some(group.last_id);
                if claimable.is_empty() && !has_new {
                    return delivered;
                }
                let reply = out.stream(key);
                let mark = reply.array_later();
                let claimed = self.deliver_claimed(
                    entries,
                    group,
                    consumer,
                    &claimable,
                    reply,
                    &mut delivered,
                );
                let new =
                    self.deliver_new(entries, group, consumer, claimed, reply, &mut delivered);
                reply.finish(mark, claimed + new);
            }
        }
        delivered
    }

    /// What has been pending long enough to be delivered again. What is pending though its entry is gone is taken off the list.
    fn claimable(
        &self,
        entries: &Entries,
        group: &mut ConsumerGroup,
        delivered: &mut Delivered,
    ) -> Vec<StreamId> {
        let Some(idle_min) = self.claim else {
            return Vec::new();
        };
        loop {
            let until = self.now.saturating_sub(idle_min);
            let mut ids = group.pending_since(until, self.count);
            let lost: Vec<StreamId> = ids
                .extract_if(.., |id| entries.get(*id).is_none())
                .collect();
            lost.iter().for_each(|id| {
                group.acknowledge(*id);
            });
            let all_there = lost.is_empty();
            delivered.lost.extend(lost);
            if all_there {
                return ids;
            }
        }
    }

    fn deliver_claimed(
        &self,
        entries: &Entries,
        group: &mut ConsumerGroup,
        consumer: ConsumerIndex,
        ids: &[StreamId],
        reply: &mut Reply<'_>,
        delivered: &mut Delivered,
    ) -> usize {
        let mut count = 0;
        for id in ids {
            let (Some(entry), Some(pending)) = (entries.get(*id), group.pending(*id).copied())
            else {
                continue;
            };
            reply.array(4);
            reply_entry_parts(reply, entry);
            reply.integer(self.now.saturating_sub(pending.delivered_at));
            reply.integer(pending.deliveries as i64);
            let deliveries = pending.deliveries.wrapping_add(1);
            self.assign(group, *id, consumer, deliveries, delivered);
            count += 1;
        }
        count
    }

    /// Delivers new entries, if fewer than asked for were delivered again.
    fn deliver_new(
        &self,
        entries: &Entries,
        group: &mut ConsumerGroup,
        consumer: ConsumerIndex,
        claimed: usize,
        reply: &mut Reply<'_>,
        delivered: &mut Delivered,
    ) -> usize {
        let Some(next) = group.last_id.next() else {
            return 0;
        };
        let mut count = 0;
        for entry in entries
            .range(next, StreamId::MAX)
            .take(self.count - claimed)
        {
            group.advance(entries, entry.id());
            if self.claim.is_some() {
                reply.array(4);
                reply_entry_parts(reply, entry);
                reply.integer(0);
                reply.integer(0);
            } else {
                reply_entry(reply, entry);
            }
            if !self.no_ack {
                self.assign(group, entry.id(), consumer, 1, delivered);
            }
            count += 1;
        }
        if count > 0 {
            delivered.group_id = Some((group.last_id, group.entries_read));
        }
        count
    }

    /// Delivers what this consumer has got already.
    fn deliver_again(
        &self,
        entries: &Entries,
        group: &mut ConsumerGroup,
        consumer: ConsumerIndex,
        id: StreamId,
        reply: &mut Reply<'_>,
        delivered: &mut Delivered,
    ) {
        let ids: Vec<StreamId> = match (id.next(), group.consumer(consumer)) {
            (Some(next), Some(consumer)) => consumer
                .pending(next..=StreamId::MAX)
                .take(self.count)
                .collect(),
            _ => Vec::new(),
        };
        reply.array(ids.len());
        for id in ids {
            match (entries.get(id), group.pending(id).copied()) {
                (Some(entry), Some(pending)) => {
                    reply_entry(reply, entry);
                    let deliveries = pending.deliveries.wrapping_add(1);
                    let pending = Pending {
                        consumer,
                        delivered_at: self.now,
                        deliveries,
                    };
                    group.assign(id, pending);
                    delivered.claims.push(Claimed { id, deliveries });
                }
                _ => {
                    reply.array(2);
                    reply_id(reply, id);
                    reply.null_array();
                }
            }
        }
    }

    fn assign(
        &self,
        group: &mut ConsumerGroup,
        id: StreamId,
        consumer: ConsumerIndex,
        deliveries: u64,
        delivered: &mut Delivered,
    ) {
        let pending = Pending {
            consumer,
            delivered_at: self.now,
            deliveries,
        };
        group.assign(id, pending);
        if let Some(consumer) = group.consumer_mut(consumer) {
            consumer.active_at = Some(self.now);
        }
        delivered.claims.push(Claimed { id, deliveries });
    }

    fn log(
        &self,
        context: &mut WriteContext<'_, '_>,
        key: Key<'_>,
        delivered: &Delivered,
    ) -> Option<crate::effect::Rewritten> {
        let mut logged = None;
        if delivered.new_consumer && delivered.claims.is_empty() {
            logged = Some(log_consumer(context, key, self.group, self.consumer));
        }
        if !delivered.lost.is_empty() {
            logged = log_acknowledged(context, key, self.group, &delivered.lost);
        }
        if !delivered.claims.is_empty() {
            logged = log_claims(
                context,
                key,
                self.group,
                self.consumer,
                &delivered.claims,
                self.now,
            );
        }
        if let Some((last_id, read)) = delivered.group_id {
            logged = Some(log_group_id(context, key, self.group, last_id, read));
        }
        logged
    }
}

#[cfg(test)]
mod tests {
    use crate::testkit::{Bench, check, check_effects};

    const SOME: &str = "XADD s 1-1 a b | XADD s 1-2 c d | XADD s 1-3 e f | XGROUP CREATE s g 0";
    const REPLIES: &str = "1-1 | 1-2 | 1-3 | OK";

    #[test]
    fn each_entry_goes_to_one_consumer() {
        check(
            &format!(
                "{SOME} | XREADGROUP GROUP g a COUNT 2 STREAMS s > | XREADGROUP GROUP g b STREAMS s > | XREADGROUP GROUP g b STREAMS s > | XPENDING s g - + 9"
            ),
            &format!(
                "{REPLIES} | [[s [[1-1 [a b]] [1-2 [c d]]]]] | [[s [[1-3 [e f]]]]] | (nil) | [[1-1 a 0 1] [1-2 a 0 1] [1-3 b 0 1]]"
            ),
        );
    }

    #[test]
    fn a_group_may_be_called_like_an_option() {
        let (mut lines, mut replies) = (String::new(), String::new());
        for name in 0..20 {
            lines += &format!(
                "XGROUP CREATE s{name} streams $ MKSTREAM | XADD s{name} 1-1 a b | \
                 XREADGROUP COUNT 1 GROUP streams streams STREAMS s{name} > | "
            );
            replies += &format!("OK | 1-1 | [[s{name} [[1-1 [a b]]]]] | ");
        }
        check(&format!("{lines}EXISTS s0"), &format!("{replies}1"));
    }

    #[test]
    fn what_is_pending_comes_again() {
        check(
            &format!(
                "{SOME} | XREADGROUP GROUP g a STREAMS s > | @wait 5 | XDEL s 1-2 | XREADGROUP GROUP g a COUNT 2 STREAMS s 0 | XREADGROUP GROUP g b STREAMS s 0 | \
                      XREADGROUP GROUP g a STREAMS s 1-2 | XPENDING s g - + 9 | @resp 3 | XREADGROUP GROUP g a STREAMS s 1-1"
            ),
            &format!(
                "{REPLIES} | [[s [[1-1 [a b]] [1-2 [c d]] [1-3 [e f]]]]] | ok | 1 | [[s [[1-1 [a b]] [1-2 (nil)]]]] | [[s []]] | \
                      [[s [[1-3 [e f]]]]] | [[1-1 a 0 2] [1-2 a 5 1] [1-3 a 0 2]] | ok | {{s: [[1-2 (nil)] [1-3 [e f]]]}}"
            ),
        );
    }

    #[test]
    fn without_acknowledgement() {
        check(
            &format!(
                "{SOME} | XREADGROUP GROUP g a NOACK COUNT 2 STREAMS s > | XPENDING s g | XINFO GROUPS s | XREADGROUP GROUP g a NOACK STREAMS s >"
            ),
            &format!(
                "{REPLIES} | [[s [[1-1 [a b]] [1-2 [c d]]]]] | [0 (nil) (nil) (nil)] | \
                      [[name g consumers 1 pending 0 last-delivered-id 1-2 entries-read 2 lag 1]] | [[s [[1-3 [e f]]]]]"
            ),
        );
    }

    #[test]
    fn claims_what_is_idle_first() {
        check(
            &format!(
                "{SOME} | XREADGROUP GROUP g a COUNT 1 STREAMS s > | @wait 10 | XREADGROUP GROUP g a COUNT 1 STREAMS s > | @wait 5 | \
                      XREADGROUP GROUP g b CLAIM 11 STREAMS s > | XREADGROUP GROUP g b CLAIM 5 COUNT 1 STREAMS s > | XREADGROUP GROUP g b CLAIM 5 STREAMS s > | XPENDING s g - + 9"
            ),
            &format!(
                "{REPLIES} | [[s [[1-1 [a b]]]]] | ok | [[s [[1-2 [c d]]]]] | ok | [[s [[1-1 [a b] 15 1] [1-3 [e f] 0 0]]]] | [[s [[1-2 [c d] 5 1]]]] | (nil) | \
                      [[1-1 b 0 2] [1-2 b 0 2] [1-3 b 0 1]]"
            ),
        );
        check(
            &format!(
                "{SOME} | XREADGROUP GROUP g a STREAMS s > | XDEL s 1-1 | XREADGROUP GROUP g b CLAIM 0 COUNT 1 STREAMS s > | XPENDING s g - + 9"
            ),
            &format!(
                "{REPLIES} | [[s [[1-1 [a b]] [1-2 [c d]] [1-3 [e f]]]]] | 1 | [[s [[1-2 [c d] 0 1]]]] | [[1-2 b 0 2] [1-3 a 0 1]]"
            ),
        );
    }

    #[test]
    fn errors() {
        check(
            "XREADGROUP GROUP g a STREAMS s > | XGROUP CREATE s g 0 MKSTREAM | XREADGROUP GROUP h a STREAMS s > | XREADGROUP GROUP g a STREAMS s t > | \
             XREADGROUP COUNT 1 NOACK NOACK STREAMS s > | XREADGROUP GROUP g a STREAMS s x | XREADGROUP GROUP g a FOO STREAMS s > | XREADGROUP GROUP g a CLAIM x STREAMS s > | XREADGROUP GROUP g a STREAMS s +",
            "NOGROUP No such key 's' or consumer group 'g' in XREADGROUP with GROUP option | OK | \
             NOGROUP No such key 's' or consumer group 'h' in XREADGROUP with GROUP option | \
             ERR Unbalanced 'xreadgroup' list of streams: for each stream key an ID or '>' must be specified. | \
             ERR Missing GROUP option for XREADGROUP | ERR Invalid stream ID specified as stream command argument | ERR syntax error | \
             ERR value is not an integer or out of range | \
             ERR The + ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer by specifying a proper ID, or use the > ID \
             to get new messages. The + ID would just return an empty result set.",
        );
    }

    #[test]
    fn logs_what_is_pending_then() {
        check_effects(
            &format!(
                "{SOME} | XREADGROUP GROUP g a NOACK COUNT 1 STREAMS s > | XREADGROUP GROUP g b COUNT 1 STREAMS s > | @wait 3 | XREADGROUP GROUP g b STREAMS s 0 | \
                      XREADGROUP GROUP g c STREAMS s 0 | XREADGROUP GROUP g b CLAIM 0 STREAMS s >"
            ),
            "XADD s 1-1 a b | XADD s 1-2 c d | XADD s 1-3 e f | XGROUP CREATE s g 0 | \
             MULTI | XGROUP CREATECONSUMER s g a | XGROUP SETID s g 1-1 ENTRIESREAD 1 | EXEC | \
             MULTI | XCLAIM s g b 0 1-2 TIME 1700000000000 RETRYCOUNT 1 FORCE JUSTID | XGROUP SETID s g 1-2 ENTRIESREAD 2 | EXEC | \
             XCLAIM s g b 0 1-2 TIME 1700000000003 RETRYCOUNT 2 FORCE JUSTID | XGROUP CREATECONSUMER s g c | \
             MULTI | XCLAIM s g b 0 1-2 TIME 1700000000003 RETRYCOUNT 3 FORCE JUSTID | XCLAIM s g b 0 1-3 TIME 1700000000003 RETRYCOUNT 1 FORCE JUSTID | \
             XGROUP SETID s g 1-3 ENTRIESREAD 3 | EXEC",
        );
    }

    /// What the rewrite of the log makes of a stream, and what that makes of it again.
    #[test]
    fn is_made_again_from_commands() {
        let mut bench = Bench::new();
        let script = "XGROUP CREATE s g 0 MKSTREAM | XADD s 1-1 a b | XADD s 1-2 a b | XADD s 1-3 a b | XADD s 1-4 12 -5 | XREADGROUP GROUP g c STREAMS s > | \
             XREADGROUP GROUP g c STREAMS s 0 | XGROUP CREATE s h $ | XGROUP CREATECONSUMER s h d | XDEL s 1-3 | XTRIM s MINID 1-2 | XADD e 5-5 a b | XTRIM e MAXLEN 0 | \
             XGROUP CREATE n x 7-7 MKSTREAM ENTRIESREAD 4 | XADD t 1-1 a b | XGROUP CREATE t g 0 | XREADGROUP GROUP g c STREAMS t > | XDEL t 1-1 | XSETID t 9-9 ENTRIESADDED 8";
        for line in script.split(" | ") {
            assert!(!bench.line(line).starts_with("ERR"), "{line}");
        }
        let mut again = Bench::new();
        again.now = 0;
        {
            let access = bench
                .engine
                .keyspace
                .open(djr_storage::keyspace::Footprint::ALL, bench.now);
            access.db(0).for_each(|entry| {
                entry.value().rewrite(entry.key(), &mut |words| {
                    let reply = again.run(words);
                    assert!(
                        !reply.starts_with(b"-"),
                        "{:?}",
                        String::from_utf8_lossy(&reply)
                    );
                });
            });
        }
        again.now = bench.now;
        for line in [
            "XINFO STREAM s FULL",
            "XINFO STREAM e FULL",
            "XINFO STREAM n FULL",
            "XINFO STREAM t FULL",
            "XPENDING s g - + 10",
            "XPENDING t g - + 10",
        ] {
            let times = |text: String| -> String {
                // When a consumer was seen is not logged.
                let words: Vec<&str> = text.split(' ').collect();
                let mut kept = Vec::new();
                for (index, word) in words.iter().enumerate() {
                    if index == 0 || !words[index - 1].ends_with("-time") {
                        kept.push(*word);
                    }
                }
                kept.join(" ")
            };
            assert_eq!(times(again.line(line)), times(bench.line(line)), "{line}");
        }
    }
}
