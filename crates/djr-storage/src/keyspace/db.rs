//! One db as a command sees it: [`Db`] reads, [`DbMut`] also writes.

use std::marker::PhantomData;
use std::mem::ManuallyDrop;

use super::access::{Access, Expired};
use super::block::{Block, INLINE_SIZE_MAX, NewObject, NewValue};
use super::entry::{EntryRef, OwnedEntry};
use super::hash::{Key, KeyHash, UnixMillis};
use super::options::AccessClock;
use super::part::Part;
use super::shard::ShardState;
use super::wait::{Registration, Ticket};
use super::watch::WatchFlag;
use crate::table::Slot;
use crate::types::Object;
use crate::value::{Kind, StringRef, Value, ValueRef, parse_integer};

/// What becomes of a key's deadline when its value is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expire {
    /// It goes.
    Clear,
    /// It stays, if there is one (`KEEPTTL`).
    Keep,
    /// It is set.
    At(UnixMillis),
}

/// How a new string is kept; seen in `OBJECT ENCODING` only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StringForm {
    /// As `SET` does: as an integer where the text is one.
    Auto,
    /// As bytes even where the text is an integer's (`INCRBYFLOAT`).
    Text,
    /// As bytes that were modified in place: never `embstr` (`SETRANGE`, `SETBIT`).
    Raw,
}

impl StringForm {
    #[inline]
    pub(super) fn of(self, bytes: &[u8]) -> NewValue<'_> {
        match self {
            Self::Auto => match parse_integer(bytes) {
                Some(integer) => NewValue::Int(integer),
                None => NewValue::bytes(bytes, false),
            },
            Self::Text => NewValue::bytes(bytes, false),
            Self::Raw => NewValue::bytes(bytes, true),
        }
    }
}

/// The key holds a value of another kind: `WRONGTYPE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrongKind;

/// A db for reading. Only keys of the open shards may be asked for; asking for another one is a panic.
#[derive(Clone, Copy)]
pub struct Db<'a> {
    access: &'a Access<'a>,
    db: u32,
    place: usize,
}

/// How many parts past their deadline are removed from a structure before it is changed: a change must not pay for a million.
/// The active expiry takes the others.
const PARTS_MAX: usize = 128;
/// How often [`Db::random`] tries again when it meets an expired entry.
const RANDOM_ATTEMPTS: u64 = 100;

impl<'a> Db<'a> {
    #[inline]
    pub(super) fn new(access: &'a Access<'a>, db: u32) -> Self {
        Self {
            access,
            db,
            place: access.keyspace.place(db),
        }
    }

    /// The number of this db.
    pub fn index(&self) -> u32 {
        self.db
    }

    /// The time that the access was opened with.
    pub fn now(&self) -> UnixMillis {
        self.access.now()
    }

    /// Hashes a key.
    pub fn key<'b>(&self, bytes: &'b [u8]) -> Key<'b> {
        self.access.keyspace.key(bytes)
    }

    /// The entry of a key, which counts as an access to it. An expired one is absent, and noted.
    #[inline]
    pub fn get(&self, key: Key<'_>) -> Option<EntryRef<'a>> {
        let state = self.state(key.hash);
        let block = self.live(key, state.find(self.place, key)?)?;
        if self.access.touches() {
            let clocks = self.access.keyspace.clock();
            block.set_clock(state.touched(clocks, self.db, block, self.now()));
        }
        Some(EntryRef {
            access: self.access,
            block,
            db: self.db,
        })
    }

    /// The entry of a key, without counting as an access to it. An expired one is absent, and noted.
    #[inline]
    pub fn peek(&self, key: Key<'_>) -> Option<EntryRef<'a>> {
        let block = self.live(key, self.state(key.hash).find(self.place, key)?)?;
        Some(EntryRef {
            access: self.access,
            block,
            db: self.db,
        })
    }

    #[inline]
    fn live(&self, key: Key<'_>, block: Block<'a>) -> Option<Block<'a>> {
        if is_past(block.expire_at(), self.now()) {
            self.access.note_expired(self.db, key.hash, key.bytes);
            return None;
        }
        Some(block)
    }

    /// Whether the key exists. Does not count as an access.
    pub fn contains(&self, key: Key<'_>) -> bool {
        self.peek(key).is_some()
    }

    /// Whether the key is still there though its deadline has passed. For `EXEC`, which fails if a watched key is.
    pub fn is_expired(&self, key: Key<'_>) -> bool {
        self.state(key.hash)
            .find(self.place, key)
            .is_some_and(|block| is_past(block.expire_at(), self.now()))
    }

    /// Number of keys, expired ones included that are still there: what `DBSIZE` says. Also counts shards that are not open.
    pub fn len(&self) -> usize {
        self.access.keyspace.len(self.db)
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One step of a walk over the whole db: visits about `count` live entries from `cursor` on and returns the next cursor, 0 at the
    /// end. Begin with 0. Every key that is there from the beginning to the end of the walk is visited exactly once, whatever else
    /// changes meanwhile. Cursors are below 2^38; with one that was not returned by this, the walk begins somewhere.
    ///
    /// Only the shard that the cursor points into ([`Keyspace::scan_footprint`](super::Keyspace::scan_footprint)) must be open. If the
    /// following shards are open too the step goes on in them, else it ends early: go on with the returned cursor.
    /// Expired keys are skipped and noted.
    pub fn scan(&self, cursor: u64, count: usize, mut visit: impl FnMut(EntryRef<'a>)) -> u64 {
        let (keyspace, mut cursor, mut visited) = (self.access.keyspace, cursor, 0);
        // Empty buckets count a little, so that the step is short in an empty table too.
        for _ in 0..count.saturating_mul(10).max(1) {
            if keyspace.scan_footprint(cursor).is_empty() {
                return 0; // past the last shard
            }
            let shard = (cursor >> 32) as u32;
            let next = self.access.state(shard).scan(
                keyspace,
                self.place,
                cursor & u64::from(u32::MAX),
                |block| {
                    visited += 1;
                    if let Some(entry) = self.live_entry(block) {
                        visit(entry);
                    }
                },
            );
            cursor = if next == 0 {
                u64::from(shard + 1) << 32
            } else {
                u64::from(shard) << 32 | next
            };
            if visited >= count
                || !self
                    .access
                    .footprint()
                    .covers(keyspace.scan_footprint(cursor))
            {
                break;
            }
        }
        if keyspace.scan_footprint(cursor).is_empty() {
            0
        } else {
            cursor
        }
    }

    /// A live entry drawn at random from the open shards, `None` if there is none or if luck met only expired ones (they are noted).
    /// `random` has 64 random bits. To draw from the whole db, open [`Keyspace::random_footprint`](super::Keyspace::random_footprint).
    pub fn random(&self, random: u64) -> Option<EntryRef<'a>> {
        (0..RANDOM_ATTEMPTS).find_map(|attempt| {
            let random = random.wrapping_add(attempt.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let shard =
                self.access
                    .keyspace
                    .random_shard(self.db, self.access.footprint(), random)?;
            self.live_entry(self.access.state(shard).random_entry(self.place, random)?)
        })
    }

    /// Visits every live entry of the open shards, in no order. Expired ones are skipped and noted.
    pub fn for_each(&self, mut visit: impl FnMut(EntryRef<'a>)) {
        for shard in self.access.footprint().shards() {
            self.access
                .state(shard)
                .iter(self.place)
                .filter_map(|block| self.live_entry(block))
                .for_each(&mut visit);
        }
    }

    fn live_entry(&self, block: Block<'a>) -> Option<EntryRef<'a>> {
        if is_past(block.expire_at(), self.now()) {
            self.live(self.key(block.key()), block)?;
        }
        Some(EntryRef {
            access: self.access,
            block,
            db: self.db,
        })
    }

    /// Who waits for a key, in order of arrival, from behind a ticket on (0: from the first on).
    pub fn waiters(
        &self,
        key: Key<'_>,
        behind: Ticket,
    ) -> impl Iterator<Item = (Ticket, &'a Registration)> {
        let waiters = &self.state(key.hash).waiters;
        waiters.behind(self.db, key.bytes, behind)
    }

    /// Which change made a key ready ([`ReadyKey::generation`](super::ReadyKey::generation)); `None`: it is not ready.
    pub fn ready_generation(&self, key: Key<'_>) -> Option<u64> {
        self.state(key.hash).waiters.generation(self.db, key.bytes)
    }

    #[inline]
    fn state(&self, hash: KeyHash) -> &'a ShardState {
        self.access.state(self.access.keyspace.shard_of(hash))
    }
}

/// As Redis: a key still lives in the millisecond of its deadline.
#[inline]
fn is_past(expire_at: Option<UnixMillis>, now: UnixMillis) -> bool {
    expire_at.is_some_and(|at| at < now)
}

/// A db for reading and writing: the reading view is [`as_db`](Self::as_db), the usual look-ups are here too.
///
/// Every change goes through one place, which tells watchers (and later snapshots) before it happens. A writing look-up
/// that meets an expired entry removes it at once.
pub struct DbMut<'a> {
    db: Db<'a>,
    removed: bool,
    inserted: bool,
    _exclusive: PhantomData<&'a mut ()>,
}

impl<'a> DbMut<'a> {
    #[inline]
    pub(super) fn new(access: &'a mut Access<'_>, db: u32) -> Self {
        Self {
            db: Db::new(access, db),
            removed: false,
            inserted: false,
            _exclusive: PhantomData,
        }
    }

    /// This db for reading.
    #[inline]
    pub fn as_db(&self) -> Db<'_> {
        self.db
    }

    /// The entry of a key. See [`Db::get`].
    #[inline]
    pub fn get(&self, key: Key<'_>) -> Option<EntryRef<'_>> {
        self.as_db().get(key)
    }

    /// The entry of a key, without counting as an access. See [`Db::peek`].
    #[inline]
    pub fn peek(&self, key: Key<'_>) -> Option<EntryRef<'_>> {
        self.as_db().peek(key)
    }

    /// Whether the key exists.
    pub fn contains(&self, key: Key<'_>) -> bool {
        self.as_db().contains(key)
    }

    /// The number of this db.
    pub fn index(&self) -> u32 {
        self.db.db
    }

    /// The time that the access was opened with.
    pub fn now(&self) -> UnixMillis {
        self.db.now()
    }

    /// Hashes a key.
    pub fn key<'b>(&self, bytes: &'b [u8]) -> Key<'b> {
        self.db.key(bytes)
    }

    /// Another db of the same access, for `MOVE` and `COPY … DB`.
    pub fn other(&mut self, db: u32) -> DbMut<'_> {
        DbMut {
            db: Db::new(self.db.access, db),
            removed: false,
            inserted: false,
            _exclusive: PhantomData,
        }
    }

    /// The entry of a key, for changing it. Counts as an access to it.
    pub fn get_mut(&mut self, key: Key<'_>) -> Option<EntryMut<'_>> {
        let access = self.db.access;
        let (part, slot) = self.find_live(key);
        let slot = slot?;
        touch(access, &part, part.block(slot));
        Some(EntryMut {
            access,
            part,
            slot,
            hash: key.hash,
        })
    }

    /// Sets a key to a string, as `SET` keeps it. Returns whether the key was there before.
    #[inline]
    pub fn set_string(&mut self, key: Key<'_>, bytes: &[u8], expire: Expire) -> bool {
        self.set(key, StringForm::Auto.of(bytes), expire)
    }

    /// Sets a key to a string kept in a certain form. Returns whether the key was there before.
    pub fn set_string_as(
        &mut self,
        key: Key<'_>,
        bytes: &[u8],
        form: StringForm,
        expire: Expire,
    ) -> bool {
        self.set(key, form.of(bytes), expire)
    }

    /// Sets a key to the text of an integer. Returns whether the key was there before.
    pub fn set_integer(&mut self, key: Key<'_>, integer: i64, expire: Expire) -> bool {
        self.set(key, NewValue::Int(integer), expire)
    }

    fn set(&mut self, key: Key<'_>, value: NewValue<'_>, expire: Expire) -> bool {
        let clocks = self.db.access.keyspace.clock();
        let (mut part, slot) = self.find_live(key);
        let Some(slot) = slot else {
            let expire_at = if let Expire::At(at) = expire {
                Some(at)
            } else {
                None
            };
            let clock = part.state.fresh(clocks, part.db, key.bytes, part.now);
            part.insert(key, clock, expire_at, value);
            return false;
        };
        let block = part.block(slot);
        let expire_at = match expire {
            Expire::Clear => None,
            Expire::Keep => block.expire_at(),
            Expire::At(at) => Some(at),
        };
        let clock = part.state.touched(clocks, part.db, block, part.now);
        part.rewrite(key.hash, slot, clock, expire_at, value);
        true
    }

    /// Removes a key. Returns whether it was there.
    pub fn remove(&mut self, key: Key<'_>) -> bool {
        let (mut part, slot) = self.find_live(key);
        slot.map(|slot| part.remove(slot)).is_some()
    }

    /// Takes an entry out of the db.
    pub fn take(&mut self, key: Key<'_>) -> Option<OwnedEntry> {
        let (mut part, slot) = self.find_live(key);
        let slot = slot?;
        let (expire_at, clock) = (part.block(slot).expire_at(), part.block(slot).clock());
        Some(OwnedEntry {
            value: part.take(slot),
            expire_at,
            clock: Some(clock),
        })
    }

    /// Puts an entry in under a key, in place of what was there. Returns whether something was.
    pub fn put(&mut self, key: Key<'_>, entry: OwnedEntry) -> bool {
        let clocks = self.db.access.keyspace.clock();
        let (mut part, slot) = self.find_live(key);
        let fresh = || part.state.fresh(clocks, part.db, key.bytes, part.now);
        let clock = entry.clock.unwrap_or_else(fresh);
        NewValue::with(entry.value, |value| match slot {
            Some(slot) => {
                part.rewrite(key.hash, slot, clock, entry.expire_at, value);
                true
            }
            None => {
                part.insert(key, clock, entry.expire_at, value);
                false
            }
        })
    }

    /// Sets a key to a value of any kind, in place of what was there. Returns whether something was. A structure with nothing in
    /// it is no value: the key is removed.
    pub fn set_value(&mut self, key: Key<'_>, value: Value, expire: Expire) -> bool {
        if value.is_vacant() {
            return self.remove(key);
        }
        NewValue::with(value, |value| self.set(key, value, expire))
    }

    /// Changes the structure at a key in place. `None` if there is no such key. If nothing is left in the structure, the key
    /// is removed; [`was_removed`](Self::was_removed) says so. Counts as an access to the key.
    ///
    /// Parts of it that are past their deadline (the first of them) are removed before, and noted for [`Access::take_expired`]. Those who watch the key
    /// are told once [`Access::settle_lent`] has said that `change` did change something.
    pub fn update<T: Object, R>(
        &mut self,
        key: Key<'_>,
        change: impl FnOnce(&mut T) -> R,
    ) -> Result<Option<R>, WrongKind> {
        let (mut part, slot) = self.lend(key, T::KIND)?;
        let Some(slot) = slot else { return Ok(None) };
        let result = part.update(key.hash, slot, change);
        Ok(self.take_back(key, slot, result))
    }

    /// As [`update`](Self::update), but where there is no such key, one with the structure that `make` returns is made, unless there is nothing
    /// in it after `change`.
    pub fn update_or_insert<T: Object, R>(
        &mut self,
        key: Key<'_>,
        make: impl FnOnce() -> T,
        change: impl FnOnce(&mut T) -> R,
    ) -> Result<R, WrongKind> {
        let (mut part, slot) = self.lend(key, T::KIND)?;
        if let Some(slot) = slot {
            let result = part.update(key.hash, slot, change);
            return self.take_back(key, slot, result).ok_or(WrongKind);
        }
        let mut object = make();
        let result = change(&mut object);
        if !object.is_vacant() {
            let clocks = part.keyspace.clock();
            let clock = part.state.fresh(clocks, part.db, key.bytes, part.now);
            let mut object = ManuallyDrop::new(object);
            part.insert(
                key,
                clock,
                None,
                NewValue::Object(NewObject::new(&mut object)),
            );
            self.inserted = true;
        }
        Ok(result)
    }

    /// Whether the last [`update`](Self::update) left nothing in the structure, so that the key was removed.
    pub fn was_removed(&self) -> bool {
        self.removed
    }

    /// Whether the last [`update_or_insert`](Self::update_or_insert) made the key.
    pub fn was_inserted(&self) -> bool {
        self.inserted
    }

    /// Begins an update: finds the structure, which is of this kind, and counts the access.
    fn lend(&mut self, key: Key<'_>, kind: Kind) -> Result<(Part<'_>, Option<Slot>), WrongKind> {
        (self.removed, self.inserted) = (false, false);
        let access = self.db.access;
        let (mut part, slot) = self.find_live(key);
        let Some(slot) = slot else {
            return Ok((part, None));
        };
        let block = part.block(slot);
        if block.kind() != kind {
            return Err(WrongKind);
        }
        touch(access, &part, block);
        if block.next_expire().is_some_and(|at| at < part.now) {
            let db = part.db;
            let (_, removed) = part.expire_parts(slot, PARTS_MAX, &mut |expired| {
                access.note_removed(db, expired)
            });
            if removed {
                return Ok((part, None));
            }
        }
        if part.is_watched() {
            access.note_lent(part.db, key);
        }
        part.leave(slot);
        Ok((part, Some(slot)))
    }

    /// Ends an update.
    fn take_back<R>(&mut self, key: Key<'_>, slot: Slot, result: Option<(R, bool)>) -> Option<R> {
        let (result, is_vacant) = result?;
        if is_vacant {
            self.part(key.hash).remove(slot);
            self.removed = true;
        }
        Some(result)
    }

    /// A copy of an entry, deadline included. Counts as an access.
    pub fn copy_value(&self, key: Key<'_>) -> Option<OwnedEntry> {
        Some(self.get(key)?.to_owned())
    }

    /// Sets or clears the deadline of a key. Returns whether the key is there. A deadline in the past is kept as it is: such a key
    /// is gone at its next look-up.
    pub fn set_expire(&mut self, key: Key<'_>, expire_at: Option<UnixMillis>) -> bool {
        self.get_mut(key)
            .map(|mut entry| entry.set_expire(expire_at))
            .is_some()
    }

    /// Removes the key if its deadline has passed, and notes it for [`Access::take_expired`]. Returns whether it did.
    pub fn remove_if_expired(&mut self, key: Key<'_>) -> bool {
        let was_expired = self.as_db().is_expired(key);
        if was_expired {
            self.find_live(key);
        }
        was_expired
    }

    /// Calls `change`, during which nobody is told of changes of the key and of others in its shard: for what counts as no change
    /// unless [`tell_change`](Self::tell_change) says so.
    pub fn quietly<R>(&mut self, key: Key<'_>, change: impl FnOnce(&mut Self) -> R) -> R {
        self.part(key.hash).state.quiet = true;
        let result = change(self);
        self.part(key.hash).state.quiet = false;
        result
    }

    /// Tells those who watch a key or wait for it that it has changed.
    pub fn tell_change(&mut self, key: Key<'_>) {
        let mut part = self.part(key.hash);
        if part.is_watched() {
            part.tell_change(key.bytes);
        }
    }

    /// Has `flag` set when the key changes: when it is set, removed, expires, or appears. A key that has expired is removed first.
    pub fn watch(&mut self, key: Key<'_>, flag: &WatchFlag) {
        let (part, _) = self.find_live(key);
        part.state.watchers.add(part.db, key.bytes, flag);
    }

    /// Takes [`watch`](Self::watch) back.
    pub fn unwatch(&mut self, key: Key<'_>, flag: &WatchFlag) {
        let part = self.part(key.hash);
        part.state.watchers.remove(part.db, key.bytes, flag);
    }

    /// Registers a wait with a key: it is ready with its next change. Again with the same ticket changes nothing.
    pub fn wait(&mut self, key: Key<'_>, ticket: Ticket, registration: Registration) {
        let part = self.part(key.hash);
        let waits = part.keyspace.waits();
        let waiters = &mut part.state.waiters;
        waiters.add(waits, part.db, key.bytes, ticket, registration);
    }

    /// Takes [`wait`](Self::wait) back. Returns whether it was registered.
    pub fn end_wait(&mut self, key: Key<'_>, ticket: Ticket) -> bool {
        let part = self.part(key.hash);
        let waits = part.keyspace.waits();
        part.state.waiters.remove(waits, part.db, key.bytes, ticket)
    }

    /// Has those who wait for a key served as if it had changed.
    pub fn make_ready(&mut self, key: Key<'_>) {
        let part = self.part(key.hash);
        let waits = part.keyspace.waits();
        part.state.waiters.mark(waits, part.db, key.bytes);
    }

    /// The waiters of a ready key have been served: it is ready again with its next change.
    pub fn end_ready(&mut self, key: Key<'_>) {
        let part = self.part(key.hash);
        let waits = part.keyspace.waits();
        part.state.waiters.end_ready(waits, part.db, key.bytes);
    }

    /// The part that the key is in, and where, if it lives. An expired one is removed and noted.
    #[inline]
    fn find_live(&mut self, key: Key<'_>) -> (Part<'_>, Option<Slot>) {
        let access = self.db.access;
        let mut part = self.part(key.hash);
        let Some((slot, block)) = part.find(key) else {
            return (part, None);
        };
        if is_past(block.expire_at(), part.now) {
            part.remove(slot);
            access.note_removed(part.db, Expired::Key(key.bytes));
            return (part, None);
        }
        (part, Some(slot))
    }

    pub(super) fn clocks(&self) -> &'a AccessClock {
        self.db.access.keyspace.clock()
    }

    #[inline]
    pub(super) fn part(&mut self, hash: KeyHash) -> Part<'_> {
        self.part_at(self.db.access.keyspace.shard_of(hash))
    }

    #[inline]
    #[allow(unsafe_code)]
    pub(super) fn part_at(&mut self, shard: u32) -> Part<'_> {
        let Db { access, db, place } = self.db;
        // SAFETY: the access holds the shard's lock. This was made from a `&mut Access`, so there is no reference from other views
        // of the same access; `&mut self` excludes those from this one.
        let state = unsafe { &mut *access.state_ptr(shard) };
        Part {
            keyspace: access.keyspace,
            shard: access.keyspace.shard(shard),
            state,
            db,
            place,
            now: access.now(),
        }
    }
}

/// Counts an access to an entry.
#[inline]
fn touch(access: &Access<'_>, part: &Part<'_>, block: Block<'_>) {
    if access.touches() {
        let clocks = access.keyspace.clock();
        block.set_clock(part.state.touched(clocks, part.db, block, part.now));
    }
}

/// An entry for changing it; [`entry`](Self::entry) reads it.
pub struct EntryMut<'a> {
    access: &'a Access<'a>,
    part: Part<'a>,
    slot: Slot,
    hash: KeyHash,
}

impl EntryMut<'_> {
    /// The entry for reading.
    pub fn entry(&self) -> EntryRef<'_> {
        EntryRef {
            access: self.access,
            block: self.part.block(self.slot),
            db: self.part.db,
        }
    }

    /// Appends to the string. Returns its new length. The caller has checked that it is a string, and the limit of its length.
    pub fn append(&mut self, bytes: &[u8]) -> usize {
        self.edit(|string| {
            string.extend_from_slice(bytes);
            string.len()
        })
    }

    /// Overwrites the string from `offset` on, zeros in between where it was shorter. Returns its new length. The caller has
    /// checked that it is a string, and the limit of its length.
    pub fn set_range(&mut self, offset: usize, bytes: &[u8]) -> usize {
        let end = offset.saturating_add(bytes.len());
        self.overwrite(end, |string| {
            string[offset..end].copy_from_slice(bytes);
            string.len()
        })
    }

    /// Changes the bytes of the string in place, zeros appended first where it is shorter than `len_min`. The caller has checked that it
    /// is a string, and the limit of its length.
    pub fn overwrite<R>(&mut self, len_min: usize, change: impl FnOnce(&mut [u8]) -> R) -> R {
        if let ValueRef::String(StringRef::Bytes(bytes)) = self.entry().value()
            && bytes.len() >= len_min
        {
            let changed = self.part.modify_bytes(self.slot, change);
            // Only integers are refused.
            return changed.expect("it is kept as bytes");
        }
        self.edit(|string| {
            if string.len() < len_min {
                string.resize(len_min, 0);
            }
            change(string)
        })
    }

    /// Changes the string, its length too; in place if it is long. The caller has checked that it is a string, and keeps to the limit
    /// of its length.
    pub fn edit<R>(&mut self, change: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        if self.entry().block.is_heap() {
            let changed = self.part.modify_heap(self.slot, change);
            // Only other forms are refused.
            return changed.expect("it is a long string");
        }
        let string = self.entry().as_string();
        debug_assert!(
            string.is_some(),
            "the caller has checked that it is a string"
        );
        let mut string = string.map_or_else(Vec::new, StringRef::to_vec);
        let result = change(&mut string);
        self.rewrite(if string.len() <= INLINE_SIZE_MAX {
            NewValue::Inline {
                bytes: &string,
                raw: true,
            }
        } else {
            NewValue::Heap {
                bytes: string,
                raw: true,
            }
        });
        result
    }

    /// Replaces the value by the text of an integer; the deadline stays.
    pub fn set_integer(&mut self, integer: i64) {
        self.rewrite(NewValue::Int(integer));
    }

    /// Replaces the value by a string kept in a certain form; the deadline stays.
    pub fn set_string_as(&mut self, bytes: &[u8], form: StringForm) {
        self.rewrite(form.of(bytes));
    }

    /// Says when the entry was last accessed, in seconds before now. Nothing under an LFU policy.
    pub fn set_idle_seconds(&mut self, seconds: u64) {
        let (clocks, block) = (self.access.keyspace.clock(), self.part.block(self.slot));
        if !self.part.state.is_lfu(clocks, self.part.db, block.key()) {
            block.set_clock(clocks.idle_for(seconds, self.part.now));
        }
    }

    /// Sets the logarithmic access counter. Nothing unless the policy is LFU.
    pub fn set_frequency(&mut self, counter: u8) {
        let (clocks, block) = (self.access.keyspace.clock(), self.part.block(self.slot));
        if self.part.state.is_lfu(clocks, self.part.db, block.key()) {
            block.set_clock(clocks.with_frequency(counter, self.part.now));
        }
    }

    /// Sets or clears the deadline.
    pub fn set_expire(&mut self, expire_at: Option<UnixMillis>) {
        let raw = self.part.set_expire_at(self.hash, self.slot, expire_at);
        self.slot = self.part.found_at(self.hash, self.slot, raw);
    }

    fn rewrite(&mut self, value: NewValue<'_>) {
        let (clock, expire_at) = (self.entry().block.clock(), self.entry().expire_at());
        let raw = self
            .part
            .rewrite(self.hash, self.slot, clock, expire_at, value);
        self.slot = self.part.found_at(self.hash, self.slot, raw);
    }
}
