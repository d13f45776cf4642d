//! What clients take, and what is done when all of them take too much (`maxmemory-clients`): the largest one is closed.
//!
//! A client is weighed where it can have grown: when a part of a request is kept, replies do not go out, or its session is more than plain
//! (MULTI, WATCH, subscriptions, tracking); and all are weighed by turns, so that what shrinks is noticed, too. The sum is always that
//! of what is known of each. A plain client whose replies go out at once is never looked at between its requests.

use std::cmp::Reverse;
use std::sync::atomic::Ordering::Relaxed;

use super::{Connection, Core};
use crate::clients::ClientInfo;

/// Connections that are looked at in one tick.
const PER_TICK: usize = 1024;

/// What is known of the clients' weights.
#[derive(Default)]
pub(crate) struct Weigher {
    /// How far a round over the connections has come.
    at: usize,
    /// All of this worker's clients together.
    total: usize,
    /// Those that are to be weighed at the end of the turn.
    grown: Vec<usize>,
    /// There was nobody to be closed: that is not looked at again in this tick.
    is_stuck: bool,
}

impl Connection {
    /// Bytes of memory that it takes: its own, what has come in and is to go out, and what its session holds.
    fn weigh(&self) -> usize {
        let info = &self.session.info;
        let queued = self
            .session
            .multi
            .as_ref()
            .map_or(0, |multi| multi.queue.bytes());
        info.multi_bytes.store(queued, Relaxed);
        let ahead = self.input_len() - self.input.len();
        let input_capacity = self.input.capacity() + ahead;
        info.input_capacity.store(input_capacity, Relaxed);
        info.output_capacity.store(self.out_capacity(), Relaxed);
        size_of::<Self>()
            + size_of::<ClientInfo>()
            + self.stream.memory_bytes()
            + input_capacity
            + self.out_capacity()
            + self.undelivered_bytes()
            + queued
            + self.session.memory_bytes()
    }
}

impl Core {
    /// Has a client weighed at the end of the turn: it may have grown.
    #[cold]
    pub(super) fn weigh_later(&mut self, id: usize) {
        if self.weigher.grown.last() != Some(&id) {
            self.weigher.grown.push(id);
        }
    }

    /// Weighs a client, and counts what has changed.
    fn weigh(&mut self, id: usize) {
        if let Some(connection) = self.connections.get_mut(id).and_then(Option::as_mut) {
            let bytes = connection.weigh();
            let before = connection.session.info.memory.swap(bytes, Relaxed);
            self.weigher.total = (self.weigher.total + bytes).saturating_sub(before);
        }
    }

    /// A client has gone.
    pub(super) fn forget_weight(&mut self, info: &ClientInfo) {
        let bytes = info.memory.swap(0, Relaxed);
        self.weigher.total = self.weigher.total.saturating_sub(bytes);
    }

    /// At the end of a turn: weighs those that may have grown, and closes clients if all of them take too much.
    pub(super) fn weigh_grown(&mut self) {
        if self.weigher.grown.is_empty() {
            return;
        }
        let mut grown = std::mem::take(&mut self.weigher.grown);
        grown.drain(..).for_each(|id| self.weigh(id));
        self.weigher.grown = grown;
        self.evict_clients();
    }

    /// Goes on weighing all of this worker's clients.
    pub(super) fn weigh_some(&mut self) {
        let from = self.weigher.at;
        let to = (from + PER_TICK).min(self.connections.len());
        (from..to).for_each(|id| self.weigh(id));
        self.weigher.at = if to == self.connections.len() { 0 } else { to };
        self.weigher.is_stuck = false;
        self.evict_clients();
    }

    /// Another worker has seen that clients take too much.
    pub(super) fn evict_clients_again(&mut self) {
        self.weigher.is_stuck = false;
        self.evict_clients();
    }

    /// `maxmemory-clients`: closes the largest clients until all of them are within the limit.
    fn evict_clients(&mut self) {
        self.stats.client_bytes.store(self.weigher.total, Relaxed);
        let limit = self.shared.config.maxmemory_clients();
        let is_over = |core: &Self| core.shared.client_memory() as u64 > limit;
        if limit == 0 || self.weigher.is_stuck || !is_over(self) {
            return;
        }
        // Some may have become smaller since.
        (0..self.connections.len()).for_each(|id| self.weigh(id));
        self.stats.client_bytes.store(self.weigher.total, Relaxed);
        while is_over(self) {
            if !self.evict_largest() {
                self.weigher.is_stuck = true;
                return;
            }
        }
    }

    /// Closes the largest client of all workers, if it is this worker's: others close theirs. Whether it did.
    fn evict_largest(&mut self) -> bool {
        let all = self.shared.clients.all();
        let evictable = all.iter().filter(|info| {
            // Replicas and whoever watches the server are not closed, nor who has asked for it.
            info.memory.load(Relaxed) > 0 && !info.no_evict.load(Relaxed)
        });
        let Some(largest) =
            evictable.max_by_key(|info| (info.memory.load(Relaxed), Reverse(info.id)))
        else {
            return false;
        };
        if largest.worker != self.index {
            self.shared.workers[largest.worker]
                .mailbox
                .send(super::Mail::EvictClients);
            return false;
        }
        tracing::info!(
            client = largest.id,
            "Evicting client: {} bytes, and all clients together take more than maxmemory-clients",
            largest.memory.load(Relaxed)
        );
        self.stats.evicted_clients.add(1);
        self.close(largest.slot);
        self.stats.client_bytes.store(self.weigher.total, Relaxed);
        true
    }
}
