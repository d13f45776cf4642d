//! BITCOUNT key [start [end [BYTE|BIT]]]

use super::super::prelude::*;
use super::range::{self, BitRange};

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "bitcount",
    since: "2.6.0",
    group: Group::Bitmap,
    summary: "Counts the bits that are 1 in the string stored at a key, or in a part of it.",
    complexity: "O(n) for n bytes looked at",
    syntax: &[Arg::key("key", Access::READ), range::SYNTAX],
    flags: Flags::READONLY,
    run: Run::Read(bitcount),
    ..CommandSpec::DEFAULT
};

fn bitcount(
    context: &mut ReadContext<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    let range = BitRange::parse(args, 2)?;
    let mut buffer = [0; INTEGER_TEXT_SIZE_MAX];
    let bytes = match &context.string(context.key(args, 1))? {
        Some(string) => string.to_bytes(&mut buffer),
        None => b"",
    };
    let count = range
        .bits_of(bytes.len())
        .filter(|_| !range.is_backward())
        .map_or(0, |(start, end)| count_between(bytes, start, end));
    reply.integer(count as i64);
    Ok(())
}

/// How many of the bits from `start` up to, not including, `end` are 1. They are inside `bytes`, and there is at least one.
fn count_between(bytes: &[u8], start: u64, end: u64) -> u64 {
    let (first, last) = ((start / 8) as usize, ((end - 1) / 8) as usize);
    let before = u64::from((bytes[first] & !(0xff >> (start % 8))).count_ones());
    let after = u64::from((bytes[last] & (0x7f >> ((end - 1) % 8))).count_ones());
    count_ones(&bytes[first..=last]) - before - after
}

/// How many bits are 1. Sixteen words at a time go through carry-save adders (Harley and Seal), so that only one in sixteen is counted bit
/// by bit; four such sums run side by side, which compilers turn into vector instructions.
fn count_ones(bytes: &[u8]) -> u64 {
    const LANES: usize = 4;
    type Words = [u64; LANES];
    const BLOCK: usize = LANES * size_of::<u64>() * 16;
    /// The bits of the sum of three, and what is carried.
    fn add(carry: &mut Words, sum: &mut Words, a: Words, b: Words) {
        for lane in 0..LANES {
            let half = sum[lane] ^ a[lane];
            carry[lane] = sum[lane] & a[lane] | half & b[lane];
            sum[lane] = half ^ b[lane];
        }
    }
    fn load(bytes: &[u8], at: usize) -> Words {
        std::array::from_fn(|lane| word(&bytes[at * LANES * 8 + lane * 8..]))
    }
    fn sum_of(words: &Words) -> u64 {
        words.iter().map(|word| u64::from(word.count_ones())).sum()
    }
    let (mut ones, mut twos, mut fours, mut eights) =
        ([0; LANES], [0; LANES], [0; LANES], [0; LANES]);
    let mut sixteens_counted = 0;
    let blocks = bytes.chunks_exact(BLOCK);
    let rest = blocks.remainder();
    for block in blocks {
        let mut carried = [[0; LANES]; 2];
        let mut eights_carried = [[0; LANES]; 2];
        for (half, eights_carry) in eights_carried.iter_mut().enumerate() {
            let mut fours_carried = [[0; LANES]; 2];
            for (quarter, fours_carry) in fours_carried.iter_mut().enumerate() {
                let at = half * 8 + quarter * 4;
                let [a, b] = &mut carried;
                add(a, &mut ones, load(block, at), load(block, at + 1));
                add(b, &mut ones, load(block, at + 2), load(block, at + 3));
                add(fours_carry, &mut twos, *a, *b);
            }
            add(eights_carry, &mut fours, fours_carried[0], fours_carried[1]);
        }
        let mut sixteens = [0; LANES];
        add(
            &mut sixteens,
            &mut eights,
            eights_carried[0],
            eights_carried[1],
        );
        sixteens_counted += sum_of(&sixteens);
    }
    let words = rest.chunks_exact(8);
    let last = words.remainder();
    let mut count = 16 * sixteens_counted
        + 8 * sum_of(&eights)
        + 4 * sum_of(&fours)
        + 2 * sum_of(&twos)
        + sum_of(&ones);
    count += words
        .map(|bytes| u64::from(word(bytes).count_ones()))
        .sum::<u64>();
    count
        + last
            .iter()
            .map(|byte| u64::from(byte.count_ones()))
            .sum::<u64>()
}

/// The first eight bytes, of which there are so many.
fn word(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(std::array::from_fn(|at| bytes[at]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::check;

    #[test]
    fn counts() {
        check(
            "SET k foobar | BITCOUNT k | BITCOUNT k 0 0 | BITCOUNT k 1 1 | BITCOUNT k 1 1 BYTE | BITCOUNT k 5 30 BIT | BITCOUNT k -1 -2 | BITCOUNT k -7 -8 | \
             BITCOUNT k -3 -1 | BITCOUNT k 4 | BITCOUNT k 9 10 | BITCOUNT k 9223372036854775807 9223372036854775807 | BITCOUNT k 0 -49 BIT | BITCOUNT none | SET n 7 | BITCOUNT n",
            "OK | 26 | 4 | 6 | 6 | 17 | 0 | 0 | 10 | 7 | 0 | 0 | 0 | 0 | OK | 5",
        );
    }

    #[test]
    fn wants_a_range() {
        check(
            "BITCOUNT none x | BITCOUNT none 0 x | BITCOUNT none 0 1 x | BITCOUNT none 0 1 BIT x",
            "ERR value is not an integer or out of range | ERR value is not an integer or out of range | ERR syntax error | ERR syntax error",
        );
    }

    #[test]
    fn every_range_equals_the_plain_count() {
        let mut rng = crate::Rng::new(7);
        let bytes: Vec<u8> = (0..5000).map(|_| rng.next() as u8).collect();
        let plain = |start: u64, end: u64| {
            (start..end)
                .filter(|bit| bytes[(bit / 8) as usize] >> (7 - bit % 8) & 1 == 1)
                .count() as u64
        };
        for _ in 0..300 {
            let (a, b) = (rng.below(40_000), rng.below(40_000));
            let (start, end) = (a.min(b), a.max(b) + 1);
            assert_eq!(count_between(&bytes, start, end), plain(start, end));
        }
        for len in 0..1200 {
            assert_eq!(
                count_ones(&bytes[..len]),
                plain(0, len as u64 * 8),
                "{len} bytes"
            );
        }
    }
}
