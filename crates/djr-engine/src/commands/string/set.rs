//! SET key value [NX | XX | IFEQ value | IFNE value | IFDEQ digest | IFDNE digest] [GET] [EX | PX | EXAT | PXAT time | KEEPTTL]

use super::super::expiration::{EX, EXAT, Expiration, KEEPTTL, PX, PXAT};
use super::super::prelude::*;
use super::condition::Condition;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "set",
    group: Group::String,
    summary: "Stores a string at a key, whatever was there, perhaps under a condition and with a deadline.",
    syntax: &[
        Arg::key("key", Access::READ_UPDATE.with(Access::VARIABLE)),
        Arg::string("value"),
        Arg::one_of(
            "condition",
            &[
                Arg::token("nx", "NX"),
                Arg::token("xx", "XX"),
                Arg::string("comparison-value").after("IFEQ"),
                Arg::string("ifne-value").after("IFNE"),
                Arg::string("ifdeq-digest").after("IFDEQ"),
                Arg::string("ifdne-digest").after("IFDNE"),
            ],
        )
        .optional(),
        Arg::token("get", "GET").optional(),
        Arg::one_of("expiration", &[EX, PX, EXAT, PXAT, KEEPTTL]).optional(),
    ],
    flags: Flags::WRITE.with(Flags::DENY_OOM),
    run: Run::Write(set),
    ..CommandSpec::DEFAULT
};

fn set(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    if args.len() > 3 {
        return set_with_options(context, args, reply);
    }
    let key = context.key(args, 1);
    let was_there = context.db().set_string(key, args.get(2), Expire::Clear);
    context.notify_set(key, was_there);
    reply.ok();
    Ok(Effect::Verbatim)
}

#[derive(Default)]
struct Options<'a> {
    condition: Option<Condition<'a>>,
    get: bool,
    expiration: Expiration,
}

impl<'a> Options<'a> {
    fn parse(args: &Args<'a>) -> Result<Self, CommandError> {
        let mut options = Self::default();
        let mut index = 3;
        while index < args.len() {
            index += options.take(args, index).ok_or(CommandError::Syntax)?;
        }
        if let Some(condition) = options.condition {
            condition.check()?;
        }
        Ok(options)
    }

    /// Takes the option at `index` and returns how many arguments it is long.
    fn take(&mut self, args: &Args<'a>, index: usize) -> Option<usize> {
        let word = match args.get(index) {
            name if name.eq_ignore_ascii_case(b"NX") => Some(Condition::Absent),
            name if name.eq_ignore_ascii_case(b"XX") => Some(Condition::Present),
            _ => None,
        };
        if let Some(condition) = word {
            if self.condition.is_some_and(|before| before != condition) {
                return None;
            }
            self.condition = Some(condition);
            return Some(1);
        }
        if args.is(index, "GET") {
            self.get = true;
            return Some(1);
        }
        if let Some(comparison) = Condition::comparison(args, index) {
            return self.condition.replace(comparison).is_none().then_some(2);
        }
        self.expiration.take(args, index, "KEEPTTL")
    }
}

fn set_with_options(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    let options = Options::parse(args)?;
    let deadline = options.expiration.deadline(args, context.now, "set")?;
    let (key, value) = (context.key(args, 1), args.get(2));
    let mut plain = true;
    if options.get || options.condition.is_some() {
        plain = false;
        let current = context.db_read().get(key).map(|entry| entry.value());
        if options.get {
            context.count_lookup(key, current.is_some());
        }
        let old = match current {
            Some(current) if options.get => Some(string_of(current)?),
            _ => None,
        };
        let refused = match options.condition {
            Some(condition) => !condition.holds(current)?,
            None => false,
        };
        match old {
            Some(old) => reply_string(reply, old),
            None if options.get || refused => reply.null(),
            None => {}
        }
        if refused {
            return Ok(Effect::None);
        }
    }
    if !options.get {
        reply.ok();
    }
    if let Some(deadline) = deadline {
        return Ok(set_until(context, key, value, deadline));
    }
    if options.expiration.has_word() {
        let was_there = context.db().set_string(key, value, Expire::Keep);
        context.notify_set(key, was_there);
        if !plain {
            return Ok(Effect::Rewritten(
                context.rewrite(&[b"SET", key.bytes, value, b"KEEPTTL"]),
            ));
        }
    } else {
        let was_there = context.db().set_string(key, value, Expire::Clear);
        context.notify_set(key, was_there);
        if !plain {
            return Ok(Effect::Rewritten(
                context.rewrite(&[b"SET", key.bytes, value]),
            ));
        }
    }
    Ok(Effect::Verbatim)
}

/// Sets a string with a deadline. If that has passed, the key is gone at once.
pub(super) fn set_until(
    context: &mut WriteContext<'_, '_>,
    key: Key<'_>,
    value: &[u8],
    deadline: UnixMillis,
) -> Effect {
    let past = deadline <= context.now;
    let was_there = if past {
        context.db().remove(key)
    } else {
        context.db().set_string(key, value, Expire::At(deadline))
    };
    context.notify_set(key, was_there);
    context.notify(Notify::GENERIC, "expire", key.bytes);
    if past {
        context.notify(Notify::EXPIRED, "expired", key.bytes);
        return if was_there {
            Effect::Rewritten(context.rewrite(&[b"DEL", key.bytes]))
        } else {
            Effect::None
        };
    }
    let mut buffer = [0; INTEGER_TEXT_SIZE_MAX];
    let deadline = format_integer(deadline, &mut buffer);
    Effect::Rewritten(context.rewrite(&[b"SET", key.bytes, value, b"PXAT", deadline]))
}

#[cfg(test)]
mod tests {
    use crate::testkit::{check, check_effects};

    #[test]
    fn stores_and_replaces() {
        check(
            "SET k v | GET k | SET k w PX 1000 | SET k x | PTTL k | SET k 12 | OBJECT ENCODING k",
            "OK | v | OK | OK | -1 | OK | int",
        );
    }

    #[test]
    fn conditions_on_presence() {
        check(
            "SET k v XX | SET k v NX | SET k w NX | SET k w XX | SET k x NX GET | SET k y XX GET | GET k | SET new v XX GET",
            "(nil) | OK | (nil) | OK | w | w | y | (nil)",
        );
    }

    #[test]
    fn conditions_on_the_value() {
        check(
            "SET k v IFEQ v | SET k v IFNE v | SET k w IFNE v | SET k w IFEQ x | SET k 12 IFEQ v GET | SET k x IFEQ 12 | GET k",
            "(nil) | OK | (nil) | (nil) | v | OK | x",
        );
        check(
            "SET k 12 | SET k x IFEQ 12 | SET k 13 IFNE x GET | SET k 13 IFNE y | GET k",
            "OK | OK | x | OK | 13",
        );
    }

    #[test]
    fn conditions_on_the_digest() {
        check(
            "SET k v IFDEQ b6acb9d84a38ff74 | SET k \"Hello world\" IFDNE b6acb9d84a38ff74 | SET k x IFDNE B6ACB9D84A38FF74 | \
             SET k y IFDEQ B6acb9d84a38ff74 GET | GET k",
            "(nil) | OK | (nil) | Hello world | y",
        );
        check(
            "SET k v IFDEQ b6acb9d84a38ff7 | SET k v IFDNE b6acb9d84a38ff7z | SET k v IFDEQ x EX",
            "ERR must be exactly 16 hexadecimal characters | ERR must be exactly 16 hexadecimal characters | ERR syntax error",
        );
    }

    #[test]
    fn deadlines() {
        check(
            "SET k v EX 10 | PTTL k | SET k v PX 10 | PTTL k | SET k w KEEPTTL | PTTL k | \
             SET k v EXAT 1700000001 | PTTL k | SET k v PXAT 1700000000001 | PTTL k | @wait 2 | GET k",
            "OK | 10000 | OK | 10 | OK | 10 | OK | 1000 | OK | 1 | ok | (nil)",
        );
        check("SET k v | SET k w EXAT 1 | EXISTS k", "OK | OK | 0");
    }

    #[test]
    fn refuses_what_redis_refuses() {
        let refused = |options: &str, error: &str| check(&format!("SET k v {options}"), error);
        for options in [
            "EX",
            "EX 1 PX 1",
            "EX 1 KEEPTTL",
            "KEEPTTL EXAT 1",
            "NX XX",
            "x",
            "IFEQ",
            "IFEQ v NX",
            "XX IFEQ v",
            "IFEQ a IFEQ b",
            "EX a NX XX",
            "PERSIST",
        ] {
            refused(options, "ERR syntax error");
        }
        for options in [
            "EX 0",
            "PX -1",
            "EXAT 0",
            "EX 9223372036854775807",
            "PX 9223372036854775807",
            "EX 9223372036854775",
        ] {
            refused(options, "ERR invalid expire time in 'set' command");
        }
        refused("EX 1x", "ERR value is not an integer or out of range");
        check(
            "SET k v NX NX GET GET KEEPTTL KEEPTTL | SET k w EX 1 EX 2 | TTL k",
            "(nil) | OK | 2",
        );
    }

    #[test]
    fn logs_the_plain_form() {
        check_effects(
            "SET a 1 | SET a 2 NX | SET a 3 XX | SET a 4 EX 10 | SET a 5 KEEPTTL | SET a 6 XX KEEPTTL | SET a 7 IFEQ 6 PX 5 | SET b 1 GET",
            "SET a 1 | SET a 3 | SET a 4 PXAT 1700000010000 | SET a 5 KEEPTTL | SET a 6 KEEPTTL | SET a 7 PXAT 1700000000005 | SET b 1",
        );
        check_effects(
            "SET a 1 PXAT 5 | SET a 1 | SET a 2 PXAT 5 | SET b 1 PX 5 | @wait 6 | SET b 2 NX",
            "SET a 1 | DEL a | SET b 1 PXAT 1700000000005 | DEL b | SET b 2",
        );
    }
}
