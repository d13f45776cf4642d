//! An array of buckets in hash order.
//!
//! **Positions.** A hash `h` (32 bits) belongs into bucket `position * homes >> 32`, its *home*,
//! where `position` is `h` with only its upper `precision` bits kept. The map is monotonic: buckets
//! are sorted by hash, whatever their number. A full home spills into the buckets behind it; an
//! element is never behind a bucket that is not full. Behind the last home are some spare buckets.
//!
//! **Tags.** A slot keeps the low [`TAG_BITS`] bits of the position. The bucket it is found in says
//! the rest, so a resize and a scan read no elements. That works as long as an element cannot have
//! come farther than a tag's period (2^20 positions), which the start of its *run* tells, the full
//! buckets before it. Runs of 100 and more buckets occur in an array that is 90 % full, but few
//! elements are in one. So precision is chosen such that the period is 64 buckets at least: 20 bits
//! for less than 1024 buckets (the tag is the whole position), 24 below 16 384, 28 below 262 144,
//! then 32. A bucket is then at least 1024 positions wide: a look-up meets a wrong element with the
//! right tag once in 150 times at worst, once in some thousand on average. Where an element may
//! have come farther, or a finer precision is needed, the caller's `rehash` is asked for its hash.

use std::ptr::NonNull;

use super::Raw;
use super::bucket::{Bucket, SLOTS, TAG_BITS, TAG_MASK, tag_of};
use super::memory::{ARENA_MIN, CACHE_LINE, Memory, usable_size};

/// What a table without memory points to; never written.
static NO_BUCKETS: Bucket = Bucket::new();

/// The period of a tag is this many buckets at least (its logarithm).
const PERIOD_BUCKETS_LOG2: u32 = 6;

/// One past the largest hash.
pub(super) const HASH_END: u64 = 1 << 32;

/// How hashes map to the buckets of an array. A view has a copy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Geometry {
    /// Buckets that are the home of hashes.
    pub(super) homes: u32,
    /// Low bits of a hash that the array does not know: 32 - precision.
    pub(super) shift: u32,
}

impl Geometry {
    pub(super) fn new(homes: u32) -> Geometry {
        let steps = homes.max(1).ilog2().saturating_sub(PERIOD_BUCKETS_LOG2) / 4;
        let precision = (TAG_BITS + 4 * steps).min(32);
        Geometry {
            homes,
            shift: 32 - precision,
        }
    }

    /// The hash without the bits that the array does not know.
    #[inline(always)]
    pub(super) fn truncate(self, hash: u32) -> u32 {
        hash & (u32::MAX << self.shift)
    }

    /// The home and the tag of a hash. The home is less than `homes`.
    #[inline(always)]
    pub(super) fn locate(self, hash: u32) -> (u32, u32) {
        let home = (u64::from(self.truncate(hash)) * u64::from(self.homes)) >> 32;
        (home as u32, (hash >> self.shift) & TAG_MASK)
    }

    /// The first hash that belongs into this bucket or behind.
    #[inline]
    pub(super) fn start(self, bucket: u32) -> u64 {
        if bucket >= self.homes {
            return HASH_END;
        }
        (u64::from(bucket) << (32 - self.shift)).div_ceil(u64::from(self.homes)) << self.shift
    }
}

pub(super) struct Array {
    base: NonNull<Bucket>,
    geometry: Geometry,
    /// All buckets: homes and spare ones.
    total: u32,
    /// Buckets after which tags repeat.
    period: u32,
    memory: Option<Memory>,
}

// SAFETY: an `Array` owns its buckets; `base` points into `memory` or to a static of atomics.
unsafe impl Send for Array {}
// SAFETY: through `&Array` buckets are only read, or written as atomics.
unsafe impl Sync for Array {}

impl Array {
    /// The array of a table that owns no memory. Nothing may be put into it.
    pub(super) fn none() -> Array {
        let geometry = Geometry::new(1);
        let base = NonNull::from(&NO_BUCKETS);
        Array {
            base,
            geometry,
            total: 1,
            period: u32::MAX,
            memory: None,
        }
    }

    /// An empty array. Spare buckets beyond `spare` fill the memory's last page.
    pub(super) fn new(homes: u32, spare: u32) -> Array {
        let total = u64::from(homes) + u64::from(spare);
        let bytes = usable_size(total as usize * CACHE_LINE);
        let mut memory = Memory::zeroed(bytes);
        memory.set_zeroed(false);
        let geometry = Geometry::new(homes);
        let width = (1u64 << (32 - geometry.shift)).div_ceil(u64::from(homes));
        // Where a tag is the whole position there is nothing to lose.
        let period = match 32 - geometry.shift == TAG_BITS {
            true => u32::MAX,
            false => ((1u64 << TAG_BITS) / width) as u32,
        };
        Array {
            base: memory.base().cast(),
            geometry,
            total: u32::try_from(bytes / CACHE_LINE).unwrap_or(u32::MAX),
            period,
            memory: Some(memory),
        }
    }

    /// Spare buckets for an array of so many homes. With 8 of them one resize in 10^5 finds them
    /// too few (at a load of 0.9) and falls back to a rebuild.
    pub(super) fn default_spare(homes: u32) -> u32 {
        (homes / 8).min(8)
    }

    /// Homes, with the default spare buckets behind them, rounded up to what fills the memory's
    /// last page.
    pub(super) fn fill_pages(homes: u32) -> u32 {
        let total = (homes + Self::default_spare(homes)) as usize * CACHE_LINE;
        homes + ((usable_size(total) - total) / CACHE_LINE) as u32
    }

    pub(super) fn geometry(&self) -> Geometry {
        self.geometry
    }

    pub(super) fn base(&self) -> NonNull<Bucket> {
        self.base
    }

    pub(super) fn homes(&self) -> u32 {
        self.geometry.homes
    }

    pub(super) fn total(&self) -> u32 {
        self.total
    }

    pub(super) fn has_memory(&self) -> bool {
        self.memory.is_some()
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.memory.as_ref().map_or(0, Memory::resident_bytes)
    }

    /// The buckets before this one are empty and will stay so.
    pub(super) fn release_before(&mut self, bucket: u32) {
        if let Some(memory) = &mut self.memory {
            memory.release_head(bucket as usize * CACHE_LINE);
        }
    }

    /// Every slot was set to zero by the owner.
    pub(super) fn set_zeroed(&mut self) {
        if let Some(memory) = &mut self.memory {
            memory.set_zeroed(true);
        }
    }

    /// The bucket of this number, which must be less than [`Array::total`].
    #[inline(always)]
    pub(super) fn bucket(&self, number: u32) -> &Bucket {
        debug_assert!(number < self.total);
        // SAFETY: `base` points to `total` buckets, alive as long as `self` (`memory`, or a
        // static). Every caller in this module passes a home (`Geometry::locate`: less than
        // `homes`, which is at most `total`) or a number it compared with `total`.
        unsafe { self.base.add(number as usize).as_ref() }
    }

    /// Has the home of a hash loaded.
    #[inline]
    pub(super) fn prefetch(&self, hash: u32) {
        let (home, _) = self.geometry.locate(hash);
        super::prefetch::prefetch_line(self.base.as_ptr().wrapping_add(home as usize).addr());
    }

    /// The element with this hash for which `eq` answers yes, and its bucket and slot.
    #[inline(always)]
    pub(super) fn find(
        &self,
        hash: u32,
        mut eq: impl FnMut(Raw) -> bool,
    ) -> Option<(u32, u32, Raw)> {
        let (mut number, tag) = self.geometry.locate(hash);
        loop {
            let bucket = self.bucket(number);
            let mut matches = bucket.matches(tag);
            while matches != 0 {
                let index = matches.trailing_zeros();
                // With tag 0 the empty slots match too.
                if let Some(raw) = Raw::of_slot(bucket.get(index as usize % SLOTS))
                    && eq(raw)
                {
                    return Some((number, index, raw));
                }
                matches &= matches - 1;
            }
            number += 1;
            if !bucket.is_full() || number == self.total {
                return None;
            }
        }
    }

    /// Puts an element into the first free slot from its home on; false if all are full up to the
    /// array's end.
    #[inline(always)]
    #[must_use]
    pub(super) fn put(&mut self, hash: u32, raw: Raw) -> bool {
        debug_assert!(self.has_memory());
        let (home, tag) = self.geometry.locate(hash);
        let mut number = home;
        let bucket = loop {
            let bucket = self.bucket(number);
            if !bucket.is_full() {
                break bucket;
            }
            number += 1;
            if number == self.total {
                return false;
            }
        };
        bucket.set(bucket.len(), raw.with_tag(tag));
        true
    }

    /// Takes a slot out and pulls elements back that the full bucket had made go farther.
    #[inline]
    pub(super) fn take(&mut self, number: u32, index: usize, rehash: &impl Fn(Raw) -> u64) {
        let bucket = self.bucket(number);
        let was_full = bucket.is_full();
        bucket.remove(index);
        if was_full {
            self.pull_back(number, rehash);
        }
    }

    /// `hole` has lost its eighth slot: an element that spilled over it moves there, if there is
    /// one, and leaves a hole itself.
    fn pull_back(&mut self, mut hole: u32, rehash: &impl Fn(Raw) -> u64) {
        let run_start = self.run_start(hole);
        let mut hole_end = self.geometry.start(hole + 1);
        let mut number = hole + 1;
        while number < self.total {
            let bucket = self.bucket(number);
            let was_full = bucket.is_full();
            let end = self.geometry.start(number + 1);
            let reach = number - run_start;
            let spilled = |slot| u64::from(self.hash_before(end, reach, slot, rehash)) < hole_end;
            if let Some((index, slot)) = bucket.iter().enumerate().find(|&(_, slot)| spilled(slot))
            {
                // First there, then away from here: a view may see it twice, but does not miss it.
                self.bucket(hole).set(SLOTS - 1, slot);
                bucket.remove(index);
                hole = number;
                hole_end = end;
            }
            if !was_full {
                return;
            }
            number += 1;
        }
    }

    /// The first bucket of the run of full buckets before this one, as far as it matters for
    /// [`Array::hash_before`]: no element of this bucket has a home before it.
    #[inline]
    pub(super) fn run_start(&self, number: u32) -> u32 {
        let mut start = number;
        while start > 0 && number - start < self.period && self.bucket(start - 1).is_full() {
            start -= 1;
        }
        start
    }

    /// The hash (truncated) of the element in this slot, whose bucket's hashes end before `end` and
    /// whose home is at most `reach` buckets before it.
    #[inline(always)]
    pub(super) fn hash_before(
        &self,
        end: u64,
        reach: u32,
        slot: u64,
        rehash: &impl Fn(Raw) -> u64,
    ) -> u32 {
        if !self.tells_hashes(reach) {
            return Raw::of_slot(slot).map_or(0, |raw| self.geometry.truncate(rehash(raw) as u32));
        }
        // The largest position below `end` with this tag.
        let last = ((end >> self.geometry.shift) - 1) as u32;
        let position = last.wrapping_sub(last.wrapping_sub(tag_of(slot)) & TAG_MASK);
        position << self.geometry.shift
    }

    /// Whether bucket and tag tell an element's hash, up to the array's precision, if its home is
    /// at most `reach` buckets away.
    #[inline(always)]
    pub(super) fn tells_hashes(&self, reach: u32) -> bool {
        reach < self.period
    }

    /// The elements in this bucket, which must be less than [`Array::total`].
    pub(super) fn elements_of(&self, number: u32) -> impl Iterator<Item = Raw> {
        (0..SLOTS)
            .map(move |index| self.bucket(number).get(index))
            .filter_map(Raw::of_slot)
    }

    /// The elements from this bucket on. Finds them also where a resize stopped amid a bucket.
    pub(super) fn elements_from(&self, first: u32) -> impl Iterator<Item = Raw> {
        let slots = move |number| (0..SLOTS).map(move |index| self.bucket(number).get(index));
        (first..self.total).flat_map(slots).filter_map(Raw::of_slot)
    }
}

const _: () = assert!(size_of::<Bucket>() == CACHE_LINE && align_of::<Bucket>() == CACHE_LINE);
const _: () = assert!(ARENA_MIN.is_multiple_of(CACHE_LINE));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn homes_are_ordered_and_agree_with_their_starts() {
        for homes in [
            1,
            2,
            3,
            7,
            255,
            256,
            1000,
            4095,
            4096,
            70_000,
            1 << 20,
            (1 << 24) + 5,
        ] {
            let geometry = Geometry::new(homes);
            assert_eq!(geometry.start(0), 0);
            assert_eq!(geometry.start(homes), HASH_END);
            assert_eq!(geometry.locate(0).0, 0);
            assert_eq!(geometry.locate(u32::MAX).0, homes - 1);
            for bucket in (1..homes).step_by(homes as usize / 50 + 1) {
                let start = geometry.start(bucket);
                assert_eq!(geometry.locate(start as u32).0, bucket);
                assert_eq!(geometry.locate(start as u32 - 1).0, bucket - 1);
            }
        }
    }

    #[test]
    fn a_bucket_and_a_tag_tell_the_hash() {
        let no_rehash = |_: Raw| -> u64 { panic!("the hash is known") };
        let raw = Raw::new(NonNull::new(std::ptr::without_provenance_mut(64)).unwrap());
        for homes in [1, 5, 255, 256, 4096, 65_536, 100_000] {
            let array = Array::new(homes, 8);
            let geometry = array.geometry;
            for step in 0..10_000u32 {
                let hash = step.wrapping_mul(0x9e37_79b9);
                let (home, tag) = geometry.locate(hash);
                let slot = raw.with_tag(tag);
                for reach in [0, 1, 12, array.period - 1] {
                    let end = geometry.start((home + 1).saturating_add(reach));
                    assert_eq!(
                        array.hash_before(end, reach, slot, &no_rehash),
                        geometry.truncate(hash),
                        "{homes} {reach}"
                    );
                }
            }
        }
    }
}
