//! ZREM key member [member …]

use djr_storage::types::SortedSet;

use super::super::prelude::*;
use crate::notify::Notify;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "zrem",
    since: "1.2.0",
    group: Group::SortedSet,
    summary: "Removes members from a sorted set.",
    complexity: "O(log n) for each member, in a sorted set of n",
    syntax: &[
        Arg::key("key", Access::RW.with(Access::DELETE)),
        Arg::string("member").multiple(),
    ],
    flags: Flags::WRITE.with(Flags::FAST),
    run: Run::Write(zrem),
    ..CommandSpec::DEFAULT
};

fn zrem(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    let key = context.key(args, 1);
    let removed = context.update(key, |set: &mut SortedSet| {
        args.from(2)
            .filter(|member| set.remove(member).is_some())
            .count()
    })?;
    let removed = removed.unwrap_or(0);
    reply.integer(removed as i64);
    if removed == 0 {
        return Ok(Effect::None);
    }
    context.notify_update(Notify::SORTED_SET, "zrem", key);
    Ok(Effect::Verbatim)
}

#[cfg(test)]
mod tests {
    use crate::testkit::{check, check_effects};

    #[test]
    fn removes_members_and_the_empty_key() {
        check(
            "ZADD z 1 a 2 b 3 c | ZREM z a x a | ZREM z x | ZRANGE z 0 -1 | ZREM z b c | EXISTS z | ZREM z b | SET s v | ZREM s a",
            "3 | 1 | 0 | [b c] | 2 | 0 | 0 | OK | WRONGTYPE Operation against a key holding the wrong kind of value",
        );
        check_effects(
            "ZADD z 1 a | ZREM z x | ZREM none a | ZREM z a x",
            "ZADD z 1 a | ZREM z a x",
        );
    }
}
