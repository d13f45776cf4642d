//! Growing and shrinking, some buckets at a time.
//!
//! Both arrays are sorted by hash, so a resize is one pass from the start of the old one to its
//! end. Hashes below the *frontier* are in the new array (`next`), the others in the old one
//! (`current`), so a look-up touches one array only. The frontier rests only behind a bucket that
//! is not full, where no element has spilled across.

use super::array::{Array, HASH_END};
use super::bucket::{Raw, SLOTS};
use super::memory::BUCKETS_PER_PAGE;
use super::prefetch::prefetch_line;
use super::{Table, view::Shared};

/// Buckets that each insertion and removal moves while a resize is on: less than a microsecond. With 32 a growth by an
/// eighth takes a twenty-fourth of the time until the next one, and few tables have two arrays at a time.
const STEP_BUCKETS: u32 = 32;
/// Arrays of up to so many buckets are resized at once: a microsecond or two.
const AT_ONCE_BUCKETS: u32 = 40;
/// Below so many homes a table does not shrink.
const SHRINK_MIN_HOMES: u32 = 4;

/// Elements at which an array of so many homes is full enough to grow: a load of 0.906, of 0.875
/// for small ones.
pub(super) fn grow_at(homes: u32) -> usize {
    let homes = homes as usize;
    if homes < 64 {
        homes * 7
    } else {
        homes * 29 / 4
    }
}

/// Elements below which an array of so many homes shrinks: a load of 0.3.
fn shrink_at(homes: u32) -> usize {
    if homes <= SHRINK_MIN_HOMES {
        0
    } else {
        homes as usize * 12 / 5
    }
}

/// Homes for so many elements at a load of `eighths_of_slot`/8 slots of a bucket.
fn homes_for(elements: usize, per_bucket: usize) -> u32 {
    let homes = elements.div_ceil(per_bucket).max(1);
    // 2^31 buckets hold 15 thousand million elements; memory ends long before.
    Array::fill_pages(u32::try_from(homes).unwrap_or(u32::MAX).min(1 << 31))
}

/// The next size: a factor of 2 for the smallest tables, falling to 1.125 for those that matter.
/// There it is taken from a fixed geometric sequence, and the phase says where between two sizes of
/// phase 0 this table's sizes are.
pub(super) fn grown(homes: u32, phase: u32) -> u32 {
    const LARGE: u32 = 512;
    let grown = match homes {
        0..32 => homes.max(1) * 2,
        32..128 => homes + homes / 2,
        128..LARGE => homes + homes / 4,
        _ => {
            let mut size = (u64::from(LARGE) << 32) + u64::from(LARGE / 16) * u64::from(phase);
            while (size >> 32) < u64::from(homes) + u64::from(homes / 32) {
                size += size / 16;
            }
            (size >> 32).min(1 << 31) as u32
        }
    };
    // Rounded down to whole pages, as long as that is still more.
    match Array::fill_pages(grown) {
        filled if filled > grown && filled - BUCKETS_PER_PAGE > homes => filled - BUCKETS_PER_PAGE,
        filled => filled,
    }
}

impl Table {
    /// Whether a resize is on.
    #[inline]
    pub fn is_resizing(&self) -> bool {
        self.next.has_memory()
    }

    /// Goes on with a resize, if one is on, by about `buckets` buckets of the old array (of eight
    /// elements at most), for idle time. Returns whether there is more to do.
    pub fn resize_step(&mut self, buckets: u32, rehash: &impl Fn(Raw) -> u64) -> bool {
        if self.is_resizing() {
            self.advance(buckets.max(1), rehash);
        }
        self.is_resizing()
    }

    /// Makes room for so many more elements, at once: for loading.
    pub fn reserve(&mut self, additional: usize, rehash: &impl Fn(Raw) -> u64) {
        let wanted = self.len.saturating_add(additional);
        self.finish(rehash);
        if wanted > grow_at(self.current.homes()) || !self.current.has_memory() {
            self.begin(homes_for(wanted, 7), rehash);
            self.finish(rehash);
        }
    }

    /// Gives room back that was [reserved](Self::reserve) in vain, at once.
    pub fn fit(&mut self, rehash: &impl Fn(Raw) -> u64) {
        self.finish(rehash);
        // As full as one that has just grown.
        let homes = homes_for(self.len, 6).max(SHRINK_MIN_HOMES);
        if homes < self.current.homes() {
            self.begin(homes, rehash);
            self.finish(rehash);
        }
    }

    /// What an insertion does first when `len` has reached `grow_at`: go on with the resize, or
    /// begin one.
    #[cold]
    #[inline(never)]
    pub(super) fn before_insert(&mut self, rehash: &impl Fn(Raw) -> u64) {
        if self.is_resizing() {
            self.advance(STEP_BUCKETS, rehash);
            if self.is_resizing() && self.len >= grow_at(self.next.homes()) {
                self.finish(rehash);
            }
        }
        if self.len >= self.grow_at && !self.is_resizing() {
            let homes = match self.current.has_memory() {
                true => grown(self.current.homes(), self.phase),
                false => 1,
            };
            self.begin(homes, rehash);
        }
    }

    /// What a removal does last when `len` is below `shrink_at`.
    #[cold]
    #[inline(never)]
    pub(super) fn after_remove(&mut self, rehash: &impl Fn(Raw) -> u64) {
        if self.is_resizing() {
            self.advance(STEP_BUCKETS, rehash);
        } else {
            // To a load of 0.75, from which it may grow by a fifth or fall by more than half before
            // the next resize.
            let homes = homes_for(self.len, 6).max(SHRINK_MIN_HOMES);
            if homes < self.current.homes() {
                self.begin(homes, rehash);
            }
        }
    }

    fn begin(&mut self, homes: u32, rehash: &impl Fn(Raw) -> u64) {
        self.next = Array::new(homes, Array::default_spare(homes));
        self.frontier = 0;
        self.consumed = 0;
        self.publish();
        if self.len == 0 || self.current.total() <= AT_ONCE_BUCKETS {
            self.finish(rehash);
        }
    }

    /// Completes a resize, if one is on.
    pub(super) fn finish(&mut self, rehash: &impl Fn(Raw) -> u64) {
        if self.is_resizing() {
            self.advance(u32::MAX, rehash);
        }
    }

    /// Moves the elements of so many buckets, then on to the next bucket that is not full.
    fn advance(&mut self, buckets: u32, rehash: &impl Fn(Raw) -> u64) {
        let old = self.current.geometry();
        let finer = self.next.geometry().shift < old.shift;
        let mut left = buckets;
        // A step begins behind a bucket that is not full.
        let mut run_start = self.consumed;
        loop {
            let number = self.consumed;
            let bucket = self.current.bucket(number);
            let was_full = bucket.is_full();
            if finer && number + 2 < self.current.total() {
                let soon = self
                    .current
                    .bucket(number + 2)
                    .iter()
                    .filter_map(Raw::of_slot);
                soon.for_each(|raw| prefetch_line(raw.address()));
            }
            let end = old.start(number + 1);
            for index in 0..SLOTS {
                let slot = bucket.get(index);
                let Some(raw) = Raw::of_slot(slot) else {
                    continue;
                };
                let hash = match finer {
                    true => rehash(raw) as u32,
                    false => self
                        .current
                        .hash_before(end, number - run_start, slot, rehash),
                };
                if !self.next.put(hash, raw) {
                    return self.rebuild(rehash);
                }
                bucket.set(index, 0);
            }
            self.consumed += 1;
            left = left.saturating_sub(1);
            if !was_full {
                run_start = self.consumed;
            }
            if !was_full && (left == 0 || self.consumed >= old.homes) {
                break;
            }
            if self.consumed == self.current.total() {
                break;
            }
        }
        if self.consumed >= old.homes {
            self.complete();
        } else {
            self.frontier = old.start(self.consumed);
            if let Some(shared) = &self.shared {
                shared.set_frontier(self.frontier);
            }
            self.current.release_before(self.consumed);
        }
    }

    /// Everything is in `next`.
    fn complete(&mut self) {
        self.current.set_zeroed();
        let emptied = std::mem::replace(
            &mut self.current,
            std::mem::replace(&mut self.next, Array::none()),
        );
        self.frontier = 0;
        self.consumed = 0;
        self.publish();
        self.retire(emptied);
    }

    /// The way out when the buckets behind the last home are full, which needs hundreds of elements
    /// with nearly the largest hash: everything goes into a new array with more spare buckets, at
    /// once.
    #[cold]
    #[inline(never)]
    pub(super) fn rebuild(&mut self, rehash: &impl Fn(Raw) -> u64) {
        let newest = if self.is_resizing() {
            &self.next
        } else {
            &self.current
        };
        let mut homes = newest.homes();
        if self.len >= grow_at(homes) / 2 {
            homes = grown(homes, self.phase);
        }
        let mut spare = newest.total() - newest.homes();
        let rebuilt = loop {
            // Ends: with a spare bucket for each element there is room, wherever they belong.
            spare = spare.saturating_mul(2).saturating_add(1);
            let mut array = Array::new(homes, spare);
            if self.copy_into(&mut array, rehash) {
                break array;
            }
        };
        let current = std::mem::replace(&mut self.current, rebuilt);
        let next = std::mem::replace(&mut self.next, Array::none());
        self.frontier = 0;
        self.consumed = 0;
        self.publish();
        self.retire(current);
        self.retire(next);
    }

    fn copy_into(&self, array: &mut Array, rehash: &impl Fn(Raw) -> u64) -> bool {
        [(&self.next, 0), (&self.current, self.consumed)]
            .into_iter()
            .all(|(from, first)| {
                from.elements_from(first)
                    .all(|raw| array.put(rehash(raw) as u32, raw))
            })
    }

    /// After any change of the arrays: sets the limits, tells the views.
    pub(super) fn publish(&mut self) {
        if self.is_resizing() {
            // Every insertion and every removal shall do its share.
            self.grow_at = 0;
            self.shrink_at = usize::MAX;
        } else {
            self.grow_at = if self.current.has_memory() {
                grow_at(self.current.homes())
            } else {
                0
            };
            self.shrink_at = shrink_at(self.current.homes());
        }
        if let Some(shared) = &self.shared {
            shared.publish(&self.current, &self.next, self.frontier);
        }
    }

    /// Frees an array that is no longer published: at once if there is no view, else when no view
    /// can be reading it.
    pub(super) fn retire(&mut self, array: Array) {
        if !array.has_memory() {
            return;
        }
        if self
            .shared
            .as_mut()
            .is_some_and(|shared| std::sync::Arc::<Shared>::get_mut(shared).is_none())
        {
            let guard = crossbeam_epoch::pin();
            guard.defer(move || drop(array));
            // Do not let up to 64 arrays gather in this thread's bag.
            guard.flush();
        }
    }

    /// The largest hash so far that is looked up in `next`, plus one.
    pub(super) fn frontier(&self) -> u64 {
        debug_assert!(self.frontier <= HASH_END);
        self.frontier
    }
}
