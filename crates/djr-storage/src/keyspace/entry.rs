//! Entries as commands read them, and outside the keyspace.

use super::access::Access;
use super::block::Block;
use super::hash::UnixMillis;
use crate::types::Object;
use crate::value::{
    Encoding, INTEGER_TEXT_SIZE_MAX, Kind, StringRef, Value, ValueRef, format_integer,
};

/// A live entry, borrowed while the access is open.
#[derive(Clone, Copy)]
pub struct EntryRef<'a> {
    pub(super) access: &'a Access<'a>,
    pub(super) block: Block<'a>,
    pub(super) db: u32,
}

impl<'a> EntryRef<'a> {
    /// The key.
    #[inline]
    pub fn key(&self) -> &'a [u8] {
        self.block.key()
    }

    /// The value.
    #[inline]
    pub fn value(&self) -> ValueRef<'a> {
        self.block.value()
    }

    /// The string, or `None` where Redis says `WRONGTYPE`.
    #[inline]
    pub fn as_string(&self) -> Option<StringRef<'a>> {
        self.block.string()
    }

    /// The structure of this type, or `None` where Redis says `WRONGTYPE`.
    #[inline]
    pub fn object<T: Object>(&self) -> Option<&'a T> {
        self.block.object()
    }

    /// The deadline, if there is one.
    #[inline]
    pub fn expire_at(&self) -> Option<UnixMillis> {
        self.block.expire_at()
    }

    /// The kind of the value.
    pub fn kind(&self) -> Kind {
        self.block.kind()
    }

    /// How the value is kept, in Redis's words.
    pub fn encoding(&self) -> Encoding {
        self.block.encoding()
    }

    /// Whether the policy of the entry's memory class makes its clock count accesses: then [`frequency`](Self::frequency) says
    /// something, else [`idle_seconds`](Self::idle_seconds) does.
    pub fn is_lfu(&self) -> bool {
        let keyspace = self.access.keyspace;
        let key = keyspace.key(self.key());
        let state = self.access.state(keyspace.shard_of(key.hash));
        state.is_lfu(keyspace.clock(), self.db, key.bytes)
    }

    /// Seconds since the last access. Meaningless under an LFU policy.
    pub fn idle_seconds(&self) -> u32 {
        self.access
            .keyspace
            .clock()
            .idle_seconds(self.block.clock(), self.access.now())
    }

    /// The logarithmic access counter, 0 to 255. Meaningless unless the policy is LFU.
    pub fn frequency(&self) -> u8 {
        self.access
            .keyspace
            .clock()
            .frequency(self.block.clock(), self.access.now()) as u8
    }

    /// Bytes of memory that the entry takes, rounding included, its slot in the table aside.
    pub fn memory_bytes(&self) -> usize {
        self.block.memory()
    }

    /// Tells the commands that make this entry where there is no such key, deadline included: at most
    /// [`REWRITE_PORTION`](crate::types::REWRITE_PORTION) elements in each. See [`Object::rewrite`].
    pub fn rewrite(&self, emit: &mut dyn FnMut(&[&[u8]])) {
        let key = self.key();
        let mut buffer = [0; INTEGER_TEXT_SIZE_MAX];
        let deadline = self.expire_at().map(|at| format_integer(at, &mut buffer));
        match (self.as_string(), deadline) {
            (Some(string), Some(deadline)) => {
                let mut buffer = [0; INTEGER_TEXT_SIZE_MAX];
                emit(&[b"SET", key, string.to_bytes(&mut buffer), b"PXAT", deadline]);
            }
            (_, deadline) => {
                self.value().rewrite(key, emit);
                if let Some(deadline) = deadline {
                    emit(&[b"PEXPIREAT", key, deadline]);
                }
            }
        }
    }

    /// Copies it out of the keyspace.
    pub fn to_owned(&self) -> OwnedEntry {
        OwnedEntry {
            value: self.block.to_value(),
            expire_at: self.expire_at(),
            clock: None,
        }
    }
}

/// A value with its deadline, outside the keyspace: what `RENAME` carries from one key to another.
#[derive(Clone, Debug)]
pub struct OwnedEntry {
    /// The value.
    pub value: Value,
    /// The deadline, if there is one.
    pub expire_at: Option<UnixMillis>,
    /// Its access clock, kept by `RENAME` and `MOVE`; `None` for a new one.
    pub(super) clock: Option<u32>,
}

impl OwnedEntry {
    /// An entry that has not been in the keyspace yet.
    pub fn new(value: Value, expire_at: Option<UnixMillis>) -> Self {
        Self {
            value,
            expire_at,
            clock: None,
        }
    }
}
