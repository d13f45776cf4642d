//! LPOS key element [RANK rank] [COUNT num-matches] [MAXLEN len]

use djr_storage::types::listpack::{Element, Needle};

use super::super::prelude::*;
use super::List;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "lpos",
    since: "6.0.6",
    group: Group::List,
    summary: "Returns the index of the first, the last or the n-th element that equals another, or several such indexes.",
    complexity: "O(n) for a list of n elements",
    syntax: &[
        Arg::key("key", Access::READ),
        Arg::string("element"),
        Arg::integer("rank").after("RANK").optional(),
        Arg::integer("num-matches").after("COUNT").optional(),
        Arg::integer("len").after("MAXLEN").optional(),
    ],
    flags: Flags::READONLY,
    run: Run::Read(lpos),
    ..CommandSpec::DEFAULT
};

struct Options {
    /// Which match is the first that counts: 1, 2, … from the first element on; -1, -2, … from the last.
    rank: i64,
    /// How many are answered, 0: all; `None`: one, and not as an array.
    count: Option<u64>,
    /// How many elements are looked at; 0: all.
    max_len: u64,
}

impl Options {
    fn parse(args: &Args<'_>) -> Result<Self, CommandError> {
        let mut options = Self {
            rank: 1,
            count: None,
            max_len: 0,
        };
        let mut index = 3;
        while index < args.len() {
            let value = index + 1;
            if value == args.len() {
                return Err(CommandError::Syntax);
            }
            let positive = |error| {
                let number = args.integer(value).ok();
                let number = number.and_then(|number| u64::try_from(number).ok());
                number.ok_or(CommandError::text(error))
            };
            if args.is(index, "rank") {
                options.rank = match args.integer(value)? {
                    0 => {
                        return Err(CommandError::text(
                            "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... \
                             or use negative to start from the end of the list",
                        ));
                    }
                    i64::MIN => return Err(CommandError::text(super::NO_MIN)),
                    rank => rank,
                };
            } else if args.is(index, "count") {
                options.count = Some(positive("ERR COUNT can't be negative")?);
            } else if args.is(index, "maxlen") {
                options.max_len = positive("ERR MAXLEN can't be negative")?;
            } else {
                return Err(CommandError::Syntax);
            }
            index += 2;
        }
        Ok(options)
    }

    /// The indexes of the matches, in the order in which they are found.
    fn search<'a>(
        &self,
        elements: impl Iterator<Item = Element<'a>>,
        needle: Needle<'a>,
        len: usize,
    ) -> impl Iterator<Item = usize> {
        let max = |number: u64| match number {
            0 => usize::MAX,
            number => usize::try_from(number).unwrap_or(usize::MAX),
        };
        let backwards = self.rank < 0;
        let skipped = usize::try_from(self.rank.unsigned_abs() - 1).unwrap_or(usize::MAX);
        elements
            .take(max(self.max_len))
            .enumerate()
            .filter(move |(_, element)| needle.matches(*element))
            .map(move |(nth, _)| if backwards { len - 1 - nth } else { nth })
            .skip(skipped)
            .take(self.count.map_or(1, max))
    }
}

fn lpos(
    context: &mut ReadContext<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    let options = Options::parse(args)?;
    let list = context.object::<List>(context.key(args, 1))?;
    let needle = Needle::new(args.get(2));
    if let Some(list) = list {
        if options.rank > 0 {
            answer(
                &options,
                options.search(list.iter(), needle, list.len()),
                reply,
            );
        } else {
            answer(
                &options,
                options.search(list.iter_rev(), needle, list.len()),
                reply,
            );
        }
    } else {
        answer(&options, std::iter::empty(), reply);
    }
    Ok(())
}

fn answer(options: &Options, mut indexes: impl Iterator<Item = usize>, reply: &mut Reply<'_>) {
    if options.count.is_some() {
        let array = reply.array_later();
        let mut len = 0;
        for index in indexes {
            reply.integer(index as i64);
            len += 1;
        }
        reply.finish(array, len);
    } else {
        match indexes.next() {
            Some(index) => reply.integer(index as i64),
            None => reply.null(),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testkit::check;

    #[test]
    fn ranks_and_counts() {
        check(
            "RPUSH l a b 1 a b 1 a | LPOS l a | LPOS l 1 RANK 2 | LPOS l a RANK -1 | LPOS l a RANK -3 | LPOS l a RANK 4 | LPOS l z",
            "7 | 0 | 5 | 6 | 0 | (nil) | (nil)",
        );
        check(
            "RPUSH l a b 1 a b 1 a | LPOS l a COUNT 0 | LPOS l a COUNT 2 | LPOS l a RANK -1 COUNT 2 | LPOS l a RANK 2 COUNT 0 | LPOS l z COUNT 0 | LPOS none z COUNT 1 | LPOS none z",
            "7 | [0 3 6] | [0 3] | [6 3] | [3 6] | [] | [] | (nil)",
        );
        check(
            "RPUSH l a b a b | LPOS l b MAXLEN 1 | LPOS l b COUNT 0 MAXLEN 2 | LPOS l a COUNT 0 MAXLEN 2 RANK -1 | LPOS l a maxlen 0",
            "4 | (nil) | [1] | [2] | 0",
        );
    }

    #[test]
    fn options_are_checked_first() {
        let least = "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807";
        check(
            "SET s x | LPOS s a COUNT -1 | LPOS s a MAXLEN x | LPOS s a RANK | LPOS s a FOO 1 | LPOS s a RANK -9223372036854775808 | LPOS s a",
            &format!(
                "OK | ERR COUNT can't be negative | ERR MAXLEN can't be negative | ERR syntax error | ERR syntax error | {least} | WRONGTYPE Operation against a key holding the wrong kind of value"
            ),
        );
        check(
            "LPOS l a RANK 0",
            "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start from the end of the list",
        );
    }
}
