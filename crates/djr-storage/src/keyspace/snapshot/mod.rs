//! Snapshots: the state at a moment, read out while everything goes on.
//!
//! [`Access::begin_snapshot`] makes the *cut*: it takes no longer for many keys. [`Snapshot::step`] then copies the entries as they were at
//! the cut, some in each short step under one shard's lock. Whoever changes or removes an entry that was not copied yet leaves its old
//! value aside for the snapshot.

mod cut;
mod portion;

use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Release};

pub(super) use cut::{AsideBytes, CutDbs, ShardCut};
pub use portion::{Portion, SnapshotEntry};

use super::access::Access;
use super::hash::{Footprint, UnixMillis};
use super::keyspace::Keyspace;

/// What one step costs at most, but for a single entry that is larger: about so many bytes copied. Some ten microseconds.
const STEP_COST: usize = 16 << 10;
/// A step that only takes marks away.
const GIVE_UP_COST: usize = 32 << 10;
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
    is_given_up: bool,
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
            let cut = ShardCut::new(Arc::clone(&dbs));
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
            is_given_up: false,
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

    /// Puts some more entries into `out`. Each entry that was there at the cut comes once; entries of one db come mostly one behind the other. Waits for one shard, and
    /// keeps it for a short time. Returns whether there is more to do.
    pub fn step(&mut self, out: &mut Portion) -> bool {
        let budget = if self.is_given_up {
            GIVE_UP_COST
        } else {
            STEP_COST
        };
        self.step_of(budget, out)
    }

    /// As [`step`](Self::step), of about this cost.
    pub(super) fn step_of(&mut self, budget: usize, out: &mut Portion) -> bool {
        if self.position == self.dbs.dbs.len() {
            return false;
        }
        let keyspace = self.keyspace;
        if keyspace.aside.get() > ASIDE_MAX {
            let shard = self.aside_from;
            self.aside_from = (shard + 1) % keyspace.shards();
            let mut access = keyspace.open(Footprint::of(shard), 0);
            if let Some(cut) = &mut access.state_mut(shard).cut {
                cut.take_aside(keyspace, out);
            }
        }
        let mut access = keyspace.open(Footprint::of(self.shard), 0);
        let state = access.state_mut(self.shard);
        if state.walk(keyspace, self.position, budget, out) {
            return true;
        }
        let is_last_db = self.position + 1 == self.dbs.dbs.len();
        if is_last_db {
            state.cut = None;
        }
        drop(access);
        self.shard += 1;
        if self.shard == keyspace.shards() {
            (self.shard, self.position) = (0, self.position + 1);
        }
        self.position < self.dbs.dbs.len()
    }
}

impl Drop for Snapshot<'_> {
    fn drop(&mut self) {
        if self.position < self.dbs.dbs.len() {
            self.is_given_up = true;
            for shard in 0..self.keyspace.shards() {
                let mut access = self.keyspace.open(Footprint::of(shard), 0);
                if let Some(cut) = &mut access.state_mut(shard).cut {
                    cut.give_up(self.keyspace);
                }
            }
            while self.step(&mut Portion::default()) {}
        } else if self.dbs.dbs.is_empty() {
            for shard in 0..self.keyspace.shards() {
                let mut access = self.keyspace.open(Footprint::of(shard), 0);
                access.state_mut(shard).cut = None;
            }
        }
        self.keyspace.has_snapshot.store(false, Release);
    }
}
