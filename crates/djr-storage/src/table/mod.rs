//! The hash table: of the keyspace's shards, and of the members of hashes, sets and sorted sets.
//!
//! It maps 64-bit hashes to [`Raw`] addresses of the caller's blocks (entries, members). It owns no
//! block and never follows an address: equality and re-hashing are closures. Only the low 32 bits
//! of a hash are used; the high ones are left to choose a shard.
//!
//! | part | what |
//! |---|---|
//! | `bucket` | one cache line: eight slots of eight bytes, each an address and 20 bits of hash |
//! | `array` | buckets sorted by hash; look-up, insertion, removal in one array |
//! | `resize` | growing and shrinking in steps, behind a frontier |
//! | `scan` | cursors, iteration, random elements |
//! | `view` | prefetching without the lock |
//! | `detached` | what a table held, taken out of it at once |
//! | `memory` | where arrays come from: huge pages, and back to the system |
//!
//! # Why in this way
//! - **Sorted by hash**: the number of buckets is arbitrary, so tables grow by an eighth and are 80
//!   to 90 % full: 8.9 to 9.9 bytes per element, where doubling would take 9 to 18. A resize is one
//!   sequential pass, and needs no second look-up. A scan's cursor is simply the next hash to
//!   visit, so whatever resizes happen, each element that stays is returned exactly once.
//! - **Tags of 20 bits**: a look-up compares eight tags at once and follows a wrong address once in
//!   some thousand times. Place and tag together are the hash, so moving an element does not read
//!   it.
//! - **No tombstones**: a removal from a full bucket pulls back what had spilled, so the table
//!   never wears out.
//! - **No insertion at a found place**: [`Table::insert`] after a [`Table::find`] that found
//!   nothing goes to a bucket that is in the L1 cache; remembering the place would save a
//!   multiplication, and could be stale.
//! - **SSE2 for the owner, words for views**: comparing eight tags at once saves 4 to 5 of 16 ns of a
//!   look-up in cached memory; views must read atomics, which are words.
//!
//! # Worst cases
//! Elements with the same 32 bits are found by `eq` one after the other, as in a chain. Thousands
//! of them make a run of full buckets, which others in this range of hashes must cross too. The
//! hash must be seeded against that; the table stays correct in any case.
#![allow(unsafe_code)]
// Unsafe is: memory from the system, buckets addressed without bounds check in the look-up, SSE2
// loads, and reads by views.

mod array;
mod bucket;
mod check;
mod detached;
mod memory;
mod prefetch;
mod resize;
mod scan;
#[cfg(test)]
mod tests;
mod view;

use std::sync::Arc;

use array::Array;
pub use bucket::Raw;
use bucket::SLOTS;
pub use detached::Detached;
pub use memory::tend_memory;
pub(crate) use prefetch::prefetch_line;
pub use view::{EpochGuard, Home, TableView};

/// Hash table of addresses. See the [module](self) for its design.
///
/// Every method that may move elements takes `rehash`: the 64-bit hash of an element, read from the
/// block. It is called rarely: for all elements in three of all resizes of a growing table (where
/// the hash gets finer), else for a few in long runs of full buckets. The elements' blocks must be
/// readable then, the one being removed excepted.
pub struct Table {
    current: Array,
    /// What `current` is being moved to, while a resize is on.
    next: Array,
    /// Hashes below are in `next`; 0 while no resize is on.
    frontier: u64,
    /// Buckets of `current` that were moved.
    consumed: u32,
    len: usize,
    /// An insertion looks to resizing first if `len` is this or more.
    grow_at: usize,
    /// A removal looks to resizing if `len` is below.
    shrink_at: usize,
    /// Where in the cycle of sizes this table is, as a fraction of 2^32.
    phase: u32,
    /// For the views; made with the first one.
    shared: Option<Arc<view::Shared>>,
}

/// Where an element was found. Good until the next insertion, removal or resize step.
#[derive(Clone, Copy, Debug)]
pub struct Slot {
    raw: Raw,
    bucket: u32,
    index: u8,
    in_next: bool,
}

impl Slot {
    /// The element.
    #[inline(always)]
    pub fn raw(self) -> Raw {
        self.raw
    }
}

impl Default for Table {
    fn default() -> Table {
        Table::new()
    }
}

impl Table {
    /// An empty table; owns no memory yet.
    pub fn new() -> Table {
        Table::with_phase(0)
    }

    /// An empty table that grows at other sizes than tables of another phase do. `phase` is a
    /// fraction of 2^32: tables that fill alike and whose phases are spread evenly (shards) do not
    /// all grow, and hold two arrays, at the same time.
    pub fn with_phase(phase: u32) -> Table {
        let (current, next) = (Array::none(), Array::none());
        let mut table = Table {
            current,
            next,
            frontier: 0,
            consumed: 0,
            len: 0,
            grow_at: 0,
            shrink_at: 0,
            phase,
            shared: None,
        };
        table.publish();
        table
    }

    /// An empty table with room for so many elements.
    pub fn with_capacity(elements: usize) -> Table {
        let mut table = Table::new();
        table.reserve(elements, &|_| 0);
        table
    }

    /// Number of elements.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no elements.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes that the table itself takes, its arrays included, without the elements' blocks.
    pub fn memory_bytes(&self) -> usize {
        let shared = self
            .shared
            .as_ref()
            .map_or(0, |_| size_of::<view::Shared>() + 2 * size_of::<usize>());
        size_of::<Table>() + shared + self.current.memory_bytes() + self.next.memory_bytes()
    }

    /// A handle for prefetching without the table's lock.
    pub fn view(&mut self) -> TableView {
        let Table {
            current,
            next,
            frontier,
            ..
        } = self;
        let shared = self
            .shared
            .get_or_insert_with(|| Arc::new(view::Shared::new(current, next, *frontier)));
        TableView::new(Arc::clone(shared))
    }

    /// The element with this hash for which `eq` answers yes. `eq` is asked about elements whose
    /// hashes agree in 20 bits and more.
    #[inline(always)]
    pub fn find(&self, hash: u64, eq: impl FnMut(Raw) -> bool) -> Option<Slot> {
        let hash = hash as u32;
        let in_next = self.is_in_next(hash);
        let (bucket, index, raw) = self.array(in_next).find(hash, eq)?;
        Some(Slot {
            raw,
            bucket,
            index: index as u8,
            in_next,
        })
    }

    /// Has the bucket loaded in which an element with this hash would be first.
    #[inline]
    pub fn prefetch(&self, hash: u64) {
        let hash = hash as u32;
        self.array(self.is_in_next(hash)).prefetch(hash);
    }

    /// Puts another block in the place of one just found: of the same hash and equal to it. Returns
    /// the old one.
    ///
    /// # Panics
    /// If the slot is out of date and does not hold what it did.
    #[inline]
    pub fn replace(&mut self, slot: Slot, raw: Raw) -> Raw {
        let old = self.checked(slot);
        let array = self.array(slot.in_next);
        array
            .bucket(slot.bucket)
            .set(usize::from(slot.index), raw.with_tag(bucket::tag_of(old)));
        slot.raw
    }

    /// Adds an element. The caller knows that there is no equal one.
    #[inline]
    pub fn insert(&mut self, hash: u64, raw: Raw, rehash: &impl Fn(Raw) -> u64) {
        let hash = hash as u32;
        if self.len >= self.grow_at {
            self.before_insert(rehash);
        }
        while !self.put(hash, raw) {
            self.rebuild(rehash);
        }
        self.len += 1;
    }

    /// Takes out the element with this hash for which `eq` answers yes.
    #[inline]
    pub fn remove(
        &mut self,
        hash: u64,
        eq: impl FnMut(Raw) -> bool,
        rehash: &impl Fn(Raw) -> u64,
    ) -> Option<Raw> {
        let slot = self.find(hash, eq)?;
        Some(self.remove_slot(slot, rehash))
    }

    /// Takes out an element just found.
    ///
    /// # Panics
    /// If the slot is out of date and does not hold what it did.
    #[inline]
    pub fn remove_slot(&mut self, slot: Slot, rehash: &impl Fn(Raw) -> u64) -> Raw {
        self.checked(slot);
        let array = if slot.in_next {
            &mut self.next
        } else {
            &mut self.current
        };
        array.take(slot.bucket, usize::from(slot.index), rehash);
        self.len -= 1;
        if self.len < self.shrink_at {
            self.after_remove(rehash);
        }
        slot.raw
    }

    /// Removes all elements and frees the memory. The caller owns the elements' blocks and has
    /// taken care of them.
    pub fn clear(&mut self) {
        self.drain(|_| {});
    }

    /// Removes all elements, handing each to `f`, and frees the memory.
    pub fn drain(&mut self, f: impl FnMut(Raw)) {
        let current = std::mem::replace(&mut self.current, Array::none());
        let next = std::mem::replace(&mut self.next, Array::none());
        let consumed = std::mem::take(&mut self.consumed);
        self.frontier = 0;
        self.len = 0;
        self.publish();
        current
            .elements_from(consumed)
            .chain(next.elements_from(0))
            .for_each(f);
        self.retire(current);
        self.retire(next);
    }

    #[inline(always)]
    fn is_in_next(&self, hash: u32) -> bool {
        u64::from(hash) < self.frontier
    }

    #[inline(always)]
    fn array(&self, in_next: bool) -> &Array {
        if in_next { &self.next } else { &self.current }
    }

    #[inline(always)]
    fn put(&mut self, hash: u32, raw: Raw) -> bool {
        let array = if self.is_in_next(hash) {
            &mut self.next
        } else {
            &mut self.current
        };
        array.put(hash, raw)
    }

    /// The content of the slot, which must still be what was found.
    #[inline(always)]
    fn checked(&self, slot: Slot) -> u64 {
        let array = self.array(slot.in_next);
        assert!(slot.bucket < array.total());
        let content = array
            .bucket(slot.bucket)
            .get(usize::from(slot.index) % SLOTS);
        assert!(
            Raw::of_slot(content) == Some(slot.raw),
            "a slot of a table was used after a change"
        );
        content
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        // Views may outlive the table: they must not find freed memory.
        self.clear();
    }
}
