//! LZF, the compression of strings: runs of literal bytes, and references to what came before.
//!
//! | bytes | meaning |
//! |---|---|
//! | `000nnnnn` | n+1 literal bytes follow |
//! | `nnnooooo oooooooo` | n+2 bytes (n is 1 to 6) from o+1 bytes back |
//! | `111ooooo nnnnnnnn oooooooo` | n+9 bytes from o+1 bytes back |
//!
//! The only crate for it is deprecated by its author; the format is frozen and small.

const LITERALS_MAX: usize = 32;
const DISTANCE_MAX: usize = 1 << 13;
const MATCH_MIN: usize = 3;
const MATCH_MAX: usize = 264;

/// The most bytes that `len` compressed ones can stand for.
pub fn expanded_max(len: usize) -> usize {
    // Three bytes make up to 264.
    len.saturating_mul(MATCH_MAX / 3)
}

/// The bytes that `input` stands for, if those are `len` bytes.
pub fn decompress(input: &[u8], len: usize) -> Option<Vec<u8>> {
    if len > expanded_max(input.len()) {
        return None;
    }
    let mut out = Vec::with_capacity(len);
    let mut bytes = input;
    let take = |bytes: &mut &[u8]| -> Option<usize> {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        Some(usize::from(*first))
    };
    while !bytes.is_empty() {
        let control = take(&mut bytes)?;
        if control < LITERALS_MAX {
            let (literals, rest) = bytes.split_at_checked(control + 1)?;
            out.extend_from_slice(literals);
            bytes = rest;
        } else {
            let mut count = (control >> 5) + 2;
            if count == 9 {
                count += take(&mut bytes)?;
            }
            let distance = (control & 31) << 8 | take(&mut bytes)?;
            let mut from = out.len().checked_sub(distance + 1)?;
            if out.len() + count > len {
                return None;
            }
            // What is copied may be part of the copy.
            let mut left = count;
            while left > 0 {
                let step = left.min(out.len() - from);
                out.extend_from_within(from..from + step);
                (from, left) = (from + step, left - step);
            }
        }
        if out.len() > len {
            return None;
        }
    }
    (out.len() == len).then_some(out)
}

/// The compressed bytes, if they are at most `len_max`.
pub fn compress(input: &[u8], len_max: usize) -> Option<Vec<u8>> {
    // A small table for short ones: it is cleared each time.
    match input.len() {
        0..=128 => compress_with::<{ 1 << 8 }>(input, len_max),
        129..=1024 => compress_with::<{ 1 << 10 }>(input, len_max),
        _ => compress_with::<{ 1 << 13 }>(input, len_max),
    }
}

fn compress_with<const SLOTS: usize>(input: &[u8], len_max: usize) -> Option<Vec<u8>> {
    /// Where so many places in turn were like nothing before, each second one is looked at, then each third, …: most of what can't be compressed
    /// shows it soon.
    const PATIENCE: usize = 32;
    u32::try_from(input.len()).ok()?;
    // Where three bytes with this hash were seen last. "Nowhere" is the beginning: it is compared in any case, which is quicker than to ask before.
    let mut seen = [0_u32; SLOTS];
    let three_at = |at: usize| -> Option<u32> {
        let four = input.get(at..)?.first_chunk()?;
        Some(u32::from_le_bytes(*four) & 0xff_ffff)
    };
    let mut out = Vec::new();
    let (mut at, mut literals_from, mut missed) = (1, 0, 0);
    while let Some(three) = three_at(at) {
        let slot = (three.wrapping_mul(0x9E37_79B1) >> (u32::BITS - SLOTS.ilog2())) as usize;
        let from = std::mem::replace(&mut seen[slot], at as u32) as usize;
        if three_at(from) != Some(three) || at - from > DISTANCE_MAX {
            at += 1 + missed / PATIENCE;
            missed += 1;
            continue;
        }
        if out.capacity() == 0 {
            out.reserve_exact(len_max.min(input.len()));
        }
        let more = input[at + MATCH_MIN..]
            .iter()
            .zip(&input[from + MATCH_MIN..])
            .take(MATCH_MAX - MATCH_MIN)
            .take_while(|(a, b)| a == b)
            .count();
        push_literals(&mut out, &input[literals_from..at]);
        let (count, distance) = (MATCH_MIN + more, at - from - 1);
        let high = (distance >> 8) as u8;
        if count < 9 {
            out.push(((count - 2) << 5) as u8 | high);
        } else {
            out.extend_from_slice(&[0xe0 | high, (count - 9) as u8]);
        }
        out.push(distance as u8);
        at += count;
        (literals_from, missed) = (at, 0);
        if out.len() > len_max {
            return None;
        }
    }
    if out.len() + (input.len() - literals_from) > len_max {
        return None;
    }
    push_literals(&mut out, &input[literals_from..]);
    (out.len() <= len_max).then_some(out)
}

fn push_literals(out: &mut Vec<u8>, literals: &[u8]) {
    for run in literals.chunks(LITERALS_MAX) {
        out.push((run.len() - 1) as u8);
        out.extend_from_slice(run);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn comes_back_as_it_was(
            parts in prop::collection::vec((prop::collection::vec(0_u8..4, 0..20), 1_usize..40), 0..40)
        ) {
            let input: Vec<u8> = parts.iter().flat_map(|(part, times)| part.repeat(*times)).collect();
            let packed = compress(&input, usize::MAX).expect("there is no limit");
            prop_assert_eq!(decompress(&packed, input.len()), Some(input.clone()));
            prop_assert_eq!(decompress(&packed, input.len() + 1), None);
        }

        #[test]
        fn any_bytes_are_read_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..100), len in 0_usize..2000) {
            if let Some(out) = decompress(&bytes, len) {
                prop_assert_eq!(out.len(), len);
            }
        }
    }

    #[test]
    fn repetitions_take_little() {
        let packed = compress(&b"abc".repeat(1000), 3000).expect("it fits");
        assert!(packed.len() < 50);
        assert_eq!(compress(b"abcdefghijklmnopqrstuvwxyz", 20), None);
    }
}
