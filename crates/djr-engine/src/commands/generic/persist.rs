//! PERSIST key

use super::super::prelude::*;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "persist",
    since: "2.2.0",
    group: Group::Generic,
    summary: "Takes a key's deadline away.",
    syntax: &[Arg::key("key", Access::RW.with(Access::UPDATE))],
    flags: Flags::WRITE.with(Flags::FAST),
    run: Run::Write(persist),
    ..CommandSpec::DEFAULT
};

fn persist(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    let key = context.key(args, 1);
    match context.db().get_mut(key) {
        Some(mut entry) if entry.entry().expire_at().is_some() => {
            entry.set_expire(None);
            context.notify(Notify::GENERIC, "persist", key.bytes);
            reply.integer(1);
            Ok(Effect::Verbatim)
        }
        _ => {
            reply.integer(0);
            Ok(Effect::None)
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testkit::{check, check_effects};

    #[test]
    fn clears_the_deadline() {
        check(
            "PERSIST k | SET k v | PERSIST k | EXPIRE k 9 | PERSIST k | TTL k",
            "0 | OK | 0 | 1 | 1 | -1",
        );
    }

    #[test]
    fn logs_itself() {
        check_effects(
            "SET k v | PERSIST k | SET k v PX 9 | PERSIST k",
            "SET k v | SET k v PXAT 1700000000009 | PERSIST k",
        );
    }
}
