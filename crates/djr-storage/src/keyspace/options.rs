//! What a keyspace is made with, and what can be changed while it runs.

use std::sync::atomic::{AtomicU8, AtomicU32, Ordering::Relaxed};

/// What a keyspace is made with.
#[derive(Clone, Debug)]
pub struct KeyspaceOptions {
    /// Number of databases; at least 1.
    pub dbs: u32,
    /// Number of shards: a power of two, at most 64.
    pub shards: u32,
    /// Seed of the key hash. Random in production, so that nobody can choose keys that collide.
    pub hash_seed: (u64, u64),
}

impl Default for KeyspaceOptions {
    fn default() -> Self {
        Self {
            dbs: 16,
            shards: 64,
            hash_seed: (0, 0),
        }
    }
}

/// How the 24 bits that each entry has for its access clock are used. May be changed at any time, as with `CONFIG SET`;
/// the clocks of existing entries are then read in the new way, as in Redis.
///
/// LRU: the second of the last access. LFU: 16 bits for the minute of the last decay, 8 bits for a logarithmic counter.
/// Memory classes may differ in that: then it is asked which class a key belongs to.
#[derive(Debug)]
pub struct AccessClock {
    mode: AtomicU8,
    lfu_log_factor: AtomicU32,
    lfu_decay_time: AtomicU32,
}

impl Default for AccessClock {
    fn default() -> Self {
        Self {
            mode: AtomicU8::new(LRU),
            lfu_log_factor: AtomicU32::new(10),
            lfu_decay_time: AtomicU32::new(1),
        }
    }
}

/// The counter of a new entry under LFU, so that it is not evicted before it had a chance.
const LFU_COUNTER_NEW: u32 = 5;
const CLOCK_MASK: u32 = (1 << 24) - 1;
/// The modes: all keys' clocks are of one kind, or the key's memory class says of which.
const LRU: u8 = 0;
const LFU: u8 = 1;
const MIXED: u8 = 2;

impl AccessClock {
    /// Counts frequencies instead of noting the time where the policies of all keys, or of some of them, need it.
    pub(super) fn set_mode(&self, all_lfu: bool, some_lfu: bool) {
        let mode = match (all_lfu, some_lfu) {
            (true, _) => LFU,
            (false, true) => MIXED,
            (false, false) => LRU,
        };
        self.mode.store(mode, Relaxed);
    }

    /// `lfu-log-factor`: how slowly the counter saturates.
    pub fn set_lfu_log_factor(&self, factor: u32) {
        self.lfu_log_factor.store(factor, Relaxed);
    }

    /// `lfu-decay-time`: minutes after which the counter loses one; 0: never.
    pub fn set_lfu_decay_time(&self, minutes: u32) {
        self.lfu_decay_time.store(minutes, Relaxed);
    }

    /// Whether the times of accesses are noted, whatever the key.
    #[inline]
    pub(super) fn is_lru(&self) -> bool {
        self.mode.load(Relaxed) == LRU
    }

    /// Whether frequencies are counted for a key; `of_class`: for those of its memory class.
    pub(super) fn is_lfu(&self, of_class: impl FnOnce() -> bool) -> bool {
        match self.mode.load(Relaxed) {
            LRU => false,
            LFU => true,
            _ => of_class(),
        }
    }

    /// The clock of an entry made at `now`, where the times are noted. Also that of one touched at `now`.
    #[inline]
    pub(super) fn lru_at(&self, now: i64) -> u32 {
        seconds(now)
    }

    /// The clock of an entry made at `now`, where frequencies are counted.
    pub(super) fn lfu_fresh(&self, now: i64) -> u32 {
        lfu_clock(minutes(now), LFU_COUNTER_NEW)
    }

    /// The clock of an entry that is touched at `now`, where frequencies are counted. `random` has 32 random bits.
    pub(super) fn lfu_touched(&self, clock: u32, now: i64, random: u32) -> u32 {
        let counter = self.frequency(clock, now);
        if counter == 255 {
            return lfu_clock(minutes(now), counter);
        }
        // Probability 1 / (above * factor + 1), as in Redis.
        let above = u64::from(counter.saturating_sub(LFU_COUNTER_NEW));
        let odds = above * u64::from(self.lfu_log_factor.load(Relaxed)) + 1;
        let won = u64::from(random).saturating_mul(odds) < 1 << 32;
        lfu_clock(minutes(now), counter + u32::from(won))
    }

    /// LFU: the counter after the decay due at `now`.
    pub(super) fn frequency(&self, clock: u32, now: i64) -> u32 {
        let (last, counter) = (clock >> 8, clock & 0xff);
        let elapsed = minutes(now).wrapping_sub(last) & 0xffff;
        let periods = elapsed
            .checked_div(self.lfu_decay_time.load(Relaxed))
            .unwrap_or(0);
        counter.saturating_sub(periods)
    }

    /// LRU: the clock of an entry that was last touched so many seconds before `now`.
    pub(super) fn idle_for(&self, seconds_ago: u64, now: i64) -> u32 {
        // What is longer ago than the clock can tell is as long ago as it can.
        let ago = seconds_ago.min(u64::from(CLOCK_MASK)) as u32;
        seconds(now).wrapping_sub(ago) & CLOCK_MASK
    }

    /// LFU: the clock of an entry with this counter.
    pub(super) fn with_frequency(&self, counter: u8, now: i64) -> u32 {
        lfu_clock(minutes(now), u32::from(counter))
    }

    /// LFU: minutes since the last access, as far as the clock can tell.
    pub(super) fn idle_minutes(&self, clock: u32, now: i64) -> u16 {
        (minutes(now).wrapping_sub(clock >> 8) & 0xffff) as u16
    }

    /// LRU: seconds since the last access.
    pub(super) fn idle_seconds(&self, clock: u32, now: i64) -> u32 {
        seconds(now).wrapping_sub(clock) & CLOCK_MASK
    }
}

fn lfu_clock(minutes: u32, counter: u32) -> u32 {
    minutes << 8 | counter
}

fn seconds(now: i64) -> u32 {
    (now / 1000) as u32 & CLOCK_MASK
}

fn minutes(now: i64) -> u32 {
    (now / 60_000) as u32 & 0xffff
}
