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
    db.set_string_as(key, sum.as_bytes(), StringForm::Text, Expire::Keep);
    reply.bulk(sum.as_bytes());
    // Other machines may calculate otherwise.
    Ok(Effect::Rewritten(context.rewrite(&[
        b"SET",
        key.bytes,
        sum.as_bytes(),
        b"KEEPTTL",
    ])))
}
