//! Replies on their way out: they wait for the log, then for the socket.

use std::sync::atomic::Ordering::Relaxed;

use djr_storage::aof::FsyncPolicy;

use super::{Connection, Core};

/// Buffers for replies that are kept for use by the next connection.
const SPARE_BUFFERS_MAX: usize = 256;
/// How many of them are given back in a tick.
const SPARE_BUFFERS_PER_TICK: usize = 4;

impl Core {
    /// What this turn has published may speak of what it has written: it waits for the log as replies do.
    pub(super) fn delay_pushes(&mut self) {
        let end = self.log.end;
        for id in &self.queued {
            if let Some(Some(connection)) = self.connections.get_mut(*id)
                && std::mem::take(&mut connection.pushed)
            {
                connection.wait_for = connection.wait_for.max(end);
            }
        }
    }

    /// Writes a connection's replies if the log has come far enough; else they wait. `false`: they wait.
    pub(super) fn finish_replies(&mut self, id: usize) -> bool {
        let Some(connection) = self.connections.get_mut(id).and_then(Option::as_mut) else {
            return true;
        };
        connection.queued = false;
        if let Some(log) = &self.log.log
            // Else it was switched off meanwhile.
            && !log.is_closed()
        {
            let is_always = log.policy() == FsyncPolicy::Always;
            let reached = if is_always {
                log.durable()
            } else {
                log.written()
            };
            if connection.wait_for > reached {
                if log.poisoned().is_some() {
                    // What the log has not got must not be acknowledged.
                    self.close(id);
                    return true;
                }
                if is_always {
                    connection.queued = true;
                    self.waiting.push_back(id);
                    return false;
                }
            }
        }
        if Self::has_lost_peer(connection) {
            self.close(id);
        } else {
            self.write_rest(id);
        }
        true
    }

    /// Writes what a connection's socket takes.
    pub(super) fn write_rest(&mut self, id: usize) {
        let Some(connection) = self.connections.get_mut(id).and_then(Option::as_mut) else {
            return;
        };
        if connection.out_len() == 0 || connection.queued {
            let finished = connection.closing && !connection.queued;
            if finished || connection.stream.flush_ciphertext().is_err() {
                self.close(id);
            }
            return;
        }
        let before = connection.out_len();
        let result = connection.write(&mut self.spare);
        let written = (before - connection.out_len()) as u64;
        let info = &connection.session.info;
        info.output_bytes.store(connection.out_len(), Relaxed);
        info.bytes_out
            .store(info.bytes_out.load(Relaxed) + written, Relaxed);
        if written > 0 && connection.is_fed() {
            info.active_ms.store(self.now as u64, Relaxed);
        }
        self.stats.writes.add(1);
        self.stats.bytes_out.add(written);
        self.spare.truncate(SPARE_BUFFERS_MAX);
        let done = match result {
            Ok(done) => done,
            Err(_) => return self.close(id),
        };
        if !done {
            if self.is_overfull(id) {
                return self.close_overfull(id);
            }
            self.weigh_later(id);
            if self.is_hungry(id) {
                self.unread.push(id);
            }
        }
        let Some(connection) = self.connections.get_mut(id).and_then(Option::as_mut) else {
            return;
        };
        if connection.unchoke() {
            self.unread.push(id);
        }
        if done {
            connection.above_limit_since = 0;
        }
        if done && connection.closing {
            self.close(id);
        }
    }

    /// Notes that a connection has replies for the end of the turn.
    pub(super) fn queue(&mut self, id: usize, connection: &mut Connection) {
        if self.holds_pushes() {
            self.release_pushes(&connection.session, &mut connection.out);
        }
        if self.log.end > connection.wait_for && self.log.dirty {
            connection.wait_for = self.log.end;
        }
        if (!connection.out.is_empty() || connection.closing) && !connection.queued {
            connection.queued = true;
            self.queued.push(id);
        }
    }

    /// Gives some buffers back that a burst has left. One that is in use at every turn is back soon.
    pub(super) fn give_back_spare(&mut self) {
        let count = self.spare.len().min(SPARE_BUFFERS_PER_TICK);
        self.spare.drain(..count);
    }
}
