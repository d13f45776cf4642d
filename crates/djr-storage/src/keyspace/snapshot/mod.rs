//! Snapshots: the state at a moment, read out while everything goes on.
//!
//! [`Access::begin_snapshot`] makes the *cut*: it takes no longer for many keys. [`Snapshot::step`] then copies the entries as they were at
//! the cut, some in each short step under one shard's lock. Whoever changes or removes an entry that was not copied yet leaves its old
//! value aside for the snapshot. Large values come in pieces: see [`crate::types::kept`].

mod aside;
mod cut;
mod portion;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};

pub(super) use aside::Aside;
use cut::NO_SHARD;
pub(super) use cut::{CutDbs, ShardCut};
use portion::{Gathered, Large};
pub use portion::{Portion, SnapshotEntry, SnapshotItem, SnapshotMore, WholeEntries};

use super::access::Access;
use super::hash::{Footprint, UnixMillis};
use super::keyspace::Keyspace;
use crate::types::kept::{Kept, Ticket};

/// What one step costs at most, but for a single entry that is larger: about so many bytes copied. Some ten microseconds.
const STEP_COST: usize = 16 << 10;
/// A step that only takes marks away.
const GIVE_UP_COST: usize = 32 << 10;
/// With so many bytes of data a snapshot finds the room prepared that it needs at once: with less it is not worth its memory.
const PREPARE_FROM: usize = 128 << 20;
/// If more bytes than this are put aside they are fetched from shards that the walk is not at.
const ASIDE_MAX: usize = 1 << 20;

/// The state at a moment, which all shards keep from now on. It belongs to nobody's lifetime, so that another thread can [walk](Self::walk)
/// it; until somebody does, old values gather.
#[must_use = "without a walk the old values gather for ever"]
pub struct Cut {
    dbs: Arc<CutDbs>,
    figures: Vec<SnapshotDb>,
    has_part_deadlines: bool,
}

/// A snapshot under way. There is one at a time in a keyspace. If it is dropped before its end it is given up, which takes a walk through what is left.
pub struct Snapshot<'k> {
    keyspace: &'k Keyspace,
    dbs: Arc<CutDbs>,
    figures: Vec<SnapshotDb>,
    has_part_deadlines: bool,
    /// The db that is walked: its position.
    position: usize,
    /// The shard that is walked.
    shard: u32,
    /// The shard that what was put aside is fetched from next.
    aside_from: u32,
    /// Large values that are kept and not read yet.
    large: VecDeque<Large>,
    /// The one that is being read.
    reading: Option<Reading>,
    is_given_up: bool,
    has_ended: bool,
}

/// A large value that is being read.
struct Reading {
    ticket: Arc<Ticket>,
    /// What is left of it, if it was dropped.
    remains: Option<Box<dyn Kept>>,
}

/// What a db held at the cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotDb {
    /// Its number.
    pub db: u32,
    /// Number of keys.
    pub keys: usize,
    /// Number of keys with a deadline.
    pub expires: usize,
}

impl Keyspace {
    /// Has in place what memory a snapshot needs from its first moment on, if there are enough data for that to matter. Now and then, by a
    /// thread that has time: it may take a millisecond.
    pub fn prepare_snapshot(&self) {
        if !self.has_snapshot.load(Acquire) {
            let is_large = self.used_bytes() >= PREPARE_FROM;
            let rooms = if is_large { self.shards() } else { 0 };
            self.aside.provide(rooms as usize);
        }
    }
}

impl Access<'_> {
    /// Begins a snapshot of the state of this moment. `None`: there is one under way. Needs every shard ([`Footprint::ALL`]).
    pub fn begin_snapshot(&mut self) -> Option<Cut> {
        self.assert_all();
        let keyspace = self.keyspace;
        if keyspace.has_snapshot.swap(true, AcqRel) {
            return None;
        }
        let dbs = Arc::new(CutDbs::new(keyspace));
        for shard in 0..keyspace.shards() {
            let cut = ShardCut::new(shard, Arc::clone(&dbs), keyspace.aside.take_room());
            self.state_mut(shard).cut = Some(Box::new(cut));
        }
        let figures = |(db, _): &(u32, usize)| SnapshotDb {
            db: *db,
            keys: keyspace.len(*db),
            expires: keyspace.expires_len(*db),
        };
        Some(Cut {
            figures: dbs.dbs.iter().map(figures).collect(),
            has_part_deadlines: (0..keyspace.dbs()).any(|db| keyspace.sub_expires_len(db) > 0),
            dbs,
        })
    }
}

impl Cut {
    /// Begins to read it out. `keyspace` is the one that it is a cut of.
    pub fn walk(self, keyspace: &Keyspace) -> Snapshot<'_> {
        Snapshot {
            keyspace,
            dbs: self.dbs,
            figures: self.figures,
            has_part_deadlines: self.has_part_deadlines,
            position: 0,
            shard: 0,
            aside_from: 0,
            large: VecDeque::new(),
            reading: None,
            is_given_up: false,
            has_ended: false,
        }
    }
}

impl Snapshot<'_> {
    /// Seconds since the last access to an entry, at `now`. Meaningless under an LFU policy.
    pub fn idle_seconds(&self, entry: &SnapshotEntry<'_>, now: UnixMillis) -> u32 {
        self.keyspace.clock().idle_seconds(entry.clock, now)
    }

    /// The logarithmic access counter of an entry at `now`. Meaningless unless the policy is LFU.
    pub fn frequency(&self, entry: &SnapshotEntry<'_>, now: UnixMillis) -> u8 {
        self.keyspace.clock().frequency(entry.clock, now) as u8
    }

    /// The dbs that had keys at the cut, in ascending order.
    pub fn dbs(&self) -> &[SnapshotDb] {
        &self.figures
    }

    /// Whether there may be hashes whose fields have deadlines.
    pub fn has_part_deadlines(&self) -> bool {
        self.has_part_deadlines
    }

    /// Puts some more into `out`. Each entry that was there at the cut comes once; entries of one db come mostly one behind the other. The pieces of a
    /// large value come right behind its entry, in the steps that follow. Waits for one shard, and keeps it for a short time. Returns whether there is more to do.
    pub fn step(&mut self, out: &mut Portion) -> bool {
        let budget = if self.is_given_up {
            GIVE_UP_COST
        } else {
            STEP_COST
        };
        self.step_of(budget, out)
    }

    /// As [`step`](Self::step), of about this cost.
    #[doc(hidden)]
    pub fn step_of(&mut self, budget: usize, out: &mut Portion) -> bool {
        if self.has_ended {
            return false;
        }
        if let Some(reading) = &mut self.reading {
            if reading.step(self.keyspace, budget, out) {
                self.reading = None;
            }
            return true;
        }
        if let Some(large) = self.large.pop_front() {
            out.begin(&large);
            self.reading = Some(Reading {
                ticket: large.ticket,
                remains: None,
            });
            return true;
        }
        if self.position == self.dbs.dbs.len() {
            self.end();
            return false;
        }
        let mut gathered = Gathered {
            portion: std::mem::take(out),
            large: Vec::new(),
        };
        self.shard_step(budget, &mut gathered);
        *out = gathered.portion;
        self.large.extend(gathered.large);
        true
    }

    /// A step of the walk through the shards.
    fn shard_step(&mut self, budget: usize, out: &mut Gathered) {
        let keyspace = self.keyspace;
        let mut fetch_from = keyspace.aside.full();
        if fetch_from.is_none() && keyspace.aside.bytes() > ASIDE_MAX {
            fetch_from = Some(self.aside_from);
            self.aside_from = (self.aside_from + 1) % keyspace.shards();
        }
        if let Some(shard) = fetch_from {
            let mut access = keyspace.open(Footprint::of(shard), 0);
            if let Some(cut) = &mut access.state_mut(shard).cut {
                cut.take_aside(keyspace, out);
            }
        }
        let mut access = keyspace.open(Footprint::of(self.shard), 0);
        let state = access.state_mut(self.shard);
        if state.walk(keyspace, self.position, budget, out) {
            return;
        }
        self.shard += 1;
        if self.shard == keyspace.shards() {
            (self.shard, self.position) = (0, self.position + 1);
        }
    }

    /// The shards keep nothing any more. Only now: a large value may have moved to a shard that has long been visited.
    fn end(&mut self) {
        for shard in 0..self.keyspace.shards() {
            let mut access = self.keyspace.open(Footprint::of(shard), 0);
            if let Some(cut) = access.state_mut(shard).cut.take() {
                self.keyspace.aside.give_back(cut.into_room());
            }
        }
        self.has_ended = true;
    }
}

impl Reading {
    /// Puts a piece into `out`. Returns whether that was the last.
    fn step(&mut self, keyspace: &Keyspace, budget: usize, out: &mut Portion) -> bool {
        loop {
            if self.remains.is_none() {
                self.remains = self.ticket.take_remains();
            }
            let mut is_last = false;
            if let Some(remains) = &mut self.remains {
                out.go_on(|out| {
                    let are_elements = remains.is_at_elements();
                    is_last = !remains.walk(budget, out);
                    (are_elements, is_last)
                });
            } else {
                let shard = self.ticket.shard();
                if shard == NO_SHARD {
                    // A command has just taken it, and puts it in elsewhere or drops it.
                    std::thread::yield_now();
                    continue;
                }
                let mut access = keyspace.open(Footprint::of(shard), 0);
                let state = access.state_mut(shard);
                let mut found = None;
                let mut piece = Vec::new();
                if self.ticket.shard() == shard && !self.ticket.has_remains() {
                    found = state.walk_kept(&self.ticket, budget, &mut piece);
                }
                drop(access);
                let Some((are_elements, last)) = found else {
                    continue;
                };
                is_last = last;
                out.go_on(|out| {
                    out.append(&mut piece);
                    (are_elements, last)
                });
            }
            if is_last {
                self.forget(keyspace);
            }
            return is_last;
        }
    }

    /// It has been read.
    fn forget(&self, keyspace: &Keyspace) {
        let shard = self.ticket.shard();
        if shard != NO_SHARD {
            let mut access = keyspace.open(Footprint::of(shard), 0);
            if let Some(cut) = &mut access.state_mut(shard).cut {
                cut.forget_kept(&self.ticket);
            }
        }
    }
}

impl Drop for Snapshot<'_> {
    fn drop(&mut self) {
        if !self.has_ended {
            self.is_given_up = true;
            let waiting = self.large.drain(..).map(|large| large.ticket);
            let reading = self.reading.take().map(|reading| reading.ticket);
            waiting.chain(reading).for_each(|ticket| ticket.cancel());
            for shard in 0..self.keyspace.shards() {
                let mut access = self.keyspace.open(Footprint::of(shard), 0);
                access.state_mut(shard).give_up(self.keyspace);
            }
            while self.step(&mut Portion::default()) {}
        }
        self.keyspace.has_snapshot.store(false, Release);
    }
}
