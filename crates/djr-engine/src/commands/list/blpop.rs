//! BLPOP key [key …] timeout, BRPOP key [key …] timeout

use super::super::prelude::*;
use super::{End, TAKE, pop_command};
use crate::blocking::BlockedOn;

pub(super) static BLPOP: CommandSpec = CommandSpec {
    name: "blpop",
    summary: "Takes the first element of the first list that there is, and returns its key and it; waits if there is none.",
    run: Run::Write(blpop),
    ..POP
};

pub(super) static BRPOP: CommandSpec = CommandSpec {
    name: "brpop",
    summary: "Takes the last element of the first list that there is, and returns its key and it; waits if there is none.",
    run: Run::Write(brpop),
    ..POP
};

const POP: CommandSpec = CommandSpec {
    since: "2.0.0",
    group: Group::List,
    complexity: "O(k) for k keys",
    syntax: &[Arg::key("key", TAKE).multiple(), Arg::double("timeout")],
    flags: Flags::WRITE.with(Flags::BLOCKING),
    ..CommandSpec::DEFAULT
};

fn blpop(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    pop(context, args, reply, End::Front)
}

fn brpop(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    pop(context, args, reply, End::Back)
}

fn pop(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
    end: End,
) -> Result<Effect, CommandError> {
    let last = args.len() - 1;
    let timeout = context.parse_timeout(args, last)?;
    for index in 1..last {
        let key = context.key(args, index);
        let popped = super::pop(context, key, end, 1, reply, |reply, _| {
            reply.array(2);
            reply.bulk(key.bytes);
        })?;
        if popped.is_none() {
            continue;
        }
        let logged = context.rewrite(&[pop_command(end), key.bytes]);
        return Ok(Effect::Rewritten(logged));
    }
    if !context.may_block() {
        reply.null_array();
        return Ok(Effect::None);
    }
    context.block(
        (1..last).map(|index| args.get(index)),
        BlockedOn::List,
        timeout,
    )
}

#[cfg(test)]
mod tests {
    use crate::testkit::{check, check_effects};

    #[test]
    fn takes_what_is_there() {
        check(
            "RPUSH l a b 3 | BLPOP none l 0 | BRPOP l none 0 | BLPOP l 0 | EXISTS l",
            "3 | [l a] | [l 3] | [l b] | 0",
        );
        check(
            "SET s x | RPUSH l a | BLPOP s l 0 | BLPOP l s 0 | BLPOP s x | BLPOP s -1",
            "OK | 1 | WRONGTYPE Operation against a key holding the wrong kind of value | [l a] | ERR timeout is not a float or out of range | ERR timeout is negative",
        );
    }

    #[test]
    fn does_not_wait_in_a_transaction() {
        check(
            "MULTI | BLPOP a b 0 | BRPOP a 0 | EXEC",
            "OK | QUEUED | QUEUED | [(nil) (nil)]",
        );
    }

    #[test]
    fn waits() {
        check(
            "@client 1 | BLPOP a l 0 | @client 2 | BRPOP l 0 | @client 3 | SET l x | DEL l | RPUSH l 1 2 3 | LRANGE l 0 -1 | @client 1 | @reply | @client 2 | @reply",
            "ok | (waits) | ok | (waits) | ok | OK | 1 | 3 | [2] | ok | [l 1] | ok | [l 3]",
        );
    }

    #[test]
    fn what_could_not_be_delivered_goes_back() {
        check_effects(
            "@client 1 | BRPOP l 0 | @client 2 | RPUSH l a b | @client 1 | @gone | LRANGE l 0 -1",
            "RPUSH l a b | RPOP l | RPUSH l b",
        );
    }

    #[test]
    fn logs_a_plain_pop() {
        check_effects(
            "RPUSH l a b c | BLPOP none l 0 | BRPOP l 1",
            "RPUSH l a b c | LPOP l | RPOP l",
        );
    }
}
