//! GETDEL key

use super::super::prelude::*;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "getdel",
    since: "6.2.0",
    group: Group::String,
    summary: "Returns the string stored at a key and removes the key.",
    syntax: &[Arg::key(
        "key",
        Access::RW.with(Access::ACCESS).with(Access::DELETE),
    )],
    flags: Flags::WRITE.with(Flags::FAST),
    run: Run::Write(getdel),
    ..CommandSpec::DEFAULT
};

fn getdel(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    let key = context.key(args, 1);
    let Some(old) = context.counted_string(key)? else {
        reply.null();
        return Ok(Effect::None);
    };
    reply_string(reply, old);
    context.db().remove(key);
    context.notify_del(key);
    Ok(Effect::Rewritten(context.rewrite(&[b"DEL", key.bytes])))
}

#[cfg(test)]
mod tests {
    use crate::testkit::{check, check_effects};

    #[test]
    fn reads_and_removes() {
        check("SET k v | GETDEL k | GETDEL k", "OK | v | (nil)");
    }

    #[test]
    fn logs_the_removal() {
        check_effects("SET k v | GETDEL k | GETDEL k", "SET k v | DEL k");
    }
}
