//! HPERSIST key FIELDS numfields field [field …]

use super::fields::{FIELDS, NOT_A_NUMBER, first_field};
use super::prelude::*;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "hpersist",
    since: "9.0.0",
    group: Group::Hash,
    summary: "Takes the deadlines of fields of a hash away.",
    complexity: "O(n) for n fields",
    syntax: &[Arg::key("key", Access::RW.with(Access::UPDATE)), FIELDS],
    flags: Flags::WRITE.with(Flags::FAST),
    run: Run::Write(hpersist),
    ..CommandSpec::DEFAULT
};

/// There is no such field.
const NO_FIELD: i64 = -2;
/// It has no deadline.
const NO_DEADLINE: i64 = -1;
/// It has none any more.
const CLEARED: i64 = 1;

fn hpersist(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    let (key, now) = (context.key(args, 1), context.now);
    context.object::<Hash>(key)?;
    let first = first_field(args, 2, NOT_A_NUMBER)?;
    reply.array(args.len() - first);
    let changed = context.update::<Hash, _>(key, |hash| {
        let mut changed = false;
        for field in args.from(first) {
            let answer = match hash.get(field, now).map(|found| found.expire_at) {
                None => NO_FIELD,
                Some(None) => NO_DEADLINE,
                Some(Some(_)) => {
                    changed = hash.set_expire(field, None, now);
                    CLEARED
                }
            };
            reply.integer(answer);
        }
        changed
    })?;
    if changed.is_none() {
        args.from(first).for_each(|_| reply.integer(NO_FIELD));
    }
    if changed != Some(true) {
        return Ok(Effect::None);
    }
    context.notify(Notify::HASH, "hpersist", key.bytes);
    Ok(Effect::Verbatim)
}

#[cfg(test)]
mod tests {
    use crate::testkit::{check, check_effects};

    #[test]
    fn takes_deadlines_away() {
        check(
            "HPERSIST h FIELDS 2 a b | HSET h a 1 b 2 | HEXPIRE h 9 FIELDS 1 a | HPERSIST h FIELDS 4 a b c a | HTTL h FIELDS 1 a | HKEYS h",
            "[-2 -2] | 2 | [1] | [1 -1 -2 -1] | [-1] | [b a]",
        );
    }

    #[test]
    fn logs_itself() {
        check_effects(
            "HSET h a 1 b 2 | HPERSIST h FIELDS 1 a | HPEXPIRE h 9 FIELDS 1 a | HPERSIST h FIELDS 2 a b | HPERSIST h FIELDS 1 a",
            "HSET h a 1 b 2 | HPEXPIREAT h 1700000000009 FIELDS 1 a | HPERSIST h FIELDS 2 a b",
        );
    }
}
