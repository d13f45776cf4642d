//! Members, each with a payload: what big sets, hashes and sorted sets are made of.
//!
//! ```text
//!   Table (buckets sorted by hash) ──► block: ┌────────────┬─────────────────────┬────────┬─────────┐
//!                                             │ member len │ payload len, flag   │ member │ payload │
//!   Region (arena/region.rs) ─ cuts blocks    └────────────┴─────────────────────┴────────┴─────────┘
//!                                               varint       varint, only if the
//!                                                            payload's size varies
//! ```
//!
//! - No operation pays for all members, whatever their number: the table is resized in steps, memory is tidied up in steps
//!   ([`Dictionary::tidy_step`]), dropping frees chunks and never looks at a member.
//! - A block stays where it is until its member is removed, gets a payload of another size, or is moved by
//!   [`Dictionary::tidy_step`], which says so. Whoever keeps [`Handle`]s (the tree of a sorted set) relies on that.
//! - Members are hashed with a process-wide seed ([`seed_member_hashes`]), so that nobody can choose members that collide, and so
//!   that going through one dictionary and looking up in another walks both in the same order.
#![allow(unsafe_code)]
// Unsafe is: blocks whose layout only this module knows, addressed by the table's untyped elements. With safe means each member
// would be an allocation of its own.

mod block;
mod hasher;
mod keep;
mod payload;
#[cfg(test)]
mod tests;

use std::marker::PhantomData;

use super::kept;
use crate::arena::region::Region;
use crate::table::{Raw, Slot, Table, prefetch_line};
use crate::types::RELOCATED_DICTIONARY_MAX;

use super::prefetch_value;
use block::Shape;
pub use block::{Entry, Handle};
pub use hasher::{member_hash, seed_member_hashes};
use keep::Keep;
pub use keep::WriteEntry;
pub use payload::{Payload, PayloadWriter};

/// Empty buckets that a scan passes for each element wanted, so that its step is short where the table is nearly empty.
const SCAN_BUCKETS_PER_ELEMENT: usize = 10;
/// Buckets whose blocks one [`Dictionary::tidy_step`] copies.
const TIDY_STEP_BUCKETS: usize = 8;

/// A set of members (byte strings), each with a payload of type `P`. See the [module](self).
pub struct Dictionary<P: Payload> {
    table: Table,
    region: Region,
    /// While blocks are being copied together: the table's cursor before which it is done.
    tidied: u64,
    /// For a snapshot under way.
    keep: kept::Slot<Keep<P>>,
    _payload: PhantomData<P>,
}

/// What [`Dictionary::upsert`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upserted {
    /// There was no such member, and there is none.
    Absent,
    /// The member is new.
    Inserted(Handle),
    /// The member has got another payload. Its block may be another one than before.
    Replaced(Handle),
    /// The member is as it was.
    Kept(Handle),
}

impl Upserted {
    /// The member's block; none if there is no such member.
    pub fn handle(self) -> Option<Handle> {
        match self {
            Self::Absent => None,
            Self::Inserted(handle) | Self::Replaced(handle) | Self::Kept(handle) => Some(handle),
        }
    }

    /// Whether the member is new.
    pub fn is_inserted(self) -> bool {
        matches!(self, Self::Inserted(_))
    }
}

impl<P: Payload> Dictionary<P> {
    /// An empty dictionary; owns no memory yet.
    pub fn new() -> Self {
        Self::of_table(Table::new())
    }

    /// An empty dictionary whose table has room for so many members.
    pub fn with_capacity(members: usize) -> Self {
        Self::of_table(Table::with_capacity(members))
    }

    fn of_table(table: Table) -> Self {
        Self {
            table,
            region: Region::new(),
            tidied: 0,
            keep: kept::Slot::EMPTY,
            _payload: PhantomData,
        }
    }

    /// Number of members.
    #[inline]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there are no members.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Bytes taken, this value itself included. No walk.
    #[inline]
    pub fn memory_bytes(&self) -> usize {
        size_of::<Self>() - size_of::<Table>()
            + self.table.memory_bytes()
            + self.region.held_bytes()
    }

    /// Whether a copy may take its place, to free the memory of this one: it is small, and nobody reads it in steps.
    pub(crate) fn is_relocatable(&self) -> bool {
        !self.keep.is_some() && self.memory_bytes() <= RELOCATED_DICTIONARY_MAX
    }

    /// Has the bucket of a member loaded into the cache, and returns the member's hash; has this itself loaded, if no member is named.
    #[inline]
    pub fn prefetch(&self, member: Option<&[u8]>) -> Option<u64> {
        let Some(member) = member else {
            prefetch_value(self);
            return None;
        };
        let hash = member_hash(member);
        self.table.prefetch(hash);
        Some(hash)
    }

    /// Has the member of this hash loaded, when its bucket has had time to come.
    #[inline]
    pub fn prefetch_member(&self, hash: u64) {
        if let Some(slot) = self.table.find(hash, |_| true) {
            prefetch_line(block::base_of(slot.raw()).addr().get());
        }
    }

    /// The member's entry.
    #[inline]
    pub fn get(&self, member: &[u8]) -> Option<Entry<'_, P>> {
        let slot = self.find(member_hash(member), member)?;
        Some(self.entry_of(slot.raw()))
    }

    /// Whether there is such a member.
    #[inline]
    pub fn contains(&self, member: &[u8]) -> bool {
        self.find(member_hash(member), member).is_some()
    }

    /// An entry whose member has this [hash](member_hash), and that `is_it` accepts: for indexes that keep hashes instead of members.
    pub fn find_hashed(
        &self,
        hash: u64,
        mut is_it: impl FnMut(Entry<'_, P>) -> bool,
    ) -> Option<Entry<'_, P>> {
        let slot = self.table.find(hash, |raw| {
            let entry = self.entry_of(raw);
            member_hash(entry.member()) == hash && is_it(entry)
        })?;
        Some(self.entry_of(slot.raw()))
    }

    /// Adds a member, or gives it another payload.
    #[inline]
    pub fn insert(&mut self, member: &[u8], payload: P::Value<'_>) -> Upserted {
        self.upsert(member, |_| Some(payload))
    }

    /// Adds a member if there is none such; whether it did.
    #[inline]
    pub fn insert_new(&mut self, member: &[u8], payload: P::Value<'_>) -> bool {
        self.upsert(member, |present| present.is_none().then_some(payload))
            .is_inserted()
    }

    /// Looks the member up and lets `decide`, given its entry if there is one, name its (new) payload; `None` changes nothing.
    ///
    /// A payload of the same size is written into the present block; the handle remains the same.
    #[inline]
    pub fn upsert<'v>(
        &mut self,
        member: &[u8],
        decide: impl FnOnce(Option<Entry<'_, P>>) -> Option<P::Value<'v>>,
    ) -> Upserted {
        let hash = member_hash(member);
        match self.find(hash, member) {
            Some(slot) => match decide(Some(self.entry_of(slot.raw()))) {
                Some(payload) => Upserted::Replaced(self.replace(slot, member, payload)),
                None => Upserted::Kept(Handle(slot.raw())),
            },
            None => match decide(None) {
                Some(payload) => {
                    let raw = self.new_block(Shape::of::<P>(member, payload), member, payload);
                    self.table.insert(hash, raw, &Self::rehash);
                    self.added(member);
                    Upserted::Inserted(Handle(raw))
                }
                None => Upserted::Absent,
            },
        }
    }

    /// Removes a member; whether there was one.
    #[inline]
    pub fn remove(&mut self, member: &[u8]) -> bool {
        self.remove_with(member, |_| ()).is_some()
    }

    /// Removes a member, after `look` has seen its entry for the last time.
    #[inline]
    pub fn remove_with<R>(
        &mut self,
        member: &[u8],
        look: impl FnOnce(Entry<'_, P>) -> R,
    ) -> Option<R> {
        let slot = self.find(member_hash(member), member)?;
        let seen = look(self.entry_of(slot.raw()));
        self.remove_slot(slot);
        Some(seen)
    }

    /// The entry of a handle.
    ///
    /// # Safety
    /// The handle is of a member of this dictionary that has not been removed, replaced (with a payload of another size) or moved
    /// since the dictionary gave it out.
    #[inline]
    pub unsafe fn at(&self, handle: Handle) -> Entry<'_, P> {
        self.entry_of(handle.0)
    }

    /// Removes the member of a handle.
    ///
    /// # Safety
    /// As for [`at`](Self::at).
    pub unsafe fn remove_at(&mut self, handle: Handle) {
        let hash = Self::rehash(handle.0);
        if let Some(slot) = self.table.find(hash, |raw| raw == handle.0) {
            self.remove_slot(slot);
        }
    }

    /// All entries, in the order of their hashes.
    pub fn iter(&self) -> impl Iterator<Item = Entry<'_, P>> {
        self.table.iter().map(|raw| self.entry_of(raw))
    }

    /// Hands at least `count` entries from the cursor on to `visit` (fewer where the table is nearly empty or ends) and returns the
    /// cursor to go on with. 0 begins; 0 is returned at the end. Whatever changes between the calls: a member that is there from the first call to the
    /// last is visited exactly once.
    pub fn scan<'a>(
        &'a self,
        cursor: u64,
        count: usize,
        mut visit: impl FnMut(Entry<'a, P>),
    ) -> u64 {
        let (mut cursor, mut seen) = (cursor, 0);
        for _ in 0..count.max(1).saturating_mul(SCAN_BUCKETS_PER_ELEMENT) {
            cursor = self.table.scan(cursor, &Self::rehash, |raw| {
                seen += 1;
                visit(self.entry_of(raw));
            });
            if cursor == 0 || seen >= count {
                break;
            }
        }
        cursor
    }

    /// A random entry, each with the same probability, given random bits; none if there are no members.
    pub fn random(&self, bits: u64) -> Option<Entry<'_, P>> {
        self.table.random(bits).map(|raw| self.entry_of(raw))
    }

    /// Keeps the members for which `keep` answers yes. Looks at all of them.
    pub fn retain(&mut self, mut keep: impl FnMut(Entry<'_, P>) -> bool) {
        let doomed: Vec<Raw> = self
            .iter()
            .filter(|entry| !keep(*entry))
            .map(|entry| entry.handle().0)
            .collect();
        for raw in doomed {
            if let Some(slot) = self.table.find(Self::rehash(raw), |element| element == raw) {
                self.remove_slot(slot);
            }
        }
    }

    /// Goes on with tidying up memory, if much of what is held is unused: moves some blocks. To be called after each change
    /// or each removal at least. `moved` is told the former handle and the entry in its new place.
    #[inline]
    pub fn tidy_step(&mut self, moved: impl FnMut(Handle, Entry<'_, P>)) {
        if self.region.is_compacting() || self.region.is_sparse() {
            self.tidy(moved);
        }
    }

    #[cold]
    fn tidy(&mut self, mut moved: impl FnMut(Handle, Entry<'_, P>)) {
        if !self.region.is_compacting() {
            self.region.begin_compaction();
            self.tidied = 0;
        }
        let Self {
            table,
            region,
            tidied,
            ..
        } = self;
        for _ in 0..TIDY_STEP_BUCKETS {
            // Blocks that were made since the beginning are copied once more: telling them apart would cost each block a bit.
            *tidied = table.scan_replace(*tidied, &Self::rehash, |raw| {
                // SAFETY: an element of the table, alive; copied whole into a block of its size.
                let new = unsafe {
                    let (base, size) = block::base_and_size::<P>(raw);
                    if !Region::is_small(size) {
                        return None;
                    }
                    let new = region.alloc(size);
                    new.copy_from_nonoverlapping(base, size);
                    region.free(base, size);
                    new
                };
                // SAFETY: the block just made, alive until the closure returns.
                moved(Handle(raw), unsafe { Entry::new(new) });
                Some(Raw::new(new))
            });
            if *tidied == 0 {
                // SAFETY: the scan has visited every element that was there when it began.
                unsafe { region.end_compaction() };
                break;
            }
        }
    }

    /// Checks what must hold between two calls. Reads everything.
    ///
    /// # Panics
    /// If something does not hold.
    pub fn check_invariants(&self) {
        self.table.check_invariants(&Self::rehash);
        for entry in self.iter() {
            let found = self.get(entry.member()).map(|found| found.handle());
            assert_eq!(found, Some(entry.handle()));
        }
    }

    #[inline(always)]
    fn find(&self, hash: u64, member: &[u8]) -> Option<Slot> {
        self.table
            .find(hash, |raw| self.entry_of(raw).member_is(member))
    }

    #[inline(always)]
    fn entry_of(&self, raw: Raw) -> Entry<'_, P> {
        // SAFETY: callers pass elements of the table: live blocks of this dictionary, unchanged while `self` is borrowed. (`at`
        // passes on its own promise.)
        unsafe { Entry::new(block::base_of(raw)) }
    }

    fn rehash(raw: Raw) -> u64 {
        // SAFETY: the table asks for elements of its own, which are alive.
        member_hash(unsafe { Entry::<P>::new(block::base_of(raw)) }.member())
    }

    #[inline]
    fn new_block(&mut self, shape: Shape, member: &[u8], payload: P::Value<'_>) -> Raw {
        let base = self.region.alloc(shape.size());
        // SAFETY: a new block of that size.
        unsafe { block::write::<P>(base, shape, member, payload) };
        Raw::new(base)
    }

    fn replace(&mut self, slot: Slot, member: &[u8], payload: P::Value<'_>) -> Handle {
        self.before_change(slot);
        let shape = Shape::of::<P>(member, payload);
        // SAFETY: an element of the table.
        let (base, size) = unsafe { block::base_and_size::<P>(slot.raw()) };
        if Region::is_same_block(size, shape.size()) {
            // SAFETY: the block has room; `&mut self` excludes references into it.
            unsafe { block::write::<P>(base, shape, member, payload) };
            return Handle(slot.raw());
        }
        let new = self.new_block(shape, member, payload);
        self.table.replace(slot, new);
        // SAFETY: the table has no longer an element there.
        unsafe { self.region.free(base, size) };
        Handle(new)
    }

    #[inline]
    fn remove_slot(&mut self, slot: Slot) {
        self.before_change(slot);
        let raw = self.table.remove_slot(slot, &Self::rehash);
        // SAFETY: it was an element until now, and nothing refers to it any more.
        unsafe {
            let (base, size) = block::base_and_size::<P>(raw);
            self.region.free(base, size);
        }
    }
}

impl<P: Payload> Default for Dictionary<P> {
    fn default() -> Self {
        Self::new()
    }
}

impl<P: Payload> Clone for Dictionary<P> {
    fn clone(&self) -> Self {
        let mut clone = Self::with_capacity(self.len());
        for entry in self.iter() {
            clone.insert(entry.member(), entry.payload());
        }
        clone
    }
}

impl<P: Payload> std::fmt::Debug for Dictionary<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dictionary")
            .field("len", &self.len())
            .field("memory_bytes", &self.memory_bytes())
            .finish()
    }
}
