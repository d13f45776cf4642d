//! What a shard keeps while a snapshot is under way, so that the state at its cut can be had long after.
//!
//! The walk goes through the dbs one after the other, each from the first hash to the last, as a scan does. So it is known of each key
//! whether it was visited: its hash is compared with the walk's cursor. Resizes do not matter, for a cursor is a hash.
//!
//! | an entry | is |
//! |---|---|
//! | not visited, as it was at the cut | not marked |
//! | not visited, and changed since | marked *left*; before its first change its old value was put aside |
//! | not visited, and made since | marked *left*; the snapshot has nothing of it |
//! | not visited, and removed since | gone; put aside before, unless it was marked |
//! | visited | not marked; whatever happens to it is of no interest |
//!
//! The walk copies what is not marked and takes the marks away, so at its end there are none. Nothing has to be remembered by key.
//! A db that is emptied is handed over whole ([`Detached`]): the walk goes on in what was its table, and frees it afterwards. `SWAPDB`
//! changes nothing here, for everything goes by place.
//!
//! A snapshot that is given up walks on without copying, to take the marks away.
#![allow(unsafe_code)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::portion::Portion;
use crate::keyspace::block::Block;
use crate::keyspace::hash::KeyHash;
use crate::keyspace::keyspace::Keyspace;
use crate::keyspace::shard::{ShardState, block_of, drop_block};
use crate::table::{Detached, Raw};

/// Buckets of what was handed over that are freed in one step.
const FREE_BUCKETS: u32 = 32;
/// What work costs, where copying a byte costs 1.
const BUCKET_COST: usize = 32;
const ENTRY_COST: usize = 64;

/// The dbs that had keys at the cut, in the order of the walk.
pub(in crate::keyspace) struct CutDbs {
    /// The db, and where its keys were at the cut.
    pub(in crate::keyspace) dbs: Vec<(u32, usize)>,
    /// By place: the position in `dbs`.
    positions: Vec<Option<usize>>,
}

impl CutDbs {
    pub(in crate::keyspace) fn new(keyspace: &Keyspace) -> Self {
        let dbs: Vec<_> = (0..keyspace.dbs())
            .filter(|db| !keyspace.is_empty(*db))
            .map(|db| (db, keyspace.place(db)))
            .collect();
        let mut positions = vec![None; keyspace.dbs() as usize];
        for (position, (_, place)) in dbs.iter().enumerate() {
            positions[*place] = Some(position);
        }
        Self { dbs, positions }
    }

    fn position(&self, place: usize) -> Option<usize> {
        self.positions.get(place).copied().flatten()
    }
}

/// Bytes that are put aside in all shards.
#[derive(Default)]
pub(in crate::keyspace) struct AsideBytes(AtomicUsize);

impl AsideBytes {
    pub(in crate::keyspace) fn get(&self) -> usize {
        self.0.load(Relaxed)
    }
}

/// A shard's part of a snapshot.
pub(in crate::keyspace) struct ShardCut {
    dbs: Arc<CutDbs>,
    /// The db that is walked: its position. Those before it have been visited.
    at: usize,
    /// Hashes of that db before this one have been visited.
    cursor: u64,
    /// What dbs held that were emptied before they had been visited, by position.
    handed: Vec<(usize, Detached)>,
    /// What was handed over and has been visited: to be freed.
    garbage: Vec<Detached>,
    /// Old values of what was changed before it was visited.
    aside: Portion,
    /// Nobody wants the snapshot any more.
    is_given_up: bool,
}

impl ShardCut {
    pub(in crate::keyspace) fn new(dbs: Arc<CutDbs>) -> Self {
        Self {
            dbs,
            at: 0,
            cursor: 0,
            handed: Vec::new(),
            garbage: Vec::new(),
            aside: Portion::default(),
            is_given_up: false,
        }
    }

    /// Whether the snapshot has no interest any more in what happens to keys of this hash.
    fn has_visited(&self, place: usize, hash: KeyHash) -> bool {
        let Some(position) = self.dbs.position(place) else {
            return true;
        };
        position < self.at
            || (position == self.at && u64::from(hash.0 as u32) < self.cursor)
            || self.handed.iter().any(|(handed, _)| *handed == position)
    }

    /// Before an entry is changed or removed.
    #[cold]
    pub(in crate::keyspace) fn before_change(
        &mut self,
        keyspace: &Keyspace,
        place: usize,
        block: Block<'_>,
    ) {
        if block.is_left()
            || self.is_given_up
            || self.has_visited(place, KeyHash(keyspace.rehash(block)))
        {
            return;
        }
        block.set_left(true);
        if let Some((db, _)) = self
            .dbs
            .position(place)
            .and_then(|position| self.dbs.dbs.get(position))
        {
            let bytes = self.aside.push(*db, block);
            let AsideBytes(total) = &keyspace.aside;
            total.fetch_add(bytes, Relaxed);
        }
    }

    /// After an entry was added.
    #[cold]
    pub(in crate::keyspace) fn added(&mut self, place: usize, hash: KeyHash, block: Block<'_>) {
        if !self.is_given_up && !self.has_visited(place, hash) {
            block.set_left(true);
        }
    }

    /// Whether the content of this place is to be handed over before it is emptied.
    pub(in crate::keyspace) fn wants(&self, place: usize) -> bool {
        !self.is_given_up
            && self.dbs.position(place).is_some_and(|position| {
                position >= self.at && self.handed.iter().all(|(handed, _)| *handed != position)
            })
    }

    /// Takes the content of a place that is emptied; it is [wanted](Self::wants).
    pub(in crate::keyspace) fn hand_over(&mut self, place: usize, content: Detached) {
        match self.dbs.position(place) {
            Some(position) => self.handed.push((position, content)),
            None => self.garbage.push(content),
        }
    }

    pub(in crate::keyspace) fn give_up(&mut self, keyspace: &Keyspace) {
        self.is_given_up = true;
        self.take_aside(keyspace, &mut Portion::default());
        let handed = self.handed.drain(..).map(|(_, content)| content);
        self.garbage.extend(handed);
    }

    /// Hands everything that was handed over to `free`.
    pub(in crate::keyspace) fn free_all(&mut self, mut free: impl FnMut(Raw)) {
        let handed = self.handed.drain(..).map(|(_, content)| content);
        for mut content in handed.chain(self.garbage.drain(..)) {
            while content.drain_step(u32::MAX, &mut free) {}
        }
    }

    /// Moves what was put aside to `out`.
    pub(in crate::keyspace) fn take_aside(&mut self, keyspace: &Keyspace, out: &mut Portion) {
        let AsideBytes(total) = &keyspace.aside;
        total.fetch_sub(self.aside.bytes(), Relaxed);
        out.append(&mut self.aside);
    }

    /// Whether this db of the shard, and everything that was emptied of it, has been visited and freed.
    fn is_at_end_of(&self, position: usize) -> bool {
        self.at > position && self.garbage.is_empty()
    }
}

impl ShardState {
    /// One short step of the walk through the db at `position` of this shard: some buckets. Returns whether there is more of it.
    pub(in crate::keyspace) fn walk(
        &mut self,
        keyspace: &Keyspace,
        position: usize,
        budget: usize,
        out: &mut Portion,
    ) -> bool {
        let Self {
            cut, dbs, arena, ..
        } = self;
        let Some(cut) = cut else { return false };
        cut.take_aside(keyspace, out);
        if let Some(garbage) = cut.garbage.last_mut() {
            // SAFETY: nobody else refers to the content that was handed over, and each element is told once.
            let more = garbage.drain_step(FREE_BUCKETS, |raw| unsafe { drop_block(arena, raw) });
            if !more {
                cut.garbage.pop();
            }
            return !cut.is_at_end_of(position);
        }
        let Some(&(db, place)) = cut.dbs.dbs.get(position).filter(|_| cut.at == position) else {
            return false;
        };
        let handed = cut
            .handed
            .iter()
            .position(|(handed, _)| *handed == position);
        let is_given_up = cut.is_given_up;
        let mut cost = 0;
        // SAFETY: an element of a table of this shard, whose lock is held, or of what was one.
        let rehash = |raw: Raw| unsafe { keyspace.rehash(block_of(raw)) };
        loop {
            cost += BUCKET_COST;
            let mut visit = |raw: Raw| {
                // SAFETY: as above.
                let block = unsafe { block_of(raw) };
                cost += ENTRY_COST;
                if block.is_left() {
                    block.set_left(false);
                } else if !is_given_up {
                    cost += out.push(db, block);
                }
            };
            let before = cut.cursor;
            let next = match handed.map(|index| &cut.handed[index].1) {
                Some(content) => content.scan(before, &rehash, &mut visit),
                None => dbs
                    .get(place)
                    .map_or(0, |db| db.table.scan(before, &rehash, &mut visit)),
            };
            if next == 0 {
                (cut.at, cut.cursor) = (position + 1, 0);
                if let Some(index) = handed {
                    cut.garbage.push(cut.handed.swap_remove(index).1);
                }
                break;
            }
            cut.cursor = next;
            if cost >= budget {
                break;
            }
        }
        !cut.is_at_end_of(position)
    }
}
