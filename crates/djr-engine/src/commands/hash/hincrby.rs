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
    let (sum, has_expired) = context.update_or_insert::<Hash, _>(key, |hash| {
        let has_expired = hash.remove_if_expired(field, now);
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
        hash.put(field, text, FieldExpire::Keep, now, limits);
        Ok::<_, CommandError>((sum, has_expired))
    })??;
    context.notify(Notify::HASH, "hincrby", key.bytes);
    reply.integer(sum);
    if has_expired {
        // The log does not know that the field was gone.
        let mut buffer = [0; INTEGER_TEXT_SIZE_MAX];
        let sum = format_integer(sum, &mut buffer);
        return Ok(Effect::Rewritten(
            context.rewrite(&[b"HSET", key.bytes, field, sum]),
        ));
    }
    Ok(Effect::Verbatim)
}

#[cfg(test)]
mod tests {
    use crate::testkit::{Bench, check, check_effects};

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

    /// More fields past their deadline than one command removes.
    #[test]
    fn counts_anew_where_many_have_expired() {
        let mut bench = Bench::new();
        let names: Vec<String> = (0..400).map(|number| format!("f{number}")).collect();
        let pairs: String = names.iter().map(|name| format!(" {name} 7")).collect();
        bench.line(&format!("HSET h{pairs}"));
        bench.line(&format!("HPEXPIRE h 5 FIELDS 400 {}", names.join(" ")));
        bench.line("@wait 6");
        // The last ones are those that got their deadline first.
        for (line, reply) in [
            ("HINCRBY h f0 1", "1"),
            ("HINCRBY h f0 1", "2"),
            ("HSETNX h f1 new", "1"),
            ("HINCRBYFLOAT h f2 0.5", "0.5"),
            ("HDEL h f3", "0"),
            ("HPERSIST h FIELDS 1 f4", "[-2]"),
            ("HSETEX h FNX KEEPTTL FIELDS 1 f5 5", "1"),
            ("HSET h f6 6", "1"),
            (
                "HMGET h f0 f1 f2 f3 f4 f5 f6",
                "[2 new 0.5 (nil) (nil) 5 6]",
            ),
            ("HLEN h", "5"),
        ] {
            assert_eq!(bench.line(line), reply, "{line}");
        }
        bench.check_log();
    }
}
