//! GETSET key value

use super::super::prelude::*;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "getset",
    group: Group::String,
    summary: "Stores a string at a key and returns the one that was there.",
    syntax: &[Arg::key("key", Access::READ_UPDATE), Arg::string("value")],
    flags: Flags::WRITE.with(Flags::DENY_OOM).with(Flags::FAST),
    run: Run::Write(getset),
    ..CommandSpec::DEFAULT
};

fn getset(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    let (key, value) = (context.key(args, 1), args.get(2));
    match context.counted_string(key)? {
        Some(old) => reply_string(reply, old),
        None => reply.null(),
    }
    let was_there = context.db().set_string(key, value, Expire::Clear);
    context.notify_set(key, was_there);
    Ok(Effect::Rewritten(
        context.rewrite(&[b"SET", key.bytes, value]),
    ))
}

#[cfg(test)]
mod tests {
    use crate::testkit::{check, check_effects};

    #[test]
    fn exchanges() {
        check(
            "GETSET k a | GETSET k b | SET k c EX 9 | GETSET k 12 | TTL k | OBJECT ENCODING k",
            "(nil) | a | OK | c | -1 | int",
        );
    }

    #[test]
    fn logs_the_set() {
        check_effects("GETSET k a", "SET k a");
    }
}
