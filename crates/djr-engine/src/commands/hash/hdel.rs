//! HDEL key field [field …]

use super::prelude::*;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "hdel",
    since: "2.0.0",
    group: Group::Hash,
    summary: "Removes fields of a hash, and the hash with the last one.",
    complexity: "O(n) for n fields",
    syntax: &[
        Arg::key("key", Access::RW.with(Access::DELETE)),
        Arg::string("field").multiple(),
    ],
    flags: Flags::WRITE.with(Flags::FAST),
    run: Run::Write(hdel),
    ..CommandSpec::DEFAULT
};

fn hdel(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    let (key, now) = (context.key(args, 1), context.now);
    let removed = context.update::<Hash, _>(key, |hash| {
        args.from(2).filter(|field| hash.remove(field, now)).count()
    })?;
    let removed = removed.unwrap_or(0);
    reply.integer(removed as i64);
    if removed == 0 {
        return Ok(Effect::None);
    }
    context.notify_update(Notify::HASH, "hdel", key);
    Ok(Effect::Verbatim)
}

#[cfg(test)]
mod tests {
    use crate::testkit::{check, check_effects};

    #[test]
    fn removes_fields_and_the_empty_hash() {
        check(
            "HDEL h a | HSET h a 1 b 2 c 3 | HDEL h a nope a | HKEYS h | HDEL h b c | EXISTS h | SET s v | HDEL s a",
            "0 | 3 | 1 | [b c] | 2 | 0 | OK | WRONGTYPE Operation against a key holding the wrong kind of value",
        );
    }

    #[test]
    fn what_has_expired_is_not_there() {
        check(
            "HSET h a 1 b 2 | HPEXPIRE h 5 FIELDS 1 a | @wait 6 | HDEL h a | HKEYS h",
            "2 | [1] | ok | 0 | [b]",
        );
    }

    #[test]
    fn logs_itself() {
        check_effects(
            "HSET h a 1 b 2 | HDEL h c | HDEL h a c | HDEL h b",
            "HSET h a 1 b 2 | HDEL h a c | HDEL h b",
        );
    }
}
