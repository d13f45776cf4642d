//! Shards opened for one command, transaction or script.

use std::cell::{Cell, RefCell};
use std::marker::PhantomData;
use std::time::Duration;

use super::db::Db;
use super::db_mut::DbMut;
use super::hash::{Footprint, KeyHash, UnixMillis};
use super::keyspace::Keyspace;
use super::shard::ShardState;
use super::wait::ReadyKey;

/// Shards opened (locked) until this is dropped. Made by [`Keyspace::open`].
///
/// Through `&Access` the keyspace can only be read, through `&mut Access` also changed.
pub struct Access<'k> {
    pub(super) keyspace: &'k Keyspace,
    footprint: Footprint,
    now: UnixMillis,
    touch: Cell<bool>,
    notes: RefCell<Option<Box<Notes>>>,
    // Locks belong to the thread that took them.
    _not_send: PhantomData<*const ()>,
}

/// Something removed because its deadline has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expired<'a> {
    /// A key: log `DEL key`.
    Key(&'a [u8]),
    /// A field of the hash at a key: log `HDEL key field`.
    Field {
        /// The hash.
        key: &'a [u8],
        /// Its former field.
        field: &'a [u8],
    },
    /// Told once after the fields of a hash: nothing to log, but who wants events is told of it.
    Fields {
        /// The hash.
        key: &'a [u8],
        /// It was left without fields, and is gone too: the last `HDEL` says so.
        removed: bool,
    },
}

/// Db, hash and bytes of a key.
type KeptKey = (u32, KeyHash, Box<[u8]>);

/// What was met past its deadline, and what was lent. There is one only where there is something to note, which is seldom.
#[derive(Default)]
struct Notes {
    /// Keys found by reading: still in the keyspace.
    noted: Vec<KeptKey>,
    /// Removed, and not yet told.
    removed: Vec<(u32, Removed)>,
    /// Watched keys whose value was lent for changing.
    lent: Vec<KeptKey>,
}

/// An [`Expired`] that is kept.
enum Removed {
    Key(Box<[u8]>),
    Field(Box<[u8]>, Box<[u8]>),
    Fields(Box<[u8]>, bool),
}

impl<'k> Access<'k> {
    pub(super) fn new(keyspace: &'k Keyspace, footprint: Footprint, now: UnixMillis) -> Self {
        let footprint = footprint.intersection(keyspace.all_shards());
        footprint
            .shards()
            .for_each(|shard| keyspace.shard(shard).lock());
        Self::locked(keyspace, footprint, now)
    }

    /// As [`new`](Self::new), but gives up where a lock is not free within `patience`.
    pub(super) fn try_new(
        keyspace: &'k Keyspace,
        footprint: Footprint,
        now: UnixMillis,
        patience: Duration,
    ) -> Option<Self> {
        let footprint = footprint.intersection(keyspace.all_shards());
        let busy = footprint
            .shards()
            .find(|shard| !keyspace.shard(*shard).try_lock_for(patience));
        if let Some(busy) = busy {
            footprint
                .shards()
                .take_while(|shard| *shard != busy)
                .for_each(|shard| keyspace.shard(shard).unlock());
            return None;
        }
        Some(Self::locked(keyspace, footprint, now))
    }

    /// One shard, which must exist, if it is free at this moment.
    #[inline]
    pub(super) fn try_one(keyspace: &'k Keyspace, shard: u32, now: UnixMillis) -> Option<Self> {
        keyspace
            .shard(shard)
            .try_lock()
            .then(|| Self::locked(keyspace, Footprint::of(shard), now))
    }

    #[inline]
    fn locked(keyspace: &'k Keyspace, footprint: Footprint, now: UnixMillis) -> Self {
        Self {
            keyspace,
            footprint,
            now,
            touch: Cell::new(true),
            notes: RefCell::default(),
            _not_send: PhantomData,
        }
    }

    /// The time that this access was opened with.
    pub fn now(&self) -> UnixMillis {
        self.now
    }

    /// The shards that are open.
    pub fn footprint(&self) -> Footprint {
        self.footprint
    }

    /// The keyspace that this opens a part of.
    pub fn keyspace(&self) -> &'k Keyspace {
        self.keyspace
    }

    /// Whether reading a key counts as an access to it (`CLIENT NO-TOUCH`). At first it does.
    pub fn set_touch(&self, touch: bool) {
        self.touch.set(touch);
    }

    #[inline]
    pub(super) fn touches(&self) -> bool {
        self.touch.get()
    }

    /// A db for reading. `db` must be below [`Keyspace::dbs`].
    #[inline]
    pub fn db(&self, db: u32) -> Db<'_> {
        Db::new(self, db)
    }

    /// A db for reading and writing. `db` must be below [`Keyspace::dbs`].
    #[inline]
    pub fn db_mut(&mut self, db: u32) -> DbMut<'_> {
        DbMut::new(self, db)
    }

    /// Whether [`purge_expired`](Self::purge_expired) or [`take_expired`](Self::take_expired) would have something to do.
    #[inline]
    pub fn has_expired(&self) -> bool {
        let notes = self.notes.borrow();
        let notes = notes.as_ref();
        notes.is_some_and(|notes| !notes.noted.is_empty() || !notes.removed.is_empty())
    }

    /// Removes the keys that reading look-ups found expired, so that [`take_expired`](Self::take_expired) tells them.
    pub fn purge_expired(&mut self) {
        let Some(notes) = self.notes.get_mut() else {
            return;
        };
        for (db, hash, bytes) in std::mem::take(&mut notes.noted) {
            self.db_mut(db).remove_if_expired(super::Key {
                bytes: &bytes,
                hash,
            });
        }
    }

    /// Tells everything (db, what) removed since the last call because it had expired, in order of removal, so that it is logged.
    /// Keys noted but not purged are forgotten: they are met again.
    pub fn take_expired(&mut self, told: &mut dyn FnMut(u32, Expired<'_>)) {
        let Some(notes) = self.notes.get_mut() else {
            return;
        };
        notes.noted.clear();
        for (db, removed) in notes.removed.drain(..) {
            let removed = match &removed {
                Removed::Key(key) => Expired::Key(key),
                Removed::Field(key, field) => Expired::Field { key, field },
                Removed::Fields(key, removed) => Expired::Fields {
                    key,
                    removed: *removed,
                },
            };
            told(db, removed);
        }
    }

    /// Whether a watched or awaited key's value was lent for changing ([`DbMut::update`]) and it has not been said yet whether it was changed.
    #[inline]
    pub fn has_lent(&self) -> bool {
        let notes = self.notes.borrow();
        notes.as_ref().is_some_and(|notes| !notes.lent.is_empty())
    }

    /// Says of what was lent whether it was changed. If it was, those who watch it or wait for it are told. Dropping the access says yes.
    #[cold]
    pub fn settle_lent(&mut self, changed: bool) {
        self.settle_lent_for(changed, changed);
    }

    /// The same, for those who watch it (or have it in a cache), and for those who wait for it, each for themselves.
    #[cold]
    pub fn settle_lent_for(&mut self, watchers: bool, waiters: bool) {
        let Some(notes) = self.notes.get_mut() else {
            return;
        };
        let lent = std::mem::take(&mut notes.lent);
        for (db, hash, key) in lent.iter().filter(|_| watchers || waiters) {
            let shard = self.keyspace.shard_of(*hash);
            let (waits, tracking) = (self.keyspace.waits(), self.keyspace.tracking());
            let state = self.state_mut(shard);
            if waiters {
                state.waiters.mark(waits, *db, key);
            }
            if !watchers {
                continue;
            }
            state.watchers.mark(*db, key);
            if tracking.is_on() {
                state.tracked.changed(tracking, key);
            }
        }
    }

    /// A watched or awaited key's value is lent for changing.
    #[cold]
    pub(super) fn note_lent(&self, db: u32, key: super::Key<'_>) {
        self.notes
            .borrow_mut()
            .get_or_insert_default()
            .lent
            .push((db, key.hash, key.bytes.into()));
    }

    #[cold]
    pub(super) fn note_expired(&self, db: u32, hash: KeyHash, key: &[u8]) {
        self.notes
            .borrow_mut()
            .get_or_insert_default()
            .noted
            .push((db, hash, key.into()));
    }

    #[cold]
    pub(super) fn note_removed(&self, db: u32, expired: Expired<'_>) {
        let removed = match expired {
            Expired::Key(key) => Removed::Key(key.into()),
            Expired::Field { key, field } => Removed::Field(key.into(), field.into()),
            Expired::Fields { key, removed } => Removed::Fields(key.into(), removed),
        };
        self.notes
            .borrow_mut()
            .get_or_insert_default()
            .removed
            .push((db, removed));
    }

    /// Exchanges two dbs. Needs every shard ([`Footprint::ALL`]).
    pub fn swap_dbs(&mut self, a: u32, b: u32) {
        assert!(
            a < self.keyspace.dbs() && b < self.keyspace.dbs(),
            "db out of range"
        );
        self.assert_all();
        if a == b {
            return;
        }
        for shard in self.footprint.shards() {
            let (state, keyspace) = (self.state(shard), self.keyspace);
            state.mark_watchers_of_existing(keyspace, &[a, b], &[a, b]);
            self.mark_waiters(shard, &[a, b]);
        }
        self.keyspace.swap_places(a, b);
        for shard in self.footprint.shards() {
            let (state, keyspace) = (self.state(shard), self.keyspace);
            if state.counts_classes {
                // Classes may be of a prefix in some dbs only.
                state.count_classes_anew(keyspace, keyspace.shard(shard));
            }
        }
    }

    /// Removes every key of a db, or of all dbs, and returns how many there were. Needs every shard ([`Footprint::ALL`]). Their memory is given
    /// back step by step, by [`Keyspace::expire_step`], if not `at_once`.
    pub fn flush(&mut self, db: Option<u32>, at_once: bool) -> usize {
        assert!(
            db.is_none_or(|db| db < self.keyspace.dbs()),
            "db out of range"
        );
        self.assert_all();
        let dbs = match db {
            Some(db) => db..db + 1,
            None => 0..self.keyspace.dbs(),
        };
        self.invalidate_all();
        let mut removed = 0;
        for shard in self.footprint.shards() {
            for db in dbs.clone() {
                let (keyspace, place) = (self.keyspace, self.keyspace.place(db));
                let state = self.state_mut(shard);
                state.mark_watchers_of_existing(keyspace, &[db], &[db]);
                removed += state.flush(keyspace, keyspace.shard(shard), db, place, at_once);
                self.mark_waiters(shard, &[db]);
            }
        }
        removed
    }

    /// Makes every awaited key of these dbs ready: any of them may have changed.
    fn mark_waiters(&mut self, shard: u32, dbs: &[u32]) {
        let waits = self.keyspace.waits();
        let waiters = &mut self.state_mut(shard).waiters;
        dbs.iter().for_each(|db| waiters.mark_all(waits, *db));
    }

    /// The key in the open shards that became ready first.
    pub fn first_ready(&self) -> Option<ReadyKey> {
        let shards = self.footprint.shards();
        shards
            .filter_map(|shard| self.state(shard).waiters.first_ready())
            .min_by_key(|ready| ready.order)
    }

    pub(super) fn assert_all(&self) {
        assert!(
            self.footprint.covers(self.keyspace.all_shards()),
            "needs every shard"
        );
    }

    /// The part of the keyspace in an open shard.
    #[inline]
    #[allow(unsafe_code)]
    pub(super) fn state(&self, shard: u32) -> &ShardState {
        assert!(
            self.footprint.contains(shard),
            "shard outside the footprint"
        );
        // SAFETY: this access holds the shard's lock until it is dropped, and `&self` means that nobody has a `&mut` from
        // `state_mut`, the only other way to reach the state through this access.
        unsafe { &*self.keyspace.shard(shard).state() }
    }

    #[inline]
    #[allow(unsafe_code)]
    pub(super) fn state_mut(&mut self, shard: u32) -> &mut ShardState {
        // SAFETY: `&mut self` excludes every other reference derived from this access.
        unsafe { &mut *self.state_ptr(shard) }
    }

    /// The part of the keyspace in an open shard, for [`DbMut`], which stands for a `&mut Access`.
    #[inline]
    pub(super) fn state_ptr(&self, shard: u32) -> *mut ShardState {
        assert!(
            self.footprint.contains(shard),
            "shard outside the footprint"
        );
        self.keyspace.shard(shard).state()
    }
}

impl Drop for Access<'_> {
    #[inline]
    fn drop(&mut self) {
        debug_assert!(
            std::thread::panicking()
                || self
                    .notes
                    .get_mut()
                    .as_ref()
                    .is_none_or(|notes| notes.removed.is_empty()),
            "expired keys were removed and nobody asked which: their DEL is not in the log"
        );
        if self.notes.get_mut().is_some() {
            self.settle_lent(true);
        }
        for shard in self.footprint.shards() {
            self.keyspace.shard(shard).unlock();
        }
    }
}
