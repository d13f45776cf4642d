//! Changing entries: where table, arena, expiry index, counters and watchers are kept in step.
#![allow(unsafe_code)]

use std::ptr::NonNull;
use std::sync::atomic::Ordering::Relaxed;

use super::block::{self, Block, Changed, Facts, NewString};
use super::hash::{Key, KeyHash, UnixMillis};
use super::keyspace::Keyspace;
use super::shard::{DbCounters, DbShard, Shard, ShardState, base_of, block_of};
use super::wheel::Wheel;
use crate::table::{Raw, Slot, Table};
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

/// What a step of the active expiry did to one part.
#[derive(Default)]
pub(super) struct PartProgress {
    pub(super) expired: usize,
    pub(super) steps: usize,
    pub(super) more: bool,
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
        if !self.state.watchers.is_empty() {
            self.state.watchers.mark(self.db, key);
        }
        if self.keyspace.tracking().is_on() {
            self.state.tracked.changed(self.keyspace.tracking(), key);
        }
    }

    #[inline]
    fn before_change_of(&mut self, slot: Slot) {
        if !self.state.watchers.is_empty() || self.keyspace.tracking().is_on() {
            let key = self.block(slot).key().to_vec();
            self.before_change(&key);
        }
    }

    /// Adds an entry. The caller knows that there is none of this key.
    pub(super) fn insert(
        &mut self,
        key: Key<'_>,
        clock: u32,
        expire_at: Option<UnixMillis>,
        value: NewString<'_>,
    ) {
        self.before_change(key.bytes);
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
        self.file(key.hash, None, expire_at);
        self.count(1, isize::from(expire_at.is_some()), memory as isize);
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
        value: NewString<'_>,
    ) -> Raw {
        self.before_change_of(slot);
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
        self.changed(hash, slot, changed)
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
            self.count(0, expires, after.memory as isize - before.memory as isize);
        }
        raw
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
        self.count(0, 0, new as isize - old as isize);
        Some(result)
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
        // SAFETY: the block is in no table any more.
        let (value, facts) = unsafe { block::take(&mut self.state.arena, base) };
        self.count_removed(facts);
        value
    }

    fn detach(&mut self, slot: Slot) -> NonNull<u8> {
        self.before_change_of(slot);
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
        self.count_index();
    }

    #[cold]
    fn add_dbs(&mut self) {
        let (wanted, phase) = (self.place + 1, self.state.phase);
        self.state.dbs.resize_with(wanted, || DbShard {
            table: Table::with_phase(phase),
            wheel: None,
            refile_from: None,
        });
        for (db, view) in self.state.dbs.iter_mut().zip(&self.shard.views) {
            view.get_or_init(|| db.table.view());
        }
    }

    /// Has the index follow a change of a deadline.
    #[inline]
    fn file(&mut self, hash: KeyHash, old: Option<UnixMillis>, new: Option<UnixMillis>) {
        if let Some(new) = new
            && Wheel::must_file(old, new)
        {
            let now = self.now;
            let wheel = self.state.dbs[self.place]
                .wheel
                .get_or_insert_with(|| Box::new(Wheel::new(now)));
            wheel.file(new, hash.0 as u32);
            self.count_index();
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

    #[inline]
    fn count_index(&self) {
        let db = &self.state.dbs[self.place];
        let wheel = db.wheel.as_ref().map_or(0, |wheel| wheel.memory());
        self.shard
            .counters(self.place)
            .index_bytes
            .store(db.table.memory_bytes() + wheel, Relaxed);
    }

    /// Works off what is due in the expiry index: at most `limit` pieces of work. `on_expired` (key) is called before a key is removed.
    pub(super) fn expire_step(
        &mut self,
        limit: usize,
        on_expired: &mut dyn FnMut(&[u8]),
    ) -> PartProgress {
        let now = self.now;
        let mut progress = PartProgress::default();
        if self
            .state
            .dbs
            .get(self.place)
            .is_none_or(|db| db.wheel.is_none())
        {
            return progress;
        }
        self.renew_stale_wheel();
        while progress.steps < limit {
            if self.refile_some() {
                progress.steps += 8;
                continue;
            }
            let Some(wheel) = &mut self.state.dbs[self.place].wheel else {
                break;
            };
            let Some(element) = wheel.pop(now) else { break };
            progress.steps += 1;
            progress.expired += self.look_at(element, on_expired);
        }
        let db = &mut self.state.dbs[self.place];
        progress.more = db.refile_from.is_some()
            || db
                .wheel
                .as_mut()
                .is_some_and(|wheel| wheel.behind_ms(now).is_some());
        self.count_index();
        progress
    }

    /// How long the oldest due piece of work has been due.
    pub(super) fn behind_ms(&mut self) -> u64 {
        let now = self.now;
        let wheel = self
            .state
            .dbs
            .get_mut(self.place)
            .and_then(|db| db.wheel.as_mut());
        wheel.and_then(|wheel| wheel.behind_ms(now)).unwrap_or(0)
    }

    /// Removes what has expired of the entries that an element of the index stands for, and files the others anew.
    fn look_at(&mut self, element: u32, on_expired: &mut dyn FnMut(&[u8])) -> usize {
        let now = self.now;
        let mut expired = 0;
        loop {
            let mut next = None::<UnixMillis>;
            let found = self.state.dbs[self.place]
                .table
                .find(u64::from(element), |raw| {
                    // SAFETY: an element of the table, which is not changed meanwhile. That its hash may differ does no harm.
                    match unsafe { block_of(raw) }.expire_at() {
                        Some(at) if at < now => true,
                        Some(at) => {
                            next = Some(next.map_or(at, |other| other.min(at)));
                            false
                        }
                        None => false,
                    }
                });
            let Some(slot) = found else {
                if let (Some(at), Some(wheel)) = (next, &mut self.state.dbs[self.place].wheel) {
                    wheel.file(at, element);
                }
                return expired;
            };
            on_expired(self.block(slot).key());
            self.remove(slot);
            expired += 1;
        }
    }

    /// Starts over with a new wheel if the old one is mostly elements that stand for nothing.
    fn renew_stale_wheel(&mut self) {
        let expires = self.shard.counters(self.place).expires.load(Relaxed);
        let db = &mut self.state.dbs[self.place];
        if db.refile_from.is_none()
            && db
                .wheel
                .as_ref()
                .is_some_and(|wheel| wheel.is_stale(expires))
        {
            // Deadlines that pass before the walk has got to their entries are found by it.
            db.wheel = Some(Box::new(Wheel::new(self.now)));
            db.refile_from = Some(0);
        }
    }

    /// Goes on filing the entries of a bucket in a new wheel. Returns whether there was something to do.
    fn refile_some(&mut self) -> bool {
        let (keyspace, db) = (self.keyspace, &mut self.state.dbs[self.place]);
        let (Some(cursor), Some(wheel)) = (db.refile_from, &mut db.wheel) else {
            return false;
        };
        // SAFETY: elements of the table, which is not changed meanwhile.
        let rehash = |raw| unsafe { keyspace.rehash(block_of(raw)) };
        let next = db.table.scan(cursor, &rehash, |raw| {
            // SAFETY: as above.
            if let Some(at) = unsafe { block_of(raw) }.expire_at() {
                wheel.file(at, rehash(raw) as u32);
            }
        });
        db.refile_from = (next != 0).then_some(next);
        true
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
