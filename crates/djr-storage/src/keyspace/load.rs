//! Filling the keyspace from a file: keys that are not there yet, many at once.

use super::block::NewValue;
use super::db::StringForm;
use super::db_mut::DbMut;
use super::hash::{Footprint, Key, UnixMillis};
use super::keyspace::Keyspace;
use crate::value::Value;

/// What a file says of an entry beside key and value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoadedFacts {
    /// The deadline, if there is one.
    pub expire_at: Option<UnixMillis>,
    /// Seconds since the last access.
    pub idle_seconds: Option<u64>,
    /// The access counter.
    pub frequency: Option<u8>,
}

impl Keyspace {
    /// Makes room for so many more keys of a db, so that its tables do not grow step by step while it is filled. Opens shard by shard.
    pub fn reserve(&self, db: u32, keys: usize) {
        // Shards are not filled evenly: some have a little more.
        let even = keys / self.shards() as usize;
        let keys = even + 3 * even.isqrt();
        for shard in 0..self.shards() {
            let mut access = self.open(Footprint::of(shard), 0);
            access.db_mut(db).part_at(shard).reserve(keys);
        }
    }
}

impl Keyspace {
    /// Gives room back that was [reserved](Self::reserve) in vain. Opens shard by shard.
    pub fn fit(&self, db: u32) {
        for shard in 0..self.shards() {
            let mut access = self.open(Footprint::of(shard), 0);
            access.db_mut(db).part_at(shard).fit();
        }
    }
}

impl DbMut<'_> {
    /// Adds a key with a string, as `SET` keeps it. If the key is there already, nothing is changed, and the answer is `false`.
    pub fn load_string(&mut self, key: Key<'_>, bytes: &[u8], facts: &LoadedFacts) -> bool {
        let is_new = self.part(key.hash).find(key).is_none();
        if is_new {
            self.load(key, StringForm::Auto.of(bytes), facts);
        }
        is_new
    }

    /// Adds a key with a value that has something in it. If the key is there already, nothing is changed, and the answer is `false`.
    pub fn load_value(&mut self, key: Key<'_>, value: Value, facts: &LoadedFacts) -> bool {
        let is_new = self.part(key.hash).find(key).is_none();
        if is_new {
            NewValue::with(value, |value| self.load(key, value, facts));
        }
        is_new
    }

    fn load(&mut self, key: Key<'_>, value: NewValue<'_>, facts: &LoadedFacts) {
        let clocks = self.clocks();
        let mut part = self.part(key.hash);
        let now = part.now;
        let known = if part.state.is_lfu(clocks, part.db, key.bytes) {
            let counter = facts.frequency;
            counter.map(|counter| clocks.with_frequency(counter, now))
        } else {
            facts.idle_seconds.map(|idle| clocks.idle_for(idle, now))
        };
        let fresh = || part.state.fresh(clocks, part.db, key.bytes, now);
        let clock = known.unwrap_or_else(fresh);
        part.insert(key, clock, facts.expire_at, value);
    }
}
