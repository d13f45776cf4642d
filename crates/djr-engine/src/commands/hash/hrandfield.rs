//! HRANDFIELD key [count [WITHVALUES]]

use djr_protocol::RespVersion;

use super::super::draws::Draws;
use super::prelude::*;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "hrandfield",
    since: "6.2.0",
    group: Group::Hash,
    summary: "Returns fields of a hash drawn at random.",
    complexity: "O(n) for n fields returned",
    syntax: &[
        Arg::key("key", Access::READ),
        Arg::block(
            "options",
            &[
                Arg::integer("count"),
                Arg::token("withvalues", "WITHVALUES").optional(),
            ],
        )
        .optional(),
    ],
    flags: Flags::READONLY,
    tips: &["nondeterministic_output"],
    run: Run::Read(hrandfield),
    ..CommandSpec::DEFAULT
};

fn hrandfield(
    context: &mut ReadContext<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    let key = context.key(args, 1);
    if args.len() == 2 {
        let drawn = context
            .object::<Hash>(key)?
            .and_then(|hash| hash.random(context.now, &mut || context.rng.next()));
        reply_optional(reply, drawn.map(|(field, _)| field));
        return Ok(());
    }
    let (draws, with_values) = Draws::parse_with(args, "WITHVALUES")?;
    let Some(hash) = context.object::<Hash>(key)? else {
        reply.array(0);
        return Ok(());
    };
    let live = hash.len(context.now);
    if live == 0 {
        reply.array(0);
        return Ok(());
    }
    let in_pairs = with_values && reply.version() == RespVersion::V3;
    let len = if with_values && !in_pairs { 2 } else { 1 };
    let answer = |reply: &mut Reply<'_>, (field, found): (Element<'_>, FieldValue<'_>)| {
        if in_pairs {
            reply.array(2);
        }
        reply_element(reply, field);
        if with_values {
            reply_element(reply, found.value);
        }
    };
    let (mut random, now) = (|| context.rng.next(), context.now);
    if draws.repeat {
        return draws.answer_repeated(context.engine, reply, len, |reply, count| {
            hash.sample_repeating(count, now, &mut random, |pair| answer(reply, pair));
        });
    }
    reply.array(draws.count.min(live) * len);
    hash.sample(draws.count.min(live), now, random, |pair| {
        answer(reply, pair)
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::testkit::{Bench, check};

    #[test]
    fn draws_fields() {
        check(
            "HRANDFIELD h | HRANDFIELD h 2 | HSET h a 1 | HRANDFIELD h | HRANDFIELD h 5 | HRANDFIELD h 0 | HRANDFIELD h -3 | \
             HRANDFIELD h 2 WITHVALUES | HRANDFIELD h -2 withvalues",
            "(nil) | [] | 1 | a | [a] | [] | [a a a] | [a 1] | [a 1 a 1]",
        );
        let mut bench = Bench::new();
        let fields: String = (0..600)
            .map(|number| format!(" f{number} {number}"))
            .collect();
        bench.line(&format!("HSET h{fields}"));
        for (count, drawn) in [(1, 1), (100, 100), (599, 599), (1000, 600), (-1000, 1000)] {
            let reply = bench.line(&format!("HRANDFIELD h {count}"));
            let mut names: Vec<_> = reply.trim_matches(['[', ']']).split(' ').collect();
            assert_eq!(names.len(), drawn);
            names.sort_unstable();
            names.dedup();
            assert!(count < 0 || names.len() == drawn, "different fields");
        }
    }

    #[test]
    fn what_has_expired_is_not_drawn() {
        check(
            "HSET h a 1 b 2 | HPEXPIRE h 5 FIELDS 1 a | @wait 6 | HRANDFIELD h 9 | HRANDFIELD h -2 | HRANDFIELD h",
            "2 | [1] | ok | [b] | [b b] | b",
        );
    }

    #[test]
    fn refuses_what_redis_refuses() {
        check(
            "HRANDFIELD h x | HRANDFIELD h 1 foo | HRANDFIELD h 1 WITHVALUES foo | HRANDFIELD h -9223372036854775808 | \
             HRANDFIELD h 4611686018427387904 WITHVALUES | SET s v | HRANDFIELD s | HRANDFIELD s x",
            "ERR value is not an integer or out of range | ERR syntax error | ERR syntax error | \
             ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807 | ERR value is out of range | OK | \
             WRONGTYPE Operation against a key holding the wrong kind of value | ERR value is not an integer or out of range",
        );
    }
}
