//! Active defragmentation of a shard, in steps of some ten microseconds: entries are moved together in few slabs, so that the others go
//! back to the system; what hangs from entries is put into new memory, which the allocator takes from the fullest of its pages.
//!
//! Nothing that can be seen changes. Only tables point at entries, and whoever looks at one has its shard open; what prefetches look at may
//! be out of date. A snapshot's marks are in the entries and move with them; while one is under way in a shard, values stay where they
//! are, for it may be reading one of them in parts.
#![allow(unsafe_code)]

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::block;
use super::hash::{Footprint, KeyHash};
use super::keyspace::Keyspace;
use super::part::Part;
use super::shard::{base_of, block_of};
use crate::arena::CLASSES_TO_PLAN;
use crate::table::Raw;

/// Buckets of a table, some seven entries each, that are looked at in one step.
const BUCKETS_PER_STEP: usize = 8;
/// About so many bytes of values are copied in one step.
const BYTES_PER_STEP: usize = 32 << 10;

/// How far a walk over some shards has come, and what it did.
#[derive(Debug, Default)]
pub struct Defrag {
    /// What hangs from entries (long strings, structures) is moved, too.
    values: bool,
    counts: DefragCounts,
    /// For tests: slabs are emptied however full they are.
    #[cfg(test)]
    empties_all: bool,
    stage: Stage,
    /// Values of the db being walked that are moved in parts: hash of the key, part to go on with.
    large: Vec<(KeyHash, u128)>,
}

impl Defrag {
    /// Of entries, and of what hangs from them if that is to be moved, too.
    pub fn new(values: bool) -> Self {
        Self {
            values,
            ..Self::default()
        }
    }

    /// Whether it moves more than entries.
    pub fn moves_values(&self) -> bool {
        self.values
    }

    /// What was done since it was asked last.
    pub fn take_counts(&mut self) -> DefragCounts {
        std::mem::take(&mut self.counts)
    }

    #[cfg(test)]
    pub(super) fn of_everything() -> Self {
        Self {
            empties_all: true,
            ..Self::new(true)
        }
    }
}

/// What a defragmentation did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DefragCounts {
    /// Keys of which something was moved, and those of which nothing was.
    pub key_hits: u64,
    /// Keys that were looked at and left alone.
    pub key_misses: u64,
    /// Entries and parts of values that were moved.
    pub hits: u64,
    /// Entries that were in their best place already.
    pub misses: u64,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    /// Slabs of this size class are chosen.
    Plan(usize),
    /// Entries are moved: db, cursor.
    Walk(u32, u64),
}

impl Default for Stage {
    fn default() -> Self {
        Self::Plan(0)
    }
}

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefragStep {
    /// There is more to do in this shard.
    More,
    /// This shard is done.
    Done,
    /// The shard is in use: try again, or go on elsewhere.
    Busy,
}

impl Keyspace {
    /// Goes on with the defragmentation of one shard, for some ten microseconds. A walk is done with one shard before it is given
    /// another; one that is given up is [ended](Self::end_defrag).
    pub fn defrag_step(&self, shard: u32, walk: &mut Defrag) -> DefragStep {
        let Some(mut access) = self.try_open(Footprint::of(shard), 0, Duration::ZERO) else {
            return DefragStep::Busy;
        };
        let state = access.state_mut(shard);
        let moves_values = walk.values && state.cut.is_none();
        match walk.stage {
            Stage::Plan(class) if class < CLASSES_TO_PLAN => {
                #[cfg(test)]
                if walk.empties_all {
                    state.arena.evacuate_all(class);
                }
                let mut planned = class;
                // Most classes of a calm shard have nothing to be planned.
                while planned < CLASSES_TO_PLAN && state.arena.plan_evacuation(planned) == 0 {
                    planned += 1;
                }
                walk.stage = Stage::Plan(planned + 1);
                DefragStep::More
            }
            Stage::Plan(_) => {
                walk.stage = Stage::Walk(0, 0);
                DefragStep::More
            }
            Stage::Walk(db, cursor)
                if db < self.dbs() && (moves_values || state.arena.is_evacuating()) =>
            {
                let mut view = access.db_mut(db);
                let mut part = view.part_at(shard);
                if let Some((hash, from)) = walk.large.pop() {
                    if moves_values {
                        part.relocate_part(hash, from, walk);
                    }
                    return DefragStep::More;
                }
                walk.stage = match part.relocate_some(cursor, moves_values, walk) {
                    0 if walk.large.is_empty() => Stage::Walk(db + 1, 0),
                    // An end of the hashes: once more for those that were put off.
                    0 => Stage::Walk(db, u64::MAX),
                    cursor => Stage::Walk(db, cursor),
                };
                DefragStep::More
            }
            Stage::Walk(..) => {
                state.arena.end_evacuation();
                let [held, used] = &self.shard(shard).arena_bytes;
                held.store(state.arena.held_bytes(), Relaxed);
                used.store(state.arena.used_bytes(), Relaxed);
                walk.stage = Stage::default();
                walk.large.clear();
                DefragStep::Done
            }
        }
    }

    /// Gives up a walk in the middle of a shard: slabs that were to be emptied are used again. `false`: the shard is in use.
    pub fn end_defrag(&self, shard: u32, walk: &mut Defrag) -> bool {
        let Some(mut access) = self.try_open(Footprint::of(shard), 0, Duration::ZERO) else {
            return false;
        };
        access.state_mut(shard).arena.end_evacuation();
        walk.stage = Stage::default();
        walk.large.clear();
        true
    }
}

impl Part<'_> {
    /// Moves what of some buckets is to be moved. Returns the cursor to go on with; 0: all of the db was visited.
    fn relocate_some(&mut self, mut cursor: u64, values: bool, walk: &mut Defrag) -> u64 {
        let keyspace = self.keyspace;
        let Some(db) = self.state.dbs.get_mut(self.place) else {
            return 0;
        };
        let arena = &mut self.state.arena;
        // SAFETY: the table asks for elements of its own, whose blocks are alive: one that was moved is not asked for any more.
        let rehash = |raw: Raw| unsafe { keyspace.rehash(block_of(raw)) };
        let (mut copied, mut grown) = (0, Vec::new());
        for _ in 0..BUCKETS_PER_STEP {
            cursor = db.table.scan_replace(cursor, &rehash, |raw| {
                // SAFETY: an element of the table is a live block of this arena; the shard is open for us alone, and the table forgets the
                // old address for the new one.
                let block = unsafe { block_of(raw) };
                let has_value = values && block.has_behind();
                if has_value {
                    let before = block.memory();
                    // SAFETY: as above.
                    let next = unsafe { block::relocate_value(base_of(raw), 0, BYTES_PER_STEP) };
                    if next != 0 {
                        walk.large.push((KeyHash(rehash(raw)), next));
                    }
                    let after = block.memory();
                    if before != after {
                        grown.push((block.key().to_vec(), after as isize - before as isize));
                    }
                    copied += after.min(BYTES_PER_STEP);
                    walk.counts.hits += 1;
                }
                // SAFETY: as above.
                let new = unsafe { block::relocate(arena, base_of(raw)) };
                walk.counts.hits += u64::from(new.is_some());
                walk.counts.misses += u64::from(new.is_none());
                let is_hit = has_value || new.is_some();
                walk.counts.key_hits += u64::from(is_hit);
                walk.counts.key_misses += u64::from(!is_hit);
                new.map(Raw::new)
            });
            if cursor == 0 || copied >= BYTES_PER_STEP {
                break;
            }
        }
        for (key, bytes) in grown {
            self.count_grown(&key, bytes);
        }
        cursor
    }

    /// Goes on moving a value that is moved in parts.
    fn relocate_part(&mut self, hash: KeyHash, from: u128, walk: &mut Defrag) {
        let Some(slot) = self.state.find_hash(self.keyspace, self.place, hash) else {
            return;
        };
        let before = self.block(slot).memory();
        // SAFETY: a live block of this arena, to which `&mut self` excludes references.
        let next = unsafe { block::relocate_value(base_of(slot.raw()), from, BYTES_PER_STEP) };
        walk.counts.hits += 1;
        if next != 0 {
            walk.large.push((hash, next));
        }
        let grown = self.block(slot).memory() as isize - before as isize;
        if grown != 0 {
            let key = self.block(slot).key().to_vec();
            self.count_grown(&key, grown);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Expire, Footprint, Keyspace, KeyspaceOptions};
    use super::{Defrag, DefragStep};
    use crate::types::List;
    use crate::types::list::End;

    /// Keys of many sizes, and lists, three quarters removed: everything that is left stays as it was while it is moved and while it is
    /// changed, and what is held shrinks to little more than is used.
    #[test]
    fn entries_are_moved_together_while_they_are_used() {
        let count = if cfg!(miri) { 300 } else { 300_000_u64 };
        let keyspace = Keyspace::new(KeyspaceOptions {
            dbs: 2,
            shards: 2,
            hash_seed: (1, 2),
        });
        let value = |number: u64| vec![number as u8; (number * 37 % 900) as usize];
        let name = |number: u64| format!("key:{number}");
        let mut access = keyspace.open(Footprint::ALL, 0);
        for number in 0..count {
            let name = name(number);
            let mut db = access.db_mut((number % 2) as u32);
            let key = db.key(name.as_bytes());
            if number % 10 == 0 {
                let value = value(number);
                let push = |list: &mut List| {
                    list.push(
                        End::Back,
                        [&value[..], b"end"].into_iter(),
                        Default::default(),
                    )
                };
                db.update_or_insert(key, List::default, push)
                    .expect("a list");
            } else {
                let expire = if number % 3 == 0 {
                    Expire::At(9_000_000)
                } else {
                    Expire::Clear
                };
                db.set_string(key, &value(number), expire);
            }
        }
        let is_kept = |number: u64| number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 62 == 0;
        for number in (0..count).filter(|number| !is_kept(*number)) {
            let mut db = access.db_mut((number % 2) as u32);
            let name = name(number);
            let key = db.key(name.as_bytes());
            assert!(db.remove(key));
        }
        drop(access);
        let before = keyspace.held_bytes();
        let (mut walk, mut steps, mut added) = (Defrag::new(true), 0, 0_u64);
        for shard in 0..keyspace.shards() {
            loop {
                let step = keyspace.defrag_step(shard, &mut walk);
                steps += 1;
                if steps % 7 == 0 {
                    // Others write meanwhile.
                    let mut access = keyspace.open(Footprint::ALL, 0);
                    let mut db = access.db_mut(0);
                    let name = format!("new:{}", added % 50);
                    let key = db.key(name.as_bytes());
                    if added % 3 == 0 {
                        db.remove(key);
                    } else {
                        db.set_string(key, &value(added), Expire::Clear);
                    }
                    added += 1;
                }
                if step == DefragStep::Done {
                    break;
                }
            }
        }
        for number in 0..count {
            let access = keyspace.open(Footprint::ALL, 0);
            let db = access.db((number % 2) as u32);
            let name = name(number);
            let entry = db.get(db.key(name.as_bytes()));
            assert_eq!(entry.is_some(), is_kept(number), "{number}");
            let Some(entry) = entry else { continue };
            if let Some(string) = entry.as_string() {
                assert_eq!(string.to_vec(), value(number));
                assert_eq!(entry.expire_at().is_some(), number % 3 == 0);
            } else {
                assert_eq!(entry.object::<List>().expect("a list").len(), 2);
            }
        }
        let access = keyspace.open(Footprint::ALL, 0);
        let shards = 0..keyspace.shards();
        shards.for_each(|shard| access.state(shard).check_invariants(&keyspace));
        drop(access);
        if cfg!(miri) {
            return;
        }
        assert!(walk.counts.hits > 1000, "{walk:?}");
        let (held, used) = keyspace.arena_bytes();
        assert!(held < before / 2, "{held} of {before}");
        assert!(held * 10 < used * 13, "{held} held for {used}");
    }
}
