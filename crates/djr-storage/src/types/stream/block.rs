//! A packed block of entries: the body of what is one listpack in a stream of Redis.
//!
//! ```text
//! the fields of the first entry, which the others refer to:    count  field …  0
//! each entry, if its fields are the same ones:                 2  ms  seq  value …  n
//! and if they are others:                                      0  ms  seq  count  (field value) …  n
//! ```
//!
//! All of them are [elements](super::element). `ms` and `seq` are relative to the first id; flag 1 marks a deleted entry; `n` is the number of
//! elements of the entry before it. A listpack has two more elements in front, the numbers of live and of deleted entries, which are kept beside
//! the bytes here, so that a new entry is written at the end and nowhere else.

use super::element::{self, back, integer_len, push, push_integer, read, read_integer};
use super::{StreamId, StreamLimits};
use crate::types::listpack::Element;
use crate::types::relocate_vec;

/// Set in the flags of an entry that was deleted.
const DELETED: u8 = 1;
/// Set in the flags of an entry that has the fields of the first one.
const SAME_FIELDS: u8 = 2;

/// Bytes of a listpack beside its elements: total size, count, end.
const LISTPACK_FRAME: usize = 7;
/// No block grows past this, whatever the limits say.
const SIZE_MAX: usize = 1 << 30;
/// Every so many entries a position is noted.
const MARK_INTERVAL: u32 = 16;

#[derive(Clone, Debug)]
pub(super) struct Block {
    /// The id of the first entry ever put in; other ids are kept as differences from it.
    first: StreamId,
    /// The greatest id in it, deleted or not.
    last: StreamId,
    live: u32,
    deleted: u32,
    /// Fields of the first entry.
    fields: u32,
    /// Where the entries begin.
    start: u32,
    bytes: Vec<u8>,
    /// Where the entries number 16, 32, … begin.
    marks: Vec<u32>,
}

impl Block {
    /// A block with one entry. `word` gives field, value, field, value ….
    pub(super) fn new<'w>(
        id: StreamId,
        pairs: usize,
        word: impl Fn(usize) -> &'w [u8],
        capacity: usize,
    ) -> Self {
        let mut bytes = Vec::with_capacity(capacity);
        push_integer(&mut bytes, pairs as i64);
        for pair in 0..pairs {
            push(&mut bytes, word(2 * pair));
        }
        push_integer(&mut bytes, 0);
        let mut block = Self {
            first: id,
            last: id,
            live: 0,
            deleted: 0,
            fields: pairs as u32,
            start: bytes.len() as u32,
            bytes,
            marks: Vec::new(),
        };
        block.push_entry(id, pairs, word, true);
        block
    }

    /// Puts the entries into new memory. Returns how many bytes it copied.
    pub(super) fn relocate(&mut self) -> usize {
        relocate_vec(&mut self.bytes) + relocate_vec(&mut self.marks)
    }

    /// Whether an entry of `size` bytes, names and values together, may still be put in.
    #[inline]
    pub(super) fn has_room(&self, size: usize, limits: &StreamLimits) -> bool {
        let bytes_max = match limits.node_max_bytes {
            0 => SIZE_MAX,
            limit => limit.min(SIZE_MAX),
        };
        self.listpack_len() + size < bytes_max
            && (limits.node_max_entries == 0
                || ((self.live + self.deleted) as usize) < limits.node_max_entries)
    }

    /// Size of the listpack that this block is in Redis.
    #[inline]
    pub(super) fn listpack_len(&self) -> usize {
        LISTPACK_FRAME + integer_len(self.live) + integer_len(self.deleted) + self.bytes.len()
    }

    /// Puts an entry in. Its id is greater than all before.
    pub(super) fn push<'w>(
        &mut self,
        id: StreamId,
        pairs: usize,
        word: impl Fn(usize) -> &'w [u8],
    ) {
        let same = pairs == self.fields as usize && self.has_fields(pairs, &word);
        let number = self.live + self.deleted;
        if number.is_multiple_of(MARK_INTERVAL) {
            self.marks.push(self.bytes.len() as u32);
        }
        self.push_entry(id, pairs, word, same);
    }

    fn has_fields<'w>(&self, pairs: usize, word: &impl Fn(usize) -> &'w [u8]) -> bool {
        let (_, mut at) = read(&self.bytes, 0);
        (0..pairs).all(|pair| {
            let (field, next) = read(&self.bytes, at);
            at = next;
            field.eq_bytes(word(2 * pair))
        })
    }

    fn push_entry<'w>(
        &mut self,
        id: StreamId,
        pairs: usize,
        word: impl Fn(usize) -> &'w [u8],
        same: bool,
    ) {
        let out = &mut self.bytes;
        push_integer(out, if same { i64::from(SAME_FIELDS) } else { 0 });
        push_integer(out, id.ms.wrapping_sub(self.first.ms) as i64);
        push_integer(out, id.seq.wrapping_sub(self.first.seq) as i64);
        let elements = if same {
            for pair in 0..pairs {
                push(out, word(2 * pair + 1));
            }
            pairs + 3
        } else {
            push_integer(out, pairs as i64);
            for index in 0..2 * pairs {
                push(out, word(index));
            }
            2 * pairs + 4
        };
        push_integer(out, elements as i64);
        self.live += 1;
        self.last = id;
    }

    /// A block as it was made elsewhere, as yet without entries: its fields, and the id that others are relative to. To be filled with
    /// [`Self::restore`].
    pub(super) fn of_fields(first: StreamId, fields: &[impl AsRef<[u8]>]) -> Self {
        let mut bytes = Vec::new();
        push_integer(&mut bytes, fields.len() as i64);
        for field in fields {
            push(&mut bytes, field.as_ref());
        }
        push_integer(&mut bytes, 0);
        Self {
            first,
            last: first,
            live: 0,
            deleted: 0,
            fields: fields.len() as u32,
            start: bytes.len() as u32,
            bytes,
            marks: Vec::new(),
        }
    }

    /// Puts an entry in that may be deleted. Its id is greater than all before; `same` says that it has the fields of the first
    /// one, in which case they are among the words all the same.
    pub(super) fn restore(
        &mut self,
        id: StreamId,
        words: &[impl AsRef<[u8]>],
        same: bool,
        deleted: bool,
    ) {
        let number = self.live + self.deleted;
        let at = self.end();
        if number > 0 && number.is_multiple_of(MARK_INTERVAL) {
            self.marks.push(at);
        }
        self.push_entry(id, words.len() / 2, |index| words[index].as_ref(), same);
        if deleted {
            self.delete(At { at });
        }
    }

    /// The same block without its deleted entries.
    pub(super) fn without_deleted(&self) -> Self {
        let (_, mut at) = read(&self.bytes, 0);
        let mut fields = Vec::new();
        for _ in 0..self.fields {
            let (field, next) = read(&self.bytes, at);
            fields.push(field.to_vec());
            at = next;
        }
        let mut block = Self::of_fields(self.first, &fields);
        let mut at = self.start;
        while at < self.end() {
            let (head, next) = self.entry(at);
            if !head.deleted {
                let words: Vec<Vec<u8>> = Entry::new(self, head)
                    .words()
                    .map(|word| word.to_vec())
                    .collect();
                block.restore(head.id, &words, head.same, false);
            }
            at = next;
        }
        block
    }

    /// Whether there were ever entries in it.
    pub(super) fn is_unused(&self) -> bool {
        self.live + self.deleted == 0
    }

    /// Gives back what was reserved for more entries.
    pub(super) fn seal(&mut self) {
        self.bytes.shrink_to_fit();
        self.marks.shrink_to_fit();
    }

    pub(super) fn first(&self) -> StreamId {
        self.first
    }

    pub(super) fn last(&self) -> StreamId {
        self.last
    }

    pub(super) fn live(&self) -> u32 {
        self.live
    }

    /// Bytes of the entries.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Bytes that it takes from the allocator.
    pub(super) fn memory_bytes(&self) -> usize {
        self.bytes.capacity() + self.marks.capacity() * size_of::<u32>()
    }

    /// The listpack that Redis has in the place of this block.
    pub(super) fn to_listpack(&self) -> Vec<u8> {
        let mut listpack = vec![0; 6];
        push_integer(&mut listpack, i64::from(self.live));
        push_integer(&mut listpack, i64::from(self.deleted));
        listpack.extend_from_slice(&self.bytes);
        listpack.push(0xff);
        let len = listpack.len() as u32;
        listpack[..4].copy_from_slice(&len.to_le_bytes());
        let mut elements = 2;
        let mut at = 0;
        while at < self.bytes.len() && elements < usize::from(u16::MAX) {
            at = element::skip(&self.bytes, at);
            elements += 1;
        }
        let elements = elements as u16; // the largest value says "many"
        listpack[4..6].copy_from_slice(&elements.to_le_bytes());
        listpack
    }

    /// The ids of the live entries. Panics if the block contradicts itself. For tests.
    #[cfg(test)]
    pub(super) fn check(&self) -> Vec<StreamId> {
        let (mut ids, mut starts, mut at) = (Vec::new(), Vec::new(), self.start);
        let mut last = None;
        while at < self.end() {
            let (head, next) = self.entry(at);
            assert_eq!(self.entry_before(next), at);
            assert!(last < Some(head.id));
            last = Some(head.id);
            starts.push(at);
            if !head.deleted {
                ids.push(head.id);
            }
            at = next;
        }
        assert_eq!(last, Some(self.last));
        assert_eq!(ids.len(), self.live as usize);
        assert_eq!(starts.len(), (self.live + self.deleted) as usize);
        let marks: Vec<u32> = starts.into_iter().skip(16).step_by(16).collect();
        assert_eq!(marks, self.marks);
        assert_eq!(self.to_listpack().len(), self.listpack_len());
        ids
    }

    /// Marks an entry as deleted. It must be a live one of this block.
    pub(super) fn delete(&mut self, entry: At) {
        self.bytes[entry.at as usize] |= DELETED;
        self.live -= 1;
        self.deleted += 1;
    }

    /// Where a forward walk begins that must meet every id from `id` on.
    pub(super) fn seek(&self, id: StreamId) -> u32 {
        let before = self.marks.partition_point(|mark| self.head(*mark).id <= id);
        match before.checked_sub(1) {
            Some(mark) => self.marks[mark],
            None => self.start,
        }
    }

    /// Where a backward walk begins that must meet every id up to `id`.
    pub(super) fn seek_back(&self, id: StreamId) -> u32 {
        let before = self.marks.partition_point(|mark| self.head(*mark).id <= id);
        self.marks.get(before).copied().unwrap_or(self.end())
    }

    /// The position behind the last entry.
    pub(super) fn end(&self) -> u32 {
        self.bytes.len() as u32
    }

    pub(super) fn start(&self) -> u32 {
        self.start
    }

    /// The entry at `at`, and where the next one begins.
    #[inline]
    pub(super) fn entry(&self, at: u32) -> (Head, u32) {
        let head = self.head(at);
        let elements = if head.same {
            head.fields
        } else {
            2 * head.fields
        };
        let mut next = head.data as usize;
        for _ in 0..elements {
            next = element::skip(&self.bytes, next);
        }
        // The number of elements, which ends the entry.
        (head, element::skip(&self.bytes, next) as u32)
    }

    /// Where the entry begins that ends before `end`.
    pub(super) fn entry_before(&self, end: u32) -> u32 {
        let mut at = back(&self.bytes, end as usize);
        let (elements, _) = read_integer(&self.bytes, at);
        for _ in 0..elements {
            at = back(&self.bytes, at);
        }
        at as u32
    }

    #[inline]
    pub(super) fn head(&self, at: u32) -> Head {
        let flags = self.bytes[at as usize];
        let (ms, next) = read_integer(&self.bytes, at as usize + 2);
        let (seq, data) = read_integer(&self.bytes, next);
        let id = StreamId::new(
            self.first.ms.wrapping_add(ms as u64),
            self.first.seq.wrapping_add(seq as u64),
        );
        let same = flags & SAME_FIELDS != 0;
        let (fields, data) = if same {
            (self.fields, data)
        } else {
            let (fields, data) = read_integer(&self.bytes, data);
            (fields as u32, data)
        };
        Head {
            id,
            deleted: flags & DELETED != 0,
            same,
            fields,
            at: At { at },
            data: data as u32,
        }
    }
}

/// Where an entry begins in its block.
#[derive(Clone, Copy, Debug)]
pub(super) struct At {
    at: u32,
}

/// What stands before the names and values of an entry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) id: StreamId,
    pub(super) deleted: bool,
    /// It has the fields of the first entry.
    same: bool,
    fields: u32,
    pub(super) at: At,
    /// Where values, or fields and values, begin.
    data: u32,
}

/// A live entry.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    block: &'a Block,
    head: Head,
}

impl<'a> Entry<'a> {
    #[inline]
    pub(super) fn new(block: &'a Block, head: Head) -> Self {
        Self { block, head }
    }

    /// Its id.
    pub fn id(&self) -> StreamId {
        self.head.id
    }

    /// How many pairs of field and value it has.
    pub fn pairs(&self) -> usize {
        self.head.fields as usize
    }

    /// Field, value, field, value ….
    #[inline]
    pub fn words(&self) -> Words<'a> {
        let field = if self.head.same {
            Some(element::skip(&self.block.bytes, 0))
        } else {
            None
        };
        Words {
            bytes: &self.block.bytes,
            field,
            at: self.head.data as usize,
            left: 2 * self.head.fields as usize,
        }
    }
}

/// The fields and values of an entry.
#[derive(Clone, Debug)]
pub struct Words<'a> {
    bytes: &'a [u8],
    /// Where the next field is among those of the first entry, if the fields are these.
    field: Option<usize>,
    at: usize,
    left: usize,
}

impl<'a> Iterator for Words<'a> {
    type Item = Element<'a>;

    #[inline]
    fn next(&mut self) -> Option<Element<'a>> {
        self.left = self.left.checked_sub(1)?;
        let at = match &mut self.field {
            // An odd number is left after a field.
            Some(field) if self.left % 2 == 1 => field,
            _ => &mut self.at,
        };
        let (element, next) = read(self.bytes, *at);
        *at = next;
        Some(element)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Words<'_> {}
