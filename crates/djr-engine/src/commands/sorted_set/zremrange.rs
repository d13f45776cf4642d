//! ZREMRANGEBYRANK key start stop, ZREMRANGEBYSCORE key min max, ZREMRANGEBYLEX key min max

use std::ops::Range;

use djr_storage::types::SortedSet;

use super::super::prelude::*;
use super::bounds::{member_bounds, rank_range, score_bounds};
use crate::notify::Notify;

pub(super) static ZREMRANGEBYRANK: CommandSpec = CommandSpec {
    name: "zremrangebyrank",
    since: "2.0.0",
    group: Group::SortedSet,
    summary: "Removes the members of a range of ranks from a sorted set.",
    complexity: "O(m + log n) for m members of n",
    syntax: &[
        Arg::key("key", Access::RW.with(Access::DELETE)),
        Arg::integer("start"),
        Arg::integer("stop"),
    ],
    flags: Flags::WRITE,
    run: Run::Write(|context, args, reply| {
        let (start, stop) = (args.integer(2)?, args.integer(3)?);
        remove(context, args, reply, "zremrangebyrank", |set| {
            rank_range(start, stop, set.len())
        })
    }),
    ..CommandSpec::DEFAULT
};

pub(super) static ZREMRANGEBYSCORE: CommandSpec = CommandSpec {
    name: "zremrangebyscore",
    since: "1.2.0",
    summary: "Removes the members of a range of scores from a sorted set.",
    syntax: &[
        Arg::key("key", Access::RW.with(Access::DELETE)),
        Arg::double("min"),
        Arg::double("max"),
    ],
    run: Run::Write(|context, args, reply| {
        let (min, max) = score_bounds(args, 2, 3)?;
        remove(context, args, reply, "zremrangebyscore", |set| {
            set.score_ranks(min, max)
        })
    }),
    ..ZREMRANGEBYRANK
};

pub(super) static ZREMRANGEBYLEX: CommandSpec = CommandSpec {
    name: "zremrangebylex",
    since: "2.8.9",
    summary: "Removes the members in a range of bytes from a sorted set, if all scores are equal.",
    syntax: &[
        Arg::key("key", Access::RW.with(Access::DELETE)),
        Arg::string("min"),
        Arg::string("max"),
    ],
    run: Run::Write(|context, args, reply| {
        let (min, max) = member_bounds(args, 2, 3)?;
        remove(context, args, reply, "zremrangebylex", |set| {
            set.member_ranks(min, max)
        })
    }),
    ..ZREMRANGEBYRANK
};

fn remove(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
    event: &'static str,
    ranks: impl FnOnce(&SortedSet) -> Range<usize>,
) -> Result<Effect, CommandError> {
    let key = context.key(args, 1);
    let removed = context.update(key, |set: &mut SortedSet| {
        let ranks = ranks(set);
        set.remove_range(ranks)
    })?;
    let removed = removed.unwrap_or(0);
    reply.integer(removed as i64);
    if removed == 0 {
        return Ok(Effect::None);
    }
    context.notify_update(Notify::SORTED_SET, event, key);
    Ok(Effect::Verbatim)
}

#[cfg(test)]
mod tests {
    use crate::testkit::{check, check_effects};

    #[test]
    fn removes_ranges() {
        check(
            "ZADD z 1 a 2 b 3 c 4 d 5 e | ZREMRANGEBYRANK z 0 0 | ZREMRANGEBYSCORE z (4 +inf | ZRANGE z 0 -1 | ZREMRANGEBYSCORE z 9 1 | \
             ZREMRANGEBYRANK z -1 -1 | ZRANGE z 0 -1 | ZREMRANGEBYRANK z 0 -1 | EXISTS z | ZREMRANGEBYRANK z 0 -1",
            "5 | 1 | 1 | [b c d] | 0 | 1 | [b c] | 2 | 0 | 0",
        );
        check(
            "ZADD z 0 a 0 b 0 c | ZREMRANGEBYLEX z (a [b | ZRANGE z 0 -1 | ZREMRANGEBYLEX z - + | EXISTS z | ZREMRANGEBYLEX z x + | \
             ZREMRANGEBYSCORE z x 1 | ZREMRANGEBYRANK z 1 x",
            "3 | 1 | [a c] | 2 | 0 | ERR min or max not valid string range item | ERR min or max is not a float | \
             ERR value is not an integer or out of range",
        );
    }

    #[test]
    fn logs_itself_if_it_changed_anything() {
        check_effects(
            "ZADD z 1 a 2 b | ZREMRANGEBYRANK z 5 6 | ZREMRANGEBYSCORE z 1 1 | ZREMRANGEBYRANK z 0 -1 | ZREMRANGEBYLEX z - +",
            "ZADD z 1 a 2 b | ZREMRANGEBYSCORE z 1 1 | ZREMRANGEBYRANK z 0 -1",
        );
    }
}
