//! The keyspace as a whole: its shards, and what can be asked without opening them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::RwLock;
use siphasher::sip::SipHasher13;

use super::access::{Access, Expired};
use super::block::Block;
use super::classes::{ClassId, Classes};
use super::hash::{Footprint, Key, KeyHash, UnixMillis};
use super::options::{AccessClock, KeyspaceOptions};
use super::shard::{DbCounters, Shard};
use super::snapshot::Aside;
use super::tracking::Tracking;
use super::wait::Waits;
use super::wheel::TICK_MS;
use crate::table::{EpochGuard, Home};

/// All databases.
pub struct Keyspace {
    shards: Box<[Shard]>,
    all_shards: Footprint,
    shard_bits: u32,
    hasher: SipHasher13,
    clock: AccessClock,
    pub(super) tracking: Tracking,
    /// Where each db's keys are in the shards, so that `SWAPDB` exchanges two numbers. Written only while all shards are locked.
    places: Box<[AtomicU32]>,
    waits: Waits,
    pub(super) classes: RwLock<Arc<Classes>>,
    /// No place from here on was ever used.
    pub(super) places_used: AtomicU32,
    /// A snapshot is under way.
    pub(super) has_snapshot: AtomicBool,
    pub(super) aside: Aside,
}

/// So many buckets of dbs that were emptied are freed in a step.
const FREE_BUCKETS: u32 = 128;

/// One worker's turn: while it lives, memory that a prefetch may look at is not given back.
pub struct Turn {
    guard: EpochGuard,
}

/// What a step of the active expiry did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExpireProgress {
    /// Keys removed.
    pub expired: usize,
    /// Fields of hashes removed.
    pub expired_fields: usize,
    /// Pieces of work done; about the limit at most.
    pub steps: usize,
    /// More is due: call again soon.
    pub more: bool,
    /// How long the oldest work that is still due has been due, in milliseconds.
    pub behind_ms: u64,
}

impl Keyspace {
    /// An empty keyspace.
    ///
    /// # Panics
    /// If the options are out of their bounds.
    pub fn new(options: KeyspaceOptions) -> Self {
        assert!(options.dbs > 0, "a keyspace has at least one db");
        assert!(
            options.shards.is_power_of_two(),
            "the number of shards is a power of two"
        );
        assert!(options.shards <= 64, "at most 64 shards");
        Self {
            shards: (0..options.shards)
                .map(|number| Shard::new(number, options.shards, options.dbs))
                .collect(),
            all_shards: (0..options.shards).map(Footprint::of).collect(),
            shard_bits: options.shards.trailing_zeros(),
            hasher: SipHasher13::new_with_keys(options.hash_seed.0, options.hash_seed.1),
            clock: AccessClock::default(),
            tracking: Tracking::default(),
            places: (0..options.dbs).map(AtomicU32::new).collect(),
            waits: Waits::default(),
            classes: RwLock::default(),
            places_used: AtomicU32::new(0),
            has_snapshot: AtomicBool::new(false),
            aside: Aside::default(),
        }
    }

    /// Hashes a key.
    #[inline]
    pub fn key<'a>(&self, bytes: &'a [u8]) -> Key<'a> {
        Key {
            bytes,
            hash: KeyHash(self.hasher.hash(bytes)),
        }
    }

    /// The shard that keys of this hash live in.
    #[inline]
    pub fn footprint(&self, hash: KeyHash) -> Footprint {
        Footprint::of(self.shard_of(hash))
    }

    /// To which of so many groups of neighbouring shards a key belongs, from 0 on: for threads that have their shards to themselves.
    #[inline]
    pub fn share(&self, hash: KeyHash, groups: usize) -> usize {
        (self.shard_of(hash) as usize).saturating_mul(groups) >> self.shard_bits
    }

    /// Number of dbs.
    #[inline]
    pub fn dbs(&self) -> u32 {
        self.places.len() as u32
    }

    /// Number of shards.
    pub fn shards(&self) -> u32 {
        1 << self.shard_bits
    }

    /// Number of keys in a db, expired ones that are still there included. Takes no lock: exact if nobody writes meanwhile.
    pub fn len(&self, db: u32) -> usize {
        self.sum(db, |counters| &counters.len)
    }

    /// Whether a db has no key.
    pub fn is_empty(&self, db: u32) -> bool {
        self.len(db) == 0
    }

    /// Number of keys in a db that have a deadline.
    pub fn expires_len(&self, db: u32) -> usize {
        self.sum(db, |counters| &counters.expires)
    }

    /// Number of keys in a db whose value has parts (fields of a hash) with deadlines of their own.
    pub fn sub_expires_len(&self, db: u32) -> usize {
        self.sum(db, |counters| &counters.sub_expires)
    }

    /// Bytes that the entries of a db take: keys and values with their headers and rounding.
    pub fn entry_bytes(&self, db: u32) -> usize {
        self.sum(db, |counters| &counters.bytes)
    }

    /// Bytes that the tables and expiry indexes of a db take.
    pub fn index_bytes(&self, db: u32) -> usize {
        self.sum(db, |counters| &counters.index_bytes)
    }

    /// Bytes of memory in use for data: entries, tables and expiry indexes of all dbs.
    pub fn used_bytes(&self) -> usize {
        // Asked in each turn under `maxmemory`: only what was ever used is looked at.
        let places = self.places_used.load(Relaxed) as usize;
        let of_shard = |shard: &Shard| -> usize {
            let counters = (0..places).map(|place| shard.counters(place));
            counters
                .map(|of| of.bytes.load(Relaxed) + of.index_bytes.load(Relaxed))
                .sum()
        };
        self.shards.iter().map(of_shard).sum()
    }

    /// What [`used_bytes`](Self::used_bytes) counts of one db in the shard of one key.
    pub fn bytes_near(&self, db: u32, hash: KeyHash) -> usize {
        let of = self.shard(self.shard_of(hash)).counters(self.place(db));
        of.bytes.load(Relaxed) + of.index_bytes.load(Relaxed)
    }

    /// Bytes of a db without the entries that belong to a memory class for what their keys begin with.
    pub(super) fn db_bytes_unclassed(&self, db: u32) -> usize {
        let all = self.entry_bytes(db) + self.index_bytes(db);
        all.saturating_sub(self.sum(db, |counters| &counters.prefix_bytes))
    }

    /// Bytes of the entries of a memory class of a prefix.
    pub(super) fn prefix_bytes(&self, class: ClassId) -> usize {
        let of_shard = |shard: &Shard| {
            let counter = shard.class_bytes.get(class);
            counter.map_or(0, |counter| counter.load(Relaxed))
        };
        self.shards.iter().map(of_shard).sum()
    }

    /// Bytes that the entries' allocator holds from the system, free blocks included. Opens shard by shard.
    pub fn held_bytes(&self) -> usize {
        let held = |shard| {
            self.open(Footprint::of(shard), 0)
                .state(shard)
                .arena()
                .held_bytes()
        };
        (0..self.shards()).map(held).sum()
    }

    /// Bytes that the entries' allocator holds from the system, and those of its blocks in use, as of the last
    /// [`idle_step`](Self::idle_step) of each shard. Takes no lock.
    pub fn arena_bytes(&self) -> (usize, usize) {
        let sum = |which: usize| {
            let of = |shard: &Shard| shard.arena_bytes[which].load(Relaxed);
            self.shards.iter().map(of).sum()
        };
        (sum(0), sum(1))
    }

    fn sum(&self, db: u32, figure: impl Fn(&DbCounters) -> &AtomicUsize) -> usize {
        let place = self.place(db);
        self.shards
            .iter()
            .map(|shard| figure(shard.counters(place)).load(Relaxed))
            .sum()
    }

    /// Who waits for keys, as far as it is known without a lock.
    #[inline]
    pub fn waits(&self) -> &Waits {
        &self.waits
    }

    /// How access clocks are kept.
    #[inline]
    pub fn clock(&self) -> &AccessClock {
        &self.clock
    }

    /// Begins a turn, for prefetching.
    #[inline]
    pub fn pin(&self) -> Turn {
        Turn {
            guard: EpochGuard::pin(),
        }
    }

    /// Finds the bucket in which a key would be, and starts loading it.
    /// Some time later, ten keys, say, [`Home::prefetch_entry`] can start loading the entry.
    #[inline]
    pub fn prefetch<'t>(&self, turn: &'t Turn, db: u32, hash: KeyHash) -> Option<Home<'t>> {
        self.shard(self.shard_of(hash))
            .view(self.place(db))?
            .prefetch(&turn.guard, hash.0)
    }

    /// Starts loading what hangs from a key's entry, when the entry has had time to come; of a dictionary the bucket of `member`, whose
    /// hash is returned then. Not while this thread has an [`Access`];
    /// does nothing if another thread has the shard.
    #[inline]
    pub fn prefetch_structure(&self, db: u32, hash: KeyHash, member: Option<&[u8]>) -> Option<u64> {
        self.shard(self.shard_of(hash))
            .prefetch_structure(self.place(db), hash, member)
    }

    /// Starts loading a member, whose hash [`prefetch_structure`](Self::prefetch_structure) has returned, when its bucket has had time to come.
    #[inline]
    pub fn prefetch_member(&self, db: u32, hash: KeyHash, member: u64) {
        self.shard(self.shard_of(hash))
            .prefetch_member(self.place(db), hash, member);
    }

    /// Locks the shards of a footprint, in ascending order, until the access is dropped.
    #[inline]
    pub fn open(&self, footprint: Footprint, now: UnixMillis) -> Access<'_> {
        Access::new(self, footprint.intersection(self.all_shards), now)
    }

    /// As [`open`](Self::open), but gives up (and locks nothing) where a shard is not free within `patience`: a script may keep
    /// all of them for long.
    #[inline]
    pub fn try_open(
        &self,
        footprint: Footprint,
        now: UnixMillis,
        patience: Duration,
    ) -> Option<Access<'_>> {
        Access::try_new(self, footprint.intersection(self.all_shards), now, patience)
    }

    /// Opens the shard of one key, if it is free at this moment.
    #[inline]
    pub fn try_open_key(&self, hash: KeyHash, now: UnixMillis) -> Option<Access<'_>> {
        Access::try_one(self, self.shard_of(hash), now)
    }

    /// The shard that a SCAN goes on in. See [`Db::scan`](super::Db::scan).
    pub fn scan_footprint(&self, cursor: u64) -> Footprint {
        u32::try_from(cursor >> 32)
            .ok()
            .filter(|&shard| shard < self.shards())
            .map_or(Footprint::NONE, Footprint::of)
    }

    /// A shard for [`Db::random`](super::Db::random), chosen by how many keys it holds, so that every key of the db is as likely.
    pub fn random_footprint(&self, db: u32, random: u64) -> Footprint {
        Footprint::of(self.random_shard(db, self.all_shards, random).unwrap_or(0))
    }

    /// One of these shards, each as likely as it has keys of the db.
    pub(super) fn random_shard(&self, db: u32, among: Footprint, random: u64) -> Option<u32> {
        let len = |shard| self.shard(shard).counters(self.place(db)).len.load(Relaxed) as u64;
        let total: u64 = among.shards().map(len).sum();
        // High bits choose the shard, so that the low ones can choose in it.
        let mut nth = ((u128::from(random) * u128::from(total)) >> 64) as u64;
        among.shards().find(|&shard| {
            let len = len(shard);
            let found = nth < len;
            nth = nth.saturating_sub(len);
            found
        })
    }

    /// Removes keys, and fields of hashes, of one shard whose deadline has passed, doing about `limit` pieces of work at most.
    /// `on_expired` (db, what) is called for each, under the shard's lock, so that its `DEL` or `HDEL` gets into the log before any
    /// later change. A shard that is in
    /// use is left for the next time.
    pub fn expire_step(
        &self,
        shard: u32,
        now: UnixMillis,
        limit: usize,
        on_expired: &mut dyn FnMut(u32, Expired<'_>),
    ) -> ExpireProgress {
        let mut progress = ExpireProgress::default();
        let Some(mut access) = self.try_open(Footprint::of(shard), now, Duration::ZERO) else {
            return progress;
        };
        if access.state_mut(shard).free_step(FREE_BUCKETS) {
            progress.more = true;
            progress.steps += FREE_BUCKETS as usize;
        }
        // Another db is the first each time, so that one with much to do does not keep the others waiting.
        let first = (now / TICK_MS).rem_euclid(i64::from(self.dbs())) as u32;
        for db in (first..self.dbs()).chain(0..first) {
            let left = limit.saturating_sub(progress.steps);
            let mut view = access.db_mut(db);
            let mut part = view.part_at(shard);
            let step = part.expire_step(left, &mut |expired| on_expired(db, expired));
            progress.expired += step.expired;
            progress.expired_fields += step.expired_fields;
            progress.steps += step.steps;
            progress.more |= step.more;
            if step.more {
                progress.behind_ms = progress.behind_ms.max(part.behind_ms());
            }
        }
        progress
    }

    /// Does some housekeeping (resizing tables, by about `limit` buckets) in a shard while there is nothing else to do. Returns whether
    /// there is more. A shard that is in use is left for the next time.
    pub fn idle_step(&self, shard: u32, limit: u32) -> bool {
        let Some(mut access) = self.try_open(Footprint::of(shard), 0, Duration::ZERO) else {
            return false;
        };
        let arena = access.state(shard).arena();
        let [held, used] = &self.shard(shard).arena_bytes;
        held.store(arena.held_bytes(), Relaxed);
        used.store(arena.used_bytes(), Relaxed);
        (0..self.dbs()).any(|db| access.db_mut(db).part_at(shard).resize_step(limit))
    }

    /// The table uses the low half of the hash, the shard the high bits.
    #[inline]
    pub(crate) fn shard_of(&self, hash: KeyHash) -> u32 {
        // Two shifts: there may be but one shard.
        (hash.0 >> 1 >> (63 - self.shard_bits)) as u32
    }

    #[inline]
    pub(super) fn shard(&self, shard: u32) -> &Shard {
        &self.shards[shard as usize]
    }

    pub(super) fn all_shards(&self) -> Footprint {
        self.all_shards
    }

    /// Where the keys of a db are in each shard. Cannot change while any shard is open.
    #[inline]
    pub(super) fn place(&self, db: u32) -> usize {
        self.places[db as usize].load(Relaxed) as usize
    }

    /// For whoever has opened all shards.
    pub(super) fn swap_places(&self, a: u32, b: u32) {
        let (a, b) = (&self.places[a as usize], &self.places[b as usize]);
        let old = a.load(Relaxed);
        a.store(b.load(Relaxed), Relaxed);
        b.store(old, Relaxed);
    }

    /// The hash of an entry, for the table.
    #[cold]
    pub(super) fn rehash(&self, block: Block<'_>) -> u64 {
        self.hasher.hash(block.key())
    }
}
