//! ZSCAN key cursor [MATCH pattern] [COUNT count] [NOSCORES]

use djr_protocol::format_double;
use djr_storage::types::SortedSet;

use super::super::prelude::*;
use crate::glob;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "zscan",
    since: "2.8.0",
    group: Group::SortedSet,
    summary: "Walks over the members of a sorted set, a few at each call.",
    complexity: "O(1) a call, O(n) for a whole walk over n members",
    syntax: &[
        Arg::key("key", Access::READ),
        Arg::integer("cursor"),
        Arg::pattern("pattern").after("MATCH").optional(),
        Arg::integer("count").after("COUNT").optional(),
        Arg::token("noscores", "NOSCORES").optional(),
    ],
    flags: Flags::READONLY,
    tips: &["nondeterministic_output"],
    run: Run::Read(zscan),
    ..CommandSpec::DEFAULT
};

struct Options<'a> {
    pattern: Option<&'a [u8]>,
    count: usize,
    scores: bool,
}

impl<'a> Options<'a> {
    fn parse(args: &Args<'a>) -> Result<Self, CommandError> {
        let mut options = Self {
            pattern: None,
            count: 10,
            scores: true,
        };
        let mut index = 3;
        while index < args.len() {
            let has_value = index + 1 < args.len();
            if has_value && args.is(index, "COUNT") {
                options.count = usize::try_from(args.integer(index + 1)?)
                    .ok()
                    .filter(|count| *count > 0)
                    .ok_or(CommandError::Syntax)?;
                index += 2;
            } else if has_value && args.is(index, "MATCH") {
                options.pattern =
                    Some(args.get(index + 1)).filter(|pattern| !glob::is_any(pattern));
                index += 2;
            } else if args.is(index, "NOSCORES") {
                options.scores = false;
                index += 1;
            } else if args.is(index, "NOVALUES") {
                return Err(CommandError::text(
                    "ERR NOVALUES option can only be used in HSCAN",
                ));
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(options)
    }
}

fn zscan(
    context: &mut ReadContext<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    let cursor: u64 = std::str::from_utf8(args.get(2))
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or(CommandError::InvalidCursor)?;
    // A key that is not there is answered before the options are looked at, as in Redis.
    let Some(set) = context.object::<SortedSet>(context.key(args, 1))? else {
        reply.array(2);
        reply.bulk(b"0");
        reply.array(0);
        return Ok(());
    };
    let options = Options::parse(args)?;
    let mut found: Vec<(Vec<u8>, f64)> = Vec::new();
    let next = set.scan(cursor, options.count, |member, score| {
        if options
            .pattern
            .is_none_or(|pattern| glob::matches(pattern, member))
        {
            found.push((member.to_vec(), score));
        }
    });
    reply.array(2);
    reply.bulk_display(next);
    reply.array(found.len() * if options.scores { 2 } else { 1 });
    let mut text = Vec::new();
    for (member, score) in found {
        reply.bulk(&member);
        if options.scores {
            text.clear();
            format_double(score, &mut text);
            reply.bulk(&text);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::testkit::{Bench, check};

    #[test]
    fn a_small_one_takes_one_call() {
        check(
            "ZADD z 1 a 2.5 b inf c | ZSCAN z 0 | ZSCAN z 99 MATCH [ab] NOSCORES | ZSCAN z 0 COUNT 1 | ZSCAN none 0 | ZSCAN none 5 x",
            "3 | [0 [a 1 b 2.5 c inf]] | [0 [a b]] | [0 [a 1 b 2.5 c inf]] | [0 []] | [0 []]",
        );
    }

    #[test]
    fn walks_over_a_big_one() {
        let mut bench = Bench::new();
        for number in 0..1000 {
            bench.line(&format!("ZADD z {number} member:{number}"));
        }
        let (mut cursor, mut members) = ("0".to_owned(), Vec::new());
        loop {
            let reply = bench.line(&format!("ZSCAN z {cursor} COUNT 7 NOSCORES"));
            let inner = reply.trim_start_matches('[').trim_end_matches(']');
            let (next, found) = inner.split_once(" [").unwrap_or((inner, ""));
            members.extend(found.split_whitespace().map(str::to_owned));
            cursor = next.to_owned();
            if cursor == "0" {
                break;
            }
        }
        members.sort();
        members.dedup();
        assert_eq!(members.len(), 1000);
    }

    #[test]
    fn refuses_what_redis_refuses() {
        check(
            "ZADD z 1 a | ZSCAN z x | ZSCAN z 0 COUNT x | ZSCAN z 0 COUNT 0 | ZSCAN z 0 MATCH | ZSCAN z 0 NOVALUES | SET s v | ZSCAN s 0",
            "1 | ERR invalid cursor | ERR value is not an integer or out of range | ERR syntax error | ERR syntax error | \
             ERR NOVALUES option can only be used in HSCAN | OK | WRONGTYPE Operation against a key holding the wrong kind of value",
        );
    }
}
