//! HINCRBYFLOAT key field increment

use super::prelude::*;
use crate::long_double::LongDouble;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "hincrbyfloat",
    since: "2.6.0",
    group: Group::Hash,
    summary: "Adds to the decimal number in a field of a hash.",
    syntax: &[
        Arg::key("key", Access::READ_UPDATE),
        Arg::string("field"),
        Arg::double("increment"),
    ],
    flags: Flags::WRITE.with(Flags::DENY_OOM).with(Flags::FAST),
    run: Run::Write(hincrbyfloat),
    ..CommandSpec::DEFAULT
};

fn hincrbyfloat(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    let (key, field) = (context.key(args, 1), args.get(2));
    let increment = LongDouble::parse(args.get(3)).ok_or(CommandError::NotAFloat)?;
    if increment.checked_add(LongDouble::ZERO).is_none() {
        return Err(CommandError::text("ERR value is NaN or Infinity"));
    }
    let (limits, now) = (context.engine.settings.hash_limits(), context.now);
    let (sum, has_deadline) = context.update_or_insert::<Hash, _>(key, |hash| {
        let (current, has_deadline) = match hash.get(field, now) {
            Some(found) => {
                let current = match found.value {
                    Element::Int(integer) => Some(LongDouble::from_integer(integer)),
                    Element::Bytes(bytes) => LongDouble::parse(bytes),
                };
                let current = current.ok_or(CommandError::text("ERR hash value is not a float"))?;
                (current, found.expire_at.is_some())
            }
            None => (LongDouble::ZERO, false),
        };
        let sum = current
            .checked_add(increment)
            .ok_or(CommandError::NanOrInfinity)?
            .to_text();
        hash.put(field, sum.as_bytes(), FieldExpire::Keep, now, limits);
        Ok::<_, CommandError>((sum, has_deadline))
    })??;
    context.notify(Notify::HASH, "hincrbyfloat", key.bytes);
    reply.bulk(sum.as_bytes());
    // Other machines may calculate otherwise.
    let sum = sum.as_bytes();
    Ok(Effect::Rewritten(if has_deadline {
        context.rewrite(&[
            b"HSETEX", key.bytes, b"KEEPTTL", b"FIELDS", b"1", field, sum,
        ])
    } else {
        context.rewrite(&[b"HSET", key.bytes, field, sum])
    }))
}

#[cfg(test)]
mod tests {
    use crate::testkit::{check, check_effects};

    #[test]
    fn adds() {
        check(
            "HINCRBYFLOAT h n 0.1 | HINCRBYFLOAT h n 0.2 | HSET h e 5.0e3 i 10 | HINCRBYFLOAT h e 2.0e2 | HINCRBYFLOAT h i -2.5 | \
             HINCRBYFLOAT h i 0.5 | HINCRBY h i 1",
            "0.1 | 0.3 | 2 | 5200 | 7.5 | 8 | 9",
        );
    }

    #[test]
    fn refuses_what_redis_refuses() {
        check(
            "HSET h t text s \" 1\" i inf | HINCRBYFLOAT h t 1 | HINCRBYFLOAT h s 1 | HINCRBYFLOAT h i 1 | HINCRBYFLOAT h n x | \
             HINCRBYFLOAT h n nan | HINCRBYFLOAT h n inf | HINCRBYFLOAT new n x | EXISTS new | SET s v | HINCRBYFLOAT s n inf | HINCRBYFLOAT s n 1",
            "3 | ERR hash value is not a float | ERR hash value is not a float | ERR increment would produce NaN or Infinity | \
             ERR value is not a valid float | ERR value is not a valid float | ERR value is NaN or Infinity | \
             ERR value is not a valid float | 0 | OK | ERR value is NaN or Infinity | \
             WRONGTYPE Operation against a key holding the wrong kind of value",
        );
    }

    #[test]
    fn logs_the_sum_and_keeps_the_deadline() {
        check_effects(
            "HINCRBYFLOAT h n 0.5 | HINCRBYFLOAT h n x | HEXPIRE h 9 FIELDS 1 n | HINCRBYFLOAT h n 1",
            "HSET h n 0.5 | HPEXPIREAT h 1700000009000 FIELDS 1 n | HSETEX h KEEPTTL FIELDS 1 n 1.5",
        );
    }
}
