//! HSETNX key field value

use super::prelude::*;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "hsetnx",
    since: "2.0.0",
    group: Group::Hash,
    summary: "Sets a field of a hash if it is not there yet.",
    syntax: &[
        Arg::key("key", Access::RW.with(Access::INSERT)),
        Arg::string("field"),
        Arg::string("value"),
    ],
    flags: Flags::WRITE.with(Flags::DENY_OOM).with(Flags::FAST),
    run: Run::Write(hsetnx),
    ..CommandSpec::DEFAULT
};

fn hsetnx(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    let key = context.key(args, 1);
    let (field, value) = (args.get(2), args.get(3));
    let (limits, now) = (context.engine.settings.hash_limits(), context.now);
    let (is_new, has_expired) = context.update_or_insert::<Hash, _>(key, |hash| {
        let has_expired = hash.remove_if_expired(field, now);
        let is_new =
            !hash.contains(field, now) && hash.put(field, value, FieldExpire::Clear, now, limits);
        (is_new, has_expired)
    })?;
    reply.integer(i64::from(is_new));
    if !is_new {
        return Ok(Effect::None);
    }
    context.notify(Notify::HASH, "hset", key.bytes);
    if has_expired {
        // The log does not know that the field was gone.
        return Ok(Effect::Rewritten(
            context.rewrite(&[b"HSET", key.bytes, field, value]),
        ));
    }
    Ok(Effect::Verbatim)
}

#[cfg(test)]
mod tests {
    use crate::testkit::{check, check_effects};

    #[test]
    fn sets_what_is_not_there() {
        check(
            "HSETNX h a 1 | HSETNX h a 2 | HGET h a | HPEXPIRE h 5 FIELDS 1 a | @wait 6 | HSETNX h a 3 | HGET h a | HTTL h FIELDS 1 a",
            "1 | 0 | 1 | [1] | ok | 1 | 3 | [-1]",
        );
    }

    #[test]
    fn logs_itself() {
        check_effects("HSETNX h a 1 | HSETNX h a 2", "HSETNX h a 1");
    }
}
