//! Where shards put aside what a snapshot has not copied yet: how much that is, and the room for it.
//!
//! Right after the cut of a large data set every write puts something aside, under its shard's lock. If the memory for that had to be found
//! then, page by page, clients would wait; so there is room for it beforehand, which stays from one snapshot to the next.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use parking_lot::Mutex;

use super::portion::Portion;

/// The bytes and the entries that a room has space for.
const ROOM_BYTES: usize = 128 << 10;
const ROOM_ENTRIES: usize = 1 << 10;
/// A shard that has put more than this aside is [full](Aside::full): what comes next may no longer find room.
const FULL_BYTES: usize = ROOM_BYTES / 2;

/// What is put aside in all shards.
#[derive(Default)]
pub(in crate::keyspace) struct Aside {
    bytes: AtomicUsize,
    /// A bit for each shard that is full.
    full: AtomicU64,
    rooms: Mutex<Vec<Portion>>,
}

impl Aside {
    /// Bytes that are put aside in all shards.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Relaxed)
    }

    /// A shard has put so many more bytes aside, and has so many now.
    pub(super) fn added(&self, shard: u32, more: usize, now: usize) {
        self.bytes.fetch_add(more, Relaxed);
        if now > FULL_BYTES {
            self.full.fetch_or(1 << shard, Relaxed);
        }
    }

    /// A shard from which to fetch before others.
    pub(super) fn full(&self) -> Option<u32> {
        let full = self.full.load(Relaxed);
        (full != 0).then(|| full.trailing_zeros())
    }

    /// So many bytes, all that there were, have been fetched from a shard.
    pub(super) fn taken(&self, shard: u32, bytes: usize) {
        self.bytes.fetch_sub(bytes, Relaxed);
        if bytes > FULL_BYTES {
            self.full.fetch_and(!(1 << shard), Relaxed);
        }
    }

    /// An empty portion, with room in it if there is some.
    pub(super) fn take_room(&self) -> Portion {
        self.rooms.lock().pop().unwrap_or_default()
    }

    /// Takes a portion that nobody needs any more. Its room is kept if it is one.
    pub(super) fn give_back(&self, mut portion: Portion) {
        portion.clear_to(ROOM_BYTES, ROOM_ENTRIES);
        if portion.has_room(ROOM_BYTES, ROOM_ENTRIES) {
            self.rooms.lock().push(portion);
        }
    }

    /// Makes it so many rooms, or drops what is more than that. Their memory is in place.
    pub(in crate::keyspace) fn provide(&self, rooms: usize) {
        loop {
            let len = self.rooms.lock().len();
            if len < rooms {
                // Out of the lock: it takes long.
                let room = Portion::with_room(ROOM_BYTES, ROOM_ENTRIES);
                self.rooms.lock().push(room);
                continue;
            }
            let surplus = {
                let mut all = self.rooms.lock();
                let from = rooms.min(all.len());
                all.split_off(from)
            };
            drop(surplus);
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has_room(portion: &Portion) -> bool {
        portion.has_room(ROOM_BYTES, ROOM_ENTRIES)
    }

    #[test]
    fn what_is_full_is_told_until_it_is_fetched() {
        let aside = Aside::default();
        aside.added(3, 10, 10);
        assert_eq!((aside.bytes(), aside.full()), (10, None));
        aside.added(63, FULL_BYTES + 1, FULL_BYTES + 1);
        aside.added(3, FULL_BYTES, FULL_BYTES + 10);
        assert_eq!(aside.full(), Some(3));
        aside.taken(3, FULL_BYTES + 10);
        assert_eq!(aside.full(), Some(63));
        aside.taken(63, FULL_BYTES + 1);
        assert_eq!((aside.bytes(), aside.full()), (0, None));
    }

    #[test]
    fn rooms_stay_until_they_are_too_many() {
        let aside = Aside::default();
        aside.provide(2);
        let [first, second, third] = [(); 3].map(|()| aside.take_room());
        assert!(has_room(&first) && has_room(&second) && !has_room(&third));
        assert!(first.is_empty() && first.bytes() == 0);

        // What is not a room is not kept, what is larger becomes one.
        aside.give_back(third);
        aside.give_back(Portion::with_room(10 * ROOM_BYTES, ROOM_ENTRIES));
        let room = aside.take_room();
        assert!(has_room(&room) && !room.has_room(2 * ROOM_BYTES, 0));
        assert!(!has_room(&aside.take_room()));

        for room in [first, second, room] {
            aside.give_back(room);
        }
        aside.provide(1);
        assert_eq!(aside.rooms.lock().len(), 1);
        aside.provide(0);
        assert_eq!(aside.rooms.lock().len(), 0);
    }
}
