//! INCRBYFLOAT key increment

use super::super::prelude::*;
use crate::long_double::LongDouble;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "incrbyfloat",
    since: "2.6.0",
    group: Group::String,
    summary: "Adds to the decimal number stored at a key.",
    syntax: &[
        Arg::key("key", Access::READ_UPDATE),
        Arg::double("increment"),
    ],
    flags: Flags::WRITE.with(Flags::DENY_OOM).with(Flags::FAST),
    run: Run::Write(incrbyfloat),
    ..CommandSpec::DEFAULT
};

fn incrbyfloat(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    let key = context.key(args, 1);
    let mut db = context.db();
    let current = match db.get_mut(key) {
        Some(entry) => match string_of(entry.entry().value())? {
            StringRef::Int(integer) => Some(LongDouble::from_integer(integer)),
            StringRef::Bytes(bytes) => LongDouble::parse(bytes),
        },
        None => Some(LongDouble::ZERO),
    };
    let current = current.ok_or(CommandError::NotAFloat)?;
    let increment = LongDouble::parse(args.get(2)).ok_or(CommandError::NotAFloat)?;
    let sum = current
        .checked_add(increment)
        .ok_or(CommandError::NanOrInfinity)?
        .to_text();
    let was_there = db.set_string_as(key, sum.as_bytes(), StringForm::Text, Expire::Keep);
    if !was_there {
        context.notify_new(key);
    }
    context.notify(Notify::STRING, "incrbyfloat", key.bytes);
    reply.bulk(sum.as_bytes());
    // Other machines may calculate otherwise.
    Ok(Effect::Rewritten(context.rewrite(&[
        b"SET",
        key.bytes,
        sum.as_bytes(),
        b"KEEPTTL",
    ])))
}

#[cfg(test)]
mod tests {
    use crate::testkit::{Bench, check, check_effects};

    #[test]
    fn adds() {
        check(
            "INCRBYFLOAT k 0.1 | INCRBYFLOAT k 0.2 | SET e 5.0e3 | INCRBYFLOAT e 2.0e2 | SET n 10 | INCRBYFLOAT n -2.5 | INCRBYFLOAT n 0.5 | INCR n",
            "0.1 | 0.3 | OK | 5200 | OK | 7.5 | 8 | 9",
        );
    }

    /// Real sums, to the last digit.
    #[test]
    fn equals_recorded_sums() {
        let mut bench = Bench::new();
        let table = include_str!("../../../fixtures/incrbyfloat.txt");
        let mut count = 0;
        for line in table.lines().filter(|line| !line.starts_with('#')) {
            let mut parts = line.splitn(3, ' ');
            let mut part = || parts.next().expect("three parts");
            let (a, b, sum) = (part(), part(), part());
            bench.line(&format!("SET k {a}"));
            assert_eq!(bench.line(&format!("INCRBYFLOAT k {b}")), sum, "{a} + {b}");
            count += 1;
        }
        assert!(count > 400, "the table is there");
    }

    #[test]
    fn refuses_what_redis_refuses() {
        check(
            "INCRBYFLOAT k x | INCRBYFLOAT k \" 1\" | INCRBYFLOAT k \"1 \" | INCRBYFLOAT k \"\" | INCRBYFLOAT k \"1\\x00\" | \
             INCRBYFLOAT k inf | SET k x | INCRBYFLOAT k 1",
            "ERR value is not a valid float | ERR value is not a valid float | ERR value is not a valid float | \
             ERR value is not a valid float | ERR value is not a valid float | ERR increment would produce NaN or Infinity | OK | \
             ERR value is not a valid float",
        );
    }

    #[test]
    fn keeps_the_deadline_and_is_no_integer() {
        check(
            "SET k 1 EX 9 | INCRBYFLOAT k 1 | TTL k | OBJECT ENCODING k",
            "OK | 2 | 9 | embstr",
        );
    }

    #[test]
    fn logs_the_sum() {
        check_effects(
            "SET k 1 EX 9 | INCRBYFLOAT k 0.5 | INCRBYFLOAT k x",
            "SET k 1 PXAT 1700000009000 | SET k 1.5 KEEPTTL",
        );
    }
}
