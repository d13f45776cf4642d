//! WATCH: who is to be told when a key changes.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// One transaction's mark: set when a key that it watches changes. Clones are the same mark.
#[derive(Clone, Debug, Default)]
pub struct WatchFlag(Arc<AtomicBool>);

impl WatchFlag {
    /// A mark that is not set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether a watched key has changed.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// Marks the transaction as failed.
    pub fn set(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Takes the mark back, after every key has been unwatched.
    pub fn clear(&self) {
        self.0.store(false, Ordering::Release);
    }

    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// The watched keys of one shard.
#[derive(Default)]
pub(super) struct Watchers {
    keys: HashMap<(u32, Box<[u8]>), Vec<WatchFlag>>,
}

impl Watchers {
    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Returns whether the flag was not yet there.
    pub(super) fn add(&mut self, db: u32, key: &[u8], flag: &WatchFlag) -> bool {
        let flags = self.keys.entry((db, key.into())).or_default();
        let new = !flags.iter().any(|other| other.is(flag));
        if new {
            flags.push(flag.clone());
        }
        new
    }

    pub(super) fn remove(&mut self, db: u32, key: &[u8], flag: &WatchFlag) {
        let key = (db, Box::from(key));
        if let Some(flags) = self.keys.get_mut(&key) {
            flags.retain(|other| !other.is(flag));
            if flags.is_empty() {
                self.keys.remove(&key);
            }
        }
    }

    /// Marks the watchers of one key.
    #[cold]
    pub(super) fn mark(&self, db: u32, key: &[u8]) {
        if let Some(flags) = self.keys.get(&(db, Box::from(key))) {
            flags.iter().for_each(WatchFlag::set);
        }
    }

    /// Marks the watchers of every key that `affected` says yes to.
    pub(super) fn mark_where(&self, mut affected: impl FnMut(u32, &[u8]) -> bool) {
        for ((db, key), flags) in &self.keys {
            if affected(*db, key) {
                flags.iter().for_each(WatchFlag::set);
            }
        }
    }
}
