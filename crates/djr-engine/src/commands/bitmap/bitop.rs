//! BITOP AND|OR|XOR|NOT|DIFF|DIFF1|ANDOR|ONE destkey key [key ...]

use super::super::prelude::*;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "bitop",
    since: "2.6.0",
    group: Group::Bitmap,
    summary: "Combines strings bit by bit and stores the result at a key.",
    complexity: "O(n) for n bytes of all strings together",
    syntax: &[
        Arg::one_of(
            "operation",
            &[
                Arg::token("and", "AND"),
                Arg::token("or", "OR"),
                Arg::token("xor", "XOR"),
                Arg::token("not", "NOT"),
                Arg::token("diff", "DIFF"),
                Arg::token("diff1", "DIFF1"),
                Arg::token("andor", "ANDOR"),
                Arg::token("one", "ONE"),
            ],
        ),
        Arg::key("destkey", Access::OVERWRITE),
        Arg::key("key", Access::READ).multiple(),
    ],
    flags: Flags::WRITE.with(Flags::DENY_OOM),
    run: Run::Write(bitop),
    ..CommandSpec::DEFAULT
};

/// What is done with the bits of one position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    And,
    Or,
    Xor,
    Not,
    /// In the first and in none of the others.
    Diff,
    /// In one of the others and not in the first.
    Diff1,
    /// In the first and in one of the others.
    AndOr,
    /// In exactly one.
    One,
}

const OPERATIONS: [(&str, Operation); 8] = [
    ("AND", Operation::And),
    ("OR", Operation::Or),
    ("XOR", Operation::Xor),
    ("NOT", Operation::Not),
    ("DIFF", Operation::Diff),
    ("DIFF1", Operation::Diff1),
    ("ANDOR", Operation::AndOr),
    ("ONE", Operation::One),
];

fn bitop(
    context: &mut WriteContext<'_, '_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Effect, CommandError> {
    let found = OPERATIONS.iter().find(|(name, _)| args.is(1, name));
    let (name, operation) = *found.ok_or(CommandError::Syntax)?;
    let sources = args.len() - 3;
    match operation {
        Operation::Not if sources != 1 => {
            return Err(CommandError::text(
                "ERR BITOP NOT must be called with a single source key.",
            ));
        }
        Operation::Diff | Operation::Diff1 | Operation::AndOr if sources < 2 => {
            return Err(CommandError::format(format!(
                "ERR BITOP {name} must be called with at least two source keys."
            )));
        }
        _ => {}
    }
    let bytes = {
        let db = context.db_read();
        let mut buffers = vec![[0; INTEGER_TEXT_SIZE_MAX]; sources];
        let mut strings: Vec<&[u8]> = Vec::with_capacity(sources);
        for (index, buffer) in (3..args.len()).zip(&mut buffers) {
            let key = context.key(args, index);
            let entry = db.get(key);
            context.count_lookup(key, entry.is_some());
            strings.push(match entry {
                Some(entry) => string_of(entry.value())?.to_bytes(buffer),
                None => b"",
            });
        }
        combine(operation, &strings)
    };
    let len = bytes.len();
    let key = context.key(args, 2);
    reply.integer(len as i64);
    if bytes.is_empty() {
        if !context.db().remove(key) {
            return Ok(Effect::None);
        }
        context.notify(Notify::GENERIC, "del", key.bytes);
    } else {
        let value = Value::String(StringValue::Bytes { bytes, raw: true });
        context.set_value(key, value, Expire::Clear);
        context.notify(Notify::STRING, "set", key.bytes);
    }
    Ok(Effect::Verbatim)
}

/// How much of the result is made at a time, so that it stays in the processor's nearest memory until all strings are in it.
const TILE: usize = 8 << 10;

/// The strings combined, as long as the longest: the others have zeros at their end.
fn combine(operation: Operation, strings: &[&[u8]]) -> Vec<u8> {
    let len = strings.iter().map(|string| string.len()).max().unwrap_or(0);
    let mut result = vec![0; len];
    let mut twice = [0; TILE];
    for (index, tile) in result.chunks_mut(TILE).enumerate() {
        let (from, len) = (index * TILE, tile.len());
        let twice = &mut twice[..len];
        let mut parts = strings.iter().map(|string| {
            let string = string.get(from..).unwrap_or_default();
            &string[..string.len().min(len)]
        });
        let first = parts.next().unwrap_or_default();
        if operation == Operation::One {
            twice.fill(0);
        }
        match operation {
            // The first one comes last.
            Operation::Diff | Operation::Diff1 | Operation::AndOr => {}
            _ => tile[..first.len()].copy_from_slice(first),
        }
        for part in parts {
            let pairs = tile.iter_mut().zip(part);
            match operation {
                Operation::And => {
                    pairs.for_each(|(to, from)| *to &= from);
                    tile[part.len()..].fill(0);
                }
                Operation::Xor => pairs.for_each(|(to, from)| *to ^= from),
                Operation::One => pairs.zip(twice.iter_mut()).for_each(|((to, from), twice)| {
                    *twice |= *to & from;
                    *to |= from;
                }),
                _ => pairs.for_each(|(to, from)| *to |= from),
            }
        }
        let pairs = tile.iter_mut().zip(first);
        match operation {
            Operation::Not => tile.iter_mut().for_each(|byte| *byte = !*byte),
            Operation::One => {
                let pairs = tile.iter_mut().zip(twice);
                pairs.for_each(|(to, twice)| *to &= !*twice);
            }
            Operation::Diff1 => pairs.for_each(|(to, first)| *to &= !first),
            Operation::Diff | Operation::AndOr => {
                let flip = if operation == Operation::Diff {
                    0xff
                } else {
                    0
                };
                pairs.for_each(|(to, first)| *to = (*to ^ flip) & first);
                tile[first.len()..].fill(0);
            }
            _ => {}
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::{check, check_effects};

    #[test]
    fn combines() {
        check(
            "SET a \"\\x0f\\xf0\" | SET b \"\\x3c\" | SET n 1 | BITOP AND d a b | GET d | BITOP OR d a n | GET d | BITOP XOR d a a | GET d | \
             BITOP NOT d n | STRLEN d | BITCOUNT d | OBJECT ENCODING d | BITOP AND d a none | GET d",
            "OK | OK | OK | 2 | \u{c}\0 | 2 | ?\u{fffd} | 2 | \0\0 | 1 | 1 | 5 | raw | 2 | \0\0",
        );
    }

    #[test]
    fn knows_the_newer_operations() {
        check(
            "SET a \"\\x0f\" | SET b \"\\x05\" | SET c \"\\x36\" | BITOP DIFF d a b c | GET d | BITOP DIFF1 d a b c | GET d | BITOP ANDOR d a b c | \
             GET d | BITOP ONE d a b c | GET d | BITOP ONE d a | GET d",
            "OK | OK | OK | 1 | \u{8} | 1 | 0 | 1 | \u{7} | 1 | 8 | 1 | \u{f}",
        );
    }

    #[test]
    fn nothing_out_of_nothing() {
        check(
            "BITOP AND d x y | SET d 1 EX 9 | BITOP NOT d d | TTL d | BITOP OR d x | EXISTS d | SET e \"\" | BITOP OR d e | EXISTS d",
            "0 | OK | 1 | -1 | 0 | 0 | OK | 0 | 0",
        );
    }

    #[test]
    fn checks_its_arguments() {
        check(
            "BITOP NAND d a | BITOP NOT d a b | BITOP diff d a | BITOP DIFF1 d a | BITOP ANDOR d a",
            "ERR syntax error | ERR BITOP NOT must be called with a single source key. | \
             ERR BITOP DIFF must be called with at least two source keys. | ERR BITOP DIFF1 must be called with at least two source keys. | \
             ERR BITOP ANDOR must be called with at least two source keys.",
        );
    }

    #[test]
    fn logs_what_changes() {
        check_effects(
            "BITOP AND d x | SET a a | BITOP NOT d a | BITOP AND d x | BITOP AND d x",
            "SET a a | BITOP NOT d a | BITOP AND d x",
        );
    }

    #[test]
    fn equals_the_definition() {
        let mut rng = crate::Rng::new(3);
        for round in 0..40 {
            let operation = OPERATIONS[round % OPERATIONS.len()].1;
            let count = if operation == Operation::Not {
                1
            } else {
                2 + rng.below(4)
            };
            let strings: Vec<Vec<u8>> = (0..count)
                .map(|_| (0..rng.below(20_000)).map(|_| rng.next() as u8).collect())
                .collect();
            let slices: Vec<&[u8]> = strings.iter().map(Vec::as_slice).collect();
            let result = combine(operation, &slices);
            assert_eq!(
                result.len(),
                strings.iter().map(Vec::len).max().unwrap_or(0)
            );
            for (at, byte) in result.iter().enumerate() {
                let bytes: Vec<u8> = strings
                    .iter()
                    .map(|string| string.get(at).copied().unwrap_or(0))
                    .collect();
                let others = bytes[1..].iter().fold(0, |all, byte| all | byte);
                let expected = match operation {
                    Operation::And => bytes.iter().fold(0xff, |all, byte| all & byte),
                    Operation::Or => bytes[0] | others,
                    Operation::Xor => bytes.iter().fold(0, |all, byte| all ^ byte),
                    Operation::Not => !bytes[0],
                    Operation::Diff => bytes[0] & !others,
                    Operation::Diff1 => others & !bytes[0],
                    Operation::AndOr => bytes[0] & others,
                    Operation::One => (0..8)
                        .filter(|bit| {
                            bytes.iter().filter(|byte| **byte >> bit & 1 == 1).count() == 1
                        })
                        .fold(0, |all, bit| all | 1 << bit),
                };
                assert_eq!(*byte, expected, "{operation:?} at {at}");
            }
        }
    }
}
