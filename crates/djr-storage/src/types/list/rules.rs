//! When Redis (7.2 and later) packs elements together, and when it does not: sizes are those of the listpack that it
//! would make, 7 bytes of header and end included.

use crate::types::ListLimits;

/// Header and end of a listpack.
pub(super) const LISTPACK_OVERHEAD: usize = 7;
/// What Redis reckons an entry takes beside its bytes when it decides whether there is room for it.
const ENTRY_OVERHEAD_GUESS: usize = 8;
/// The size in bytes that no chunk gets beyond where elements are counted.
const COUNTED_SIZE_MAX: usize = 8192;
/// Bytes per chunk for -1 to -5.
const SIZES: [usize; 5] = [4096, 8192, 16_384, 32_768, 65_536];

impl ListLimits {
    /// The largest chunk, in bytes and elements.
    fn chunk_max(self) -> (usize, usize) {
        match self.max_listpack_size {
            0 => (usize::MAX, 1),
            count @ 1.. => (usize::MAX, usize::try_from(count).unwrap_or(usize::MAX)),
            size => {
                let level = size.unsigned_abs().min(SIZES.len() as u64) as usize - 1;
                (SIZES[level], usize::MAX)
            }
        }
    }

    /// Whether a chunk of this size would be too large.
    #[inline]
    pub(super) fn exceeds(self, size: usize, count: usize) -> bool {
        let (size_max, count_max) = self.chunk_max();
        if size_max == usize::MAX {
            size > COUNTED_SIZE_MAX || count > count_max
        } else {
            size > size_max
        }
    }

    /// Whether an element of `len` bytes gets a chunk for itself, not packed.
    #[inline]
    pub(super) fn is_large(self, len: usize) -> bool {
        len > self.size_max()
    }

    /// Whether a chunk takes another element of `len` bytes, which is not large.
    #[inline]
    pub(super) fn allows_insert(self, size: usize, count: usize, len: usize) -> bool {
        !self.exceeds(size + len + ENTRY_OVERHEAD_GUESS, count + 1)
    }

    /// Whether a list of one chunk is kept without the structure for several. `shrinking`: it was, and elements were
    /// removed; it then has to get down to half of the limit, lest it goes back and forth.
    pub(super) fn is_one(self, size: usize, count: usize, shrinking: bool) -> bool {
        let (size_max, count_max) = self.chunk_max();
        let part = if shrinking { 2 } else { 1 };
        size <= size_max / part && count <= count_max / part
    }

    /// Bytes that a chunk which is pushed to may get.
    #[inline]
    pub(super) fn size_max(self) -> usize {
        match self.chunk_max().0 {
            usize::MAX => COUNTED_SIZE_MAX,
            size => size,
        }
    }
}
