//! The entries of a stream: packed blocks, the last of which is written to.

use std::collections::BTreeMap;

use super::block::{Block, Entry};
use super::keep::KeptBlocks;
use super::range::{Range, RangeBack};
use super::{StreamId, StreamLimits};
use crate::types::kept;

/// Bytes per block in the tree beside the block's own: key, block, and what of a node is not in use.
const TREE_SLOT_BYTES: usize = (size_of::<StreamId>() + size_of::<Block>()) * 3 / 2;

/// The first block of a stream begins this small; others as large as the one before them has become.
const FIRST_CAPACITY: usize = 64;

/// A block that comes from a dump, entry by entry.
#[derive(Clone, Debug)]
pub struct RestoredBlock(Block);

impl RestoredBlock {
    /// A block whose ids are kept relative to `first`, with the fields that most of its entries have.
    pub fn new(first: StreamId, fields: &[impl AsRef<[u8]>]) -> Self {
        Self(Block::of_fields(first, fields))
    }

    /// Adds an entry: field, value, field, value …. `same` says that it has the block's fields. Refused where the ids do not ascend.
    pub fn push(
        &mut self,
        id: StreamId,
        words: &[impl AsRef<[u8]>],
        same: bool,
        deleted: bool,
    ) -> bool {
        let ascends = if self.0.is_unused() {
            id >= self.0.first()
        } else {
            id > self.0.last()
        };
        if ascends {
            self.0.restore(id, words, same, deleted);
        }
        ascends
    }
}

/// The entries of a stream and what is remembered of those that are gone.
#[derive(Clone, Debug, Default)]
pub struct Entries {
    /// All blocks but the last, by their first id.
    pub(super) sealed: BTreeMap<StreamId, Block>,
    /// The last block, where entries are added. Outside of the tree, so that a stream of one block has no tree and adding looks nothing up.
    pub(super) tail: Option<Block>,
    len: u64,
    /// The first live entry, or `0-0`.
    first_id: StreamId,
    last_id: StreamId,
    max_deleted_id: StreamId,
    added: u64,
    /// What the blocks take from the allocator.
    block_bytes: usize,
    /// For a snapshot under way.
    pub(super) keep: kept::Slot<KeptBlocks>,
}

impl Entries {
    /// Puts blocks into new memory, from the one on whose first id is this or greater, until `budget` bytes were copied. Returns the
    /// first id of the block to go on with, or `0-0`.
    pub(super) fn relocate(&mut self, from: StreamId, budget: usize) -> StreamId {
        let mut copied = 0;
        for (id, block) in self.sealed.range_mut(from..) {
            if copied >= budget {
                return *id;
            }
            copied += block.relocate();
        }
        if let Some(tail) = &mut self.tail {
            tail.relocate();
        }
        StreamId::MIN
    }

    /// How many entries live.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The id of the first entry, `0-0` if there is none.
    pub fn first_id(&self) -> StreamId {
        self.first_id
    }

    /// The greatest id that was ever given out, or what `XSETID` made of it. Ids of new entries are greater.
    pub fn last_id(&self) -> StreamId {
        self.last_id
    }

    /// The greatest id that was ever deleted one by one (not by trimming), `0-0` if none was.
    pub fn max_deleted_id(&self) -> StreamId {
        self.max_deleted_id
    }

    /// How many entries were ever added.
    pub fn added(&self) -> u64 {
        self.added
    }

    /// The id of the last entry that lives.
    pub fn last_live_id(&self) -> Option<StreamId> {
        self.range_back(StreamId::MIN, StreamId::MAX)
            .next()
            .map(|entry| entry.id())
    }

    /// The entry with this id.
    #[inline]
    pub fn get(&self, id: StreamId) -> Option<Entry<'_>> {
        self.range(id, id).next()
    }

    /// The entries from `start` to `end`, both included.
    #[inline]
    pub fn range(&self, start: StreamId, end: StreamId) -> Range<'_> {
        Range::new(self, start, end)
    }

    /// The same from the last to the first.
    #[inline]
    pub fn range_back(&self, start: StreamId, end: StreamId) -> RangeBack<'_> {
        RangeBack::new(self, start, end)
    }

    /// How many blocks there are.
    pub fn blocks(&self) -> usize {
        self.sealed.len() + usize::from(self.tail.is_some())
    }

    /// The first ids of all blocks, ascending.
    pub fn block_ids(&self) -> impl Iterator<Item = StreamId> {
        self.all_blocks().map(Block::first)
    }

    /// Every block as the listpack that Redis keeps in its place, with its first id.
    pub fn listpacks(&self) -> impl Iterator<Item = (StreamId, Vec<u8>)> {
        self.all_blocks()
            .map(|block| (block.first(), block.to_listpack()))
    }

    /// Adds an entry of `pairs` fields and values; `word` gives field, value, field, value …. `id` is greater than the last
    /// one, and all words together have at most [`Self::ENTRY_SIZE_MAX`] bytes.
    pub(super) fn append<'w>(
        &mut self,
        id: StreamId,
        pairs: usize,
        word: impl Fn(usize) -> &'w [u8],
        limits: &StreamLimits,
    ) {
        debug_assert!(id > self.last_id);
        let size = (0..2 * pairs).map(|index| word(index).len()).sum();
        if let Some(keep) = self.keep.get_mut() {
            keep.before_append(
                self.tail
                    .as_ref()
                    .filter(|tail| tail.has_room(size, limits)),
                id,
            );
        }
        match &mut self.tail {
            Some(tail) if tail.has_room(size, limits) => {
                let before = tail.memory_bytes();
                tail.push(id, pairs, word);
                self.block_bytes += tail.memory_bytes();
                self.block_bytes -= before;
            }
            _ => {
                let capacity = self.seal_tail().unwrap_or(FIRST_CAPACITY);
                let block = Block::new(id, pairs, word, capacity);
                self.block_bytes += block.memory_bytes();
                self.tail = Some(block);
            }
        }
        self.len += 1;
        self.added = self.added.wrapping_add(1);
        self.last_id = id;
        if self.len == 1 {
            self.first_id = id;
        }
    }

    /// Adds a block as it was kept elsewhere, whatever the limits are now. Refused where its ids do not follow those of the blocks
    /// before it.
    pub(super) fn append_block(&mut self, block: RestoredBlock) -> bool {
        let mut block = block.0;
        let follows = self.blocks() == 0
            || block.first() > self.tail.as_ref().map_or(StreamId::MIN, Block::last);
        if !follows {
            return false;
        }
        // Nothing is to be found in it; nor does a server keep such a one.
        if block.live() == 0 {
            return true;
        }
        self.seal_tail();
        block.seal();
        self.block_bytes += block.memory_bytes();
        self.len += u64::from(block.live());
        self.added = self.added.wrapping_add(u64::from(block.live()));
        self.last_id = block.last();
        self.tail = Some(block);
        if self.first_id == StreamId::MIN {
            self.find_first();
        }
        true
    }

    /// Makes the last block anew without the deleted entries.
    pub(super) fn forget_deleted_at_end(&mut self) {
        let Some(tail) = &mut self.tail else { return };
        let before = tail.memory_bytes();
        *tail = tail.without_deleted();
        self.block_bytes += tail.memory_bytes();
        self.block_bytes -= before;
        self.last_id = tail.last();
    }

    /// The largest entry, names and values together.
    pub const ENTRY_SIZE_MAX: usize = 1 << 30;

    /// Puts the last block into the tree and returns its size.
    fn seal_tail(&mut self) -> Option<usize> {
        let mut block = self.tail.take()?;
        let before = block.memory_bytes();
        block.seal();
        self.block_bytes -= before - block.memory_bytes();
        let len = block.len();
        self.sealed.insert(block.first(), block);
        Some(len)
    }

    /// Deletes an entry. Returns whether it was there. The caller says with [`Self::note_deleted`] what is remembered of it.
    pub(super) fn delete(&mut self, id: StreamId) -> bool {
        let Some(block) = self.block_at(id) else {
            return false;
        };
        let mut at = block.seek(id);
        let head = loop {
            if at >= block.end() {
                return false;
            }
            let (head, next) = block.entry(at);
            if head.id >= id {
                break head;
            }
            at = next;
        };
        if head.id != id || head.deleted {
            return false;
        }
        let (first, last_one) = (block.first(), block.live() == 1);
        if last_one {
            self.remove_block(first);
        } else if let Some(block) = self.block_mut(first) {
            block.delete(head.at);
        }
        self.len -= 1;
        if id == self.first_id {
            self.find_first();
        }
        true
    }

    /// Remembers that an entry was deleted one by one.
    pub(super) fn note_deleted(&mut self, id: StreamId) {
        self.max_deleted_id = self.max_deleted_id.max(id);
    }

    /// Removes the first block and returns how many entries lived in it. To be followed by [`Self::find_first`].
    pub(super) fn remove_first_block(&mut self) -> u64 {
        let Some(block) = self.first_block() else {
            return 0;
        };
        let (first, live) = (block.first(), u64::from(block.live()));
        self.remove_block(first);
        self.len -= live;
        live
    }

    /// Deletes the live entries of the first block for as long as `wanted` says so, which is also told how many live in the whole stream.
    /// To be followed by [`Self::find_first`].
    pub(super) fn delete_in_first_block(
        &mut self,
        mut wanted: impl FnMut(StreamId, u64) -> bool,
    ) -> u64 {
        let mut len = self.len;
        let block = match self.sealed.first_entry() {
            Some(entry) => Some(entry.into_mut()),
            None => self.tail.as_mut(),
        };
        if let Some(block) = block {
            if let Some(keep) = self.keep.get_mut() {
                keep.before_change(block);
            }
            let mut at = block.start();
            while at < block.end() {
                let (head, next) = block.entry(at);
                if !head.deleted {
                    if !wanted(head.id, len) {
                        break;
                    }
                    block.delete(head.at);
                    len -= 1;
                }
                at = next;
            }
        }
        let deleted = self.len - len;
        self.len = len;
        deleted
    }

    /// `XSETID`.
    pub(super) fn set_last_id(&mut self, id: StreamId) {
        self.last_id = id;
    }

    /// `XSETID … ENTRIESADDED`.
    pub(super) fn set_added(&mut self, added: u64) {
        self.added = added;
    }

    /// `XSETID … MAXDELETEDID`.
    pub(super) fn set_max_deleted_id(&mut self, id: StreamId) {
        self.max_deleted_id = id;
    }

    /// Bytes that they take from the allocator.
    pub(super) fn memory_bytes(&self) -> usize {
        self.block_bytes + self.sealed.len() * TREE_SLOT_BYTES
    }

    /// Looks at all blocks for what they take.
    pub(super) fn count_block_bytes(&mut self) {
        self.block_bytes = self.all_blocks().map(Block::memory_bytes).sum();
    }

    /// Panics if they contradict themselves. For tests.
    #[cfg(test)]
    pub(super) fn check(&self) {
        let mut ids = Vec::new();
        let mut block_bytes = 0;
        for block in self.all_blocks() {
            ids.extend(block.check());
            block_bytes += block.memory_bytes();
        }
        assert!(ids.is_sorted_by(|a, b| a < b));
        assert_eq!(ids.len() as u64, self.len);
        assert_eq!(ids.first().copied().unwrap_or_default(), self.first_id);
        assert_eq!(block_bytes, self.block_bytes);
        assert!(self.tail.is_some() || self.sealed.is_empty());
        assert!(
            self.sealed
                .iter()
                .all(|(first, block)| *first == block.first())
        );
    }

    pub(super) fn find_first(&mut self) {
        self.first_id = self
            .range(StreamId::MIN, StreamId::MAX)
            .next()
            .map_or(StreamId::MIN, |entry| entry.id());
    }

    /// A block, for changing it.
    fn block_mut(&mut self, first: StreamId) -> Option<&mut Block> {
        let block = match &mut self.tail {
            Some(tail) if tail.first() == first => Some(tail),
            _ => self.sealed.get_mut(&first),
        };
        if let (Some(keep), Some(block)) = (self.keep.get_mut(), &block) {
            keep.before_change(block);
        }
        block
    }

    fn remove_block(&mut self, first: StreamId) {
        let removed = match &self.tail {
            Some(tail) if tail.first() == first => {
                // Entries are added to the last block, if it has room.
                let last = self.sealed.pop_last().map(|(_, block)| block);
                std::mem::replace(&mut self.tail, last)
            }
            _ => self.sealed.remove(&first),
        };
        self.block_bytes -= removed.as_ref().map_or(0, Block::memory_bytes);
        if let (Some(keep), Some(removed)) = (self.keep.get_mut(), removed) {
            keep.put_aside(removed);
        }
    }

    fn all_blocks(&self) -> impl Iterator<Item = &Block> {
        self.sealed.values().chain(&self.tail)
    }

    /// The block with the smallest ids.
    pub(super) fn first_block(&self) -> Option<&Block> {
        match self.sealed.first_key_value() {
            Some((_, block)) => Some(block),
            None => self.tail.as_ref(),
        }
    }

    /// The block that an entry with this id would be in, if it is there.
    #[inline]
    pub(super) fn block_at(&self, id: StreamId) -> Option<&Block> {
        if let Some(tail) = &self.tail
            && tail.first() <= id
        {
            return Some(tail);
        }
        let (_, block) = self.sealed.range(..=id).next_back()?;
        Some(block)
    }

    /// The same, or the first block after that.
    #[inline]
    pub(super) fn block_at_or_after(&self, id: StreamId) -> Option<&Block> {
        match self.block_at(id) {
            // Nothing of a block that ends before the id.
            Some(block) if block.last() < id => self.block_after(block.first()),
            None => self.first_block(),
            found => found,
        }
    }

    pub(super) fn block_after(&self, first: StreamId) -> Option<&Block> {
        if let Some(tail) = &self.tail
            && tail.first() <= first
        {
            return None;
        }
        let after = (std::ops::Bound::Excluded(first), std::ops::Bound::Unbounded);
        match self.sealed.range(after).next() {
            Some((_, block)) => Some(block),
            None => self.tail.as_ref(),
        }
    }

    pub(super) fn block_before(&self, first: StreamId) -> Option<&Block> {
        let (_, block) = self.sealed.range(..first).next_back()?;
        Some(block)
    }
}
