//! Memory: how much is used, what limits it, and what is done about it.
//!
//! | part | what |
//! |---|---|
//! | `room` | makes room before a command that needs some: evicts keys, or says `OOM` |
//! | `classes` | the directive `memory-class` |
//! | `defrag` | moves entries and values together |
//! | `usage` | what memory is used for |
//! | `doctor` | says what is wrong with that |
//! | `broker` | warns where an eviction policy could reach the keys of a broker |
//!
//! **Limits**: `maxmemory` for everything, and one for each memory class. While there is any, [`Gate::MEMORY`] is set. A worker that sees
//! at the beginning of its turn that all limits are far away takes no notice of it in that turn, except before commands that may make
//! much out of little.

mod broker;
pub(crate) mod classes;
mod defrag;
mod doctor;
mod room;
mod usage;

use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};

use djr_storage::keyspace::{Classes, EvictionPolicy};

pub(crate) use defrag::Defragmenter;
pub(crate) use doctor::diagnose;
pub(crate) use room::Room;
pub(crate) use usage::Usage;

use crate::config::Refusal;
use crate::shared::{Gate, Shared};

/// The control thread provides or gives back so many chunks of 2 MiB at most each time: the longest that takes is some tens of milliseconds.
const CHUNKS_PER_LOOK: usize = 256;
/// The control thread looks for brokers in one of so many of its rounds.
const LOOKS_PER_WARNING: u64 = 25;
/// In one of so many it gives empty pages back, if that may be worth it: more than so many bytes, and one part in so many of what is used.
const LOOKS_PER_GIFT: u64 = 5;
const WASTE_MIN: usize = 4 << 20;
const WASTE_PART: usize = 20;

/// What is known of the memory of the whole server, beside the keyspace's own counters.
#[derive(Default)]
pub(crate) struct Memory {
    /// Counts the changes of limits and classes.
    generation: AtomicU32,
    /// Scripts and functions; looked at now and then.
    scripts_bytes: AtomicUsize,
    /// What was used when the server had started, before it loaded anything.
    pub(crate) startup_bytes: AtomicUsize,
    /// Since when (milliseconds since 1970) more is used than `maxmemory`, and how long that was the case before; 0: it is not.
    over_since_ms: AtomicU64,
    over_total_ms: AtomicU64,
    /// What the system said of the process when the server had started, less what was used.
    pub(crate) startup_resident: AtomicUsize,
    /// Bytes that nobody accounts for; looked at now and then.
    value_waste: AtomicUsize,
    /// Counts the looks of the control thread.
    looks: AtomicU64,
    /// Bits of the dbs (those above 62 share the last one) that a warning was given for.
    warned: AtomicU64,
}

impl Shared {
    /// Bytes in use: data, tables, indexes, scripts, and what clients have sent or are to be sent.
    pub(crate) fn used_memory(&self) -> usize {
        self.engine.keyspace.used_bytes() + self.overhead_memory()
    }

    /// The part of it that is not in the keyspace.
    pub(crate) fn overhead_memory(&self) -> usize {
        self.client_memory() + self.memory.scripts_bytes.load(Relaxed)
    }

    /// What clients have sent or are to be sent, and what is known of them.
    pub(crate) fn client_memory(&self) -> usize {
        let clients = self.workers.iter();
        clients
            .map(|worker| worker.stats.client_bytes.load(Relaxed))
            .sum()
    }

    /// How long more has been used than `maxmemory`, in milliseconds: this time, and all times together.
    pub(crate) fn eviction_exceeded_ms(&self, now_ms: i64) -> (u64, u64) {
        let since = self.memory.over_since_ms.load(Relaxed);
        let current = match since {
            0 => 0,
            since => (now_ms.max(0) as u64).saturating_sub(since),
        };
        (
            current,
            self.memory
                .over_total_ms
                .load(Relaxed)
                .wrapping_add(current),
        )
    }

    /// Notes whether more is used than `maxmemory`.
    fn note_over(&self, is_over: bool, now_ms: i64) {
        let (memory, now) = (&self.memory, now_ms.max(1) as u64);
        if is_over {
            let _ = memory
                .over_since_ms
                .compare_exchange(0, now, Relaxed, Relaxed);
        } else if memory.over_since_ms.load(Relaxed) != 0 {
            let since = memory.over_since_ms.swap(0, Relaxed);
            if since != 0 {
                memory
                    .over_total_ms
                    .fetch_add(now.saturating_sub(since), Relaxed);
            }
        }
    }

    /// Now and then, by the control thread.
    pub(crate) fn watch_memory(&self) {
        let bytes = self.engine.scripts.bytes() + self.engine.functions.bytes();
        self.memory.scripts_bytes.store(bytes, Relaxed);
        self.peak_memory
            .fetch_max(self.used_memory() as u64, Relaxed);
        self.look_for_waste();
        self.engine.keyspace.prepare_snapshot();
        djr_storage::memory::tend_chunks(CHUNKS_PER_LOOK);
        let looks = self.memory.looks.fetch_add(1, Relaxed);
        let waste = self.memory.value_waste.load(Relaxed);
        if looks.is_multiple_of(LOOKS_PER_GIFT)
            && waste > WASTE_MIN.max(self.used_memory() / WASTE_PART)
        {
            djr_storage::memory::give_back();
        }
        if looks.is_multiple_of(LOOKS_PER_WARNING) {
            self.warn_of_evictable_broker(crate::clock::unix_millis());
        }
    }

    /// Whether there is any limit.
    fn has_limits(&self, classes: &Classes) -> bool {
        self.config.maxmemory() > 0 || classes.iter().any(|(_, class)| class.limit > 0)
    }
}

/// Puts limits, classes and policies in force as they are configured now.
pub(crate) fn apply(shared: &Shared) -> Result<(), Refusal> {
    let (config, keyspace) = (&shared.config, &shared.engine.keyspace);
    let configured = config.memory_classes();
    let too_high = configured.iter().flat_map(|class| &class.dbs);
    if let Some(db) = too_high.filter(|db| **db >= keyspace.dbs()).max() {
        return Err(format!("there is no db {db}").into());
    }
    let policy = config.maxmemory_policy();
    let policy = EvictionPolicy::named(policy.as_bytes()).unwrap_or_default();
    let classes = Classes::new(configured, policy);
    let now = keyspace.classes();
    if !now.is_same(&classes) {
        keyspace.set_classes(classes);
    }
    let classes = keyspace.classes();
    shared.memory.generation.fetch_add(1, Relaxed);
    if shared.has_limits(&classes) {
        shared.gate.set(Gate::MEMORY);
    } else {
        shared.gate.clear(Gate::MEMORY);
        shared.note_over(false, crate::clock::unix_millis());
    }
    shared.memory.warned.store(0, Relaxed);
    Ok(())
}
