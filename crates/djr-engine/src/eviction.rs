//! Evicting keys where memory is short: what the keyspace removes is logged, told and counted here.

use djr_storage::keyspace::{
    ClassId, Classes, Eviction, EvictionTask, Invalidation, UnixMillis, VictimPool,
};

use crate::notify::Notify;
use crate::{EffectLog, Engine, Executor};

/// What a worker has seen lately of what may be evicted, by memory class.
#[derive(Debug, Default)]
pub struct Evictor {
    pools: Vec<VictimPool>,
}

impl Engine {
    /// Evicts one key of a class, by its policy. Its `DEL` is logged as a batch of its own; its event is left in the executor's events,
    /// and what clients must be told in `invalidations`: the caller delivers both.
    pub fn evict(
        &self,
        executor: &mut Executor,
        classes: &Classes,
        class: ClassId,
        now: UnixMillis,
        log: &mut dyn EffectLog,
        invalidations: &mut Vec<Invalidation>,
    ) -> Eviction {
        let task = EvictionTask {
            classes,
            class,
            samples: usize::try_from(self.settings.maxmemory_samples.get()).unwrap_or(usize::MAX),
            now,
        };
        let Executor {
            evictor,
            rng,
            events,
            lookups,
            ..
        } = executor;
        if evictor.pools.len() <= class {
            evictor.pools.resize_with(class + 1, VictimPool::default);
        }
        let wants = self.settings.notify().wants(Notify::EVICTED);
        let is_tracked = self.keyspace.tracking().is_on();
        let mut encoded = Vec::new();
        let eviction = self.keyspace.evict(
            &task,
            &mut evictor.pools[class],
            &mut || rng.next(),
            &mut |db, key| {
                encoded.clear();
                djr_protocol::encode_command(&mut encoded, &[b"DEL", key]);
                log.append(db, &[&encoded]);
                if wants {
                    events.push(db, Notify::EVICTED, "evicted", key);
                }
            },
            &mut |access| {
                if is_tracked {
                    access.take_invalidations(&mut |invalidation| invalidations.push(invalidation));
                }
            },
        );
        if matches!(eviction, Eviction::Done(_)) {
            lookups.evicted.add(1);
        }
        eviction
    }
}
