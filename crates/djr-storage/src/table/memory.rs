//! Where the arrays of buckets live.
//!
//! | size of the array | comes from |
//! |---|---|
//! | below 32 KiB | the global allocator, aligned to a cache line |
//! | up to 8 MiB | the process-wide [`Arena`]: pages carved from 64 MiB maps that ask for huge pages |
//! | more | an anonymous map of its own, huge pages too, whose consumed head goes back to the system while it is being resized |
//!
//! The middle class is what the keyspace uses: the tables of 64 shards with a million keys take 160
//! KiB each, too small for a huge page of their own, but all of them together fill five, and a
//! random look-up then costs no page walk.
//!
//! **Invariant:** free memory of the arena is all zero, so carving never has to clear. A resize
//! clears what it has moved, bucket by bucket, while the line is in the cache anyway; whatever else
//! is freed is cleared by [`Memory::drop`].

use std::alloc::{self, Layout};
use std::collections::BTreeMap;
use std::ptr::NonNull;

use memmap2::MmapMut;
use parking_lot::Mutex;

pub(super) const CACHE_LINE: usize = 64;
const PAGE: usize = 4096;
/// Cache lines of a page.
pub(super) const BUCKETS_PER_PAGE: u32 = (PAGE / CACHE_LINE) as u32;
const HUGE_PAGE: usize = 2 << 20;
/// Smallest array taken from the arena, in bytes: a page lost to rounding is an eighth of it at
/// most.
pub(super) const ARENA_MIN: usize = 32 << 10;
/// Largest array taken from the arena, in bytes.
const ARENA_MAX: usize = 8 << 20;
const REGION: usize = 64 << 20;
const HUGE_PAGES_PER_REGION: usize = REGION / HUGE_PAGE;

/// The size that is really used for an array of `bytes` bytes: whole pages where pages are the
/// unit.
pub(super) const fn usable_size(bytes: usize) -> usize {
    if bytes < ARENA_MIN {
        bytes
    } else {
        bytes.next_multiple_of(PAGE)
    }
}

/// A zeroed, cache-line aligned piece of memory, readable and writable until dropped.
pub(super) struct Memory {
    base: NonNull<u8>,
    bytes: usize,
    /// Bytes at the start that [`Memory::release_head`] gave back to the system; they read as zero.
    released: usize,
    zeroed: bool,
    kind: Kind,
}

enum Kind {
    Heap,
    Arena,
    Map(MmapMut),
}

// SAFETY: a `Memory` owns its bytes exclusively, wherever they come from; nothing in it is tied to
// a thread.
unsafe impl Send for Memory {}
// SAFETY: through `&Memory` one only gets the address and the size.
unsafe impl Sync for Memory {}

impl Memory {
    /// `bytes` must be a non-zero multiple of the cache line. Aborts the process if there is no
    /// memory, as `Vec` does.
    pub(super) fn zeroed(bytes: usize) -> Memory {
        assert!(bytes > 0);
        assert!(bytes.is_multiple_of(CACHE_LINE));
        let mapped = match bytes {
            _ if cfg!(miri) => None,
            ..ARENA_MIN => None,
            ..=ARENA_MAX if bytes.is_multiple_of(PAGE) => ARENA
                .lock()
                .carve(bytes / PAGE)
                .map(|base| (base, Kind::Arena)),
            _ => map_huge(bytes).map(|(base, map)| (base, Kind::Map(map))),
        };
        let (base, kind) = mapped.unwrap_or_else(|| {
            let layout = heap_layout(bytes);
            // SAFETY: the layout's size is not zero (asserted above).
            let block = unsafe { alloc::alloc_zeroed(layout) };
            let Some(base) = NonNull::new(block) else {
                alloc::handle_alloc_error(layout)
            };
            (base, Kind::Heap)
        });
        Memory {
            base,
            bytes,
            released: 0,
            zeroed: true,
            kind,
        }
    }

    pub(super) fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// Bytes held from the system: the size less what was released.
    pub(super) fn resident_bytes(&self) -> usize {
        self.bytes - self.released
    }

    /// Tells whether the owner left every byte zero; if not, dropping clears what the arena gets
    /// back.
    pub(super) fn set_zeroed(&mut self, zeroed: bool) {
        self.zeroed = zeroed;
    }

    /// Gives the first `bytes` bytes back to the system as far as that is possible in large pieces.
    /// They stay mapped: late readers see zeros, never a fault. Their owner must not need them any
    /// more.
    pub(super) fn release_head(&mut self, bytes: usize) {
        let Kind::Map(map) = &self.kind else { return };
        let upto = bytes.min(self.bytes) / HUGE_PAGE * HUGE_PAGE;
        if upto <= self.released {
            return;
        }
        let start = self.base.addr().get() - map.as_ptr().addr();
        if discard(map, start + self.released, upto - self.released) {
            self.released = upto;
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        match self.kind {
            // SAFETY: allocated in `zeroed` with the same layout, and freed once.
            Kind::Heap => unsafe { alloc::dealloc(self.base.as_ptr(), heap_layout(self.bytes)) },
            Kind::Arena => {
                if !self.zeroed {
                    // SAFETY: the piece is ours, `bytes` long, and whoever could still read it has
                    // gone (see `retire`).
                    unsafe { self.base.as_ptr().write_bytes(0, self.bytes) };
                }
                ARENA.lock().give_back(self.base, self.bytes / PAGE);
            }
            Kind::Map(_) => {}
        }
    }
}

fn heap_layout(bytes: usize) -> Layout {
    // SAFETY: the alignment is a power of two, and sizes come from `Memory::zeroed`, far below
    // `isize::MAX`: a table of that size would have needed more addresses than there are.
    unsafe { Layout::from_size_align_unchecked(bytes, CACHE_LINE) }
}

/// Maps at least `bytes` bytes, starting at a huge page boundary, and asks for huge pages for the
/// whole ones among them. The tail has ordinary pages, so that a map is never rounded up to the
/// next huge page.
fn map_huge(bytes: usize) -> Option<(NonNull<u8>, MmapMut)> {
    let mut map = MmapMut::map_anon(bytes.checked_add(HUGE_PAGE)?).ok()?;
    let address = map.as_ptr().addr();
    let skip = address.next_multiple_of(HUGE_PAGE) - address;
    #[cfg(target_os = "linux")]
    {
        let whole = bytes / HUGE_PAGE * HUGE_PAGE;
        if whole > 0 {
            // Advice only: where the kernel knows no huge pages the table works with ordinary ones.
            let _ = map.advise_range(memmap2::Advice::HugePage, skip, whole);
        }
    }
    map.as_mut_ptr().expose_provenance();
    let base = NonNull::new(map.as_mut_ptr())?;
    // SAFETY: `skip` is less than HUGE_PAGE, and the map is that much longer than asked for.
    Some((unsafe { base.add(skip) }, map))
}

/// Returns whether the pages were given back; they then read as zero.
#[cfg(target_os = "linux")]
fn discard(map: &MmapMut, offset: usize, len: usize) -> bool {
    // SAFETY: on a private anonymous map DONTNEED makes the pages read as zero and nothing else;
    // callers discard only what holds nothing, and no reference to those bytes exists, only raw
    // pointers and atomic loads that may see any value.
    unsafe { map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, offset, len) }.is_ok()
}

#[cfg(not(target_os = "linux"))]
fn discard(_map: &MmapMut, _offset: usize, _len: usize) -> bool {
    false
}

/// Looks after the memory of mid-size tables. To be called from a background thread every now and
/// then.
///
/// While tables grow or shrink, the huge page that the next arrays will come to lie in is provided
/// by the system, if little of what is resident is free: filling one with zeros takes 0.1 ms, and
/// several where the machine is virtual and gets its memory late, and so no command has to wait for
/// that. What is free beyond a reserve goes back to the system here, too; all but one huge page
/// when nothing has changed since the last call.
pub fn tend_memory() {
    let (is_quiet, kept) = {
        let mut arena = ARENA.lock();
        let is_quiet = !std::mem::take(&mut arena.changed);
        (is_quiet, if is_quiet { 1 } else { arena.reserve() })
    };
    // The lock is free in between: an array that is needed meanwhile does not wait for all of them.
    while ARENA.lock().discard_one(kept) {}
    if is_quiet {
        return;
    }
    let cold = ARENA.lock().next_cold_huge_page();
    // The page stays mapped, as regions do, and providing it changes no content.
    if let Some(address) = cold
        && populate(address, HUGE_PAGE)
    {
        ARENA.lock().set_resident(address);
    }
}

#[cfg(target_os = "linux")]
fn populate(address: usize, len: usize) -> bool {
    let start = std::ptr::with_exposed_provenance_mut(address);
    // SAFETY: the range is a huge page of a region, mapped as long as the process lives;
    // POPULATE_WRITE leaves its content alone.
    unsafe { rustix::mm::madvise(start, len, rustix::mm::Advice::LinuxPopulateWrite) }.is_ok()
}

#[cfg(not(target_os = "linux"))]
fn populate(_address: usize, _len: usize) -> bool {
    false
}

static ARENA: Mutex<Arena> = Mutex::new(Arena::new());

/// Pages from a few large maps, first fit by address: arrays that grow step by step leave holes
/// that those of other shards fill. Regions are never unmapped; what lies free in whole huge pages
/// is given back to the system by [`tend_memory`], beyond a reserve, and that too when nobody needs it for a while.
struct Arena {
    regions: Vec<Region>,
    used_pages: usize,
    /// Something was carved or given back since [`tend_memory`] looked.
    changed: bool,
}

struct Region {
    map: MmapMut,
    /// Offset of the first huge page boundary in `map`.
    start: usize,
    /// Free ranges: first page -> number of pages. Neighbours are always merged.
    free: BTreeMap<usize, usize>,
    /// One bit per huge page: something of it may be resident.
    resident: u64,
}

impl Arena {
    const fn new() -> Self {
        Self {
            regions: Vec::new(),
            used_pages: 0,
            changed: false,
        }
    }

    fn carve(&mut self, pages: usize) -> Option<NonNull<u8>> {
        let found = self
            .regions
            .iter_mut()
            .find_map(|region| region.carve(pages));
        let base = match found {
            Some(base) => base,
            None => {
                let (base, map) = map_huge(REGION)?;
                let start = base.addr().get() - map.as_ptr().addr();
                let free = BTreeMap::from([(0, REGION / PAGE)]);
                self.regions.push(Region {
                    map,
                    start,
                    free,
                    resident: 0,
                });
                self.regions.last_mut()?.carve(pages)?
            }
        };
        self.used_pages += pages;
        self.changed = true;
        Some(base)
    }

    /// The first huge page that carving would touch for the first time, unless another one's worth
    /// is free and resident.
    fn next_cold_huge_page(&self) -> Option<usize> {
        let (mut warm, mut cold) = (0, None);
        for region in &self.regions {
            for page in region
                .free
                .iter()
                .flat_map(|(&first, &len)| first..first + len)
            {
                let huge_page = page * PAGE / HUGE_PAGE;
                if region.resident & 1 << huge_page != 0 {
                    warm += PAGE;
                } else {
                    cold = cold.or(Some(region.base() + huge_page * HUGE_PAGE));
                }
            }
        }
        if warm < HUGE_PAGE { cold } else { None }
    }

    fn set_resident(&mut self, address: usize) {
        if let Some(region) = self
            .regions
            .iter_mut()
            .find(|region| region.contains(address))
        {
            region.resident |= 1 << ((address - region.base()) / HUGE_PAGE);
        }
    }

    fn give_back(&mut self, base: NonNull<u8>, pages: usize) {
        let address = base.addr().get();
        let owner = self
            .regions
            .iter_mut()
            .find(|region| region.contains(address));
        assert!(owner.is_some(), "an array that is not of this arena");
        let Some(region) = owner else { return };
        region.give_back(address, pages);
        self.used_pages -= pages;
        self.changed = true;
    }

    /// Huge pages that are kept for the next arrays while tables change: an eighth of what is in use, and one at least.
    fn reserve(&self) -> usize {
        (self.used_pages * PAGE / HUGE_PAGE / 8).max(1)
    }

    fn idle_huge_pages(&self) -> usize {
        let idle = |region: &Region| region.idle_huge_pages().count_ones() as usize;
        self.regions.iter().map(idle).sum()
    }

    /// Gives a free huge page back, the last one, if there are more of them than are to be kept. Returns whether it did.
    fn discard_one(&mut self, kept: usize) -> bool {
        if self.idle_huge_pages() <= kept {
            return false;
        }
        let mut regions = self.regions.iter_mut().rev();
        regions.any(Region::discard_last)
    }
}

impl Region {
    fn base(&self) -> usize {
        self.map.as_ptr().addr() + self.start
    }

    fn contains(&self, address: usize) -> bool {
        (self.base()..self.base() + REGION).contains(&address)
    }

    fn carve(&mut self, pages: usize) -> Option<NonNull<u8>> {
        let (&first, &len) = self.free.iter().find(|&(_, &len)| len >= pages)?;
        self.free.remove(&first);
        if len > pages {
            self.free.insert(first + pages, len - pages);
        }
        let huge = first * PAGE / HUGE_PAGE..=(first + pages - 1) * PAGE / HUGE_PAGE;
        huge.for_each(|index| self.resident |= 1 << index);
        let base = NonNull::new(self.map.as_mut_ptr())?;
        // SAFETY: `first` is a page of the region, and the region lies in the map from `start` on.
        Some(unsafe { base.add(self.start + first * PAGE) })
    }

    fn give_back(&mut self, address: usize, pages: usize) {
        let mut first = (address - self.base()) / PAGE;
        let mut len = pages;
        if let Some((&before, &before_len)) = self.free.range(..first).next_back()
            && before + before_len == first
        {
            self.free.remove(&before);
            first = before;
            len += before_len;
        }
        if let Some(after_len) = self.free.remove(&(first + len)) {
            len += after_len;
        }
        self.free.insert(first, len);
    }

    /// A bit for each huge page that is free as a whole and may be resident.
    fn idle_huge_pages(&self) -> u64 {
        let free = self
            .free
            .iter()
            .flat_map(|(&first, &len)| whole_huge_pages(first, len));
        free.fold(0, |bits, index| bits | 1 << index) & self.resident
    }

    /// Gives the last free huge page back: first fit fills from the start. Returns whether there was one.
    fn discard_last(&mut self) -> bool {
        let Some(index) = self.idle_huge_pages().checked_ilog2() else {
            return false;
        };
        let discarded = discard(
            &self.map,
            self.start + index as usize * HUGE_PAGE,
            HUGE_PAGE,
        );
        self.resident &= !(u64::from(discarded) << index);
        discarded
    }
}

/// The huge pages of a region that lie completely inside a range of pages.
fn whole_huge_pages(first: usize, len: usize) -> std::ops::Range<usize> {
    let start = (first * PAGE).div_ceil(HUGE_PAGE);
    let end = (first + len) * PAGE / HUGE_PAGE;
    start..end.max(start)
}

const _: () = assert!(HUGE_PAGES_PER_REGION <= u64::BITS as usize);

#[cfg(test)]
mod tests {
    use super::*;

    fn is_zero(memory: &Memory) -> bool {
        // SAFETY: the memory is alive, `bytes` long, initialised, and nobody writes to it.
        let bytes = unsafe { std::slice::from_raw_parts(memory.base.as_ptr(), memory.bytes) };
        bytes.iter().all(|&byte| byte == 0)
    }

    fn dirty(memory: &mut Memory) {
        // SAFETY: the memory is alive, `bytes` long, and ours.
        unsafe { memory.base.as_ptr().write_bytes(0xa5, memory.bytes) };
        memory.set_zeroed(false);
    }

    #[test]
    fn every_class_is_zeroed_aligned_and_reusable() {
        for bytes in [
            64,
            4096,
            ARENA_MIN - 64,
            ARENA_MIN,
            40 << 10,
            ARENA_MAX,
            ARENA_MAX + PAGE,
        ] {
            for _ in 0..3 {
                let mut memory = Memory::zeroed(bytes);
                assert!(memory.base().addr().get().is_multiple_of(CACHE_LINE));
                assert!(is_zero(&memory), "{bytes}");
                dirty(&mut memory);
            }
        }
    }

    #[test]
    fn the_arena_merges_what_comes_back() {
        let mut arena = Arena::new();
        let pieces: Vec<_> = (1..200)
            .map(|pages| (arena.carve(pages).unwrap(), pages))
            .collect();
        let mut ends: Vec<_> = pieces
            .iter()
            .map(|&(base, pages)| (base.addr().get(), pages))
            .collect();
        ends.sort_unstable();
        assert!(
            ends.windows(2)
                .all(|pair| pair[0].0 + pair[0].1 * PAGE <= pair[1].0),
            "pieces overlap"
        );
        let (odd, even): (Vec<_>, Vec<_>) =
            pieces.into_iter().partition(|&(_, pages)| pages % 2 == 1);
        odd.into_iter()
            .chain(even)
            .for_each(|(base, pages)| arena.give_back(base, pages));
        assert_eq!(arena.used_pages, 0);
        for region in &arena.regions {
            assert_eq!(region.free, BTreeMap::from([(0, REGION / PAGE)]));
        }
        assert_eq!(arena.reserve(), 1);
        while arena.discard_one(arena.reserve()) {}
        assert!(
            arena.idle_huge_pages() <= 1 || cfg!(not(target_os = "linux")),
            "what is free goes back to the system"
        );
    }

    #[test]
    fn one_cold_huge_page_is_named_until_one_is_in_reserve() {
        let mut arena = Arena::new();
        assert_eq!(arena.next_cold_huge_page(), None, "no tables, no memory");
        let base = arena.carve(HUGE_PAGE / PAGE + 1).unwrap().addr().get();
        let cold = arena.next_cold_huge_page().unwrap();
        assert_eq!(cold, base + 2 * HUGE_PAGE);
        arena.set_resident(cold);
        assert_eq!(arena.next_cold_huge_page(), None);
    }

    #[test]
    fn what_is_free_goes_back_when_it_is_quiet() {
        let mut arena = Arena::new();
        let pages = HUGE_PAGE / PAGE;
        let pieces: Vec<_> = (0..80).map(|_| arena.carve(pages).unwrap()).collect();
        // Every second one is free, in both regions.
        for piece in pieces.iter().step_by(2) {
            arena.give_back(*piece, pages);
        }
        assert!(arena.idle_huge_pages() > 1, "a reserve is kept");
        while arena.discard_one(1) {}
        assert_eq!(
            arena.idle_huge_pages(),
            usize::from(cfg!(target_os = "linux"))
        );
        let resident: u32 = (arena.regions.iter())
            .map(|region| region.resident.count_ones())
            .sum();
        assert_eq!(resident, 41, "what is in use stays");
        // The first fit is still warm.
        assert_eq!(arena.carve(pages), Some(pieces[0]));
    }

    #[test]
    fn tending_leaves_memory_zero() {
        let first = Memory::zeroed(ARENA_MIN);
        tend_memory();
        tend_memory();
        let second = Memory::zeroed(ARENA_MAX);
        assert!(is_zero(&first));
        assert!(is_zero(&second));
    }

    #[test]
    fn the_head_of_a_large_map_can_be_released() {
        let mut memory = Memory::zeroed(ARENA_MAX * 2);
        dirty(&mut memory);
        memory.release_head(HUGE_PAGE * 2 + 5);
        if cfg!(target_os = "linux") {
            assert_eq!(memory.resident_bytes(), ARENA_MAX * 2 - HUGE_PAGE * 2);
            // SAFETY: the memory stays mapped after the release, `bytes` long.
            let bytes = unsafe { std::slice::from_raw_parts(memory.base.as_ptr(), memory.bytes) };
            assert!(bytes[..HUGE_PAGE * 2].iter().all(|&byte| byte == 0));
            assert!(bytes[HUGE_PAGE * 2..].iter().all(|&byte| byte == 0xa5));
        }
    }
}
