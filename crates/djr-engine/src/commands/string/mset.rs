//! MSET key value [key value …], MSETNX key value [key value …]

use super::super::prelude::*;

pub(super) static MSET: CommandSpec = CommandSpec {
    name: "mset",
    since: "1.0.1",
    group: Group::String,
    summary: "Stores strings at several keys at once, whatever was there.",
    complexity: "O(n) for n keys",
    syntax: &[Arg::block(
        "data",
        &[Arg::key("key", Access::OVERWRITE), Arg::string("value")],
    )
    .multiple()],
    flags: Flags::WRITE.with(Flags::DENY_OOM),
    tips: &[
        "request_policy:multi_shard",
        "response_policy:all_succeeded",
    ],
    run: Run::Write(mset),
    ..CommandSpec::DEFAULT
};

pub(super) static MSETNX: CommandSpec = CommandSpec {
    name: "msetnx",
    summary: "Stores strings at several keys at once if nothing is at any of them.",
    syntax: &[Arg::block(
        "data",
        &[
            Arg::key("key", Access::OW.with(Access::INSERT)),
            Arg::string("value"),
        ],
    )
    .multiple()],
    tips: &[],
    run: Run::Write(msetnx),
    ..MSET
};

fn mset(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    check_pairs(args, "mset")?;
    set_pairs(context, args);
    reply.ok();
    Ok(Effect::Verbatim)
}

fn msetnx(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    check_pairs(args, "msetnx")?;
    for index in (1..args.len()).step_by(2) {
        if context.db_read().contains(context.key(args, index)) {
            reply.integer(0);
            return Ok(Effect::None);
        }
    }
    set_pairs(context, args);
    reply.integer(1);
    Ok(Effect::Verbatim)
}

fn check_pairs(args: &Args<'_>, command: &str) -> Result<(), CommandError> {
    if args.len().is_multiple_of(2) {
        return Err(CommandError::Arity(command.into()));
    }
    Ok(())
}

fn set_pairs(context: &mut WriteContext<'_, '_>, args: &Args<'_>) {
    for index in (1..args.len()).step_by(2) {
        let key = context.key(args, index);
        let was_there = context
            .db()
            .set_string(key, args.get(index + 1), Expire::Clear);
        context.notify_set(key, was_there);
    }
}

#[cfg(test)]
mod tests {
    use crate::testkit::{check, check_effects};

    #[test]
    fn sets_all() {
        check(
            "SET a 1 EX 9 | MSET a 2 b 3 a 4 | MGET a b c | TTL a",
            "OK | OK | [4 3 (nil)] | -1",
        );
        check(
            "MSET a 1 b | MSETNX a 1 b",
            "ERR wrong number of arguments for 'mset' command | ERR wrong number of arguments for 'msetnx' command",
        );
    }

    #[test]
    fn sets_all_or_none() {
        check(
            "SET b 1 | MSETNX a 1 b 2 | MGET a b | MSETNX a 1 a 2 | GET a",
            "OK | 0 | [(nil) 1] | 1 | 2",
        );
    }

    #[test]
    fn logs_itself() {
        check_effects(
            "MSET a 1 b 2 | MSETNX b 1 c 2 | MSETNX c 1 d 2",
            "MSET a 1 b 2 | MSETNX c 1 d 2",
        );
    }
}
