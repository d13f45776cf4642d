//! Changing entries: where table, arena, expiry index, counters and watchers are kept in step.
#![allow(unsafe_code)]

mod expiry;

use std::ptr::NonNull;
use std::sync::atomic::Ordering::Relaxed;

use super::access::Expired;
use super::block::{self, Block, Changed, Facts, NewValue};
use super::hash::{Key, KeyHash, UnixMillis};
use super::keyspace::Keyspace;
use super::shard::{DbCounters, DbShard, Shard, ShardState, base_of, block_of};
use crate::table::{Raw, Slot, Table};
use crate::types::Object;
use crate::value::Value;

/// A shard's part of a db, for changing it. Every change of a key passes here, and through [`before_change`](Self::before_change).
pub(super) struct Part<'a> {
    pub(super) keyspace: &'a Keyspace,
    pub(super) shard: &'a Shard,
    pub(super) state: &'a mut ShardState,
    pub(super) db: u32,
    pub(super) place: usize,
    pub(super) now: UnixMillis,
}

impl<'a> Part<'a> {
    #[inline]
    pub(super) fn find(&self, key: Key<'_>) -> Option<(Slot, Block<'_>)> {
        let slot = self.state.find_slot(self.place, key)?;
        Some((slot, self.block(slot)))
    }

    #[inline]
    pub(super) fn block(&self, slot: Slot) -> Block<'_> {
        // SAFETY: callers found the slot in this part and have changed nothing since; `&self` keeps it unchanged.
        unsafe { block_of(slot.raw()) }
    }

    /// The slot of an entry whose block may have been exchanged for another.
    pub(super) fn found_at(&self, hash: KeyHash, slot: Slot, now: Raw) -> Slot {
        if now == slot.raw() {
            return slot;
        }
        self.state.dbs[self.place]
            .table
            .find(hash.0, |raw| raw == now)
            .unwrap_or(slot)
    }

    /// Called before a key is set, changed in any way, or removed: whoever must know of changes, or needs the old value, gets to know here.
    #[inline]
    fn before_change(&mut self, key: &[u8]) {
        if self.is_watched() && !self.state.quiet {
            self.tell_change(key);
        }
    }

    /// Tells those who want to know of changes that a key is changed.
    #[cold]
    pub(super) fn tell_change(&mut self, key: &[u8]) {
        if !self.state.watchers.is_empty() {
            self.state.watchers.mark(self.db, key);
        }
        if !self.state.waiters.is_empty() {
            let waits = self.keyspace.waits();
            self.state.waiters.mark(waits, self.db, key);
        }
        if self.keyspace.tracking().is_on() {
            self.state.tracked.changed(self.keyspace.tracking(), key);
        }
    }

    /// Whether somebody watches keys of this shard, waits for some, or has cached some. What [`before_change`](Self::before_change) tells of.
    #[inline]
    pub(super) fn is_watched(&self) -> bool {
        !self.state.watchers.is_empty()
            || !self.state.waiters.is_empty()
            || self.keyspace.tracking().is_on()
    }

    #[inline]
    fn before_change_of(&mut self, slot: Slot) {
        if self.is_watched() {
            let key = self.block(slot).key().to_vec();
            self.before_change(&key);
        }
        self.leave(slot);
    }

    /// Before an entry is changed or removed: a snapshot that has not come to it gets its value.
    #[inline]
    pub(super) fn leave(&mut self, slot: Slot) {
        if let Some(cut) = &mut self.state.cut {
            // SAFETY: a live block of this part, to which `&mut self` excludes references.
            unsafe { cut.before_change(self.keyspace, self.place, slot.raw()) };
        }
    }

    /// Adds an entry. The caller knows that there is none of this key.
    pub(super) fn insert(
        &mut self,
        key: Key<'_>,
        clock: u32,
        expire_at: Option<UnixMillis>,
        value: NewValue<'_>,
    ) {
        self.before_change(key.bytes);
        let next_expire = value.next_expire();
        if self.state.dbs.len() <= self.place {
            self.add_dbs();
        }
        let (base, memory) =
            block::create(&mut self.state.arena, key.bytes, clock, expire_at, value);
        let (keyspace, db) = (self.keyspace, &mut self.state.dbs[self.place]);
        // SAFETY: the table asks for elements of its own.
        db.table.insert(key.hash.0, Raw::new(base), &|raw| unsafe {
            keyspace.rehash(block_of(raw))
        });
        if let Some(cut) = &mut self.state.cut {
            // SAFETY: the block just made, to which nothing refers.
            unsafe { cut.added(self.place, key.hash, Raw::new(base)) };
        }
        self.file(key.hash, None, expire_at);
        self.count(1, isize::from(expire_at.is_some()), memory as isize);
        if self.state.counts_classes {
            self.count_class(key.bytes, memory as isize);
        }
        if next_expire.is_some() {
            self.file_parts(key.hash, next_expire);
            self.count_sub_expires(1);
        }
        self.count_index();
    }

    /// Gives clock, deadline and value of an entry anew. Returns its block, for [`found_at`](Self::found_at).
    #[inline]
    pub(super) fn rewrite(
        &mut self,
        hash: KeyHash,
        slot: Slot,
        clock: u32,
        expire_at: Option<UnixMillis>,
        value: NewValue<'_>,
    ) -> Raw {
        self.before_change_of(slot);
        if let (None, NewValue::Inline { bytes, raw }) = (expire_at, &value)
            // SAFETY: as below.
            && unsafe { block::overwrite(base_of(slot.raw()), clock, bytes, *raw) }
        {
            return slot.raw();
        }
        let next_expire = value.next_expire();
        let is_object = matches!(value, NewValue::Object(_));
        // SAFETY: a live block of this arena, to which `&mut self` excludes references; the value comes from outside.
        let changed = unsafe {
            block::rewrite(
                &mut self.state.arena,
                base_of(slot.raw()),
                clock,
                expire_at,
                value,
            )
        };
        if next_expire.is_some() {
            self.file_parts(hash, next_expire);
        }
        let raw = self.changed(hash, slot, changed);
        if is_object && let Some(cut) = &mut self.state.cut {
            // SAFETY: the block that is in the table now, to which `&mut self` excludes references.
            unsafe { cut.arrived(self.place, hash, raw) };
        }
        raw
    }

    /// Sets or clears the deadline of an entry. Returns its block, for [`found_at`](Self::found_at).
    pub(super) fn set_expire_at(
        &mut self,
        hash: KeyHash,
        slot: Slot,
        expire_at: Option<UnixMillis>,
    ) -> Raw {
        self.before_change_of(slot);
        // SAFETY: as in `rewrite`.
        let changed =
            unsafe { block::set_expire_at(&mut self.state.arena, base_of(slot.raw()), expire_at) };
        self.changed(hash, slot, changed)
    }

    /// After an entry's block was changed, perhaps for another: table, index and counters follow.
    #[inline]
    fn changed(
        &mut self,
        hash: KeyHash,
        slot: Slot,
        Changed {
            base,
            before,
            after,
        }: Changed,
    ) -> Raw {
        let raw = Raw::new(base);
        if raw != slot.raw() {
            self.state.dbs[self.place].table.replace(slot, raw);
        }
        if before != after {
            self.file(hash, before.expire_at, after.expire_at);
            let expires =
                isize::from(after.expire_at.is_some()) - isize::from(before.expire_at.is_some());
            let grown = after.memory as isize - before.memory as isize;
            self.count(0, expires, grown);
            if self.state.counts_classes {
                // SAFETY: the block that is in the table now.
                self.count_class(unsafe { block_of(raw) }.key(), grown);
            }
            if before.parts_expire != after.parts_expire {
                self.count_sub_expires(
                    isize::from(after.parts_expire) - isize::from(before.parts_expire),
                );
            }
        }
        raw
    }

    /// Changes a structure in place; the caller knows that it is of this type, and has told the watchers or will. Index and
    /// counters follow. Returns what `change` does, and whether nothing is left in the structure.
    pub(super) fn update<T: Object, R>(
        &mut self,
        hash: KeyHash,
        slot: Slot,
        change: impl FnOnce(&mut T) -> R,
    ) -> Option<(R, bool)> {
        let due = self.block(slot).due();
        // SAFETY: a live block of this arena, to which `&mut self` excludes references.
        let object = unsafe { block::object_mut::<T>(base_of(slot.raw())) }?;
        let before = (object.memory_bytes(), object.next_expire());
        let result = change(object);
        let after = (object.memory_bytes(), object.next_expire());
        let is_vacant = object.is_vacant();
        if before != after {
            self.updated(hash, slot, due, before, after);
        }
        Some((result, is_vacant))
    }

    /// After a structure was changed in place: `due` is when its entry was due before, the others its memory and next deadline.
    fn updated(
        &mut self,
        hash: KeyHash,
        slot: Slot,
        due: Option<UnixMillis>,
        before: (usize, Option<UnixMillis>),
        after: (usize, Option<UnixMillis>),
    ) {
        self.file(hash, due, after.1);
        self.count_of(slot, after.0 as isize - before.0 as isize);
        self.count_sub_expires(isize::from(after.1.is_some()) - isize::from(before.1.is_some()));
    }

    /// Has a structure drop the parts that are past their deadline, `limit` at most, and removes its entry if nothing is left. Tells
    /// what it did. Returns how many went, and whether the entry did.
    pub(super) fn expire_parts(
        &mut self,
        slot: Slot,
        limit: usize,
        on_expired: &mut dyn FnMut(Expired<'_>),
    ) -> (usize, bool) {
        self.before_change_of(slot);
        let key = self.block(slot).key().to_vec();
        let before = (self.block(slot).memory(), self.block(slot).next_expire());
        // SAFETY: a live block of this arena, to which `&mut self` excludes references.
        let count = unsafe {
            block::expire_parts(base_of(slot.raw()), self.now, limit, &mut |field| {
                on_expired(Expired::Field { key: &key, field })
            })
        };
        let block = self.block(slot);
        let (after, removed) = ((block.memory(), block.next_expire()), block.is_vacant());
        self.count_of(slot, after.0 as isize - before.0 as isize);
        self.count_sub_expires(isize::from(after.1.is_some()) - isize::from(before.1.is_some()));
        if removed {
            self.remove(slot);
        }
        if count > 0 {
            on_expired(Expired::Fields { key: &key, removed });
        }
        (count, removed)
    }

    /// Changes the vector of a long string in place; `None` if the value is kept otherwise.
    pub(super) fn modify_heap<R>(
        &mut self,
        slot: Slot,
        change: impl FnOnce(&mut Vec<u8>) -> R,
    ) -> Option<R> {
        self.before_change_of(slot);
        let old = self.block(slot).memory();
        // SAFETY: as in `rewrite`.
        let result = unsafe { block::modify_heap(base_of(slot.raw()), change) }?;
        let new = self.block(slot).memory();
        self.count_of(slot, new as isize - old as isize);
        Some(result)
    }

    /// Changes the bytes of a string in place, its length kept; `None` if the value is kept as an integer.
    pub(super) fn modify_bytes<R>(
        &mut self,
        slot: Slot,
        change: impl FnOnce(&mut [u8]) -> R,
    ) -> Option<R> {
        self.before_change_of(slot);
        // SAFETY: as in `rewrite`.
        unsafe { block::modify_bytes(base_of(slot.raw()), change) }
    }

    /// Removes an entry.
    pub(super) fn remove(&mut self, slot: Slot) {
        let base = self.detach(slot);
        // SAFETY: the block is in no table any more.
        let facts = unsafe { block::free(&mut self.state.arena, base) };
        self.count_removed(facts);
    }

    /// Removes an entry and returns its value.
    pub(super) fn take(&mut self, slot: Slot) -> Value {
        let base = self.detach(slot);
        if let Some(cut) = &mut self.state.cut {
            // SAFETY: the block is in no table any more, and nothing refers to it.
            unsafe { cut.departs(Raw::new(base)) };
        }
        // SAFETY: the block is in no table any more.
        let (value, facts) = unsafe { block::take(&mut self.state.arena, base) };
        self.count_removed(facts);
        value
    }

    fn detach(&mut self, slot: Slot) -> NonNull<u8> {
        self.before_change_of(slot);
        if self.state.counts_classes {
            let block = self.block(slot);
            self.count_class(block.key(), -(block.memory() as isize));
        }
        let (keyspace, db) = (self.keyspace, &mut self.state.dbs[self.place]);
        // SAFETY: the table asks for elements of its own.
        let rehash = |raw| unsafe { keyspace.rehash(block_of(raw)) };
        base_of(db.table.remove_slot(slot, &rehash))
    }

    fn count_removed(&self, facts: Facts) {
        self.count(
            -1,
            -isize::from(facts.expire_at.is_some()),
            -(facts.memory as isize),
        );
        if facts.parts_expire {
            self.count_sub_expires(-1);
        }
        self.count_index();
    }

    /// Makes room for so many more keys.
    pub(super) fn reserve(&mut self, keys: usize) {
        if self.state.dbs.len() <= self.place {
            self.add_dbs();
        }
        let (keyspace, db) = (self.keyspace, &mut self.state.dbs[self.place]);
        // SAFETY: the table asks for elements of its own.
        db.table
            .reserve(keys, &|raw| unsafe { keyspace.rehash(block_of(raw)) });
        self.count_index();
    }

    /// Gives room back that was reserved in vain.
    pub(super) fn fit(&mut self) {
        let keyspace = self.keyspace;
        if let Some(db) = self.state.dbs.get_mut(self.place) {
            // SAFETY: as in `reserve`.
            db.table
                .fit(&|raw| unsafe { keyspace.rehash(block_of(raw)) });
            self.count_index();
        }
    }

    #[cold]
    fn add_dbs(&mut self) {
        let (wanted, phase) = (self.place + 1, self.state.phase);
        let used = &self.keyspace.places_used;
        used.fetch_max(wanted as u32, Relaxed);
        self.state.dbs.resize_with(wanted, || DbShard {
            table: Table::with_phase(phase),
            wheel: None,
            refile_from: None,
        });
        for (db, view) in self.state.dbs.iter_mut().zip(&self.shard.views) {
            view.get_or_init(|| db.table.view());
        }
    }

    #[inline]
    fn count(&self, len: isize, expires: isize, bytes: isize) {
        let DbCounters {
            len: keys,
            expires: deadlines,
            bytes: memory,
            ..
        } = self.shard.counters(self.place);
        for (counter, by) in [(keys, len), (deadlines, expires), (memory, bytes)] {
            // No read-modify-write: the lock keeps other writers away.
            counter.store(counter.load(Relaxed).wrapping_add_signed(by), Relaxed);
        }
    }

    /// Counts so many bytes more for an entry.
    fn count_of(&self, slot: Slot, bytes: isize) {
        self.count(0, 0, bytes);
        if self.state.counts_classes {
            self.count_class(self.block(slot).key(), bytes);
        }
    }

    /// Counts so many bytes more for the entry of a key.
    pub(super) fn count_grown(&self, key: &[u8], bytes: isize) {
        self.count(0, 0, bytes);
        if self.state.counts_classes {
            self.count_class(key, bytes);
        }
    }

    #[cold]
    fn count_class(&self, key: &[u8], bytes: isize) {
        self.state
            .count_class(self.shard, (self.db, self.place), key, bytes);
    }

    #[cold]
    fn count_sub_expires(&self, by: isize) {
        let counter = &self.shard.counters(self.place).sub_expires;
        counter.store(counter.load(Relaxed).wrapping_add_signed(by), Relaxed);
    }

    #[inline]
    fn count_index(&self) {
        let db = &self.state.dbs[self.place];
        let wheel = db.wheel.as_ref().map_or(0, |wheel| wheel.memory());
        self.shard
            .counters(self.place)
            .index_bytes
            .store(db.table.memory_bytes() + wheel, Relaxed);
    }

    /// Goes on with a resize of the table. Returns whether there is more.
    pub(super) fn resize_step(&mut self, buckets: u32) -> bool {
        let (keyspace, Some(db)) = (self.keyspace, self.state.dbs.get_mut(self.place)) else {
            return false;
        };
        // SAFETY: elements of the table, which is not changed meanwhile.
        let more = db
            .table
            .resize_step(buckets, &|raw| unsafe { keyspace.rehash(block_of(raw)) });
        self.count_index();
        more
    }
}
