//! Emptying slabs: active defragmentation.
//!
//! A size class needs so many slabs as its blocks fill. Those at the lowest addresses are kept; the others, as far as they are not nearly
//! full, are *leaving*: no block of them is handed out any more, and whoever walks over the entries moves those that live in one of them
//! ([`Arena::is_leaving`]). The block that is freed last takes its slab back to the pool, and as all shards and classes keep their
//! lowest slabs, whole chunks become empty. What is left at the end of a walk is used again ([`Arena::end_evacuation`]).

use std::ptr::{self, NonNull};

use super::{
    Arena, CLASSES, EVERY_BLOCK_ALONE, HEADER_SIZE, LEAVING, SLAB_BLOCK_MAX, SLAB_SIZE, Slab,
    slab_of,
};

/// How many size classes there are to be [planned](Arena::plan_evacuation).
pub(crate) const CLASSES_TO_PLAN: usize = CLASSES;

/// A slab of which so many percent are used is left alone.
const FULL_ENOUGH: usize = 85;
/// So many slabs of a class are planned at once; others have their turn in the next walk.
const PLANNED_MAX: usize = 2048;

impl Arena {
    /// Decides which slabs of a size class are to be emptied. Returns how many.
    pub(crate) fn plan_evacuation(&mut self, class: usize) -> usize {
        let mut slabs: Vec<*mut Slab> = Vec::new();
        let (mut slab, mut used) = (self.roomy[class], 0);
        while !slab.is_null() && slabs.len() < PLANNED_MAX {
            slabs.push(slab);
            // SAFETY: slabs in the list are ours and initialized.
            unsafe {
                used += usize::from((*slab).used);
                slab = (*slab).next;
            }
        }
        let capacity = (SLAB_SIZE - HEADER_SIZE) / super::class_size(class);
        let kept = used.div_ceil(capacity);
        if slabs.len() <= kept {
            return 0;
        }
        slabs.sort_unstable();
        let mut leaving = 0;
        for slab in slabs.split_off(kept) {
            // SAFETY: in the list of this class, and afterwards in that of those which leave.
            unsafe {
                if usize::from((*slab).used) * 100 < capacity * FULL_ENOUGH {
                    self.unlink(slab);
                    (*slab).class |= LEAVING;
                    self.link(slab);
                    leaving += 1;
                }
            }
        }
        // The next blocks come from the lowest of those that are kept: the head of the list.
        for slab in slabs.into_iter().rev() {
            // SAFETY: in the list of this class.
            unsafe {
                self.unlink(slab);
                self.link(slab);
            }
        }
        leaving
    }

    /// Has all slabs of a size class emptied that have room.
    #[cfg(test)]
    pub(crate) fn evacuate_all(&mut self, class: usize) {
        while let Some(slab) = ptr::NonNull::new(self.roomy[class]) {
            // SAFETY: in the list of this class, and afterwards in that of those which leave.
            unsafe {
                self.unlink(slab.as_ptr());
                (*slab.as_ptr()).class |= LEAVING;
                self.link(slab.as_ptr());
            }
        }
    }

    /// Whether a block is in a slab that is to be emptied.
    ///
    /// # Safety
    /// A block of this arena, allocated with this size.
    #[inline]
    pub(crate) unsafe fn is_leaving(&self, block: NonNull<u8>, size: usize) -> bool {
        if size > SLAB_BLOCK_MAX || EVERY_BLOCK_ALONE {
            return false;
        }
        // SAFETY: the block is in a slab of ours, whose header is initialized.
        unsafe { (*slab_of(block)).class & LEAVING != 0 }
    }

    /// Whether there are slabs to be emptied.
    pub(crate) fn is_evacuating(&self) -> bool {
        !self.leaving.is_null()
    }

    /// Uses the slabs again that could not be emptied.
    pub(crate) fn end_evacuation(&mut self) {
        let mut slab = std::mem::replace(&mut self.leaving, ptr::null_mut());
        while !slab.is_null() {
            // SAFETY: slabs in the list are ours, and are in no other one. They have room, or they would not have been chosen.
            unsafe {
                let next = (*slab).next;
                (*slab).class &= !LEAVING;
                self.link(slab);
                slab = next;
            }
        }
    }
}
