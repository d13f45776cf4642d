//! Memory for the members of one dictionary: blocks cut one after the other from chunks, whatever their size.
//!
//! ```text
//!   Region ─► chunk ─► chunk ─► …   512 bytes at first, growing with the region up to a slab (32 KiB) of the process-wide pool
//!   Block  what a member lives in: a multiple of 8 bytes, aligned to 8, no header; a freed one is taken again for the same size
//! ```
//!
//! An [`Arena`](super::Arena) takes a slab for each size class, which pays when many keys share it. A dictionary of 130 members
//! would hold hundreds of kilobytes for a few; here it holds an eighth too much on average. The price: a chunk does not know when it
//! is empty, so memory does not go back by itself. Whoever removes a lot copies the living blocks together
//! ([`Region::begin_compaction`]). A region is dropped without a look at its blocks.
//!
//! Blocks above [`SMALL_MAX`] come from the global allocator, each with a header that links it to the others.

use std::alloc::{self, Layout};
use std::ptr::{self, NonNull};

use super::chunk::{self, SLAB_SIZE};

/// The largest block cut from a chunk, in bytes.
const SMALL_MAX: usize = 512;
const CLASSES: usize = SMALL_MAX / 8;
const CHUNK_SIZE_MIN: usize = 512;
/// Below so many bytes of chunks nothing is worth copying together.
const COMPACT_MIN: usize = 4 << 10;

/// The head of a chunk.
#[repr(C)]
struct Chunk {
    next: *mut Chunk,
    /// Bytes, this head included. [`SLAB_SIZE`]: a slab of the pool.
    size: usize,
}

/// The head of a large block.
#[repr(C)]
struct Large {
    next: *mut Large,
    previous: *mut Large,
    /// Bytes, this head included.
    size: usize,
}

const CHUNK_HEAD: usize = size_of::<Chunk>();
const LARGE_HEAD: usize = size_of::<Large>();

/// Freed blocks of each size; each holds the address of the next.
type Freed = [*mut u8; CLASSES];

/// The allocator of one dictionary.
pub(crate) struct Region {
    /// The first one is being cut.
    chunks: *mut Chunk,
    /// While a compaction is on: chunks that blocks are copied away from.
    old_chunks: *mut Chunk,
    /// The part of the first chunk that was never handed out.
    fresh: *mut u8,
    fresh_len: usize,
    /// Made with the first block that is freed.
    freed: Option<Box<Freed>>,
    large: *mut Large,
    /// Bytes of all chunks.
    chunk_bytes: usize,
    /// Bytes of the chunks in `old_chunks`.
    old_bytes: usize,
    /// Bytes of the small blocks in use.
    used_bytes: usize,
    /// Bytes of the large blocks, heads included.
    large_bytes: usize,
}

// SAFETY: a region owns its chunks and large blocks; they are not tied to a thread.
unsafe impl Send for Region {}
// SAFETY: through `&Region` one only gets numbers.
unsafe impl Sync for Region {}

/// The class of a small block: a multiple of eight bytes.
#[inline]
fn class_of(size: usize) -> usize {
    debug_assert!((1..=SMALL_MAX).contains(&size));
    size.div_ceil(8) - 1
}

impl Region {
    pub(crate) const fn new() -> Self {
        Self {
            chunks: ptr::null_mut(),
            old_chunks: ptr::null_mut(),
            fresh: ptr::null_mut(),
            fresh_len: 0,
            freed: None,
            large: ptr::null_mut(),
            chunk_bytes: 0,
            old_bytes: 0,
            used_bytes: 0,
            large_bytes: 0,
        }
    }

    /// Whether blocks of these sizes can take each other's place.
    #[inline]
    pub(crate) fn is_same_block(size: usize, other: usize) -> bool {
        size.next_multiple_of(8) == other.next_multiple_of(8)
    }

    /// A block of at least `size` bytes (not 0), aligned to 8, uninitialized. Aborts if there is no memory, as `Vec` does.
    #[inline]
    pub(crate) fn alloc(&mut self, size: usize) -> NonNull<u8> {
        if size > SMALL_MAX {
            return self.alloc_large(size);
        }
        let class = class_of(size);
        let size = (class + 1) * 8;
        self.used_bytes += size;
        if let Some(freed) = &mut self.freed
            && let Some(block) = NonNull::new(freed[class])
        {
            // SAFETY: a freed block is ours, at least 8 bytes long, and holds the address of the next one of its class.
            freed[class] = unsafe { block.cast::<*mut u8>().read() };
            return block;
        }
        if self.fresh_len < size {
            self.add_chunk(size);
        }
        let block = self.fresh;
        // SAFETY: the chunk has that many bytes left.
        self.fresh = unsafe { block.add(size) };
        self.fresh_len -= size;
        // SAFETY: `add_chunk` has set it to an address inside of a chunk.
        unsafe { NonNull::new_unchecked(block) }
    }

    /// Gives a block back.
    ///
    /// # Safety
    /// `block` came from [`alloc`](Self::alloc) of this region with a size for which [`is_same_block`](Self::is_same_block) answers
    /// yes, and is not used any more.
    #[inline]
    pub(crate) unsafe fn free(&mut self, block: NonNull<u8>, size: usize) {
        if size > SMALL_MAX {
            // SAFETY: as the caller promises.
            return unsafe { self.free_large(block) };
        }
        let class = class_of(size);
        self.used_bytes -= (class + 1) * 8;
        // A block of an old chunk must not be handed out again, and which chunk it is in is not known.
        if !self.is_compacting() {
            // SAFETY: the block is ours, not used any more, and in no old chunk.
            unsafe { self.put_aside(block.as_ptr(), class) };
        }
    }

    /// # Safety
    /// An unused block of this class, in a chunk that is not old.
    #[inline]
    unsafe fn put_aside(&mut self, block: *mut u8, class: usize) {
        let freed = self
            .freed
            .get_or_insert_with(|| Box::new([ptr::null_mut(); CLASSES]));
        // SAFETY: a block has at least 8 bytes and is aligned to 8.
        unsafe { block.cast::<*mut u8>().write(freed[class]) };
        freed[class] = block;
    }

    /// Bytes that this region holds from the allocators.
    #[inline]
    pub(crate) fn held_bytes(&self) -> usize {
        let freed = self.freed.as_ref().map_or(0, |_| size_of::<Freed>());
        self.chunk_bytes + self.large_bytes + freed
    }

    /// Whether most of what is held is unused, so that the blocks should be copied together.
    #[inline]
    pub(crate) fn is_sparse(&self) -> bool {
        self.chunk_bytes >= COMPACT_MIN && self.used_bytes * 2 < self.chunk_bytes
    }

    /// Whether small blocks have to be copied: see [`begin_compaction`](Self::begin_compaction).
    #[inline]
    pub(crate) fn is_compacting(&self) -> bool {
        !self.old_chunks.is_null()
    }

    /// From now on blocks come from new chunks. The owner copies each small block that exists now (a new block, which is
    /// then used in the place of the old one, which is [freed](Self::free)), and then calls [`end_compaction`](Self::end_compaction).
    pub(crate) fn begin_compaction(&mut self) {
        debug_assert!(!self.is_compacting());
        self.old_chunks = std::mem::replace(&mut self.chunks, ptr::null_mut());
        self.old_bytes = self.chunk_bytes;
        self.freed = None;
        self.fresh = ptr::null_mut();
        self.fresh_len = 0;
    }

    /// Frees what blocks were copied away from.
    ///
    /// # Safety
    /// Every small block that existed at [`begin_compaction`](Self::begin_compaction) was freed.
    pub(crate) unsafe fn end_compaction(&mut self) {
        free_chunks(std::mem::replace(&mut self.old_chunks, ptr::null_mut()));
        self.chunk_bytes -= std::mem::take(&mut self.old_bytes);
    }

    /// Whether a block of this size is cut from a chunk, and so has to be copied by a compaction.
    #[inline]
    pub(crate) fn is_small(size: usize) -> bool {
        size <= SMALL_MAX
    }

    /// Makes a chunk with room for a block of `size` bytes the one that is cut.
    #[cold]
    fn add_chunk(&mut self, size: usize) {
        let left = self.fresh_len;
        if left > 0 && self.freed.is_some() {
            // SAFETY: the rest of a chunk that is not old; a multiple of 8 bytes, less than the largest small block.
            unsafe { self.put_aside(self.fresh, class_of(left)) };
        }
        let own_bytes = self.chunk_bytes - self.old_bytes;
        let chunk_size = (own_bytes / 8)
            .next_power_of_two()
            .clamp(CHUNK_SIZE_MIN, SLAB_SIZE)
            .max((CHUNK_HEAD + size).next_power_of_two());
        let chunk = if chunk_size == SLAB_SIZE {
            chunk::take_slab().cast::<Chunk>()
        } else {
            let layout = chunk_layout(chunk_size);
            // SAFETY: the size is not zero.
            let memory = unsafe { alloc::alloc(layout) };
            NonNull::new(memory)
                .unwrap_or_else(|| alloc::handle_alloc_error(layout))
                .cast::<Chunk>()
        };
        let next = self.chunks;
        // SAFETY: the chunk is ours, aligned, and longer than its head.
        unsafe {
            chunk.write(Chunk {
                next,
                size: chunk_size,
            });
            self.fresh = chunk.cast::<u8>().add(CHUNK_HEAD).as_ptr();
        }
        self.chunks = chunk.as_ptr();
        self.fresh_len = chunk_size - CHUNK_HEAD;
        self.chunk_bytes += chunk_size;
    }

    #[cold]
    fn alloc_large(&mut self, size: usize) -> NonNull<u8> {
        let layout = large_layout(size);
        // SAFETY: the size is not zero.
        let memory = unsafe { alloc::alloc(layout) };
        let Some(large) = NonNull::new(memory.cast::<Large>()) else {
            alloc::handle_alloc_error(layout)
        };
        let next = self.large;
        // SAFETY: the memory is ours, aligned, and longer than the head; so is the first of the list, if there is one.
        unsafe {
            large.write(Large {
                next,
                previous: ptr::null_mut(),
                size: layout.size(),
            });
            if !next.is_null() {
                (*next).previous = large.as_ptr();
            }
        }
        self.large = large.as_ptr();
        self.large_bytes += layout.size();
        // SAFETY: behind the head.
        unsafe { large.cast::<u8>().add(LARGE_HEAD) }
    }

    /// # Safety
    /// As for [`free`](Self::free), for a block that [`alloc_large`](Self::alloc_large) made.
    #[cold]
    unsafe fn free_large(&mut self, block: NonNull<u8>) {
        // SAFETY: the head is before the block; its neighbours are large blocks of ours.
        unsafe {
            let large = block.sub(LARGE_HEAD).cast::<Large>();
            let Large {
                next,
                previous,
                size,
            } = large.read();
            if previous.is_null() {
                self.large = next;
            } else {
                (*previous).next = next;
            }
            if !next.is_null() {
                (*next).previous = previous;
            }
            self.large_bytes -= size;
            dealloc_large(large.as_ptr(), size);
        }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        free_chunks(self.chunks);
        free_chunks(self.old_chunks);
        let mut large = self.large;
        while !large.is_null() {
            // SAFETY: a large block of ours, freed once.
            unsafe {
                let Large { next, size, .. } = large.read();
                dealloc_large(large, size);
                large = next;
            }
        }
    }
}

/// Frees a list of chunks that nobody uses any more.
fn free_chunks(mut chunk: *mut Chunk) {
    while let Some(head) = NonNull::new(chunk) {
        // SAFETY: chunks are ours, their heads initialized, and each is freed once, as it was made.
        unsafe {
            let Chunk { next, size } = head.read();
            if size == SLAB_SIZE {
                chunk::give_back_slab(head.cast());
            } else {
                alloc::dealloc(head.as_ptr().cast(), chunk_layout(size));
            }
            chunk = next;
        }
    }
}

/// # Safety
/// A large block that is not used any more, with the size in its head.
unsafe fn dealloc_large(large: *mut Large, size: usize) {
    // SAFETY: the size came from a layout of this alignment.
    unsafe {
        let layout = Layout::from_size_align_unchecked(size, align_of::<Large>());
        alloc::dealloc(large.cast(), layout);
    }
}

fn chunk_layout(size: usize) -> Layout {
    match Layout::from_size_align(size, 16) {
        Ok(layout) => layout,
        // Not reached: sizes are at most that of a slab.
        Err(_) => alloc::handle_alloc_error(Layout::new::<Chunk>()),
    }
}

fn large_layout(size: usize) -> Layout {
    let size = size.checked_add(LARGE_HEAD + 7).map(|size| size & !7);
    match size.map(|size| Layout::from_size_align(size, align_of::<Large>())) {
        Some(Ok(layout)) => layout,
        _ => alloc::handle_alloc_error(Layout::new::<Large>()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Blocks {
        region: Region,
        blocks: Vec<(NonNull<u8>, usize, u8)>,
        random: u64,
    }

    impl Blocks {
        fn random(&mut self) -> usize {
            self.random = self
                .random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (self.random >> 33) as usize
        }

        fn add(&mut self, size: usize, pattern: u8) {
            let block = self.region.alloc(size);
            assert_eq!(block.as_ptr().addr() % 8, 0);
            // SAFETY: the block has `size` bytes.
            unsafe { block.as_ptr().write_bytes(pattern, size) };
            self.blocks.push((block, size, pattern));
        }

        fn take(&mut self, index: usize) -> (usize, u8) {
            let (block, size, pattern) = self.blocks.swap_remove(index);
            // SAFETY: allocated with this size and filled.
            unsafe {
                let bytes = std::slice::from_raw_parts(block.as_ptr(), size);
                assert!(bytes.iter().all(|&byte| byte == pattern));
                self.region.free(block, size);
            }
            (size, pattern)
        }
    }

    /// Random blocks, filled with a pattern of their own: no two overlap, compactions keep them, and everything goes back.
    #[test]
    fn blocks_do_not_overlap_and_compactions_keep_them() {
        let mut all = Blocks {
            region: Region::new(),
            blocks: Vec::new(),
            random: 1,
        };
        let rounds = if cfg!(miri) { 300 } else { 100_000 };
        let mut compactions = 0;
        for round in 0..rounds {
            let dice = all.random();
            let share = if round < rounds / 2 { 60 } else { 40 };
            if all.blocks.is_empty() || dice % 100 < share {
                let size = if dice.is_multiple_of(50) {
                    1 + dice / 64 % 5000
                } else {
                    1 + dice / 64 % 60
                };
                all.add(size, round as u8);
            } else {
                let index = dice / 64 % all.blocks.len();
                all.take(index);
            }
            if all.region.is_sparse() {
                compactions += 1;
                all.region.begin_compaction();
                let small: Vec<_> = (0..all.blocks.len())
                    .filter(|&index| Region::is_small(all.blocks[index].1))
                    .collect();
                for index in small {
                    let last = all.blocks.len() - 1;
                    all.blocks.swap(index, last);
                    let (size, pattern) = all.take(last);
                    all.add(size, pattern);
                    all.blocks.swap(index, last);
                }
                // SAFETY: all small blocks were copied just now.
                unsafe { all.region.end_compaction() };
                assert!(!all.region.is_sparse());
            }
        }
        assert!(compactions > 0 || cfg!(miri));
        while !all.blocks.is_empty() {
            all.take(0);
        }
        assert_eq!(all.region.used_bytes, 0);
        assert_eq!(all.region.large_bytes, 0);
    }

    #[test]
    fn a_small_region_holds_little_more_than_its_blocks() {
        for count in [1, 10, 130, 1000, 10_000, 100_000] {
            let mut region = Region::new();
            (0..count).for_each(|_| _ = region.alloc(24));
            let (held, used) = (region.held_bytes(), count * 24);
            assert!(held <= used * 4 / 3 + CHUNK_SIZE_MIN, "{count}: {held}");
        }
    }

    #[test]
    fn large_blocks_are_freed_with_their_region() {
        let mut region = Region::new();
        let blocks: Vec<_> = (0..10).map(|index| region.alloc(600 + index)).collect();
        // SAFETY: a block of this region with this size.
        unsafe { region.free(blocks[5], 605) };
        assert!(region.held_bytes() > 9 * 600);
    }
}
