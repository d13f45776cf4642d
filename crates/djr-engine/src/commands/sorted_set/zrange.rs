//! ZRANGE key start stop [BYSCORE|BYLEX] [REV] [LIMIT offset count] [WITHSCORES] and its older forms: ZREVRANGE, ZRANGEBYSCORE,
//! ZREVRANGEBYSCORE, ZRANGEBYLEX, ZREVRANGEBYLEX

use std::ops::Range;

use djr_storage::types::SortedSet;
use djr_storage::types::sorted_set::{MemberBound, ScoreBound};

use super::super::prelude::*;
use super::bounds::{member_bounds, rank_range, score_bounds};
use super::replies::reply_members;

const LIMIT: Arg = Arg::block("limit", &[Arg::integer("offset"), Arg::integer("count")])
    .after("LIMIT")
    .optional();
const WITHSCORES: Arg = Arg::token("withscores", "WITHSCORES").optional();

pub(super) static ZRANGE: CommandSpec = CommandSpec {
    name: "zrange",
    since: "1.2.0",
    group: Group::SortedSet,
    summary: "Returns the members of a range of ranks, scores or bytes.",
    complexity: "O(m + log n) for m members of n",
    syntax: &[
        Arg::key("key", Access::READ),
        Arg::string("start"),
        Arg::string("stop"),
        Arg::one_of(
            "sortby",
            &[
                Arg::token("byscore", "BYSCORE"),
                Arg::token("bylex", "BYLEX"),
            ],
        )
        .optional(),
        Arg::token("rev", "REV").optional(),
        LIMIT,
        WITHSCORES,
    ],
    flags: Flags::READONLY,
    run: Run::Read(|context, args, reply| zrange(context, args, reply, Form::default())),
    ..CommandSpec::DEFAULT
};

pub(super) static ZREVRANGE: CommandSpec = CommandSpec {
    name: "zrevrange",
    summary: "Returns the members of a range of ranks, highest score first.",
    syntax: &[
        Arg::key("key", Access::READ),
        Arg::integer("start"),
        Arg::integer("stop"),
        WITHSCORES,
    ],
    run: Run::Read(|context, args, reply| zrange(context, args, reply, Form::of(By::Rank, true))),
    ..ZRANGE
};

pub(super) static ZRANGEBYSCORE: CommandSpec = CommandSpec {
    name: "zrangebyscore",
    since: "1.0.5",
    summary: "Returns the members of a range of scores.",
    syntax: &[
        Arg::key("key", Access::READ),
        Arg::double("min"),
        Arg::double("max"),
        WITHSCORES,
        LIMIT,
    ],
    run: Run::Read(|context, args, reply| zrange(context, args, reply, Form::of(By::Score, false))),
    ..ZRANGE
};

pub(super) static ZREVRANGEBYSCORE: CommandSpec = CommandSpec {
    name: "zrevrangebyscore",
    since: "2.2.0",
    summary: "Returns the members of a range of scores, highest first.",
    syntax: &[
        Arg::key("key", Access::READ),
        Arg::double("max"),
        Arg::double("min"),
        WITHSCORES,
        LIMIT,
    ],
    run: Run::Read(|context, args, reply| zrange(context, args, reply, Form::of(By::Score, true))),
    ..ZRANGE
};

pub(super) static ZRANGEBYLEX: CommandSpec = CommandSpec {
    name: "zrangebylex",
    since: "2.8.9",
    summary: "Returns the members in a range of bytes, if all scores are equal.",
    syntax: &[
        Arg::key("key", Access::READ),
        Arg::string("min"),
        Arg::string("max"),
        LIMIT,
    ],
    run: Run::Read(|context, args, reply| {
        zrange(context, args, reply, Form::of(By::Member, false))
    }),
    ..ZRANGE
};

pub(super) static ZREVRANGEBYLEX: CommandSpec = CommandSpec {
    name: "zrevrangebylex",
    since: "2.8.9",
    summary: "Returns the members in a range of bytes, last first, if all scores are equal.",
    syntax: &[
        Arg::key("key", Access::READ),
        Arg::string("max"),
        Arg::string("min"),
        LIMIT,
    ],
    run: Run::Read(|context, args, reply| zrange(context, args, reply, Form::of(By::Member, true))),
    ..ZRANGE
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Rank,
    Score,
    Member,
}

/// What the name of the command says already.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Form {
    by: Option<By>,
    reverse: Option<bool>,
}

impl Form {
    const fn of(by: By, reverse: bool) -> Self {
        Self {
            by: Some(by),
            reverse: Some(reverse),
        }
    }
}

enum Ends<'a> {
    Ranks(i64, i64),
    Scores(ScoreBound, ScoreBound),
    Members(MemberBound<'a>, MemberBound<'a>),
}

/// A range as a client asks for it.
pub(super) struct Query<'a> {
    ends: Ends<'a>,
    pub(super) reverse: bool,
    pub(super) with_scores: bool,
    /// Offset and count; a negative count means all.
    limit: (i64, i64),
}

impl<'a> Query<'a> {
    /// Reads the arguments from `start` on: two ends, then options.
    pub(super) fn parse(
        args: &Args<'a>,
        start: usize,
        form: Form,
        is_store: bool,
    ) -> Result<Self, CommandError> {
        let (mut by, mut reverse) = (form.by, form.reverse);
        let (mut with_scores, mut limit) = (false, (0, -1));
        let mut index = start + 2;
        while index < args.len() {
            if !is_store && args.is(index, "WITHSCORES") {
                with_scores = true;
            } else if args.is(index, "LIMIT") && index + 2 < args.len() {
                limit = (args.integer(index + 1)?, args.integer(index + 2)?);
                index += 2;
            } else if reverse.is_none() && args.is(index, "REV") {
                reverse = Some(true);
            } else if by.is_none() && args.is(index, "BYSCORE") {
                by = Some(By::Score);
            } else if by.is_none() && args.is(index, "BYLEX") {
                by = Some(By::Member);
            } else {
                return Err(CommandError::Syntax);
            }
            index += 1;
        }
        let (by, reverse) = (by.unwrap_or(By::Rank), reverse.unwrap_or(false));
        if limit.1 != -1 && by == By::Rank {
            return Err(CommandError::text(
                "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX",
            ));
        }
        if with_scores && by == By::Member {
            return Err(CommandError::text(
                "ERR syntax error, WITHSCORES not supported in combination with BYLEX",
            ));
        }
        let (min, max) = if reverse {
            (start + 1, start)
        } else {
            (start, start + 1)
        };
        let ends = match by {
            By::Rank => Ends::Ranks(args.integer(start)?, args.integer(start + 1)?),
            By::Score => {
                let (min, max) = score_bounds(args, min, max)?;
                Ends::Scores(min, max)
            }
            By::Member => {
                let (min, max) = member_bounds(args, min, max)?;
                Ends::Members(min, max)
            }
        };
        Ok(Self {
            ends,
            reverse,
            with_scores,
            limit,
        })
    }

    /// The ranks that are asked for, counted from the lowest score whatever the direction.
    pub(super) fn ranks(&self, set: &SortedSet) -> Range<usize> {
        let ranks = match self.ends {
            Ends::Ranks(start, stop) => {
                let ranks = rank_range(start, stop, set.len());
                if self.reverse {
                    return set.len() - ranks.end..set.len() - ranks.start;
                }
                return ranks;
            }
            Ends::Scores(min, max) => set.score_ranks(min, max),
            Ends::Members(min, max) if self.reverse => set.member_ranks_back(min, max),
            Ends::Members(min, max) => set.member_ranks(min, max),
        };
        // A negative offset is behind everything, as in Redis.
        let skip = usize::try_from(self.limit.0).map_or(ranks.len(), |skip| skip.min(ranks.len()));
        let count = usize::try_from(self.limit.1).unwrap_or(usize::MAX);
        let count = count.min(ranks.len() - skip);
        if self.reverse {
            let end = ranks.end - skip;
            end - count..end
        } else {
            let start = ranks.start + skip;
            start..start + count
        }
    }
}

fn zrange(
    context: &mut ReadContext<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
    form: Form,
) -> Result<(), CommandError> {
    let query = Query::parse(args, 2, form, false)?;
    let Some(set) = context.object::<SortedSet>(context.key(args, 1))? else {
        reply.array(0);
        return Ok(());
    };
    let items = set.range(query.ranks(set));
    if query.reverse {
        reply_members(reply, query.with_scores, items.rev());
    } else {
        reply_members(reply, query.with_scores, items);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::testkit::check;

    #[test]
    fn by_rank() {
        check(
            "ZADD z 1 a 2 b 3 c 4 4 | ZRANGE z 0 -1 | ZRANGE z 1 2 WITHSCORES | ZRANGE z -2 99 | ZRANGE z 2 1 | ZRANGE z 0 1 REV | \
             ZREVRANGE z 0 0 WITHSCORES | ZREVRANGE z -2 -1 | ZRANGE none 0 -1 | ZRANGE z 0 -1 LIMIT 0 -1",
            "4 | [a b c 4] | [b 2 c 3] | [c 4] | [] | [4 c] | [4 4] | [b a] | [] | [a b c 4]",
        );
    }

    #[test]
    fn by_score() {
        check(
            "ZADD z 1 a 2 b 2 c 3 d inf e | ZRANGEBYSCORE z 2 3 | ZRANGEBYSCORE z (2 +inf WITHSCORES | ZRANGE z 2 3 BYSCORE LIMIT 1 1 | \
             ZREVRANGEBYSCORE z +inf -inf LIMIT 1 2 | ZRANGE z 3 (1 BYSCORE REV | ZRANGEBYSCORE z 3 2 | ZRANGEBYSCORE z -inf inf LIMIT -1 2 | \
             ZRANGEBYSCORE z 1 2 LIMIT 1 -5 | ZRANGEBYSCORE z 1 2 LIMIT 9 1 | ZREVRANGEBYSCORE z 9 1 LIMIT 3 9 | ZRANGEBYSCORE z 1 2 LIMIT 0 0",
            "5 | [b c d] | [d 3 e inf] | [c] | [d c] | [d c b] | [] | [] | [b c] | [] | [a] | []",
        );
    }

    #[test]
    fn by_member() {
        check(
            "ZADD z 0 a 0 b 0 c 0 d | ZRANGEBYLEX z - + | ZRANGEBYLEX z (a [c | ZREVRANGEBYLEX z + [b LIMIT 1 5 | ZRANGE z [c - BYLEX REV | \
             ZRANGEBYLEX z + - | ZRANGE z (b + BYLEX LIMIT 0 1",
            "4 | [a b c d] | [b c] | [c b] | [c b a] | [] | [c]",
        );
    }

    #[test]
    fn pairs_in_resp3() {
        check(
            "@resp 3 | ZADD z 1 a 2.5 b | ZRANGE z 0 -1 WITHSCORES | ZREVRANGEBYSCORE z 9 0 WITHSCORES | ZRANGE z 0 0",
            "ok | 2 | [[a ,1] [b ,2.5]] | [[b ,2.5] [a ,1]] | [a]",
        );
    }

    #[test]
    fn refuses_what_redis_refuses() {
        check(
            "ZRANGE z 0 -1 LIMIT 0 1 | ZRANGE z 0 -1 BYLEX WITHSCORES | ZRANGE z 0 -1 BYSCORE BYLEX | ZRANGE z 0 -1 REV REV | \
             ZREVRANGE z 0 -1 REV | ZRANGEBYSCORE z 0 1 BYLEX | ZRANGE z (1 2 | ZRANGE z a b BYSCORE | ZRANGE z a b BYLEX | \
             ZRANGEBYSCORE z 0 1 LIMIT 0 | ZRANGEBYSCORE z 0 1 LIMIT x 1 | SET s v | ZRANGE s 0 1 | ZRANGE s x 1",
            "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX | \
             ERR syntax error, WITHSCORES not supported in combination with BYLEX | ERR syntax error | ERR syntax error | \
             ERR syntax error | ERR syntax error | ERR value is not an integer or out of range | ERR min or max is not a float | \
             ERR min or max not valid string range item | ERR syntax error | ERR value is not an integer or out of range | OK | \
             WRONGTYPE Operation against a key holding the wrong kind of value | ERR value is not an integer or out of range",
        );
    }
}
