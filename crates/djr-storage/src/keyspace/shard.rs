//! The keyspace as a set of shards, each behind one lock.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use parking_lot::Mutex;
use siphasher::sip::SipHasher13;

use super::access::Access;
use super::entry::Node;
use super::hash::{Footprint, Key, KeyHash, UnixMillis};
use super::options::{AccessClock, KeyspaceOptions};
use super::watch::Watchers;

/// All databases.
pub struct Keyspace {
    shards: Box<[Shard]>,
    shard_bits: u32,
    dbs: u32,
    hasher: SipHasher13,
    clock: AccessClock,
}

/// One worker's turn: while it lives, memory that a prefetch may look at is not given back.
pub struct Turn {
    _guard: crossbeam_epoch::Guard,
}

/// What a step of the active expiry did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExpireProgress {
    /// Keys removed.
    pub expired: usize,
    /// Pieces of work done; at most the limit.
    pub steps: usize,
    /// More is due: call again soon.
    pub more: bool,
    /// How long the oldest work that is still due has been due, in milliseconds.
    pub behind_ms: u64,
}

/// On cache lines of its own, so that neighbours do not slow each other.
#[repr(align(128))]
pub(super) struct Shard {
    lock: Mutex<ShardState>,
    counters: Box<[DbCounters]>,
}

/// What a shard holds of one db, readable without its lock. Written under the lock only.
#[derive(Default)]
struct DbCounters {
    len: AtomicUsize,
    expires: AtomicUsize,
    bytes: AtomicUsize,
}

pub(super) struct ShardState {
    pub(super) dbs: Vec<HashMap<Box<[u8]>, Node>>,
    pub(super) watchers: Watchers,
    random: Cell<u64>,
}

impl ShardState {
    /// Every change of a key passes here before it takes place.
    #[inline]
    pub(super) fn before_change(&mut self, db: u32, key: &[u8]) {
        if !self.watchers.is_empty() {
            self.watchers.mark(db, key);
        }
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
}

#[allow(unsafe_code)]
impl Shard {
    pub(super) fn lock(&self) {
        std::mem::forget(self.lock.lock());
    }

    /// Only for the access that locked it.
    pub(super) fn unlock(&self) {
        // SAFETY: `Access` locked it and forgot the guard; it unlocks once, when dropped.
        unsafe { self.lock.force_unlock() }
    }

    pub(super) fn state(&self) -> *mut ShardState {
        self.lock.data_ptr()
    }
}

impl Keyspace {
    /// An empty keyspace.
    ///
    /// # Panics
    /// If the options are out of their bounds.
    pub fn new(options: KeyspaceOptions) -> Self {
        assert!(options.dbs > 0, "a keyspace has at least one db");
        assert!(
            options.shards.is_power_of_two() && options.shards <= 64,
            "shards: a power of two, at most 64"
        );
        let shard = |index: u32| Shard {
            lock: Mutex::new(ShardState {
                dbs: (0..options.dbs).map(|_| HashMap::new()).collect(),
                watchers: Watchers::default(),
                random: Cell::new(u64::from(index) + 0x9e37_79b9_7f4a_7c15),
            }),
            counters: (0..options.dbs).map(|_| DbCounters::default()).collect(),
        };
        Self {
            shards: (0..options.shards).map(shard).collect(),
            shard_bits: options.shards.trailing_zeros(),
            dbs: options.dbs,
            hasher: SipHasher13::new_with_keys(options.hash_seed.0, options.hash_seed.1),
            clock: AccessClock::default(),
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

    /// Number of dbs.
    pub fn dbs(&self) -> u32 {
        self.dbs
    }

    /// Number of shards.
    pub fn shards(&self) -> u32 {
        1 << self.shard_bits
    }

    /// Number of keys in a db, expired ones that are still there included. Reads no lock: exact if nobody writes.
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

    /// Bytes that the keys and values of a db take, entry headers and rounding included, the tables aside.
    pub fn entry_bytes(&self, db: u32) -> usize {
        self.sum(db, |counters| &counters.bytes)
    }

    /// Bytes of memory in use for data: entries, tables and expiry indexes of all dbs.
    pub fn used_bytes(&self) -> usize {
        (0..self.dbs).map(|db| self.entry_bytes(db)).sum()
    }

    fn sum(&self, db: u32, figure: impl Fn(&DbCounters) -> &AtomicUsize) -> usize {
        self.shards
            .iter()
            .filter_map(|shard| shard.counters.get(db as usize))
            .map(|c| figure(c).load(Relaxed))
            .sum()
    }

    /// How access clocks are kept.
    pub fn clock(&self) -> &AccessClock {
        &self.clock
    }

    /// Begins a turn, for prefetching.
    pub fn pin(&self) -> Turn {
        Turn {
            _guard: crossbeam_epoch::pin(),
        }
    }

    /// Starts loading the bucket in which a key would be found.
    #[inline]
    pub fn prefetch_bucket(&self, _turn: &Turn, _db: u32, _hash: KeyHash) {}

    /// Starts loading the entry of a key, some time after [`prefetch_bucket`](Self::prefetch_bucket).
    #[inline]
    pub fn prefetch_entry(&self, _turn: &Turn, _db: u32, _hash: KeyHash) {}

    /// Locks the shards of a footprint, in ascending order, until the access is dropped.
    #[inline]
    pub fn open(&self, footprint: Footprint, now: UnixMillis) -> Access<'_> {
        Access::new(self, footprint, now)
    }

    /// The shard that a SCAN goes on in. See [`Db::scan`](super::Db::scan).
    pub fn scan_footprint(&self, cursor: u64) -> Footprint {
        Footprint::of(self.scan_shard(cursor))
    }

    /// A shard for [`Db::random`](super::Db::random), chosen by how many keys it holds, so that every key of the db is as likely.
    pub fn random_footprint(&self, db: u32, random: u64) -> Footprint {
        let total = self.len(db) as u64;
        let mut nth = if total == 0 { 0 } else { random % total };
        for shard in 0..self.shards() {
            let len = self.shard_len(shard, db) as u64;
            if nth < len {
                return Footprint::of(shard);
            }
            nth -= len;
        }
        Footprint::of(0)
    }

    /// Removes keys of one shard whose deadline has passed, doing at most `limit` pieces of work. `on_expired` (db, key) is
    /// called for each, under the shard's lock, so that its `DEL` gets into the log before any later change.
    pub fn expire_step(
        &self,
        shard: u32,
        now: UnixMillis,
        limit: usize,
        on_expired: &mut dyn FnMut(u32, &[u8]),
    ) -> ExpireProgress {
        let mut access = self.open(Footprint::of(shard), now);
        let mut due = Vec::new();
        for db in 0..self.dbs {
            access.db(db).for_each_any(&mut |entry| {
                if entry.expire_at().is_some_and(|at| at < now) && due.len() <= limit {
                    due.push((db, entry.key().to_vec()));
                }
            });
        }
        let more = due.len() > limit;
        due.truncate(limit);
        for (db, key) in &due {
            access.db_mut(*db).remove_if_expired(self.key(key));
        }
        access.take_expired(on_expired);
        ExpireProgress {
            expired: due.len(),
            steps: due.len(),
            more,
            behind_ms: 0,
        }
    }

    /// Does at most `limit` pieces of housekeeping (table resizing) in a shard while there is nothing else to do. Returns whether
    /// there is more.
    pub fn idle_step(&self, _shard: u32, _limit: usize) -> bool {
        false
    }

    #[inline]
    pub(super) fn shard_of(&self, hash: KeyHash) -> u32 {
        // Two shifts: there may be but one shard.
        (hash.0 >> 1 >> (63 - self.shard_bits)) as u32
    }

    pub(super) fn scan_shard(&self, cursor: u64) -> u32 {
        (cursor >> 1 >> (62 - self.shard_bits)) as u32 & (self.shards() - 1)
    }

    pub(super) fn shard(&self, shard: u32) -> &Shard {
        &self.shards[shard as usize]
    }

    pub(super) fn shard_len(&self, shard: u32, db: u32) -> usize {
        self.shard(shard).counters[db as usize].len.load(Relaxed)
    }

    pub(super) fn all_shards(&self) -> Footprint {
        (0..self.shards()).map(Footprint::of).collect()
    }

    /// Adds to the counters of a db in a shard. For whoever holds the shard's lock.
    pub(super) fn count(&self, shard: u32, db: u32, len: isize, expires: isize, bytes: isize) {
        let counters = &self.shard(shard).counters[db as usize];
        for (counter, by) in [
            (&counters.len, len),
            (&counters.expires, expires),
            (&counters.bytes, bytes),
        ] {
            // No read-modify-write: the lock keeps other writers away.
            counter.store(counter.load(Relaxed).wrapping_add_signed(by), Relaxed);
        }
    }

    pub(super) fn swap_dbs_of(&self, shard: u32, state: &mut ShardState, a: u32, b: u32) {
        if a == b {
            return;
        }
        let dbs = &state.dbs;
        state.watchers.mark_where(|db, key| {
            (db == a || db == b)
                && (dbs[a as usize].contains_key(key) || dbs[b as usize].contains_key(key))
        });
        state.dbs.swap(a as usize, b as usize);
        let counters = &self.shard(shard).counters;
        let (a, b) = (&counters[a as usize], &counters[b as usize]);
        for (a, b) in [
            (&a.len, &b.len),
            (&a.expires, &b.expires),
            (&a.bytes, &b.bytes),
        ] {
            let old = a.load(Relaxed);
            a.store(b.load(Relaxed), Relaxed);
            b.store(old, Relaxed);
        }
    }

    pub(super) fn flush_of(&self, shard: u32, state: &mut ShardState, db: u32) -> usize {
        let map = std::mem::take(&mut state.dbs[db as usize]);
        state
            .watchers
            .mark_where(|watched, key| watched == db && map.contains_key(key));
        let counters = &self.shard(shard).counters[db as usize];
        for counter in [&counters.len, &counters.expires, &counters.bytes] {
            counter.store(0, Relaxed);
        }
        map.len()
    }
}
