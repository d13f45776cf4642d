//! RESTORE key ttl serialized-value [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency], RESTORE-ASKING

use djr_storage::rdb::{self, RdbError};

use super::super::prelude::*;

pub(super) static RESTORE: CommandSpec = CommandSpec {
    name: "restore",
    since: "2.6.0",
    group: Group::Generic,
    summary: "Makes a key out of what DUMP returned.",
    complexity: "O(1) to make the key, and O(n) for a value of n bytes; O(n log n) for a sorted set",
    syntax: &[
        Arg::key("key", Access::OVERWRITE),
        Arg::integer("ttl"),
        Arg::string("serialized-value"),
        Arg::token("replace", "REPLACE").optional(),
        Arg::token("absttl", "ABSTTL").optional(),
        Arg::integer("seconds").after("IDLETIME").optional(),
        Arg::integer("frequency").after("FREQ").optional(),
    ],
    flags: Flags::WRITE.with(Flags::DENY_OOM),
    acl: &["dangerous"],
    run: Run::Write(restore),
    ..CommandSpec::DEFAULT
};

pub(super) static RESTORE_ASKING: CommandSpec = CommandSpec {
    name: "restore-asking",
    since: "3.0.0",
    group: Group::Server,
    summary: "RESTORE, as the nodes of a cluster send it to one another.",
    flags: RESTORE.flags.with(Flags::ASKING),
    acl: &["dangerous", "keyspace"],
    ..RESTORE
};

#[derive(Default)]
struct Options {
    replace: bool,
    absolute: bool,
    idle_seconds: Option<u64>,
    frequency: Option<u8>,
}

impl Options {
    fn parse(args: &Args<'_>) -> Result<Self, CommandError> {
        let mut options = Self::default();
        let mut index = 4;
        while index < args.len() {
            let has_more = index + 1 < args.len();
            if args.is(index, "REPLACE") {
                options.replace = true;
            } else if args.is(index, "ABSTTL") {
                options.absolute = true;
            } else if args.is(index, "IDLETIME") && has_more && options.frequency.is_none() {
                index += 1;
                let seconds = u64::try_from(args.integer(index)?);
                options.idle_seconds =
                    Some(seconds.map_err(|_| {
                        CommandError::text("ERR Invalid IDLETIME value, must be >= 0")
                    })?);
            } else if args.is(index, "FREQ") && has_more && options.idle_seconds.is_none() {
                index += 1;
                let frequency = u8::try_from(args.integer(index)?);
                options.frequency = Some(frequency.map_err(|_| {
                    CommandError::text("ERR Invalid FREQ value, must be >= 0 and <= 255")
                })?);
            } else {
                return Err(CommandError::Syntax);
            }
            index += 1;
        }
        Ok(options)
    }
}

fn restore(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    let options = Options::parse(args)?;
    let key = context.key(args, 1);
    let is_there = context.db().get_mut(key).is_some();
    if is_there && !options.replace {
        return Err(CommandError::text(
            "BUSYKEY Target key name already exists.",
        ));
    }
    let deadline = deadline(context.now, args.integer(2)?, options.absolute)?;
    let limits = context.engine.settings.value_limits();
    let read = match context.engine.settings.skips_checksums.get() {
        0 => rdb::restore,
        _ => rdb::restore_unchecked,
    };
    let value = read(args.get(3), &limits).map_err(|error| match error {
        RdbError::Version(_) | RdbError::Checksum => {
            CommandError::text("ERR DUMP payload version or checksum are wrong")
        }
        _ => CommandError::text("ERR Bad data format"),
    })?;
    reply.ok();
    if let Some(at) = deadline
        && at <= context.now
    {
        // It would be gone at once.
        if !context.db().remove(key) {
            return Ok(Effect::None);
        }
        context.notify(Notify::GENERIC, "del", key.bytes);
        return Ok(Effect::Rewritten(context.rewrite(&[b"DEL", key.bytes])));
    }
    context.set_value(key, value, deadline.map_or(Expire::Clear, Expire::At));
    if let Some(mut entry) = context.db().get_mut(key) {
        if let Some(seconds) = options.idle_seconds {
            entry.set_idle_seconds(seconds);
        }
        if let Some(frequency) = options.frequency {
            entry.set_frequency(frequency);
        }
    }
    context.notify(Notify::GENERIC, "restore", key.bytes);
    let Some(at) = deadline.filter(|_| !options.absolute) else {
        return Ok(Effect::Verbatim);
    };
    let mut buffer = [0; INTEGER_TEXT_SIZE_MAX];
    let mut words: Vec<&[u8]> = args.from(0).collect();
    words[0] = b"RESTORE";
    words[2] = format_integer(at, &mut buffer);
    words.push(b"ABSTTL");
    Ok(Effect::Rewritten(context.rewrite(&words)))
}

/// The deadline that the argument means; 0 is none.
fn deadline(now: UnixMillis, ttl: i64, absolute: bool) -> Result<Option<UnixMillis>, CommandError> {
    let invalid = CommandError::text("ERR Invalid TTL value, must be >= 0");
    match ttl {
        0 => Ok(None),
        ttl if ttl < 0 => Err(invalid),
        ttl if absolute => Ok(Some(ttl)),
        ttl => now.checked_add(ttl).map(Some).ok_or(invalid),
    }
}

#[cfg(test)]
mod tests {
    use crate::testkit::{Bench, check, decode, split};

    /// DUMP of the integer 1 in Redis 8.0.6.
    const ONE: &str = "\"\\x00\\xc0\\x01\\x0c\\x00\\xed\\x0e\\xd3\\x76\\x2b\\x2b\\x8f\\xb5\"";

    #[test]
    fn makes_a_key() {
        check(
            &format!(
                "RESTORE k 0 {ONE} | GET k | OBJECT ENCODING k | TTL k | RESTORE k 0 {ONE} | RESTORE k 9000 {ONE} REPLACE | PTTL k | \
                 RESTORE l 1700000005000 {ONE} absttl IDLETIME 77 | PTTL l | OBJECT IDLETIME l | RESTORE-ASKING m 0 {ONE} | GET m"
            ),
            "OK | 1 | int | -1 | BUSYKEY Target key name already exists. | OK | 9000 | OK | 5000 | 77 | OK | 1",
        );
    }

    #[test]
    fn what_would_be_gone_removes_what_is_there() {
        check(
            &format!(
                "RESTORE k 5 {ONE} ABSTTL | EXISTS k | SET k v | RESTORE k 5 {ONE} ABSTTL REPLACE | EXISTS k"
            ),
            "OK | 0 | OK | OK | 0",
        );
    }

    #[test]
    fn checks_its_arguments() {
        let wrong = "ERR DUMP payload version or checksum are wrong";
        check(
            &format!(
                "RESTORE k -1 x | RESTORE k x x | RESTORE k 0 x | RESTORE k 0 \"\" | RESTORE k 0 {ONE} FOO | RESTORE k 0 {ONE} IDLETIME -1 | \
                 RESTORE k 0 {ONE} FREQ 256 | RESTORE k 0 {ONE} FREQ 1 IDLETIME 1 | RESTORE k 0 {ONE} FREQ | \
                 RESTORE k 9223372036854775807 {ONE}"
            ),
            &format!(
                "ERR Invalid TTL value, must be >= 0 | ERR value is not an integer or out of range | {wrong} | {wrong} | ERR syntax error | \
                 ERR Invalid IDLETIME value, must be >= 0 | ERR Invalid FREQ value, must be >= 0 and <= 255 | ERR syntax error | \
                 ERR syntax error | ERR Invalid TTL value, must be >= 0"
            ),
        );
    }

    #[test]
    fn logs_deadlines_as_times() {
        let mut bench = Bench::new();
        for line in [
            format!("RESTORE a 0 {ONE}"),
            format!("RESTORE b 9000 {ONE}"),
            format!("RESTORE b 5 {ONE} ABSTTL REPLACE"),
            format!("RESTORE c 5 {ONE} ABSTTL"),
            format!("RESTORE d 1700000009000 {ONE} ABSTTL"),
        ] {
            assert_eq!(bench.line(&line), "OK");
        }
        let log = bench.log();
        let texts: Vec<String> = log
            .iter()
            .flat_map(|(_, batch)| batch)
            .map(|words| {
                let mut words = words.clone();
                if words.len() > 3 {
                    words.remove(3);
                }
                String::from_utf8_lossy(&words.join(&b' ')).into_owned()
            })
            .collect();
        assert_eq!(
            texts,
            [
                "RESTORE a 0",
                "RESTORE b 1700000009000 ABSTTL",
                "DEL b",
                "RESTORE d 1700000009000 ABSTTL"
            ]
        );
        bench.check_log();
    }

    #[test]
    fn takes_what_dump_gives() {
        let mut bench = Bench::new();
        for line in [
            "SET k abc",
            "SET n 12345678901",
            "SET long aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "PFADD h a b c",
        ] {
            bench.line(line);
            let key = split(line)[1].clone();
            let payload = bench.run(&[b"DUMP", &key]);
            let payload = decode(&payload);
            let payload = payload.as_bytes().expect("a payload");
            let reply = bench.run(&[b"RESTORE", b"copy", b"0", payload, b"REPLACE"]);
            assert_eq!(reply, b"+OK\r\n");
            let (one, other) = (bench.run(&[b"GET", &key]), bench.run(&[b"GET", b"copy"]));
            assert_eq!(one, other);
        }
        assert_eq!(bench.line("DUMP none"), "(nil)");
        bench.check_log();
    }
}
