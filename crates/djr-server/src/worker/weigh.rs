//! What clients take, and what is done when all of them take too much (`maxmemory-clients`): the largest one is closed.

use std::cmp::Reverse;
use std::sync::atomic::Ordering::Relaxed;

use super::{Connection, Core};
use crate::clients::ClientInfo;

/// Connections that are looked at in one tick.
const PER_TICK: usize = 1024;

/// How far a round over the connections has come.
#[derive(Default)]
pub(crate) struct Weigher {
    at: usize,
    sum: usize,
    /// Size, slot and id of those that may be closed.
    evictable: Vec<(usize, usize, u64)>,
}

impl Connection {
    /// Bytes of memory that it takes: its own, what has come in and is to go out, and its queued transaction.
    fn memory(&self) -> usize {
        let queued = self.session.multi.as_ref();
        size_of::<Self>()
            + size_of::<ClientInfo>()
            + self.input.capacity()
            + self.out.capacity()
            + queued.map_or(0, |multi| multi.queue.bytes())
    }
}

impl Core {
    /// Goes on weighing this worker's clients; at the end of a round tells the sum, and closes clients if all of them take too much.
    pub(super) fn weigh_clients(&mut self) {
        let limit = self.shared.config.maxmemory_clients();
        for _ in 0..PER_TICK {
            if self.weigher.at >= self.connections.len() {
                return self.end_of_round(limit);
            }
            let slot = self.weigher.at;
            self.weigher.at += 1;
            let Some(connection) = &self.connections[slot] else {
                continue;
            };
            let (info, bytes) = (&connection.session.info, connection.memory());
            info.memory.store(bytes, Relaxed);
            let queued = connection.session.multi.as_ref();
            let queued = queued.map_or(0, |multi| multi.queue.bytes());
            info.multi_bytes.store(queued, Relaxed);
            self.weigher.sum += bytes;
            if limit > 0 && !info.no_evict.load(Relaxed) {
                self.weigher.evictable.push((bytes, slot, info.id));
            }
        }
    }

    fn end_of_round(&mut self, limit: u64) {
        let Weigher { sum, mut evictable, .. } = std::mem::take(&mut self.weigher);
        self.stats.client_bytes.store(sum, Relaxed);
        if limit == 0 {
            return;
        }
        evictable.sort_unstable_by_key(|(bytes, ..)| Reverse(*bytes));
        let largest = evictable.first().map_or(0, |(bytes, ..)| *bytes);
        self.stats.largest_client.store(largest, Relaxed);
        let workers = &self.shared.workers;
        let total = || -> usize {
            let bytes = workers.iter();
            bytes.map(|worker| worker.stats.client_bytes.load(Relaxed)).sum()
        };
        let mut total = total();
        let others = workers.iter().enumerate();
        let others = others.filter(|(index, _)| *index != self.index);
        let others = others.map(|(_, worker)| worker.stats.largest_client.load(Relaxed));
        let largest_elsewhere = others.max().unwrap_or(0);
        for (bytes, slot, id) in evictable {
            // Where the others' are larger they go first.
            if total as u64 <= limit || bytes < largest_elsewhere {
                break;
            }
            tracing::info!(client = id, "Evicting client: {bytes} bytes, all clients together take more than maxmemory-clients");
            self.stats.evicted_clients.add(1);
            self.close(slot);
            total = total.saturating_sub(bytes);
            let left = self.stats.client_bytes.load(Relaxed).saturating_sub(bytes);
            self.stats.client_bytes.store(left, Relaxed);
        }
    }
}
