//! Finding what to evict: entries are drawn at random, and the best of all that were seen lately is taken.
//!
//! The table is sorted by hash, so the bucket at a random hash is a fair sample of some seven entries, for one look at the table. What is
//! seen goes into a [`VictimPool`], which keeps the best ones from call to call; before one of them is removed it is looked at again.

use std::time::Duration;

use super::access::Access;
use super::block::Block;
use super::classes::{ClassId, Classes, EvictionOrder, EvictionPolicy};
use super::hash::{Footprint, KeyHash, UnixMillis};
use super::keyspace::Keyspace;

/// How many candidates a pool keeps.
const POOL_SIZE: usize = 32;
/// Buckets looked at, at most, for one draw.
const BUCKETS_MAX: usize = 16;
/// Buckets looked at in one step of a search, where draws find nothing.
const SEARCH_BUCKETS: usize = 64;
/// How many draws must fail before everything is searched.
const DRAWS: usize = 4;
/// How often the sizes of the dbs are looked at, in draws.
const WEIGH_EVERY: u32 = 64;

/// The best candidates of one class that were seen lately. Each worker has its own.
#[derive(Debug, Default)]
pub struct VictimPool {
    /// The best one last.
    candidates: Vec<Candidate>,
    /// Dbs with entries to evict, and how many there are.
    weights: Vec<(u32, u64)>,
    weighed_for: u32,
    /// Where a search goes on: db, shard, cursor.
    search: Option<(u32, u32, u64)>,
    policy: EvictionPolicy,
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    score: u64,
    db: u32,
    hash: KeyHash,
}

/// What a call of [`Keyspace::evict`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Eviction {
    /// One key was evicted, of so many bytes.
    Done(usize),
    /// There may be something: call again.
    Searching,
    /// There is nothing to evict.
    Nothing,
}

/// What to evict.
#[derive(Clone, Copy, Debug)]
pub struct EvictionTask<'a> {
    /// The memory classes.
    pub classes: &'a Classes,
    /// The class whose keys are evicted, by its policy.
    pub class: ClassId,
    /// Entries to look at, at least (`maxmemory-samples`).
    pub samples: usize,
    /// The time.
    pub now: UnixMillis,
}

impl VictimPool {
    /// Whether a candidate of this score would be kept.
    fn wants(&self, score: u64) -> bool {
        self.candidates.len() < POOL_SIZE
            || self
                .candidates
                .first()
                .is_some_and(|worst| worst.score < score)
    }

    fn add(&mut self, candidate: Candidate) {
        let is_same = |other: &Candidate| other.hash == candidate.hash && other.db == candidate.db;
        self.candidates.retain(|other| !is_same(other));
        let place = self
            .candidates
            .partition_point(|other| other.score <= candidate.score);
        self.candidates.insert(place, candidate);
        if self.candidates.len() > POOL_SIZE {
            self.candidates.remove(0);
        }
    }

    /// A db to draw from, each as likely as it has entries to evict; `None` if there are none.
    fn draw_db(
        &mut self,
        keyspace: &Keyspace,
        task: &EvictionTask<'_>,
        random: u64,
    ) -> Option<u32> {
        if self.weighed_for == 0 || self.weights.is_empty() {
            self.weigh(keyspace, task);
        }
        self.weighed_for -= 1;
        let total: u64 = self.weights.iter().map(|(_, weight)| weight).sum();
        let mut nth = ((u128::from(random) * u128::from(total)) >> 64) as u64;
        let mut dbs = self.weights.iter();
        let found = dbs.find(|(_, weight)| {
            let found = nth < *weight;
            nth = nth.saturating_sub(*weight);
            found
        });
        found.map(|(db, _)| *db)
    }

    #[cold]
    fn weigh(&mut self, keyspace: &Keyspace, task: &EvictionTask<'_>) {
        let weight = |db| match self.policy.volatile_only {
            true => keyspace.expires_len(db) as u64,
            false => keyspace.len(db) as u64,
        };
        let reached = |db: &u32| task.classes.reaches(task.class, *db);
        let weights = (0..keyspace.dbs())
            .filter(reached)
            .map(|db| (db, weight(db)));
        self.weights = weights.filter(|(_, weight)| *weight > 0).collect();
        self.weighed_for = WEIGH_EVERY;
    }
}

impl Keyspace {
    /// Evicts one key of a class, the best that can be found with few looks. Opens one shard at a time, only such as are free.
    /// `on_evicted` (db, key) is told under the shard's lock, before the key is removed, so that its `DEL` gets into the log before any
    /// later change; then `done` may ask the same access for what others must be told.
    pub fn evict(
        &self,
        task: &EvictionTask<'_>,
        pool: &mut VictimPool,
        random: &mut dyn FnMut() -> u64,
        on_evicted: &mut dyn FnMut(u32, &[u8]),
        done: &mut dyn FnMut(&mut Access<'_>),
    ) -> Eviction {
        let policy = task.classes.policy(task.class);
        let Some(order) = policy.order else {
            return Eviction::Nothing;
        };
        if pool.policy != policy {
            *pool = VictimPool {
                policy,
                ..VictimPool::default()
            };
        }
        if order == EvictionOrder::Random {
            pool.candidates.clear();
        }
        for _ in 0..DRAWS {
            let Some(db) = pool.draw_db(self, task, random()) else {
                // What was weighed long ago may be out of date.
                pool.weigh(self, task);
                if pool.weights.is_empty() {
                    return Eviction::Nothing;
                }
                continue;
            };
            self.draw(task, db, order, pool, random());
            while let Some(candidate) = pool.candidates.pop() {
                if let Some(bytes) = self.evict_candidate(task, order, candidate, on_evicted, done)
                {
                    return Eviction::Done(bytes);
                }
            }
        }
        self.search(task, order, pool)
    }

    /// Looks at entries at a random place of a db.
    fn draw(
        &self,
        task: &EvictionTask<'_>,
        db: u32,
        order: EvictionOrder,
        pool: &mut VictimPool,
        random: u64,
    ) {
        let first = (random >> 32) as u32 & (self.shards() - 1);
        let shards = (first..self.shards()).chain(0..first);
        // The next one where one is in use, or empty.
        for shard in shards.take(8) {
            let Some(access) = self.try_open(Footprint::of(shard), task.now, Duration::ZERO) else {
                continue;
            };
            let (mut cursor, mut seen) = (random & u64::from(u32::MAX), 0);
            for _ in 0..BUCKETS_MAX {
                let visited = self.visit(task, (db, shard), order, pool, &access, &mut cursor);
                seen += visited;
                if seen >= task.samples {
                    return;
                }
            }
            if seen > 0 {
                return;
            }
        }
    }

    /// Looks at the entries of one bucket. Returns how many of them may be evicted.
    fn visit(
        &self,
        task: &EvictionTask<'_>,
        (db, shard): (u32, u32),
        order: EvictionOrder,
        pool: &mut VictimPool,
        access: &Access<'_>,
        cursor: &mut u64,
    ) -> usize {
        let (mut seen, mut nth) = (0, 0_u64);
        let place = self.place(db);
        *cursor = access.state(shard).scan(self, place, *cursor, |block| {
            if !is_eligible(task, pool.policy, db, block) {
                return;
            }
            seen += 1;
            // Any order among those of a bucket will do: it is drawn at random itself.
            nth = nth.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1);
            let score = match order {
                EvictionOrder::Random => nth,
                _ => self.score(order, block, task.now),
            };
            if pool.wants(score) {
                let hash = KeyHash(self.rehash(block));
                pool.add(Candidate { score, db, hash });
            }
        });
        seen
    }

    /// How good it would be to evict an entry: the more the better.
    fn score(&self, order: EvictionOrder, block: Block<'_>, now: UnixMillis) -> u64 {
        let clock = self.clock();
        match order {
            EvictionOrder::Lru => clock.idle_seconds(block.clock(), now).into(),
            EvictionOrder::Lfu => {
                // Of those that are used as seldom, the one that has not been used for longer.
                let seldom = 255 - clock.frequency(block.clock(), now);
                u64::from(seldom) << 16 | u64::from(clock.idle_minutes(block.clock(), now))
            }
            EvictionOrder::Ttl => {
                u64::MAX - block.expire_at().map_or(u64::MAX, |at| at.max(0) as u64)
            }
            EvictionOrder::Random => 0,
        }
    }

    /// Removes a candidate, if it is still there and as good as it was.
    fn evict_candidate(
        &self,
        task: &EvictionTask<'_>,
        order: EvictionOrder,
        candidate: Candidate,
        on_evicted: &mut dyn FnMut(u32, &[u8]),
        done: &mut dyn FnMut(&mut Access<'_>),
    ) -> Option<usize> {
        let Candidate { score, db, hash } = candidate;
        let mut access = self.try_open_key(hash, task.now)?;
        let (place, policy) = (self.place(db), task.classes.policy(task.class));
        let shard = self.shard_of(hash);
        let mut view = access.db_mut(db);
        let mut part = view.part_at(shard);
        let slot = part.state.find_hash(self, place, hash)?;
        let block = part.block(slot);
        let is_as_good = match order {
            EvictionOrder::Random => true,
            EvictionOrder::Lfu => self.score(order, block, task.now) >> 16 >= score >> 16,
            _ => self.score(order, block, task.now) >= score,
        };
        if !is_as_good || !is_eligible(task, policy, db, block) {
            return None;
        }
        let bytes = block.memory();
        on_evicted(db, block.key());
        part.remove(slot);
        done(&mut access);
        Some(bytes)
    }

    /// Goes on looking at everything, one bucket after the other, until something is found.
    #[cold]
    fn search(
        &self,
        task: &EvictionTask<'_>,
        order: EvictionOrder,
        pool: &mut VictimPool,
    ) -> Eviction {
        let Some(first) = pool.weights.first().map(|(db, _)| *db) else {
            return Eviction::Nothing;
        };
        let (db, shard, mut cursor) = pool.search.take().unwrap_or((first, 0, 0));
        if let Some(access) = self.try_open(Footprint::of(shard), task.now, Duration::ZERO) {
            for _ in 0..SEARCH_BUCKETS {
                let seen = self.visit(task, (db, shard), order, pool, &access, &mut cursor);
                if seen > 0 || cursor == 0 {
                    break;
                }
            }
        }
        if cursor != 0 {
            pool.search = Some((db, shard, cursor));
            return Eviction::Searching;
        }
        if shard + 1 < self.shards() {
            pool.search = Some((db, shard + 1, 0));
            return Eviction::Searching;
        }
        let next = pool.weights.iter().find(|(other, _)| *other > db);
        match next {
            Some((next, _)) => {
                pool.search = Some((*next, 0, 0));
                Eviction::Searching
            }
            None if pool.candidates.is_empty() => Eviction::Nothing,
            None => Eviction::Searching,
        }
    }
}

/// Whether the policy of a class lets an entry be evicted.
fn is_eligible(task: &EvictionTask<'_>, policy: EvictionPolicy, db: u32, block: Block<'_>) -> bool {
    (!policy.volatile_only || block.expire_at().is_some())
        && (!task.classes.is_mixed() || task.classes.class_of(db, block.key()) == task.class)
}
