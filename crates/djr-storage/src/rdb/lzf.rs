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
/// As large as the distances that can be told, for a short input no larger than needed: it is cleared each time.
const TABLE_BITS: std::ops::RangeInclusive<u32> = 6..=13;

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
    // Where three bytes with this hash were seen last, counted from 1.
    let bits =
        (usize::BITS - input.len().leading_zeros()).clamp(*TABLE_BITS.start(), *TABLE_BITS.end());
    let mut seen = vec![0_u32; 1 << bits];
    let mut out = Vec::with_capacity(len_max.min(input.len()));
    let (mut at, mut literals_from) = (0, 0);
    while let Some(&[a, b, c]) = input.get(at..at + MATCH_MIN) {
        let three = u32::from_le_bytes([a, b, c, 0]);
        let slot = (three.wrapping_mul(0x9E37_79B1) >> (32 - bits)) as usize;
        let before = std::mem::replace(&mut seen[slot], u32::try_from(at + 1).ok()?) as usize;
        let found = before
            .checked_sub(1)
            .filter(|from| at - from <= DISTANCE_MAX && input[*from..from + 3] == [a, b, c]);
        let Some(from) = found else {
            at += 1;
            continue;
        };
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
        literals_from = at;
        if out.len() > len_max {
            return None;
        }
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
