//! A bucket: one cache line of eight slots, and what a slot holds.

use std::num::NonZeroUsize;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Slots of a bucket.
pub(super) const SLOTS: usize = 8;

/// Bits of a slot that hold an address without its low three bits: 47-bit addresses on x86_64,
/// 48-bit ones elsewhere.
const ADDRESS_BITS: u32 = if cfg!(target_arch = "x86_64") { 44 } else { 45 };
/// Bits of a slot that hold bits of the element's hash.
pub(super) const TAG_BITS: u32 = u64::BITS - ADDRESS_BITS;
pub(super) const TAG_MASK: u32 = (1 << TAG_BITS) - 1;
const ALIGN_BITS: u32 = 3;
const ADDRESS_MASK: u64 = (1 << ADDRESS_BITS) - 1;

/// An element as the table keeps it: the address of a block that is aligned to eight bytes. The
/// table never follows it; who stores it owns the block.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct Raw(NonZeroUsize);

impl Raw {
    /// The element at this address. The pointer's provenance is exposed.
    ///
    /// # Panics
    /// If the address is not a multiple of eight, or does not fit into the 47 bits (48 outside of
    /// x86_64) of a user address.
    #[inline]
    pub fn new(pointer: NonNull<u8>) -> Raw {
        let address = pointer.expose_provenance();
        assert!(
            address.get() as u64 & !(ADDRESS_MASK << ALIGN_BITS) == 0,
            "not the address of an aligned block"
        );
        Raw(address)
    }

    /// The block's address, as given to [`Raw::new`].
    #[inline]
    pub fn as_ptr(self) -> *mut u8 {
        std::ptr::with_exposed_provenance_mut(self.address())
    }

    /// The block's address as a number.
    #[inline]
    pub fn address(self) -> usize {
        self.0.get()
    }

    /// The slot of this element: its tag above, its address below.
    #[inline(always)]
    pub(super) fn with_tag(self, tag: u32) -> u64 {
        (u64::from(tag) << ADDRESS_BITS) | (self.0.get() as u64 >> ALIGN_BITS)
    }

    #[inline(always)]
    pub(super) fn of_slot(slot: u64) -> Option<Raw> {
        NonZeroUsize::new(((slot & ADDRESS_MASK) << ALIGN_BITS) as usize).map(Raw)
    }
}

#[inline(always)]
pub(super) fn tag_of(slot: u64) -> u32 {
    (slot >> ADDRESS_BITS) as u32
}

/// Eight slots; the used ones come first, so the last one tells whether the bucket is full.
///
/// Slots are atomics, because a [`super::TableView`] may read a bucket while the table's owner
/// writes it. All loads and stores are relaxed: the owner has exclusive access, and a view's finds
/// may be out of date.
#[repr(C, align(64))]
pub(super) struct Bucket {
    slots: [AtomicU64; SLOTS],
}

impl Bucket {
    pub(super) const fn new() -> Bucket {
        Bucket {
            slots: [const { AtomicU64::new(0) }; SLOTS],
        }
    }

    #[inline(always)]
    pub(super) fn get(&self, index: usize) -> u64 {
        self.slots[index].load(Relaxed)
    }

    #[inline(always)]
    pub(super) fn set(&self, index: usize, slot: u64) {
        self.slots[index].store(slot, Relaxed);
    }

    #[inline(always)]
    pub(super) fn is_full(&self) -> bool {
        self.get(SLOTS - 1) != 0
    }

    /// Number of used slots.
    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        let used = |index| usize::from(self.get(index) != 0);
        let mut len = used(3) * 4;
        len += used(len + 1) * 2;
        len += used(len);
        len + used(SLOTS - 1)
    }

    /// The used slots.
    #[inline]
    pub(super) fn iter(&self) -> impl Iterator<Item = u64> {
        self.slots
            .iter()
            .map(|slot| slot.load(Relaxed))
            .take_while(|&slot| slot != 0)
    }

    /// Takes a slot out; the last one fills the hole. A view sees an element twice for a moment,
    /// but misses none.
    #[inline]
    pub(super) fn remove(&self, index: usize) {
        let last = self.len() - 1;
        self.set(index, self.get(last));
        self.set(last, 0);
    }

    /// A bit for each slot with this tag; empty slots have tag 0. For the owner of the table only:
    /// nobody else may write meanwhile.
    #[inline(always)]
    pub(super) fn matches(&self, tag: u32) -> u32 {
        #[cfg(target_arch = "x86_64")]
        return self.matches_sse2(tag);
        #[cfg(not(target_arch = "x86_64"))]
        return self.matches_scalar(tag);
    }

    #[cfg(any(test, not(target_arch = "x86_64")))]
    #[inline(always)]
    fn matches_scalar(&self, tag: u32) -> u32 {
        let bit = |index: usize| u32::from(tag_of(self.get(index)) == tag) << index;
        (0..SLOTS).fold(0, |bits, index| bits | bit(index))
    }

    /// One of the elements with this tag, probably. For anyone at any time: it misses elements with
    /// tag 0 and asks for nothing but the eight words.
    #[inline(always)]
    pub(super) fn peek(&self, tag: u32) -> Option<Raw> {
        // Taking the tag away leaves the address alone where the tag is the same, and something
        // larger elsewhere.
        let tag = u64::from(tag) << ADDRESS_BITS;
        let without_tag = |index| self.get(index) ^ tag;
        let pair = |index| without_tag(index).min(without_tag(index + 1));
        let least = pair(0).min(pair(2)).min(pair(4).min(pair(6)));
        if least > ADDRESS_MASK {
            None
        } else {
            Raw::of_slot(least)
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn matches_sse2(&self, tag: u32) -> u32 {
        use std::arch::x86_64::*;
        let line = self.slots.as_ptr().cast::<__m128i>();
        // SAFETY: SSE2 is part of x86_64. The four loads are inside of the bucket, which is aligned
        // to 64 bytes. They are not atomic, but no write runs beside them: only the owner of the
        // table writes, through `&mut Table`, and only functions of `Table` get here. Concurrent
        // views only read.
        unsafe {
            let high = |pair: usize| {
                let low_pair = _mm_castsi128_ps(_mm_load_si128(line.add(pair)));
                let high_pair = _mm_castsi128_ps(_mm_load_si128(line.add(pair + 1)));
                let high_halves =
                    _mm_castps_si128(_mm_shuffle_ps::<0b11_01_11_01>(low_pair, high_pair));
                _mm_srli_epi32::<{ (ADDRESS_BITS - 32) as i32 }>(high_halves)
            };
            let wanted = _mm_set1_epi32(tag as i32);
            let first = _mm_cmpeq_epi32(high(0), wanted);
            let second = _mm_cmpeq_epi32(high(2), wanted);
            let all = _mm_packs_epi32(first, second);
            _mm_movemask_epi8(_mm_packs_epi16(all, _mm_setzero_si128())) as u32
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(number: usize) -> Raw {
        Raw::new(NonNull::new(std::ptr::without_provenance_mut(number * 8)).unwrap())
    }

    #[test]
    fn slots_give_back_what_they_hold() {
        for number in [1, 2, 0xfff, (1 << ADDRESS_BITS) - 1] {
            for tag in [0, 1, 0x5a5a5 & TAG_MASK, TAG_MASK] {
                let slot = raw(number).with_tag(tag);
                assert_eq!(Raw::of_slot(slot), Some(raw(number)));
                assert_eq!(tag_of(slot), tag);
            }
        }
        assert_eq!(Raw::of_slot(0), None);
    }

    #[test]
    #[should_panic(expected = "not the address of an aligned block")]
    fn addresses_are_aligned() {
        let odd = std::ptr::without_provenance_mut(12);
        Raw::new(NonNull::new(odd).unwrap());
    }

    #[test]
    fn lengths_and_matches_agree_with_a_plain_loop() {
        for used in 0..=SLOTS {
            let bucket = Bucket::new();
            (0..used)
                .for_each(|index| bucket.set(index, raw(index + 1).with_tag(index as u32 % 3)));
            assert_eq!(bucket.len(), used);
            assert_eq!(bucket.is_full(), used == SLOTS);
            assert_eq!(bucket.iter().count(), used);
            for tag in 0..4 {
                assert_eq!(bucket.matches(tag), bucket.matches_scalar(tag));
                assert_eq!(
                    bucket.peek(tag).is_some(),
                    bucket.matches(tag) != 0 && (tag != 0 || used == SLOTS)
                );
                let expected = (0..SLOTS).filter(|&index| tag_of(bucket.get(index)) == tag);
                assert_eq!(
                    bucket.matches(tag),
                    expected.fold(0, |bits, index| bits | 1 << index)
                );
            }
        }
    }

    #[test]
    fn removing_keeps_the_used_slots_together() {
        for used in 1..=SLOTS {
            for hole in 0..used {
                let bucket = Bucket::new();
                (0..used).for_each(|index| bucket.set(index, raw(index + 1).with_tag(7)));
                bucket.remove(hole);
                let mut left: Vec<_> = bucket.iter().filter_map(Raw::of_slot).collect();
                left.sort_unstable();
                let expected = (0..used)
                    .filter(|&index| index != hole)
                    .map(|index| raw(index + 1));
                assert!(left.into_iter().eq(expected), "{used} {hole}");
            }
        }
    }
}
