//! MOVE key db

use super::super::prelude::*;
use super::copy::db_number;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "move",
    group: Group::Generic,
    summary: "Moves a key to another db if none of that name is there.",
    syntax: &[Arg::key("key", Access::READ_UPDATE), Arg::integer("db")],
    flags: Flags::WRITE.with(Flags::FAST),
    run: Run::Write(move_key),
    ..CommandSpec::DEFAULT
};

fn move_key(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    let db = db_number(context, args.integer32(2)?)?;
    if db == context.db_index {
        return Err(CommandError::SameObject);
    }
    let key = context.key(args, 1);
    let movable = context.db().get(key).is_some() && !context.access.db(db).contains(key);
    let entry = if movable {
        context.db().take(key)
    } else {
        None
    };
    reply.integer(entry.is_some().into());
    let Some(entry) = entry else {
        return Ok(Effect::None);
    };
    context.access.db_mut(db).put(key, entry);
    context.notify_in(db, Notify::NEW, "new", key.bytes);
    context.notify(Notify::GENERIC, "move_from", key.bytes);
    context.notify_in(db, Notify::GENERIC, "move_to", key.bytes);
    Ok(Effect::Verbatim)
}

#[cfg(test)]
mod tests {
    use crate::testkit::{check, check_effects};

    #[test]
    fn moves_value_and_deadline() {
        check(
            "SET k 1 EX 9 | MOVE k 1 | EXISTS k | SELECT 1 | GET k | TTL k | SELECT 0 | SET k 2 | MOVE k 1 | GET k | MOVE none 1",
            "OK | 1 | 0 | OK | 1 | 9 | OK | OK | 0 | 2 | 0",
        );
    }

    #[test]
    fn refuses_what_redis_refuses() {
        check(
            "MOVE k 0 | MOVE k 16 | MOVE k -1 | MOVE k x | MOVE k 9999999999",
            "ERR source and destination objects are the same | ERR DB index is out of range | ERR DB index is out of range | \
             ERR value is not an integer or out of range | \
             ERR value is out of range, value must between -2147483648 and 2147483647",
        );
    }

    #[test]
    fn logs_itself() {
        check_effects(
            "MOVE k 1 | SET k 1 | MOVE k 1 | SELECT 1 | MOVE k 0",
            "SET k 1 | MOVE k 1 | SELECT 1 | MOVE k 0",
        );
    }
}
