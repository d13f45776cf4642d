//! Client-side caching: which clients have read a key, so that they can be told when it changes.
//!
//! Keys are remembered by their name alone, whatever db they were read in, as Redis does. A key that changes is forgotten: who
//! reads it again is remembered again. As both happen under the shard's lock, no change between two readings is missed.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};

use smallvec::SmallVec;

use super::access::Access;
use super::hash::{Footprint, Key};
use super::keyspace::Keyspace;

/// The numbers of the clients that have read a key.
pub type Readers = SmallVec<[u64; 2]>;

/// What clients may have to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Invalidation {
    /// A key has changed.
    Key {
        /// Its name.
        key: Box<[u8]>,
        /// Who has read it. Nobody, where it is reported only because all changes are wanted.
        readers: Readers,
    },
    /// A db was emptied: nothing that anyone has read is right any more.
    All,
}

/// Whether anyone wants to know of changes, and what is remembered for them.
#[derive(Debug, Default)]
pub struct Tracking {
    is_on: AtomicBool,
    wants_all: AtomicBool,
    keys: AtomicUsize,
    readings: AtomicUsize,
    /// Numbers the changes, so that those of several shards can be told in their order.
    changes: AtomicU64,
}

impl Tracking {
    /// Whether anyone tracks keys: while nobody does, this one load is what tracking costs.
    #[inline]
    pub fn is_on(&self) -> bool {
        self.is_on.load(Relaxed)
    }

    /// Switches it on or off; `wants_all`: changes of keys that nobody has read are wanted, too (`BCAST`).
    pub fn switch(&self, on: bool, wants_all: bool) {
        self.wants_all.store(wants_all, Relaxed);
        self.is_on.store(on, Relaxed);
    }

    /// How many keys are remembered.
    pub fn keys(&self) -> usize {
        self.keys.load(Relaxed)
    }

    /// How many readings of keys are remembered: each key counts once for each of its readers.
    pub fn readings(&self) -> usize {
        self.readings.load(Relaxed)
    }

    fn forget(&self, readers: &Readers) {
        self.keys.fetch_sub(1, Relaxed);
        self.readings.fetch_sub(readers.len(), Relaxed);
    }
}

/// What one shard remembers.
#[derive(Default)]
pub(super) struct TrackedKeys {
    readers: HashMap<Box<[u8]>, Readers>,
    /// Changes that have not been told yet.
    changes: Vec<(u64, Invalidation)>,
}

impl TrackedKeys {
    /// A key changes.
    #[cold]
    pub(super) fn changed(&mut self, tracking: &Tracking, key: &[u8]) {
        let (key, readers) = match self.readers.remove_entry(key) {
            Some((key, readers)) => {
                tracking.forget(&readers);
                (key, readers)
            }
            None if tracking.wants_all.load(Relaxed) => (Box::from(key), Readers::new()),
            None => return,
        };
        self.note(tracking, Invalidation::Key { key, readers });
    }

    fn note(&mut self, tracking: &Tracking, change: Invalidation) {
        let number = tracking.changes.fetch_add(1, Relaxed);
        self.changes.push((number, change));
    }

    fn clear(&mut self, tracking: &Tracking) {
        for readers in std::mem::take(&mut self.readers).values() {
            tracking.forget(readers);
        }
    }
}

impl Access<'_> {
    /// Remembers that a client has read a key of an open shard, there or not.
    pub fn track(&mut self, key: Key<'_>, client: u64) {
        let tracking = self.keyspace.tracking();
        let shard = self.keyspace.shard_of(key.hash);
        let readers = &mut self.state_mut(shard).tracked.readers;
        if let Some(known) = readers.get_mut(key.bytes) {
            if known.contains(&client) {
                return;
            }
            known.push(client);
        } else {
            readers.insert(key.bytes.into(), Readers::from_slice(&[client]));
            tracking.keys.fetch_add(1, Relaxed);
        }
        tracking.readings.fetch_add(1, Relaxed);
    }

    /// Hands over what has changed in the open shards since the last call.
    pub fn take_invalidations(&mut self, told: &mut dyn FnMut(Invalidation)) {
        let mut changes = Vec::new();
        for shard in self.footprint().shards() {
            changes.append(&mut self.state_mut(shard).tracked.changes);
        }
        changes.sort_unstable_by_key(|(number, _)| *number);
        changes.into_iter().for_each(|(_, change)| told(change));
    }

    /// A db is emptied. Every shard is open.
    pub(super) fn invalidate_all(&mut self) {
        if !self.keyspace.tracking().is_on() {
            return;
        }
        for (nth, shard) in self.footprint().shards().enumerate() {
            let tracking = self.keyspace.tracking();
            let tracked = &mut self.state_mut(shard).tracked;
            tracked.clear(tracking);
            if nth == 0 {
                tracked.note(tracking, Invalidation::All);
            }
        }
    }
}

impl Keyspace {
    /// Who wants to know of changes.
    #[inline]
    pub fn tracking(&self) -> &Tracking {
        &self.tracking
    }

    /// Hands over what has changed in a shard and was not told yet.
    pub fn take_invalidations(&self, shard: u32, told: &mut dyn FnMut(Invalidation)) {
        self.open(Footprint::of(shard), 0).take_invalidations(told);
    }

    /// Forgets up to `count` of the keys that a shard remembers, and hands them over as if they had changed, with all other
    /// changes that were not told yet. Returns how many it were.
    pub fn forget_tracked(
        &self,
        shard: u32,
        count: usize,
        told: &mut dyn FnMut(Invalidation),
    ) -> usize {
        let mut access = self.open(Footprint::of(shard), 0);
        let tracked = &mut access.state_mut(shard).tracked;
        let keys: Vec<_> = tracked.readers.keys().take(count).cloned().collect();
        for key in &keys {
            tracked.changed(&self.tracking, key);
        }
        access.take_invalidations(told);
        keys.len()
    }
}
