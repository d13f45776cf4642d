//! Where shards put aside what a snapshot has not copied yet: how much that is, and the room for it.
//!
//! Right after the cut of a large data set every write puts something aside, under its shard's lock. If the memory for that had to be found
//! then, page by page, clients would wait; so there is room for it beforehand, which stays from one snapshot to the next.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use parking_lot::Mutex;

use super::portion::Portion;

/// The bytes and the entries that a room has space for.
const ROOM_BYTES: usize = 128 << 10;
const ROOM_ENTRIES: usize = 1 << 10;

/// What is put aside in all shards.
#[derive(Default)]
pub(in crate::keyspace) struct Aside {
    bytes: AtomicUsize,
    rooms: Mutex<Vec<Portion>>,
}

impl Aside {
    /// Bytes that are put aside in all shards.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Relaxed)
    }

    pub(super) fn added(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Relaxed);
    }

    pub(super) fn taken(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Relaxed);
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
