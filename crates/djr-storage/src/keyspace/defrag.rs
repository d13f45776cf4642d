//! Active defragmentation: entries are moved together in few slabs, in small steps, so that the others go back to the system.
#![allow(unsafe_code)]

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::block;
use super::hash::Footprint;
use super::keyspace::Keyspace;
use super::shard::{base_of, block_of};
use crate::arena::CLASSES_TO_PLAN;
use crate::table::Raw;

/// Buckets of a table, some seven entries each, that are looked at in one step.
const BUCKETS_PER_STEP: usize = 8;

/// How far a walk over some shards has come.
#[derive(Debug, Default)]
pub struct Defrag {
    stage: Stage,
    /// Entries looked at, and moved, so far.
    pub seen: u64,
    /// Entries moved so far.
    pub moved: u64,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    /// Slabs of this size class are chosen.
    Plan(usize),
    /// Entries are moved: place of the db, cursor.
    Walk(usize, u64),
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
    /// Goes on with the defragmentation of one shard, for some ten microseconds. A walk is done with one shard before it is given another.
    pub fn defrag_step(&self, shard: u32, walk: &mut Defrag) -> DefragStep {
        let Some(mut access) = self.try_open(Footprint::of(shard), 0, Duration::ZERO) else {
            return DefragStep::Busy;
        };
        let state = access.state_mut(shard);
        match walk.stage {
            Stage::Plan(class) if class < CLASSES_TO_PLAN => {
                state.arena.plan_evacuation(class);
                walk.stage = Stage::Plan(class + 1);
                return DefragStep::More;
            }
            Stage::Plan(_) if state.arena.is_evacuating() => {
                walk.stage = Stage::Walk(0, 0);
                return DefragStep::More;
            }
            Stage::Walk(place, mut cursor) if place < state.dbs.len() && state.arena.is_evacuating() => {
                let (arena, db) = (&mut state.arena, &mut state.dbs[place]);
                // SAFETY: the table asks for elements of its own, whose blocks are alive: one that was moved is not asked for any more.
                let rehash = |raw: Raw| unsafe { self.rehash(block_of(raw)) };
                for _ in 0..BUCKETS_PER_STEP {
                    cursor = db.table.scan_replace(cursor, &rehash, |raw| {
                        walk.seen += 1;
                        // SAFETY: an element of the table is a live block of this arena; the shard is open for us alone, and the table
                        // forgets the old address for the new one.
                        let new = unsafe { block::relocate(arena, base_of(raw)) }?;
                        walk.moved += 1;
                        Some(Raw::new(new))
                    });
                    if cursor == 0 {
                        break;
                    }
                }
                walk.stage = match cursor {
                    0 => Stage::Walk(place + 1, 0),
                    cursor => Stage::Walk(place, cursor),
                };
                return DefragStep::More;
            }
            Stage::Plan(_) | Stage::Walk(..) => {}
        }
        state.arena.end_evacuation();
        let [held, used] = &self.shard(shard).arena_bytes;
        held.store(state.arena.held_bytes(), Relaxed);
        used.store(state.arena.used_bytes(), Relaxed);
        walk.stage = Stage::default();
        DefragStep::Done
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
        let count = if cfg!(miri) { 300 } else { 60_000_u64 };
        let keyspace = Keyspace::new(KeyspaceOptions { dbs: 2, shards: 2, hash_seed: (1, 2) });
        let value = |number: u64| vec![number as u8; (number * 37 % 900) as usize];
        let name = |number: u64| format!("key:{number}");
        let mut access = keyspace.open(Footprint::ALL, 0);
        for number in 0..count {
            let name = name(number);
            let mut db = access.db_mut((number % 2) as u32);
            let key = db.key(name.as_bytes());
            if number % 10 == 0 {
                let value = value(number);
                let push = |list: &mut List| list.push(End::Back, [&value[..], b"end"].into_iter(), Default::default());
                db.update_or_insert(key, List::default, push).expect("a list");
            } else {
                let expire = if number % 3 == 0 { Expire::At(9_000_000) } else { Expire::Clear };
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
        let (mut walk, mut steps, mut added) = (Defrag::default(), 0, 0_u64);
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
                    if added % 3 == 0 { db.remove(key); } else { db.set_string(key, &value(added), Expire::Clear); }
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
        keyspace.check_invariants();
        if cfg!(miri) {
            return;
        }
        assert!(walk.moved > 1000, "{walk:?}");
        let (held, used) = keyspace.arena_bytes();
        assert!(held < before / 2, "{held} of {before}");
        assert!(held * 10 < used * 13, "{held} held for {used}");
    }
}
