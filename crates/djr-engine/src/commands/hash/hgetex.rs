//! HGETEX key [EX | PX | EXAT | PXAT time | PERSIST] FIELDS numfields field [field …]

use super::super::expiration::{EX, EXAT, PERSIST, PX, PXAT, TimeUnit};
use super::fields::{self, FIELDS, NOT_A_NUMBER, first_field, log_deadline, log_removal};
use super::prelude::*;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "hgetex",
    since: "9.0.0",
    group: Group::Hash,
    summary: "Returns the values of fields of a hash and sets or takes away their deadlines.",
    complexity: "O(n) for n fields",
    syntax: &[
        Arg::key("key", Access::READ_UPDATE),
        Arg::one_of("expiration", &[EX, PX, EXAT, PXAT, PERSIST]).optional(),
        FIELDS,
    ],
    flags: Flags::WRITE.with(Flags::FAST),
    run: Run::Write(hgetex),
    ..CommandSpec::DEFAULT
};

/// What becomes of the fields' deadlines.
enum Change {
    None,
    Persist,
    Set(UnixMillis),
    /// A deadline that has passed.
    Remove,
}

/// Reads the option, if there is one. Returns it and where `FIELDS` is to follow.
fn change(args: &Args<'_>, now: UnixMillis) -> Result<(Change, usize), CommandError> {
    if args.is(2, "PERSIST") {
        return Ok((Change::Persist, 3));
    }
    let Some(unit) = TimeUnit::of_option(args.get(2)) else {
        return Ok((Change::None, 2));
    };
    let deadline = fields::deadline(args, 3, unit, now, "hgetex")?;
    let change = if deadline <= now {
        Change::Remove
    } else {
        Change::Set(deadline)
    };
    Ok((change, 4))
}

fn hgetex(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    let (key, now) = (context.key(args, 1), context.now);
    context.object::<Hash>(key)?;
    let (change, fields_at) = change(args, now)?;
    let first = first_field(args, fields_at, NOT_A_NUMBER)?;
    let mut changed = Vec::new();
    reply.array(args.len() - first);
    let there = context.update::<Hash, _>(key, |hash| {
        if !matches!(change, Change::None) {
            hash.expect_deadlines();
        }
        for field in args.from(first) {
            let found = hash.get(field, now);
            reply_optional(reply, found.map(|found| found.value));
            let Some(found) = found else { continue };
            let has_changed = match change {
                Change::None => false,
                Change::Persist => found.expire_at.is_some() && hash.set_expire(field, None, now),
                Change::Set(deadline) => hash.set_expire(field, Some(deadline), now),
                Change::Remove => hash.remove(field, now),
            };
            if has_changed {
                changed.push(field);
            }
        }
    })?;
    if there.is_none() {
        args.from(first).for_each(|_| reply.null());
    }
    if changed.is_empty() {
        return Ok(Effect::None);
    }
    match change {
        Change::Set(deadline) => {
            context.notify(Notify::HASH, "hexpire", key.bytes);
            Ok(log_deadline(context, key, deadline, &changed))
        }
        Change::Remove => Ok(log_removal(context, key, &changed)),
        Change::Persist | Change::None => {
            context.notify(Notify::HASH, "hpersist", key.bytes);
            let number = changed.len().to_string();
            let mut words = vec![
                b"HPERSIST".as_slice(),
                key.bytes,
                b"FIELDS",
                number.as_bytes(),
            ];
            words.extend(changed);
            Ok(Effect::Rewritten(context.rewrite(&words)))
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testkit::{check, check_effects};

    #[test]
    fn reads_and_sets_deadlines() {
        check(
            "HGETEX h FIELDS 2 a b | HSET h a 1 b 2 | HGETEX h FIELDS 3 a nope b | HTTL h FIELDS 1 a | HGETEX h EX 9 FIELDS 2 a nope | \
             HTTL h FIELDS 2 a b | HGETEX h PX 9 FIELDS 1 a | HPTTL h FIELDS 1 a | HGETEX h EXAT 1700000002 FIELDS 1 a | HPTTL h FIELDS 1 a | \
             HGETEX h PERSIST FIELDS 2 a b | HPTTL h FIELDS 1 a | HGETEX h PXAT 3 FIELDS 3 a a b | EXISTS h",
            "[(nil) (nil)] | 2 | [1 (nil) 2] | [-1] | [1 (nil)] | [9 -1] | [1] | [9] | [1] | [2000] | [1 2] | [-1] | [1 (nil) 2] | 0",
        );
    }

    #[test]
    fn refuses_what_redis_refuses() {
        let fields = "ERR Mandatory argument FIELDS is missing or not at the right position";
        let number = "ERR The `numfields` parameter must match the number of arguments";
        for (arguments, error) in [
            (
                "EX 10 FIELDS",
                "ERR wrong number of arguments for 'hgetex' command",
            ),
            ("EX 10 FIELDS 1", number),
            ("EX 10 PERSIST FIELDS 1 a", fields),
            ("PERSIST EX 10 FIELDS 1 a", fields),
            ("KEEPTTL FIELDS 1 a", fields),
            ("EX -1 FIELDS 0 a", "ERR invalid expire time, must be >= 0"),
            (
                "EX x foo 1 a",
                "ERR value is not an integer or out of range",
            ),
            (
                "PXAT 70368744177664 FIELDS 1 a",
                "ERR invalid expire time in 'hgetex' command",
            ),
            (
                "FIELDS 0 a",
                "ERR Number of fields must be a positive integer",
            ),
            ("FIELDS 2 a", number),
        ] {
            check(&format!("HGETEX h {arguments}"), error);
            check(
                &format!("SET h v | HGETEX h {arguments}"),
                "OK | WRONGTYPE Operation against a key holding the wrong kind of value",
            );
        }
    }

    #[test]
    fn logs_what_changed() {
        check_effects(
            "HSET h a 1 b 2 c 3 | HGETEX h FIELDS 1 a | HGETEX h EX 9 FIELDS 3 a x b | HGETEX h PERSIST FIELDS 2 b c | HGETEX h PERSIST FIELDS 1 b | \
             HGETEX h EX 0 FIELDS 2 a x",
            "HSET h a 1 b 2 c 3 | HPEXPIREAT h 1700000009000 FIELDS 2 a b | HPERSIST h FIELDS 1 b | HDEL h a",
        );
    }
}
