//! SETNX key value

use super::super::prelude::*;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "setnx",
    group: Group::String,
    summary: "Stores a string at a key where nothing is.",
    syntax: &[
        Arg::key("key", Access::OW.with(Access::INSERT)),
        Arg::string("value"),
    ],
    flags: Flags::WRITE.with(Flags::DENY_OOM).with(Flags::FAST),
    run: Run::Write(setnx),
    ..CommandSpec::DEFAULT
};

fn setnx(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    let (key, value) = (context.key(args, 1), args.get(2));
    let mut db = context.db();
    if db.contains(key) {
        reply.integer(0);
        return Ok(Effect::None);
    }
    db.set_string(key, value, Expire::Clear);
    context.notify_set(key, false);
    reply.integer(1);
    Ok(Effect::Rewritten(
        context.rewrite(&[b"SET", key.bytes, value]),
    ))
}

#[cfg(test)]
mod tests {
    use crate::testkit::{check, check_effects};

    #[test]
    fn sets_once() {
        check(
            "SETNX k v | SETNX k w | GET k | SET k v PX 1 | @wait 2 | SETNX k w | GET k",
            "1 | 0 | v | OK | ok | 1 | w",
        );
    }

    #[test]
    fn logs_the_plain_form() {
        check_effects(
            "SETNX k v | SETNX k w | SET k v PX 1 | @wait 2 | SETNX k x",
            "SET k v | SET k v PXAT 1700000000001 | DEL k | SET k x",
        );
    }
}
