//! Micro-benchmark of the table: `cargo bench -p djr-storage --bench table --profile quick [--
//! ELEMENTS…]`.
//!
//! Elements are heap blocks of 96 bytes that begin with their key, spread over 64 tables by the
//! upper bits of the hash as in the keyspace. Times are the medians of several rounds, in
//! nanoseconds per operation. *Batch* means that 16 keys are hashed and prefetched (buckets, then
//! entries) before the first of them is looked up.

use std::alloc::Layout;
use std::hint::black_box;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::time::{ClockId, clock_gettime};

use djr_storage::table::{EpochGuard, Home, Raw, Table, TableView};

const SHARDS: usize = 64;
const BATCH: usize = 16;
const ENTRY: Layout = match Layout::from_size_align(96, 8) {
    Ok(layout) => layout,
    Err(_) => panic!(),
};

fn hash(key: u64) -> u64 {
    let mixed = (key ^ (key >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[allow(unsafe_code)]
fn new_entry(key: u64) -> Raw {
    // SAFETY: the layout has a size; the block is written within it before it is read.
    let block = unsafe {
        let block = std::alloc::alloc_zeroed(ENTRY);
        block.cast::<u64>().write(key);
        block
    };
    Raw::new(NonNull::new(block).expect("memory"))
}

#[allow(unsafe_code)]
fn key_of(raw: Raw) -> u64 {
    // SAFETY: every element of these tables was made by `new_entry` and is alive.
    unsafe { raw.as_ptr().cast::<u64>().read() }
}

/// The last word of an entry: in another cache line than its key, or in the same.
#[allow(unsafe_code)]
fn value_of(raw: Raw) -> u64 {
    // SAFETY: as for `key_of`.
    unsafe { raw.as_ptr().add(ENTRY.size() - 8).cast::<u64>().read() }
}

#[allow(unsafe_code)]
fn free_entry(raw: Raw) {
    // SAFETY: made by `new_entry`, and no longer in a table.
    unsafe { std::alloc::dealloc(raw.as_ptr(), ENTRY) }
}

fn rehash(raw: Raw) -> u64 {
    hash(key_of(raw))
}

/// Processor time of this thread in nanoseconds: what others do on the machine is left out.
fn now() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// A command takes its shard's lock; a locked instruction also keeps two look-ups from overlapping,
/// as they would in a bare loop.
#[derive(Default)]
#[repr(align(64))]
struct Lock(AtomicBool);

struct Bench {
    shards: Vec<Table>,
    locks: Vec<Lock>,
    views: Vec<TableView>,
    random: u64,
}

impl Bench {
    fn new() -> Bench {
        let phase = |shard: usize| (shard as u32).wrapping_mul(0x9e37_79b9);
        let mut shards: Vec<_> = (0..SHARDS)
            .map(|shard| Table::with_phase(phase(shard)))
            .collect();
        let views = shards.iter_mut().map(Table::view).collect();
        let locks = (0..SHARDS).map(|_| Lock::default()).collect();
        Bench {
            shards,
            locks,
            views,
            random: 1,
        }
    }

    fn next(&mut self, below: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        ((u128::from(hash(self.random)) * u128::from(below)) >> 64) as u64
    }

    fn find(&self, key: u64) -> Option<Raw> {
        let hash = hash(key);
        let lock = &self.locks[shard_of(hash)].0;
        while lock.swap(true, Ordering::Acquire) {}
        let slot = self.shards[shard_of(hash)].find(hash, |raw| key_of(raw) == key);
        lock.store(false, Ordering::Release);
        slot.map(|slot| slot.raw())
    }

    fn insert(&mut self, key: u64, entry: Raw) {
        let hash = hash(key);
        self.shards[shard_of(hash)].insert(hash, entry, &rehash);
    }

    fn remove(&mut self, key: u64) -> Option<Raw> {
        let hash = hash(key);
        self.shards[shard_of(hash)].remove(hash, |raw| key_of(raw) == key, &rehash)
    }

    /// Looks random keys from `from` on up; returns nanoseconds per look-up.
    fn look_ups(&mut self, from: u64, keys: u64, prefetch: bool) -> f64 {
        let count = 1 << 20;
        let mut found = 0u64;
        let started = now();
        for _ in 0..count / BATCH {
            let batch: [u64; BATCH] = std::array::from_fn(|_| from + self.next(keys));
            if prefetch {
                let guard = EpochGuard::pin();
                let homes = batch.map(|key| {
                    let hash = hash(key);
                    self.views[shard_of(hash)].prefetch(&guard, hash)
                });
                let strays = homes.map(|home| home.and_then(Home::prefetch_entry));
                for stray in strays {
                    stray.and_then(Home::prefetch_entry);
                }
            }
            for key in batch {
                found += self.find(key).map_or(0, value_of);
            }
        }
        black_box(found);
        (now() - started) as f64 / count as f64
    }

    fn memory(&self) -> usize {
        self.shards.iter().map(Table::memory_bytes).sum()
    }
}

fn shard_of(hash: u64) -> usize {
    (hash >> 58) as usize
}

fn median(mut sample: impl FnMut() -> f64) -> f64 {
    let mut samples: Vec<f64> = (0..7).map(|_| sample()).collect();
    samples.sort_unstable_by(f64::total_cmp);
    samples[samples.len() / 2]
}

fn run(elements: u64) {
    let mut bench = Bench::new();
    let mut entries: Vec<_> = (0..elements).map(|key| (key, new_entry(key))).collect();
    // Entries lie in memory in another order than they are inserted in.
    for index in (1..entries.len()).rev() {
        let other = bench.next(index as u64 + 1) as usize;
        entries.swap(index, other);
    }
    let (mut longest, mut peak) = (0, 0);
    let started = now();
    let mut last = started;
    for (index, (key, entry)) in entries.drain(..).enumerate() {
        bench.insert(key, entry);
        if index % 64 == 0 {
            let now = now();
            longest = longest.max(now - last);
            last = now;
        }
        if index as u64 > elements / 4 && (index as u64).is_multiple_of(elements / 200) {
            peak = peak.max(bench.memory() * 1000 / (index + 1));
            last = now();
        }
    }
    let insert = (now() - started) as f64 / elements as f64;
    drop(entries);
    let growing = bench.memory() as f64 / elements as f64;
    for shard in &mut bench.shards {
        while shard.resize_step(1000, &rehash) {}
    }
    let settled = bench.memory() as f64 / elements as f64;
    let hit = median(|| bench.look_ups(0, elements, false));
    let miss = median(|| bench.look_ups(elements, elements, false));
    let batch_hit = median(|| bench.look_ups(0, elements, true));
    let batch_miss = median(|| bench.look_ups(elements, elements, true));
    let started = now();
    for key in 0..elements {
        bench.remove(key).into_iter().for_each(free_entry);
    }
    let remove = (now() - started) as f64 / elements as f64;
    println!(
        "{elements:>10} | {hit:>6.1} {miss:>6.1} | {batch_hit:>6.1} {batch_miss:>6.1} | {insert:>6.1} {remove:>6.1} \
         | {settled:>6.2} {growing:>6.2} {:>6.2} | {:>7.1}",
        peak as f64 / 1000.0,
        longest as f64 / 1000.0,
    );
}

fn main() {
    let chosen: Vec<u64> = std::env::args()
        .filter_map(|argument| argument.parse().ok())
        .collect();
    let sizes = if chosen.is_empty() {
        vec![10_000, 1_000_000, 10_000_000]
    } else {
        chosen
    };
    println!(
        "           |  look-up, ns  | same, in batch |   change, ns  | bytes per element    | longest 64"
    );
    println!(
        "  elements |    hit   miss |    hit   miss |  insert remove | settled growing peak | inserts, us"
    );
    sizes.into_iter().for_each(run);
}
