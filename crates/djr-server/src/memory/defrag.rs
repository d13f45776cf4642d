//! Active defragmentation: each worker moves the entries of its share of the shards together, in slices of its time.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use djr_storage::keyspace::{Defrag, DefragStep};
use djr_storage::memory::{pool_bytes, release_idle};

use crate::clock;
use crate::config::DefragSettings;
use crate::worker::Core;

/// A slice is no longer than that, whatever is configured: nobody waits for longer.
const SLICE_MAX: Duration = Duration::from_micros(800);
/// After a walk that could do little, the next one comes so much later.
const PAUSE: Duration = Duration::from_secs(5);
/// Chunks of 2 MiB whose free parts go back to the system in one step.
const CHUNKS_PER_STEP: usize = 1;

/// Where a worker is with it.
#[derive(Default)]
pub(crate) struct Defragmenter {
    walk: Defrag,
    /// The shard being treated; `None`: no walk is on.
    shard: Option<u32>,
    /// Memory of free slabs is being given back.
    is_releasing: bool,
    /// When the next slice is due.
    pub(crate) next: Option<Instant>,
    /// Since when a walk is on.
    since: Option<Instant>,
    not_before: Option<Instant>,
}

impl Core {
    /// Begins a walk if enough memory is wasted. In each tick.
    pub(crate) fn begin_defrag(&mut self) {
        let settings = self.shared.config.defrag();
        if !settings.is_on {
            return self.stop_defrag();
        }
        let defrag = &mut self.defrag;
        if defrag.shard.is_some() || defrag.is_releasing || defrag.not_before.is_some_and(|at| self.clock < at) {
            return;
        }
        if share(&settings, self.waste()) > 0.0 {
            let now = self.clock;
            let defrag = &mut self.defrag;
            defrag.walk = Defrag::default();
            defrag.shard = Some(self.index as u32);
            defrag.next = Some(now);
            defrag.since = Some(now);
            self.shared.memory.defrag_running.fetch_add(1, Relaxed);
        }
    }

    /// Bytes that are used and bytes that are held for them.
    fn waste(&self) -> (usize, usize) {
        let (held, used) = self.shared.engine.keyspace.arena_bytes();
        (used, held + pool_bytes().idle)
    }

    /// One slice of a walk, if it is due.
    pub(crate) fn defrag_slice(&mut self) {
        let now = clock::monotonic();
        if self.defrag.next.is_none_or(|next| now < next) {
            return;
        }
        let settings = self.shared.config.defrag();
        let slice = settings.slice.clamp(Duration::from_micros(50), SLICE_MAX);
        let (mut looked, shards) = (0, self.shared.engine.keyspace.shards());
        while looked % 4 != 0 || clock::monotonic() - now < slice {
            looked += 1;
            if self.defrag.is_releasing {
                if !release_idle(CHUNKS_PER_STEP) {
                    return self.end_defrag(PAUSE);
                }
                continue;
            }
            let Some(shard) = self.defrag.shard else {
                return self.stop_defrag();
            };
            match self.shared.engine.keyspace.defrag_step(shard, &mut self.defrag.walk) {
                DefragStep::More => {}
                // A script may have it for long.
                DefragStep::Busy => break,
                DefragStep::Done => {
                    let next = shard + self.shared.workers.len() as u32;
                    self.defrag.shard = Some(next);
                    if next >= shards {
                        self.defrag.shard = None;
                        self.defrag.is_releasing = true;
                    }
                }
            }
        }
        let walk = std::mem::take(&mut self.defrag.walk.moved);
        self.stats.defrag_hits.add(walk);
        let seen = std::mem::take(&mut self.defrag.walk.seen);
        self.stats.defrag_misses.add(seen - walk.min(seen));
        let spent = clock::monotonic() - now;
        // What is wasted may have become less: then it has less of the time, too, but goes on to the end.
        let share = share(&settings, self.waste()).max(settings.cycle_min);
        let rest = spent.mul_f64((1.0 - share) / share.max(0.01));
        self.defrag.next = Some(clock::monotonic() + rest);
    }

    /// How long the worker may wait for events with regard to the next slice.
    pub(crate) fn time_to_defrag(&self) -> Option<Duration> {
        let next = self.defrag.next?;
        Some(next.saturating_duration_since(clock::monotonic()))
    }

    fn end_defrag(&mut self, pause: Duration) {
        self.stop_defrag();
        self.defrag.not_before = Some(self.clock + pause);
    }

    fn stop_defrag(&mut self) {
        let defrag = &mut self.defrag;
        if let Some(since) = defrag.since.take() {
            let time = clock::monotonic() - since;
            self.stats.defrag_millis.add(time.as_millis() as u64);
            self.shared.memory.defrag_running.fetch_sub(1, Relaxed);
        }
        // Slabs that were to be emptied are used again once a walk has been through their shard: one that was broken off is
        // taken up there.
        defrag.next = None;
        defrag.shard = None;
        defrag.is_releasing = false;
    }
}

/// The share of the time that is to be spent, for so many bytes used and held; 0: there is nothing to do.
fn share(settings: &DefragSettings, (used, held): (usize, usize)) -> f64 {
    let waste = held.saturating_sub(used);
    let percent = waste as f64 * 100.0 / used.max(1) as f64;
    if waste < settings.ignored_bytes || percent < settings.lower {
        return 0.0;
    }
    let above = (percent - settings.lower) / (settings.upper - settings.lower).max(1.0);
    let (min, max) = (settings.cycle_min, settings.cycle_max.max(settings.cycle_min));
    (min + (max - min) * above).clamp(min, max)
}
