//! DBSIZE

use super::super::prelude::*;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "dbsize",
    group: Group::Server,
    summary: "Returns how many keys the db has.",
    flags: Flags::READONLY.with(Flags::FAST),
    acl: &["keyspace"],
    tips: &["request_policy:all_shards", "response_policy:agg_sum"],
    // Counters tell it: no shard is opened.
    run: Run::Read(|context, _, reply| {
        reply.integer(context.db.len() as i64);
        Ok(())
    }),
    ..CommandSpec::DEFAULT
};

#[cfg(test)]
mod tests {
    use crate::testkit::check;

    #[test]
    fn counts_the_keys_of_the_db() {
        check(
            "DBSIZE | MSET a 1 b 2 | DBSIZE | SELECT 1 | DBSIZE",
            "0 | OK | 2 | OK | 0",
        );
    }
}
