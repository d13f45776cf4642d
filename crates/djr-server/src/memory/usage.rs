//! What memory is used for, as far as it is known exactly.

use std::sync::atomic::Ordering::Relaxed;

use crate::process;
use crate::shared::Shared;

/// Bytes, at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// Everything below together.
    pub(crate) used: u64,
    /// The most that was ever seen.
    pub(crate) peak: u64,
    /// When the server had started, before it loaded anything.
    pub(crate) startup: u64,
    /// Entries: keys and values, with headers and rounding.
    pub(crate) dataset: u64,
    /// Tables and expiry indexes of all dbs.
    pub(crate) indexes: u64,
    /// What clients have sent or are to be sent, and what is known of them.
    pub(crate) clients: u64,
    /// Scripts and functions.
    pub(crate) scripts: u64,
    /// What the entries' allocator holds, and what of it is in use.
    pub(crate) arena_held: u64,
    pub(crate) arena_used: u64,
    /// What the system says that the process has.
    pub(crate) rss: Option<u64>,
}

impl Usage {
    pub(crate) fn now(shared: &Shared) -> Self {
        let keyspace = &shared.engine.keyspace;
        let dbs = 0..keyspace.dbs();
        let dataset: usize = dbs.clone().map(|db| keyspace.entry_bytes(db)).sum();
        let indexes: usize = dbs.map(|db| keyspace.index_bytes(db)).sum();
        let clients = shared.client_memory();
        let scripts = shared.engine.scripts.bytes() + shared.engine.functions.bytes();
        let used = (dataset + indexes + clients + scripts) as u64;
        let peak = shared.peak_memory.fetch_max(used, Relaxed).max(used);
        let (arena_held, arena_used) = keyspace.arena_bytes();
        Self {
            used,
            peak,
            startup: shared.memory.startup_bytes.load(Relaxed) as u64,
            dataset: dataset as u64,
            indexes: indexes as u64,
            clients: clients as u64,
            scripts: scripts as u64,
            arena_held: arena_held as u64,
            arena_used: arena_used as u64,
            rss: process::resident_bytes(),
        }
    }

    /// What is not data.
    pub(crate) fn overhead(&self) -> u64 {
        self.used - self.dataset
    }

    /// The data's part of what has come since the start, in percent.
    pub(crate) fn dataset_percent(&self) -> f64 {
        let since = self.used.saturating_sub(self.startup).max(1);
        (self.dataset as f64 / since as f64 * 100.0).min(100.0)
    }
}
