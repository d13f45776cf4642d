//! HTTL key FIELDS numfields field [field …], and HPTTL, HEXPIRETIME, HPEXPIRETIME

use super::fields::{FIELDS, NOT_A_NUMBER, first_field};
use super::prelude::*;

pub(super) static HTTL: CommandSpec = CommandSpec {
    name: "httl",
    since: "9.0.0",
    group: Group::Hash,
    summary: "Returns the seconds that fields of a hash have left.",
    complexity: "O(n) for n fields",
    syntax: &[Arg::key("key", Access::READ), FIELDS],
    flags: Flags::READONLY.with(Flags::FAST),
    run: Run::Read(|context, args, reply| {
        let now = context.now;
        httl(context, args, reply, |at| seconds(at - now))
    }),
    ..CommandSpec::DEFAULT
};

pub(super) static HPTTL: CommandSpec = CommandSpec {
    name: "hpttl",
    summary: "Returns the milliseconds that fields of a hash have left.",
    run: Run::Read(|context, args, reply| {
        let now = context.now;
        httl(context, args, reply, |at| at - now)
    }),
    ..HTTL
};

pub(super) static HEXPIRETIME: CommandSpec = CommandSpec {
    name: "hexpiretime",
    summary: "Returns the deadlines of fields of a hash, in seconds since 1970.",
    run: Run::Read(|context, args, reply| httl(context, args, reply, seconds)),
    ..HTTL
};

pub(super) static HPEXPIRETIME: CommandSpec = CommandSpec {
    name: "hpexpiretime",
    summary: "Returns the deadlines of fields of a hash, in milliseconds since 1970.",
    run: Run::Read(|context, args, reply| httl(context, args, reply, |at| at)),
    ..HTTL
};

/// There is no such field.
const NO_FIELD: i64 = -2;
/// It has no deadline.
const NO_DEADLINE: i64 = -1;

/// Rounded up, as Redis does for fields (but not for keys, and Valkey for neither).
fn seconds(ms: i64) -> i64 {
    (ms + 999) / 1000
}

fn httl(
    context: &mut ReadContext<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
    answer: impl Fn(UnixMillis) -> i64,
) -> Result<(), CommandError> {
    let hash = context.object::<Hash>(context.key(args, 1))?;
    let first = first_field(args, 2, NOT_A_NUMBER)?;
    reply.array(args.len() - first);
    for field in args.from(first) {
        let found = hash.and_then(|hash| hash.get(field, context.now));
        reply.integer(match found {
            Some(found) => found.expire_at.map_or(NO_DEADLINE, &answer),
            None => NO_FIELD,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::testkit::check;

    #[test]
    fn tells_the_time_left() {
        check(
            "HSET h a 1 b 2 | HPEXPIRE h 1400 FIELDS 1 a | HTTL h FIELDS 3 a b c | HPTTL h FIELDS 3 a b c | HEXPIRETIME h FIELDS 3 a b c | \
             HPEXPIRETIME h FIELDS 3 a b c | HTTL nokey FIELDS 2 a b | @wait 1401 | HTTL h FIELDS 1 a",
            "2 | [1] | [2 -1 -2] | [1400 -1 -2] | [1700000002 -1 -2] | [1700000001400 -1 -2] | [-2 -2] | ok | [-2]",
        );
    }

    #[test]
    fn refuses_what_redis_refuses() {
        for command in [
            "HTTL",
            "HPTTL",
            "HEXPIRETIME",
            "HPEXPIRETIME",
            "HPERSIST",
            "HGETDEL",
        ] {
            check(
                &format!(
                    "{command} h FIELDS 0 a | {command} h FIELDS x a | {command} h FIELDS 2 a | {command} h FIELDS 1 a b | \
                     {command} h FIELD 1 a | SET s v | {command} s FIELD x a"
                ),
                "ERR Number of fields must be a positive integer | ERR Number of fields must be a positive integer | \
                 ERR The `numfields` parameter must match the number of arguments | \
                 ERR The `numfields` parameter must match the number of arguments | \
                 ERR Mandatory argument FIELDS is missing or not at the right position | OK | \
                 WRONGTYPE Operation against a key holding the wrong kind of value",
            );
        }
    }
}
