//! SUNION, SDIFF key [key …], SUNIONSTORE, SDIFFSTORE destination key [key …]

use super::combine::{difference, reply_set, scratch, store, union};
use super::prelude::*;

pub(super) static SUNION: CommandSpec = CommandSpec {
    name: "sunion",
    since: "1.0.0",
    group: Group::Set,
    summary: "Returns the members that are in any of these sets.",
    complexity: "O(n) for n members of all",
    syntax: &[Arg::key("key", Access::READ).multiple()],
    flags: Flags::READONLY,
    tips: &["nondeterministic_output_order"],
    run: Run::Read(|context, args, reply| {
        let limits = context.engine.settings.set_limits();
        let sets = all(1, args, |index| context.object(context.key(args, index)))?;
        match sets.as_slice() {
            [Some(only)] => reply_set(reply, only),
            sets => reply_set(reply, &union(sets, scratch(sets), limits)),
        }
        Ok(())
    }),
    ..CommandSpec::DEFAULT
};

pub(super) static SUNIONSTORE: CommandSpec = CommandSpec {
    name: "sunionstore",
    summary: "Stores the members that are in any of these sets.",
    syntax: &[
        Arg::key("destination", Access::OVERWRITE),
        Arg::key("key", Access::READ).multiple(),
    ],
    flags: Flags::WRITE.with(Flags::DENY_OOM),
    tips: &[],
    run: Run::Write(|context, args, reply| {
        let limits = context.engine.settings.set_limits();
        let sets = all(2, args, |index| {
            context.counted_object(context.key(args, index))
        })?;
        let result = union(&sets, Set::new(), limits);
        let destination = context.key(args, 1);
        Ok(store(context, destination, result, "sunionstore", reply))
    }),
    ..SUNION
};

pub(super) static SDIFF: CommandSpec = CommandSpec {
    name: "sdiff",
    summary: "Returns the members of the first set that are in no other.",
    run: Run::Read(|context, args, reply| {
        let limits = context.engine.settings.set_limits();
        let sets = all(1, args, |index| context.object(context.key(args, index)))?;
        match sets.as_slice() {
            [Some(only)] => reply_set(reply, only),
            sets => reply_set(reply, &difference(sets, scratch(sets), limits)),
        }
        Ok(())
    }),
    ..SUNION
};

pub(super) static SDIFFSTORE: CommandSpec = CommandSpec {
    name: "sdiffstore",
    summary: "Stores the members of the first set that are in no other.",
    run: Run::Write(|context, args, reply| {
        let limits = context.engine.settings.set_limits();
        let sets = all(2, args, |index| {
            context.counted_object(context.key(args, index))
        })?;
        let result = difference(&sets, Set::new(), limits);
        let destination = context.key(args, 1);
        Ok(store(context, destination, result, "sdiffstore", reply))
    }),
    ..SUNIONSTORE
};

/// The sets of the arguments from `first` on.
fn all<'a>(
    first: usize,
    args: &Args<'_>,
    get: impl FnMut(usize) -> Result<Option<&'a Set>, CommandError>,
) -> Result<Vec<Option<&'a Set>>, CommandError> {
    (first..args.len()).map(get).collect()
}

#[cfg(test)]
mod tests {
    use crate::testkit::{Bench, check, check_effects};

    #[test]
    fn members_of_any() {
        check(
            "SADD a 1 3 | SADD b 2 3 | SADD c x 2 | SUNION a b | SUNION none a none | SUNION none | SUNION c | SUNIONSTORE d a b c | SMEMBERS d | OBJECT ENCODING d | \
             SUNIONSTORE e b a | OBJECT ENCODING e | SMEMBERS e | SUNIONSTORE e none | EXISTS e | SUNIONSTORE a a b | SMEMBERS a",
            "2 | 2 | 2 | [1 2 3] | [1 3] | [] | [x 2] | 4 | [1 2 3 x] | listpack | 3 | intset | [1 2 3] | 0 | 0 | 3 | [1 2 3]",
        );
    }

    #[test]
    fn members_of_the_first_only() {
        check(
            "SADD a 1 2 3 4 | SADD b 2 | SADD c 3 x | SDIFF a b | SDIFF a none b c | SDIFF a a | SDIFF none a | SDIFF b a | SDIFF c | SDIFFSTORE d a b c | \
             SMEMBERS d | SDIFFSTORE d c b | SMEMBERS d | SDIFFSTORE d a a | EXISTS d",
            "4 | 1 | 2 | [1 3 4] | [1 4] | [] | [] | [] | [3 x] | 2 | [1 4] | 2 | [3 x] | 0 | 0",
        );
    }

    #[test]
    fn both_ways_to_take_a_difference_agree() {
        let mut bench = Bench::new();
        let all: String = (0..300).map(|number| format!(" {number}")).collect();
        bench.line(&format!("SADD a{all}"));
        for (key, members) in [("b", "0 1"), ("c", "2 x"), ("d", "1 3"), ("e", "4")] {
            bench.line(&format!("SADD {key} {members}"));
        }
        // Few large sets, then many small ones.
        assert_eq!(bench.line("SDIFFSTORE r a b"), "298");
        assert_eq!(bench.line("SDIFFSTORE r a b c d e"), "295");
        let rest: String = (5..300).map(|number| format!(" {number}")).collect();
        assert_eq!(bench.line("SMEMBERS r"), format!("[{}]", rest.trim_start()));
        assert_eq!(bench.line("SDIFF a b c d e a"), "[]");
    }

    #[test]
    fn only_sets() {
        const WRONG: &str = "WRONGTYPE Operation against a key holding the wrong kind of value";
        check(
            "SET k v | SUNION none k | SDIFF none k | SUNIONSTORE d k | SDIFFSTORE d none k | SADD a 1 | SUNIONSTORE k a | SMEMBERS k",
            &format!("OK | {WRONG} | {WRONG} | {WRONG} | {WRONG} | 1 | 1 | [1]"),
        );
    }

    #[test]
    fn log_themselves() {
        check_effects(
            "SADD a 1 | SUNIONSTORE d a none | SDIFFSTORE d none a | SDIFFSTORE d none | SUNION a",
            "SADD a 1 | SUNIONSTORE d a none | SDIFFSTORE d none a",
        );
    }
}
