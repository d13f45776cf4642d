//! The process-wide pool of slabs: anonymous maps, cut into chunks the size of a huge page, cut into slabs.

use std::collections::{BTreeMap, BTreeSet};
use std::ptr::NonNull;

use parking_lot::Mutex;

/// Size and alignment of a slab, in bytes.
pub(super) const SLAB_SIZE: usize = 32 << 10;
const CHUNK_SIZE: usize = 2 << 20;
/// Chunks mapped at a time. Address space only: memory comes when a slab is used.
const CHUNKS_PER_MAP: usize = if cfg!(miri) { 1 } else { 16 };
const SLABS_PER_CHUNK: usize = CHUNK_SIZE / SLAB_SIZE;
const ALL_FREE: u64 = u64::MAX >> (64 - SLABS_PER_CHUNK);
/// So many empty chunks at most are [provided](tend_chunks) with memory before they are needed, one for so many that are in use.
const READY_CHUNKS_MAX: usize = 4;
const CHUNKS_PER_READY: usize = 16;
const PAGE_SIZE: usize = 4 << 10;

static POOL: Mutex<Pool> = Mutex::new(Pool::new());

/// Lends a slab, contents undefined. Aborts if the system has no memory.
pub(super) fn take_slab() -> NonNull<u8> {
    POOL.lock().take()
}

/// Takes a slab back. It came from [`take_slab`] and nobody uses it any more.
pub(super) fn give_back_slab(slab: NonNull<u8>) {
    POOL.lock().give_back(slab);
}

/// Bytes of the slabs of the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolBytes {
    /// Lent to shards and dictionaries.
    pub lent: usize,
    /// Free, with memory of the system behind them.
    pub idle: usize,
}

/// What the slabs of the process take.
pub fn pool_bytes() -> PoolBytes {
    let pool = POOL.lock();
    PoolBytes {
        lent: pool.lent * SLAB_SIZE,
        idle: pool.idle_slabs() * SLAB_SIZE,
    }
}

/// Gives memory of free slabs back to the system: that of so many chunks of 2 MiB at most. Returns whether there is more. This is for chunks
/// of which a part is in use; [`tend_chunks`] looks after empty ones.
pub fn release_idle(chunks: usize) -> bool {
    POOL.lock().release_slabs(chunks)
}

/// Provides the chunks that are needed next with memory, in proportion to what is in use, and gives that of other empty ones back to the
/// system: so many at most. Both take the system long, and who needs or frees a chunk has a shard's lock. Now and then, by a thread that has time.
pub fn tend_chunks(limit: usize) {
    tend_chunks_of(&POOL, limit);
}

fn tend_chunks_of(pool: &Mutex<Pool>, limit: usize) {
    for _ in 0..limit {
        let Some(task) = pool.lock().tend() else {
            return;
        };
        // Out of the lock. The chunk was taken out of the pool: nobody else knows it, and its contents do not matter.
        match task {
            Task::Provide(chunk) => {
                for offset in (0..CHUNK_SIZE).step_by(PAGE_SIZE) {
                    // SAFETY: inside the chunk, see above.
                    unsafe { chunk.add(offset).write_volatile(0) };
                }
                pool.lock().ready.insert(chunk.addr().get());
            }
            Task::Release(chunk) => {
                let released = release(chunk, CHUNK_SIZE);
                pool.lock().released(chunk, released);
                if !released {
                    return;
                }
            }
        }
    }
}

/// What is to be done with an empty chunk, which is in none of the pool's sets meanwhile.
enum Task {
    Provide(NonNull<u8>),
    Release(NonNull<u8>),
}

struct Pool {
    /// Each chunk by its address.
    chunks: BTreeMap<usize, Chunk>,
    /// Chunks of which a part is in use. The lowest address is used first, so that the others can become empty.
    roomy: BTreeSet<usize>,
    /// Empty chunks that have memory, or had some: they are used next.
    ready: BTreeSet<usize>,
    /// Chunks without any memory behind them.
    bare: BTreeSet<usize>,
    /// Slabs that are lent.
    lent: usize,
    /// Free slabs without memory behind them, in chunks that have some.
    hollow: usize,
}

struct Chunk {
    base: NonNull<u8>,
    /// A bit for each free slab.
    free: u64,
    /// A bit for each free slab that has no memory behind it: its part of the chunk was given back.
    hollow: u64,
}

// SAFETY: the pool owns its maps; they are not tied to a thread.
unsafe impl Send for Chunk {}

impl Pool {
    const fn new() -> Self {
        Self {
            chunks: BTreeMap::new(),
            roomy: BTreeSet::new(),
            ready: BTreeSet::new(),
            bare: BTreeSet::new(),
            lent: 0,
            hollow: 0,
        }
    }

    fn take(&mut self) -> NonNull<u8> {
        loop {
            if let Some(&address) = self.roomy.first()
                && let Some(chunk) = self.chunks.get_mut(&address)
            {
                // Rather one that has memory.
                let solid = chunk.free & !chunk.hollow;
                let index = if solid != 0 { solid } else { chunk.free }.trailing_zeros() as usize;
                chunk.free &= !(1 << index);
                self.hollow -= (chunk.hollow >> index & 1) as usize;
                chunk.hollow &= !(1 << index);
                self.lent += 1;
                if chunk.free == 0 {
                    self.roomy.remove(&address);
                }
                // SAFETY: the slab lies inside its chunk.
                return unsafe { chunk.base.add(index * SLAB_SIZE) };
            }
            match self.ready.pop_first().or_else(|| self.bare.pop_first()) {
                Some(address) => {
                    self.roomy.insert(address);
                }
                None => self.map_chunks(),
            }
        }
    }

    fn give_back(&mut self, slab: NonNull<u8>) {
        let address = slab.addr().get() & !(CHUNK_SIZE - 1);
        let index = (slab.addr().get() - address) / SLAB_SIZE;
        let Some(chunk) = self.chunks.get_mut(&address) else {
            // Chunks are never forgotten, and only arenas call this, with what they were lent.
            unreachable!("not a slab of this pool")
        };
        assert!(chunk.free & 1 << index == 0, "slab given back twice");
        chunk.free |= 1 << index;
        self.lent -= 1;
        if chunk.free == ALL_FREE {
            self.roomy.remove(&address);
            self.ready.insert(address);
        } else {
            self.roomy.insert(address);
        }
    }

    /// The next thing to do, if there are not as many empty chunks with memory as there should be. One of those that there are stays in any case.
    fn tend(&mut self) -> Option<Task> {
        let in_use = self.lent / SLABS_PER_CHUNK;
        let wanted = (in_use / CHUNKS_PER_READY).min(READY_CHUNKS_MAX);
        if self.ready.len() > wanted.max(1) {
            let address = self.ready.pop_last()?;
            return self.base_of(address).map(Task::Release);
        }
        if self.ready.len() >= wanted {
            return None;
        }
        if self.bare.is_empty() {
            self.map_chunks();
        }
        let address = self.bare.pop_first()?;
        self.base_of(address).map(Task::Provide)
    }

    fn base_of(&self, address: usize) -> Option<NonNull<u8>> {
        self.chunks.get(&address).map(|chunk| chunk.base)
    }

    /// An empty chunk has no memory any more, or the system would not take it.
    fn released(&mut self, base: NonNull<u8>, released: bool) {
        let address = base.addr().get();
        if !released {
            self.ready.insert(address);
            return;
        }
        if let Some(chunk) = self.chunks.get_mut(&address) {
            self.hollow -= chunk.hollow.count_ones() as usize;
            chunk.hollow = 0;
        }
        self.bare.insert(address);
    }

    /// Free slabs with memory behind them.
    fn idle_slabs(&self) -> usize {
        let slabs = (self.chunks.len() - self.bare.len()) * SLABS_PER_CHUNK;
        slabs - self.lent - self.hollow
    }

    /// Gives the memory of free slabs back, in so many chunks at most, those at the highest addresses first: they are used last.
    fn release_slabs(&mut self, chunks: usize) -> bool {
        let mut left = chunks;
        for address in self.roomy.iter().rev() {
            let Some(chunk) = self.chunks.get_mut(address) else {
                continue;
            };
            let mut solid = chunk.free & !chunk.hollow;
            if solid == 0 {
                continue;
            }
            if left == 0 {
                return true;
            }
            left -= 1;
            // Neighbours go together.
            while solid != 0 {
                let first = solid.trailing_zeros();
                let count = (solid >> first).trailing_ones();
                let mask = (u64::MAX >> (u64::BITS - count)) << first;
                // SAFETY: these slabs lie inside the chunk.
                let start = unsafe { chunk.base.add(first as usize * SLAB_SIZE) };
                if release(start, count as usize * SLAB_SIZE) {
                    chunk.hollow |= mask;
                    self.hollow += count as usize;
                }
                solid &= !mask;
            }
        }
        false
    }

    fn map_chunks(&mut self) {
        let first = map(CHUNKS_PER_MAP * CHUNK_SIZE);
        // Little data take little memory: the first chunk of all is filled page by page.
        let small = usize::from(self.chunks.is_empty());
        choose_pages(first, small, CHUNKS_PER_MAP);
        for index in 0..CHUNKS_PER_MAP {
            // SAFETY: inside the map.
            let base = unsafe { first.add(index * CHUNK_SIZE) };
            self.chunks.insert(
                base.addr().get(),
                Chunk {
                    base,
                    free: ALL_FREE,
                    hollow: 0,
                },
            );
            self.bare.insert(base.addr().get());
        }
    }
}

/// Memory of `size` bytes, aligned to [`CHUNK_SIZE`], kept until the process ends.
fn map(size: usize) -> NonNull<u8> {
    if cfg!(miri) {
        let Ok(layout) = std::alloc::Layout::from_size_align(size, CHUNK_SIZE) else {
            // The alignment is a power of two, and the sizes are constants far below the limit.
            unreachable!("constant")
        };
        // SAFETY: the size is not zero.
        let memory = unsafe { std::alloc::alloc(layout) };
        return NonNull::new(memory).unwrap_or_else(|| std::alloc::handle_alloc_error(layout));
    }
    // The map starts at any page, so it is one chunk longer than what is used of it.
    let Ok(mut map) = memmap2::MmapMut::map_anon(size + CHUNK_SIZE) else {
        std::alloc::handle_alloc_error(std::alloc::Layout::new::<[u8; CHUNK_SIZE]>())
    };
    let start = map.as_mut_ptr();
    std::mem::forget(map);
    let aligned = start.map_addr(|address| address.next_multiple_of(CHUNK_SIZE));
    NonNull::new(aligned).unwrap_or(NonNull::dangling())
}

/// Has small pages behind the first so many chunks of a map, huge ones behind the others. A wish: without it everything works, with more page walks.
fn choose_pages(map: NonNull<u8>, small: usize, chunks: usize) {
    #[cfg(all(target_os = "linux", not(miri)))]
    for (range, advice) in [
        (0..small, rustix::mm::Advice::LinuxNoHugepage),
        (small..chunks, rustix::mm::Advice::LinuxHugepage),
    ] {
        // SAFETY: these chunks lie inside the map, and how they are backed does not change what is in them.
        let _ = unsafe {
            let start = map.as_ptr().add(range.start * CHUNK_SIZE);
            rustix::mm::madvise(start.cast(), range.len() * CHUNK_SIZE, advice)
        };
    }
    #[cfg(not(all(target_os = "linux", not(miri))))]
    let _ = (map, small, chunks);
}

/// Gives the memory of free slabs back to the system; it stays mapped.
fn release(start: NonNull<u8>, size: usize) -> bool {
    if cfg!(miri) {
        return false;
    }
    // SAFETY: all of it is free: nobody has a reference into it, and its contents do not matter.
    unsafe {
        rustix::mm::madvise(
            start.as_ptr().cast(),
            size,
            rustix::mm::Advice::LinuxDontNeed,
        )
    }
    .is_ok()
}

#[cfg(all(test, not(miri)))]
mod tests {
    use super::*;

    /// As many as one chunk is to be ready for.
    const SLABS: usize = CHUNKS_PER_READY * SLABS_PER_CHUNK;

    #[test]
    fn the_next_chunk_is_ready_when_many_are_in_use() {
        let pool = Mutex::new(Pool::new());
        let mut slabs: Vec<_> = (1..SLABS).map(|_| pool.lock().take()).collect();
        tend_chunks_of(&pool, usize::MAX);
        assert_eq!(pool.lock().ready.len(), 0, "so few are not worth it");

        slabs.push(pool.lock().take());
        tend_chunks_of(&pool, usize::MAX);
        let ready = pool.lock().ready.first().copied();
        assert!(ready.is_some());
        assert_eq!(pool.lock().idle_slabs(), SLABS_PER_CHUNK);

        // It comes next, and another one after it.
        slabs.push(pool.lock().take());
        let chunk = slabs.last().map(|slab| slab.addr().get());
        assert_eq!(chunk, ready);
        tend_chunks_of(&pool, usize::MAX);
        assert_eq!(pool.lock().ready.len(), 1);

        // What is given back is empty, but holds its memory until somebody has time. One chunk stays.
        slabs.drain(..).for_each(|slab| pool.lock().give_back(slab));
        assert_eq!(pool.lock().ready.len(), CHUNKS_PER_READY + 2);
        tend_chunks_of(&pool, 3);
        assert_eq!(pool.lock().ready.len(), CHUNKS_PER_READY - 1);
        tend_chunks_of(&pool, usize::MAX);
        assert_eq!(pool.lock().ready.len(), 1);
        assert_eq!(pool.lock().idle_slabs(), SLABS_PER_CHUNK);
    }
}
