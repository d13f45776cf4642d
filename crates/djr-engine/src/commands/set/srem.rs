//! SREM key member [member …]

use super::prelude::*;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "srem",
    since: "1.0.0",
    group: Group::Set,
    summary: "Removes members of a set, and the set with the last one.",
    complexity: "O(n) for n members",
    syntax: &[
        Arg::key("key", Access::RW.with(Access::DELETE)),
        Arg::string("member").multiple(),
    ],
    flags: Flags::WRITE.with(Flags::FAST),
    run: Run::Write(srem),
    ..CommandSpec::DEFAULT
};

fn srem(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    let key = context.key(args, 1);
    let removed = context.update::<Set, _>(key, |set| {
        args.from(2).filter(|member| set.remove(member)).count()
    })?;
    let removed = removed.unwrap_or(0);
    reply.integer(removed as i64);
    if removed == 0 {
        return Ok(Effect::None);
    }
    context.notify_update(Notify::SET, "srem", key);
    Ok(Effect::Verbatim)
}

#[cfg(test)]
mod tests {
    use crate::testkit::{check, check_effects};

    #[test]
    fn removes_members_and_the_empty_set() {
        check(
            "SREM s a | SADD s a b 3 | SREM s a nope a | SMEMBERS s | SREM s b 3 | EXISTS s | SET k v | SREM k a",
            "0 | 3 | 1 | [b 3] | 2 | 0 | OK | WRONGTYPE Operation against a key holding the wrong kind of value",
        );
        check("SADD s 1 2 3 | SREM s 2 x 02 | SMEMBERS s", "3 | 1 | [1 3]");
    }

    #[test]
    fn logs_itself() {
        check_effects(
            "SADD s a b | SREM s c | SREM s a c | SREM s b",
            "SADD s a b | SREM s a c | SREM s b",
        );
    }
}
