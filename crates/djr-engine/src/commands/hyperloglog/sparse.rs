//! The sparse form: registers as runs of equal ones.
//!
//! | bytes | a run of |
//! |---|---|
//! | `00nnnnnn` | n+1 zeros |
//! | `01nnnnnn nnnnnnnn` | n+1 zeros, the high bits of n first |
//! | `1vvvvvnn` | n+1 registers of value v+1 |
//!
//! Which runs are made of which registers is Redis's way, step by step: the bytes, and the length at which the dense form is taken, are the same.

use super::{Corrupt, HEADER, REGISTERS, Registers, dense};

const SHORT_ZEROS_MAX: usize = 64;
const VALUES_MAX: usize = 4;
/// The highest value of a register in this form.
const VALUE_MAX: u8 = 32;

/// A run of equal registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) value: u8,
    pub(super) len: usize,
    /// Bytes that it takes.
    size: usize,
}

impl Run {
    pub(super) fn is_long(&self) -> bool {
        self.size == 2
    }
}

/// The run that begins at a byte.
#[inline]
fn run_at(bytes: &[u8], at: usize) -> Option<Run> {
    let first = *bytes.get(at)?;
    Some(match first >> 6 {
        0 => Run {
            value: 0,
            len: usize::from(first) + 1,
            size: 1,
        },
        1 => Run {
            value: 0,
            len: (usize::from(first & 63) << 8 | usize::from(*bytes.get(at + 1)?)) + 1,
            size: 2,
        },
        _ => Run {
            value: (first >> 2 & 31) + 1,
            len: usize::from(first & 3) + 1,
            size: 1,
        },
    })
}

/// All runs; the last is `None` if it is cut off.
pub(super) fn runs(bytes: &[u8]) -> impl Iterator<Item = Option<Run>> {
    let mut at = HEADER;
    std::iter::from_fn(move || {
        if at >= bytes.len() {
            return None;
        }
        let run = run_at(bytes, at);
        at = run.map_or(bytes.len(), |run| at + run.size);
        Some(run)
    })
}

/// Calls `found` with every run and the register that it begins with.
fn each_run(bytes: &[u8], mut found: impl FnMut(usize, Run)) -> Result<(), Corrupt> {
    let mut first = 0;
    for run in runs(bytes) {
        let run = run.ok_or(Corrupt)?;
        if run.len > REGISTERS - first {
            return Err(Corrupt);
        }
        found(first, run);
        first += run.len;
    }
    if first == REGISTERS {
        Ok(())
    } else {
        Err(Corrupt)
    }
}

/// Whether there are exactly as many registers as there should be.
pub(super) fn is_whole(bytes: &[u8]) -> bool {
    each_run(bytes, |_, _| {}) == Ok(())
}

/// Raises each register to at least what it is here.
pub(super) fn merge(bytes: &[u8], registers: &mut Registers) -> Result<(), Corrupt> {
    each_run(bytes, |first, run| {
        if run.value > 0 {
            for register in &mut registers[first..first + run.len] {
                *register = (*register).max(run.value);
            }
        }
    })
}

/// A register.
pub(super) fn get(bytes: &[u8], index: usize) -> Result<u8, Corrupt> {
    Ok(run_of(bytes, index).ok_or(Corrupt)?.value)
}

/// Where a register is.
struct Place {
    /// The run before its own.
    previous: Option<usize>,
    at: usize,
    run: Run,
    /// The first register of the run.
    first: usize,
}

/// A one in the lowest bit of each byte.
const ONES: u64 = 0x0101_0101_0101_0101;

/// Which of eight bytes are the second byte of a run, for each set of bytes that would begin a run of two: those whose predecessor
/// begins one. All bits of such bytes are set. The second half is for eight bytes whose first one is a second byte.
static SECOND_BYTES: [u64; 512] = second_bytes();

const fn second_bytes() -> [u64; 512] {
    let mut table = [0; 512];
    let mut at = 0;
    while at < table.len() {
        let mut is_second = at >= 256;
        let mut byte = 0;
        while byte < 8 {
            if is_second {
                table[at] |= 0xff << (8 * byte);
            }
            is_second = !is_second && at >> byte & 1 != 0;
            byte += 1;
        }
        at += 1;
    }
    table
}

/// Bytes that are passed at once where many are to be passed.
const BLOCK: usize = 32;

/// Passes bytes, a multiple of eight and at most [`BLOCK`]: returns how many registers their runs have (of a run of two bytes, each byte has its
/// part), and whether the byte after them is the second one of a run.
#[inline(always)]
fn pass(bytes: &[u8], mut first_is_second: bool) -> (usize, bool) {
    // Sums in four parts of 16 bits each, which the sums of a block do not fill.
    let (mut low_sums, mut high_sums) = (0, 0);
    for eight in bytes.chunks_exact(8) {
        let word = u64::from_le_bytes(std::array::from_fn(|byte| eight[byte]));
        let values = word >> 7 & ONES;
        let would_be_long = word >> 6 & !values & ONES;
        // The multiplication gathers the eight bits in the highest byte.
        let row = (would_be_long.wrapping_mul(0x0102_0408_1020_4080) >> 56) as usize;
        let seconds = SECOND_BYTES[row | usize::from(first_is_second) << 8];
        let starts = !seconds & ONES;
        let longs = would_be_long & starts;
        let short_zeros = starts & !values & !longs;
        // A run's length is one more than what is written.
        let low = (word & (((values & starts) * 3) | (short_zeros * 63) | seconds)) + starts;
        low_sums += sums_of_pairs(low);
        high_sums += sums_of_pairs(word & (longs * 63));
        first_is_second = longs >> 56 != 0;
    }
    (
        sum_of_four(low_sums) + (sum_of_four(high_sums) << 8),
        first_is_second,
    )
}

/// The sums of bytes 0 and 1, 2 and 3, ….
#[inline(always)]
fn sums_of_pairs(word: u64) -> u64 {
    const EVEN: u64 = 0x00ff_00ff_00ff_00ff;
    (word & EVEN) + (word >> 8 & EVEN)
}

/// The sum of four parts.
#[inline(always)]
fn sum_of_four(sums: u64) -> usize {
    (sums.wrapping_mul(0x0001_0001_0001_0001) >> 48) as usize
}

/// Where a run begins: its first byte, and its first register.
type Start = (usize, usize);

/// A run at or before that of a register, and one that is before that one, if there is any. Many bytes are passed at once: runs differ too
/// much for a processor to guess the next one's size.
#[inline(always)]
fn come_near(bytes: &[u8], index: usize) -> (Start, Start) {
    let (mut at, mut first, mut is_second) = (HEADER, 0, false);
    // If a run goes on here, back to where it begins.
    let start = |at: usize, first: usize, is_second: bool| match is_second {
        true => (at - 1, first - (usize::from(bytes[at - 1] & 63) << 8) - 1),
        false => (at, first),
    };
    let mut before = (at, first, is_second);
    for size in [BLOCK, 8] {
        while let Some(some) = bytes.get(at..at + size) {
            let (len, next_is_second) = pass(some, is_second);
            if index < first + len {
                break;
            }
            before = (at, first, is_second);
            (at, first, is_second) = (at + size, first + len, next_is_second);
        }
    }
    let (before_at, before_first, before_is_second) = before;
    (
        start(before_at, before_first, before_is_second),
        start(at, first, is_second),
    )
}

/// The run that a register is in.
fn run_of(bytes: &[u8], index: usize) -> Option<Run> {
    let (_, (mut at, mut first)) = come_near(bytes, index);
    loop {
        let run = run_at(bytes, at)?;
        first += run.len;
        if index < first {
            return Some(run);
        }
        at += run.size;
    }
}

/// Finds a register, and the run before its own.
fn locate(bytes: &[u8], index: usize) -> Option<Place> {
    // From further back, so that the run before is met on the way.
    let ((mut at, mut first), _) = come_near(bytes, index);
    let mut previous = None;
    loop {
        let run = run_at(bytes, at)?;
        if index < first + run.len {
            return Some(Place {
                previous,
                at,
                run,
                first,
            });
        }
        previous = Some(at);
        at += run.size;
        first += run.len;
    }
}

/// No register raised: one run of zeros.
pub(super) const ZEROS: [u8; 2] = [0x7f, 0xff];

/// At most three runs.
type FewRuns = smallvec::SmallVec<[u8; 8]>;

/// Appends a run of at most so many registers as one can have: none, if there is none.
fn push_run(runs: &mut FewRuns, value: u8, len: usize) {
    match len.checked_sub(1) {
        None => {}
        Some(n) if value > 0 => runs.push(0x80 | (value - 1) << 2 | n as u8),
        Some(n) if n < SHORT_ZEROS_MAX => runs.push(n as u8),
        Some(n) => runs.extend_from_slice(&[0x40 | (n >> 8) as u8, n as u8]),
    }
}

/// Raises a register. Returns whether it was lower. After an error nothing has changed.
pub(super) fn raise(
    bytes: &mut Vec<u8>,
    index: usize,
    value: u8,
    len_max: usize,
) -> Result<bool, Corrupt> {
    if value > VALUE_MAX {
        return raise_as_dense(bytes, index, value);
    }
    let place = locate(bytes, index).ok_or(Corrupt)?;
    let Place { at, run, first, .. } = place;
    if run.value >= value {
        return Ok(false);
    }
    let mut new = FewRuns::new();
    if run.len == 1 && run.size == 1 {
        push_run(&mut new, value, 1);
    } else {
        push_run(&mut new, run.value, index - first);
        push_run(&mut new, value, 1);
        push_run(&mut new, run.value, first + run.len - 1 - index);
    }
    if new.len() > run.size && bytes.len() + new.len() - run.size > len_max {
        return raise_as_dense(bytes, index, value);
    }
    bytes.splice(at..at + run.size, new);
    join_neighbours(bytes, place.previous.unwrap_or(HEADER));
    Ok(true)
}

/// Joins runs of the same value: five steps from the run at `at` on.
fn join_neighbours(bytes: &mut Vec<u8>, mut at: usize) {
    for _ in 0..5 {
        let Some(run) = run_at(bytes, at) else {
            return;
        };
        let next = run_at(bytes, at + run.size);
        match next {
            Some(next)
                if run.value > 0 && run.value == next.value && run.len + next.len <= VALUES_MAX =>
            {
                bytes.remove(at);
                bytes[at] += run.len as u8;
            }
            _ => at += run.size,
        }
    }
}

/// Makes it dense, and raises a register.
fn raise_as_dense(bytes: &mut Vec<u8>, index: usize, value: u8) -> Result<bool, Corrupt> {
    let mut registers = [0; REGISTERS];
    merge(bytes, &mut registers)?;
    let lower = registers[index] < value;
    registers[index] = registers[index].max(value);
    *bytes = dense::pack(bytes, &registers);
    Ok(lower)
}

/// Makes it dense.
pub(super) fn to_dense(bytes: &mut Vec<u8>) -> Result<(), Corrupt> {
    raise_as_dense(bytes, 0, 0).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::hyperloglog::{empty, is_dense};

    #[test]
    fn agrees_with_plain_registers() {
        let mut rng = crate::Rng::new(9);
        for round in 0..60 {
            let mut model = [0; REGISTERS];
            let mut bytes = empty();
            let len_max = 100 + rng.below(3000) as usize;
            for _ in 0..rng.below(3000) {
                // Few values and registers close together, so that there are runs.
                let index = rng.below(if round % 2 == 0 { 16384 } else { 300 }) as usize;
                let value = 1 + rng.below(3) as u8;
                if is_dense(&bytes) {
                    break;
                }
                assert_eq!(get(&bytes, index), Ok(model[index]));
                assert_eq!(
                    raise(&mut bytes, index, value, len_max),
                    Ok(model[index] < value)
                );
                model[index] = model[index].max(value);
                assert!(is_dense(&bytes) || bytes.len() <= len_max && is_whole(&bytes));
            }
            let mut merged = [0; REGISTERS];
            crate::commands::hyperloglog::merge(&bytes, &mut merged).expect("it is whole");
            assert!(merged == model);
        }
    }

    #[test]
    fn finds_what_going_run_by_run_finds() {
        let mut rng = crate::Rng::new(13);
        for round in 0..2_000 {
            let mut bytes = vec![0; HEADER];
            // Many long runs in some rounds, also ones whose second byte looks like the beginning of another.
            bytes.extend((0..rng.below(90)).map(|_| match rng.below(3) {
                0 if round % 2 == 0 => 0x40 | rng.below(4) as u8,
                1 => 0x80 | rng.below(128) as u8,
                _ => rng.next() as u8,
            }));
            let (mut previous, mut at, mut first) = (None, HEADER, 0);
            while let Some(run) = run_at(&bytes, at) {
                for index in [first, first + run.len / 2, first + run.len - 1] {
                    let place = locate(&bytes, index).expect("it is there");
                    assert_eq!((place.previous, place.at), (previous, at));
                    assert_eq!((place.run, place.first), (run, first));
                    assert_eq!(run_of(&bytes, index), Some(run));
                }
                (previous, at, first) = (Some(at), at + run.size, first + run.len);
            }
            assert!(locate(&bytes, first).is_none());
            assert_eq!(run_of(&bytes, first), None);
        }
    }

    #[test]
    fn high_values_need_the_dense_form() {
        let mut bytes = empty();
        assert_eq!(raise(&mut bytes, 5, 32, 3000), Ok(true));
        assert!(!is_dense(&bytes));
        assert_eq!(raise(&mut bytes, 6, 33, 3000), Ok(true));
        assert!(is_dense(&bytes));
    }

    #[test]
    fn any_bytes_are_read_without_harm() {
        let mut rng = crate::Rng::new(11);
        for _ in 0..20_000 {
            let mut bytes = empty();
            bytes.truncate(HEADER);
            bytes.extend((0..rng.below(40)).map(|_| rng.next() as u8));
            let whole = is_whole(&bytes);
            let (index, value) = (rng.below(16384) as usize, 1 + rng.below(40) as u8);
            let before = bytes.clone();
            match raise(&mut bytes, index, value, 60) {
                Ok(_) => {}
                Err(Corrupt) => {
                    assert!(!whole);
                    assert_eq!(bytes, before);
                }
            }
            assert_eq!(
                get(&before, index).is_err(),
                locate(&before, index).is_none()
            );
            assert!(runs(&before).count() <= before.len());
        }
    }
}
