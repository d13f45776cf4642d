//! HEXPIRE key seconds [NX | XX | GT | LT] FIELDS numfields field [field …], and HPEXPIRE, HEXPIREAT, HPEXPIREAT

use super::super::expiration::TimeUnit;
use super::fields::{self, FIELDS, first_field, log_deadline, log_removal};
use super::prelude::*;

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

pub(super) static HEXPIRE: CommandSpec = CommandSpec {
    name: "hexpire",
    since: "9.0.0",
    group: Group::Hash,
    summary: "Sets the deadlines of fields of a hash, in seconds from now.",
    complexity: "O(n) for n fields",
    syntax: &[KEY, Arg::integer("seconds"), CONDITION, FIELDS],
    flags: Flags::WRITE.with(Flags::FAST),
    run: Run::Write(|context, args, reply| hexpire(context, args, TimeUnit::EX, "hexpire", reply)),
    ..CommandSpec::DEFAULT
};

pub(super) static HPEXPIRE: CommandSpec = CommandSpec {
    name: "hpexpire",
    summary: "Sets the deadlines of fields of a hash, in milliseconds from now.",
    syntax: &[KEY, Arg::integer("milliseconds"), CONDITION, FIELDS],
    run: Run::Write(|context, args, reply| hexpire(context, args, TimeUnit::PX, "hpexpire", reply)),
    ..HEXPIRE
};

pub(super) static HEXPIREAT: CommandSpec = CommandSpec {
    name: "hexpireat",
    summary: "Sets the deadlines of fields of a hash, in seconds since 1970.",
    syntax: &[KEY, Arg::integer("unix-time-seconds"), CONDITION, FIELDS],
    run: Run::Write(|context, args, reply| {
        hexpire(context, args, TimeUnit::EXAT, "hexpireat", reply)
    }),
    ..HEXPIRE
};

pub(super) static HPEXPIREAT: CommandSpec = CommandSpec {
    name: "hpexpireat",
    summary: "Sets the deadlines of fields of a hash, in milliseconds since 1970.",
    syntax: &[
        KEY,
        Arg::integer("unix-time-milliseconds"),
        CONDITION,
        FIELDS,
    ],
    run: Run::Write(|context, args, reply| {
        hexpire(context, args, TimeUnit::PXAT, "hpexpireat", reply)
    }),
    ..HEXPIRE
};

/// There is no such field.
const NO_FIELD: i64 = -2;
/// The condition does not hold.
const REFUSED: i64 = 0;
/// The deadline is set.
const SET: i64 = 1;
/// The deadline has passed: the field is gone.
const REMOVED: i64 = 2;

/// On the deadline that a field has.
#[derive(Clone, Copy)]
enum Condition {
    /// Any or none.
    Always,
    /// `NX`: none.
    Absent,
    /// `XX`: any.
    Present,
    /// `GT`: an earlier one. None at all is later than every deadline.
    Later,
    /// `LT`: a later one, or none.
    Earlier,
}

impl Condition {
    fn parse(args: &Args<'_>, index: usize) -> Option<Self> {
        let word = args.get(index);
        [
            (b"NX", Self::Absent),
            (b"XX", Self::Present),
            (b"GT", Self::Later),
            (b"LT", Self::Earlier),
        ]
        .into_iter()
        .find(|(name, _)| word.eq_ignore_ascii_case(*name))
        .map(|(_, condition)| condition)
    }

    fn holds(self, current: Option<UnixMillis>, new: UnixMillis) -> bool {
        match self {
            Self::Always => true,
            Self::Absent => current.is_none(),
            Self::Present => current.is_some(),
            Self::Later => current.is_some_and(|current| new > current),
            Self::Earlier => current.is_none_or(|current| new < current),
        }
    }
}

fn hexpire(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    unit: TimeUnit,
    command: &'static str,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    const NOT_POSITIVE: CommandError =
        CommandError::text("ERR Parameter `numFields` should be greater than 0");
    let (key, now) = (context.key(args, 1), context.now);
    // First, as in Redis.
    context.object::<Hash>(key)?;
    let deadline = fields::deadline(args, 2, unit, now, command)?;
    let condition = Condition::parse(args, 3);
    let first = first_field(args, 3 + usize::from(condition.is_some()), NOT_POSITIVE)?;
    let condition = condition.unwrap_or(Condition::Always);
    let is_past = deadline <= now;
    let mut changed = Vec::new();
    reply.array(args.len() - first);
    let there = context.update::<Hash, _>(key, |hash| {
        hash.expect_deadlines();
        for field in args.from(first) {
            let Some(found) = hash.get(field, now) else {
                reply.integer(NO_FIELD);
                continue;
            };
            if !condition.holds(found.expire_at, deadline) {
                reply.integer(REFUSED);
                continue;
            }
            if is_past {
                hash.remove(field, now);
            } else {
                hash.set_expire(field, Some(deadline), now);
            }
            reply.integer(if is_past { REMOVED } else { SET });
            changed.push(field);
        }
    })?;
    if there.is_none() {
        args.from(first).for_each(|_| reply.integer(NO_FIELD));
    }
    if changed.is_empty() {
        return Ok(Effect::None);
    }
    if is_past {
        return Ok(log_removal(context, key, &changed));
    }
    context.notify(Notify::HASH, "hexpire", key.bytes);
    Ok(log_deadline(context, key, deadline, &changed))
}

#[cfg(test)]
mod tests {
    use crate::testkit::{check, check_effects};

    #[test]
    fn sets_deadlines() {
        check(
            "HEXPIRE h 9 FIELDS 2 a b | HSET h a 1 b 2 | HEXPIRE h 9 FIELDS 3 a nope b | HPTTL h FIELDS 2 a b | HPEXPIRE h 9 FIELDS 1 a | \
             HEXPIREAT h 1700000001 FIELDS 1 b | HPTTL h FIELDS 2 a b | HPEXPIREAT h 1700000000002 FIELDS 1 b | @wait 3 | HKEYS h | \
             OBJECT ENCODING h",
            "[-2 -2] | 2 | [1 -2 1] | [9000 9000] | [1] | [1] | [9 1000] | [1] | ok | [a] | listpackex",
        );
    }

    #[test]
    fn a_deadline_in_the_past_removes() {
        check(
            "HSET h a 1 b 2 c 3 | HEXPIRE h 0 FIELDS 2 a a | HPEXPIREAT h 1700000000000 FIELDS 1 b | HKEYS h | HEXPIREAT h 1 FIELDS 1 c | EXISTS h",
            "3 | [2 -2] | [2] | [c] | [2] | 0",
        );
    }

    #[test]
    fn conditions() {
        check(
            "HSET h a 1 b 2 | HEXPIRE h 9 XX FIELDS 1 a | HEXPIRE h 9 GT FIELDS 1 a | HEXPIRE h 9 LT FIELDS 1 a | HEXPIRE h 9 LT FIELDS 1 a | \
             HEXPIRE h 8 NX FIELDS 2 a b | HEXPIRE h 9 GT FIELDS 2 a b | HEXPIRE h 11 gt FIELDS 1 a | HEXPIRE h 7 xx FIELDS 1 a | HTTL h FIELDS 2 a b | \
             HEXPIRE h 0 NX FIELDS 1 a | HEXPIRE h 0 GT FIELDS 1 a | HEXPIRE h 0 LT FIELDS 1 a | HKEYS h",
            "2 | [0] | [0] | [1] | [0] | [0 1] | [0 1] | [1] | [1] | [7 9] | [0] | [0] | [2] | [b]",
        );
    }

    #[test]
    fn refuses_what_redis_refuses() {
        let fields = "ERR Mandatory argument FIELDS is missing or not at the right position";
        let number = "ERR The `numfields` parameter must match the number of arguments";
        let positive = "ERR Parameter `numFields` should be greater than 0";
        for (arguments, error) in [
            (
                "x FIELDS 1 a",
                "ERR value is not an integer or out of range",
            ),
            ("x foo 1 a", "ERR value is not an integer or out of range"),
            ("-1 FIELDS 0 a", "ERR invalid expire time, must be >= 0"),
            (
                "9223372036854775807 FIELDS 1 a",
                "ERR invalid expire time in 'hexpire' command",
            ),
            (
                "70368744178 FIELDS 1 a",
                "ERR invalid expire time in 'hexpire' command",
            ),
            ("1 FIELD 1 a", fields),
            ("1 NX XX FIELDS 1 a", fields),
            ("1 FIELDS 0 a", positive),
            ("1 FIELDS x a", positive),
            ("1 FIELDS 9223372036854775808 a", positive),
            ("1 FIELDS 2 a", number),
            ("1 FIELDS 1 a b", number),
            ("1 FIELDS 1 a NX", number),
            ("1 NX FIELDS 9223372036854775807 a", number),
        ] {
            check(&format!("HEXPIRE h {arguments}"), error);
            check(
                &format!("SET h v | HEXPIRE h {arguments}"),
                "OK | WRONGTYPE Operation against a key holding the wrong kind of value",
            );
        }
        check(
            "HSET h a 1 | HPEXPIREAT h 70368744177663 FIELDS 1 a | HPEXPIREAT h 70368744177664 FIELDS 1 a",
            "1 | [1] | ERR invalid expire time in 'hpexpireat' command",
        );
    }

    #[test]
    fn logs_the_absolute_time_and_what_changed() {
        check_effects(
            "HSET h a 1 b 2 c 3 | HEXPIRE h 9 FIELDS 3 a x c | HEXPIRE h 9 NX FIELDS 2 a c | HPEXPIRE h 20 XX FIELDS 2 a b | \
             HEXPIRE h 0 FIELDS 3 x a b | HPEXPIREAT h 1700000000005 FIELDS 1 c | @wait 6 | HLEN h",
            "HSET h a 1 b 2 c 3 | HPEXPIREAT h 1700000009000 FIELDS 2 a c | HPEXPIREAT h 1700000000020 FIELDS 1 a | HDEL h a b | \
             HPEXPIREAT h 1700000000005 FIELDS 1 c",
        );
    }
}
