//! Listpack: elements packed into one block, byte for byte as Redis packs them (its `listpack.md` describes the format).
//!
//! ```text
//!   0             4          6
//!   ┌─────────────┬──────────┬───────┬───────┬─────┬──────┐
//!   │ total bytes │ elements │ entry │ entry │ …   │ 0xff │
//!   └─────────────┴──────────┴───────┴───────┴─────┴──────┘
//!     u32, LE       u16, LE; 65535: count them
//!
//!   entry: encoding, data, and behind them their length in 1 to 5 bytes of 7 bits, to be read backwards
//! ```
//!
//! | encoding | element |
//! |---|---|
//! | `0xxxxxxx` | integer 0 to 127 |
//! | `10xxxxxx` | string of that many bytes |
//! | `110xxxxx` + 1 byte | integer of 13 bits, high bits first |
//! | `1110xxxx` + 1 byte | string of 12 bits of length, high bits first |
//! | `0xf0` + 4 bytes | string of 32 bits of length, LE |
//! | `0xf1`, `0xf2`, `0xf3`, `0xf4` | integer of 16, 24, 32, 64 bits, LE |
//!
//! An element that is the canonical text of an `i64` is kept as that integer, in its shortest form.
//!
//! *Positions* are offsets in bytes, of the beginning of an entry, or of the end ([`Listpack::end`]). A change before a
//! position makes it invalid; what a method does with a position that is none is not specified, but it never reads
//! outside the block.
//!
//! **Invariant:** the used part of the block is a valid listpack: what [`Listpack::from_bytes`] would accept.

mod edit;
pub(in crate::types) mod entry;
mod iter;
mod search;
mod survey;
#[cfg(test)]
mod tests;

pub use entry::{Element, Needle};
pub use iter::{Iter, IterRev};

use super::{prefetch_bytes, relocate_block};

/// Bytes before the first entry.
const HEADER_SIZE: usize = 6;
/// The count that says that there are this many elements or more.
const COUNT_UNKNOWN: u16 = u16::MAX;
/// The listpack without elements.
const EMPTY: [u8; 7] = [7, 0, 0, 0, 0, 0, entry::END];

/// The largest size in bytes to which Redis lets a listpack grow; whoever adds elements asks [`Listpack::may_grow_by`].
pub const LISTPACK_SIZE_MAX: usize = 1 << 30;

/// Elements in one block of memory.
///
/// The block may be longer than the listpack: what is behind its last byte is room to grow, and zero. An empty block
/// stands for the listpack without elements, so that none is allocated for it.
#[derive(Clone, Default)]
pub struct Listpack {
    block: Box<[u8]>,
}

/// Why bytes are no listpack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListpackError {
    /// The length in the header is not that of the bytes.
    #[error("the listpack's header says another length")]
    Length,
    /// There is no end mark, or something behind it.
    #[error("the listpack has no end, or ends early")]
    End,
    /// An entry has an unknown encoding, does not fit, or the length behind it is wrong.
    #[error("the listpack has a broken entry at byte {at}")]
    Entry {
        /// Offset of the entry.
        at: usize,
    },
    /// The header's count is not that of the entries.
    #[error("the listpack's header says another number of elements")]
    Count,
}

impl Listpack {
    /// The listpack without elements. Allocates nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes over a listpack from outside, after having looked at every entry.
    ///
    /// # Errors
    ///
    /// If the bytes are no listpack.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, ListpackError> {
        validate(&bytes)?;
        Ok(Self {
            block: bytes.into_boxed_slice(),
        })
    }

    /// The listpack, as it stands in files of Redis.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        match self.block.first_chunk() {
            Some(total) => &self.block[..u32::from_le_bytes(*total) as usize],
            None => &EMPTY,
        }
    }

    /// Has its beginning loaded into the cache, without a look at it.
    #[inline]
    pub fn prefetch(&self) {
        prefetch_bytes(&self.block);
    }

    /// Size of the listpack in bytes, header and end included.
    #[inline]
    pub fn byte_len(&self) -> usize {
        self.as_bytes().len()
    }

    /// Bytes taken from the allocator.
    #[inline]
    pub fn memory_bytes(&self) -> usize {
        self.block.len()
    }

    /// Puts the elements into new memory.
    pub(crate) fn relocate(&mut self) {
        relocate_block(&mut self.block);
    }

    /// Number of elements: O(1) below 65535, else they are counted.
    #[inline]
    pub fn len(&self) -> usize {
        let bytes = self.as_bytes();
        match u16::from_le_bytes([bytes[4], bytes[5]]) {
            COUNT_UNKNOWN => self.iter().count(),
            count => count as usize,
        }
    }

    /// Whether there are no elements.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.byte_len() == EMPTY.len()
    }

    /// Bytes that an element would take in a listpack.
    pub fn entry_len(bytes: &[u8]) -> usize {
        entry::NewEntry::new(Element::of(bytes)).size()
    }

    /// Whether `bytes` more may be added (Redis's `lpSafeToAdd`).
    pub fn may_grow_by(&self, bytes: usize) -> bool {
        self.byte_len().saturating_add(bytes) <= LISTPACK_SIZE_MAX
    }

    /// The position behind the last entry.
    #[inline]
    pub fn end(&self) -> usize {
        self.byte_len() - 1
    }

    /// The position of the first element.
    #[inline]
    pub fn first(&self) -> Option<usize> {
        (!self.is_empty()).then_some(HEADER_SIZE)
    }

    /// The position of the last element.
    #[inline]
    pub fn last(&self) -> Option<usize> {
        self.prev(self.end())
    }

    /// The position of the element behind that at `at`.
    #[inline]
    pub fn next(&self, at: usize) -> Option<usize> {
        let next = at + entry::size(self.as_bytes().get(at..)?);
        (next < self.end()).then_some(next)
    }

    /// The position of the element before `at`, which may be the end.
    #[inline]
    pub fn prev(&self, at: usize) -> Option<usize> {
        if at <= HEADER_SIZE {
            return None;
        }
        at.checked_sub(entry::last_size(self.as_bytes(), at))
            .filter(|&at| at >= HEADER_SIZE)
    }

    /// The element at `at`; `None` at the end.
    #[inline]
    pub fn get(&self, at: usize) -> Option<Element<'_>> {
        entry::decode(self.as_bytes().get(at..)?)
    }

    /// The position of the element with this index, counted from the first (0, 1, …) or from the last (-1, -2, …).
    /// Walks from the nearer end.
    pub fn seek(&self, index: i64) -> Option<usize> {
        let len = self.len() as u64;
        let (from_front, from_back) = if index >= 0 {
            (index as u64, len.checked_sub(index as u64 + 1)?)
        } else {
            (
                len.checked_sub(index.unsigned_abs())?,
                index.unsigned_abs() - 1,
            )
        };
        if from_front <= from_back {
            let mut at = self.first()?;
            for _ in 0..from_front {
                at = self.next(at)?;
            }
            Some(at)
        } else {
            let mut at = self.last()?;
            for _ in 0..from_back {
                at = self.prev(at)?;
            }
            Some(at)
        }
    }

    /// The position of the first element from `from` on that is `bytes`, looking at each `step`th (1: all; 2: each second,
    /// such as the fields of a hash).
    pub fn find_from(&self, from: usize, bytes: &[u8], step: usize) -> Option<usize> {
        search::find(self.as_bytes(), from, bytes, step)
    }

    /// [`Listpack::find_from`] the first element on.
    pub fn find(&self, bytes: &[u8], step: usize) -> Option<usize> {
        self.find_from(HEADER_SIZE, bytes, step)
    }
}

/// Looks at everything: header, every entry, the end.
fn validate(bytes: &[u8]) -> Result<(), ListpackError> {
    let (Some(total), Some(end)) = (bytes.first_chunk::<4>(), bytes.len().checked_sub(1)) else {
        return Err(ListpackError::Length);
    };
    if u32::from_le_bytes(*total) as usize != bytes.len() || bytes.len() < EMPTY.len() {
        return Err(ListpackError::Length);
    }
    if bytes[end] != entry::END {
        return Err(ListpackError::End);
    }
    let entries = &bytes[..end];
    let mut at = HEADER_SIZE;
    let mut count = 0usize;
    while at < end {
        if entries[at] == entry::END {
            return Err(ListpackError::End);
        }
        at += entry::checked_size(&entries[at..]).ok_or(ListpackError::Entry { at })?;
        count += 1;
    }
    match u16::from_le_bytes([bytes[4], bytes[5]]) {
        COUNT_UNKNOWN => Ok(()),
        said if said as usize == count => Ok(()),
        _ => Err(ListpackError::Count),
    }
}

impl PartialEq for Listpack {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Listpack {}

impl std::fmt::Debug for Listpack {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_list().entries(self.iter()).finish()
    }
}
