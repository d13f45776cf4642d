//! SADD key member [member …]

use super::prelude::*;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "sadd",
    since: "1.0.0",
    group: Group::Set,
    summary: "Adds members to a set.",
    complexity: "O(n) for n members",
    syntax: &[
        Arg::key("key", Access::RW.with(Access::INSERT)),
        Arg::string("member").multiple(),
    ],
    flags: Flags::WRITE.with(Flags::DENY_OOM).with(Flags::FAST),
    run: Run::Write(sadd),
    ..CommandSpec::DEFAULT
};

fn sadd(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    let key = context.key(args, 1);
    let limits = context.engine.settings.set_limits();
    let added = context.update_or_insert::<Set, _>(key, |set| {
        set.prepare(args.get(2), args.len() - 2, limits);
        args.from(2)
            .filter(|member| set.add(member, limits))
            .count()
    })?;
    reply.integer(added as i64);
    if added == 0 {
        return Ok(Effect::None);
    }
    context.notify(Notify::SET, "sadd", key.bytes);
    Ok(Effect::Verbatim)
}

#[cfg(test)]
mod tests {
    use crate::testkit::{check, check_effects};

    #[test]
    fn adds_members_and_counts_the_new_ones() {
        check(
            "SADD s a b | SADD s b c c | SADD s a | SMEMBERS s | OBJECT ENCODING s | SET k v | SADD k a",
            "2 | 1 | 0 | [a b c] | listpack | OK | WRONGTYPE Operation against a key holding the wrong kind of value",
        );
    }

    #[test]
    fn integers_are_kept_in_order_until_another_member_comes() {
        check(
            "SADD s 3 -1 2 70000 | SMEMBERS s | OBJECT ENCODING s | SADD s x | SMEMBERS s | OBJECT ENCODING s | SREM s x | OBJECT ENCODING s | SADD t 01 | OBJECT ENCODING t",
            "4 | [-1 2 3 70000] | intset | 1 | [-1 2 3 70000 x] | listpack | 1 | listpack | 1 | listpack",
        );
    }

    #[test]
    fn long_members_and_many_make_a_table() {
        let long = "x".repeat(65);
        check(
            &format!("SADD s 1 | SADD s {long} | OBJECT ENCODING s | SISMEMBER s 1"),
            "1 | 1 | hashtable | 1",
        );
        let numbers: String = (0..512).map(|number| format!(" {number}")).collect();
        check(
            &format!(
                "SADD s{numbers} | OBJECT ENCODING s | SADD s 512 | OBJECT ENCODING s | SADD t 1 | SADD t{numbers} 1 | OBJECT ENCODING t"
            ),
            "512 | intset | 1 | hashtable | 1 | 511 | hashtable",
        );
        let texts: String = (0..128).map(|number| format!(" t{number}")).collect();
        check(
            &format!(
                "SADD s{texts} | OBJECT ENCODING s | SADD s t0 | SADD s 1 | OBJECT ENCODING s | SADD t x{texts} | OBJECT ENCODING t"
            ),
            "128 | listpack | 0 | 1 | hashtable | 129 | hashtable",
        );
    }

    #[test]
    fn logs_itself() {
        check_effects("SADD s a | SADD s a | SADD s a b", "SADD s a | SADD s a b");
    }
}
