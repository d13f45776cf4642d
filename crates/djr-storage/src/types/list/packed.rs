//! One chunk: entries as a listpack has them, with room on both sides.
//!
//! ```text
//!   ┌──────┬───────┬───────┬─────┬───────┬──────┐
//!   │ room │ entry │ entry │  …  │ entry │ room │   header and end of a listpack are left out
//!   └──────┴───────┴───────┴─────┴───────┴──────┘
//!          start                         end
//! ```
//!
//! So pushes and pops at either end move nothing. Offsets are counted from `start`.

use super::End;
use super::rules::LISTPACK_OVERHEAD;
use crate::types::listpack::Element;
use crate::types::listpack::entry::{self, NewEntry};
use crate::types::{block_size, prefetch_bytes, prefetch_value, relocate_block};

/// Blocks up to this size are not made smaller.
const SMALL: usize = 256;

/// A run of packed elements.
#[derive(Debug, Default)]
pub(super) struct Packed {
    block: Box<[u8]>,
    start: u32,
    end: u32,
    count: u32,
    /// See [`Chunk::number`](super::chunks::Chunk::number).
    pub(super) number: u32,
}

impl Packed {
    /// Has both ends loaded into the cache, without a look at them.
    pub(super) fn prefetch(&self) {
        let used = &self.block[self.start as usize..self.end as usize];
        prefetch_bytes(used);
        if let Some(last) = used.last() {
            prefetch_value(last);
        }
    }

    /// The entries of a listpack, which must be valid.
    pub(super) fn from_entries(entries: &[u8], count: usize) -> Self {
        Self {
            block: entries.into(),
            start: 0,
            end: entries.len() as u32,
            count: count as u32,
            number: 0,
        }
    }

    /// No elements, but room for them, on the side from which they come.
    pub(super) fn with_room(end: End, capacity: usize) -> Self {
        let start = match end {
            End::Front => capacity as u32,
            End::Back => 0,
        };
        Self {
            block: vec![0; capacity].into_boxed_slice(),
            start,
            end: start,
            count: 0,
            number: 0,
        }
    }

    #[inline]
    pub(super) fn entries(&self) -> &[u8] {
        &self.block[self.start as usize..self.end as usize]
    }

    /// Number of elements.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.count as usize
    }

    #[inline]
    fn used(&self) -> usize {
        (self.end - self.start) as usize
    }

    /// Bytes of the listpack that it stands for.
    #[inline]
    pub(super) fn size(&self) -> usize {
        self.used() + LISTPACK_OVERHEAD
    }

    /// Bytes taken from the allocator.
    #[inline]
    pub(super) fn memory_bytes(&self) -> usize {
        self.block.len()
    }

    /// Puts the elements into new memory. Returns how many bytes it copied.
    pub(super) fn relocate(&mut self) -> usize {
        relocate_block(&mut self.block)
    }

    /// The element at an offset; `None` at the end.
    #[inline]
    pub(super) fn get(&self, at: usize) -> Option<Element<'_>> {
        entry::decode(self.entries().get(at..)?)
    }

    /// The offset of the element with this index, or of the end.
    pub(super) fn offset(&self, index: usize) -> usize {
        let entries = self.entries();
        let behind = self.len().saturating_sub(index);
        if index < behind {
            (0..index).fold(0, |at, _| at + entry::size(&entries[at..]))
        } else {
            (0..behind).fold(entries.len(), |at, _| at - entry::last_size(entries, at))
        }
    }

    /// The element at one end.
    #[inline]
    pub(super) fn peek(&self, end: End) -> Option<Element<'_>> {
        let entries = self.entries();
        match end {
            End::Front => entry::decode(entries),
            End::Back => {
                let size = entry::last_size(entries, entries.len());
                entry::decode(&entries[entries.len() - size..])
            }
        }
    }

    /// Adds an element at one end. `size_max`: how large a listpack this may become, as far as known; room is made up to
    /// that.
    #[inline]
    pub(super) fn push(&mut self, end: End, element: Element<'_>, size_max: usize) {
        let at = match end {
            End::Front => 0,
            End::Back => self.used(),
        };
        self.insert(at, element, size_max);
    }

    /// Puts an element at an offset, before what is there.
    #[inline]
    pub(super) fn insert(&mut self, at: usize, element: Element<'_>, size_max: usize) {
        let new = NewEntry::new(element);
        let size = new.size();
        self.open(at, size, size_max);
        self.write(at, &new, size);
        self.count += 1;
    }

    /// Puts another element in the place of the one at an offset.
    pub(super) fn replace(&mut self, at: usize, element: Element<'_>, size_max: usize) {
        let old = entry::size(&self.entries()[at..]);
        let new = NewEntry::new(element);
        let size = new.size();
        if size > old {
            self.open(at, size - old, size_max);
        } else {
            self.close(at, old - size);
        }
        self.write(at, &new, size);
    }

    /// Removes up to `count` elements at one end, after having shown them, the outermost first. Returns how many.
    #[inline]
    pub(super) fn drain(
        &mut self,
        end: End,
        count: usize,
        mut visit: impl FnMut(Element<'_>),
    ) -> usize {
        let count = count.min(self.len());
        let entries = self.entries();
        let mut at = match end {
            End::Front => 0,
            End::Back => entries.len(),
        };
        for _ in 0..count {
            match end {
                End::Front => {
                    let rest = &entries[at..];
                    if let Some(element) = entry::decode(rest) {
                        visit(element);
                    }
                    at += entry::size(rest);
                }
                End::Back => {
                    at -= entry::last_size(entries, at);
                    if let Some(element) = entry::decode(&entries[at..]) {
                        visit(element);
                    }
                }
            }
        }
        match end {
            End::Front => self.start += at as u32,
            End::Back => self.end = self.start + at as u32,
        }
        self.count -= count as u32;
        self.after_removal();
        count
    }

    /// Removes `count` elements at one end.
    pub(super) fn cut(&mut self, end: End, count: usize) {
        let count = count.min(self.len());
        match end {
            End::Front => self.start += self.offset(count) as u32,
            End::Back => self.end = self.start + self.offset(self.len() - count) as u32,
        }
        self.count -= count as u32;
        self.after_removal();
    }

    /// Removes elements that lie at these ranges of offsets, ascending; each is one element.
    pub(super) fn remove_all(&mut self, gone: &[(u32, u32)]) {
        let base = self.start as usize;
        let Some(&(first, _)) = gone.first() else {
            return;
        };
        let mut to = base + first as usize;
        for (nth, &(_, from)) in gone.iter().enumerate() {
            let from = base + from as usize;
            let until = match gone.get(nth + 1) {
                Some(&(next, _)) => base + next as usize,
                None => self.end as usize,
            };
            self.block.copy_within(from..until, to);
            to += until - from;
        }
        self.end = to as u32;
        self.count -= gone.len() as u32;
        if self.block.len() - self.used() > self.used() / 2 + SMALL {
            self.seal();
        }
    }

    /// Takes away what begins with the element `index`.
    pub(super) fn split_off(&mut self, index: usize) -> Self {
        let at = self.offset(index);
        let rest = Self::from_entries(&self.entries()[at..], self.len() - index);
        self.end = self.start + at as u32;
        self.count = index as u32;
        self.after_removal();
        rest
    }

    /// Adds all elements of `other` behind these.
    pub(super) fn append(&mut self, other: &Self, size_max: usize) {
        let at = self.used();
        self.open(at, other.used(), size_max);
        let from = self.start as usize + at;
        self.block[from..from + other.used()].copy_from_slice(other.entries());
        self.count += other.count;
    }

    /// Gives room back that is no longer needed, because elements now go elsewhere.
    pub(super) fn seal(&mut self) {
        if self.block.len() - self.used() > self.used() / 16 + 16 {
            self.block = self.entries().into();
            self.end -= self.start;
            self.start = 0;
        }
    }

    #[inline]
    fn write(&mut self, at: usize, new: &NewEntry<'_>, size: usize) {
        let at = self.start as usize + at;
        new.write(&mut self.block[at..at + size]);
    }

    /// Makes room for `size` bytes at an offset: those before it or those behind it move, whichever are fewer.
    #[inline]
    fn open(&mut self, at: usize, size: usize, size_max: usize) {
        let (start, end) = (self.start as usize, self.end as usize);
        let towards_front = at < end - start - at || (at == 0 && start > 0);
        if towards_front && start >= size {
            if at > 0 {
                self.block.copy_within(start..start + at, start - size);
            }
            self.start -= size as u32;
        } else if !towards_front && self.block.len() - end >= size {
            if start + at < end {
                self.block.copy_within(start + at..end, start + at + size);
            }
            self.end += size as u32;
        } else {
            self.make_room(at, size, towards_front, size_max);
        }
    }

    /// [`Packed::open`] where there is no room on that side: divides what there is, or takes a larger block.
    #[cold]
    fn make_room(&mut self, at: usize, size: usize, towards_front: bool, size_max: usize) {
        let (start, end) = (self.start as usize, self.end as usize);
        let used = end - start + size;
        let new_start;
        if used + used / 16 <= self.block.len() {
            new_start = (self.block.len() - used) / 2;
            let head = start..start + at;
            let tail = start + at..end;
            let tail_to = new_start + at + size;
            if new_start >= start {
                self.block.copy_within(tail, tail_to);
                self.block.copy_within(head, new_start);
            } else {
                self.block.copy_within(head, new_start);
                self.block.copy_within(tail, tail_to);
            }
        } else {
            let capacity = capacity_for(used, size_max);
            new_start = if towards_front { capacity - used } else { 0 };
            let mut block = vec![0; capacity].into_boxed_slice();
            block[new_start..new_start + at].copy_from_slice(&self.block[start..start + at]);
            block[new_start + at + size..new_start + used]
                .copy_from_slice(&self.block[start + at..end]);
            self.block = block;
        }
        self.start = new_start as u32;
        self.end = (new_start + used) as u32;
    }

    /// Takes out `size` bytes at an offset.
    fn close(&mut self, at: usize, size: usize) {
        let (start, end) = (self.start as usize, self.end as usize);
        if at < end - start - at - size {
            self.block.copy_within(start..start + at, start + size);
            self.start += size as u32;
        } else {
            self.block.copy_within(start + at + size..end, start + at);
            self.end -= size as u32;
        }
    }

    /// A block that is nearly empty is changed for a smaller one.
    #[inline]
    fn after_removal(&mut self) {
        if self.block.len() > SMALL && self.used() < self.block.len() / 4 {
            self.shrink();
        }
    }

    #[cold]
    fn shrink(&mut self) {
        let used = self.used();
        let mut block = vec![0; capacity_for(used, usize::MAX)].into_boxed_slice();
        let start = (block.len() - used) / 2;
        block[start..start + used].copy_from_slice(self.entries());
        self.block = block;
        self.start = start as u32;
        self.end = (start + used) as u32;
    }
}

impl Clone for Packed {
    fn clone(&self) -> Self {
        Self::from_entries(self.entries(), self.len())
    }
}

/// How large a block is made for `used` bytes, of which a listpack of `size_max` bytes can use so much.
fn capacity_for(used: usize, size_max: usize) -> usize {
    block_size(used).min(used.max(size_max - LISTPACK_OVERHEAD.min(size_max)))
}
