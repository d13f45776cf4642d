//! LMPOP numkeys key [key …] LEFT | RIGHT [COUNT count]

use super::super::prelude::*;
use super::{End, TAKE, WHERE, end, pop_command};

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "lmpop",
    since: "7.0.0",
    group: Group::List,
    summary: "Takes elements at one end of the first list that there is, and returns its key and them.",
    complexity: "O(k + n) for k keys and n elements",
    syntax: &[
        Arg::integer("numkeys"),
        Arg::key("key", TAKE).multiple(),
        Arg::one_of("where", WHERE),
        Arg::integer("count").after("COUNT").optional(),
    ],
    flags: Flags::WRITE,
    run: Run::Write(lmpop),
    ..CommandSpec::DEFAULT
};

/// What LMPOP and BLMPOP are asked for.
pub(super) struct Request {
    /// The arguments that are keys.
    pub(super) keys: std::ops::Range<usize>,
    end: End,
    count: usize,
}

impl Request {
    /// Reads the arguments from `numkeys` on, which is at `index`.
    pub(super) fn parse(args: &Args<'_>, index: usize) -> Result<Self, CommandError> {
        let positive = |index: usize, error| match args.integer(index) {
            Ok(number @ 1..) => Ok(usize::try_from(number).unwrap_or(usize::MAX)),
            _ => Err(CommandError::text(error)),
        };
        let numkeys = positive(index, "ERR numkeys should be greater than 0")?;
        let first = index + 1;
        let position = first
            .checked_add(numkeys)
            .filter(|position| *position < args.len())
            .ok_or(CommandError::Syntax)?;
        let end = end(args, position)?;
        let count = match args.len() - position {
            1 => 1,
            3 if args.is(position + 1, "count") => {
                positive(position + 2, "ERR count should be greater than 0")?
            }
            // With a COUNT too many, what is wrong with the first one is said first.
            4.. if args.is(position + 1, "count") => {
                positive(position + 2, "ERR count should be greater than 0")?;
                return Err(CommandError::Syntax);
            }
            _ => return Err(CommandError::Syntax),
        };
        Ok(Self {
            keys: first..position,
            end,
            count,
        })
    }

    /// Pops from the first list that there is, and answers. `None`, and no answer, if there is none.
    pub(super) fn run(
        &self,
        context: &mut WriteContext<'_, '_>,
        args: &Args<'_>,
        reply: &mut Reply<'_>,
    ) -> Result<Option<Effect>, CommandError> {
        for index in self.keys.clone() {
            let key = context.key(args, index);
            let popped = super::pop(context, key, self.end, self.count, reply, |reply, count| {
                reply.array(2);
                reply.bulk(key.bytes);
                reply.array(count);
            })?;
            let Some(popped) = popped else {
                continue;
            };
            let mut buffer = [0; INTEGER_TEXT_SIZE_MAX];
            let count = format_integer(popped as i64, &mut buffer);
            let logged = context.rewrite(&[pop_command(self.end), key.bytes, count]);
            return Ok(Some(Effect::Rewritten(logged)));
        }
        Ok(None)
    }
}

fn lmpop(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    let request = Request::parse(args, 1)?;
    if let Some(effect) = request.run(context, args, reply)? {
        return Ok(effect);
    }
    reply.null_array();
    Ok(Effect::None)
}

#[cfg(test)]
mod tests {
    use crate::testkit::{check, check_effects};

    #[test]
    fn first_list_that_there_is() {
        check(
            "RPUSH l a b c d | LMPOP 2 none l LEFT | LMPOP 1 l RIGHT COUNT 2 | LMPOP 1 l left count 9 | LMPOP 1 l LEFT",
            "4 | [l [a]] | [l [d c]] | [l [b]] | (nil)",
        );
        check(
            "SET s x | RPUSH l a | LMPOP 2 none s LEFT | LMPOP 2 l s LEFT",
            "OK | 1 | WRONGTYPE Operation against a key holding the wrong kind of value | [l [a]]",
        );
    }

    #[test]
    fn arguments() {
        let numkeys = "ERR numkeys should be greater than 0";
        let count = "ERR count should be greater than 0";
        for (line, error) in [
            ("LMPOP 0 l LEFT", numkeys),
            ("LMPOP -1 l LEFT", numkeys),
            ("LMPOP x l LEFT", numkeys),
            ("LMPOP 2 l LEFT", "ERR syntax error"),
            ("LMPOP 9223372036854775807 l LEFT", "ERR syntax error"),
            ("LMPOP 1 l FOO", "ERR syntax error"),
            ("LMPOP 1 l LEFT COUNT", "ERR syntax error"),
            ("LMPOP 1 l LEFT COUNT 0", count),
            ("LMPOP 1 l LEFT COUNT x", count),
            ("LMPOP 1 l LEFT COUNT 1 COUNT 2", "ERR syntax error"),
            ("LMPOP 1 l LEFT COUNT 0 COUNT 2", count),
            ("LMPOP 1 l LEFT FOO 1", "ERR syntax error"),
        ] {
            check(line, error);
        }
    }

    #[test]
    fn logs_a_plain_pop() {
        check_effects(
            "RPUSH l a b c | LMPOP 2 none l RIGHT COUNT 2 | LMPOP 1 l LEFT COUNT 2 | LMPOP 1 l LEFT",
            "RPUSH l a b c | RPOP l 2 | LPOP l 1",
        );
    }
}
