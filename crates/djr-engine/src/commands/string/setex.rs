//! SETEX key seconds value, PSETEX key milliseconds value

use super::super::expiration::TimeUnit;
use super::super::prelude::*;
use super::set::set_until;

const KEY: Arg = Arg::key("key", Access::OVERWRITE);

pub(super) static SETEX: CommandSpec = CommandSpec {
    name: "setex",
    since: "2.0.0",
    group: Group::String,
    summary: "Stores a string at a key for a number of seconds.",
    syntax: &[KEY, Arg::integer("seconds"), Arg::string("value")],
    flags: Flags::WRITE.with(Flags::DENY_OOM),
    run: Run::Write(|context, args, reply| setex(context, args, TimeUnit::EX, "setex", reply)),
    ..CommandSpec::DEFAULT
};

pub(super) static PSETEX: CommandSpec = CommandSpec {
    name: "psetex",
    since: "2.6.0",
    summary: "Stores a string at a key for a number of milliseconds.",
    syntax: &[KEY, Arg::integer("milliseconds"), Arg::string("value")],
    run: Run::Write(|context, args, reply| setex(context, args, TimeUnit::PX, "psetex", reply)),
    ..SETEX
};

fn setex(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    unit: TimeUnit,
    command: &'static str,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    let deadline = unit.positive_deadline(args.integer(2)?, context.now, command)?;
    let key = context.key(args, 1);
    reply.ok();
    Ok(set_until(context, key, args.get(3), deadline))
}

#[cfg(test)]
mod tests {
    use crate::testkit::{check, check_effects};

    #[test]
    fn sets_with_a_deadline() {
        check(
            "SETEX k 10 v | PTTL k | PSETEX k 10 w | PTTL k | GET k",
            "OK | 10000 | OK | 10 | w",
        );
        check(
            "SETEX k 0 v | PSETEX k -1 v | SETEX k x v | SETEX k 9223372036854775 v | EXISTS k",
            "ERR invalid expire time in 'setex' command | ERR invalid expire time in 'psetex' command | \
             ERR value is not an integer or out of range | ERR invalid expire time in 'setex' command | 0",
        );
    }

    #[test]
    fn logs_the_deadline() {
        check_effects(
            "SETEX k 10 v | PSETEX k 5 v",
            "SET k v PXAT 1700000010000 | SET k v PXAT 1700000000005",
        );
    }
}
