//! LTRIM key start stop

use super::super::prelude::*;
use super::{List, Notify, range};

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "ltrim",
    group: Group::List,
    summary: "Keeps the elements from one index to another, both included, and removes all others.",
    complexity: "O(n) for n elements removed",
    syntax: &[
        Arg::key("key", Access::RW.with(Access::DELETE)),
        Arg::integer("start"),
        Arg::integer("stop"),
    ],
    flags: Flags::WRITE,
    run: Run::Write(ltrim),
    ..CommandSpec::DEFAULT
};

fn ltrim(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    let (start, stop) = (args.integer(2)?, args.integer(3)?);
    let key = context.key(args, 1);
    let limits = context.engine.settings.list_limits();
    let removed = context.update(key, |list: &mut List| {
        let len = list.len();
        let (first, count) = range(start, stop, len).unwrap_or((0, 0));
        list.keep_range(first, count, limits);
        len - list.len()
    })?;
    reply.ok();
    let Some(removed) = removed else {
        return Ok(Effect::None);
    };
    // Event and mark come even if there was nothing to remove, as in Redis.
    context.count_as_changed();
    context.notify_update(Notify::LIST, "ltrim", key);
    if removed == 0 {
        return Ok(Effect::None);
    }
    Ok(Effect::Verbatim)
}

#[cfg(test)]
mod tests {
    use crate::testkit::{check, check_effects};

    #[test]
    fn keeps_the_range() {
        check(
            "RPUSH l a b c d e | LTRIM l 1 -2 | LRANGE l 0 -1 | LTRIM l 2 1 | EXISTS l | LTRIM none 0 1 | LTRIM none 0 x",
            "5 | OK | [b c d] | OK | 0 | OK | ERR value is not an integer or out of range",
        );
    }

    #[test]
    fn logs_itself() {
        check_effects(
            "RPUSH l a b | LTRIM l 0 -1 | LTRIM l 0 0",
            "RPUSH l a b | LTRIM l 0 0",
        );
    }
}
