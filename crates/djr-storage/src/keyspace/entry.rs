//! Entries: key, value, deadline and access clock.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use super::access::Access;
use super::hash::UnixMillis;
use crate::value::{EMBSTR_SIZE_MAX, Encoding, Kind, StringValue, Value, ValueRef};

pub(super) struct Node {
    pub(super) clock: AtomicU32,
    pub(super) value: Value,
    pub(super) expire_at: Option<UnixMillis>,
}

impl Node {
    pub(super) fn memory(&self, key: &[u8]) -> usize {
        let heap = match &self.value {
            Value::String(StringValue::Bytes { bytes, .. }) => bytes.capacity(),
            Value::String(StringValue::Int(_)) => 0,
        };
        size_of::<Self>() + size_of::<Box<[u8]>>() + key.len() + heap
    }
}

/// A live entry, borrowed while the access is open.
#[derive(Clone, Copy)]
pub struct EntryRef<'a> {
    pub(super) access: &'a Access<'a>,
    pub(super) key: &'a [u8],
    pub(super) node: &'a Node,
}

impl<'a> EntryRef<'a> {
    /// The key.
    pub fn key(&self) -> &'a [u8] {
        self.key
    }

    /// The value.
    pub fn value(&self) -> ValueRef<'a> {
        self.node.value.as_ref()
    }

    /// The deadline, if there is one.
    pub fn expire_at(&self) -> Option<UnixMillis> {
        self.node.expire_at
    }

    /// The kind of the value.
    pub fn kind(&self) -> Kind {
        self.value().kind()
    }

    /// How the value is kept, in Redis's words.
    pub fn encoding(&self) -> Encoding {
        match &self.node.value {
            Value::String(StringValue::Int(_)) => Encoding::Int,
            Value::String(StringValue::Bytes { bytes, raw })
                if *raw || bytes.len() > EMBSTR_SIZE_MAX =>
            {
                Encoding::Raw
            }
            Value::String(StringValue::Bytes { .. }) => Encoding::Embstr,
        }
    }

    /// Seconds since the last access. Meaningless under an LFU policy.
    pub fn idle_seconds(&self) -> u32 {
        self.access
            .keyspace
            .clock()
            .idle_seconds(self.node.clock.load(Relaxed), self.access.now())
    }

    /// The logarithmic access counter, 0 to 255. Meaningless unless the policy is LFU.
    pub fn frequency(&self) -> u8 {
        self.access
            .keyspace
            .clock()
            .frequency(self.node.clock.load(Relaxed), self.access.now()) as u8
    }

    /// Bytes of memory that the entry takes, its slot in the table aside.
    pub fn memory_bytes(&self) -> usize {
        self.node.memory(self.key)
    }
}

/// A value with its deadline, outside the keyspace: what `RENAME` carries from one key to another.
#[derive(Clone, Debug, PartialEq, Eq)]
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
