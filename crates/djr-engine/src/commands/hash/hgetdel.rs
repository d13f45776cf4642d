//! HGETDEL key FIELDS numfields field [field …]

use super::fields::{FIELDS, NOT_A_NUMBER, first_field, log_removal};
use super::prelude::*;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "hgetdel",
    since: "9.1.0",
    group: Group::Hash,
    summary: "Returns the values of fields of a hash and removes them, and the hash with the last one.",
    complexity: "O(n) for n fields",
    syntax: &[
        Arg::key("key", Access::RW.with(Access::ACCESS).with(Access::DELETE)),
        FIELDS,
    ],
    flags: Flags::WRITE.with(Flags::FAST),
    run: Run::Write(hgetdel),
    ..CommandSpec::DEFAULT
};

fn hgetdel(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    let (key, now) = (context.key(args, 1), context.now);
    context.object::<Hash>(key)?;
    let first = first_field(args, 2, NOT_A_NUMBER)?;
    let mut removed = Vec::new();
    reply.array(args.len() - first);
    let there = context.update::<Hash, _>(key, |hash| {
        for field in args.from(first) {
            let found = hash.get(field, now);
            reply_optional(reply, found.map(|found| found.value));
            if found.is_some() {
                hash.remove(field, now);
                removed.push(field);
            }
        }
    })?;
    if there.is_none() {
        args.from(first).for_each(|_| reply.null());
    }
    if removed.is_empty() {
        return Ok(Effect::None);
    }
    Ok(log_removal(context, key, &removed))
}

#[cfg(test)]
mod tests {
    use crate::testkit::{check, check_effects};

    #[test]
    fn returns_and_removes() {
        check(
            "HGETDEL h FIELDS 1 a | HSET h a 1 b 2 c 3 | HGETDEL h FIELDS 3 a nope a | HKEYS h | HGETDEL h FIELDS 2 c b | EXISTS h",
            "[(nil)] | 3 | [1 (nil) (nil)] | [b c] | [3 2] | 0",
        );
    }

    #[test]
    fn logs_the_removal() {
        check_effects(
            "HSET h a 1 b 2 | HGETDEL h FIELDS 1 c | HGETDEL h FIELDS 2 c a",
            "HSET h a 1 b 2 | HDEL h a",
        );
    }
}
