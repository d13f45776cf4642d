//! MSETEX numkeys key value [key value …] [NX | XX] [EX | PX | EXAT | PXAT time | KEEPTTL]

use super::super::expiration::{EX, EXAT, Expiration, KEEPTTL, PX, PXAT};
use super::super::prelude::*;
use super::condition::Condition;
use super::set::set_until;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "msetex",
    since: "9.1.0",
    group: Group::String,
    summary: "Stores strings at several keys at once, perhaps under a condition and with one deadline for all.",
    complexity: "O(n) for n keys",
    syntax: &[
        Arg::integer("numkeys"),
        Arg::block(
            "data",
            &[Arg::key("key", Access::OVERWRITE), Arg::string("value")],
        )
        .multiple(),
        Arg::one_of(
            "condition",
            &[Arg::token("nx", "NX"), Arg::token("xx", "XX")],
        )
        .optional(),
        Arg::one_of("expiration", &[EX, PX, EXAT, PXAT, KEEPTTL]).optional(),
    ],
    flags: Flags::WRITE.with(Flags::DENY_OOM),
    tips: &[
        "request_policy:multi_shard",
        "response_policy:all_succeeded",
    ],
    run: Run::Write(msetex),
    ..CommandSpec::DEFAULT
};

/// The bound of the number of keys, so that twice as many arguments can be counted.
const NUMKEYS_MAX: i64 = i32::MAX as i64 / 2;

fn msetex(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    let numkeys = match args.integer(1) {
        Ok(numkeys @ 1..=NUMKEYS_MAX) => numkeys as usize,
        _ => {
            return Err(CommandError::text(
                "ERR invalid numkeys value or out of range",
            ));
        }
    };
    let end = 2 + 2 * numkeys;
    if end > args.len() {
        return Err(CommandError::Syntax);
    }
    let (condition, expiration) = options(args, end)?;
    let deadline = expiration.deadline(args, context.now, "msetex")?;
    if let Some(condition) = condition {
        for index in (2..end).step_by(2) {
            let present = context.db_read().contains(context.key(args, index));
            if present != (condition == Condition::Present) {
                reply.integer(0);
                return Ok(Effect::None);
            }
        }
    }
    reply.integer(1);
    let mut effect = Effect::None;
    for index in (2..end).step_by(2) {
        let (key, value) = (context.key(args, index), args.get(index + 1));
        // Logged as one SET for each key, which every server knows.
        effect = match deadline {
            Some(deadline) => match set_until(context, key, value, deadline) {
                Effect::None => effect,
                done => done,
            },
            None if expiration.has_word() => {
                let was_there = context.db().set_string(key, value, Expire::Keep);
                context.notify_set(key, was_there);
                Effect::Rewritten(context.rewrite(&[b"SET", key.bytes, value, b"KEEPTTL"]))
            }
            None => {
                let was_there = context.db().set_string(key, value, Expire::Clear);
                context.notify_set(key, was_there);
                Effect::Rewritten(context.rewrite(&[b"SET", key.bytes, value]))
            }
        };
    }
    Ok(effect)
}

fn options<'a>(
    args: &Args<'a>,
    mut index: usize,
) -> Result<(Option<Condition<'a>>, Expiration), CommandError> {
    let mut condition = None;
    let mut expiration = Expiration::default();
    while index < args.len() {
        let word = match args.get(index) {
            name if name.eq_ignore_ascii_case(b"NX") => Some(Condition::Absent),
            name if name.eq_ignore_ascii_case(b"XX") => Some(Condition::Present),
            _ => None,
        };
        index += match word {
            Some(_) if condition.is_some() && condition != word => None,
            Some(_) => {
                condition = word;
                Some(1)
            }
            None => expiration.take(args, index, "KEEPTTL"),
        }
        .ok_or(CommandError::Syntax)?;
    }
    Ok((condition, expiration))
}

#[cfg(test)]
mod tests {
    use crate::testkit::{check, check_effects};

    #[test]
    fn sets_all() {
        check(
            "MSETEX 2 a 1 b 2 | MGET a b | MSETEX 1 a 3 EX 9 | TTL a | MSETEX 1 a 4 KEEPTTL | TTL a | MSETEX 2 a 5 a 6 PX 10 | \
             GET a | PTTL a | MSETEX 1 a 1 EXAT 5 | EXISTS a",
            "1 | [1 2] | 1 | 9 | 1 | 9 | 1 | 6 | 10 | 1 | 0",
        );
    }

    #[test]
    fn conditions() {
        check(
            "SET b 1 | MSETEX 2 a 1 b 2 NX | MSETEX 2 a 1 b 2 XX | MGET a b | MSETEX 2 a 1 c 2 nx | MSETEX 2 a 3 b 3 xx | MGET a b c",
            "OK | 0 | 0 | [(nil) 1] | 1 | 1 | [3 3 2]",
        );
    }

    #[test]
    fn refuses_what_valkey_refuses() {
        let refused = |line: &str, error: &str| check(&format!("MSETEX {line}"), error);
        for line in ["0 a 1", "x a 1", "-1 a 1", "9223372036854775807 a 1"] {
            refused(line, "ERR invalid numkeys value or out of range");
        }
        for line in [
            "2 a 1",
            "1 a 1 NX XX",
            "1 a 1 x",
            "1 a 1 EX",
            "1 a 1 EX 1 KEEPTTL",
            "1 a 1 b 2",
        ] {
            refused(line, "ERR syntax error");
        }
        refused("1 a 1 EX 0", "ERR invalid expire time in 'msetex' command");
    }

    #[test]
    fn logs_what_every_server_knows() {
        check_effects(
            "MSETEX 2 a 1 b 2 EX 1 | MSETEX 1 a 2 NX | MSETEX 1 a 2 XX | MSETEX 2 a 3 c 4 PXAT 5",
            "MULTI | SET a 1 PXAT 1700000001000 | SET b 2 PXAT 1700000001000 | EXEC | SET a 2 | DEL a",
        );
        check_effects(
            "SET a 1 | MSETEX 1 a 2 KEEPTTL",
            "SET a 1 | SET a 2 KEEPTTL",
        );
    }
}
