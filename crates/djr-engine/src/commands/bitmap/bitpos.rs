//! BITPOS key bit [start [end [BYTE|BIT]]]

use super::super::prelude::*;
use super::range::{self, BitRange};

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "bitpos",
    since: "2.8.7",
    group: Group::Bitmap,
    summary: "Finds the first bit that is 0, or 1, in the string stored at a key, or in a part of it.",
    complexity: "O(n) for n bytes looked at",
    syntax: &[
        Arg::key("key", Access::READ),
        Arg::integer("bit"),
        range::SYNTAX,
    ],
    flags: Flags::READONLY,
    run: Run::Read(bitpos),
    ..CommandSpec::DEFAULT
};

fn bitpos(
    context: &mut ReadContext<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    let bit = match args.integer(2)? {
        0 => false,
        1 => true,
        _ => return Err(CommandError::text("ERR The bit argument must be 1 or 0.")),
    };
    let range = BitRange::parse(args, 3)?;
    let Some(string) = context.string(context.key(args, 1))? else {
        // Nothing but zeros, without an end.
        reply.integer(if bit { -1 } else { 0 });
        return Ok(());
    };
    let mut buffer = [0; INTEGER_TEXT_SIZE_MAX];
    let bytes = string.to_bytes(&mut buffer);
    let position = range.bits_of(bytes.len()).and_then(|(start, end)| {
        match first_between(bytes, bit, start, end) {
            // Zeros follow the string, unless an end was given.
            None if !bit && range.end.is_none() => Some(end),
            position => position,
        }
    });
    reply.integer(position.map_or(-1, |position| position as i64));
    Ok(())
}

/// The first bit that is `bit` from `start` up to, not including, `end`, which are inside `bytes`.
fn first_between(bytes: &[u8], bit: bool, start: u64, end: u64) -> Option<u64> {
    // What is searched for as a 1.
    let flip = if bit { 0 } else { 0xff };
    let (first, last) = ((start / 8) as usize, ((end - 1) / 8) as usize);
    let head = (bytes[first] ^ flip) & (0xff >> (start % 8));
    let at = if head != 0 {
        first as u64 * 8 + u64::from(head.leading_zeros())
    } else {
        let rest = &bytes[first + 1..=last];
        let skipped = equal_prefix(rest, !bit);
        let byte = *rest.get(skipped)? ^ flip;
        (first + 1 + skipped) as u64 * 8 + u64::from(byte.leading_zeros())
    };
    (at < end).then_some(at)
}

/// How many bytes at the beginning have only bits that are `bit`.
fn equal_prefix(bytes: &[u8], bit: bool) -> usize {
    const BLOCK: usize = 64;
    let byte = if bit { 0xff } else { 0 };
    let blocks = bytes
        .chunks_exact(BLOCK)
        .take_while(|block| block.iter().fold(0, |all, other| all | (other ^ byte)) == 0)
        .count();
    let from = blocks * BLOCK;
    let rest = bytes[from..].iter().take_while(|other| **other == byte);
    from + rest.count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::check;

    #[test]
    fn finds_bits() {
        check(
            "SET k \"\\xff\\xf0\\x00\" | BITPOS k 0 | BITPOS k 1 2 | BITPOS k 0 0 0 | BITPOS k 1 -2 -1 BYTE | BITPOS k 0 3 11 BIT | \
             BITPOS k 0 3 12 BIT | BITPOS k 1 9 | BITPOS k 1 2 1 | BITPOS k 0 2 | BITPOS k 0 -7 -12",
            "OK | 12 | -1 | -1 | 8 | -1 | 12 | -1 | -1 | 16 | -1",
        );
    }

    #[test]
    fn zeros_follow_a_string_unless_an_end_is_given() {
        check(
            "SET k \"\\xff\\xff\" | BITPOS k 0 | BITPOS k 0 0 | BITPOS k 0 1 | BITPOS k 0 0 -1 | BITPOS k 0 0 5 | SET e \"\" | BITPOS e 0 | \
             BITPOS e 1 | BITPOS none 0 | BITPOS none 1 | BITPOS none 0 5 6",
            "OK | 16 | 16 | 16 | -1 | -1 | OK | -1 | -1 | 0 | -1 | 0",
        );
    }

    #[test]
    fn wants_a_bit_and_a_range() {
        check(
            "BITPOS k 2 | BITPOS k x | BITPOS k 1 x | BITPOS k 1 0 x | BITPOS k 1 0 1 x | BITPOS k 1 0 1 BIT x",
            "ERR The bit argument must be 1 or 0. | ERR value is not an integer or out of range | \
             ERR value is not an integer or out of range | ERR value is not an integer or out of range | ERR syntax error | ERR syntax error",
        );
    }

    #[test]
    fn every_range_equals_the_plain_search() {
        let mut rng = crate::Rng::new(7);
        for round in 0..600 {
            let bit = round % 2 == 0;
            // Long runs of the other bit, with few exceptions.
            let mut bytes = vec![if bit { 0 } else { 0xff }; 300];
            for _ in 0..rng.below(4) {
                bytes[rng.below(300) as usize] = rng.next() as u8;
            }
            let (a, b) = (rng.below(2400), rng.below(2400));
            let (start, end) = (a.min(b), a.max(b) + 1);
            let plain =
                (start..end).find(|at| (bytes[(at / 8) as usize] >> (7 - at % 8) & 1 == 1) == bit);
            assert_eq!(first_between(&bytes, bit, start, end), plain);
        }
    }
}
