//! SSCAN key cursor [MATCH pattern] [COUNT count]

use super::super::scan_options::{Extra, ScanOptions, cursor, reply_nothing};
use super::prelude::*;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "sscan",
    since: "2.8.0",
    group: Group::Set,
    summary: "Walks over the members of a set, a few at each call.",
    complexity: "O(1) a call, O(n) for a whole walk over n members",
    syntax: &[
        Arg::key("key", Access::READ),
        Arg::integer("cursor"),
        Arg::pattern("pattern").after("MATCH").optional(),
        Arg::integer("count").after("COUNT").optional(),
    ],
    flags: Flags::READONLY,
    tips: &["nondeterministic_output"],
    run: Run::Read(sscan),
    ..CommandSpec::DEFAULT
};

fn sscan(
    context: &mut ReadContext<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    let cursor = cursor(args.get(2))?;
    let Some(set) = context.object::<Set>(context.key(args, 1))? else {
        reply_nothing(reply);
        return Ok(());
    };
    let options = ScanOptions::parse(args, 3, Extra::None)?;
    let mut members = Vec::new();
    let next = set.scan(cursor, options.count, |member| {
        if options.wants(member.to_bytes(&mut [0; INTEGER_TEXT_SIZE_MAX])) {
            members.push(member);
        }
    });
    reply.array(2);
    reply.bulk_display(next);
    reply.array(members.len());
    for member in members {
        reply_member(reply, member);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use crate::testkit::{Bench, check};

    #[test]
    fn a_compact_set_takes_one_call() {
        check(
            "SSCAN s 0 | SADD s a b2 33 | SSCAN s 0 | SSCAN s 0 COUNT 1 | SSCAN s 0 MATCH ?? | SSCAN s 0 match b* count 1 | SADD i 3 20 100 | SSCAN i 0 COUNT 1 MATCH *0",
            "[0 []] | 3 | [0 [a b2 33]] | [0 [a b2 33]] | [0 [b2 33]] | [0 [b2]] | 3 | [0 [20 100]]",
        );
    }

    #[test]
    fn finds_every_member_of_a_table_once() {
        let mut bench = Bench::new();
        let members: String = (0..1000).map(|number| format!(" m{number}")).collect();
        bench.line(&format!("SADD s{members}"));
        for options in ["", "COUNT 100", "MATCH m*"] {
            let (mut cursor, mut seen, mut count) = ("0".to_owned(), BTreeSet::new(), 0);
            loop {
                let reply = bench.line(&format!("SSCAN s {cursor} {options}"));
                let (next, found) = reply
                    .trim_start_matches('[')
                    .trim_end_matches(']')
                    .split_once(" [")
                    .unwrap();
                seen.extend(found.split_whitespace().map(str::to_owned));
                count += found.split_whitespace().count();
                cursor = next.to_owned();
                if cursor == "0" {
                    break;
                }
            }
            assert_eq!((seen.len(), count), (1000, 1000), "{options}");
        }
    }

    #[test]
    fn refuses_what_redis_refuses() {
        check(
            "SSCAN s x | SSCAN s -1 | SSCAN s 0 COUNT 0 | SADD s a | SSCAN s 0 COUNT 0 | SSCAN s 0 COUNT x | SSCAN s 0 COUNT | SSCAN s 0 MATCH | \
             SSCAN s 0 TYPE set | SSCAN s 0 NOVALUES | SET k v | SSCAN k 0 COUNT 0 | SSCAN k x",
            "ERR invalid cursor | ERR invalid cursor | [0 []] | 1 | ERR syntax error | ERR value is not an integer or out of range | ERR syntax error | \
             ERR syntax error | ERR syntax error | ERR NOVALUES option can only be used in HSCAN | OK | \
             WRONGTYPE Operation against a key holding the wrong kind of value | ERR invalid cursor",
        );
    }
}
