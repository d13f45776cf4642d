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

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "xreadgroup",
    since: "5.0.0",
    group: Group::Stream,
    summary: "Delivers entries to a consumer of a group: new ones, or those that it has not acknowledged.",
    complexity: "O(log B + N log P) per stream, B being the number of blocks, N that of the entries returned and P that of pending ones",
    syntax: &[
        Arg::block("group-block", &[Arg::string("group"), Arg::string("consumer")]).after("GROUP"),
        Arg::integer("count").after("COUNT").optional(),
        Arg::integer("milliseconds").after("BLOCK").optional(),
        Arg::integer("min-idle-time").after("CLAIM").optional(),
        Arg::token("noack", "NOACK").optional(),
        STREAMS,
    ],
    flags: Flags::WRITE.with(Flags::BLOCKING),
    keys: Keys::Explicit(&[keys_after_streams(4)]),
    run: Run::Write(xreadgroup),
    ..CommandSpec::DEFAULT
};

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
        context.count_lookup(stream.is_some());
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
            context.block(options.all_keys(), BlockedOn::ConsumerGroup, timeout)
        }
        _ => {
            reply.null_array();
            Ok(logged.map_or(Effect::None, Effect::Rewritten))
        }
    }
}

fn parse_wanted(text: &[u8]) -> Result<Wanted, CommandError> {
    match text {
        b">" => Ok(Wanted::New),
        b"$" => Err(CommandError::text(
            "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer by specifying a \
             proper ID, or use the > ID to get new messages. The $ ID would just return an empty result set.",
        )),
        text => Ok(Wanted::Behind(parse_strict(text, 0)?)),
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

    fn may_deliver(&self, context: &WriteContext<'_, '_>, key: Key<'_>) -> Result<bool, CommandError> {
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
            Wanted::Behind(id) => self.deliver_again(entries, group, consumer, id, out.stream(key), &mut delivered),
            Wanted::New => {
                let claimable = self.claimable(entries, group, &mut delivered);
                let has_new = entries.last_live_id() > Some(group.last_id);
                if claimable.is_empty() && !has_new {
                    return delivered;
                }
                let reply = out.stream(key);
                let mark = reply.array_later();
                let claimed = self.deliver_claimed(entries, group, consumer, &claimable, reply, &mut delivered);
                let new = self.deliver_new(entries, group, consumer, claimed, reply, &mut delivered);
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
            let (Some(entry), Some(pending)) = (entries.get(*id), group.pending(*id).copied()) else {
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
        for entry in entries.range(next, StreamId::MAX).take(self.count - claimed) {
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
            logged = log_claims(context, key, self.group, self.consumer, &delivered.claims, self.now);
        }
        if let Some((last_id, read)) = delivered.group_id {
            logged = Some(log_group_id(context, key, self.group, last_id, read));
        }
        logged
    }
}
