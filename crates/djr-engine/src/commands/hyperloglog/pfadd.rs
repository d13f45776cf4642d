//! PFADD key [element ...]

use super::super::prelude::*;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "pfadd",
    since: "2.8.9",
    group: Group::HyperLogLog,
    summary: "Adds elements to a HyperLogLog, which is created if there is none. Tells whether its count may have changed.",
    complexity: "O(1) for each element",
    syntax: &[
        Arg::key("key", Access::RW.with(Access::INSERT)),
        Arg::string("element").optional().multiple(),
    ],
    flags: Flags::WRITE.with(Flags::DENY_OOM).with(Flags::FAST),
    run: Run::Write(pfadd),
    ..CommandSpec::DEFAULT
};

fn pfadd(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    let key = context.key(args, 1);
    let sparse_max = super::sparse_max(context.engine);
    let mut db = context.db();
    let Some(mut entry) = db.get_mut(key) else {
        let mut bytes = super::empty();
        raise_all(&mut bytes, args, 2, sparse_max)?;
        super::store_new(context, key, bytes);
        context.notify(Notify::STRING, "pfadd", key.bytes);
        reply.integer(1);
        return Ok(Effect::Verbatim);
    };
    let bytes = super::hll_of(entry.entry().value())?;
    // Most elements change nothing, and a string that does not change is not touched.
    let Some(first) = first_that_raises(bytes, args)? else {
        reply.integer(0);
        return Ok(Effect::None);
    };
    if super::is_dense(bytes) {
        entry.overwrite(0, |bytes| {
            super::invalidate_count(bytes);
            let registers = &mut bytes[super::HEADER..];
            for element in args.from(first) {
                let (index, value) = super::hash::place(element);
                super::dense::raise(registers, index, value);
            }
        });
    } else if first + 1 == args.len() || super::sparse::is_whole(bytes) {
        // An error can come before the first change only.
        entry.edit(|bytes| raise_all(bytes, args, first, sparse_max))?;
    } else {
        let mut copy = bytes.to_vec();
        raise_all(&mut copy, args, first, sparse_max)?;
        entry.edit(|bytes| *bytes = copy);
    }
    context.notify(Notify::STRING, "pfadd", key.bytes);
    reply.integer(1);
    Ok(Effect::Verbatim)
}

/// The index of the first element that changes something.
fn first_that_raises(bytes: &[u8], args: &Args<'_>) -> Result<Option<usize>, CommandError> {
    for (at, element) in (2..).zip(args.from(2)) {
        let (index, value) = super::hash::place(element);
        if super::would_raise(bytes, index, value)? {
            return Ok(Some(at));
        }
    }
    Ok(None)
}

/// Adds the elements from an index on.
fn raise_all(
    bytes: &mut Vec<u8>,
    args: &Args<'_>,
    first: usize,
    sparse_max: usize,
) -> Result<(), super::Corrupt> {
    for element in args.from(first) {
        let (index, value) = super::hash::place(element);
        super::raise(bytes, index, value, sparse_max)?;
    }
    super::invalidate_count(bytes);
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::testkit::{Bench, check, check_effects};

    #[test]
    fn adds() {
        check(
            "PFADD k | PFADD k | PFADD k a b c | PFADD k a b | PFADD k d | PFCOUNT k | TYPE k | OBJECT ENCODING k",
            "1 | 0 | 1 | 0 | 1 | 4 | string | raw",
        );
    }

    #[test]
    fn logs_what_changes() {
        check_effects(
            "PFADD k a | PFADD k a | PFADD k b a | EXPIRE k 9 | PFADD k c",
            "PFADD k a | PFADD k b a | PEXPIREAT k 1700000009000 | PFADD k c",
        );
    }

    #[test]
    fn wants_a_hyperloglog() {
        let wrong = "WRONGTYPE Key is not a valid HyperLogLog string value.";
        check(
            "SET a 1 | PFADD a x | SET b HYLLHYLLHYLLHYLL | PFADD b x | SET c \"HYLL\\x00\" | PFADD c x | PFCOUNT c | PFMERGE d c | EXISTS d",
            &format!("OK | {wrong} | OK | {wrong} | OK | {wrong} | {wrong} | {wrong} | 0"),
        );
    }

    #[test]
    fn an_error_changes_nothing() {
        // 8448 registers only: `a` is past them, `c` is not.
        let head = "HYLL\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x80";
        check(
            &format!(
                "SET k \"{head}\\x60\\xff\" | PFADD k c a | STRLEN k | PFADD k c | STRLEN k | PFCOUNT k"
            ),
            "OK | INVALIDOBJ Corrupted HLL object detected | 18 | 1 | 20 | INVALIDOBJ Corrupted HLL object detected",
        );
    }

    #[test]
    fn grows_dense_past_the_limit() {
        let mut bench = Bench::new();
        bench.engine.settings.hll_sparse_max_bytes.set(100);
        let mut dense = false;
        for element in 0..100 {
            bench.line(&format!("PFADD k {element}"));
            let len: usize = bench.line("STRLEN k").parse().expect("a length");
            assert_eq!(
                bench.line("PFDEBUG ENCODING k"),
                if len > 100 { "dense" } else { "sparse" }
            );
            dense |= len == 12304;
        }
        assert!(dense);
        assert_eq!(bench.line("PFCOUNT k"), "100");
    }
}
