//! ZADD key [NX|XX] [GT|LT] [CH] [INCR] score member [score member …], ZINCRBY key increment member

use djr_storage::types::SortedSet;
use djr_storage::types::sorted_set::Upsert;

use super::super::prelude::*;
use super::bounds::parse_double;
use crate::notify::Notify;

pub(super) static ZADD: CommandSpec = CommandSpec {
    name: "zadd",
    since: "1.2.0",
    group: Group::SortedSet,
    summary: "Adds members to a sorted set, or gives them other scores.",
    complexity: "O(log n) for each member, in a sorted set of n",
    syntax: &[
        Arg::key("key", Access::RW.with(Access::UPDATE)),
        Arg::one_of(
            "condition",
            &[Arg::token("nx", "NX"), Arg::token("xx", "XX")],
        )
        .optional(),
        Arg::one_of(
            "comparison",
            &[Arg::token("gt", "GT"), Arg::token("lt", "LT")],
        )
        .optional(),
        Arg::token("change", "CH").optional(),
        Arg::token("increment", "INCR").optional(),
        Arg::block("data", &[Arg::double("score"), Arg::string("member")]).multiple(),
    ],
    flags: Flags::WRITE.with(Flags::DENY_OOM).with(Flags::FAST),
    run: Run::Write(zadd),
    ..CommandSpec::DEFAULT
};

pub(super) static ZINCRBY: CommandSpec = CommandSpec {
    name: "zincrby",
    since: "1.2.0",
    group: Group::SortedSet,
    summary: "Adds to the score of a member of a sorted set.",
    complexity: "O(log n) in a sorted set of n",
    syntax: &[
        Arg::key("key", Access::READ_UPDATE),
        Arg::integer("increment"),
        Arg::string("member"),
    ],
    flags: Flags::WRITE.with(Flags::DENY_OOM).with(Flags::FAST),
    run: Run::Write(|context, args, reply| {
        let options = Options {
            incr: true,
            first: 2,
            ..Options::default()
        };
        add_args(context, args, reply, &options)
    }),
    ..CommandSpec::DEFAULT
};

/// What an addition may do.
#[derive(Default)]
pub(in crate::commands) struct Options {
    pub(in crate::commands) nx: bool,
    pub(in crate::commands) xx: bool,
    pub(in crate::commands) gt: bool,
    pub(in crate::commands) lt: bool,
    pub(in crate::commands) ch: bool,
    pub(in crate::commands) incr: bool,
    /// The first score.
    first: usize,
}

impl Options {
    fn parse(args: &Args<'_>) -> Result<Self, CommandError> {
        let mut options = Self::default();
        let mut index = 2;
        while index < args.len() {
            let flag = match args.get(index).len() {
                2 if args.is(index, "NX") => &mut options.nx,
                2 if args.is(index, "XX") => &mut options.xx,
                2 if args.is(index, "GT") => &mut options.gt,
                2 if args.is(index, "LT") => &mut options.lt,
                2 if args.is(index, "CH") => &mut options.ch,
                4 if args.is(index, "INCR") => &mut options.incr,
                _ => break,
            };
            *flag = true;
            index += 1;
        }
        options.first = index;
        let left = args.len() - index;
        if left == 0 || !left.is_multiple_of(2) {
            return Err(CommandError::Syntax);
        }
        if options.nx && options.xx {
            return Err(CommandError::text(
                "ERR XX and NX options at the same time are not compatible",
            ));
        }
        if (options.gt || options.lt) && options.nx || options.gt && options.lt {
            return Err(CommandError::text(
                "ERR GT, LT, and/or NX options at the same time are not compatible",
            ));
        }
        if options.incr && left > 2 {
            return Err(CommandError::text(
                "ERR INCR option supports a single increment-element pair",
            ));
        }
        Ok(options)
    }

    /// The new score of a member of this score; none if it is to stay as it is.
    fn decide(&self, old: Option<f64>, score: f64) -> Option<f64> {
        let Some(old) = old else {
            return (!self.xx).then_some(score);
        };
        let new = if self.incr { old + score } else { score };
        let refused = self.nx || self.gt && new <= old || self.lt && new >= old;
        (!refused).then_some(new)
    }
}

fn zadd(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    add_args(context, args, reply, &Options::parse(args)?)
}

fn add_args(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
    options: &Options,
) -> Result<Effect, CommandError> {
    let items: Items<'_> = (options.first..args.len())
        .step_by(2)
        .map(|index| {
            let score = parse_double(args.get(index)).ok_or(CommandError::NotAFloat)?;
            Ok((args.get(index + 1), score))
        })
        .collect::<Result<_, CommandError>>()?;
    add(context, context.key(args, 1), &items, reply, options)
}

/// Members with their scores, in the order of the request.
pub(in crate::commands) type Items<'a> = smallvec::SmallVec<[(&'a [u8], f64); 4]>;

/// Adds at least one member to the sorted set of a key, and answers as ZADD does.
pub(in crate::commands) fn add(
    context: &mut WriteContext<'_, '_>,
    key: Key<'_>,
    items: &Items<'_>,
    reply: &mut Reply<'_>,
    options: &Options,
) -> Result<Effect, CommandError> {
    let limits = context.engine.settings.sorted_set_limits();
    let (mut added, mut updated) = (0, 0);
    let mut last = None;
    let mut change = |set: &mut SortedSet| {
        if !options.xx {
            let first_len = items.first().map_or(0, |(member, _)| member.len());
            set.prepare(items.len(), first_len, &limits);
        }
        for (member, score) in items {
            let mut is_nan = false;
            let upsert: Upsert = set.upsert(member, &limits, |old| {
                let new = options.decide(old, *score);
                is_nan = new.is_some_and(f64::is_nan);
                new.filter(|_| !is_nan)
            });
            if is_nan {
                // Only an increment makes one, and that is alone.
                return Err(CommandError::text(
                    "ERR resulting score is not a number (NaN)",
                ));
            }
            added += i64::from(upsert.is_added());
            updated += i64::from(upsert.is_updated());
            last = upsert.new;
        }
        Ok(())
    };
    if options.xx {
        context.update(key, change)?.transpose()?;
    } else {
        context.update_or_insert(key, &mut change)??;
    }
    match (options.incr, last) {
        (true, Some(score)) => reply.double(score),
        (true, None) => reply.null(),
        (false, _) => reply.integer(added + if options.ch { updated } else { 0 }),
    }
    if added + updated == 0 {
        return Ok(Effect::None);
    }
    let event = if options.incr { "zincr" } else { "zadd" };
    context.notify(Notify::SORTED_SET, event, key.bytes);
    Ok(Effect::Verbatim)
}

#[cfg(test)]
mod tests {
    use crate::testkit::{check, check_effects};

    #[test]
    fn adds_and_updates() {
        check(
            "ZADD z 1 a 2 b | ZADD z 3 a 1 c | ZRANGE z 0 -1 WITHSCORES | ZADD z CH 4 a 1 c | ZADD z NX 9 a 9 d | ZADD z XX CH 5 a 5 e | \
             ZRANGE z 0 -1 WITHSCORES",
            "2 | 1 | [c 1 b 2 a 3] | 1 | 1 | 1 | [c 1 b 2 a 5 d 9]",
        );
        check(
            "ZADD z 5 a | ZADD z GT CH 4 a | ZADD z GT CH 6 a | ZADD z LT CH 7 a | ZADD z LT CH 1 a 1 b | ZSCORE z a | ZADD z XX GT CH 2 a 2 c",
            "1 | 0 | 1 | 0 | 2 | 1 | 1",
        );
    }

    #[test]
    fn increments() {
        check(
            "ZADD z INCR 1.5 a | ZADD z INCR 1 a | ZINCRBY z -3 a | ZADD z NX INCR 1 a | ZADD z XX INCR 1 b | ZADD z GT INCR -1 a | \
             ZADD z GT INCR 0 a | ZINCRBY z 0 a | ZINCRBY n 3 x | ZINCRBY n inf x | ZINCRBY n -inf x | ZSCORE n x",
            "1.5 | 2.5 | -0.5 | (nil) | (nil) | (nil) | (nil) | -0.5 | 3 | inf | ERR resulting score is not a number (NaN) | inf",
        );
    }

    #[test]
    fn nothing_is_added_to_nothing() {
        check(
            "ZADD z XX 1 a | EXISTS z | ZADD z 1 a x b | EXISTS z | SET s v | ZADD s 1 a | ZADD s XX 1 a | ZADD s x a",
            "0 | 0 | ERR value is not a valid float | 0 | OK | \
             WRONGTYPE Operation against a key holding the wrong kind of value | \
             WRONGTYPE Operation against a key holding the wrong kind of value | ERR value is not a valid float",
        );
    }

    #[test]
    fn refuses_what_redis_refuses() {
        check(
            "ZADD z NX XX 1 a | ZADD z NX GT 1 a | ZADD z GT LT 1 a | ZADD z INCR 1 a 2 b | ZADD z 1 a 2 | ZADD z NX CH | ZADD z nan a",
            "ERR XX and NX options at the same time are not compatible | \
             ERR GT, LT, and/or NX options at the same time are not compatible | \
             ERR GT, LT, and/or NX options at the same time are not compatible | \
             ERR INCR option supports a single increment-element pair | ERR syntax error | ERR syntax error | ERR value is not a valid float",
        );
    }

    #[test]
    fn logs_itself_if_it_changed_anything() {
        check_effects(
            "ZADD z 1 a | ZADD z 1 a | ZADD z NX 2 a | ZADD z 2 a | ZINCRBY z 0 a | ZINCRBY z 1 a | ZADD z INCR nan a",
            "ZADD z 1 a | ZADD z 2 a | ZINCRBY z 1 a",
        );
    }
}
