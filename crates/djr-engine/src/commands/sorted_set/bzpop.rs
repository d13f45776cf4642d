//! BZPOPMIN key [key …] timeout, BZPOPMAX key [key …] timeout, BZMPOP timeout numkeys key [key …] MIN|MAX [COUNT count]

use super::super::prelude::*;
use super::zmpop::Request;
use super::zpop::{End, Shape, pop};
use crate::blocking::BlockedOn;

pub(super) static BZPOPMIN: CommandSpec = CommandSpec {
    name: "bzpopmin",
    since: "5.0.0",
    group: Group::SortedSet,
    summary: "Removes the member of the lowest score from the first sorted set that is there; waits for one.",
    complexity: "O(log n) in a sorted set of n",
    syntax: &[
        Arg::key("key", Access::RW.with(Access::ACCESS).with(Access::DELETE)).multiple(),
        Arg::double("timeout"),
    ],
    flags: Flags::WRITE.with(Flags::FAST).with(Flags::BLOCKING),
    run: Run::Write(|context, args, reply| bzpop(context, args, reply, End::Min)),
    ..CommandSpec::DEFAULT
};

pub(super) static BZPOPMAX: CommandSpec = CommandSpec {
    name: "bzpopmax",
    summary: "Removes the member of the highest score from the first sorted set that is there; waits for one.",
    run: Run::Write(|context, args, reply| bzpop(context, args, reply, End::Max)),
    ..BZPOPMIN
};

pub(super) static BZMPOP: CommandSpec = CommandSpec {
    name: "bzmpop",
    since: "7.0.0",
    group: Group::SortedSet,
    summary: "Removes members of the lowest or highest scores from the first sorted set that is there and returns them; waits for one.",
    complexity: "O(k) + O(m + log n) for k keys and m members of n",
    syntax: &[
        Arg::double("timeout"),
        Arg::integer("numkeys"),
        Arg::key("key", Access::RW.with(Access::ACCESS).with(Access::DELETE)).multiple(),
        Arg::one_of(
            "where",
            &[Arg::token("min", "MIN"), Arg::token("max", "MAX")],
        ),
        Arg::integer("count").after("COUNT").optional(),
    ],
    flags: Flags::WRITE.with(Flags::MOVABLE_KEYS).with(Flags::BLOCKING),
    run: Run::Write(bzmpop),
    ..CommandSpec::DEFAULT
};

fn bzpop(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
    end: End,
) -> Result<Effect, CommandError> {
    let last = args.len() - 1;
    let timeout = context.parse_timeout(args, last)?;
    for index in 1..last {
        let key = context.key(args, index);
        if pop(context, key, end, 1, reply, Shape::KeyAndOne)? > 0 {
            return Ok(Effect::Rewritten(
                context.rewrite(&[end.command().as_bytes(), key.bytes]),
            ));
        }
    }
    if !context.may_block() {
        reply.null_array();
        return Ok(Effect::None);
    }
    let keys = args.from(1).take(last - 1);
    context.block(keys, BlockedOn::SortedSet, timeout)
}

fn bzmpop(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    let request = Request::parse(args, 2)?;
    let timeout = context.parse_timeout(args, 1)?;
    if let Some(effect) = request.run(context, args, reply)? {
        return Ok(effect);
    }
    if !context.may_block() {
        reply.null_array();
        return Ok(Effect::None);
    }
    let keys = args.from(request.keys.start).take(request.keys.len());
    context.block(keys, BlockedOn::SortedSet, timeout)
}

#[cfg(test)]
mod tests {
    use crate::testkit::{check, check_effects};

    #[test]
    fn takes_what_is_there() {
        check(
            "ZADD z 1 a 2 b 3 c 4 d | BZPOPMIN none z 1 | BZPOPMAX z 0 | BZMPOP 0 2 none z MAX | BZMPOP 0 1 z MIN COUNT 9 | EXISTS z",
            "4 | [z a 1] | [z d 4] | [z [[c 3]]] | [z [[b 2]]] | 0",
        );
    }

    #[test]
    fn does_not_wait_in_a_transaction() {
        check(
            "MULTI | BZPOPMIN none 0 | BZMPOP 0 1 none MIN | EXEC",
            "OK | QUEUED | QUEUED | [(nil) (nil)]",
        );
    }

    #[test]
    fn refuses_what_redis_refuses() {
        check(
            "SET s v | BZPOPMIN s 0 | BZPOPMIN z x | BZPOPMIN z -1 | BZMPOP x 0 k MIN | BZMPOP x 1 k MIN | BZMPOP -1 1 k MIN | BZMPOP 0 1 s MIN",
            "OK | WRONGTYPE Operation against a key holding the wrong kind of value | ERR timeout is not a float or out of range | \
             ERR timeout is negative | ERR numkeys should be greater than 0 | ERR timeout is not a float or out of range | \
             ERR timeout is negative | WRONGTYPE Operation against a key holding the wrong kind of value",
        );
    }

    #[test]
    fn logs_what_was_taken() {
        check_effects(
            "ZADD z 1 a 2 b 3 c 4 d | BZPOPMIN none z 1 | BZPOPMAX z 1 | BZMPOP 0 1 z MIN COUNT 9",
            "ZADD z 1 a 2 b 3 c 4 d | ZPOPMIN z | ZPOPMAX z | ZPOPMIN z 2",
        );
    }
}
