//! COPY source destination [DB destination-db] [REPLACE]

use super::super::prelude::*;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "copy",
    since: "6.2.0",
    group: Group::Generic,
    summary: "Copies a key's value and deadline to another key, perhaps in another db.",
    complexity: "O(n) for a value of n elements",
    syntax: &[
        Arg::key("source", Access::READ),
        Arg::key("destination", Access::OVERWRITE),
        Arg::integer("destination-db").after("DB").optional(),
        Arg::token("replace", "REPLACE").optional(),
    ],
    flags: Flags::WRITE.with(Flags::DENY_OOM),
    run: Run::Write(copy),
    ..CommandSpec::DEFAULT
};

fn copy(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    let (mut db, mut replace) = (context.db_index, false);
    let mut index = 3;
    while index < args.len() {
        if args.is(index, "REPLACE") {
            replace = true;
        } else if args.is(index, "DB") && index + 1 < args.len() {
            index += 1;
            db = db_number(context, args.integer32(index)?)?;
        } else {
            return Err(CommandError::Syntax);
        }
        index += 1;
    }
    let (source, target) = (context.key(args, 1), context.key(args, 2));
    if db == context.db_index && source.bytes == target.bytes {
        return Err(CommandError::SameObject);
    }
    let present = context.db_read().get(source).is_some();
    context.count_lookup(source, present);
    let copied = present && (replace || !context.access.db(db).contains(target));
    reply.integer(copied.into());
    if !copied {
        return Ok(Effect::None);
    }
    if let Some(entry) = context.db().copy_value(source) {
        context.access.db_mut(db).put(target, entry);
        context.notify_in(db, Notify::NEW, "new", target.bytes);
        context.notify_in(db, Notify::GENERIC, "copy_to", target.bytes);
    }
    Ok(Effect::Verbatim)
}

/// The number of a db that a client named.
pub(super) fn db_number(context: &WriteContext<'_, '_>, number: i32) -> Result<u32, CommandError> {
    u32::try_from(number)
        .ok()
        .filter(|db| *db < context.engine.keyspace.dbs())
        .ok_or(CommandError::DbIndex)
}

#[cfg(test)]
mod tests {
    use crate::testkit::{check, check_effects};

    #[test]
    fn copies_value_and_deadline() {
        check(
            "SET a 1 EX 9 | COPY a b | GET b | TTL b | COPY a b | SET a 2 | COPY a b REPLACE | GET b | TTL b",
            "OK | 1 | 1 | 9 | 0 | OK | 1 | 2 | -1",
        );
        check(
            "SET a 1 | COPY a a DB 3 | SELECT 3 | GET a | COPY a b DB 0 DB 3 | GET b | COPY none b REPLACE | GET b",
            "OK | 1 | OK | 1 | 1 | 1 | 0 | 1",
        );
    }

    #[test]
    fn refuses_what_redis_refuses() {
        check(
            "COPY a a | COPY a a DB 0 | COPY a b DB 16 | COPY a b DB -1 | COPY a b DB x | COPY a b DB 9999999999 | COPY a b DB | \
             COPY a b x",
            "ERR source and destination objects are the same | ERR source and destination objects are the same | \
             ERR DB index is out of range | ERR DB index is out of range | ERR value is not an integer or out of range | \
             ERR value is out of range, value must between -2147483648 and 2147483647 | ERR syntax error | ERR syntax error",
        );
    }

    #[test]
    fn logs_itself() {
        check_effects(
            "COPY a b | SET a 1 PX 5 | COPY a b DB 2 | COPY a b DB 2 | SELECT 2 | COPY b c",
            "SET a 1 PXAT 1700000000005 | COPY a b DB 2 | SELECT 2 | COPY b c",
        );
    }
}
