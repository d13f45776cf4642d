//! ZUNION, ZINTER, ZDIFF numkeys key [key …] [WEIGHTS weight [weight …]] [AGGREGATE SUM|MIN|MAX] [WITHSCORES],
//! ZUNIONSTORE, ZINTERSTORE, ZDIFFSTORE destination numkeys key [key …] …, ZINTERCARD numkeys key [key …] [LIMIT limit]

use std::cmp::Ordering;

use djr_storage::keyspace::EntryRef;
use djr_storage::types::listpack::Element;

use super::super::prelude::*;
use super::bounds::parse_double;
use super::combine::{
    Aggregate, Item, Source, Weighted, count_intersection, difference, intersection, store, union,
};
use super::replies::reply_members;

const SOURCES: [Arg; 2] = [
    Arg::integer("numkeys"),
    Arg::key("key", Access::READ).multiple(),
];
const DESTINATION: Arg = Arg::key("destination", Access::OVERWRITE);
const WEIGHTS: Arg = Arg::integer("weight")
    .after("WEIGHTS")
    .optional()
    .multiple();
const AGGREGATE: Arg = Arg::one_of(
    "aggregate",
    &[
        Arg::token("sum", "SUM"),
        Arg::token("min", "MIN"),
        Arg::token("max", "MAX"),
    ],
)
.after("AGGREGATE")
.optional();
const WITHSCORES: Arg = Arg::token("withscores", "WITHSCORES").optional();

pub(super) static ZUNION: CommandSpec = CommandSpec {
    name: "zunion",
    since: "6.2.0",
    group: Group::SortedSet,
    summary: "Returns the members of any of these sorted sets, scores added up.",
    complexity: "O(n) + O(m log m) for n members of all and m of the result",
    syntax: &[SOURCES[0], SOURCES[1], WEIGHTS, AGGREGATE, WITHSCORES],
    flags: Flags::READONLY.with(Flags::MOVABLE_KEYS),
    run: Run::Read(|context, args, reply| read(context, args, reply, Operation::Union)),
    ..CommandSpec::DEFAULT
};

pub(super) static ZINTER: CommandSpec = CommandSpec {
    name: "zinter",
    summary: "Returns the members of all of these sorted sets, scores added up.",
    complexity: "O(n * k) + O(m log m) for k sets, n members of the smallest and m of the result",
    run: Run::Read(|context, args, reply| read(context, args, reply, Operation::Intersection)),
    ..ZUNION
};

pub(super) static ZDIFF: CommandSpec = CommandSpec {
    name: "zdiff",
    summary: "Returns the members of the first sorted set that are in no other.",
    complexity: "O(n * k) + O(m log m) for k sets, n members of the first and m of the result",
    syntax: &[SOURCES[0], SOURCES[1], WITHSCORES],
    run: Run::Read(|context, args, reply| read(context, args, reply, Operation::Difference)),
    ..ZUNION
};

pub(super) static ZINTERCARD: CommandSpec = CommandSpec {
    name: "zintercard",
    since: "7.0.0",
    summary: "Returns how many members are in all of these sorted sets, or a limit if that is less.",
    complexity: "O(n * k) for k sets and n members of the smallest",
    syntax: &[
        SOURCES[0],
        SOURCES[1],
        Arg::integer("limit").after("LIMIT").optional(),
    ],
    run: Run::Read(zintercard),
    ..ZUNION
};

pub(super) static ZUNIONSTORE: CommandSpec = CommandSpec {
    name: "zunionstore",
    since: "2.0.0",
    summary: "Stores the members of any of these sorted sets, scores added up.",
    syntax: &[DESTINATION, SOURCES[0], SOURCES[1], WEIGHTS, AGGREGATE],
    flags: Flags::WRITE.with(Flags::DENY_OOM).with(Flags::MOVABLE_KEYS),
    run: Run::Write(|context, args, reply| write(context, args, reply, Operation::Union)),
    ..ZUNION
};

pub(super) static ZINTERSTORE: CommandSpec = CommandSpec {
    name: "zinterstore",
    since: "2.0.0",
    summary: "Stores the members of all of these sorted sets, scores added up.",
    syntax: ZUNIONSTORE.syntax,
    flags: ZUNIONSTORE.flags,
    run: Run::Write(|context, args, reply| write(context, args, reply, Operation::Intersection)),
    ..ZINTER
};

pub(super) static ZDIFFSTORE: CommandSpec = CommandSpec {
    name: "zdiffstore",
    summary: "Stores the members of the first sorted set that are in no other.",
    syntax: &[DESTINATION, SOURCES[0], SOURCES[1]],
    flags: ZUNIONSTORE.flags,
    run: Run::Write(|context, args, reply| write(context, args, reply, Operation::Difference)),
    ..ZDIFF
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Union,
    Intersection,
    Difference,
}

/// Which options a command knows.
#[derive(Clone, Copy, Default)]
struct Known {
    weights: bool,
    with_scores: bool,
    limit: bool,
}

struct Request<'a> {
    sources: Weighted<'a>,
    aggregate: Aggregate,
    with_scores: bool,
    limit: usize,
}

impl<'a> Request<'a> {
    /// Reads the arguments from `numkeys` on. The types of the keys are looked at before the options, as in Redis.
    fn parse(
        args: &Args<'_>,
        name: &str,
        numkeys: usize,
        known: Known,
        mut get: impl FnMut(usize) -> Option<EntryRef<'a>>,
    ) -> Result<Self, CommandError> {
        let count = args.integer(numkeys)?;
        if count < 1 {
            return Err(CommandError::format(format!(
                "ERR at least 1 input key is needed for '{name}' command"
            )));
        }
        let first = numkeys + 1;
        let count = usize::try_from(count)
            .ok()
            .filter(|count| *count <= args.len() - first)
            .ok_or(CommandError::Syntax)?;
        let source = |index| Ok((Source::of(get(index).map(|entry| entry.value()))?, 1.0));
        let sources: Result<Weighted<'a>, CommandError> =
            (first..first + count).map(source).collect();
        let mut request = Self {
            sources: sources?,
            aggregate: Aggregate::Sum,
            with_scores: false,
            limit: usize::MAX,
        };
        let mut index = first + count;
        while index < args.len() {
            let left = args.len() - index - 1;
            if known.weights && left >= count && args.is(index, "WEIGHTS") {
                for (number, (_, weight)) in request.sources.iter_mut().enumerate() {
                    *weight = parse_double(args.get(index + 1 + number))
                        .ok_or(CommandError::text("ERR weight value is not a float"))?;
                }
                index += count;
            } else if known.weights && left >= 1 && args.is(index, "AGGREGATE") {
                index += 1;
                request.aggregate = if args.is(index, "SUM") {
                    Aggregate::Sum
                } else if args.is(index, "MIN") {
                    Aggregate::Min
                } else if args.is(index, "MAX") {
                    Aggregate::Max
                } else {
                    return Err(CommandError::Syntax);
                };
            } else if known.with_scores && args.is(index, "WITHSCORES") {
                request.with_scores = true;
            } else if known.limit && left >= 1 && args.is(index, "LIMIT") {
                index += 1;
                let limit = args
                    .integer(index)
                    .ok()
                    .and_then(|limit| usize::try_from(limit).ok());
                request.limit = match limit {
                    Some(0) => usize::MAX,
                    Some(limit) => limit,
                    None => return Err(CommandError::text("ERR LIMIT can't be negative")),
                };
            } else {
                return Err(CommandError::Syntax);
            }
            index += 1;
        }
        Ok(request)
    }

    fn run(self, operation: Operation) -> Vec<Item> {
        match operation {
            Operation::Union => union(self.sources, self.aggregate),
            Operation::Intersection => intersection(self.sources, self.aggregate),
            Operation::Difference => difference(self.sources),
        }
    }
}

fn read(
    context: &mut ReadContext<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
    operation: Operation,
) -> Result<(), CommandError> {
    let known = Known {
        weights: operation != Operation::Difference,
        with_scores: true,
        limit: false,
    };
    let name = match operation {
        Operation::Union => "zunion",
        Operation::Intersection => "zinter",
        Operation::Difference => "zdiff",
    };
    let get = |index| context.get(context.key(args, index));
    let request = Request::parse(args, name, 1, known, get)?;
    let with_scores = request.with_scores;
    let mut items = request.run(operation);
    items.sort_unstable_by(|(a, a_score), (b, b_score)| {
        // Not the total order, which has -0 before 0. None is NaN.
        (a_score.partial_cmp(b_score).unwrap_or(Ordering::Equal)).then_with(|| a.cmp(b))
    });
    let elements = items
        .iter()
        .map(|(member, score)| (Element::Bytes(member), *score));
    reply_members(reply, with_scores, elements);
    Ok(())
}

fn zintercard(
    context: &mut ReadContext<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    let known = Known {
        limit: true,
        ..Known::default()
    };
    let get = |index| context.get(context.key(args, index));
    let request = Request::parse(args, "zintercard", 1, known, get)?;
    reply.integer(count_intersection(request.sources, request.limit) as i64);
    Ok(())
}

fn write(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
    operation: Operation,
) -> Result<Effect, CommandError> {
    let known = Known {
        weights: operation != Operation::Difference,
        ..Known::default()
    };
    let name = match operation {
        Operation::Union => "zunionstore",
        Operation::Intersection => "zinterstore",
        Operation::Difference => "zdiffstore",
    };
    let items = {
        let context = &*context;
        let get = |index| {
            let key = context.key(args, index);
            let entry = context.db_read().get(key);
            context.count_lookup(key, entry.is_some());
            entry
        };
        Request::parse(args, name, 2, known, get)?.run(operation)
    };
    Ok(store(context, context.key(args, 1), items, name, reply))
}

#[cfg(test)]
mod tests {
    use crate::testkit::{check, check_effects};

    #[test]
    fn combines() {
        check(
            "ZADD a 1 x 2 y 3 z | ZADD b 10 y 20 z 30 w | ZUNION 2 a b WITHSCORES | ZINTER 2 a b WITHSCORES | ZDIFF 2 a b WITHSCORES | \
             ZUNION 2 a b WEIGHTS 2 0.5 AGGREGATE MAX WITHSCORES | ZINTER 2 a b AGGREGATE MIN | ZINTERCARD 2 a b | ZINTERCARD 2 a b LIMIT 1 | \
             ZINTERCARD 2 a none LIMIT 0 | ZDIFF 2 none a | ZUNION 2 none a | ZUNION 2 a a WITHSCORES | ZINTER 1 none",
            "3 | 3 | [x 1 y 12 z 23 w 30] | [y 12 z 23] | [x 1] | [x 2 y 5 z 10 w 15] | [y z] | 2 | 1 | 0 | [] | [x y z] | [x 2 y 4 z 6] | []",
        );
    }

    #[test]
    fn infinities_cancel() {
        check(
            "ZADD a inf x 0 y | ZADD b -inf x inf y | ZUNION 2 a b WITHSCORES | ZUNION 1 b WEIGHTS 0 WITHSCORES | ZINTER 2 a b WITHSCORES",
            "2 | 2 | [x 0 y inf] | [x 0 y 0] | [x 0 y inf]",
        );
    }

    #[test]
    fn members_of_sets_count_one() {
        check(
            "ZADD z 5 x 6 y | SADD s x 1 | ZUNION 2 z s WITHSCORES | ZINTER 2 s z WEIGHTS 10 1 WITHSCORES | ZDIFF 2 s z WITHSCORES | ZINTERCARD 2 z s | \
             ZUNIONSTORE d 1 s WEIGHTS 2 | ZRANGE d 0 -1 WITHSCORES | ZDIFFSTORE d 2 z s | ZRANGE d 0 -1",
            "2 | 2 | [1 1 x 6 y 6] | [x 15] | [1 1] | 1 | 2 | [1 2 x 2] | 1 | [y]",
        );
    }

    #[test]
    fn stores() {
        check(
            "ZADD a 1 x 2 y | ZADD b 3 y | ZUNIONSTORE d 2 a b | ZRANGE d 0 -1 WITHSCORES | ZINTERSTORE d 2 a b WEIGHTS 1 2 | \
             ZRANGE d 0 -1 WITHSCORES | ZDIFFSTORE d 2 a b | ZRANGE d 0 -1 WITHSCORES | ZDIFFSTORE d 2 a a | EXISTS d | \
             ZUNIONSTORE a 2 a a | ZRANGE a 0 -1 WITHSCORES | SET s v EX 9 | ZUNIONSTORE s 1 a | TTL s",
            "2 | 1 | 2 | [x 1 y 5] | 1 | [y 8] | 1 | [x 1] | 0 | 0 | 2 | [x 2 y 4] | OK | 2 | -1",
        );
        check_effects(
            "ZADD a 1 x | ZUNIONSTORE d 1 a | ZINTERSTORE d 1 none | ZINTERSTORE d 1 none | ZUNION 1 a",
            "ZADD a 1 x | ZUNIONSTORE d 1 a | ZINTERSTORE d 1 none",
        );
    }

    #[test]
    fn refuses_what_redis_refuses() {
        check(
            "ZUNION 0 k | ZUNION x k | ZUNION 2 k | ZUNION 1 k WEIGHTS | ZUNION 1 k WEIGHTS x | ZUNION 1 k WEIGHTS nan | ZUNION 1 k AGGREGATE x | \
             ZUNION 1 k LIMIT 1 | ZDIFF 1 k WEIGHTS 1 | ZUNIONSTORE d 0 k | ZUNIONSTORE d 1 k WITHSCORES | SET s v | ZUNION 1 s LIMIT",
            "ERR at least 1 input key is needed for 'zunion' command | ERR value is not an integer or out of range | ERR syntax error | \
             ERR syntax error | ERR weight value is not a float | ERR weight value is not a float | ERR syntax error | ERR syntax error | \
             ERR syntax error | ERR at least 1 input key is needed for 'zunionstore' command | ERR syntax error | OK | \
             WRONGTYPE Operation against a key holding the wrong kind of value",
        );
        check(
            "ZINTERCARD 0 k | ZINTERCARD 1 k LIMIT -1 | ZINTERCARD 1 k LIMIT x | ZINTERCARD 1 k WITHSCORES",
            "ERR at least 1 input key is needed for 'zintercard' command | ERR LIMIT can't be negative | ERR LIMIT can't be negative | ERR syntax error",
        );
    }
}
