//! SCAN cursor [MATCH pattern] [COUNT count] [TYPE type]

use djr_storage::keyspace::{Footprint, Keyspace};

use super::super::prelude::*;
use super::super::scan_options::{Extra, ScanOptions, cursor};

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "scan",
    since: "2.8.0",
    group: Group::Generic,
    summary: "Walks over the keys of the db, a few at each call.",
    complexity: "O(1) a call, O(n) for a whole walk over n keys",
    syntax: &[
        Arg::integer("cursor"),
        Arg::pattern("pattern").after("MATCH").optional(),
        Arg::integer("count").after("COUNT").optional(),
        Arg::string("type").after("TYPE").optional(),
    ],
    flags: Flags::READONLY,
    tips: &[
        "nondeterministic_output",
        "request_policy:special",
        "response_policy:special",
    ],
    reach: Reach::Cursor,
    run: Run::Read(scan),
    ..CommandSpec::DEFAULT
};

fn scan(
    context: &mut ReadContext<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    let cursor = cursor(args.get(1))?;
    let options = ScanOptions::parse(args, 2, Extra::Type)?;
    let mut keys = Vec::new();
    let next = context.db.scan(cursor, options.count, |entry| {
        let wanted = options.wants(entry.key())
            && options
                .kind
                .is_none_or(|kind| entry.kind().name().as_bytes().eq_ignore_ascii_case(kind));
        if wanted {
            keys.push(entry.key());
        }
    });
    reply.array(2);
    reply.bulk_display(next);
    reply.array(keys.len());
    for key in keys {
        reply.bulk(key);
    }
    Ok(())
}

/// The shards that a SCAN needs: the one that its cursor points into and, where one shard has too few keys, those behind it.
/// None if it will be refused.
pub(crate) fn scan_footprint(keyspace: &Keyspace, db: u32, args: &Args<'_>) -> Footprint {
    let (Ok(cursor), Ok(options)) = (
        cursor(args.get(1)),
        ScanOptions::parse(args, 2, Extra::Type),
    ) else {
        return Footprint::NONE;
    };
    let first = keyspace.scan_footprint(cursor);
    let Some(first_shard) = first.shards().next() else {
        return first;
    };
    let shards = keyspace.shards() as usize;
    let more = options.count.saturating_mul(shards) / keyspace.len(db).max(1);
    let last_shard = (first_shard as usize).saturating_add(more).min(shards - 1);
    (first_shard..=last_shard as u32)
        .map(Footprint::of)
        .collect()
}

#[cfg(test)]
mod tests {
    use crate::testkit::{Bench, check};

    /// Walks over the db and returns the keys, sorted, and how many calls it took.
    fn walk(bench: &mut Bench, options: &str) -> (Vec<String>, usize) {
        let (mut cursor, mut keys, mut calls) = ("0".to_owned(), Vec::new(), 0);
        loop {
            calls += 1;
            let reply = bench.line(&format!("SCAN {cursor} {options}"));
            let (next, found) = reply
                .trim_start_matches('[')
                .trim_end_matches(']')
                .split_once(" [")
                .unwrap_or_else(|| panic!("not a reply of SCAN: {reply}"));
            keys.extend(found.split_whitespace().map(str::to_owned));
            cursor = next.to_owned();
            if cursor == "0" {
                keys.sort();
                return (keys, calls);
            }
        }
    }

    #[test]
    fn a_small_db_takes_one_call() {
        let mut bench = Bench::new();
        bench.line("MSET a 1 b 2 c 3");
        assert_eq!(
            walk(&mut bench, ""),
            (vec!["a".into(), "b".into(), "c".into()], 1)
        );
    }

    #[test]
    fn finds_every_key_once_where_nothing_changes() {
        let mut bench = Bench::new();
        let mut all: Vec<_> = (0..1000).map(|number| format!("key:{number}")).collect();
        for key in &all {
            bench.line(&format!("SET {key} v"));
        }
        all.sort();
        for options in [
            "",
            "COUNT 1",
            "COUNT 100",
            "COUNT 5000 TYPE string",
            "MATCH key:*",
        ] {
            assert_eq!(walk(&mut bench, options).0, all, "{options}");
        }
        let some = walk(&mut bench, "MATCH *99 COUNT 50").0;
        assert_eq!(some.len(), 10);
        assert_eq!(walk(&mut bench, "TYPE list").0.len(), 0);
        assert_eq!(walk(&mut bench, "TYPE nonsense").0.len(), 0);
    }

    #[test]
    fn refuses_what_redis_refuses() {
        check(
            "SCAN x | SCAN -1 | SCAN \"\" | SCAN 18446744073709551616 | SCAN 0 COUNT 0 | SCAN 0 COUNT x | SCAN 0 MATCH | SCAN 0 x y",
            "ERR invalid cursor | ERR invalid cursor | ERR invalid cursor | ERR invalid cursor | ERR syntax error | \
             ERR value is not an integer or out of range | ERR syntax error | ERR syntax error",
        );
    }
}
