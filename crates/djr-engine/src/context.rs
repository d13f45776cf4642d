//! What a command gets to work with.

use djr_storage::keyspace::{Access, Db, DbMut, EntryRef, Expire, Key, UnixMillis, WrongKind};
use djr_storage::types::Object;
use djr_storage::value::{StringRef, Value, ValueRef};

use crate::blocking::Blocking;
use crate::effect::{Effects, Rewritten};
use crate::engine::Engine;
use crate::notify::{Events, Notify};
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
    pub(crate) events: &'a Events,
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
        self.count_lookup(key, entry.is_some());
        entry
    }

    /// The entry of a key, counted as a hit or a miss, but not as an access that would keep it from being evicted.
    #[inline]
    pub fn peek(&self, key: Key<'_>) -> Option<EntryRef<'a>> {
        let entry = self.db.peek(key);
        self.count_lookup(key, entry.is_some());
        entry
    }

    /// Counts a look-up as a hit or a miss.
    #[inline]
    pub(crate) fn count_lookup(&self, key: Key<'_>, hit: bool) {
        self.lookups.count(hit);
        if !hit {
            self.notify(Notify::KEY_MISS, "keymiss", key.bytes);
        }
    }

    /// The string of a key, counted as a hit or a miss.
    #[inline]
    pub fn string(&self, key: Key<'_>) -> Result<Option<StringRef<'a>>, CommandError> {
        self.get(key).map(as_string).transpose()
    }

    /// The structure of a key, counted as a hit or a miss.
    #[inline]
    pub fn object<T: Object>(&self, key: Key<'_>) -> Result<Option<&'a T>, CommandError> {
        self.get(key).map(as_object).transpose()
    }

    /// Tells what happened to a key of the session's db, if such events are wanted. `name` is Redis's.
    #[inline]
    pub fn notify(&self, class: Notify, name: &'static str, key: &[u8]) {
        if self.engine.settings.notify().wants(class) {
            self.events.push(self.db.index(), class, name, key);
        }
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
    pub(crate) events: &'a Events,
    pub(crate) removed: bool,
    pub(crate) quiet: Option<Quiet>,
}

/// Who is not told of what a command changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quiet {
    /// Nobody.
    All,
    /// Only those who wait for the key.
    Watchers,
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
    pub fn count_lookup(&self, key: Key<'_>, hit: bool) {
        self.lookups.count(hit);
        if !hit {
            self.notify(Notify::KEY_MISS, "keymiss", key.bytes);
        }
    }

    /// The string of a key, counted as a hit or a miss.
    #[inline]
    pub fn counted_string(&self, key: Key<'_>) -> Result<Option<StringRef<'_>>, CommandError> {
        let entry = self.db_read().get(key);
        self.count_lookup(key, entry.is_some());
        entry.map(as_string).transpose()
    }

    /// The structure of a key, for looking only, counted as a hit or a miss: where Redis looks as a reading command does, as for the
    /// sources of `ZUNIONSTORE`.
    pub fn counted_object<T: Object>(&self, key: Key<'_>) -> Result<Option<&T>, CommandError> {
        let entry = self.db_read().get(key);
        self.count_lookup(key, entry.is_some());
        entry.map(as_object).transpose()
    }

    /// The structure of a key, for looking only.
    #[inline]
    pub fn object<T: Object>(&self, key: Key<'_>) -> Result<Option<&T>, CommandError> {
        self.db_read().get(key).map(as_object).transpose()
    }

    /// Changes the structure of a key in place. `None` if there is no such key. If `change` leaves nothing in it, the key
    /// is removed: see [`removed`](Self::removed).
    ///
    /// If the command then returns [`Effect::None`](crate::Effect::None) or an error, nothing counts as changed (for WATCH): so
    /// it must be so.
    #[inline]
    pub fn update<T: Object, R>(
        &mut self,
        key: Key<'_>,
        change: impl FnOnce(&mut T) -> R,
    ) -> Result<Option<R>, CommandError> {
        let mut db = self.access.db_mut(self.db_index);
        let result = db.update(key, change)?;
        self.removed = db.was_removed();
        Ok(result)
    }

    /// As [`update`](Self::update), but makes the key where there is none. It stays away if `change` puts nothing in. Tells the
    /// event `new`.
    #[inline]
    pub fn update_or_insert<T: Object + Default, R>(
        &mut self,
        key: Key<'_>,
        change: impl FnOnce(&mut T) -> R,
    ) -> Result<R, CommandError> {
        let mut db = self.access.db_mut(self.db_index);
        let result = db.update_or_insert(key, T::default, change)?;
        self.removed = db.was_removed();
        if db.was_inserted() {
            self.notify_new(key);
        }
        Ok(result)
    }

    /// Whether the last [`update`](Self::update) left nothing in the structure, so that its key was removed. The command has to
    /// tell the event `del` then; [`notify_update`](Self::notify_update) does that too.
    pub fn removed(&self) -> bool {
        self.removed
    }

    /// What this command [updates](Self::update) counts as no change for WATCH and CLIENT TRACKING, nor does it serve those who wait, whatever its
    /// effect: so it is in Redis where only the consumer groups of a stream are concerned.
    pub fn change_quietly(&mut self) {
        self.quiet = Some(Quiet::All);
    }

    /// The same, but those who wait for the key are to try again.
    pub fn change_for_waiters(&mut self) {
        self.quiet = Some(Quiet::Watchers);
    }

    /// Counts what was [updated](Self::update) as changed (for WATCH) though the command has no effect, as Redis does in some places.
    pub fn count_as_changed(&mut self) {
        self.access.settle_lent(true);
    }

    /// Sets a key to a value of any kind, whatever was there. Returns whether something was. A structure with nothing in it
    /// removes the key. Tells the event `new`.
    pub fn set_value(&mut self, key: Key<'_>, value: impl Into<Value>, expire: Expire) -> bool {
        let value = value.into();
        let is_vacant = value.is_vacant();
        let was_there = self.db().set_value(key, value, expire);
        if !was_there && !is_vacant {
            self.notify_new(key);
        }
        was_there
    }

    /// Tells what happened to a key of the session's db, if such events are wanted. `name` is Redis's.
    #[inline]
    pub fn notify(&self, class: Notify, name: &'static str, key: &[u8]) {
        self.notify_in(self.db_index, class, name, key);
    }

    /// The same for a key of another db.
    #[inline]
    pub fn notify_in(&self, db: u32, class: Notify, name: &'static str, key: &[u8]) {
        if self.engine.settings.notify().wants(class) {
            self.events.push(db, class, name, key);
        }
    }

    /// Tells that a key is there that was not: what Redis tells before the event of the command itself.
    #[inline]
    pub fn notify_new(&self, key: Key<'_>) {
        self.notify(Notify::NEW, "new", key.bytes);
    }

    /// Tells that a key was set to a string, and whether it was there before.
    #[inline]
    pub(crate) fn notify_set(&self, key: Key<'_>, was_there: bool) {
        if !was_there {
            self.notify_new(key);
        }
        self.notify(Notify::STRING, "set", key.bytes);
    }

    /// Tells that a key was removed.
    #[inline]
    pub(crate) fn notify_del(&self, key: Key<'_>) {
        self.notify(Notify::GENERIC, "del", key.bytes);
    }

    /// Tells what happened to a key in the last [`update`](Self::update), and `del` if that removed it.
    pub fn notify_update(&self, class: Notify, name: &'static str, key: Key<'_>) {
        self.notify(class, name, key.bytes);
        if self.removed {
            self.notify_del(key);
        }
    }

    /// Says what to log instead of the request: one command, in its deterministic form. May be
    /// called several times. Then return [`Effect::Rewritten`](crate::Effect::Rewritten).
    pub fn rewrite(&mut self, args: &[&[u8]]) -> Rewritten {
        self.effects.push(self.db_index, args);
        Rewritten(())
    }
}

/// The string of an entry, or the error that it is of another type.
#[inline]
pub(crate) fn as_string(entry: EntryRef<'_>) -> Result<StringRef<'_>, CommandError> {
    entry.as_string().ok_or(CommandError::WrongType)
}

/// The structure of an entry, or the error that it is of another type.
#[inline]
pub(crate) fn as_object<T: Object>(entry: EntryRef<'_>) -> Result<&T, CommandError> {
    entry.object().ok_or(CommandError::WrongType)
}

/// The string in a value, or the error that it is of another type.
#[inline]
pub(crate) fn string_of(value: ValueRef<'_>) -> Result<StringRef<'_>, CommandError> {
    value.as_string().ok_or(CommandError::WrongType)
}

impl From<WrongKind> for CommandError {
    fn from(_: WrongKind) -> Self {
        Self::WrongType
    }
}
