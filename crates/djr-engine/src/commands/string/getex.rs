//! GETEX key [EX | PX | EXAT | PXAT time | PERSIST]

use super::super::expiration::{EX, EXAT, Expiration, PERSIST, PX, PXAT, log_deadline};
use super::super::prelude::*;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "getex",
    since: "6.2.0",
    group: Group::String,
    summary: "Returns the string stored at a key and sets or clears the key's deadline.",
    syntax: &[
        Arg::key("key", Access::READ_UPDATE),
        Arg::one_of("expiration", &[EX, PX, EXAT, PXAT, PERSIST]).optional(),
    ],
    flags: Flags::WRITE.with(Flags::FAST),
    run: Run::Write(getex),
    ..CommandSpec::DEFAULT
};

fn getex(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    let mut expiration = Expiration::default();
    let mut index = 2;
    while index < args.len() {
        index += expiration
            .take(args, index, "PERSIST")
            .ok_or(CommandError::Syntax)?;
    }
    let key = context.key(args, 1);
    let Some(string) = context.counted_string(key)? else {
        reply.null();
        return Ok(Effect::None);
    };
    // Only now, as in Redis: where there is no key the time is not looked at.
    let deadline = expiration.deadline(args, context.now, "getex")?;
    reply_string(reply, string);
    match deadline {
        Some(deadline) => Ok(set_deadline(context, key, deadline)),
        None if expiration.has_word() => Ok(clear_deadline(context, key)),
        None => Ok(Effect::None),
    }
}

/// Sets the deadline of a key that is there. If it has passed, the key is gone at once.
fn set_deadline(context: &mut WriteContext<'_, '_>, key: Key<'_>, deadline: UnixMillis) -> Effect {
    if deadline <= context.now {
        context.db().remove(key);
        context.notify_del(key);
        return Effect::Rewritten(context.rewrite(&[b"DEL", key.bytes]));
    }
    context.db().set_expire(key, Some(deadline));
    context.notify(Notify::GENERIC, "expire", key.bytes);
    log_deadline(context, key, deadline)
}

fn clear_deadline(context: &mut WriteContext<'_, '_>, key: Key<'_>) -> Effect {
    let mut db = context.db();
    match db.get_mut(key) {
        Some(mut entry) if entry.entry().expire_at().is_some() => {
            entry.set_expire(None);
            context.notify(Notify::GENERIC, "persist", key.bytes);
            Effect::Rewritten(context.rewrite(&[b"PERSIST", key.bytes]))
        }
        _ => Effect::None,
    }
}

#[cfg(test)]
mod tests {
    use crate::testkit::{check, check_effects};

    #[test]
    fn reads_and_sets_the_deadline() {
        check(
            "SET k v | GETEX k EX 9 | PTTL k | GETEX k | PTTL k | GETEX k PX 5 | PTTL k | GETEX k PERSIST | PTTL k | \
             GETEX k EXAT 1700000002 | PTTL k | GETEX k PXAT 3 | GETEX k",
            "OK | v | 9000 | v | 9000 | v | 5 | v | -1 | v | 2000 | v | (nil)",
        );
    }

    #[test]
    fn refuses_what_redis_refuses() {
        for options in [
            "EX",
            "x",
            "PERSIST EX 1",
            "EX 1 PERSIST",
            "EX 1 PX 1",
            "KEEPTTL",
            "NX",
        ] {
            check(&format!("GETEX k {options}"), "ERR syntax error");
        }
        check(
            "GETEX none EX 0 | SET k v | GETEX k EX 0 | GETEX k EX x | PTTL k",
            "(nil) | OK | ERR invalid expire time in 'getex' command | ERR value is not an integer or out of range | -1",
        );
    }

    #[test]
    fn logs_the_deadline_only() {
        check_effects(
            "SET k v | GETEX k | GETEX k EX 9 | GETEX k PERSIST | GETEX k PERSIST | GETEX k PXAT 3 | GETEX k EX 9",
            "SET k v | PEXPIREAT k 1700000009000 | PERSIST k | DEL k",
        );
    }
}
