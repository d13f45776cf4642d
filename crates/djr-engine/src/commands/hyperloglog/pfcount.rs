//! PFCOUNT key [key ...]

use super::super::prelude::*;
use super::{REGISTERS, estimate};

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "pfcount",
    since: "2.8.9",
    group: Group::HyperLogLog,
    summary: "Tells about how many different elements were added to HyperLogLogs together. The count of one is kept with it.",
    complexity: "O(1) with a very small constant where the count is still known, O(n) with a large one for n keys",
    syntax: &[Arg::key("key", Access::RW.with(Access::ACCESS)).multiple()],
    flags: Flags::READONLY,
    run: Run::Write(pfcount),
    ..CommandSpec::DEFAULT
};

fn pfcount(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    if args.len() > 2 {
        let mut registers = [0; REGISTERS];
        for index in 1..args.len() {
            let key = context.key(args, index);
            let entry = context.db_read().get(key);
            context.count_lookup(key, entry.is_some());
            if let Some(entry) = entry {
                super::merge(super::hll_of(entry.value())?, &mut registers)?;
            }
        }
        reply.integer(estimate::count(&registers) as i64);
        return Ok(Effect::None);
    }
    let key = context.key(args, 1);
    let entry = context.db_read().get(key);
    context.count_lookup(key, entry.is_some());
    let Some(entry) = entry else {
        reply.integer(0);
        return Ok(Effect::None);
    };
    let bytes = super::hll_of(entry.value())?;
    if let Some(count) = super::cached_count(bytes) {
        reply.integer(count as i64);
        return Ok(Effect::None);
    }
    let count = super::count(bytes)?;
    if let Some(mut entry) = context.db().get_mut(key) {
        entry.overwrite(0, |bytes| super::set_cached_count(bytes, count));
    }
    reply.integer(count as i64);
    Ok(Effect::Verbatim)
}

#[cfg(test)]
mod tests {
    use crate::testkit::{check, check_effects};

    #[test]
    fn counts_one_and_several() {
        check(
            "PFADD a 1 2 3 | PFADD b 3 4 | PFCOUNT a | PFCOUNT a | PFCOUNT a b | PFCOUNT a none b | PFCOUNT none | PFCOUNT none none",
            "1 | 1 | 3 | 3 | 4 | 4 | 0 | 0",
        );
    }

    #[test]
    fn the_count_that_is_kept_is_a_change() {
        check_effects(
            "PFADD a x | PFCOUNT a | PFCOUNT a | PFCOUNT a a",
            "PFADD a x | PFCOUNT a",
        );
    }

    #[test]
    fn is_not_for_reading_scripts() {
        check(
            "PFADD a x | EVAL_RO \"return redis.pcall('pfcount', 'a').err\" 0",
            "1 | ERR Write commands are not allowed from read-only scripts.",
        );
    }
}
