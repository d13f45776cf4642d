//! Checking the structure as a whole, for tests and fuzzers.

use super::Table;
use super::array::Array;
use super::bucket::{Raw, SLOTS, tag_of};

impl Table {
    /// Checks everything that must hold between two calls. Reads the whole table.
    ///
    /// # Panics
    /// If something does not hold.
    pub fn check_invariants(&self, rehash: &impl Fn(Raw) -> u64) {
        let moved = self.next.check(0, rehash, |hash| self.is_in_next(hash));
        let unmoved = self
            .current
            .check(self.consumed, rehash, |hash| !self.is_in_next(hash));
        assert_eq!(moved + unmoved, self.len, "elements in the arrays");
        assert_eq!(
            self.current.elements_from(0).count(),
            unmoved,
            "consumed buckets are empty"
        );
        if !self.is_resizing() {
            assert_eq!(self.frontier, 0);
            assert_eq!(self.consumed, 0);
        }
    }
}

impl Array {
    /// Checks the buckets from `first` on and returns the number of elements there.
    fn check(
        &self,
        first: u32,
        rehash: &impl Fn(Raw) -> u64,
        belongs: impl Fn(u32) -> bool,
    ) -> usize {
        let mut full_from = first;
        let mut elements = 0;
        for number in first..self.total() {
            let bucket = self.bucket(number);
            assert!(
                (bucket.len()..SLOTS).all(|index| bucket.get(index) == 0),
                "used slots come first"
            );
            let end = self.geometry().start(number + 1);
            let reach = number - self.run_start(number);
            for slot in bucket.iter() {
                let raw = Raw::of_slot(slot);
                assert!(raw.is_some(), "a used slot without an address");
                let Some(raw) = raw else { continue };
                let hash = rehash(raw) as u32;
                assert!(
                    belongs(hash),
                    "an element on the wrong side of the frontier"
                );
                let (home, tag) = self.geometry().locate(hash);
                assert_eq!(tag_of(slot), tag, "an element with the tag of another hash");
                assert!(home <= number, "an element before its home");
                assert!(home >= full_from, "a hole between an element and its home");
                assert_eq!(
                    self.hash_before(end, reach, slot, rehash),
                    self.geometry().truncate(hash)
                );
                elements += 1;
            }
            if !bucket.is_full() {
                full_from = number + 1;
            }
        }
        elements
    }
}
