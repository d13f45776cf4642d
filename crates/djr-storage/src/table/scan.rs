//! Going through a table: in the order of hashes with a cursor, at once, at random.

use super::Table;
use super::array::{Array, HASH_END};
use super::bucket::{Bucket, Raw, SLOTS};
use super::prefetch::prefetch_line;

/// Attempts of [`Table::random`] to hit a used slot before it looks for the next one instead.
const RANDOM_ATTEMPTS: usize = 100;

impl Table {
    /// Hands the elements of the bucket at `cursor` to `f` (none to about eight) and returns the
    /// cursor to go on with; 0 begins, and 0 is returned at the end.
    ///
    /// A cursor is the next hash to visit (its low 32 bits; below 2^32). An element that is in the
    /// table from the first call to the last is returned exactly once, whatever is inserted,
    /// removed or resized between the calls; others at most once, unless they were inserted anew.
    #[inline]
    pub fn scan(&self, cursor: u64, rehash: &impl Fn(Raw) -> u64, mut f: impl FnMut(Raw)) -> u64 {
        self.visit(cursor, rehash, |_, _, _, raw| f(raw))
    }

    /// Has the elements of the bucket behind that at `cursor` loaded into the cache, so many bytes of each, for a scan that is about to come there.
    /// An array of a later size may be where they are: then it was in vain.
    #[inline]
    pub fn prefetch_behind(&self, cursor: u64, bytes: usize) {
        const LINE: usize = 64;
        let Ok(from) = u32::try_from(cursor) else {
            return;
        };
        let array = self.array(self.is_in_next(from));
        let (home, _) = array.geometry().locate(from);
        if home + 2 < array.total() {
            // The line of the bucket that comes next in this way.
            prefetch_line(std::ptr::from_ref(array.bucket(home + 2)).addr());
            for raw in array.bucket(home + 1).iter().filter_map(Raw::of_slot) {
                for line in 0..bytes.div_ceil(LINE) {
                    prefetch_line(raw.address() + line * LINE);
                }
            }
        }
    }

    /// As [`Table::scan`], for moving blocks: where `f` returns an address the element is replaced
    /// by it. The new block must be equal to the old one.
    pub fn scan_replace(
        &mut self,
        cursor: u64,
        rehash: &impl Fn(Raw) -> u64,
        mut f: impl FnMut(Raw) -> Option<Raw>,
    ) -> u64 {
        self.visit(cursor, rehash, |bucket, index, slot, raw| {
            if let Some(new) = f(raw) {
                bucket.set(index, new.with_tag(super::bucket::tag_of(slot)));
            }
        })
    }

    fn visit(
        &self,
        cursor: u64,
        rehash: &impl Fn(Raw) -> u64,
        mut f: impl FnMut(&Bucket, usize, u64, Raw),
    ) -> u64 {
        let Ok(from) = u32::try_from(cursor) else {
            return 0;
        };
        let in_next = self.is_in_next(from);
        let array = self.array(in_next);
        let geometry = array.geometry();
        let (home, _) = geometry.locate(from);
        let home_end = geometry.start(home + 1);
        // Whatever is not moved yet is visited where it is.
        let end = if in_next {
            home_end.min(self.frontier())
        } else {
            home_end
        };
        // A cursor given out by a finer array may lie amid the hashes that this one does not tell
        // apart.
        let first = geometry.truncate(from);
        let is_due = |hash: u32, raw: Raw| {
            let is_later = if hash == first && first != from {
                rehash(raw) as u32 >= from
            } else {
                hash >= first
            };
            is_later && u64::from(hash) < end
        };
        let mut number = home;
        let run_start = array.run_start(home);
        while number < array.total() {
            let bucket = array.bucket(number);
            let bucket_end = geometry.start(number + 1);
            for index in 0..SLOTS {
                let slot = bucket.get(index);
                let Some(raw) = Raw::of_slot(slot) else { break };
                if is_due(
                    array.hash_before(bucket_end, number - run_start, slot, rehash),
                    raw,
                ) {
                    f(bucket, index, slot, raw);
                }
            }
            if !bucket.is_full() {
                break;
            }
            number += 1;
        }
        if end == HASH_END { 0 } else { end }
    }

    /// All elements, in no useful order.
    pub fn iter(&self) -> impl Iterator<Item = Raw> {
        self.next
            .elements_from(0)
            .chain(self.current.elements_from(self.consumed))
    }

    /// A random element, each with the same probability, given random bits; none if the table is
    /// empty.
    ///
    /// Slots are drawn until one is used: once or twice in a table that is full as usual. Only if a
    /// hundred draws fail (which happens when most elements were removed and the table has not
    /// shrunk yet) the next used slot is taken, which favours those after a gap.
    pub fn random(&self, seed: u64) -> Option<Raw> {
        if self.len == 0 {
            return None;
        }
        let unmoved = u64::from(self.current.total() - self.consumed);
        let buckets = unmoved
            + if self.is_resizing() {
                u64::from(self.next.total())
            } else {
                0
            };
        let slots = buckets * SLOTS as u64;
        let mut state = seed;
        let mut draw = || {
            // splitmix64
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            let bits = mixed ^ (mixed >> 31);
            ((u128::from(bits) * u128::from(slots)) >> 64) as u64
        };
        let element = |number: u64| {
            let (bucket, index) = (number / SLOTS as u64, number as usize % SLOTS);
            let (array, bucket): (&Array, u64) = match bucket.checked_sub(unmoved) {
                None => (&self.current, u64::from(self.consumed) + bucket),
                Some(bucket) => (&self.next, bucket),
            };
            Raw::of_slot(array.bucket(bucket as u32).get(index))
        };
        let mut number = 0;
        for _ in 0..RANDOM_ATTEMPTS {
            number = draw();
            if let Some(raw) = element(number) {
                return Some(raw);
            }
        }
        (number..slots).chain(0..number).find_map(element)
    }
}
