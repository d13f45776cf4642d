//! LPUSH key element [element …], RPUSH; LPUSHX, RPUSHX: only if there is such a list

use super::super::prelude::*;
use super::{ADD, End, List, Notify, push_event};

pub(super) static LPUSH: CommandSpec = CommandSpec {
    name: "lpush",
    summary: "Puts elements before the first of a list, one after the other; makes the list if there is none.",
    run: Run::Write(lpush),
    ..PUSH
};

pub(super) static RPUSH: CommandSpec = CommandSpec {
    name: "rpush",
    summary: "Appends elements to a list; makes the list if there is none.",
    run: Run::Write(rpush),
    ..PUSH
};

pub(super) static LPUSHX: CommandSpec = CommandSpec {
    name: "lpushx",
    since: "2.2.0",
    summary: "Puts elements before the first of a list, if there is one.",
    run: Run::Write(lpushx),
    ..PUSH
};

pub(super) static RPUSHX: CommandSpec = CommandSpec {
    name: "rpushx",
    since: "2.2.0",
    summary: "Appends elements to a list, if there is one.",
    run: Run::Write(rpushx),
    ..PUSH
};

const PUSH: CommandSpec = CommandSpec {
    group: Group::List,
    complexity: "O(n) for n elements",
    syntax: &[Arg::key("key", ADD), Arg::string("element").multiple()],
    flags: Flags::WRITE.with(Flags::DENY_OOM).with(Flags::FAST),
    ..CommandSpec::DEFAULT
};

fn lpush(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    push(context, args, reply, End::Front)
}

fn rpush(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    push(context, args, reply, End::Back)
}

fn lpushx(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    push_if_present(context, args, reply, End::Front)
}

fn rpushx(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    push_if_present(context, args, reply, End::Back)
}

fn push(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
    end: End,
) -> Result<Effect, CommandError> {
    let key = context.key(args, 1);
    let limits = context.engine.settings.list_limits();
    let len = context.update_or_insert(key, |list: &mut List| {
        list.push(end, args.from(2), limits);
        list.len()
    })?;
    Ok(pushed(context, key, end, len, reply))
}

fn push_if_present(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
    end: End,
) -> Result<Effect, CommandError> {
    let key = context.key(args, 1);
    let limits = context.engine.settings.list_limits();
    let len = context.update(key, |list: &mut List| {
        list.push(end, args.from(2), limits);
        list.len()
    })?;
    match len {
        Some(len) => Ok(pushed(context, key, end, len, reply)),
        None => {
            reply.integer(0);
            Ok(Effect::None)
        }
    }
}

fn pushed(
    context: &mut WriteContext<'_, '_>,
    key: Key<'_>,
    end: End,
    len: usize,
    reply: &mut Reply<'_>,
) -> Effect {
    reply.integer(len as i64);
    context.notify(Notify::LIST, push_event(end), key.bytes);
    Effect::Verbatim
}

#[cfg(test)]
mod tests {
    use crate::testkit::{check, check_effects};

    #[test]
    fn one_after_the_other() {
        check(
            "LPUSH l a b c | RPUSH l 1 2 | LRANGE l 0 -1 | TYPE l | OBJECT ENCODING l",
            "3 | 5 | [c b a 1 2] | list | listpack",
        );
        check(
            "LPUSHX l a | RPUSHX l a | EXISTS l | RPUSH l a | LPUSHX l b c | RPUSHX l d | LRANGE l 0 -1",
            "0 | 0 | 0 | 1 | 3 | 4 | [c b a d]",
        );
    }

    #[test]
    fn only_to_lists() {
        let wrong = "WRONGTYPE Operation against a key holding the wrong kind of value";
        for command in ["LPUSH", "RPUSH", "LPUSHX", "RPUSHX"] {
            check(
                &format!("SET s x | {command} s a | GET s"),
                &format!("OK | {wrong} | x"),
            );
        }
    }

    #[test]
    fn log_themselves() {
        check_effects(
            "LPUSHX l a | LPUSH l a b | RPUSHX l c",
            "LPUSH l a b | RPUSHX l c",
        );
    }
}
