//! Walks over the entries, forwards and backwards.

use super::StreamId;
use super::block::{Block, Entry};
use super::entries::Entries;

/// The live entries of a range, ascending.
#[derive(Clone, Debug)]
pub struct Range<'a> {
    entries: &'a Entries,
    block: Option<&'a Block>,
    at: u32,
    start: StreamId,
    end: StreamId,
}

impl<'a> Range<'a> {
    #[inline]
    pub(super) fn new(entries: &'a Entries, start: StreamId, end: StreamId) -> Self {
        let block = entries.block_at_or_after(start);
        Self {
            entries,
            block,
            at: block.map_or(0, |block| block.seek(start)),
            start,
            end,
        }
    }
}

impl<'a> Iterator for Range<'a> {
    type Item = Entry<'a>;

    #[inline]
    fn next(&mut self) -> Option<Entry<'a>> {
        loop {
            let block = self.block?;
            while self.at < block.end() {
                let (head, next) = block.entry(self.at);
                self.at = next;
                if head.id > self.end {
                    self.block = None;
                    return None;
                }
                if head.id >= self.start && !head.deleted {
                    return Some(Entry::new(block, head));
                }
            }
            self.block = self.entries.block_after(block.first());
            self.at = self.block.map_or(0, Block::start);
        }
    }
}

/// The live entries of a range, descending.
#[derive(Clone, Debug)]
pub struct RangeBack<'a> {
    entries: &'a Entries,
    block: Option<&'a Block>,
    /// The end of the entry that comes next.
    at: u32,
    start: StreamId,
    end: StreamId,
}

impl<'a> RangeBack<'a> {
    pub(super) fn new(entries: &'a Entries, start: StreamId, end: StreamId) -> Self {
        let block = entries.block_at(end);
        Self {
            entries,
            block,
            at: block.map_or(0, |block| block.seek_back(end)),
            start,
            end,
        }
    }
}

impl<'a> Iterator for RangeBack<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        loop {
            let block = self.block?;
            while self.at > block.start() {
                self.at = block.entry_before(self.at);
                let head = block.head(self.at);
                if head.id < self.start {
                    self.block = None;
                    return None;
                }
                if head.id <= self.end && !head.deleted {
                    return Some(Entry::new(block, head));
                }
            }
            self.block = self.entries.block_before(block.first());
            self.at = self.block.map_or(0, Block::end);
        }
    }
}
