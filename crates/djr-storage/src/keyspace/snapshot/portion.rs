//! Entries on their way from the keyspace to a file.

use std::sync::Arc;

use crate::keyspace::UnixMillis;
use crate::keyspace::block::Block;
use crate::rdb;
use crate::types::kept::Ticket;

/// Some of a snapshot, copied out of the keyspace: entries, and pieces of values that are too large to come at once.
#[derive(Default)]
pub struct Portion {
    /// Keys and values, one behind the other.
    bytes: Vec<u8>,
    records: Vec<Record>,
    /// How many of them are entries.
    entries: usize,
}

#[derive(Clone, Copy)]
enum Record {
    Entry {
        db: u32,
        expire_at: Option<UnixMillis>,
        clock: u32,
        key_end: usize,
        value_end: usize,
        goes_on: bool,
    },
    More {
        end: usize,
        are_elements: bool,
        is_last: bool,
    },
}

/// Something of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotItem<'a> {
    /// An entry.
    Entry(SnapshotEntry<'a>),
    /// More of the value of the last entry, which [goes on](SnapshotEntry::goes_on).
    More(SnapshotMore<'a>),
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
    /// The value is only the beginning: more of it follows.
    pub goes_on: bool,
}

/// A piece of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotMore<'a> {
    /// What follows the pieces before it.
    pub bytes: &'a [u8],
    /// They are whole elements, in whose strings something may be gained by compression.
    pub are_elements: bool,
    /// The value is complete.
    pub is_last: bool,
}

/// What a step under a shard's lock finds.
#[derive(Default)]
pub(in crate::keyspace) struct Gathered {
    pub(in crate::keyspace) portion: Portion,
    pub(in crate::keyspace) large: Vec<Large>,
}

impl Gathered {
    pub(in crate::keyspace) fn with(portion: Portion) -> Self {
        let large = Vec::new();
        Self { portion, large }
    }

    /// Moves everything of another behind what there is.
    pub(in crate::keyspace) fn append(&mut self, other: &mut Gathered) {
        self.portion.append(&mut other.portion);
        self.large.append(&mut other.large);
    }
}

/// A large value that is kept as it was at the cut, and is yet to be read.
pub(in crate::keyspace) struct Large {
    pub(in crate::keyspace) db: u32,
    pub(in crate::keyspace) key: Box<[u8]>,
    pub(in crate::keyspace) expire_at: Option<UnixMillis>,
    pub(in crate::keyspace) clock: u32,
    /// The beginning of the value.
    pub(in crate::keyspace) head: Vec<u8>,
    pub(in crate::keyspace) ticket: Arc<Ticket>,
}

impl Portion {
    /// An empty one with room for a step and what it fetches: both come under a shard's lock.
    pub fn new() -> Self {
        Self::with_room(512 << 10, 4 << 10)
    }

    /// An empty one with the memory for these in place: it is not only asked for, but has been written to.
    pub(super) fn with_room(bytes: usize, entries: usize) -> Self {
        let filler = Record::More {
            end: 0,
            are_elements: false,
            is_last: false,
        };
        let mut room = Self {
            bytes: vec![1; bytes],
            records: vec![filler; entries],
            entries: 0,
        };
        room.clear_to(bytes, entries);
        room
    }

    /// Forgets everything, and gives back the memory for more than these.
    pub(super) fn clear_to(&mut self, bytes: usize, entries: usize) {
        self.clear();
        self.bytes.shrink_to(bytes);
        self.records.shrink_to(entries);
    }

    /// Whether these go into its memory.
    pub(super) fn has_room(&self, bytes: usize, entries: usize) -> bool {
        self.bytes.capacity() >= bytes && self.records.capacity() >= entries
    }

    /// Copies an entry. Returns how many bytes that were.
    pub(in crate::keyspace) fn push(&mut self, db: u32, block: Block<'_>) -> usize {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(block.key());
        let key_end = self.bytes.len();
        // Before every deadline: fields that are past theirs are still there, and are removed by what comes behind the cut.
        let out = &mut rdb::Plain(&mut self.bytes);
        rdb::write_value(out, block.value(), UnixMillis::MIN);
        self.entries += 1;
        self.records.push(Record::Entry {
            db,
            expire_at: block.expire_at(),
            clock: block.clock(),
            key_end,
            value_end: self.bytes.len(),
            goes_on: false,
        });
        self.bytes.len() - start
    }

    /// An entry whose value follows in pieces.
    pub(in crate::keyspace) fn begin(&mut self, large: &Large) {
        self.bytes.extend_from_slice(&large.key);
        let key_end = self.bytes.len();
        self.bytes.extend_from_slice(&large.head);
        self.entries += 1;
        self.records.push(Record::Entry {
            db: large.db,
            expire_at: large.expire_at,
            clock: large.clock,
            key_end,
            value_end: self.bytes.len(),
            goes_on: true,
        });
    }

    /// A piece of the value of the last entry, which `write` writes and tells of it whether it is elements and whether it is the last.
    pub(in crate::keyspace) fn go_on(&mut self, write: impl FnOnce(&mut Vec<u8>) -> (bool, bool)) {
        let (are_elements, is_last) = write(&mut self.bytes);
        self.records.push(Record::More {
            end: self.bytes.len(),
            are_elements,
            is_last,
        });
    }

    /// Moves what is in another portion behind what is in this one.
    fn append(&mut self, other: &mut Portion) {
        /// More is not copied but exchanged; of less both keep the memory that they have.
        const COPIED_MAX: usize = 128 << 10;
        if self.records.is_empty() && other.bytes.len() > COPIED_MAX {
            std::mem::swap(self, other);
            return;
        }
        let offset = self.bytes.len();
        self.bytes.append(&mut other.bytes);
        self.entries += std::mem::take(&mut other.entries);
        let moved = other.records.drain(..).map(|mut record| {
            match &mut record {
                Record::Entry {
                    key_end, value_end, ..
                } => {
                    *key_end += offset;
                    *value_end += offset;
                }
                Record::More { end, .. } => *end += offset,
            }
            record
        });
        self.records.extend(moved);
    }

    /// Bytes of keys and values.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Number of entries, those included whose values are not complete.
    pub fn len(&self) -> usize {
        self.entries
    }

    /// Forgets everything; keeps some memory.
    pub fn clear(&mut self) {
        /// More is given back: a large value has passed.
        const KEPT: usize = 1 << 20;
        self.records.clear();
        self.entries = 0;
        self.bytes.clear();
        self.bytes.shrink_to(KEPT);
    }

    /// What is in it, in order.
    pub fn items(&self) -> impl Iterator<Item = SnapshotItem<'_>> {
        let mut start = 0;
        let mut up_to = move |end: usize| {
            let bytes = self.bytes.get(start..end).unwrap_or_default();
            start = end;
            bytes
        };
        self.records.iter().map(move |record| match *record {
            Record::Entry {
                db,
                expire_at,
                clock,
                key_end,
                value_end,
                goes_on,
            } => SnapshotItem::Entry(SnapshotEntry {
                db,
                key: up_to(key_end),
                expire_at,
                clock,
                value: up_to(value_end),
                goes_on,
            }),
            Record::More {
                end,
                are_elements,
                is_last,
            } => SnapshotItem::More(SnapshotMore {
                bytes: up_to(end),
                are_elements,
                is_last,
            }),
        })
    }
}

/// Puts values together that come in pieces, for whoever needs them whole.
#[derive(Debug, Default)]
pub struct WholeEntries {
    open: Option<Open>,
}

/// An entry whose value is not complete.
#[derive(Debug)]
struct Open {
    db: u32,
    key: Vec<u8>,
    expire_at: Option<UnixMillis>,
    clock: u32,
    value: Vec<u8>,
}

impl WholeEntries {
    /// Takes the next item. Returns an entry if it is complete with it.
    pub fn add<'a>(&'a mut self, item: SnapshotItem<'a>) -> Option<SnapshotEntry<'a>> {
        match item {
            SnapshotItem::Entry(entry) if entry.goes_on => {
                self.open = Some(Open {
                    db: entry.db,
                    key: entry.key.to_vec(),
                    expire_at: entry.expire_at,
                    clock: entry.clock,
                    value: entry.value.to_vec(),
                });
                None
            }
            SnapshotItem::Entry(entry) => Some(entry),
            SnapshotItem::More(more) => {
                let open = self.open.as_mut()?;
                open.value.extend_from_slice(more.bytes);
                more.is_last.then_some(SnapshotEntry {
                    db: open.db,
                    key: &open.key,
                    expire_at: open.expire_at,
                    clock: open.clock,
                    value: &open.value,
                    goes_on: false,
                })
            }
        }
    }
}
