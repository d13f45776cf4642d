//! KEYS pattern

use super::super::prelude::*;
use crate::glob;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "keys",
    group: Group::Generic,
    summary: "Returns all keys that match a pattern.",
    complexity: "O(n) for n keys of the db",
    syntax: &[Arg::pattern("pattern")],
    flags: Flags::READONLY,
    acl: &["dangerous"],
    tips: &["request_policy:all_shards", "nondeterministic_output_order"],
    reach: Reach::Whole,
    run: Run::Read(keys),
    ..CommandSpec::DEFAULT
};

fn keys(
    context: &mut ReadContext<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    let pattern = args.get(1);
    let all = glob::is_any(pattern);
    let header = reply.array_later();
    let mut count = 0;
    context.db.for_each(|entry| {
        if all || glob::matches(pattern, entry.key()) {
            reply.bulk(entry.key());
            count += 1;
        }
    });
    reply.finish(header, count);
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::testkit::check;

    #[test]
    fn lists_what_matches() {
        check(
            "MSET one 1 two 2 | KEYS t* | KEYS x* | SET two 2 PX 1 | @wait 2 | KEYS * | SELECT 1 | KEYS *",
            "OK | [two] | [] | OK | ok | [one] | OK | []",
        );
    }

    #[test]
    fn the_empty_key_is_a_key() {
        check(
            "MSET \"\" v a v | RENAME \"\" b | KEYS b | RENAME b \"\" | DBSIZE | KEYS a",
            "OK | OK | [b] | OK | 2 | [a]",
        );
    }
}
