//! Active defragmentation: each worker treats its share of the shards, in slices of its time.
//!
//! | memory | what is waste | what is done |
//! |---|---|---|
//! | entries | the free part of the slabs that shards and dictionaries have been lent, and of chunks | entries move out of the emptier slabs, which go back |
//! | values (long strings, listpacks, chunks of lists, blocks of streams, small dictionaries) | what the system has given the process, and nobody accounts for | they are copied once: the allocator has them in its fullest pages, and gives the empty ones back |
//!
//! The allocator does not tell how full its pages are. So whether copying values has helped is seen afterwards, and if it has not, the next
//! time is put off, longer and longer.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use djr_storage::keyspace::{Defrag, DefragStep};
use djr_storage::memory::{pool_bytes, release_idle};

use crate::clock;
use crate::config::DefragSettings;
use crate::introspection::Event;
use crate::process;
use crate::shared::Shared;
use crate::worker::Core;

/// A slice is no longer than that, whatever is configured: nobody waits for longer.
const SLICE_MAX: Duration = Duration::from_micros(800);
const SLICE_MIN: Duration = Duration::from_micros(50);
/// Steps between two looks at the clock.
const STEPS_PER_LOOK: u32 = 4;
/// After a walk the next one comes so much later.
const PAUSE: Duration = Duration::from_secs(2);
/// And so much later at most, if walks over the values do not help.
const PAUSE_MAX: Duration = Duration::from_secs(600);
/// Chunks of 2 MiB whose free parts go back to the system in one step.
const CHUNKS_PER_STEP: usize = 1;

/// What a worker is about.
#[derive(Clone, Copy, Default)]
enum Job {
    #[default]
    Nothing,
    /// A walk through this shard; others come after it.
    Shard(u32),
    /// The memory of free slabs is given back.
    Release,
}

/// Where a worker is with it.
#[derive(Default)]
pub(crate) struct Defragmenter {
    job: Job,
    walk: Defrag,
    /// When the next slice is due, while there is a job.
    next: Option<Instant>,
    /// Walks come no earlier.
    not_before: Option<Instant>,
    /// The last walk over the values: when the next one may come, how long after it, and what was wasted when it began.
    values_not_before: Option<Instant>,
    values_pause: Duration,
    values_waste: usize,
}

/// Bytes in use, and bytes that are held for them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Held {
    pub(crate) used: usize,
    pub(crate) held: usize,
}

impl Held {
    /// The share of a worker's time that this is worth; 0: nothing is to be done.
    fn share(self, settings: &DefragSettings) -> f64 {
        let waste = self.held.saturating_sub(self.used);
        let percent = waste as f64 * 100.0 / self.used.max(1) as f64;
        if waste < settings.ignored_bytes || percent < settings.lower {
            return 0.0;
        }
        let above = (percent - settings.lower) / (settings.upper - settings.lower).max(1.0);
        let (min, max) = (
            settings.cycle_min,
            settings.cycle_max.max(settings.cycle_min),
        );
        (min + (max - min) * above).clamp(min, max)
    }
}

impl Shared {
    /// The entries' slabs.
    pub(crate) fn slab_memory(&self) -> Held {
        let (held, used) = self.engine.keyspace.arena_bytes();
        Held {
            used,
            held: held + pool_bytes().idle,
        }
    }

    /// Values outside of slabs, as of the control thread's last look.
    pub(crate) fn value_memory(&self) -> Held {
        let keyspace = &self.engine.keyspace;
        let (_, in_slabs) = keyspace.arena_bytes();
        let dataset: usize = (0..keyspace.dbs()).map(|db| keyspace.entry_bytes(db)).sum();
        let used = dataset.saturating_sub(in_slabs);
        Held {
            used,
            held: used + self.memory.value_waste.load(Relaxed),
        }
    }

    /// Finds out what of the process's memory nobody accounts for.
    pub(super) fn look_for_waste(&self) {
        let Some(resident) = process::resident_bytes() else {
            return;
        };
        let slabs = self.slab_memory();
        let known = slabs.held - slabs.used + self.used_memory();
        let started = self.memory.startup_resident.load(Relaxed);
        let waste = (resident as usize).saturating_sub(known + started);
        self.memory.value_waste.store(waste, Relaxed);
    }
}

impl Core {
    /// Begins a walk if enough memory is wasted. In each tick.
    pub(crate) fn begin_defrag(&mut self) {
        let settings = self.shared.config.defrag();
        if !settings.is_on {
            return self.end_defrag();
        }
        let (now, defrag) = (self.clock, &mut self.defrag);
        if !matches!(defrag.job, Job::Nothing) || defrag.not_before.is_some_and(|at| now < at) {
            return;
        }
        let values = self.shared.value_memory();
        let waste = values.held - values.used;
        let mut moves_values =
            values.share(&settings) > 0.0 && defrag.values_not_before.is_none_or(|at| now >= at);
        if moves_values && waste > defrag.values_waste / 8 * 7 && defrag.values_waste > 0 {
            // The last time was of no use, unless much has come since.
            defrag.values_pause = (defrag.values_pause * 2).clamp(PAUSE * 2, PAUSE_MAX);
            defrag.values_not_before = Some(now + defrag.values_pause);
            moves_values = waste > defrag.values_waste / 4 * 5;
            defrag.values_waste = 0;
        }
        if !moves_values && self.shared.slab_memory().share(&settings) <= 0.0 {
            return;
        }
        if moves_values {
            defrag.values_waste = waste;
        }
        defrag.walk = Defrag::new(moves_values);
        defrag.job = Job::Shard(self.index as u32);
        defrag.next = Some(now);
    }

    /// One slice of a walk, if it is due.
    pub(crate) fn defrag_slice(&mut self) {
        let Some(next) = self.defrag.next else { return };
        let began = clock::monotonic();
        if began < next {
            return;
        }
        let settings = self.shared.config.defrag();
        let slice = settings.slice.clamp(SLICE_MIN, SLICE_MAX);
        let mut steps = 0;
        loop {
            steps += 1;
            // Giving memory back takes the system longer than a step of a walk.
            let has_to_look =
                steps % STEPS_PER_LOOK == 0 || matches!(self.defrag.job, Job::Release);
            if !self.defrag_step() || (has_to_look && clock::monotonic() - began >= slice) {
                break;
            }
        }
        self.count_defrag();
        self.event_ends(Event::DefragCycle, Some(began));
        if self.defrag.next.is_none() {
            return;
        }
        // What is wasted becomes less, and with it the share of the time; the walk goes on to its end.
        let values = self.shared.value_memory().share(&settings);
        let share = self.shared.slab_memory().share(&settings);
        let share = share.max(values).max(settings.cycle_min);
        let percent = (share * 100.0) as u32;
        self.stats.defrag_percent.store(percent.max(1), Relaxed);
        let ended = clock::monotonic();
        let spent = ended - began;
        self.stats.defrag_micros.add(spent.as_micros() as u64);
        self.defrag.next = Some(ended + spent.mul_f64((1.0 - share) / share.max(0.01)));
    }

    /// A step of what there is to do. Whether the next may follow at once.
    fn defrag_step(&mut self) -> bool {
        match self.defrag.job {
            Job::Nothing => {
                self.end_defrag();
                false
            }
            Job::Shard(shard) => {
                let keyspace = &self.shared.engine.keyspace;
                match keyspace.defrag_step(shard, &mut self.defrag.walk) {
                    DefragStep::More => true,
                    // A script may have it for long.
                    DefragStep::Busy => false,
                    DefragStep::Done => {
                        let next = shard + self.shared.workers.len() as u32;
                        self.defrag.job = match next < keyspace.shards() {
                            true => Job::Shard(next),
                            false => Job::Release,
                        };
                        true
                    }
                }
            }
            Job::Release => {
                if release_idle(CHUNKS_PER_STEP) {
                    return true;
                }
                let defrag = &mut self.defrag;
                defrag.job = Job::Nothing;
                if defrag.walk.moves_values() {
                    // The system gets the pages some time later.
                    defrag.values_pause = defrag.values_pause.max(PAUSE);
                    defrag.values_not_before = Some(self.clock + defrag.values_pause);
                }
                self.end_defrag();
                false
            }
        }
    }

    fn count_defrag(&mut self) {
        let counts = self.defrag.walk.take_counts();
        self.stats.defrag_hits.add(counts.hits);
        self.stats.defrag_misses.add(counts.misses);
        self.stats.defrag_key_hits.add(counts.key_hits);
        self.stats.defrag_key_misses.add(counts.key_misses);
    }

    /// How long the worker may wait for events with regard to the next slice.
    pub(crate) fn time_to_defrag(&self) -> Option<Duration> {
        let next = self.defrag.next?;
        Some(next.saturating_duration_since(clock::monotonic()))
    }

    fn end_defrag(&mut self) {
        if let Job::Shard(shard) = std::mem::take(&mut self.defrag.job) {
            let keyspace = &self.shared.engine.keyspace;
            if !keyspace.end_defrag(shard, &mut self.defrag.walk) {
                // The shard is in use: in the next tick.
                self.defrag.job = Job::Shard(shard);
                self.defrag.next = None;
                return;
            }
        }
        if self.defrag.next.take().is_some() {
            self.stats.defrag_percent.store(0, Relaxed);
            self.defrag.not_before = Some(self.clock + PAUSE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_of_time_grows_with_the_waste() {
        let settings = DefragSettings {
            is_on: true,
            ignored_bytes: 100,
            lower: 10.0,
            upper: 100.0,
            cycle_min: 0.01,
            cycle_max: 0.25,
            slice: SLICE_MAX,
        };
        let share = |used, held| Held { used, held }.share(&settings);
        assert_eq!(share(1000, 1050), 0.0, "less than what is ignored");
        assert_eq!(share(10_000, 10_900), 0.0, "less than the lower threshold");
        assert_eq!(share(1000, 1100), 0.01);
        assert!((share(1000, 1550) - 0.13).abs() < 0.001);
        assert_eq!(share(1000, 2000), 0.25);
        assert_eq!(share(1000, 9000), 0.25);
        assert_eq!(share(1000, 900), 0.0);
    }
}
