//! What a worker counts: written by one thread, read by any.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A counter with one writer: adding is a plain load and store, no locked instruction.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds to it. Only its one writer may.
    #[inline]
    pub fn add(&self, count: u64) {
        self.0
            .store(self.0.load(Relaxed).wrapping_add(count), Relaxed);
    }

    /// Its value now.
    #[inline]
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }

    /// Sets it to 0 (`CONFIG RESETSTAT`). An addition under way may survive.
    pub fn reset(&self) {
        self.0.store(0, Relaxed);
    }
}

/// Hits and misses of reading commands.
#[derive(Debug, Default)]
pub struct Lookups {
    /// Keys that were there.
    pub hits: Counter,
    /// Keys that were not.
    pub misses: Counter,
    /// Keys that were met past their deadline and removed.
    pub expired: Counter,
    /// Fields of hashes that were met past their deadline and removed.
    pub expired_fields: Counter,
    /// Keys removed because memory was short.
    pub evicted: Counter,
}

impl Lookups {
    /// Counts one look-up.
    #[inline]
    pub fn count(&self, hit: bool) {
        if hit {
            self.hits.add(1)
        } else {
            self.misses.add(1)
        }
    }
}
