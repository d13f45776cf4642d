//! HSETEX key [NX | XX] [FNX | FXX] [EX | PX | EXAT | PXAT time | KEEPTTL] FIELDS numfields field value [field value …]

use super::super::expiration::{EX, EXAT, KEEPTTL, PX, PXAT, TimeUnit};
use super::fields;
use super::prelude::*;
use crate::error::quoted;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "hsetex",
    since: "9.0.0",
    group: Group::Hash,
    summary: "Sets fields of a hash and their deadlines.",
    complexity: "O(n) for n fields",
    syntax: &[
        Arg::key("key", Access::RW.with(Access::INSERT)),
        Arg::one_of(
            "key-condition",
            &[Arg::token("nx", "NX"), Arg::token("xx", "XX")],
        )
        .optional(),
        Arg::one_of(
            "fields-condition",
            &[Arg::token("fnx", "FNX"), Arg::token("fxx", "FXX")],
        )
        .optional(),
        Arg::one_of("expiration", &[EX, PX, EXAT, PXAT, KEEPTTL]).optional(),
        Arg::block(
            "fields",
            &[
                Arg::integer("numfields"),
                Arg::block("data", &[Arg::string("field"), Arg::string("value")]).multiple(),
            ],
        )
        .after("FIELDS"),
    ],
    flags: Flags::WRITE.with(Flags::DENY_OOM).with(Flags::FAST),
    run: Run::Write(hsetex),
    ..CommandSpec::DEFAULT
};

struct Options {
    /// `NX`, `XX`: whether the key must be there.
    key_exists: Option<bool>,
    /// `FNX`, `FXX`: whether the fields must be there, all or none.
    fields_exist: Option<bool>,
    expire: Option<FieldExpire>,
    /// The index of the first field.
    first: usize,
}

impl Options {
    fn parse(args: &Args<'_>, now: UnixMillis) -> Result<Self, CommandError> {
        const TWO_TIMES: CommandError = CommandError::text(
            "ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified",
        );
        const TWO_FIELD_CONDITIONS: CommandError =
            CommandError::text("ERR Only one of FXX or FNX arguments can be specified");
        // Valkey's option, in the words that Redis has for its own.
        const TWO_KEY_CONDITIONS: CommandError =
            CommandError::text("ERR Only one of NX or XX arguments can be specified");
        let mut options = Self {
            key_exists: None,
            fields_exist: None,
            expire: None,
            first: 0,
        };
        let arity = || CommandError::Arity("hsetex".into());
        let mut index = 2;
        while index < args.len() {
            if args.is(index, "FIELDS") {
                options.first = index + 2;
                options.check_fields(args)?;
                return Ok(options);
            }
            let (is_nx, is_fnx) = (args.is(index, "NX"), args.is(index, "FNX"));
            if is_nx || args.is(index, "XX") {
                if options.key_exists.replace(!is_nx).is_some() {
                    return Err(TWO_KEY_CONDITIONS);
                }
            } else if is_fnx || args.is(index, "FXX") {
                if options.fields_exist.replace(!is_fnx).is_some() {
                    return Err(TWO_FIELD_CONDITIONS);
                }
            } else if args.is(index, "KEEPTTL") {
                if options.expire.replace(FieldExpire::Keep).is_some() {
                    return Err(TWO_TIMES);
                }
            } else if let Some(unit) = TimeUnit::of_option(args.get(index)) {
                if options.expire.is_some() {
                    return Err(TWO_TIMES);
                }
                index += 1;
                if index == args.len() {
                    return Err(arity());
                }
                let deadline = fields::deadline(args, index, unit, now, "hsetex")?;
                options.expire = Some(FieldExpire::At(deadline));
            } else {
                let word = quoted(args.get(index), usize::MAX);
                return Err(CommandError::format(format!(
                    "ERR unknown argument: {word}"
                )));
            }
            index += 1;
        }
        Err(arity())
    }

    fn check_fields(&self, args: &Args<'_>) -> Result<(), CommandError> {
        let arity = || CommandError::Arity("hsetex".into());
        let Some(given) = args
            .len()
            .checked_sub(self.first)
            .filter(|given| *given >= 2)
        else {
            return Err(arity());
        };
        let number = parse_integer(args.get(self.first - 1))
            .and_then(|number| u32::try_from(number).ok())
            .filter(|number| (1..=i32::MAX as u32).contains(number))
            .ok_or(CommandError::text("ERR invalid number of fields"))?;
        if given != number as usize * 2 {
            return Err(arity());
        }
        Ok(())
    }

    /// Whether the hash, if there is one, is as the conditions want it.
    fn hold(&self, hash: Option<&Hash>, args: &Args<'_>, now: UnixMillis) -> bool {
        let key_as_wanted = self
            .key_exists
            .is_none_or(|wanted| hash.is_some() == wanted);
        let field_as_wanted = |wanted: bool| {
            let is_there = |field| hash.is_some_and(|hash| hash.contains(field, now)) == wanted;
            args.from(self.first).step_by(2).all(is_there)
        };
        key_as_wanted && self.fields_exist.is_none_or(field_as_wanted)
    }
}

fn hsetex(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    let (key, now) = (context.key(args, 1), context.now);
    let options = Options::parse(args, now)?;
    let hash = context.object::<Hash>(key)?;
    if !options.hold(hash, args, now) {
        reply.integer(0);
        return Ok(Effect::None);
    }
    reply.integer(1);
    let first = options.first;
    let expire = options.expire.unwrap_or(FieldExpire::Clear);
    if matches!(expire, FieldExpire::At(deadline) if deadline <= now) {
        return remove_fields(context, args, key, first);
    }
    let limits = context.engine.settings.hash_limits();
    let longest = args.from(first).map(<[u8]>::len).max().unwrap_or(0);
    context.update_or_insert::<Hash, _>(key, |hash| {
        hash.prepare((args.len() - first) / 2, longest, limits);
        for at in (first..args.len()).step_by(2) {
            hash.put(args.get(at), args.get(at + 1), expire, now, limits);
        }
    })?;
    context.notify(Notify::HASH, "hset", key.bytes);
    if let FieldExpire::At(_) = expire {
        context.notify(Notify::HASH, "hexpire", key.bytes);
    }
    Ok(log(context, args, key, first, expire))
}

/// Logs what was set, without conditions and with an absolute deadline.
fn log(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    key: Key<'_>,
    first: usize,
    expire: FieldExpire,
) -> Effect {
    let mut buffer = [0; INTEGER_TEXT_SIZE_MAX];
    let number = ((args.len() - first) / 2).to_string();
    let mut words: Vec<&[u8]> = Vec::with_capacity(args.len() - first + 6);
    match expire {
        FieldExpire::Clear => words.extend([b"HSET".as_slice(), key.bytes]),
        FieldExpire::Keep => words.extend([b"HSETEX".as_slice(), key.bytes, b"KEEPTTL"]),
        FieldExpire::At(deadline) => {
            let deadline = format_integer(deadline, &mut buffer);
            words.extend([b"HSETEX".as_slice(), key.bytes, b"PXAT", deadline]);
        }
    }
    if expire != FieldExpire::Clear {
        words.extend([b"FIELDS".as_slice(), number.as_bytes()]);
    }
    words.extend(args.from(first));
    Effect::Rewritten(context.rewrite(&words))
}

/// What is set with a deadline that has passed is gone at once: what was there goes too.
fn remove_fields(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    key: Key<'_>,
    first: usize,
) -> Result<Effect, CommandError> {
    let (mut removed, now) = (Vec::new(), context.now);
    let there = context.update::<Hash, _>(key, |hash| {
        hash.expect_deadlines();
        let fields = args.from(first).step_by(2);
        removed.extend(fields.filter(|field| hash.remove(field, now)));
    })?;
    // As if they had been set first.
    if there.is_none() {
        context.notify_new(key);
    }
    context.notify(Notify::HASH, "hset", key.bytes);
    if !removed.is_empty() {
        return Ok(fields::log_removal(context, key, &removed));
    }
    context.notify(Notify::HASH, "hdel", key.bytes);
    if there.is_none() {
        context.notify(Notify::GENERIC, "del", key.bytes);
    }
    Ok(Effect::None)
}

#[cfg(test)]
mod tests {
    use crate::testkit::{check, check_effects};

    #[test]
    fn sets_fields_and_deadlines() {
        check(
            "HSETEX h EX 9 FIELDS 2 a 1 b 2 | HTTL h FIELDS 2 a b | HSETEX h FIELDS 1 a 3 | HTTL h FIELDS 2 a b | HSETEX h KEEPTTL FIELDS 2 b 4 c 5 | \
             HTTL h FIELDS 3 a b c | HSETEX h PX 5 FIELDS 1 a 6 | HSETEX h EXAT 1700000002 FIELDS 1 b 7 | HSETEX h PXAT 1700000000007 FIELDS 1 c 8 | \
             HPTTL h FIELDS 3 a b c | HGETALL h",
            "1 | [9 9] | 1 | [-1 9] | 1 | [-1 9 -1] | 1 | 1 | 1 | [5 2000 7] | [a 6 c 8 b 7]",
        );
    }

    #[test]
    fn conditions_on_all_fields() {
        check(
            "HSETEX h FXX FIELDS 1 a 1 | EXISTS h | HSETEX h FNX FIELDS 2 a 1 b 2 | HSETEX h FNX FIELDS 2 b 3 c 3 | HSETEX h FXX FIELDS 2 b 3 c 3 | \
             HGETALL h | HSETEX h FXX EX 9 FIELDS 2 a 3 b 3 | HGETALL h",
            "0 | 0 | 1 | 0 | 0 | [a 1 b 2] | 1 | [b 3 a 3]",
        );
    }

    #[test]
    fn conditions_on_the_key() {
        check(
            "HSETEX h XX FIELDS 1 a 1 | HSETEX h NX FIELDS 1 a 1 | HSETEX h NX FIELDS 1 b 1 | HSETEX h XX FNX FIELDS 1 c 1 | HGETALL h",
            "0 | 1 | 0 | 1 | [a 1 c 1]",
        );
    }

    #[test]
    fn a_deadline_in_the_past_removes() {
        check(
            "HSETEX h EX 0 FIELDS 1 a 1 | EXISTS h | HSET h a 1 b 2 | HSETEX h PXAT 1700000000000 FIELDS 2 a 1 c 1 | HGETALL h | \
             HSETEX h EXAT 1 FIELDS 1 b 1 | EXISTS h",
            "1 | 0 | 2 | 1 | [b 2] | 1 | 0",
        );
    }

    #[test]
    fn refuses_what_redis_refuses() {
        let arity = "ERR wrong number of arguments for 'hsetex' command";
        let times = "ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified";
        let conditions = "ERR Only one of FXX or FNX arguments can be specified";
        let number = "ERR invalid number of fields";
        for (arguments, error) in [
            ("FIELDS 2 a 1", arity),
            ("FIELDS 1 a 1 b 2", arity),
            ("FIELDS 1 a 1 EX 10", arity),
            ("EX 10 FIELDS 1", arity),
            ("FNX FIELDS -7 a", arity),
            ("NX FNX EX 10", arity),
            ("EX 1 PX 2 FIELDS 1 a 1", times),
            ("EX 1 KEEPTTL FIELDS 1 a 1", times),
            ("KEEPTTL KEEPTTL FIELDS 1 a 1", times),
            ("FNX FXX FIELDS 1 a 1", conditions),
            ("FNX FNX FIELDS 1 a 1", conditions),
            ("FIELDS 0 a 1", number),
            ("FIELDS x a 1", number),
            ("FIELDS 2147483648 a 1", number),
            ("foo FIELDS 1 a 1", "ERR unknown argument: foo"),
            (
                "EX x FIELDS 0 a 1",
                "ERR value is not an integer or out of range",
            ),
            (
                "EX -1 FIELDS 0 a 1",
                "ERR invalid expire time, must be >= 0",
            ),
            (
                "EX 9223372036854775807 FIELDS 1 a 1",
                "ERR invalid expire time in 'hsetex' command",
            ),
        ] {
            check(
                &format!("SET h v | HSETEX h {arguments}"),
                &format!("OK | {error}"),
            );
        }
        check(
            "SET h v | HSETEX h NX FIELDS 1 a 1",
            "OK | WRONGTYPE Operation against a key holding the wrong kind of value",
        );
    }

    #[test]
    fn logs_what_was_set() {
        check_effects(
            "HSETEX h EX 9 FNX FIELDS 2 a 1 b 2 | HSETEX h FNX FIELDS 1 a 3 | HSETEX h NX FIELDS 1 a 3 | HSETEX h FIELDS 1 a 3 | HSETEX h KEEPTTL FIELDS 1 b 4 | \
             HSETEX h PXAT 1 FIELDS 2 a 1 x 1 | HSETEX h PXAT 1 FIELDS 1 x 1",
            "HSETEX h PXAT 1700000009000 FIELDS 2 a 1 b 2 | HSET h a 3 | HSETEX h KEEPTTL FIELDS 1 b 4 | HDEL h a",
        );
    }
}
