//! LMOVE source destination LEFT | RIGHT LEFT | RIGHT, RPOPLPUSH source destination

use super::super::prelude::*;
use super::{ADD, Element, End, List, Notify, TAKE, WHERE, end};
use super::{pop_event, push_event, reply_element};

pub(super) static LMOVE: CommandSpec = CommandSpec {
    name: "lmove",
    since: "6.2.0",
    group: Group::List,
    summary: "Takes an element at one end of a list, puts it at one end of another and returns it.",
    syntax: &[
        Arg::key("source", TAKE),
        Arg::key("destination", ADD),
        Arg::one_of("wherefrom", WHERE),
        Arg::one_of("whereto", WHERE),
    ],
    flags: Flags::WRITE.with(Flags::DENY_OOM),
    run: Run::Write(lmove),
    ..CommandSpec::DEFAULT
};

pub(super) static RPOPLPUSH: CommandSpec = CommandSpec {
    name: "rpoplpush",
    since: "1.2.0",
    group: Group::List,
    summary: "Takes the last element of a list, puts it before the first of another and returns it.",
    syntax: &[Arg::key("source", TAKE), Arg::key("destination", ADD)],
    flags: Flags::WRITE.with(Flags::DENY_OOM),
    run: Run::Write(rpoplpush),
    ..CommandSpec::DEFAULT
};

fn lmove(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    let (from, to) = (end(args, 3)?, end(args, 4)?);
    move_or_null(context, args, from, to, reply)
}

fn rpoplpush(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    move_or_null(context, args, End::Back, End::Front, reply)
}

fn move_or_null(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    from: End,
    to: End,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    if move_element(context, args, from, to, reply)? {
        return Ok(Effect::Verbatim);
    }
    reply.null();
    Ok(Effect::None)
}

/// Moves an element from the list of argument 1 to that of argument 2, and answers with it. `false`: there is no first list, and
/// no answer.
pub(super) fn move_element(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    from: End,
    to: End,
    reply: &mut Reply<'_>,
) -> Result<bool, CommandError> {
    let (source, destination) = (context.key(args, 1), context.key(args, 2));
    if context.object::<List>(source)?.is_none() {
        return Ok(false);
    }
    context.object::<List>(destination)?;
    let limits = context.engine.settings.list_limits();
    let mut taken = Taken::Int(0);
    let same = source.bytes == destination.bytes;
    context.update(source, |list: &mut List| {
        if same {
            list.rotate(from, to, limits, |element| reply_element(reply, element));
        } else {
            list.drain(from, 1, limits, |element| {
                reply_element(reply, element);
                taken = Taken::of(element);
            });
        }
    })?;
    let removed = context.removed();
    if !same {
        context.update_or_insert(destination, |list: &mut List| {
            list.push_element(to, taken.element(), limits);
        })?;
    }
    context.notify(Notify::LIST, push_event(to), destination.bytes);
    context.notify(Notify::LIST, pop_event(from), source.bytes);
    if removed {
        context.notify(Notify::GENERIC, "del", source.bytes);
    }
    Ok(true)
}

/// An element between two lists.
enum Taken {
    Int(i64),
    Bytes(Vec<u8>),
}

impl Taken {
    fn of(element: Element<'_>) -> Self {
        match element {
            Element::Int(integer) => Self::Int(integer),
            Element::Bytes(bytes) => Self::Bytes(bytes.to_vec()),
        }
    }

    fn element(&self) -> Element<'_> {
        match self {
            Self::Int(integer) => Element::Int(*integer),
            Self::Bytes(bytes) => Element::Bytes(bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testkit::{check, check_effects};

    const WRONG: &str = "WRONGTYPE Operation against a key holding the wrong kind of value";

    #[test]
    fn from_end_to_end() {
        check(
            "RPUSH l a b c d | LMOVE l m LEFT RIGHT | LMOVE l m right left | RPOPLPUSH l m | LRANGE l 0 -1 | LRANGE m 0 -1 | LMOVE l m LEFT LEFT | EXISTS l | LMOVE l m LEFT LEFT",
            "4 | a | d | c | [b] | [c d a] | b | 0 | (nil)",
        );
        check(
            "RPUSH l 1 2 3 | LMOVE l l LEFT RIGHT | LRANGE l 0 -1 | RPOPLPUSH l l | LRANGE l 0 -1 | RPUSH o x | RPOPLPUSH o o | LRANGE o 0 -1",
            "3 | 1 | [2 3 1] | 1 | [1 2 3] | 1 | x | [x]",
        );
    }

    #[test]
    fn both_must_be_lists() {
        check(
            "SET s x | RPUSH l a | LMOVE s l LEFT LEFT | LMOVE l s LEFT LEFT | LMOVE none s LEFT LEFT | LLEN l | LMOVE none x LEFT FOO",
            &format!("OK | 1 | {WRONG} | {WRONG} | (nil) | 1 | ERR syntax error"),
        );
    }

    #[test]
    fn log_themselves() {
        check_effects(
            "RPUSH l a b | RPOPLPUSH none l | RPOPLPUSH l m | LMOVE l m LEFT LEFT",
            "RPUSH l a b | RPOPLPUSH l m | LMOVE l m LEFT LEFT",
        );
    }
}
