//! BLMPOP timeout numkeys key [key …] LEFT | RIGHT [COUNT count]

use super::super::prelude::*;
use super::lmpop::Request;
use super::{TAKE, WHERE};
use crate::blocking::BlockedOn;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "blmpop",
    since: "7.0.0",
    group: Group::List,
    summary: "Takes elements at one end of the first list that there is, and returns its key and them; waits if there is none.",
    complexity: "O(k + n) for k keys and n elements",
    syntax: &[
        Arg::double("timeout"),
        Arg::integer("numkeys"),
        Arg::key("key", TAKE).multiple(),
        Arg::one_of("where", WHERE),
        Arg::integer("count").after("COUNT").optional(),
    ],
    flags: Flags::WRITE.with(Flags::BLOCKING),
    run: Run::Write(blmpop),
    ..CommandSpec::DEFAULT
};

fn blmpop(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    let request = Request::parse(args, 2)?;
    let timeout = context.parse_timeout(args, 1)?;
    if let Some(effect) = request.run(context, args, reply)? {
        return Ok(effect);
    }
    if !context.may_block() {
        reply.null_array();
        return Ok(Effect::None);
    }
    let keys = request.keys.map(|index| args.get(index));
    context.block(keys, BlockedOn::List, timeout)
}

#[cfg(test)]
mod tests {
    use crate::testkit::{check, check_effects};

    #[test]
    fn takes_what_is_there() {
        check(
            "RPUSH l a b c | BLMPOP 0 2 none l LEFT COUNT 2 | BLMPOP 0 1 l RIGHT | EXISTS l",
            "3 | [l [a b]] | [l [c]] | 0",
        );
    }

    #[test]
    fn the_timeout_is_checked_last() {
        check(
            "BLMPOP x 0 l LEFT | BLMPOP x 1 l LEFT | BLMPOP -1 1 l LEFT | BLMPOP x 1 l FOO",
            "ERR numkeys should be greater than 0 | ERR timeout is not a float or out of range | ERR timeout is negative | ERR syntax error",
        );
    }

    #[test]
    fn waits() {
        check_effects(
            "@client 1 | BLMPOP 0 2 k l LEFT COUNT 5 | @client 2 | RPUSH l a b",
            "RPUSH l a b | LPOP l 2",
        );
        check("MULTI | BLMPOP 0 1 l LEFT | EXEC", "OK | QUEUED | [(nil)]");
    }

    #[test]
    fn what_could_not_be_delivered_goes_back() {
        check(
            "@client 1 | BLMPOP 0 1 l RIGHT COUNT 2 | @client 2 | RPUSH l a b c | LRANGE l 0 -1 | @client 1 | @gone | LRANGE l 0 -1",
            "ok | (waits) | ok | 3 | [a] | ok | ok | [a b c]",
        );
        check(
            "@client 1 | BLMPOP 0 1 l LEFT COUNT 2 | @client 2 | RPUSH l a b c | @client 1 | @gone | LRANGE l 0 -1",
            "ok | (waits) | ok | 3 | ok | ok | [a b c]",
        );
    }
}
