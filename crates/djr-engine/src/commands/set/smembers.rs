//! SMEMBERS key, SCARD key

use super::prelude::*;

pub(super) static SMEMBERS: CommandSpec = CommandSpec {
    name: "smembers",
    since: "1.0.0",
    group: Group::Set,
    summary: "Returns all members of a set.",
    complexity: "O(n) for n members",
    syntax: &[Arg::key("key", Access::READ)],
    flags: Flags::READONLY,
    tips: &["nondeterministic_output_order"],
    run: Run::Read(|context, args, reply| {
        let Some(set) = context.object::<Set>(context.key(args, 1))? else {
            reply.set(0);
            return Ok(());
        };
        reply.set(set.len());
        set.iter().for_each(|member| reply_member(reply, member));
        Ok(())
    }),
    ..CommandSpec::DEFAULT
};

pub(super) static SCARD: CommandSpec = CommandSpec {
    name: "scard",
    since: "1.0.0",
    group: Group::Set,
    summary: "Returns the number of members of a set.",
    syntax: &[Arg::key("key", Access::RO)],
    flags: Flags::READONLY.with(Flags::FAST),
    run: Run::Read(|context, args, reply| {
        let set = context.object::<Set>(context.key(args, 1))?;
        reply.integer(set.map_or(0, Set::len) as i64);
        Ok(())
    }),
    ..CommandSpec::DEFAULT
};

#[cfg(test)]
mod tests {
    use crate::testkit::check;

    #[test]
    fn return_all_members_and_their_number() {
        check(
            "SMEMBERS s | SCARD s | SADD s b a | SMEMBERS s | SCARD s",
            "[] | 0 | 2 | [b a] | 2",
        );
        const WRONG: &str = "WRONGTYPE Operation against a key holding the wrong kind of value";
        check(
            "SET k v | SMEMBERS k | SCARD k",
            &format!("OK | {WRONG} | {WRONG}"),
        );
    }
}
