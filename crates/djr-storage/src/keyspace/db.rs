//! One db as a reading command sees it.

use super::access::Access;
use super::block::{Block, NewValue};
use super::entry::EntryRef;
use super::hash::{Key, KeyHash, UnixMillis};
use super::shard::ShardState;
use super::wait::{Registration, Ticket};
use crate::value::parse_integer;

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
    pub(super) access: &'a Access<'a>,
    pub(super) db: u32,
    pub(super) place: usize,
}

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
pub(super) fn is_past(expire_at: Option<UnixMillis>, now: UnixMillis) -> bool {
    expire_at.is_some_and(|at| at < now)
}
