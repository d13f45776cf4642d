//! One db as a writing command sees it.

use std::marker::PhantomData;
use std::mem::ManuallyDrop;

use super::access::{Access, Expired};
use super::block::{Block, NewObject, NewValue};
use super::db::{Db, Expire, StringForm, WrongKind, is_past};
use super::entry::{EntryRef, OwnedEntry};
use super::entry_mut::EntryMut;
use super::hash::{Key, KeyHash, UnixMillis};
use super::options::AccessClock;
use super::part::Part;
use super::wait::{Registration, Ticket};
use super::watch::WatchFlag;
use crate::table::Slot;
use crate::types::Object;
use crate::value::{Kind, Value};
/// How many parts past their deadline are removed from a structure before it is changed: a change must not pay for a million.
/// The active expiry takes the others.
const PARTS_MAX: usize = 128;

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
