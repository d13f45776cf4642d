//! Memory for entries: a slab allocator without atomics, one [`Arena`] per shard, used under that shard's lock.
//!
//! ```text
//!   Chunk  2 MiB, aligned, asks for a huge page; process-wide          ┐ chunk.rs
//!   Slab   32 KiB of it, lent to one arena, blocks of one size class   ┘
//!   Block  what an entry lives in; aligned to 8 bytes
//! ```
//!
//! - Size classes are 8 bytes apart up to 256 bytes, 16 up to 512, 32 up to [`SLAB_BLOCK_MAX`]. Larger blocks come from the global allocator.
//! - A slab's header is found by masking a block's address. Waste per full slab: the header and the rest after the last block.
//! - An empty slab goes back to its chunk, an empty chunk back to the system (one slab per arena and one chunk are kept).
//! - The members of a dictionary come from a [`region`] of its own instead, which costs little while it is small.
//! - Nothing but the table points at an entry, so entries can be moved together: see `evacuate`.
#![allow(unsafe_code)]

pub(crate) mod chunk;
mod evacuate;
pub(crate) mod region;

pub(crate) use evacuate::CLASSES_TO_PLAN;

use std::alloc::{self, Layout};
use std::ptr::{self, NonNull};

use chunk::SLAB_SIZE;

use crate::table::prefetch_line;

/// The largest block that lives in a slab, in bytes.
pub(crate) const SLAB_BLOCK_MAX: usize = 1024;

/// For memory checkers, which see misuse of blocks only if each is an allocation of its own.
const EVERY_BLOCK_ALONE: bool = cfg!(miri);

const CLASSES: usize = class_of(SLAB_BLOCK_MAX) + 1;
/// In a slab's class: its blocks are being moved elsewhere, and none is handed out.
const LEAVING: u16 = 1 << 15;
const HEADER_SIZE: usize = size_of::<Slab>();

/// The size class of a block of `size` bytes, 1 to [`SLAB_BLOCK_MAX`].
const fn class_of(size: usize) -> usize {
    match size {
        0..=16 => 0,
        17..=256 => size.div_ceil(8) - 2,
        257..=512 => 30 + (size - 256).div_ceil(16),
        _ => 46 + (size - 512).div_ceil(32),
    }
}

const fn class_size(class: usize) -> usize {
    match class {
        0..=30 => (class + 2) * 8,
        31..=46 => 256 + (class - 30) * 16,
        _ => 512 + (class - 46) * 32,
    }
}

/// Bytes that a block of `size` bytes really takes. Two sizes with the same result can share a block.
pub(crate) const fn block_size(size: usize) -> usize {
    if size > SLAB_BLOCK_MAX {
        size.next_multiple_of(8)
    } else {
        class_size(class_of(size))
    }
}

/// The head of a slab.
#[repr(C)]
struct Slab {
    /// Neighbours in the arena's list of slabs of this class that have room.
    next: *mut Slab,
    previous: *mut Slab,
    /// First of the freed blocks; each holds the address of the next.
    free: *mut u8,
    /// Offset in the slab of the first byte never handed out.
    fresh: u32,
    /// Blocks in use.
    used: u16,
    class: u16,
}

impl Slab {
    fn block_size(&self) -> usize {
        class_size(self.size_class())
    }

    fn size_class(&self) -> usize {
        (self.class & !LEAVING) as usize
    }

    fn is_full(&self) -> bool {
        self.free.is_null() && self.fresh as usize + self.block_size() > SLAB_SIZE
    }
}

/// The allocator of one shard.
pub(crate) struct Arena {
    /// Per class: the list of slabs that have room.
    roomy: [*mut Slab; CLASSES],
    /// The list of slabs that are being emptied.
    leaving: *mut Slab,
    /// An empty slab kept, so that one key that comes and goes does not ask the process-wide pool each time.
    spare: *mut Slab,
    slabs: usize,
    /// Bytes in large blocks.
    large_bytes: usize,
    /// Bytes of the blocks in use in slabs.
    used_bytes: usize,
}

// SAFETY: an arena owns its slabs exclusively; they are not tied to a thread.
unsafe impl Send for Arena {}

impl Arena {
    pub(crate) const fn new() -> Self {
        Self {
            roomy: [ptr::null_mut(); CLASSES],
            leaving: ptr::null_mut(),
            spare: ptr::null_mut(),
            slabs: 0,
            large_bytes: 0,
            used_bytes: 0,
        }
    }

    /// A block of at least `size` bytes, aligned to 8, uninitialized. Aborts if there is no memory, as `Vec` does.
    #[inline]
    pub(crate) fn alloc(&mut self, size: usize) -> NonNull<u8> {
        if size > SLAB_BLOCK_MAX || EVERY_BLOCK_ALONE {
            return self.alloc_large(size);
        }
        let class = class_of(size);
        self.used_bytes += class_size(class);
        let mut slab = self.roomy[class];
        if slab.is_null() {
            slab = self.add_slab(class);
        }
        // SAFETY: slabs in the list are ours and initialized; a slab in it has a free block or fresh room for one (it
        // leaves the list when it has not). A free block holds the address of the next one or null.
        unsafe {
            let block = (*slab).free;
            let block = if block.is_null() {
                let block = slab.cast::<u8>().add((*slab).fresh as usize);
                (*slab).fresh += class_size(class) as u32;
                prefetch_next(block, class_size(class));
                block
            } else {
                (*slab).free = block.cast::<*mut u8>().read();
                block
            };
            (*slab).used += 1;
            if (*slab).is_full() {
                self.unlink(slab);
            }
            NonNull::new_unchecked(block)
        }
    }

    /// Gives a block back.
    ///
    /// # Safety
    /// `block` came from [`alloc`](Self::alloc) of this arena with a size of the same [`block_size`], and is not used any more.
    #[inline]
    pub(crate) unsafe fn free(&mut self, block: NonNull<u8>, size: usize) {
        if size > SLAB_BLOCK_MAX || EVERY_BLOCK_ALONE {
            // SAFETY: the same layout as in `alloc_large`, as the caller promises.
            unsafe { alloc::dealloc(block.as_ptr(), large_layout(size)) };
            self.large_bytes -= block_size(size);
            return;
        }
        let slab = slab_of(block);
        // SAFETY: the block is in a slab of ours, whose header is initialized; the block itself is free to be written.
        unsafe {
            debug_assert_eq!(
                (*slab).block_size(),
                block_size(size),
                "freed with another size"
            );
            let was_full = (*slab).is_full();
            self.used_bytes -= (*slab).block_size();
            block.as_ptr().cast::<*mut u8>().write((*slab).free);
            (*slab).free = block.as_ptr();
            (*slab).used -= 1;
            if was_full {
                self.link(slab);
            }
            if (*slab).used == 0 {
                self.retire(slab);
            }
        }
    }

    /// Bytes that this arena holds from the system: slabs and large blocks.
    pub(crate) fn held_bytes(&self) -> usize {
        self.slabs * SLAB_SIZE + self.large_bytes
    }

    /// Bytes of the blocks in use, rounding included.
    pub(crate) fn used_bytes(&self) -> usize {
        self.used_bytes + self.large_bytes
    }

    #[cold]
    fn alloc_large(&mut self, size: usize) -> NonNull<u8> {
        self.large_bytes += block_size(size);
        let layout = large_layout(size);
        // SAFETY: the size is not zero.
        let block = unsafe { alloc::alloc(layout) };
        NonNull::new(block).unwrap_or_else(|| alloc::handle_alloc_error(layout))
    }

    #[cold]
    fn add_slab(&mut self, class: usize) -> *mut Slab {
        let slab = std::mem::replace(&mut self.spare, ptr::null_mut());
        let slab = if slab.is_null() {
            self.slabs += 1;
            chunk::take_slab().as_ptr().cast::<Slab>()
        } else {
            slab
        };
        let (next, previous, free) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
        // SAFETY: the slab is ours alone, large enough and aligned.
        unsafe {
            slab.write(Slab {
                next,
                previous,
                free,
                fresh: HEADER_SIZE as u32,
                used: 0,
                class: class as u16,
            });
            self.link(slab);
        }
        slab
    }

    /// # Safety
    /// A slab of this arena that is not in a list.
    unsafe fn link(&mut self, slab: *mut Slab) {
        // SAFETY: the slab and the head of its list are ours.
        unsafe {
            let head = match (*slab).class & LEAVING {
                0 => &mut self.roomy[(*slab).class as usize],
                _ => &mut self.leaving,
            };
            (*slab).previous = ptr::null_mut();
            (*slab).next = *head;
            if !head.is_null() {
                (**head).previous = slab;
            }
            *head = slab;
        }
    }

    /// # Safety
    /// A slab of this arena that is in its class's list.
    unsafe fn unlink(&mut self, slab: *mut Slab) {
        // SAFETY: the slab and its neighbours are ours.
        unsafe {
            let (previous, next) = ((*slab).previous, (*slab).next);
            if previous.is_null() {
                match (*slab).class & LEAVING {
                    0 => self.roomy[(*slab).class as usize] = next,
                    _ => self.leaving = next,
                }
            } else {
                (*previous).next = next;
            }
            if !next.is_null() {
                (*next).previous = previous;
            }
        }
    }

    /// # Safety
    /// An empty slab of this arena that is in its class's list.
    #[cold]
    unsafe fn retire(&mut self, slab: *mut Slab) {
        // SAFETY: as the caller promises.
        unsafe { self.unlink(slab) };
        // SAFETY: as the caller promises.
        let is_leaving = unsafe { (*slab).class & LEAVING != 0 };
        if self.spare.is_null() && !is_leaving {
            self.spare = slab;
        } else {
            self.give_back(slab);
        }
    }

    fn give_back(&mut self, slab: *mut Slab) {
        self.slabs -= 1;
        if let Some(slab) = NonNull::new(slab) {
            chunk::give_back_slab(slab.cast());
        }
    }
}

/// Blocks still in use are leaked: whoever owns them frees them before.
impl Drop for Arena {
    fn drop(&mut self) {
        if !self.spare.is_null() {
            self.give_back(self.spare);
        }
    }
}

/// Where one block is cut off, the next one will be: many at once come where a keyspace is filled, and fresh memory is never in the cache.
#[inline]
fn prefetch_next(block: *mut u8, size: usize) {
    const LINE: usize = 64;
    const LINES_MAX: usize = 4;
    let next = block.addr() + size;
    for line in 0..size.div_ceil(LINE).min(LINES_MAX) {
        prefetch_line(next + line * LINE);
    }
}

fn slab_of(block: NonNull<u8>) -> *mut Slab {
    block
        .as_ptr()
        .map_addr(|address| address & !(SLAB_SIZE - 1))
        .cast()
}

fn large_layout(size: usize) -> Layout {
    match Layout::from_size_align(block_size(size), 8) {
        Ok(layout) => layout,
        Err(_) => alloc::handle_alloc_error(Layout::new::<u64>()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_dense_and_fit() {
        for size in 1..=SLAB_BLOCK_MAX {
            let class = class_of(size);
            assert!(class_size(class) >= size, "{size}");
            assert!(class == 0 || class_size(class - 1) < size, "{size}");
            assert_eq!(class_of(class_size(class)), class);
            assert_eq!(class_size(class) % 8, 0);
        }
        assert_eq!(block_size(SLAB_BLOCK_MAX), SLAB_BLOCK_MAX);
    }

    /// Random blocks, filled with a pattern of their own: no two overlap, and everything goes back.
    #[test]
    fn blocks_do_not_overlap_and_slabs_go_back() {
        let mut arena = Arena::new();
        let mut blocks: Vec<(NonNull<u8>, usize, u8)> = Vec::new();
        let mut random = 1u64;
        let rounds = if cfg!(miri) { 300 } else { 200_000 };
        for round in 0..rounds {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let dice = (random >> 33) as usize;
            if blocks.is_empty() || (dice % 100 < if round < rounds / 2 { 60 } else { 40 }) {
                let size = if dice.is_multiple_of(50) {
                    1 + dice / 64 % 5000
                } else {
                    1 + dice / 64 % 300
                };
                let block = arena.alloc(size);
                assert!(block.is_aligned_to_8());
                // SAFETY: the block has `size` bytes.
                unsafe { block.as_ptr().write_bytes(round as u8, size) };
                blocks.push((block, size, round as u8));
            } else {
                let (block, size, pattern) = blocks.swap_remove(dice / 64 % blocks.len());
                check_and_free(&mut arena, block, size, pattern);
            }
        }
        for (block, size, pattern) in blocks {
            check_and_free(&mut arena, block, size, pattern);
        }
        assert_eq!(arena.large_bytes, 0);
        assert_eq!(
            arena.slabs,
            usize::from(!EVERY_BLOCK_ALONE),
            "only the spare one is left"
        );
        assert!(arena.roomy.iter().all(|slab| slab.is_null()));
    }

    fn check_and_free(arena: &mut Arena, block: NonNull<u8>, size: usize, pattern: u8) {
        // SAFETY: allocated with this size and filled.
        unsafe {
            assert!(
                std::slice::from_raw_parts(block.as_ptr(), size)
                    .iter()
                    .all(|&byte| byte == pattern)
            );
            arena.free(block, size);
        }
    }

    trait Aligned {
        fn is_aligned_to_8(&self) -> bool;
    }
    impl Aligned for NonNull<u8> {
        fn is_aligned_to_8(&self) -> bool {
            self.as_ptr().addr().is_multiple_of(8)
        }
    }
}
