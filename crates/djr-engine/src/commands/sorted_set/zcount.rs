//! ZCARD key, ZCOUNT key min max, ZLEXCOUNT key min max

use djr_storage::types::SortedSet;

use super::super::prelude::*;
use super::bounds::{member_bounds, score_bounds};

pub(super) static ZCARD: CommandSpec = CommandSpec {
    name: "zcard",
    since: "1.2.0",
    group: Group::SortedSet,
    summary: "Returns how many members a sorted set has.",
    syntax: &[Arg::key("key", Access::RO)],
    flags: Flags::READONLY.with(Flags::FAST),
    run: Run::Read(|context, args, reply| count(context, args, reply, |set| set.len())),
    ..CommandSpec::DEFAULT
};

pub(super) static ZCOUNT: CommandSpec = CommandSpec {
    name: "zcount",
    since: "2.0.0",
    group: Group::SortedSet,
    summary: "Returns how many members of a sorted set have scores in a range.",
    complexity: "O(log n) in a sorted set of n",
    syntax: &[
        Arg::key("key", Access::READ),
        Arg::double("min"),
        Arg::double("max"),
    ],
    flags: Flags::READONLY.with(Flags::FAST),
    run: Run::Read(|context, args, reply| {
        let (min, max) = score_bounds(args, 2, 3)?;
        count(context, args, reply, |set| set.score_ranks(min, max).len())
    }),
    ..CommandSpec::DEFAULT
};

pub(super) static ZLEXCOUNT: CommandSpec = CommandSpec {
    name: "zlexcount",
    since: "2.8.9",
    group: Group::SortedSet,
    summary: "Returns how many members of a sorted set are in a range of bytes, if all scores are equal.",
    complexity: "O(log n) in a sorted set of n",
    syntax: &[
        Arg::key("key", Access::READ),
        Arg::string("min"),
        Arg::string("max"),
    ],
    flags: Flags::READONLY.with(Flags::FAST),
    run: Run::Read(|context, args, reply| {
        let (min, max) = member_bounds(args, 2, 3)?;
        count(context, args, reply, |set| set.member_ranks(min, max).len())
    }),
    ..CommandSpec::DEFAULT
};

fn count(
    context: &mut ReadContext<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
    count: impl FnOnce(&SortedSet) -> usize,
) -> Result<(), CommandError> {
    let set = context.object::<SortedSet>(context.key(args, 1))?;
    reply.integer(set.map_or(0, count) as i64);
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::testkit::check;

    #[test]
    fn counts() {
        check(
            "ZADD z 1 a 2 b 2 c 3 d | ZCARD z | ZCOUNT z 2 3 | ZCOUNT z (2 +inf | ZCOUNT z -inf (1 | ZCOUNT z 3 1 | ZCARD none | ZCOUNT none 1 2",
            "4 | 4 | 3 | 1 | 0 | 0 | 0 | 0",
        );
        check(
            "ZADD z 0 a 0 b 0 c | ZLEXCOUNT z - + | ZLEXCOUNT z (a [c | ZLEXCOUNT z [b + | ZLEXCOUNT z + - | ZLEXCOUNT none - +",
            "3 | 3 | 2 | 2 | 0 | 0",
        );
    }

    #[test]
    fn wants_ranges() {
        check(
            "ZCOUNT z x 1 | ZCOUNT z 1 nan | ZCOUNT z ((1 2 | ZLEXCOUNT z a b | ZLEXCOUNT z - \"\"",
            "ERR min or max is not a float | ERR min or max is not a float | ERR min or max is not a float | \
             ERR min or max not valid string range item | ERR min or max not valid string range item",
        );
    }
}
