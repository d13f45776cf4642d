//! EXPIRE key seconds [NX | XX | GT | LT], and PEXPIRE, EXPIREAT, PEXPIREAT

use super::super::expiration::{TimeUnit, log_deadline};
use super::super::prelude::*;
use crate::error::quoted;

const KEY: Arg = Arg::key("key", Access::RW.with(Access::UPDATE));
const CONDITION: Arg = Arg::one_of(
    "condition",
    &[
        Arg::token("nx", "NX"),
        Arg::token("xx", "XX"),
        Arg::token("gt", "GT"),
        Arg::token("lt", "LT"),
    ],
)
.optional();

pub(super) static EXPIRE: CommandSpec = CommandSpec {
    name: "expire",
    group: Group::Generic,
    summary: "Sets a key's deadline, in seconds from now.",
    syntax: &[KEY, Arg::integer("seconds"), CONDITION],
    flags: Flags::WRITE.with(Flags::FAST),
    run: Run::Write(|context, args, reply| expire(context, args, TimeUnit::EX, "expire", reply)),
    ..CommandSpec::DEFAULT
};

pub(super) static PEXPIRE: CommandSpec = CommandSpec {
    name: "pexpire",
    since: "2.6.0",
    summary: "Sets a key's deadline, in milliseconds from now.",
    syntax: &[KEY, Arg::integer("milliseconds"), CONDITION],
    run: Run::Write(|context, args, reply| expire(context, args, TimeUnit::PX, "pexpire", reply)),
    ..EXPIRE
};

pub(super) static EXPIREAT: CommandSpec = CommandSpec {
    name: "expireat",
    since: "1.2.0",
    summary: "Sets a key's deadline, in seconds since 1970.",
    syntax: &[KEY, Arg::unix_time("unix-time-seconds"), CONDITION],
    run: Run::Write(|context, args, reply| {
        expire(context, args, TimeUnit::EXAT, "expireat", reply)
    }),
    ..EXPIRE
};

pub(super) static PEXPIREAT: CommandSpec = CommandSpec {
    name: "pexpireat",
    since: "2.6.0",
    summary: "Sets a key's deadline, in milliseconds since 1970.",
    syntax: &[KEY, Arg::unix_time("unix-time-milliseconds"), CONDITION],
    run: Run::Write(|context, args, reply| {
        expire(context, args, TimeUnit::PXAT, "pexpireat", reply)
    }),
    ..EXPIRE
};

/// The conditions on the deadline that a key has.
#[derive(Default)]
struct Conditions {
    /// `NX`: none.
    absent: bool,
    /// `XX`: any.
    present: bool,
    /// `GT`: an earlier one. None at all is later than every deadline.
    later: bool,
    /// `LT`: a later one.
    earlier: bool,
}

impl Conditions {
    fn parse(args: &Args<'_>) -> Result<Self, CommandError> {
        let mut conditions = Self::default();
        for word in args.from(3) {
            let condition = match word {
                word if word.eq_ignore_ascii_case(b"NX") => &mut conditions.absent,
                word if word.eq_ignore_ascii_case(b"XX") => &mut conditions.present,
                word if word.eq_ignore_ascii_case(b"GT") => &mut conditions.later,
                word if word.eq_ignore_ascii_case(b"LT") => &mut conditions.earlier,
                word => {
                    let word = quoted(word, usize::MAX);
                    return Err(CommandError::format(format!(
                        "ERR Unsupported option {word}"
                    )));
                }
            };
            *condition = true;
        }
        if conditions.absent && (conditions.present || conditions.later || conditions.earlier) {
            return Err(CommandError::text(
                "ERR NX and XX, GT or LT options at the same time are not compatible",
            ));
        }
        if conditions.later && conditions.earlier {
            return Err(CommandError::text(
                "ERR GT and LT options at the same time are not compatible",
            ));
        }
        Ok(conditions)
    }

    fn hold(&self, current: Option<UnixMillis>, new: UnixMillis) -> bool {
        match current {
            Some(_) if self.absent => false,
            Some(current) if self.later => new > current,
            Some(current) if self.earlier => new < current,
            Some(_) => true,
            None => !self.present && !self.later,
        }
    }
}

fn expire(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    unit: TimeUnit,
    command: &'static str,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    let conditions = Conditions::parse(args)?;
    let deadline = unit.deadline(args.integer(2)?, context.now, command)?;
    let key = context.key(args, 1);
    let now = context.now;
    let mut db = context.db();
    let Some(mut entry) = db
        .get_mut(key)
        .filter(|entry| conditions.hold(entry.entry().expire_at(), deadline))
    else {
        reply.integer(0);
        return Ok(Effect::None);
    };
    reply.integer(1);
    if deadline <= now {
        db.remove(key);
        context.notify_del(key);
        return Ok(Effect::Rewritten(context.rewrite(&[b"DEL", key.bytes])));
    }
    entry.set_expire(Some(deadline));
    context.notify(Notify::GENERIC, "expire", key.bytes);
    Ok(log_deadline(context, key, deadline))
}

#[cfg(test)]
mod tests {
    use crate::testkit::{check, check_effects};

    #[test]
    fn sets_the_deadline() {
        check(
            "EXPIRE k 9 | SET k v | EXPIRE k 9 | PTTL k | PEXPIRE k 9 | PTTL k | EXPIREAT k 1700000001 | PTTL k | \
             PEXPIREAT k 1700000000002 | PTTL k | @wait 3 | EXISTS k",
            "0 | OK | 1 | 9000 | 1 | 9 | 1 | 1000 | 1 | 2 | ok | 0",
        );
    }

    #[test]
    fn a_deadline_in_the_past_removes() {
        check(
            "SET k v | EXPIRE k 0 | EXISTS k | SET k v | PEXPIRE k -1 | EXISTS k | SET k v | EXPIREAT k -1 | EXISTS k | \
             SET k v | PEXPIREAT k 1700000000000 | EXISTS k | SET k v | PEXPIREAT k -9223372036854775808 | EXISTS k",
            "OK | 1 | 0 | OK | 1 | 0 | OK | 1 | 0 | OK | 1 | 0 | OK | 1 | 0",
        );
    }

    #[test]
    fn conditions() {
        check(
            "SET k v | EXPIRE k 9 XX | EXPIRE k 9 GT | EXPIRE k 9 LT XX | EXPIRE k 9 LT | EXPIRE k 9 LT | EXPIRE k 8 NX | EXPIRE k 9 GT | \
             EXPIRE k 10 GT XX | EXPIRE k 11 LT | TTL k | PERSIST k | EXPIRE k 5 nx | TTL k",
            "OK | 0 | 0 | 0 | 1 | 0 | 0 | 0 | 1 | 0 | 10 | 1 | 1 | 5",
        );
    }

    #[test]
    fn refuses_what_redis_refuses() {
        check(
            "EXPIRE k 1 NX GT | EXPIRE k 1 XX NX | EXPIRE k 1 GT LT | EXPIRE k x foo | EXPIRE k x | EXPIRE k 9223372036854775807 | \
             PEXPIRE k 9223372036854775807 | EXPIREAT k 9223372036854775807 | EXPIRE k -9223372036854775808",
            "ERR NX and XX, GT or LT options at the same time are not compatible | \
             ERR NX and XX, GT or LT options at the same time are not compatible | \
             ERR GT and LT options at the same time are not compatible | ERR Unsupported option foo | \
             ERR value is not an integer or out of range | ERR invalid expire time in 'expire' command | \
             ERR invalid expire time in 'pexpire' command | ERR invalid expire time in 'expireat' command | \
             ERR invalid expire time in 'expire' command",
        );
    }

    #[test]
    fn logs_the_absolute_time() {
        check_effects(
            "EXPIRE k 9 | SET k v | EXPIRE k 9 | EXPIRE k 9 NX | PEXPIRE k 20 | EXPIREAT k 1700000002 | PEXPIREAT k 1700000000005 | \
             @wait 3 | PERSIST k | EXPIRE k -1",
            "SET k v | PEXPIREAT k 1700000009000 | PEXPIREAT k 1700000000020 | PEXPIREAT k 1700000002000 | PEXPIREAT k 1700000000005 | \
             PERSIST k | DEL k",
        );
    }
}
