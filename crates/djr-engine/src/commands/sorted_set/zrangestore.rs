//! ZRANGESTORE dst src min max [BYSCORE|BYLEX] [REV] [LIMIT offset count]

use djr_storage::types::SortedSet;

use super::super::prelude::*;
use super::combine::store;
use super::zrange::{Form, Query};

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "zrangestore",
    since: "6.2.0",
    group: Group::SortedSet,
    summary: "Stores the members of a range of ranks, scores or bytes as another sorted set.",
    complexity: "O(m * log m + log n) for m members of n",
    syntax: &[
        Arg::key("dst", Access::OVERWRITE),
        Arg::key("src", Access::READ),
        Arg::string("min"),
        Arg::string("max"),
        Arg::one_of(
            "sortby",
            &[
                Arg::token("byscore", "BYSCORE"),
                Arg::token("bylex", "BYLEX"),
            ],
        )
        .optional(),
        Arg::token("rev", "REV").optional(),
        Arg::block("limit", &[Arg::integer("offset"), Arg::integer("count")])
            .after("LIMIT")
            .optional(),
    ],
    flags: Flags::WRITE.with(Flags::DENY_OOM),
    run: Run::Write(zrangestore),
    ..CommandSpec::DEFAULT
};

fn zrangestore(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    let query = Query::parse(args, 3, Form::default(), true)?;
    let source = context.counted_object::<SortedSet>(context.key(args, 2))?;
    let items = source.map_or_else(Vec::new, |set| {
        let items = set.range(query.ranks(set));
        items
            .map(|(member, score)| (member.to_vec(), score))
            .collect()
    });
    Ok(store(
        context,
        context.key(args, 1),
        items,
        "zrangestore",
        reply,
    ))
}

#[cfg(test)]
mod tests {
    use crate::testkit::{check, check_effects};

    #[test]
    fn stores_a_range() {
        check(
            "ZADD z 1 a 2 b 3 c | ZRANGESTORE d z 1 -1 | ZRANGE d 0 -1 WITHSCORES | ZRANGESTORE d z (1 2 BYSCORE | ZRANGE d 0 -1 | \
             ZRANGESTORE d z +inf -inf BYSCORE REV LIMIT 0 1 | ZRANGE d 0 -1 | ZRANGESTORE d z 5 6 | EXISTS d | ZRANGESTORE d none 0 1 | \
             SET s v | ZRANGESTORE s z 0 0 | TYPE s | ZRANGESTORE z z 0 0 | ZRANGE z 0 -1",
            "3 | 2 | [b 2 c 3] | 1 | [b] | 1 | [c] | 0 | 0 | 0 | OK | 1 | zset | 1 | [a]",
        );
        check(
            "ZRANGESTORE d z 0 1 WITHSCORES | SET s v | ZRANGESTORE d s 0 1",
            "ERR syntax error | OK | WRONGTYPE Operation against a key holding the wrong kind of value",
        );
    }

    #[test]
    fn logs_itself_if_it_changed_anything() {
        check_effects(
            "ZADD z 1 a | ZRANGESTORE d z 0 0 | ZRANGESTORE d z 5 6 | ZRANGESTORE d z 5 6",
            "ZADD z 1 a | ZRANGESTORE d z 0 0 | ZRANGESTORE d z 5 6",
        );
    }
}
