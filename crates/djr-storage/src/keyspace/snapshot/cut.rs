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
//! Values that are too large to be copied at once are kept in themselves ([`crate::types::kept`]), from when they are visited or first changed,
//! and read in steps of their own. Each shard knows those that are in it; they may move to another one (`RENAME`).
//!
//! A snapshot that is given up walks on without copying, to take the marks away.
#![allow(unsafe_code)]

use std::sync::Arc;

use super::portion::{Gathered, Large, Portion};
use crate::keyspace::block;
use crate::keyspace::hash::KeyHash;
use crate::keyspace::keyspace::Keyspace;
use crate::keyspace::shard::{ShardState, base_of, block_of, drop_block};
use crate::table::{Detached, Raw, Slot};
use crate::types::kept::Ticket;

/// Buckets of what was handed over that are freed in one step.
const FREE_BUCKETS: u32 = 32;
/// What work costs, where copying a byte costs 1.
const BUCKET_COST: usize = 32;
const ENTRY_COST: usize = 64;
/// So many bytes of the entries that come next are loaded into the cache: what most of them have.
const PREFETCH_BYTES: usize = 192;
/// Beginning to keep a large value.
const KEEP_COST: usize = 4 << 10;
/// Where a large value is while a command has it in hands.
pub(in crate::keyspace) const NO_SHARD: u32 = u32::MAX;

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

/// A large value that is kept, and where it is if it was not dropped.
struct KeptAt {
    ticket: Arc<Ticket>,
    place: usize,
    hash: KeyHash,
}

/// A shard's part of a snapshot.
pub(in crate::keyspace) struct ShardCut {
    shard: u32,
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
    aside: Gathered,
    /// The large values of this shard that are kept.
    kept: Vec<KeptAt>,
    /// Nobody wants the snapshot any more.
    is_given_up: bool,
}

impl ShardCut {
    /// `room` is empty: it takes what is put aside.
    pub(in crate::keyspace) fn new(shard: u32, dbs: Arc<CutDbs>, room: Portion) -> Self {
        Self {
            shard,
            dbs,
            at: 0,
            cursor: 0,
            handed: Vec::new(),
            garbage: Vec::new(),
            aside: Gathered::with(room),
            kept: Vec::new(),
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
    ///
    /// # Safety
    /// A live block of this shard, to which there is no reference.
    #[cold]
    pub(in crate::keyspace) unsafe fn before_change(
        &mut self,
        keyspace: &Keyspace,
        place: usize,
        raw: Raw,
    ) {
        // SAFETY: as promised by the caller.
        let block = unsafe { block_of(raw) };
        if self.at == self.dbs.dbs.len() || block.is_left() || self.is_given_up {
            return;
        }
        let hash = KeyHash(keyspace.rehash(block));
        if self.has_visited(place, hash) {
            return;
        }
        block.set_left(true);
        if let Some((db, _)) = self
            .dbs
            .position(place)
            .and_then(|position| self.dbs.dbs.get(position))
        {
            let mut kept = Vec::new();
            let Self { aside, shard, .. } = self;
            let before = aside.portion.bytes();
            // SAFETY: as promised by the caller.
            unsafe { gather(raw, (*db, place, *shard), hash, aside, &mut kept) };
            self.kept.extend(kept.into_iter().map(|(_, kept)| kept));
            let now = aside.portion.bytes();
            keyspace.aside.added(*shard, now - before, now);
        }
    }

    /// After an entry was added.
    ///
    /// # Safety
    /// As [`before_change`](Self::before_change).
    #[cold]
    pub(in crate::keyspace) unsafe fn added(&mut self, place: usize, hash: KeyHash, raw: Raw) {
        if !self.is_given_up && !self.has_visited(place, hash) {
            // SAFETY: as promised by the caller.
            unsafe { block_of(raw) }.set_left(true);
        }
        // SAFETY: as promised by the caller.
        unsafe { self.arrived(place, hash, raw) };
    }

    /// After an entry has got a value, which may be kept: it may come from another key.
    ///
    /// # Safety
    /// As [`before_change`](Self::before_change).
    #[cold]
    pub(in crate::keyspace) unsafe fn arrived(&mut self, place: usize, hash: KeyHash, raw: Raw) {
        // SAFETY: as promised by the caller.
        let Some(value) = (unsafe { block::kept(base_of(raw)) }) else {
            return;
        };
        let Some(ticket) = value.ticket().cloned() else {
            return;
        };
        if self.is_given_up {
            ticket.cancel();
            value.end_keep();
            return;
        }
        ticket.set_shard(self.shard);
        self.kept.push(KeptAt {
            ticket,
            place,
            hash,
        });
    }

    /// A value is taken out of this shard, perhaps to be put in elsewhere.
    ///
    /// # Safety
    /// As [`before_change`](Self::before_change).
    #[cold]
    pub(in crate::keyspace) unsafe fn departs(&mut self, raw: Raw) {
        // SAFETY: as promised by the caller.
        let value = unsafe { block::kept(base_of(raw)) };
        if let Some(ticket) = value.as_ref().and_then(|value| value.ticket()) {
            ticket.set_shard(NO_SHARD);
            self.forget_kept(ticket);
        }
    }

    /// A large value has been read, or is elsewhere.
    pub(in crate::keyspace) fn forget_kept(&mut self, ticket: &Arc<Ticket>) {
        self.kept.retain(|kept| !Arc::ptr_eq(&kept.ticket, ticket));
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

    fn give_up(&mut self, keyspace: &Keyspace) {
        self.is_given_up = true;
        self.take_aside(keyspace, &mut Gathered::default());
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
    pub(in crate::keyspace) fn take_aside(&mut self, keyspace: &Keyspace, out: &mut Gathered) {
        keyspace.aside.taken(self.shard, self.aside.portion.bytes());
        out.append(&mut self.aside);
    }

    /// What it was [made](Self::new) with, or something like it.
    pub(in crate::keyspace) fn into_room(self) -> Portion {
        self.aside.portion
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
        out: &mut Gathered,
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
        let (is_given_up, shard) = (cut.is_given_up, cut.shard);
        let mut kept = Vec::new();
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
                    // SAFETY: as above, and there is no other reference to it.
                    cost += unsafe {
                        gather(
                            raw,
                            (db, place, shard),
                            KeyHash(rehash(raw)),
                            out,
                            &mut kept,
                        )
                    };
                }
            };
            let before = cut.cursor;
            if handed.is_none()
                && let Some(db) = dbs.get(place)
            {
                db.table.prefetch_behind(before, PREFETCH_BYTES);
            }
            let next = match handed.map(|index| &cut.handed[index].1) {
                Some(content) => content.scan(before, &rehash, &mut visit),
                None => dbs
                    .get(place)
                    .map_or(0, |db| db.table.scan(before, &rehash, &mut visit)),
            };
            if handed.is_some() {
                // Nobody else will come across these values any more.
                for (raw, _) in kept.drain(..) {
                    // SAFETY: as above. What is left of it goes to the snapshot.
                    unsafe { block::drop_content(base_of(raw)) };
                }
            }
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
        cut.kept.extend(kept.into_iter().map(|(_, kept)| kept));
        !cut.is_at_end_of(position)
    }

    /// Reads some more of a large value that is kept in this shard. Returns whether that is elements, and whether it was the last; `None` if the
    /// value is not here.
    pub(in crate::keyspace) fn walk_kept(
        &mut self,
        ticket: &Arc<Ticket>,
        budget: usize,
        out: &mut Vec<u8>,
    ) -> Option<(bool, bool)> {
        let (_, slot) = self.find_kept(ticket)?;
        // SAFETY: an element of a table of this shard, to which `&mut self` excludes references.
        let value = unsafe { block::kept(base_of(slot.raw())) }?;
        let are_elements = value.is_at_elements();
        let more = value.walk(budget, out);
        Some((are_elements, !more))
    }

    /// The db and the entry with a large value that is kept here.
    fn find_kept(&mut self, ticket: &Arc<Ticket>) -> Option<(usize, Slot)> {
        let mut kept = self.cut.as_ref()?.kept.iter();
        let kept = kept.find(|kept| Arc::ptr_eq(&kept.ticket, ticket))?;
        let table = &self.dbs.get(kept.place)?.table;
        let slot = table.find(kept.hash.0, |raw| {
            // SAFETY: an element of the table, to which `&mut self` excludes references.
            let value = unsafe { block::kept(base_of(raw)) };
            let found = value.as_ref().and_then(|value| value.ticket());
            found.is_some_and(|found| Arc::ptr_eq(found, ticket))
        })?;
        Some((kept.place, slot))
    }

    /// Removes the entries of a place whose values are kept: what is left of them goes to the snapshot. The caller counts.
    #[cold]
    pub(in crate::keyspace) fn drop_kept_at(&mut self, keyspace: &Keyspace, place: usize) {
        let kept = self.cut.iter().flat_map(|cut| &cut.kept);
        let tickets: Vec<_> = kept
            .filter(|kept| kept.place == place)
            .map(|kept| Arc::clone(&kept.ticket))
            .collect();
        for ticket in tickets {
            if let Some((place, slot)) = self.find_kept(&ticket) {
                // SAFETY: elements of tables of this shard; the one that is removed is in no table then.
                unsafe {
                    let rehash = |raw| keyspace.rehash(block_of(raw));
                    let raw = self.dbs[place].table.remove_slot(slot, &rehash);
                    drop_block(&mut self.arena, raw);
                }
            }
        }
    }

    /// Nobody wants the snapshot any more.
    pub(in crate::keyspace) fn give_up(&mut self, keyspace: &Keyspace) {
        let kept = self.cut.iter().flat_map(|cut| &cut.kept);
        let tickets: Vec<_> = kept.map(|kept| Arc::clone(&kept.ticket)).collect();
        for ticket in tickets {
            ticket.cancel();
            if let Some((_, slot)) = self.find_kept(&ticket)
                // SAFETY: an element of a table of this shard, to which `&mut self` excludes references.
                && let Some(value) = unsafe { block::kept(base_of(slot.raw())) }
            {
                value.end_keep();
            }
        }
        if let Some(cut) = &mut self.cut {
            cut.kept.clear();
            cut.give_up(keyspace);
        }
    }
}

/// Copies an entry, or begins to keep its value if that is large. Returns about how many bytes were copied.
///
/// # Safety
/// A live block of this shard, to which there is no reference.
unsafe fn gather(
    raw: Raw,
    (db, place, shard): (u32, usize, u32),
    hash: KeyHash,
    out: &mut Gathered,
    kept: &mut Vec<(Raw, KeptAt)>,
) -> usize {
    // SAFETY: as promised by the caller.
    let block = unsafe { block_of(raw) };
    if block.is_large() {
        let ticket = Ticket::new(shard);
        let mut head = Vec::new();
        // SAFETY: as promised by the caller.
        if unsafe { block::keep(base_of(raw), &ticket, &mut head) } {
            out.large.push(Large {
                db,
                key: block.key().into(),
                expire_at: block.expire_at(),
                clock: block.clock(),
                head,
                ticket: Arc::clone(&ticket),
            });
            let at = KeptAt {
                ticket,
                place,
                hash,
            };
            kept.push((raw, at));
            return KEEP_COST;
        }
    }
    out.portion.push(db, block)
}
