//! Reading a table from outside of the lock that guards it, to prefetch what a command will need.
//!
//! The owner publishes where the arrays are in one cache line; views copy that line (a sequence
//! number tells whether the copy is whole) and read buckets as atomics. What they read may be out
//! of date, and is only ever used for prefetching.
//!
//! **Invariant:** an array that was published is freed through [`crossbeam_epoch`], after it was
//! replaced in the published line. A view dereferences only what it read from that line under an
//! [`EpochGuard`].

use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, fence};

use super::array::{Array, Geometry};
use super::bucket::Bucket;
use super::prefetch::prefetch_line;

/// Keeps what views read from being freed. Pin one for each turn, not for longer: memory that any
/// table retires meanwhile waits.
pub struct EpochGuard(#[expect(dead_code, reason = "held for its effect")] crossbeam_epoch::Guard);

impl EpochGuard {
    /// Costs some nanoseconds.
    #[inline]
    pub fn pin() -> EpochGuard {
        EpochGuard(crossbeam_epoch::pin())
    }
}

/// What a view knows of one array.
struct Place {
    base: AtomicPtr<Bucket>,
    /// `homes` above, `shift` below.
    geometry: AtomicU64,
}

impl Place {
    fn new(array: &Array) -> Place {
        let place = Place {
            base: AtomicPtr::default(),
            geometry: AtomicU64::new(0),
        };
        place.set(array);
        place
    }

    fn set(&self, array: &Array) {
        let Geometry { homes, shift } = array.geometry();
        self.base.store(array.base().as_ptr(), Relaxed);
        self.geometry
            .store(u64::from(homes) << 32 | u64::from(shift), Relaxed);
    }

    #[inline(always)]
    fn get(&self) -> (*mut Bucket, Geometry) {
        let geometry = self.geometry.load(Relaxed);
        let geometry = Geometry {
            homes: (geometry >> 32) as u32,
            shift: geometry as u32 % 32,
        };
        (self.base.load(Relaxed), geometry)
    }
}

/// The line that owner and views share.
#[repr(align(64))]
pub(super) struct Shared {
    /// Odd while the owner writes the places.
    sequence: AtomicU32,
    /// Hashes below it are in `next`, the others in `current`. Written without the sequence number:
    /// the array that a late reader takes is alive, it only no longer holds what is looked for.
    frontier: AtomicU64,
    current: Place,
    next: Place,
}

impl Shared {
    pub(super) fn new(current: &Array, next: &Array, frontier: u64) -> Shared {
        Shared {
            sequence: AtomicU32::new(0),
            frontier: AtomicU64::new(frontier),
            current: Place::new(current),
            next: Place::new(next),
        }
    }

    /// Only the owner of the table calls this.
    pub(super) fn publish(&self, current: &Array, next: &Array, frontier: u64) {
        let sequence = self.sequence.load(Relaxed);
        self.sequence.store(sequence.wrapping_add(1), Relaxed);
        fence(Release);
        self.current.set(current);
        self.next.set(next);
        self.frontier.store(frontier, Relaxed);
        self.sequence.store(sequence.wrapping_add(2), Release);
    }

    #[inline(always)]
    pub(super) fn set_frontier(&self, frontier: u64) {
        self.frontier.store(frontier, Relaxed);
    }

    #[inline(always)]
    fn place_of(&self, hash: u32) -> &Place {
        match u64::from(hash) < self.frontier.load(Relaxed) {
            true => &self.next,
            false => &self.current,
        }
    }
}

/// A handle to a table for prefetching, usable on any thread without the table's lock. It stays
/// valid when the table is resized, cleared or dropped. Cheap to clone.
#[derive(Clone)]
pub struct TableView {
    shared: Arc<Shared>,
}

impl TableView {
    pub(super) fn new(shared: Arc<Shared>) -> TableView {
        TableView { shared }
    }

    /// Finds the bucket of a key with this hash, and prefetches it. `None`: the owner is just changing the array.
    #[inline]
    pub fn prefetch<'g>(&self, _guard: &'g EpochGuard, hash: u64) -> Option<Home<'g>> {
        let hash = hash as u32;
        let sequence = self.shared.sequence.load(Acquire);
        let (base, geometry) = self.shared.place_of(hash).get();
        fence(Acquire);
        if sequence & 1 != 0 || self.shared.sequence.load(Relaxed) != sequence {
            return None;
        }
        let (home, tag) = geometry.locate(hash);
        // SAFETY: base and geometry were published together (the sequence number did not change),
        // so `home` is a bucket of that array. The array is alive: it was published after the guard
        // was pinned or not yet replaced then, and since then it cannot be freed while the guard
        // lives.
        let bucket = unsafe { NonNull::new(base)?.add(home as usize).as_ref() };
        prefetch_line(std::ptr::from_ref(bucket).addr());
        Some(Home {
            bucket,
            tag,
            behind: geometry.homes - home - 1,
        })
    }
}

/// A bucket in which a key would have been found. Alive as long as the guard, but perhaps no
/// longer part of the table.
#[derive(Clone, Copy)]
pub struct Home<'g> {
    bucket: &'g Bucket,
    tag: u32,
    /// At least so many buckets are behind it in its array.
    behind: u32,
}

impl Home<'_> {
    /// Prefetches the first cache lines of the element that the bucket was looked up for, if it has
    /// it. If it may have gone on to the next bucket, that one is prefetched: come again with what
    /// is returned. Call it when the bucket has had time to come: about ten keys later.
    #[inline]
    pub fn prefetch_entry(self) -> Option<Self> {
        // Its memory is only written as atomics.
        if let Some(raw) = self.bucket.peek(self.tag) {
            // What is usually read: ninety bytes, which may touch three lines.
            prefetch_line(raw.address());
            prefetch_line(raw.address() + 64);
            if raw.address() % 64 > 40 {
                prefetch_line(raw.address() + 128);
            }
            return None;
        }
        if !self.bucket.is_full() || self.behind == 0 {
            return None;
        }
        // SAFETY: there is a bucket behind it in the array that this one is in, and is alive with it.
        let bucket = unsafe { NonNull::from_ref(self.bucket).add(1).as_ref() };
        prefetch_line(std::ptr::from_ref(bucket).addr());
        Some(Home {
            bucket,
            tag: self.tag,
            behind: self.behind - 1,
        })
    }
}
