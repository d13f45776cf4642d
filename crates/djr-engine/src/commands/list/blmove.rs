//! BLMOVE source destination LEFT | RIGHT LEFT | RIGHT timeout, BRPOPLPUSH source destination timeout

use super::super::prelude::*;
use super::lmove::move_element;
use super::{ADD, End, TAKE, WHERE, end};
use crate::blocking::BlockedOn;

pub(super) static BLMOVE: CommandSpec = CommandSpec {
    name: "blmove",
    since: "6.2.0",
    group: Group::List,
    summary: "Takes an element at one end of a list, puts it at one end of another and returns it; waits if there is none.",
    syntax: &[
        Arg::key("source", TAKE),
        Arg::key("destination", ADD),
        Arg::one_of("wherefrom", WHERE),
        Arg::one_of("whereto", WHERE),
        Arg::double("timeout"),
    ],
    flags: Flags::WRITE.with(Flags::DENY_OOM).with(Flags::BLOCKING),
    run: Run::Write(blmove),
    ..CommandSpec::DEFAULT
};

pub(super) static BRPOPLPUSH: CommandSpec = CommandSpec {
    name: "brpoplpush",
    since: "2.2.0",
    group: Group::List,
    summary: "Takes the last element of a list, puts it before the first of another and returns it; waits if there is none.",
    syntax: &[
        Arg::key("source", TAKE),
        Arg::key("destination", ADD),
        Arg::double("timeout"),
    ],
    flags: Flags::WRITE.with(Flags::DENY_OOM).with(Flags::BLOCKING),
    run: Run::Write(brpoplpush),
    ..CommandSpec::DEFAULT
};

// An element that was moved for a client that could not be told stays where it is: nothing is lost, and finding it there is
// what these commands are for.

fn blmove(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    let (from, to) = (end(args, 3)?, end(args, 4)?);
    let timeout = context.parse_timeout(args, 5)?;
    if move_element(context, args, from, to, reply)? {
        let logged =
            context.rewrite(&[b"LMOVE", args.get(1), args.get(2), args.get(3), args.get(4)]);
        return Ok(Effect::Rewritten(logged));
    }
    wait(context, args, timeout, reply)
}

fn brpoplpush(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    let timeout = context.parse_timeout(args, 3)?;
    if move_element(context, args, End::Back, End::Front, reply)? {
        let logged = context.rewrite(&[b"RPOPLPUSH", args.get(1), args.get(2)]);
        return Ok(Effect::Rewritten(logged));
    }
    wait(context, args, timeout, reply)
}

fn wait(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    timeout: Option<std::time::Duration>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    if !context.may_block() {
        reply.null();
        return Ok(Effect::None);
    }
    context.block([args.get(1)], BlockedOn::List, timeout)
}

#[cfg(test)]
mod tests {
    use crate::testkit::{check, check_effects};

    #[test]
    fn moves_what_is_there() {
        check(
            "RPUSH l a b c | BLMOVE l m LEFT RIGHT 0 | BRPOPLPUSH l m 1 | LRANGE m 0 -1 | BLMOVE l m LEFT FOO x | BLMOVE l m LEFT LEFT x",
            "3 | a | c | [c a] | ERR syntax error | ERR timeout is not a float or out of range",
        );
        check(
            "SET s x | RPUSH l a | BLMOVE l s LEFT LEFT 0 | BLMOVE s l LEFT LEFT 0 | LLEN l | MULTI | BLMOVE none l LEFT LEFT 0 | BRPOPLPUSH none l 0 | EXEC",
            "OK | 1 | WRONGTYPE Operation against a key holding the wrong kind of value | WRONGTYPE Operation against a key holding the wrong kind of value | 1 | OK | QUEUED | QUEUED | [(nil) (nil)]",
        );
    }

    #[test]
    fn waits_in_a_chain() {
        check(
            "@client 1 | BRPOPLPUSH a b 0 | @client 2 | BLMOVE b c LEFT LEFT 0 | @client 3 | BLPOP c 0 | @client 4 | LPUSH a x | EXISTS a b c | @client 1 | @reply | @client 2 | @reply | @client 3 | @reply",
            "ok | (waits) | ok | (waits) | ok | (waits) | ok | 1 | 0 | ok | x | ok | x | ok | [c x]",
        );
    }

    #[test]
    fn a_wrong_destination_is_told_when_there_is_something() {
        check(
            "SET s x | @client 1 | BLMOVE l s LEFT LEFT 0 | @client 2 | RPUSH l a | LLEN l | @client 1 | @reply",
            "OK | ok | (waits) | ok | 1 | 1 | ok | WRONGTYPE Operation against a key holding the wrong kind of value",
        );
    }

    #[test]
    fn log_plain_moves() {
        check_effects(
            "RPUSH l a b | BLMOVE l m LEFT RIGHT 0 | BRPOPLPUSH l m 0 | @client 1 | BLMOVE l m left RIGHT 0 | @client 2 | RPUSH l c",
            "RPUSH l a b | LMOVE l m LEFT RIGHT | RPOPLPUSH l m | RPUSH l c | LMOVE l m left RIGHT",
        );
    }
}
