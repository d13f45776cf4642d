//! DEL key [key …], UNLINK key [key …]

use super::super::prelude::*;

pub(super) static DEL: CommandSpec = CommandSpec {
    name: "del",
    group: Group::Generic,
    summary: "Removes keys and returns how many there were.",
    complexity: "O(n) for n keys, and O(m) for each value of m elements",
    syntax: &[Arg::key("key", Access::RM.with(Access::DELETE)).multiple()],
    flags: Flags::WRITE,
    tips: &["request_policy:multi_shard", "response_policy:agg_sum"],
    run: Run::Write(del),
    ..CommandSpec::DEFAULT
};

pub(super) static UNLINK: CommandSpec = CommandSpec {
    name: "unlink",
    since: "4.0.0",
    summary: "Removes keys and returns how many there were; the memory may be given back later.",
    flags: Flags::WRITE.with(Flags::FAST),
    ..DEL
};

fn del(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    let mut removed = 0;
    for index in 1..args.len() {
        let key = context.key(args, index);
        if context.db().remove(key) {
            context.notify_del(key);
            removed += 1;
        }
    }
    reply.integer(removed);
    Ok(if removed > 0 {
        Effect::Verbatim
    } else {
        Effect::None
    })
}

#[cfg(test)]
mod tests {
    use crate::testkit::{check, check_effects};

    #[test]
    fn counts_what_was_there() {
        check(
            "MSET a 1 b 2 c 3 | DEL a none a | UNLINK b c | DEL c | DBSIZE",
            "OK | 1 | 2 | 0 | 0",
        );
    }

    #[test]
    fn an_expired_key_was_not_there() {
        check("SET k v PX 1 | @wait 2 | DEL k", "OK | ok | 0");
        check_effects(
            "SET k v PX 1 | @wait 2 | DEL k",
            "SET k v PXAT 1700000000001 | DEL k",
        );
    }

    #[test]
    fn logs_itself() {
        check_effects(
            "DEL k | MSET a 1 b 2 | DEL a none | UNLINK b | UNLINK b",
            "MSET a 1 b 2 | DEL a none | UNLINK b",
        );
    }
}
