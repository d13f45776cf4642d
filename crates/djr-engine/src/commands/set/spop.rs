//! SPOP key [count]

use super::prelude::*;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "spop",
    since: "1.0.0",
    group: Group::Set,
    summary: "Removes members of a set drawn at random, and returns them.",
    complexity: "O(n) for n members",
    syntax: &[
        Arg::key("key", Access::RW.with(Access::ACCESS).with(Access::DELETE)),
        Arg::integer("count").optional(),
    ],
    flags: Flags::WRITE.with(Flags::FAST),
    tips: &["nondeterministic_output"],
    run: Run::Write(spop),
    ..CommandSpec::DEFAULT
};

/// At most so many members are in one logged command.
const PORTION: usize = 1024;

fn spop(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    let key = context.key(args, 1);
    match args.len() {
        2 => pop_one(context, key, reply),
        3 => {
            let count = args.integer(2).ok();
            let count = count.and_then(|count| usize::try_from(count).ok());
            pop_many(context, key, count.ok_or(CommandError::NotPositive)?, reply)
        }
        _ => Err(CommandError::Syntax),
    }
}

fn pop_one(
    context: &mut WriteContext<'_, '_>,
    key: Key<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    let bits = context.rng.next();
    let popped = context.update::<Set, _>(key, |set| set.pop(bits))?;
    let Some(member) = popped.flatten() else {
        reply.null();
        return Ok(Effect::None);
    };
    context.notify_update(Notify::SET, "spop", key);
    reply.bulk(&member);
    Ok(Effect::Rewritten(
        context.rewrite(&[b"SREM", key.bytes, &member]),
    ))
}

fn pop_many(
    context: &mut WriteContext<'_, '_>,
    key: Key<'_>,
    count: usize,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    let len = match context.object::<Set>(key)? {
        Some(set) if count > 0 => {
            reply.set(count.min(set.len()));
            if count >= set.len() {
                set.iter().for_each(|member| reply_member(reply, member));
            }
            set.len()
        }
        _ => {
            reply.set(0);
            return Ok(Effect::None);
        }
    };
    if count >= len {
        context.db().remove(key);
        context.notify(Notify::SET, "spop", key.bytes);
        context.notify(Notify::GENERIC, "del", key.bytes);
        return Ok(Effect::Rewritten(context.rewrite(&[b"DEL", key.bytes])));
    }
    let mut rng = context.rng.clone();
    let popped = context.update::<Set, _>(key, |set| {
        let draws = (0..count).map_while(|_| set.pop(rng.next()));
        draws.collect::<Vec<Vec<u8>>>()
    })?;
    *context.rng = rng;
    let popped = popped.unwrap_or_default();
    context.notify_update(Notify::SET, "spop", key);
    let mut effect = Effect::None;
    for portion in popped.chunks(PORTION) {
        let mut words: Vec<&[u8]> = vec![b"SREM", key.bytes];
        words.extend(portion.iter().map(Vec::as_slice));
        effect = Effect::Rewritten(context.rewrite(&words));
    }
    popped.iter().for_each(|member| reply.bulk(member));
    Ok(effect)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use crate::testkit::{Bench, check, check_effects};

    #[test]
    fn removes_what_it_returns() {
        check(
            "SPOP s | SPOP s 3 | SADD s a | SPOP s 0 | SPOP s | EXISTS s | SADD s 1 2 | SPOP s 5 | EXISTS s",
            "(nil) | [] | 1 | [] | a | 0 | 2 | [1 2] | 0",
        );
        for members in [3, 100, 400, 2000] {
            let mut bench = Bench::new();
            let mut left: BTreeSet<String> =
                (0..members).map(|number| format!("m{number}")).collect();
            for member in &left {
                bench.line(&format!("SADD s {member}"));
            }
            for command in ["SPOP s", "SPOP s 1", "SPOP s 20", "SPOP s 1100"] {
                let reply = bench.line(command);
                for member in reply.trim_matches(['[', ']']).split_whitespace() {
                    assert!(left.remove(member) || member == "(nil)", "{member}");
                }
                assert_eq!(bench.line("SCARD s"), left.len().to_string());
            }
        }
    }

    #[test]
    fn refuses_what_redis_refuses() {
        let range = "ERR value is out of range, must be positive";
        check(
            "SPOP s -1 | SPOP s x | SPOP s 1 2 | SET k v | SPOP k | SPOP k 0 | SPOP k -1",
            &format!(
                "{range} | {range} | ERR syntax error | OK | WRONGTYPE Operation against a key holding the wrong kind of value | \
                 WRONGTYPE Operation against a key holding the wrong kind of value | {range}"
            ),
        );
    }

    #[test]
    fn logs_what_was_removed() {
        check_effects(
            "SADD s a | SPOP s | SPOP s | SADD s a b | SPOP s 2 | SPOP s 2 | SADD s a | SPOP s 0",
            "SADD s a | SREM s a | SADD s a b | DEL s | SADD s a",
        );
    }
}
