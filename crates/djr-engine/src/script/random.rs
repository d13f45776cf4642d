//! `math.random`: after `math.randomseed`, the same sequence as in Redis on every machine.

use std::cell::Cell;

/// The linear congruential generator of 48 bits that POSIX calls `lrand48`.
#[derive(Debug)]
pub(super) struct Random(Cell<u64>);

/// Numbers are from 0 to this, exclusive.
pub(super) const RANDOM_MAX: i32 = i32::MAX;

impl Random {
    /// A generator in some state.
    pub(super) fn new() -> Self {
        Self(Cell::new(0))
    }

    /// Begins anywhere, as every script does: workers must not draw the same numbers.
    pub(super) fn set(&self, state: u64) {
        self.0.set(state & 0xFFFF_FFFF_FFFF);
    }

    /// Begins the sequence of a seed (`srand48`).
    pub(super) fn seed(&self, seed: i32) {
        self.0.set(u64::from(seed as u32) << 16 | 0x330E);
    }

    /// The next 31 bits.
    pub(super) fn next(&self) -> i32 {
        let state = self.0.get().wrapping_mul(0x5_DEEC_E66D).wrapping_add(0xB) & 0xFFFF_FFFF_FFFF;
        self.0.set(state);
        (state >> 17) as i32
    }

    /// A number from 0 to 1, exclusive.
    pub(super) fn fraction(&self) -> f64 {
        f64::from(self.next() % RANDOM_MAX) / f64::from(RANDOM_MAX)
    }
}
