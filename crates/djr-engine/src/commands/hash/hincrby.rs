//! HINCRBY key field increment

use super::prelude::*;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "hincrby",
    since: "2.0.0",
    group: Group::Hash,
    summary: "Adds to the integer in a field of a hash.",
    syntax: &[
        Arg::key("key", Access::READ_UPDATE),
        Arg::string("field"),
        Arg::integer("increment"),
    ],
    flags: Flags::WRITE.with(Flags::DENY_OOM).with(Flags::FAST),
    run: Run::Write(hincrby),
    ..CommandSpec::DEFAULT
};

fn hincrby(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    let (key, field) = (context.key(args, 1), args.get(2));
    let increment = args.integer(3)?;
    let (limits, now) = (context.engine.settings.hash_limits(), context.now);
    let sum = context.update_or_insert::<Hash, _>(key, |hash| {
        let current = match hash.get(field, now) {
            Some(found) => found
                .value
                .as_integer()
                .ok_or(CommandError::text("ERR hash value is not an integer"))?,
            None => 0,
        };
        let sum = current
            .checked_add(increment)
            .ok_or(CommandError::Overflow)?;
        let mut buffer = [0; INTEGER_TEXT_SIZE_MAX];
        let text = format_integer(sum, &mut buffer);
        hash.set(field, text, FieldExpire::Keep, limits);
        Ok::<_, CommandError>(sum)
    })??;
    context.notify(Notify::HASH, "hincrby", key.bytes);
    reply.integer(sum);
    Ok(Effect::Verbatim)
}

#[cfg(test)]
mod tests {
    use crate::testkit::{check, check_effects};

    #[test]
    fn adds_and_keeps_the_deadline() {
        check(
            "HINCRBY h n 5 | HINCRBY h n -7 | HEXPIRE h 9 FIELDS 1 n | HINCRBY h n 1 | HTTL h FIELDS 1 n | @wait 9001 | HINCRBY h n 1",
            "5 | -2 | [1] | -1 | [9] | ok | 1",
        );
    }

    #[test]
    fn refuses_text_and_overflow() {
        check(
            "HSET h t text f 1.5 m 9223372036854775807 | HINCRBY h t 1 | HINCRBY h f 1 | HINCRBY h m 1 | HINCRBY h m x | HINCRBY new f x | \
             EXISTS new | SET s v | HINCRBY s f x | HINCRBY s f 1",
            "3 | ERR hash value is not an integer | ERR hash value is not an integer | ERR increment or decrement would overflow | \
             ERR value is not an integer or out of range | ERR value is not an integer or out of range | 0 | OK | \
             ERR value is not an integer or out of range | WRONGTYPE Operation against a key holding the wrong kind of value",
        );
    }

    #[test]
    fn logs_itself_behind_what_has_expired() {
        check_effects(
            "HSET h n 5 m 6 | HPEXPIRE h 5 FIELDS 1 n | @wait 6 | HINCRBY h n 1 | HINCRBY h n x",
            "HSET h n 5 m 6 | HPEXPIREAT h 1700000000005 FIELDS 1 n | HDEL h n | HINCRBY h n 1",
        );
    }
}
