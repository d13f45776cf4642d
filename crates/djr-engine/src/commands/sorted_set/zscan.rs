//! ZSCAN key cursor [MATCH pattern] [COUNT count] [NOSCORES]

use djr_protocol::format_double;
use djr_storage::types::SortedSet;

use super::super::prelude::*;
use super::super::scan_options::{Extra, ScanOptions, cursor, reply_nothing};

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

fn zscan(
    context: &mut ReadContext<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    let cursor = cursor(args.get(2))?;
    let Some(set) = context.object::<SortedSet>(context.key(args, 1))? else {
        reply_nothing(reply);
        return Ok(());
    };
    let options = ScanOptions::parse(args, 3, Extra::NoScores)?;
    let mut found: Vec<(Vec<u8>, f64)> = Vec::new();
    let next = set.scan(cursor, options.count, |member, score| {
        if options.wants(member) {
            found.push((member.to_vec(), score));
        }
    });
    reply.array(2);
    reply.bulk_display(next);
    reply.array(found.len() * if options.names_only { 1 } else { 2 });
    let mut text = Vec::new();
    for (member, score) in found {
        reply.bulk(&member);
        if !options.names_only {
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
