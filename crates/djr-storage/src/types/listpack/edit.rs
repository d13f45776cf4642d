//! Changes to a listpack: each moves what is behind it once.

use super::entry::{self, NewEntry};
use super::{COUNT_UNKNOWN, EMPTY, Element, HEADER_SIZE, Listpack};
use crate::types::block_size;

impl Listpack {
    /// Appends an element.
    ///
    /// # Panics
    ///
    /// As every method that adds: if the listpack would get 4 GiB. Ask [`Listpack::may_grow_by`] first.
    #[inline]
    pub fn push_back(&mut self, bytes: &[u8]) {
        self.insert_element(self.end(), Element::of(bytes));
    }

    /// Puts an element before the first.
    #[inline]
    pub fn push_front(&mut self, bytes: &[u8]) {
        self.insert_element(HEADER_SIZE, Element::of(bytes));
    }

    /// Puts an element at `at`, before the one that is there.
    #[inline]
    pub fn insert(&mut self, at: usize, bytes: &[u8]) {
        self.insert_element(at, Element::of(bytes));
    }

    /// [`Listpack::insert`] of an element of another listpack, or one that is known to be an integer.
    #[inline]
    pub fn insert_element(&mut self, at: usize, element: Element<'_>) {
        let new = NewEntry::new(element);
        let size = new.size();
        self.splice(at, 0, size);
        new.write(&mut self.block[at..at + size]);
        self.add_count(1);
    }

    /// Puts another element in the place of the one at `at`, which must not be the end.
    #[inline]
    pub fn replace(&mut self, at: usize, bytes: &[u8]) {
        self.replace_element(at, Element::of(bytes));
    }

    /// [`Listpack::replace`] by an element of another listpack, or one that is known to be an integer.
    pub fn replace_element(&mut self, at: usize, element: Element<'_>) {
        let old = entry::size(&self.as_bytes()[at..]);
        if old == 0 {
            return;
        }
        let new = NewEntry::new(element);
        let size = new.size();
        self.splice(at, old, size);
        new.write(&mut self.block[at..at + size]);
    }

    /// Removes the element at `at`; the next one is there then.
    #[inline]
    pub fn remove(&mut self, at: usize) {
        self.remove_range(at, 1);
    }

    /// Removes up to `count` elements from `at` on; returns how many they were. Those behind them are at `at` then.
    pub fn remove_range(&mut self, at: usize, count: usize) -> usize {
        let bytes = self.as_bytes();
        let end = self.end();
        let mut to = at;
        let mut removed = 0;
        while removed < count && to < end {
            to += entry::size(&bytes[to..]);
            removed += 1;
        }
        if removed > 0 {
            self.splice(at, to - at, 0);
            self.subtract_count(removed);
        }
        removed
    }

    /// A listpack of these entries, which must be valid.
    pub(in crate::types) fn from_entries(entries: &[u8], count: usize) -> Self {
        let mut listpack = Self::new();
        if count > 0 {
            listpack.splice(HEADER_SIZE, 0, entries.len());
            listpack.block[HEADER_SIZE..HEADER_SIZE + entries.len()].copy_from_slice(entries);
            listpack.add_count(count);
        }
        listpack
    }

    /// The entries, without header and end.
    pub(in crate::types) fn entries(&self) -> &[u8] {
        &self.as_bytes()[HEADER_SIZE..self.end()]
    }

    /// Gives back what the block has to spare.
    pub fn shrink_to_fit(&mut self) {
        if self.is_empty() {
            self.block = Box::default();
        } else if self.block.len() > self.byte_len() {
            let total = self.byte_len();
            self.resize_block(total);
        }
    }

    /// Makes room for `new` bytes in the place of the `old` ones at `at`; the caller writes them. Sets the total.
    fn splice(&mut self, at: usize, old: usize, new: usize) {
        let total = self.byte_len();
        let new_total = total - old + new;
        // Whoever adds asks `may_grow_by`, whose limit is far below.
        let header = u32::try_from(new_total).expect("a listpack is smaller than 4 GiB");
        if new_total > self.block.len() {
            self.resize_block(block_size(new_total));
        }
        self.block.copy_within(at + old..total, at + new);
        self.block[..4].copy_from_slice(&header.to_le_bytes());
        if new_total < self.block.len() / 2 && self.block.len() > SMALL {
            self.resize_block(block_size(new_total));
        }
    }

    /// Makes the block `capacity` bytes long, which is at least the total.
    fn resize_block(&mut self, capacity: usize) {
        let mut bytes = std::mem::take(&mut self.block).into_vec();
        if bytes.is_empty() {
            bytes.reserve_exact(capacity);
            bytes.extend_from_slice(&EMPTY);
        }
        if capacity > bytes.len() {
            bytes.reserve_exact(capacity - bytes.len());
        }
        bytes.resize(capacity, 0);
        self.block = bytes.into_boxed_slice();
    }

    fn count(&self) -> u16 {
        u16::from_le_bytes([self.block[4], self.block[5]])
    }

    fn set_count(&mut self, count: u16) {
        self.block[4..6].copy_from_slice(&count.to_le_bytes());
    }

    #[inline]
    fn add_count(&mut self, added: usize) {
        let count = self.count();
        if count != COUNT_UNKNOWN {
            let sum = (count as usize).saturating_add(added);
            self.set_count(u16::try_from(sum).unwrap_or(COUNT_UNKNOWN));
        }
    }

    #[inline]
    fn subtract_count(&mut self, removed: usize) {
        let count = self.count();
        if count != COUNT_UNKNOWN {
            self.set_count(count - removed as u16);
        } else if self.is_empty() {
            self.set_count(0);
        }
    }
}

/// Blocks up to this size are not made smaller.
const SMALL: usize = 64;
