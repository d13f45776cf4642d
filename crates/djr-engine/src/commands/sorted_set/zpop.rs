//! ZPOPMIN key [count], ZPOPMAX key [count]

use djr_protocol::RespVersion;
use djr_storage::keyspace::Key;
use djr_storage::types::SortedSet;

use super::super::prelude::*;
use super::replies::{reply_members, reply_pairs};
use crate::notify::Notify;

pub(super) static ZPOPMIN: CommandSpec = CommandSpec {
    name: "zpopmin",
    since: "5.0.0",
    group: Group::SortedSet,
    summary: "Removes the members of the lowest scores from a sorted set and returns them.",
    complexity: "O(m + log n) for m members of n",
    syntax: &[
        Arg::key("key", Access::RW.with(Access::ACCESS).with(Access::DELETE)),
        Arg::integer("count").optional(),
    ],
    flags: Flags::WRITE.with(Flags::FAST),
    run: Run::Write(|context, args, reply| zpop(context, args, reply, End::Min)),
    ..CommandSpec::DEFAULT
};

pub(super) static ZPOPMAX: CommandSpec = CommandSpec {
    name: "zpopmax",
    summary: "Removes the members of the highest scores from a sorted set and returns them.",
    run: Run::Write(|context, args, reply| zpop(context, args, reply, End::Max)),
    ..ZPOPMIN
};

/// Which end of a sorted set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Min,
    Max,
}

impl End {
    /// The command that takes from this end, as it is logged.
    pub(super) fn command(self) -> &'static str {
        match self {
            End::Min => "ZPOPMIN",
            End::Max => "ZPOPMAX",
        }
    }

    fn event(self) -> &'static str {
        match self {
            End::Min => "zpopmin",
            End::Max => "zpopmax",
        }
    }
}

/// How what was taken is answered.
#[derive(Clone, Copy)]
pub(super) enum Shape {
    /// Members and scores.
    Flat,
    /// Pairs in RESP3, members and scores in RESP2.
    ByVersion,
    /// Key, member, score.
    KeyAndOne,
    /// Key, pairs.
    KeyAndPairs,
}

/// Removes up to `count` members from one end and answers them. Returns how many they were; writes nothing if there were none.
pub(super) fn pop(
    context: &mut WriteContext<'_, '_>,
    key: Key<'_>,
    end: End,
    count: usize,
    reply: &mut Reply<'_>,
    shape: Shape,
) -> Result<usize, CommandError> {
    // For a client that has waited and gone: what it would have got, to be put back.
    let mut undo: Vec<(Vec<u8>, f64)> = Vec::new();
    let wants_undo = matches!(shape, Shape::KeyAndOne | Shape::KeyAndPairs);
    let taken = context.update(key, |set: &mut SortedSet| {
        let len = set.len();
        let count = count.min(len);
        if count == 0 {
            return 0;
        }
        let ranks = match end {
            End::Min => 0..count,
            End::Max => len - count..len,
        };
        let items = set.range(ranks.clone());
        if wants_undo {
            let items = set.range(ranks.clone());
            undo.extend(items.map(|(member, score)| (member.to_vec(), score)));
        }
        match end {
            End::Min => answer(reply, key, shape, items),
            End::Max => answer(reply, key, shape, items.rev()),
        }
        set.remove_range(ranks)
    })?;
    let taken = taken.unwrap_or(0);
    if taken > 0 {
        context.notify_update(Notify::SORTED_SET, end.event(), key);
        for (member, score) in undo {
            let mut text = Vec::new();
            djr_protocol::format_double(score, &mut text);
            context.undo(&[b"ZADD", key.bytes, &text, &member]);
        }
    }
    Ok(taken)
}

fn answer<'a>(
    reply: &mut Reply<'_>,
    key: Key<'_>,
    shape: Shape,
    items: impl ExactSizeIterator<Item = (djr_storage::types::listpack::Element<'a>, f64)>,
) {
    match shape {
        Shape::ByVersion => reply_members(reply, true, items),
        Shape::KeyAndPairs => {
            reply.array(2);
            reply.bulk(key.bytes);
            reply_pairs(reply, items);
        }
        Shape::Flat | Shape::KeyAndOne => {
            let has_key = matches!(shape, Shape::KeyAndOne);
            reply.array(items.len() * 2 + usize::from(has_key));
            if has_key {
                reply.bulk(key.bytes);
            }
            for (member, score) in items {
                super::replies::reply_member(reply, member);
                reply.double(score);
            }
        }
    }
}

fn zpop(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
    end: End,
) -> Result<Effect, CommandError> {
    if args.len() > 3 {
        return Err(CommandError::Syntax);
    }
    let count = match args.len() {
        3 => usize::try_from(args.integer(2).map_err(|_| CommandError::NotPositive)?)
            .map_err(|_| CommandError::NotPositive)?,
        _ => 1,
    };
    let key = context.key(args, 1);
    let pairs = args.len() == 3 && reply.version() == RespVersion::V3;
    let shape = if pairs { Shape::ByVersion } else { Shape::Flat };
    if pop(context, key, end, count, reply, shape)? == 0 {
        reply.array(0);
        return Ok(Effect::None);
    }
    Ok(Effect::Verbatim)
}

#[cfg(test)]
mod tests {
    use crate::testkit::{check, check_effects};

    #[test]
    fn takes_from_either_end() {
        check(
            "ZADD z 1 a 2 b 3 c 4 d 5 e | ZPOPMIN z | ZPOPMAX z 2 | ZPOPMIN z 0 | ZPOPMIN none | ZPOPMIN none 2 | ZPOPMIN z 9 | EXISTS z",
            "5 | [a 1] | [e 5 d 4] | [] | [] | [] | [b 2 c 3] | 0",
        );
        check(
            "@resp 3 | ZADD z 1 a 2 b 3 c | ZPOPMIN z | ZPOPMAX z 1",
            "ok | 3 | [a ,1] | [[c ,3]]",
        );
    }

    #[test]
    fn refuses_what_redis_refuses() {
        check(
            "ZPOPMIN z 1 2 | ZPOPMIN z -1 | ZPOPMAX z x | SET s v | ZPOPMIN s",
            "ERR syntax error | ERR value is out of range, must be positive | ERR value is out of range, must be positive | OK | \
             WRONGTYPE Operation against a key holding the wrong kind of value",
        );
    }

    #[test]
    fn logs_what_was_taken() {
        check_effects(
            "ZADD z 1 a 2 b 3 c | ZPOPMIN z 0 | ZPOPMAX z | ZPOPMIN z 9 | ZPOPMIN z",
            "ZADD z 1 a 2 b 3 c | ZPOPMAX z | ZPOPMIN z 9",
        );
    }
}
