//! EXISTS key [key …], TOUCH key [key …]

use super::super::prelude::*;

pub(super) static EXISTS: CommandSpec = CommandSpec {
    name: "exists",
    group: Group::Generic,
    summary: "Counts which of the keys exist; a key given twice counts twice.",
    complexity: "O(n) for n keys",
    syntax: &[Arg::key("key", Access::RO).multiple()],
    flags: Flags::READONLY.with(Flags::FAST),
    tips: &["request_policy:multi_shard", "response_policy:agg_sum"],
    run: Run::Read(|context, args, reply| {
        let count = (1..args.len())
            .filter(|index| context.peek(context.key(args, *index)).is_some())
            .count();
        reply.integer(count as i64);
        Ok(())
    }),
    ..CommandSpec::DEFAULT
};

pub(super) static TOUCH: CommandSpec = CommandSpec {
    name: "touch",
    since: "3.2.1",
    summary: "Counts which of the keys exist, and notes an access to them.",
    run: Run::Read(|context, args, reply| {
        let count = (1..args.len())
            .filter(|index| context.get(context.key(args, *index)).is_some())
            .count();
        reply.integer(count as i64);
        Ok(())
    }),
    ..EXISTS
};

#[cfg(test)]
mod tests {
    use crate::testkit::check;

    #[test]
    fn count_keys() {
        check(
            "MSET a 1 b 2 | EXISTS a none b a | TOUCH a none b a | SET a 1 PX 1 | @wait 2 | EXISTS a b",
            "OK | 3 | 3 | OK | ok | 1",
        );
    }

    #[test]
    fn only_touch_is_an_access() {
        check(
            "SET k v | @wait 9000 | EXISTS k | OBJECT IDLETIME k | TOUCH k | OBJECT IDLETIME k",
            "OK | ok | 1 | 9 | 1 | 0",
        );
    }
}
