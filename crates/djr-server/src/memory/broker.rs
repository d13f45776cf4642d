//! Warns where an eviction policy could reach the keys of a message broker: a task that is evicted is lost without a word.

use std::sync::atomic::Ordering::Relaxed;

use djr_storage::keyspace::Footprint;

use crate::shared::{Gate, Shared};

/// Keys that there are where Celery (kombu) uses a db as its broker.
const BROKER_KEYS: &[&str] = &[
    "_kombu.binding.celery",
    "_kombu.binding.celery.pidbox",
    "_kombu.binding.celeryev",
    "_kombu.binding.default",
    "_kombu.binding.reply.celery.pidbox",
    "unacked",
    "unacked_index",
];

impl Shared {
    /// Looks for the keys of a broker in dbs whose keys may be evicted, and warns, once for each db. Opens a shard at a time.
    pub(crate) fn warn_of_evictable_broker(&self, now: i64) {
        if self.gate.bits() & (Gate::MEMORY | Gate::LOADING) != Gate::MEMORY {
            return;
        }
        let keyspace = &self.engine.keyspace;
        for client in self.clients.all() {
            let waiter = client.waiter.lock().clone();
            let Some(waiter) = waiter else { continue };
            for key in waiter.keys() {
                warn_of_reach(self, waiter.db(), key, false);
            }
        }
        for db in (0..keyspace.dbs()).filter(|db| !keyspace.is_empty(*db)) {
            for name in BROKER_KEYS {
                let key = keyspace.key(name.as_bytes());
                if self.memory.warned.load(Relaxed) & warned_bit(db) == 0
                    && self.is_evictable(db, name.as_bytes())
                {
                    let footprint: Footprint = keyspace.footprint(key.hash);
                    let access = keyspace.try_open(footprint, now, std::time::Duration::ZERO);
                    let entry = access
                        .as_ref()
                        .and_then(|access| access.db(db).peek(key).map(|entry| entry.expire_at()));
                    if let Some(expire_at) = entry {
                        drop(access);
                        warn_of_reach(self, db, name.as_bytes(), expire_at.is_some());
                    }
                }
            }
        }
    }

    /// Whether a key without a deadline could ever be evicted.
    fn is_evictable(&self, db: u32, key: &[u8]) -> bool {
        let classes = self.engine.keyspace.classes();
        let class = classes.class_of(db, key);
        let policy = classes.policy(class);
        let is_limited =
            self.config.maxmemory() > 0 || classes.get(class).is_some_and(|class| class.limit > 0);
        is_limited && policy.order.is_some() && !policy.volatile_only
    }

    /// The dbs (those above 62 as 63) in which an eviction policy was seen to reach a broker's keys.
    pub(crate) fn broker_dbs_at_risk(&self) -> impl Iterator<Item = u32> {
        let warned = self.memory.warned.load(Relaxed);
        (0..u64::BITS).filter(move |db| warned & 1 << db != 0)
    }
}

fn warned_bit(db: u32) -> u64 {
    1 << db.min(63)
}

/// Warns that a key which workers wait for, or which holds their tasks, may be evicted. Once for each db.
fn warn_of_reach(shared: &Shared, db: u32, key: &[u8], has_deadline: bool) {
    let memory = &shared.memory;
    if memory.warned.load(Relaxed) & warned_bit(db) != 0
        || has_deadline
        || !shared.is_evictable(db, key)
    {
        return;
    }
    memory.warned.fetch_or(warned_bit(db), Relaxed);
    let classes = shared.engine.keyspace.classes();
    let policy = classes.policy(classes.class_of(db, key)).name();
    tracing::warn!(
        "db {db} is used as a message broker (key '{}') and its eviction policy is {policy}: under memory pressure tasks may be \
         evicted, and are lost. Give the db a memory class of its own ('memory-class broker db {db} policy noeviction'), or keep cache \
         and broker in different dbs and give the cache's one the limit ('memory-class cache db 1 maxmemory 1gb policy {policy}').",
        key.escape_ascii()
    );
}
