//! FLUSHDB [ASYNC | SYNC], FLUSHALL [ASYNC | SYNC]

use super::super::prelude::*;

pub(super) static FLUSHDB: CommandSpec = CommandSpec {
    name: "flushdb",
    group: Group::Server,
    summary: "Removes all keys of the db.",
    complexity: "O(n) for n keys of the db",
    syntax: &[Arg::one_of(
        "flush-type",
        &[Arg::token("async", "ASYNC"), Arg::token("sync", "SYNC")],
    )
    .optional()],
    flags: Flags::WRITE,
    acl: &["keyspace", "dangerous"],
    tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
    reach: Reach::Whole,
    run: Run::Write(|context, args, reply| flush(context, args, Some(context.db_index), reply)),
    ..CommandSpec::DEFAULT
};

pub(super) static FLUSHALL: CommandSpec = CommandSpec {
    name: "flushall",
    summary: "Removes all keys of all dbs.",
    complexity: "O(n) for n keys of all dbs",
    run: Run::Write(|context, args, reply| flush(context, args, None, reply)),
    ..FLUSHDB
};

fn flush(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    db: Option<u32>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    let at_once = match args.len() {
        1 => false,
        2 if args.is(1, "ASYNC") => false,
        2 if args.is(1, "SYNC") => true,
        _ => return Err(CommandError::Syntax),
    };
    context.access.flush(db, at_once);
    reply.ok();
    // Logged even where there was nothing: a replica that differs is put right.
    Ok(Effect::Verbatim)
}

#[cfg(test)]
mod tests {
    use crate::testkit::{check, check_effects};

    #[test]
    fn empty_one_db_or_all() {
        check(
            "SET a 1 | SELECT 1 | SET b 1 | FLUSHDB | DBSIZE | SELECT 0 | DBSIZE | SELECT 1 | SET b 1 | FLUSHALL async | DBSIZE | SELECT 0 | \
             DBSIZE | FLUSHDB sync",
            "OK | OK | OK | OK | 0 | OK | 1 | OK | OK | OK | 0 | OK | 0 | OK",
        );
        check(
            "FLUSHDB x | FLUSHALL SYNC ASYNC",
            "ERR syntax error | ERR syntax error",
        );
    }

    #[test]
    fn log_themselves() {
        check_effects(
            "FLUSHDB | SET a 1 | SELECT 1 | FLUSHALL ASYNC | FLUSHDB x",
            "FLUSHDB | SET a 1 | SELECT 1 | FLUSHALL ASYNC",
        );
    }
}
