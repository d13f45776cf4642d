//! Who waits for a key, first come first served, and which awaited keys have changed since.
//!
//! A wait has one ticket, drawn when it begins, and a registration with each of its keys. The keyspace knows nothing else of it:
//! who waits, and for what, is the engine's.
//!
//! A key that somebody waits for becomes *ready* with any change, under its shard's lock, and stays so until
//! [`DbMut::end_ready`](super::DbMut::end_ready). Whoever made it ready serves its waiters; who opens the shard before that
//! has happened does it instead, so that nobody sees what a waiter is to get.

use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// One wait, as the keyspace keeps it.
pub type WaiterRef = Arc<dyn Any + Send + Sync>;

/// A wait's place among all: who has the lower one came first. Never used twice.
pub type Ticket = u64;

/// A registration of a wait with a key.
#[derive(Clone)]
pub struct Registration {
    /// Who waits.
    pub waiter: WaiterRef,
    /// Whether its removal ends the wait too, as a consumer group's does for who reads from it.
    pub on_removal: bool,
}

/// A key whose waiters are to be served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadyKey {
    /// Its place among the ready keys: the lowest became ready first.
    pub order: u64,
    /// Differs with each change of the key.
    pub generation: u64,
    /// The db.
    pub db: u32,
    /// The key.
    pub key: Box<[u8]>,
}

/// What is known of all waits without a lock.
#[derive(Default)]
pub struct Waits {
    sequence: AtomicU64,
    ready: AtomicUsize,
    keys: AtomicUsize,
    keys_on_removal: AtomicUsize,
}

impl Waits {
    /// A ticket for a new wait. To be drawn while its keys' shards are open.
    pub fn ticket(&self) -> Ticket {
        self.next()
    }

    /// Whether some key is ready. What this thread has made ready itself it sees.
    #[inline]
    pub fn has_ready(&self) -> bool {
        self.ready.load(Relaxed) != 0
    }

    /// The number of keys that somebody waits for.
    pub fn keys(&self) -> usize {
        self.keys.load(Relaxed)
    }

    /// The number of keys whose removal somebody waits for, too.
    pub fn keys_on_removal(&self) -> usize {
        self.keys_on_removal.load(Relaxed)
    }

    fn next(&self) -> u64 {
        self.sequence.fetch_add(1, Relaxed) + 1
    }
}

/// The awaited keys of one shard, by db.
#[derive(Default)]
pub(super) struct Waiters {
    dbs: HashMap<u32, HashMap<Box<[u8]>, Queue>>,
    /// The ready ones among them, in the order in which they became so.
    ready: BTreeMap<u64, (u32, Box<[u8]>)>,
}

/// Who waits for one key.
#[derive(Default)]
struct Queue {
    registrations: BTreeMap<Ticket, Registration>,
    on_removal: usize,
    ready: Option<Ready>,
}

struct Ready {
    order: u64,
    generation: u64,
}

impl Waiters {
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.dbs.is_empty()
    }

    pub(super) fn add(
        &mut self,
        waits: &Waits,
        db: u32,
        key: &[u8],
        ticket: Ticket,
        registration: Registration,
    ) {
        let queues = self.dbs.entry(db).or_default();
        let queue = queues.entry(key.into()).or_default();
        if queue.registrations.is_empty() {
            waits.keys.fetch_add(1, Relaxed);
        }
        let on_removal = registration.on_removal;
        let is_new = queue.registrations.insert(ticket, registration).is_none();
        if is_new && on_removal {
            queue.on_removal += 1;
            if queue.on_removal == 1 {
                waits.keys_on_removal.fetch_add(1, Relaxed);
            }
        }
    }

    /// Returns whether it was there.
    pub(super) fn remove(&mut self, waits: &Waits, db: u32, key: &[u8], ticket: Ticket) -> bool {
        let Some(queues) = self.dbs.get_mut(&db) else {
            return false;
        };
        let Some(queue) = queues.get_mut(key) else {
            return false;
        };
        let Some(registration) = queue.registrations.remove(&ticket) else {
            return false;
        };
        if registration.on_removal {
            queue.on_removal -= 1;
            if queue.on_removal == 0 {
                waits.keys_on_removal.fetch_sub(1, Relaxed);
            }
        }
        if queue.registrations.is_empty() {
            waits.keys.fetch_sub(1, Relaxed);
            if let Some(ready) = &queue.ready {
                self.ready.remove(&ready.order);
                waits.ready.fetch_sub(1, Relaxed);
            }
            queues.remove(key);
            if queues.is_empty() {
                self.dbs.remove(&db);
            }
        }
        true
    }

    /// Makes a key ready if somebody waits for it.
    #[cold]
    pub(super) fn mark(&mut self, waits: &Waits, db: u32, key: &[u8]) {
        if let Some(queue) = self.dbs.get_mut(&db).and_then(|queues| queues.get_mut(key)) {
            queue.mark(waits, &mut self.ready, db, key);
        }
    }

    /// Makes every awaited key of a db ready.
    pub(super) fn mark_all(&mut self, waits: &Waits, db: u32) {
        let Some(queues) = self.dbs.get_mut(&db) else {
            return;
        };
        for (key, queue) in queues {
            queue.mark(waits, &mut self.ready, db, key);
        }
    }

    pub(super) fn first_ready(&self) -> Option<ReadyKey> {
        let (order, (db, key)) = self.ready.first_key_value()?;
        Some(ReadyKey {
            order: *order,
            generation: self.generation(*db, key)?,
            db: *db,
            key: key.clone(),
        })
    }

    /// The generation of a ready key; `None`: it is not ready.
    pub(super) fn generation(&self, db: u32, key: &[u8]) -> Option<u64> {
        let ready = self.dbs.get(&db)?.get(key)?.ready.as_ref()?;
        Some(ready.generation)
    }

    pub(super) fn end_ready(&mut self, waits: &Waits, db: u32, key: &[u8]) {
        let queue = self.dbs.get_mut(&db).and_then(|queues| queues.get_mut(key));
        if let Some(ready) = queue.and_then(|queue| queue.ready.take()) {
            self.ready.remove(&ready.order);
            waits.ready.fetch_sub(1, Relaxed);
        }
    }

    /// Who waits for a key, in order of arrival, from behind a ticket on.
    pub(super) fn behind(
        &self,
        db: u32,
        key: &[u8],
        ticket: Ticket,
    ) -> impl Iterator<Item = (Ticket, &Registration)> {
        let queue = self.dbs.get(&db).and_then(|queues| queues.get(key));
        queue.into_iter().flat_map(move |queue| {
            let behind = queue.registrations.range(ticket.saturating_add(1)..);
            behind.map(|(ticket, registration)| (*ticket, registration))
        })
    }
}

impl Queue {
    fn mark(
        &mut self,
        waits: &Waits,
        all_ready: &mut BTreeMap<u64, (u32, Box<[u8]>)>,
        db: u32,
        key: &[u8],
    ) {
        let generation = waits.next();
        match &mut self.ready {
            Some(ready) => ready.generation = generation,
            None => {
                let order = generation;
                self.ready = Some(Ready { order, generation });
                all_ready.insert(order, (db, key.into()));
                waits.ready.fetch_add(1, Relaxed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        /// A wait for several keys.
        Add {
            keys: Vec<u8>,
            on_removal: bool,
        },
        /// The end of one of the waits so far.
        Remove(prop::sample::Index),
        Mark(u8),
        MarkAll,
        EndReady(u8),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let key = 0..4_u8;
        let step = prop_oneof![
            3 => (prop::collection::vec(key.clone(), 1..4), any::<bool>())
                .prop_map(|(keys, on_removal)| Step::Add { keys, on_removal }),
            2 => any::<prop::sample::Index>().prop_map(Step::Remove),
            3 => key.clone().prop_map(Step::Mark),
            1 => Just(Step::MarkAll),
            2 => key.prop_map(Step::EndReady),
        ];
        prop::collection::vec(step, 0..60)
    }

    /// The same, written down as a list.
    #[derive(Default)]
    struct Model {
        waits: Vec<(Ticket, Vec<u8>, bool)>,
        /// In order; with the generation.
        ready: Vec<(u8, u64)>,
    }

    impl Model {
        fn waiters(&self, key: u8) -> Vec<Ticket> {
            let waits = self.waits.iter().filter(|(_, keys, _)| keys.contains(&key));
            waits.map(|(ticket, ..)| *ticket).collect()
        }

        fn mark(&mut self, key: u8, generation: u64) {
            if self.waiters(key).is_empty() {
                return;
            }
            match self.ready.iter_mut().find(|(other, _)| *other == key) {
                Some((_, known)) => *known = generation,
                None => self.ready.push((key, generation)),
            }
        }
    }

    proptest! {
        #[test]
        fn queues_are_what_a_list_would_be(steps in steps()) {
            let (waits, mut waiters, mut model) = (Waits::default(), Waiters::default(), Model::default());
            let db = 7;
            for step in steps {
                match step {
                    Step::Add { keys, on_removal } => {
                        let ticket = waits.ticket();
                        for key in &keys {
                            let registration = Registration { waiter: Arc::new(()), on_removal };
                            waiters.add(&waits, db, &[*key], ticket, registration);
                        }
                        model.waits.push((ticket, keys, on_removal));
                    }
                    Step::Remove(index) if !model.waits.is_empty() => {
                        let (ticket, keys, _) = model.waits.remove(index.index(model.waits.len()));
                        for (at, key) in keys.iter().enumerate() {
                            let first = !keys[..at].contains(key);
                            prop_assert_eq!(waiters.remove(&waits, db, &[*key], ticket), first);
                        }
                        let awaited: Vec<u8> =
                            (0..4).filter(|key| !model.waiters(*key).is_empty()).collect();
                        model.ready.retain(|(key, _)| awaited.contains(key));
                    }
                    Step::Remove(_) => {}
                    Step::Mark(key) => {
                        waiters.mark(&waits, db, &[key]);
                        waiters.mark(&waits, db + 1, &[key]);
                        model.mark(key, waiters.generation(db, &[key]).unwrap_or(0));
                    }
                    Step::MarkAll => {
                        // In any order: taken over from what came of it.
                        let known = model.ready.len();
                        waiters.mark_all(&waits, db);
                        for key in 0..4 {
                            model.mark(key, waiters.generation(db, &[key]).unwrap_or(0));
                        }
                        model.ready[known..].sort_by_key(|(_, generation)| *generation);
                    }
                    Step::EndReady(key) => {
                        waiters.end_ready(&waits, db, &[key]);
                        model.ready.retain(|(other, _)| *other != key);
                    }
                }
                for key in 0..4 {
                    let queue: Vec<_> = waiters.behind(db, &[key], 0).map(|(ticket, _)| ticket).collect();
                    prop_assert_eq!(&queue, &model.waiters(key));
                    if let Some(first) = queue.first() {
                        prop_assert_eq!(waiters.behind(db, &[key], *first).count(), queue.len() - 1);
                    }
                }
                let first = waiters.first_ready().map(|ready| (ready.key[0], ready.generation));
                prop_assert_eq!(first, model.ready.first().copied());
                prop_assert_eq!(waits.has_ready(), !model.ready.is_empty());
                let awaited = |wanted: &dyn Fn(bool) -> bool| (0..4_u8).filter(|key| {
                    model.waits.iter().any(|(_, keys, on_removal)| wanted(*on_removal) && keys.contains(key))
                }).count();
                prop_assert_eq!(waits.keys(), awaited(&|_| true));
                prop_assert_eq!(waits.keys_on_removal(), awaited(&|on_removal| on_removal));
                prop_assert_eq!(waiters.is_empty(), model.waits.is_empty());
            }
        }
    }
}
