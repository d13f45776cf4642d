//! What a command gets to work with.

use djr_storage::keyspace::{Access, Db, DbMut, EntryRef, Key, UnixMillis};
use djr_storage::value::{StringRef, ValueRef};

use crate::blocking::Blocking;
use crate::effect::{Effects, Rewritten};
use crate::engine::Engine;
use crate::stats::Lookups;
use crate::{Args, CommandError, Rng};

/// What a reading command works with.
pub struct ReadContext<'a> {
    /// The session's db.
    pub db: Db<'a>,
    /// The open part of the keyspace, for the commands that look past their db.
    pub access: &'a Access<'a>,
    /// The time of this command.
    pub now: UnixMillis,
    /// Everything else that the engine knows.
    pub engine: &'a Engine,
    /// The random numbers of this worker.
    pub rng: &'a mut Rng,
    pub(crate) lookups: &'a Lookups,
}

impl<'a> ReadContext<'a> {
    /// Argument `index` as a key.
    #[inline]
    pub fn key<'b>(&self, args: &Args<'b>, index: usize) -> Key<'b> {
        args.key(index, |bytes| self.engine.keyspace.key(bytes))
    }

    /// The entry of a key, counted as a hit or a miss.
    #[inline]
    pub fn get(&self, key: Key<'_>) -> Option<EntryRef<'a>> {
        let entry = self.db.get(key);
        self.lookups.count(entry.is_some());
        entry
    }

    /// The entry of a key, counted as a hit or a miss, but not as an access that would keep it from being evicted.
    #[inline]
    pub fn peek(&self, key: Key<'_>) -> Option<EntryRef<'a>> {
        let entry = self.db.peek(key);
        self.lookups.count(entry.is_some());
        entry
    }

    /// The string of a key, counted as a hit or a miss.
    #[inline]
    pub fn string(&self, key: Key<'_>) -> Result<Option<StringRef<'a>>, CommandError> {
        self.get(key).map(as_string).transpose()
    }
}

/// What a writing command works with.
pub struct WriteContext<'a, 'k> {
    /// The open part of the keyspace.
    pub access: &'a mut Access<'k>,
    /// The number of the session's db.
    pub db_index: u32,
    /// The time of this command.
    pub now: UnixMillis,
    /// Everything else that the engine knows.
    pub engine: &'a Engine,
    /// The random numbers of this worker.
    pub rng: &'a mut Rng,
    pub(crate) lookups: &'a Lookups,
    pub(crate) effects: &'a mut Effects,
    pub(crate) blocking: &'a mut Blocking,
}

impl WriteContext<'_, '_> {
    /// The session's db.
    #[inline]
    pub fn db(&mut self) -> DbMut<'_> {
        self.access.db_mut(self.db_index)
    }

    /// The session's db, for looking only.
    #[inline]
    pub fn db_read(&self) -> Db<'_> {
        self.access.db(self.db_index)
    }

    /// Argument `index` as a key.
    #[inline]
    pub fn key<'b>(&self, args: &Args<'b>, index: usize) -> Key<'b> {
        args.key(index, |bytes| self.engine.keyspace.key(bytes))
    }

    /// Counts a look-up as a hit or a miss, for the commands that Redis counts (`GETEX`, `GETDEL`, …).
    #[inline]
    pub fn count_lookup(&self, hit: bool) {
        self.lookups.count(hit);
    }

    /// The string of a key, counted as a hit or a miss.
    #[inline]
    pub fn counted_string(&self, key: Key<'_>) -> Result<Option<StringRef<'_>>, CommandError> {
        let entry = self.db_read().get(key);
        self.lookups.count(entry.is_some());
        entry.map(as_string).transpose()
    }

    /// Says what to log instead of the request: one command, in its deterministic form. May be
    /// called several times. Then return [`Effect::Rewritten`](crate::Effect::Rewritten).
    pub fn rewrite(&mut self, args: &[&[u8]]) -> Rewritten {
        self.effects.push(self.db_index, args);
        Rewritten(())
    }

    /// The same for a command that speaks of another db.
    pub fn rewrite_in(&mut self, db: u32, args: &[&[u8]]) -> Rewritten {
        self.effects.push(db, args);
        Rewritten(())
    }
}

/// The string of an entry, or the error that it is of another type.
#[inline]
pub(crate) fn as_string(entry: EntryRef<'_>) -> Result<StringRef<'_>, CommandError> {
    string_of(entry.value())
}

/// The string in a value, or the error that it is of another type.
#[inline]
pub(crate) fn string_of(value: ValueRef<'_>) -> Result<StringRef<'_>, CommandError> {
    value.as_string().ok_or(CommandError::WrongType)
}
