//! LREM key count element

use super::super::prelude::*;
use super::{End, List, Notify};

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "lrem",
    group: Group::List,
    summary: "Removes elements that equal another: the first ones, the last ones (a negative count) or all (0).",
    complexity: "O(n) for a list of n elements",
    syntax: &[
        Arg::key("key", Access::RW.with(Access::DELETE)),
        Arg::integer("count"),
        Arg::string("element"),
    ],
    flags: Flags::WRITE,
    run: Run::Write(lrem),
    ..CommandSpec::DEFAULT
};

fn lrem(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    let count = args.integer(2)?;
    if count == i64::MIN {
        return Err(CommandError::text(super::NO_MIN));
    }
    let (from, count) = match count {
        0 => (End::Front, usize::MAX),
        count @ 1.. => (End::Front, count as usize),
        count => (End::Back, count.unsigned_abs() as usize),
    };
    let key = context.key(args, 1);
    let limits = context.engine.settings.list_limits();
    let removed = context.update(key, |list: &mut List| {
        list.remove_matching(args.get(3), from, count, limits)
    })?;
    let removed = removed.unwrap_or(0);
    reply.integer(removed as i64);
    if removed == 0 {
        return Ok(Effect::None);
    }
    context.notify_update(Notify::LIST, "lrem", key);
    Ok(Effect::Verbatim)
}

#[cfg(test)]
mod tests {
    use crate::testkit::{check, check_effects};

    #[test]
    fn from_either_end() {
        check(
            "RPUSH l a b a c a b | LREM l 1 a | LREM l -1 b | LRANGE l 0 -1 | LREM l 0 a | LREM l 9 z | LRANGE l 0 -1",
            "6 | 1 | 1 | [b a c a] | 2 | 0 | [b c]",
        );
        check(
            "RPUSH l 7 7 | LREM l 0 7 | EXISTS l | LREM l 0 7 | LREM l x 7",
            "2 | 2 | 0 | 0 | ERR value is not an integer or out of range",
        );
    }

    #[test]
    fn the_least_integer_has_no_opposite() {
        check(
            "RPUSH l a | LREM l -9223372036854775808 a | LREM l -9223372036854775807 a",
            "1 | ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807 | 1",
        );
    }

    #[test]
    fn logs_itself() {
        check_effects(
            "RPUSH l a b | LREM l 0 c | LREM l 0 a",
            "RPUSH l a b | LREM l 0 a",
        );
    }
}
