//! One db as a command sees it: [`Db`] reads, [`DbMut`] also writes.

use std::marker::PhantomData;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use super::access::Access;
use super::entry::{EntryRef, Node, OwnedEntry};
use super::hash::{Key, KeyHash, UnixMillis};
use super::shard::ShardState;
use super::watch::WatchFlag;
use crate::value::{INTEGER_TEXT_SIZE_MAX, StringValue, Value};

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

/// A db for reading. Only keys of the open shards may be asked for; another one's shard is a panic.
#[derive(Clone, Copy)]
pub struct Db<'a> {
    access: &'a Access<'a>,
    db: u32,
}

impl<'a> Db<'a> {
    pub(super) fn new(access: &'a Access<'a>, db: u32) -> Self {
        assert!(db < access.keyspace.dbs(), "db out of range");
        Self { access, db }
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
        let entry = self.peek(key)?;
        if self.access.touches() {
            let clock = entry.node.clock.load(Relaxed);
            let state = self.state(key.hash);
            let touched = self
                .access
                .keyspace
                .clock()
                .touched(clock, self.now(), || state.random());
            if touched != clock {
                entry.node.clock.store(touched, Relaxed);
            }
        }
        Some(entry)
    }

    /// The entry of a key, without counting as an access to it. An expired one is absent, and noted.
    #[inline]
    pub fn peek(&self, key: Key<'_>) -> Option<EntryRef<'a>> {
        let entry = self.find(key)?;
        if is_past(entry.expire_at(), self.now()) {
            self.access.note_expired(self.db, key.hash, key.bytes);
            return None;
        }
        Some(entry)
    }

    /// Whether the key exists. Does not count as an access.
    pub fn contains(&self, key: Key<'_>) -> bool {
        self.peek(key).is_some()
    }

    /// Whether the key is still there though its deadline has passed. For `EXEC`, which fails if a watched key is.
    pub fn is_expired(&self, key: Key<'_>) -> bool {
        self.find(key)
            .is_some_and(|entry| is_past(entry.expire_at(), self.now()))
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
    /// end. Begin with 0. Every key that is there from the beginning to the end of the walk is visited at least once, whatever else
    /// changes meanwhile.
    ///
    /// Only the shard that the cursor points into ([`Keyspace::scan_footprint`](super::Keyspace::scan_footprint)) must be open. If the
    /// following shards are open too the step goes on in them, else it ends early: go on with the returned cursor.
    /// Expired keys are skipped and noted.
    pub fn scan(&self, mut cursor: u64, count: usize, mut visit: impl FnMut(EntryRef<'a>)) -> u64 {
        let mut left = count.max(1);
        loop {
            let shard = self.access.keyspace.scan_shard(cursor);
            let (visited, next) = self.scan_shard(shard, cursor, left, &mut visit);
            left = left.saturating_sub(visited);
            cursor = next;
            if cursor == 0
                || left == 0
                || !self
                    .access
                    .footprint()
                    .covers(self.access.keyspace.scan_footprint(cursor))
            {
                return cursor;
            }
        }
    }

    fn scan_shard(
        &self,
        shard: u32,
        cursor: u64,
        count: usize,
        visit: &mut impl FnMut(EntryRef<'a>),
    ) -> (usize, u64) {
        let mut found: Vec<_> = self.access.state(shard).dbs[self.db as usize]
            .keys()
            .map(|bytes| self.key(bytes))
            .filter(|key| key.hash.0 >> 1 >= cursor)
            .map(|key| (key.hash.0 >> 1, key.bytes))
            .collect();
        found.sort_unstable();
        let end = found
            .get(count - 1)
            .map_or(u64::MAX, |(position, _)| *position);
        found.retain(|(position, _)| *position <= end);
        for (_, bytes) in &found {
            if let Some(entry) = self.peek(self.key(bytes)) {
                visit(entry);
            }
        }
        let shard_step = 1 << 62 >> self.access.keyspace.shards().trailing_zeros() << 1;
        let next = if end == u64::MAX {
            (u64::from(shard) + 1).wrapping_mul(shard_step)
        } else {
            end + 1
        };
        (found.len(), next & (u64::MAX >> 1))
    }

    /// A live entry drawn at random from the open shards, `None` if there is none or if luck met only expired ones (they are noted).
    /// `random` has 64 random bits. To draw from the whole db, open [`Keyspace::random_footprint`](super::Keyspace::random_footprint).
    pub fn random(&self, random: u64) -> Option<EntryRef<'a>> {
        let mut live = Vec::new();
        self.for_each(|entry| live.push(entry));
        (!live.is_empty()).then(|| live[(random % live.len() as u64) as usize])
    }

    /// Visits every live entry of the open shards, in no order. Expired ones are skipped and noted.
    pub fn for_each(&self, mut visit: impl FnMut(EntryRef<'a>)) {
        self.for_each_any(&mut |entry| {
            if is_past(entry.expire_at(), self.now()) {
                self.access
                    .note_expired(self.db, self.key(entry.key()).hash, entry.key());
            } else {
                visit(entry);
            }
        });
    }

    /// Visits every entry of the open shards, whether expired or not.
    pub(super) fn for_each_any(&self, visit: &mut dyn FnMut(EntryRef<'a>)) {
        for shard in self.access.footprint().shards() {
            for (key, node) in &self.access.state(shard).dbs[self.db as usize] {
                visit(EntryRef {
                    access: self.access,
                    key,
                    node,
                });
            }
        }
    }

    #[inline]
    fn find(&self, key: Key<'_>) -> Option<EntryRef<'a>> {
        let (bytes, node) = self.state(key.hash).dbs[self.db as usize].get_key_value(key.bytes)?;
        Some(EntryRef {
            access: self.access,
            key: bytes,
            node,
        })
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

/// A db for reading and writing: all that [`Db`] can ([`as_db`](Self::as_db)), and changes.
///
/// Every change goes through one place, which tells watchers (and later snapshots) before it happens. A writing look-up
/// that meets an expired entry removes it at once.
pub struct DbMut<'a> {
    db: Db<'a>,
    _exclusive: PhantomData<&'a mut ()>,
}

impl<'a> DbMut<'a> {
    pub(super) fn new(access: &'a mut Access<'_>, db: u32) -> Self {
        Self {
            db: Db::new(access, db),
            _exclusive: PhantomData,
        }
    }

    /// This db for reading.
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
            _exclusive: PhantomData,
        }
    }

    /// The entry of a key, for changing it. Counts as an access to it.
    pub fn get_mut(&mut self, key: Key<'_>) -> Option<EntryMut<'_>> {
        self.remove_if_expired(key);
        self.as_db().get(key)?;
        let (db, access) = (self.db.db, self.db.access);
        let shard = access.keyspace.shard_of(key.hash);
        // The key inside the map outlives the borrow of the caller's.
        let bytes = self.as_db().find(key)?.key.to_vec();
        Some(EntryMut {
            db: DbMut {
                db: Db { access, db },
                _exclusive: PhantomData,
            },
            key: bytes,
            shard,
        })
    }

    /// Sets a key to a string, as `SET` keeps it. Returns whether the key was there before.
    pub fn set_string(&mut self, key: Key<'_>, bytes: &[u8], expire: Expire) -> bool {
        self.set_string_as(key, bytes, StringForm::Auto, expire)
    }

    /// Sets a key to a string kept in a certain form. Returns whether the key was there before.
    pub fn set_string_as(
        &mut self,
        key: Key<'_>,
        bytes: &[u8],
        form: StringForm,
        expire: Expire,
    ) -> bool {
        let value = match form {
            StringForm::Auto => Value::string(bytes.to_vec()),
            StringForm::Text => Value::String(StringValue::Bytes {
                bytes: bytes.to_vec(),
                raw: false,
            }),
            StringForm::Raw => Value::String(StringValue::Bytes {
                bytes: bytes.to_vec(),
                raw: true,
            }),
        };
        self.set_value(key, value, expire)
    }

    /// Sets a key to the text of an integer. Returns whether the key was there before.
    pub fn set_integer(&mut self, key: Key<'_>, integer: i64, expire: Expire) -> bool {
        self.set_value(key, Value::String(StringValue::Int(integer)), expire)
    }

    fn set_value(&mut self, key: Key<'_>, value: Value, expire: Expire) -> bool {
        self.remove_if_expired(key);
        let old = self.as_db().find(key).map(|entry| entry.expire_at());
        let expire_at = match expire {
            Expire::Clear => None,
            Expire::Keep => old.flatten(),
            Expire::At(at) => Some(at),
        };
        self.insert(key, OwnedEntry::new(value, expire_at));
        old.is_some()
    }

    /// Removes a key. Returns whether it was there.
    pub fn remove(&mut self, key: Key<'_>) -> bool {
        self.take(key).is_some()
    }

    /// Takes an entry out of the db.
    pub fn take(&mut self, key: Key<'_>) -> Option<OwnedEntry> {
        self.remove_if_expired(key);
        self.take_any(key)
    }

    /// Puts an entry in under a key, in place of what was there. Returns whether something was.
    pub fn put(&mut self, key: Key<'_>, entry: OwnedEntry) -> bool {
        self.remove_if_expired(key);
        self.insert(key, entry)
    }

    /// A copy of an entry, deadline included. Counts as an access.
    pub fn copy_value(&self, key: Key<'_>) -> Option<OwnedEntry> {
        let entry = self.get(key)?;
        Some(OwnedEntry::new(entry.node.value.clone(), entry.expire_at()))
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
        let expired = self.as_db().is_expired(key);
        if expired {
            self.take_any(key);
            self.db.access.note_removed(self.db.db, key.bytes);
        }
        expired
    }

    /// Has `flag` set when the key changes: when it is set, removed, expires, or appears. A key that has expired is removed first.
    pub fn watch(&mut self, key: Key<'_>, flag: &WatchFlag) {
        self.remove_if_expired(key);
        let db = self.db.db;
        self.shard(key.hash).watchers.add(db, key.bytes, flag);
    }

    /// Takes [`watch`](Self::watch) back.
    pub fn unwatch(&mut self, key: Key<'_>, flag: &WatchFlag) {
        let db = self.db.db;
        self.shard(key.hash).watchers.remove(db, key.bytes, flag);
    }

    fn insert(&mut self, key: Key<'_>, entry: OwnedEntry) -> bool {
        let (db, access) = (self.db.db, self.db.access);
        let old = self.take_any(key);
        let clock = entry
            .clock
            .unwrap_or_else(|| access.keyspace.clock().fresh(access.now()));
        let node = Node {
            clock: AtomicU32::new(clock),
            value: entry.value,
            expire_at: entry.expire_at,
        };
        let memory = node.memory(key.bytes) as isize;
        let expires = isize::from(node.expire_at.is_some());
        self.shard(key.hash).dbs[db as usize].insert(key.bytes.into(), node);
        access
            .keyspace
            .count(access.keyspace.shard_of(key.hash), db, 1, expires, memory);
        old.is_some()
    }

    fn take_any(&mut self, key: Key<'_>) -> Option<OwnedEntry> {
        let (db, access) = (self.db.db, self.db.access);
        let state = self.shard(key.hash);
        state.before_change(db, key.bytes);
        let node = state.dbs[db as usize].remove(key.bytes)?;
        let (memory, expires) = (
            node.memory(key.bytes) as isize,
            isize::from(node.expire_at.is_some()),
        );
        access.keyspace.count(
            access.keyspace.shard_of(key.hash),
            db,
            -1,
            -expires,
            -memory,
        );
        Some(OwnedEntry {
            value: node.value,
            expire_at: node.expire_at,
            clock: Some(node.clock.into_inner()),
        })
    }

    fn shard(&mut self, hash: KeyHash) -> &mut ShardState {
        self.shard_at(self.db.access.keyspace.shard_of(hash))
    }

    #[allow(unsafe_code)]
    fn shard_at(&mut self, shard: u32) -> &mut ShardState {
        // SAFETY: the access holds the shard's lock; this was made from a `&mut Access`, so what `&mut self` does not
        // exclude (references from other views of the same access) does not exist.
        unsafe { &mut *self.db.access.state_ptr(shard) }
    }
}

/// An entry for changing it. `&EntryMut` reads as [`EntryRef`] through [`entry`](Self::entry).
pub struct EntryMut<'a> {
    db: DbMut<'a>,
    key: Vec<u8>,
    shard: u32,
}

impl EntryMut<'_> {
    /// The entry for reading.
    pub fn entry(&self) -> EntryRef<'_> {
        let found = self.db.db.access.state(self.shard).dbs[self.db.db.db as usize]
            .get_key_value(&*self.key);
        let Some((key, node)) = found else {
            unreachable!("nobody else removes it")
        };
        EntryRef {
            access: self.db.db.access,
            key,
            node,
        }
    }

    /// Appends to the string. Returns its new length. The caller has checked that it is a string, and the length's limit.
    pub fn append(&mut self, bytes: &[u8]) -> usize {
        self.modify_bytes(|string| string.extend_from_slice(bytes))
    }

    /// Overwrites the string from `offset` on, zeros in between where it was shorter. Returns its new length. The caller has
    /// checked that it is a string, and the length's limit.
    pub fn set_range(&mut self, offset: usize, bytes: &[u8]) -> usize {
        self.modify_bytes(|string| {
            let end = offset + bytes.len();
            if string.len() < end {
                string.resize(end, 0);
            }
            string[offset..end].copy_from_slice(bytes);
        })
    }

    /// Replaces the value by the text of an integer; the deadline stays.
    pub fn set_integer(&mut self, integer: i64) {
        self.modify(|node| node.value = Value::String(StringValue::Int(integer)));
    }

    /// Replaces the value by a string kept in a certain form; the deadline stays.
    pub fn set_string_as(&mut self, bytes: &[u8], form: StringForm) {
        let key = self.key.clone();
        let key = self.db.key(&key);
        self.db.set_string_as(key, bytes, form, Expire::Keep);
    }

    /// Sets or clears the deadline.
    pub fn set_expire(&mut self, expire_at: Option<UnixMillis>) {
        self.modify(|node| node.expire_at = expire_at);
    }

    fn modify_bytes(&mut self, change: impl FnOnce(&mut Vec<u8>)) -> usize {
        let mut len = 0;
        self.modify(|node| {
            let Value::String(string) = &mut node.value;
            if let StringValue::Int(integer) = string {
                let bytes = crate::value::format_integer(*integer, &mut [0; INTEGER_TEXT_SIZE_MAX])
                    .to_vec();
                *string = StringValue::Bytes { bytes, raw: true };
            }
            if let StringValue::Bytes { bytes, raw } = string {
                change(bytes);
                *raw = true;
                len = bytes.len();
            }
        });
        len
    }

    fn modify(&mut self, change: impl FnOnce(&mut Node)) {
        let (db, shard, key) = (self.db.db.db, self.shard, self.key.clone());
        let state = self.db.shard_at(shard);
        state.before_change(db, &key);
        let Some(node) = state.dbs[db as usize].get_mut(&*key) else {
            return;
        };
        let before = (
            node.memory(&key) as isize,
            isize::from(node.expire_at.is_some()),
        );
        change(node);
        let after = (
            node.memory(&key) as isize,
            isize::from(node.expire_at.is_some()),
        );
        self.db
            .db
            .access
            .keyspace
            .count(shard, db, 0, after.1 - before.1, after.0 - before.0);
    }
}
