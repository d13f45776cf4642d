//! How invalidations find their connections.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;
use djr_storage::keyspace::Invalidation;

use super::{Invalidated, Mode, Tracked, Tracker, array};
use crate::config::Number;
use crate::pubsub::Message;
use crate::session::Session;
use crate::worker::Core;

const TABLE_KEYS_MAX: Number = Number::of("tracking-table-max-keys");
/// Keys forgotten in one go, where more are remembered than may be.
const FORGOTTEN_AT_ONCE: usize = 100;

/// What this turn has changed, for the clients that want to know all: each key, and the client that changed it last.
#[derive(Default)]
pub(crate) struct Broadcast {
    keys: BTreeMap<Box<[u8]>, Option<u64>>,
    /// The shard that is to forget the next key, where too many are remembered.
    next_shard: u32,
}

impl Core {
    /// Something has changed, by the hand of a client or by itself.
    pub(crate) fn invalidate(&mut self, invalidation: Invalidation, by: Option<u64>) {
        let shared = self.shared.clone();
        let (key, readers) = match invalidation {
            Invalidation::Key { key, readers } => (key, readers),
            Invalidation::All => {
                for tracker in shared.trackers.all() {
                    // As Redis: a null of the version that the client speaks, whoever gets it.
                    let info = shared.clients.get(tracker.client);
                    let is_resp3 = info.is_some_and(|info| info.resp3.load(Relaxed));
                    let null: &[u8] = if is_resp3 { b"_\r\n" } else { b"$-1\r\n" };
                    self.tell(&tracker, Bytes::from_static(null));
                }
                return;
            }
        };
        if !readers.is_empty() {
            let keys = array([&*key].into_iter());
            for reader in readers {
                if let Some(tracker) = shared.trackers.get(reader)
                    && tracker.prefixes().is_none()
                    && !(tracker.noloop && by == Some(reader))
                {
                    self.tell(&tracker, keys.clone());
                }
            }
        }
        if shared.trackers.prefixes() > 0 {
            self.broadcast.keys.insert(key, by);
        }
    }

    /// Tells those who want to know of all changes what this turn has changed.
    pub(crate) fn flush_broadcast(&mut self) {
        if self.broadcast.keys.is_empty() {
            return;
        }
        let changed = std::mem::take(&mut self.broadcast.keys);
        let mut messages: Vec<(Arc<Tracker>, Bytes)> = Vec::new();
        self.shared.trackers.each_prefix(|prefix, trackers| {
            let keys: Vec<(&[u8], Option<u64>)> = changed
                .range::<[u8], _>((Bound::Included(prefix.as_ref()), Bound::Unbounded))
                .take_while(|(key, _)| key.starts_with(prefix))
                .map(|(key, by)| (&**key, *by))
                .collect();
            if keys.is_empty() {
                return;
            }
            let all = array(keys.iter().map(|(key, _)| *key));
            for tracker in trackers {
                let is_own = |by: &Option<u64>| tracker.noloop && *by == Some(tracker.client);
                if !keys.iter().any(|(_, by)| is_own(by)) {
                    messages.push((tracker.clone(), all.clone()));
                    continue;
                }
                let others: Vec<_> = keys.iter().filter(|(_, by)| !is_own(by)).collect();
                if !others.is_empty() {
                    let keys = array(others.into_iter().map(|(key, _)| *key));
                    messages.push((tracker.clone(), keys));
                }
            }
        });
        for (tracker, keys) in messages {
            self.tell(&tracker, keys);
        }
    }

    /// Tells a client, or the one that it has named for that.
    fn tell(&mut self, tracker: &Tracker, keys: Bytes) {
        if tracker.redirect == 0 {
            let told = Invalidated::Keys {
                keys,
                redirected: false,
            };
            return self.send(tracker.worker, tracker.slot, tracker.client, told);
        }
        match self.shared.clients.get(tracker.redirect) {
            Some(info) => {
                let told = Invalidated::Keys {
                    keys,
                    redirected: true,
                };
                self.send(info.worker, info.slot, info.id, told);
            }
            None => {
                tracker.is_broken.store(true, Relaxed);
                let told = Invalidated::RedirectBroken(tracker.redirect);
                self.send(tracker.worker, tracker.slot, tracker.client, told);
            }
        }
    }

    fn send(&mut self, worker: usize, slot: usize, client: u64, told: Invalidated) {
        if worker == self.index {
            self.outlet().0.tell(slot, client, &told);
        } else {
            self.post(worker, Message::Invalidated { slot, client, told });
        }
    }

    /// Begins to track for a session, or goes on in another way.
    pub(crate) fn track(&mut self, session: &mut Session, redirect: u64, mode: Mode, noloop: bool) {
        let info = &session.info;
        let tracker = Arc::new(Tracker {
            client: info.id,
            worker: info.worker,
            slot: info.slot,
            redirect,
            mode,
            noloop,
            is_broken: Default::default(),
        });
        let tracking = self.shared.engine.keyspace.tracking();
        let switch = |on, wants_all| tracking.switch(on, wants_all);
        self.shared.trackers.set(tracker.clone(), switch);
        *info.tracker.lock() = Some(tracker.clone());
        let caching = session
            .tracked
            .as_ref()
            .is_some_and(|tracked| tracked.caching);
        session.tracked = Some(Box::new(Tracked { tracker, caching }));
    }

    /// Ends what [`track`](Self::track) began.
    pub(crate) fn untrack(&mut self, session: &mut Session) {
        if session.tracked.take().is_some() {
            *session.info.tracker.lock() = None;
            let tracking = self.shared.engine.keyspace.tracking();
            let switch = |on, wants_all| tracking.switch(on, wants_all);
            self.shared.trackers.remove(session.info.id, switch);
        }
    }

    /// Tells of keys that the active expiry has removed: each worker of those of its shards.
    pub(crate) fn tell_expired(&mut self) {
        let shared = self.shared.clone();
        let keyspace = &shared.engine.keyspace;
        if keyspace.tracking().is_on() {
            for shard in (self.index as u32..keyspace.shards()).step_by(shared.workers.len()) {
                keyspace.take_invalidations(shard, &mut |told| self.invalidate(told, None));
            }
        }
    }

    /// `tracking-table-max-keys`: forgets some of the keys that clients have read, if they are too many, and all of them if
    /// there is nobody left to be told.
    pub(crate) fn limit_tracking(&mut self) {
        let shared = self.shared.clone();
        let keyspace = &shared.engine.keyspace;
        let keys = keyspace.tracking().keys();
        let max = match shared.config.number(TABLE_KEYS_MAX) as usize {
            _ if keys == 0 => return,
            _ if !keyspace.tracking().is_on() => 0,
            0 => return,
            max => max,
        };
        // A key of each shard in turn, so that all are about as likely to be forgotten.
        let mut left = keys.saturating_sub(max).min(FORGOTTEN_AT_ONCE);
        for _ in 0..keyspace.shards() {
            if left == 0 {
                return;
            }
            let shard = self.broadcast.next_shard % keyspace.shards();
            self.broadcast.next_shard = shard + 1;
            let share = left.div_ceil(keyspace.shards() as usize);
            left -= keyspace.forget_tracked(shard, share, &mut |told| self.invalidate(told, None));
        }
    }
}
