//! HSCAN key cursor [MATCH pattern] [COUNT count] [NOVALUES]

use super::super::scan_options::{Extra, ScanOptions, cursor, reply_nothing};
use super::prelude::*;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "hscan",
    since: "2.8.0",
    group: Group::Hash,
    summary: "Walks over the fields of a hash, a few at each call.",
    complexity: "O(1) a call, O(n) for a whole walk over n fields",
    syntax: &[
        Arg::key("key", Access::READ),
        Arg::integer("cursor"),
        Arg::pattern("pattern").after("MATCH").optional(),
        Arg::integer("count").after("COUNT").optional(),
        Arg::token("novalues", "NOVALUES").optional(),
    ],
    flags: Flags::READONLY,
    tips: &["nondeterministic_output"],
    run: Run::Read(hscan),
    ..CommandSpec::DEFAULT
};

fn hscan(
    context: &mut ReadContext<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    let cursor = cursor(args.get(2))?;
    let Some(hash) = context.object::<Hash>(context.key(args, 1))? else {
        reply_nothing(reply);
        return Ok(());
    };
    let options = ScanOptions::parse(args, 3, Extra::NoValues)?;
    let mut fields = Vec::new();
    let next = hash.scan(cursor, options.count, context.now, |field, found| {
        if options.wants(field.to_bytes(&mut [0; INTEGER_TEXT_SIZE_MAX])) {
            fields.push((field, found.value));
        }
    });
    reply.array(2);
    reply.bulk_display(next);
    reply.array(fields.len() * if options.names_only { 1 } else { 2 });
    for (field, value) in fields {
        reply_element(reply, field);
        if !options.names_only {
            reply_element(reply, value);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use crate::testkit::{Bench, check};

    #[test]
    fn a_packed_hash_takes_one_call() {
        check(
            "HSCAN h 0 | HSET h a 1 b2 2 33 3 | HSCAN h 0 | HSCAN h 0 COUNT 1 NOVALUES | HSCAN h 0 MATCH ?? | HSCAN h 0 match b* count 1 novalues",
            "[0 []] | 3 | [0 [a 1 b2 2 33 3]] | [0 [a b2 33]] | [0 [b2 2 33 3]] | [0 [b2]]",
        );
    }

    #[test]
    fn finds_every_field_of_a_table_once() {
        let mut bench = Bench::new();
        let fields: String = (0..1000).map(|number| format!(" f{number} v")).collect();
        bench.line(&format!("HSET h{fields}"));
        for options in ["NOVALUES", "COUNT 100 NOVALUES", "MATCH f* NOVALUES"] {
            let (mut cursor, mut seen, mut count) = ("0".to_owned(), BTreeSet::new(), 0);
            loop {
                let reply = bench.line(&format!("HSCAN h {cursor} {options}"));
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
            "HSCAN h x | HSCAN h -1 | HSCAN h \"\" | HSCAN h 18446744073709551616 | HSCAN h 0 COUNT 0 | HSET h a 1 | HSCAN h 0 COUNT 0 | \
             HSCAN h 0 COUNT x | HSCAN h 0 COUNT | HSCAN h 0 MATCH | HSCAN h 0 TYPE hash | HSCAN h +5 NOVALUES | SET s v | HSCAN s 0 COUNT 0 | HSCAN s x",
            "ERR invalid cursor | ERR invalid cursor | ERR invalid cursor | ERR invalid cursor | [0 []] | 1 | ERR syntax error | \
             ERR value is not an integer or out of range | ERR syntax error | ERR syntax error | ERR syntax error | [0 [a]] | OK | \
             WRONGTYPE Operation against a key holding the wrong kind of value | ERR invalid cursor",
        );
    }
}
