//! What CONFIG changes at run time and commands look at.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// One setting. Reading it is a plain load.
#[derive(Debug)]
pub struct Setting(AtomicU64);

impl Setting {
    const fn new(value: u64) -> Self {
        Self(AtomicU64::new(value))
    }

    /// Its value now.
    #[inline]
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }

    /// Changes it for everyone.
    pub fn set(&self, value: u64) {
        self.0.store(value, Relaxed);
    }
}

/// The settings of the engine, with the defaults of Redis.
#[derive(Debug)]
pub struct Settings {
    /// `proto-max-bulk-len`: the longest string that a command may make, in bytes.
    pub string_len_max: Setting,
    /// `busy-reply-threshold`: how long a script may keep others waiting before they are told, in milliseconds; 0: for ever.
    pub busy_reply_threshold_ms: Setting,
    /// `hll-sparse-max-bytes`: the longest sparse HyperLogLog, in bytes.
    pub hll_sparse_max_bytes: Setting,
    /// Whether OBJECT FREQ is meaningful: the eviction policy is an LFU one.
    pub lfu: Setting,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            string_len_max: Setting::new(512 << 20),
            busy_reply_threshold_ms: Setting::new(5000),
            hll_sparse_max_bytes: Setting::new(3000),
            lfu: Setting::new(0),
        }
    }
}
