//! SRANDMEMBER key [count]

use super::super::draws::Draws;
use super::prelude::*;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "srandmember",
    since: "1.0.0",
    group: Group::Set,
    summary: "Returns members of a set drawn at random.",
    complexity: "O(n) for n members returned",
    syntax: &[
        Arg::key("key", Access::READ),
        Arg::integer("count").optional(),
    ],
    flags: Flags::READONLY,
    tips: &["nondeterministic_output"],
    run: Run::Read(srandmember),
    ..CommandSpec::DEFAULT
};

fn srandmember(
    context: &mut ReadContext<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    let key = context.key(args, 1);
    if args.len() == 2 {
        let set = context.object::<Set>(key)?;
        match set.and_then(|set| set.random(context.rng.next())) {
            Some(member) => reply_member(reply, member),
            None => reply.null(),
        }
        return Ok(());
    }
    if args.len() > 3 {
        return Err(CommandError::Syntax);
    }
    let draws = Draws::parse(args)?;
    let Some(set) = context.object::<Set>(key)? else {
        reply.array(0);
        return Ok(());
    };
    let mut random = || context.rng.next();
    if draws.repeat {
        return draws.answer_repeated(context.engine, reply, 1, |reply, count| {
            set.sample_repeating(count, &mut random, |member| reply_member(reply, member));
        });
    }
    reply.array(draws.count.min(set.len()));
    set.sample(draws.count, random, |member| reply_member(reply, member));
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::testkit::{Bench, check};

    #[test]
    fn draws_members() {
        check(
            "SRANDMEMBER s | SRANDMEMBER s 2 | SADD s a | SRANDMEMBER s | SRANDMEMBER s 5 | SRANDMEMBER s 0 | SRANDMEMBER s -3 | SCARD s",
            "(nil) | [] | 1 | a | [a] | [] | [a a a] | 1",
        );
        for prefix in ["", "m"] {
            let mut bench = Bench::new();
            let members: String = (0..600)
                .map(|number| format!(" {prefix}{number}"))
                .collect();
            bench.line(&format!("SADD s{members}"));
            for (count, drawn) in [(1, 1), (100, 100), (599, 599), (1000, 600), (-1000, 1000)] {
                let reply = bench.line(&format!("SRANDMEMBER s {count}"));
                let mut names: Vec<_> = reply.trim_matches(['[', ']']).split(' ').collect();
                assert_eq!(names.len(), drawn);
                names.sort_unstable();
                names.dedup();
                assert!(count < 0 || names.len() == drawn, "different members");
            }
        }
    }

    #[test]
    fn refuses_what_redis_refuses() {
        check(
            "SRANDMEMBER s x | SRANDMEMBER s 1 2 | SRANDMEMBER s -9223372036854775808 | SET k v | SRANDMEMBER k | SRANDMEMBER k x | SRANDMEMBER k 1",
            "ERR value is not an integer or out of range | ERR syntax error | \
             ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807 | OK | \
             WRONGTYPE Operation against a key holding the wrong kind of value | ERR value is not an integer or out of range | \
             WRONGTYPE Operation against a key holding the wrong kind of value",
        );
    }
}
