//! RENAME key newkey, RENAMENX key newkey

use super::super::prelude::*;

const KEY: Arg = Arg::key("key", Access::RW.with(Access::ACCESS).with(Access::DELETE));

pub(super) static RENAME: CommandSpec = CommandSpec {
    name: "rename",
    group: Group::Generic,
    summary: "Gives a key another name; what had that name goes.",
    syntax: &[KEY, Arg::key("newkey", Access::OVERWRITE)],
    flags: Flags::WRITE,
    run: Run::Write(|context, args, reply| {
        let renamed = rename(context, args, true)?;
        reply.ok();
        Ok(effect(renamed == Renamed::Moved))
    }),
    ..CommandSpec::DEFAULT
};

pub(super) static RENAMENX: CommandSpec = CommandSpec {
    name: "renamenx",
    summary: "Gives a key another name if no key has it.",
    syntax: &[KEY, Arg::key("newkey", Access::OW.with(Access::INSERT))],
    flags: Flags::WRITE.with(Flags::FAST),
    run: Run::Write(|context, args, reply| {
        let moved = rename(context, args, false)? == Renamed::Moved;
        reply.integer(moved.into());
        Ok(effect(moved))
    }),
    ..RENAME
};

#[derive(PartialEq, Eq)]
enum Renamed {
    Moved,
    /// Both names are the same, or the new one is taken and may not be replaced.
    Stayed,
}

fn rename(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    replace: bool,
) -> Result<Renamed, CommandError> {
    let (source, target) = (context.key(args, 1), context.key(args, 2));
    let mut db = context.db();
    if db.get(source).is_none() {
        return Err(CommandError::NoSuchKey);
    }
    if source.bytes == target.bytes || (!replace && db.contains(target)) {
        return Ok(Renamed::Stayed);
    }
    let entry = db.take(source).ok_or(CommandError::NoSuchKey)?;
    db.put(target, entry);
    context.notify_new(target);
    context.notify(Notify::GENERIC, "rename_from", source.bytes);
    context.notify(Notify::GENERIC, "rename_to", target.bytes);
    Ok(Renamed::Moved)
}

fn effect(changed: bool) -> Effect {
    if changed {
        Effect::Verbatim
    } else {
        Effect::None
    }
}

#[cfg(test)]
mod tests {
    use crate::testkit::{check, check_effects};

    #[test]
    fn moves_value_and_deadline() {
        check(
            "SET a 1 EX 9 | SET b 2 | RENAME a b | GET b | TTL b | EXISTS a | SET c 3 | RENAME c b | TTL b",
            "OK | OK | OK | 1 | 9 | 0 | OK | OK | -1",
        );
        check(
            "MSET a 1 b 2 | RENAMENX a b | RENAMENX a c | GET c | RENAME c c | RENAMENX c c",
            "OK | 0 | 1 | 1 | OK | 0",
        );
    }

    #[test]
    fn an_expired_target_is_no_target() {
        check(
            "SET a 1 | SET b 2 PX 1 | @wait 2 | RENAMENX a b | GET b",
            "OK | OK | ok | 1 | 1",
        );
    }

    #[test]
    fn needs_a_source() {
        check(
            "RENAME a b | RENAMENX a b | RENAME a a | SET a 1 PX 1 | @wait 2 | RENAME a b",
            "ERR no such key | ERR no such key | ERR no such key | OK | ok | ERR no such key",
        );
    }

    #[test]
    fn logs_itself() {
        check_effects(
            "SET a 1 | RENAME a a | RENAME a b | RENAMENX b b | SET a 1 | RENAMENX a b | RENAMENX a c",
            "SET a 1 | RENAME a b | SET a 1 | RENAMENX a c",
        );
    }
}
