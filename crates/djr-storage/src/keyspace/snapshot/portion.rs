//! Entries on their way from the keyspace to a file.

use crate::keyspace::UnixMillis;
use crate::keyspace::block::Block;
use crate::rdb;

/// Some entries of a snapshot, copied out of the keyspace.
#[derive(Default)]
pub struct Portion {
    /// Keys and values, one behind the other.
    bytes: Vec<u8>,
    entries: Vec<Record>,
}

struct Record {
    db: u32,
    expire_at: Option<UnixMillis>,
    clock: u32,
    key_end: usize,
    value_end: usize,
}

/// Takes values as they are: they are compressed when they are written.
struct Plain<'a>(&'a mut Vec<u8>);

impl rdb::Output for Plain<'_> {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    #[inline]
    fn compresses(&self) -> bool {
        false
    }
}

/// An entry as it was at the cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotEntry<'a> {
    /// Its db at the cut.
    pub db: u32,
    /// Its key.
    pub key: &'a [u8],
    /// Its deadline, which may have passed.
    pub expire_at: Option<UnixMillis>,
    /// Its access clock when it was copied.
    pub(in crate::keyspace) clock: u32,
    /// Its value as [`rdb::write_value`] writes it, with no string compressed: type and body.
    pub value: &'a [u8],
}

impl Portion {
    /// Copies an entry. Returns how many bytes that were.
    pub(in crate::keyspace) fn push(&mut self, db: u32, block: Block<'_>) -> usize {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(block.key());
        let key_end = self.bytes.len();
        // Before every deadline: fields that are past theirs are still there, and are removed by what comes behind the cut.
        let out = &mut Plain(&mut self.bytes);
        rdb::write_value(out, block.value(), UnixMillis::MIN);
        self.entries.push(Record {
            db,
            expire_at: block.expire_at(),
            clock: block.clock(),
            key_end,
            value_end: self.bytes.len(),
        });
        self.bytes.len() - start
    }

    /// Moves the entries of another portion behind those of this one.
    pub(in crate::keyspace) fn append(&mut self, other: &mut Portion) {
        if self.is_empty() {
            std::mem::swap(self, other);
            return;
        }
        let offset = self.bytes.len();
        self.bytes.append(&mut other.bytes);
        let moved = other.entries.drain(..).map(|record| Record {
            key_end: record.key_end + offset,
            value_end: record.value_end + offset,
            ..record
        });
        self.entries.extend(moved);
    }

    /// Bytes of keys and values.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Forgets the entries; keeps some memory.
    pub fn clear(&mut self) {
        /// More is given back: a large value has passed.
        const KEPT: usize = 1 << 20;
        self.entries.clear();
        self.bytes.clear();
        self.bytes.shrink_to(KEPT);
    }

    /// The entries.
    pub fn iter(&self) -> impl Iterator<Item = SnapshotEntry<'_>> {
        let mut start = 0;
        self.entries.iter().map(move |record| {
            let key = self.bytes.get(start..record.key_end);
            let value = self.bytes.get(record.key_end..record.value_end);
            start = record.value_end;
            SnapshotEntry {
                db: record.db,
                key: key.unwrap_or_default(),
                expire_at: record.expire_at,
                clock: record.clock,
                value: value.unwrap_or_default(),
            }
        })
    }
}
