//! ZMPOP numkeys key [key …] MIN|MAX [COUNT count]

use super::super::prelude::*;
use super::zpop::{End, Shape, pop};

pub(super) static ZMPOP: CommandSpec = CommandSpec {
    name: "zmpop",
    since: "7.0.0",
    group: Group::SortedSet,
    summary: "Removes members of the lowest or highest scores from the first sorted set that is there and returns them.",
    complexity: "O(k) + O(m + log n) for k keys and m members of n",
    syntax: &[
        Arg::integer("numkeys"),
        Arg::key("key", Access::RW.with(Access::ACCESS).with(Access::DELETE)).multiple(),
        Arg::one_of(
            "where",
            &[Arg::token("min", "MIN"), Arg::token("max", "MAX")],
        ),
        Arg::integer("count").after("COUNT").optional(),
    ],
    flags: Flags::WRITE.with(Flags::MOVABLE_KEYS),
    run: Run::Write(|context, args, reply| {
        let request = Request::parse(args, 1)?;
        Ok(request.run(context, args, reply)?.unwrap_or_else(|| {
            reply.null_array();
            Effect::None
        }))
    }),
    ..CommandSpec::DEFAULT
};

/// What the arguments ask for.
pub(super) struct Request {
    /// The first key and the one behind the last.
    pub(super) keys: std::ops::Range<usize>,
    end: End,
    count: usize,
}

impl Request {
    pub(super) fn parse(args: &Args<'_>, numkeys: usize) -> Result<Self, CommandError> {
        let positive = |index: usize, error| match args.integer(index) {
            Ok(number) if number > 0 => Ok(usize::try_from(number).unwrap_or(usize::MAX)),
            _ => Err(CommandError::text(error)),
        };
        let keys = positive(numkeys, "ERR numkeys should be greater than 0")?;
        let first = numkeys + 1;
        let last = first.saturating_add(keys);
        if last >= args.len() {
            return Err(CommandError::Syntax);
        }
        let end = if args.is(last, "MIN") {
            End::Min
        } else if args.is(last, "MAX") {
            End::Max
        } else {
            return Err(CommandError::Syntax);
        };
        let count = match args.len() - last {
            1 => 1,
            3 if args.is(last + 1, "COUNT") => {
                positive(last + 2, "ERR count should be greater than 0")?
            }
            // The count is looked at before what is behind it.
            4.. if args.is(last + 1, "COUNT") => {
                positive(last + 2, "ERR count should be greater than 0")?;
                return Err(CommandError::Syntax);
            }
            _ => return Err(CommandError::Syntax),
        };
        let keys = first..last;
        Ok(Self { keys, end, count })
    }

    /// None, and no reply, if there is nothing to take.
    pub(super) fn run(
        &self,
        context: &mut WriteContext<'_, '_>,
        args: &Args<'_>,
        reply: &mut Reply<'_>,
    ) -> Result<Option<Effect>, CommandError> {
        for index in self.keys.clone() {
            let key = context.key(args, index);
            let taken = pop(
                context,
                key,
                self.end,
                self.count,
                reply,
                Shape::KeyAndPairs,
            )?;
            if taken > 0 {
                let command = self.end.command().as_bytes();
                let count = taken.to_string();
                let rewritten = context.rewrite(&[command, key.bytes, count.as_bytes()]);
                return Ok(Some(Effect::Rewritten(rewritten)));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use crate::testkit::{check, check_effects};

    #[test]
    fn takes_from_the_first_that_is_there() {
        check(
            "ZADD z 1 a 2 b 3 c | ZADD y 9 x | ZMPOP 3 none z y MAX | ZMPOP 2 z y MIN COUNT 9 | EXISTS z | ZMPOP 2 z y MIN COUNT 1 | \
             ZMPOP 1 y MIN",
            "3 | 1 | [z [[c 3]]] | [z [[a 1] [b 2]]] | 0 | [y [[x 9]]] | (nil)",
        );
    }

    #[test]
    fn refuses_what_redis_refuses() {
        check(
            "ZMPOP 0 k MIN | ZMPOP x k MIN | ZMPOP 1 k MID | ZMPOP 2 k MIN | ZMPOP 1 k MIN COUNT 0 | ZMPOP 1 k MIN COUNT 1 COUNT 2 | \
             ZMPOP 1 k MIN x | SET s v | ZMPOP 2 none s MIN",
            "ERR numkeys should be greater than 0 | ERR numkeys should be greater than 0 | ERR syntax error | ERR syntax error | \
             ERR count should be greater than 0 | ERR syntax error | ERR syntax error | OK | \
             WRONGTYPE Operation against a key holding the wrong kind of value",
        );
    }

    #[test]
    fn logs_what_was_taken() {
        check_effects(
            "ZADD z 1 a 2 b 3 c | ZMPOP 2 none z MAX | ZMPOP 1 z MIN COUNT 9 | ZMPOP 1 z MIN",
            "ZADD z 1 a 2 b 3 c | ZPOPMAX z 1 | ZPOPMIN z 2",
        );
    }
}
