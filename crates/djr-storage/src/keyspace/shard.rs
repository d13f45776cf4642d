//! A shard: one lock around its part of every db.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use super::block::{self, Block};
use super::classes::{CLASSES_MAX, Classes};
use super::hash::{Key, KeyHash, UnixMillis};
use super::keyspace::Keyspace;
use super::options::AccessClock;
use super::snapshot::ShardCut;
use super::tracking::TrackedKeys;
use super::wait::Waiters;
use super::watch::Watchers;
use super::wheel::Wheel;
use crate::arena::Arena;
use crate::table::{Detached, Raw, Slot, Table, TableView};

/// On cache lines of its own, so that neighbours do not slow each other.
#[repr(align(128))]
pub(super) struct Shard {
    lock: Mutex<ShardState>,
    /// Per place; readable without the lock.
    counters: Box<[DbCounters]>,
    /// Per place, once there is a key.
    pub(super) views: Box<[OnceLock<TableView>]>,
    /// Bytes that the arena holds, and those of its blocks in use; looked at now and then.
    pub(super) arena_bytes: [AtomicUsize; 2],
    /// Bytes of the entries of each memory class that is one of a prefix.
    pub(super) class_bytes: Box<[AtomicUsize; CLASSES_MAX]>,
}

/// What a shard holds of one db. Written under the lock only, read by anyone.
#[derive(Default)]
pub(super) struct DbCounters {
    pub(super) len: AtomicUsize,
    pub(super) expires: AtomicUsize,
    /// Entries that have parts with deadlines of their own.
    pub(super) sub_expires: AtomicUsize,
    /// Bytes of entries.
    pub(super) bytes: AtomicUsize,
    /// Bytes of the table and the expiry index.
    pub(super) index_bytes: AtomicUsize,
    /// Bytes of the entries that belong to a memory class for what their keys begin with.
    pub(super) prefix_bytes: AtomicUsize,
}

/// So few keys are freed where they are removed: it takes less than handing them on would.
const FREED_AT_ONCE: usize = if cfg!(test) { 4 } else { 256 };

/// What the lock guards.
pub(super) struct ShardState {
    pub(super) arena: Arena,
    /// By place; as many as have been needed.
    pub(super) dbs: Vec<DbShard>,
    pub(super) watchers: Watchers,
    pub(super) tracked: TrackedKeys,
    pub(super) waiters: Waiters,
    /// Changes are not told for the moment: see [`DbMut::quietly`](super::DbMut::quietly).
    pub(super) quiet: bool,
    /// The memory classes, and whether what the keys of prefixes take is counted.
    pub(super) classes: Arc<Classes>,
    pub(super) counts_classes: bool,
    /// While a snapshot is under way and has not been through this shard.
    pub(super) cut: Option<Box<ShardCut>>,
    /// What dbs held that were emptied, to be freed in steps.
    emptied: Vec<Detached>,
    /// Spreads the sizes at which the shards' tables grow.
    pub(super) phase: u32,
    random: Cell<u64>,
}

/// A shard's part of a db.
///
/// **Invariant:** every element of the table is the address of a live block of the shard's arena, and in no other table.
pub(super) struct DbShard {
    pub(super) table: Table,
    /// Made with the first deadline.
    pub(super) wheel: Option<Box<Wheel>>,
    /// The wheel was made anew, and entries from this cursor on are yet to be filed.
    pub(super) refile_from: Option<u64>,
}

impl Shard {
    pub(super) fn new(number: u32, shards: u32, dbs: u32) -> Self {
        let phase = ((u64::from(number) << 32) / u64::from(shards)) as u32;
        let state = ShardState {
            arena: Arena::new(),
            dbs: Vec::new(),
            watchers: Watchers::default(),
            tracked: TrackedKeys::default(),
            waiters: Waiters::default(),
            quiet: false,
            classes: Arc::default(),
            counts_classes: false,
            cut: None,
            emptied: Vec::new(),
            phase,
            random: Cell::new(u64::from(number) + 0x9e37_79b9_7f4a_7c15),
        };
        Self {
            lock: Mutex::new(state),
            counters: (0..dbs).map(|_| DbCounters::default()).collect(),
            views: (0..dbs).map(|_| OnceLock::new()).collect(),
            arena_bytes: Default::default(),
            class_bytes: Box::new([const { AtomicUsize::new(0) }; CLASSES_MAX]),
        }
    }

    #[inline]
    pub(super) fn lock(&self) {
        std::mem::forget(self.lock.lock());
    }

    /// As [`lock`](Self::lock), but only if it is free. Whether it has the lock.
    #[inline]
    pub(super) fn try_lock(&self) -> bool {
        self.lock.try_lock().map(std::mem::forget).is_some()
    }

    /// As [`lock`](Self::lock), but gives up after `patience`. Whether it has the lock.
    #[inline]
    pub(super) fn try_lock_for(&self, patience: std::time::Duration) -> bool {
        self.lock
            .try_lock_for(patience)
            .map(std::mem::forget)
            .is_some()
    }

    /// Only for the access that locked it.
    #[inline]
    pub(super) fn unlock(&self) {
        // SAFETY: `Access` locked it and forgot the guard; it unlocks once, when dropped.
        unsafe { self.lock.force_unlock() }
    }

    #[inline]
    pub(super) fn state(&self) -> *mut ShardState {
        self.lock.data_ptr()
    }

    /// Starts loading what hangs from the entry of a key with this hash, if the lock is free.
    pub(super) fn prefetch_structure(
        &self,
        place: usize,
        hash: KeyHash,
        member: Option<&[u8]>,
    ) -> Option<u64> {
        self.peek_block(place, hash, |block| block.prefetch_structure(member))?
    }

    /// Starts loading a member of what hangs from a key's entry, if nobody has this shard.
    #[inline]
    pub(super) fn prefetch_member(&self, place: usize, hash: KeyHash, member: u64) {
        self.peek_block(place, hash, |block| block.prefetch_member(member));
    }

    /// Shows the block that is likely to be of a key, if nobody has this shard.
    #[inline(always)]
    fn peek_block<R>(
        &self,
        place: usize,
        hash: KeyHash,
        look: impl FnOnce(Block<'_>) -> R,
    ) -> Option<R> {
        let state = self.lock.try_lock()?;
        let table = &state.dbs.get(place)?.table;
        let slot = table.find(hash.0, |_| true)?;
        // SAFETY: found in the table, which is locked.
        Some(look(unsafe { block_of(slot.raw()) }))
    }

    #[inline]
    pub(super) fn counters(&self, place: usize) -> &DbCounters {
        &self.counters[place]
    }

    #[inline]
    pub(super) fn view(&self, place: usize) -> Option<&TableView> {
        self.views[place].get()
    }
}

/// The block behind an element of a table.
///
/// # Safety
/// The element is in the table of an open shard, and nobody changes that shard during `'a`.
#[inline]
pub(super) unsafe fn block_of<'a>(raw: Raw) -> Block<'a> {
    // SAFETY: tables hold live blocks only (invariant of `DbShard`).
    unsafe { Block::new(base_of(raw)) }
}

#[inline]
pub(super) fn base_of(raw: Raw) -> NonNull<u8> {
    // SAFETY: a `Raw` is never null.
    unsafe { NonNull::new_unchecked(raw.as_ptr()) }
}

impl ShardState {
    #[inline]
    pub(super) fn find(&self, place: usize, key: Key<'_>) -> Option<Block<'_>> {
        let slot = self.find_slot(place, key)?;
        // SAFETY: found in the table; `&self` keeps the shard unchanged.
        Some(unsafe { block_of(slot.raw()) })
    }

    #[inline]
    pub(super) fn find_slot(&self, place: usize, key: Key<'_>) -> Option<Slot> {
        // SAFETY: elements of the table; `&self` keeps the shard unchanged.
        self.dbs
            .get(place)?
            .table
            .find(key.hash.0, |raw| unsafe { block_of(raw) }.key_is(key.bytes))
    }

    /// The first entry of this hash.
    pub(super) fn find_hash(
        &self,
        keyspace: &Keyspace,
        place: usize,
        hash: KeyHash,
    ) -> Option<Slot> {
        let table = &self.dbs.get(place)?.table;
        table.find(hash.0, |raw| {
            // SAFETY: an element of the table; `&self` keeps the shard unchanged.
            let block = unsafe { block_of(raw) };
            keyspace.rehash(block) == hash.0
        })
    }

    /// The clock of an entry that is touched at `now`.
    #[inline]
    pub(super) fn touched(
        &self,
        clocks: &AccessClock,
        db: u32,
        block: Block<'_>,
        now: UnixMillis,
    ) -> u32 {
        if clocks.is_lru() {
            clocks.lru_at(now)
        } else {
            self.touched_otherwise(clocks, db, block, now)
        }
    }

    #[cold]
    fn touched_otherwise(
        &self,
        clocks: &AccessClock,
        db: u32,
        block: Block<'_>,
        now: UnixMillis,
    ) -> u32 {
        if self.is_lfu(clocks, db, block.key()) {
            clocks.lfu_touched(block.clock(), now, self.random())
        } else {
            clocks.lru_at(now)
        }
    }

    /// The clock of an entry that is made at `now`.
    #[inline]
    pub(super) fn fresh(&self, clocks: &AccessClock, db: u32, key: &[u8], now: UnixMillis) -> u32 {
        if !clocks.is_lru() && self.is_lfu(clocks, db, key) {
            clocks.lfu_fresh(now)
        } else {
            clocks.lru_at(now)
        }
    }

    /// Whether the clock of a key counts accesses.
    pub(super) fn is_lfu(&self, clocks: &AccessClock, db: u32, key: &[u8]) -> bool {
        clocks.is_lfu(|| {
            let class = self.classes.class_of(db, key);
            self.classes.policy(class).is_lfu()
        })
    }

    /// One step of a walk over the table, a bucket at a time.
    pub(super) fn scan<'a>(
        &'a self,
        keyspace: &Keyspace,
        place: usize,
        cursor: u64,
        mut visit: impl FnMut(Block<'a>),
    ) -> u64 {
        let Some(db) = self.dbs.get(place) else {
            return 0;
        };
        // SAFETY: elements of the table; `&'a self` keeps the shard unchanged.
        db.table.scan(
            cursor,
            &|raw| unsafe { keyspace.rehash(block_of(raw)) },
            |raw| visit(unsafe { block_of(raw) }),
        )
    }

    pub(super) fn iter(&self, place: usize) -> impl Iterator<Item = Block<'_>> {
        // SAFETY: elements of the table; `&self` keeps the shard unchanged.
        self.dbs
            .get(place)
            .into_iter()
            .flat_map(|db| db.table.iter())
            .map(|raw| unsafe { block_of(raw) })
    }

    pub(super) fn random_entry(&self, place: usize, random: u64) -> Option<Block<'_>> {
        let raw = self.dbs.get(place)?.table.random(random)?;
        // SAFETY: an element of the table; `&self` keeps the shard unchanged.
        Some(unsafe { block_of(raw) })
    }

    /// Random enough for the frequency counter, and the same in every run (xorshift).
    pub(super) fn random(&self) -> u32 {
        let mut x = self.random.get();
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        self.random.set(x);
        (x >> 32) as u32
    }

    /// Marks who watches a key of the dbs `watched` that exists in one of the dbs `existing`.
    pub(super) fn mark_watchers_of_existing(
        &self,
        keyspace: &Keyspace,
        watched: &[u32],
        existing: &[u32],
    ) {
        self.watchers.mark_where(|db, bytes| {
            let key = keyspace.key(bytes);
            watched.contains(&db)
                && existing
                    .iter()
                    .any(|&db| self.find(keyspace.place(db), key).is_some())
        });
    }

    /// Counts what the keys of prefixes take, from nothing.
    pub(super) fn count_classes_anew(&self, keyspace: &Keyspace, shard: &Shard) {
        for class in shard.class_bytes.iter() {
            class.store(0, Relaxed);
        }
        for db in 0..keyspace.dbs() {
            let place = keyspace.place(db);
            shard.counters(place).prefix_bytes.store(0, Relaxed);
            if self.counts_classes {
                for block in self.iter(place) {
                    self.count_class(shard, (db, place), block.key(), block.memory() as isize);
                }
            }
        }
    }

    /// Counts so many bytes more for the class of a key, if that is one of a prefix.
    #[cold]
    pub(super) fn count_class(
        &self,
        shard: &Shard,
        (db, place): (u32, usize),
        key: &[u8],
        bytes: isize,
    ) {
        if let Some(class) = self.classes.prefix_class_of(db, key) {
            for counter in [
                &shard.class_bytes[class],
                &shard.counters(place).prefix_bytes,
            ] {
                // No read-modify-write: the lock keeps other writers away.
                counter.store(counter.load(Relaxed).wrapping_add_signed(bytes), Relaxed);
            }
        }
    }

    /// Removes every key of a db. The caller has told the watchers. Many keys are freed by [`free_step`](Self::free_step), so that emptying
    /// takes no longer for them, unless it is to be `at_once`.
    pub(super) fn flush(
        &mut self,
        keyspace: &Keyspace,
        shard: &Shard,
        db: u32,
        place: usize,
        at_once: bool,
    ) -> usize {
        if self.counts_classes {
            for block in self.iter(place) {
                self.count_class(shard, (db, place), block.key(), -(block.memory() as isize));
            }
        }
        let len = self.dbs.get(place).map_or(0, |db| db.table.len());
        if self.cut.is_some() {
            self.drop_kept_at(keyspace, place);
        }
        let Some(db) = self.dbs.get_mut(place) else {
            return 0;
        };
        match &mut self.cut {
            Some(cut) if cut.wants(place) => cut.hand_over(place, db.table.detach()),
            _ if len > FREED_AT_ONCE && !at_once => self.emptied.push(db.table.detach()),
            // SAFETY: the table hands over each block once, and forgets it.
            _ => db
                .table
                .drain(|raw| unsafe { drop_block(&mut self.arena, raw) }),
        }
        db.wheel = None;
        db.refile_from = None;
        let DbCounters {
            len: keys,
            expires,
            sub_expires,
            bytes,
            index_bytes,
            prefix_bytes,
        } = shard.counters(place);
        for counter in [keys, expires, sub_expires, bytes, prefix_bytes] {
            counter.store(0, Relaxed);
        }
        index_bytes.store(db.table.memory_bytes(), Relaxed);
        len
    }

    /// Frees about so many buckets' keys of dbs that were emptied. Returns whether there are more.
    pub(super) fn free_step(&mut self, buckets: u32) -> bool {
        let Some(emptied) = self.emptied.last_mut() else {
            return false;
        };
        // SAFETY: nobody else refers to what was emptied, and each element is told once.
        let more = emptied.drain_step(buckets, |raw| unsafe {
            drop_block(&mut self.arena, raw);
        });
        if !more {
            self.emptied.pop();
        }
        !self.emptied.is_empty()
    }

    /// Each deadline has an element in the expiry index that comes due no later; the table is in order.
    #[cfg(test)]
    pub(super) fn check_invariants(&self, keyspace: &Keyspace) {
        for db in &self.dbs {
            // SAFETY: elements of the table; `&self` keeps the shard unchanged.
            let hash = |raw| unsafe { keyspace.rehash(block_of(raw)) };
            db.table.check_invariants(&hash);
            for raw in db.table.iter() {
                // SAFETY: as above.
                let block = unsafe { block_of(raw) };
                assert!(
                    self.cut.is_some() || !block.is_left(),
                    "a mark that no snapshot takes away"
                );
                let Some(at) = block.due() else {
                    continue;
                };
                let hash = hash(raw) as u32;
                let is_filed = db
                    .wheel
                    .as_ref()
                    .is_some_and(|wheel| wheel.has_by(at, hash));
                let is_to_be_filed = db
                    .refile_from
                    .is_some_and(|cursor| u64::from(hash) >= cursor);
                assert!(
                    is_filed || is_to_be_filed,
                    "a deadline that nobody will notice"
                );
            }
        }
    }

    pub(super) fn arena(&self) -> &Arena {
        &self.arena
    }
}

/// # Safety
/// A live block of the arena that is in no table any more.
pub(super) unsafe fn drop_block(arena: &mut Arena, raw: Raw) {
    // SAFETY: as promised by the caller.
    unsafe { block::free(arena, base_of(raw)) };
}

impl Drop for ShardState {
    fn drop(&mut self) {
        if let Some(cut) = &mut self.cut {
            // SAFETY: as below.
            cut.free_all(|raw| unsafe { drop_block(&mut self.arena, raw) });
        }
        while self.free_step(u32::MAX) {}
        for db in &mut self.dbs {
            // SAFETY: the table hands over each block once, and forgets it.
            db.table
                .drain(|raw| unsafe { drop_block(&mut self.arena, raw) });
        }
    }
}
