//! SISMEMBER key member, SMISMEMBER key member [member …]

use super::prelude::*;

pub(super) static SISMEMBER: CommandSpec = CommandSpec {
    name: "sismember",
    since: "1.0.0",
    group: Group::Set,
    summary: "Says whether a set has a member.",
    syntax: &[Arg::key("key", Access::RO), Arg::string("member")],
    flags: Flags::READONLY.with(Flags::FAST),
    run: Run::Read(|context, args, reply| {
        let set = context.object::<Set>(context.key(args, 1))?;
        let found = set.is_some_and(|set| set.contains(args.get(2)));
        reply.integer(i64::from(found));
        Ok(())
    }),
    ..CommandSpec::DEFAULT
};

pub(super) static SMISMEMBER: CommandSpec = CommandSpec {
    name: "smismember",
    since: "6.2.0",
    group: Group::Set,
    summary: "Says for each of some members whether a set has it.",
    complexity: "O(n) for n members",
    syntax: &[
        Arg::key("key", Access::READ),
        Arg::string("member").multiple(),
    ],
    flags: Flags::READONLY.with(Flags::FAST),
    run: Run::Read(|context, args, reply| {
        let set = context.object::<Set>(context.key(args, 1))?;
        let members = args.from(2);
        reply.array(members.len());
        for member in members {
            let found = set.is_some_and(|set| set.contains(member));
            reply.integer(i64::from(found));
        }
        Ok(())
    }),
    ..CommandSpec::DEFAULT
};

#[cfg(test)]
mod tests {
    use crate::testkit::check;

    #[test]
    fn say_who_is_there() {
        check(
            "SISMEMBER s a | SMISMEMBER s a b | SADD s a 1 | SISMEMBER s a | SISMEMBER s 01 | SMISMEMBER s 1 b a a | SADD t 1 2 | SMISMEMBER t 2 x 3",
            "0 | [0 0] | 2 | 1 | 0 | [1 0 1 1] | 2 | [1 0 0]",
        );
        const WRONG: &str = "WRONGTYPE Operation against a key holding the wrong kind of value";
        check(
            "SET k v | SISMEMBER k a | SMISMEMBER k a",
            &format!("OK | {WRONG} | {WRONG}"),
        );
    }
}
