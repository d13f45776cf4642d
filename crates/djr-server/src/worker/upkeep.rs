//! What a worker does now and then beside serving: the active expiry, idle connections and overfull ones, the end of a pause.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use djr_engine::command::Command;
use djr_engine::engine::log_expiry;

use super::Core;
use crate::clock;
use crate::session::Session;
use crate::shared::Gate;

/// Steps of the active expiry between two looks at the clock.
const EXPIRE_STEPS: usize = 64;
/// The time that it may take in a turn.
const EXPIRE_BUDGET: Duration = Duration::from_micros(500);
/// Steps of pending resizes of a shard's tables in a tick.
const RESIZE_STEPS: u32 = 64;

/// A TLS handshake that takes longer is given up.
const HANDSHAKE_MS_MAX: i64 = 10_000;

impl Core {
    /// Ends a pause whose time is over. Whether it did.
    pub(super) fn end_pause_if_due(&self) -> bool {
        let shared = &self.shared;
        let due = shared.gate.bits() & Gate::PAUSED != 0
            && self.now >= shared.pause_until_ms.load(Relaxed);
        if due {
            shared.gate.clear(Gate::PAUSED);
        }
        due
    }

    /// Whether `CLIENT PAUSE` holds a command back. One for all clients holds back every command, `CLIENT UNPAUSE` too.
    pub(crate) fn must_pause(&self, session: &Session, command: &Command) -> bool {
        let shared = &self.shared;
        if self.gate & Gate::PAUSED == 0 {
            return false;
        }
        // The pause may have ended within this turn.
        if self.end_pause_if_due() || shared.gate.bits() & Gate::PAUSED == 0 {
            return false;
        }
        // Scripts may write, whatever keys they name.
        let may_write = |command: &Command| {
            command.may_replicate() || matches!(command.spec.name, "eval" | "evalsha" | "fcall")
        };
        !shared.pause_writes_only.load(Relaxed)
            || may_write(command)
            || (command.spec.name == "exec"
                && session.multi.as_ref().is_some_and(|multi| {
                    multi
                        .queue
                        .commands()
                        .any(|(command, _)| may_write(command))
                }))
    }

    /// Has the next tick come at once.
    pub(crate) fn hurry_tick(&mut self) {
        self.next_tick = self.clock + Duration::from_millis(1);
    }

    /// The active expiry: each worker has its share of the shards.
    pub(super) fn expire(&mut self) {
        self.expire_some();
        if !self.events.is_empty() {
            let events = std::mem::take(&mut self.events);
            events.deliver(|event| self.notify(event));
            self.events = events;
        }
    }

    fn expire_some(&mut self) {
        let keyspace = &self.shared.engine.keyspace;
        let wanted = self.shared.engine.settings.notify();
        let workers = self.shared.workers.len() as u32;
        // What is loaded may be referred to by commands that are still to come.
        let loading = self.shared.gate.bits() & Gate::LOADING != 0;
        let active = self.shared.active_expire.load(Relaxed)
            && !self.shared.cron_paused.load(Relaxed)
            && !loading;
        let began = clock::monotonic();
        for shard in (self.index as u32..keyspace.shards()).step_by(workers as usize) {
            keyspace.idle_step(shard, RESIZE_STEPS);
            if !active {
                continue;
            }
            loop {
                let (log, events) = (&mut self.log, &self.events);
                let progress =
                    keyspace.expire_step(shard, self.now, EXPIRE_STEPS, &mut |db, expired| {
                        log_expiry(log, db, expired);
                        events.push_expired(wanted, db, expired);
                    });
                self.stats.expired_active.add(progress.expired as u64);
                let fields = progress.expired_fields as u64;
                self.stats.expired_fields_active.add(fields);
                if !progress.more {
                    break;
                }
                if clock::monotonic() - began > EXPIRE_BUDGET {
                    // The next tick comes at once: others are served in between.
                    self.next_tick = self.clock + Duration::from_millis(1);
                    return;
                }
            }
        }
    }

    /// `timeout`: closes connections that have sent nothing for so long.
    pub(super) fn close_idle(&mut self) {
        let timeout_ms = self.shared.config.timeout_ms();
        if timeout_ms == 0 {
            return;
        }
        let limit = (self.now as u64).saturating_sub(timeout_ms);
        for id in 0..self.connections.len() {
            let idle = self.connections[id].as_ref().is_some_and(|connection| {
                let session = &connection.session;
                // Subscribers have nothing to send.
                session.wait.is_none()
                    && !session.backup.is_coming()
                    && session.subscriptions.is_none()
                    && session.info.active_ms.load(Relaxed) < limit
            });
            if idle {
                self.close(id);
            }
        }
    }

    /// Ends TLS connections whose handshake takes too long: they have not even begun to be clients.
    pub(super) fn close_unfinished_handshakes(&mut self) {
        if !self.shared.tls.is_on() {
            return;
        }
        for id in 0..self.connections.len() {
            let unfinished = self.connections[id].as_ref().is_some_and(|connection| {
                connection.stream.is_handshaking()
                    && self.now - connection.session.info.created_ms > HANDSHAKE_MS_MAX
            });
            if unfinished {
                self.close(id);
            }
        }
    }

    /// `client-output-buffer-limit`: whether too many replies wait for a client.
    pub(super) fn is_overfull(&mut self, id: usize) -> bool {
        let now = self.now;
        let connection = self.connections.get_mut(id).and_then(Option::as_mut);
        connection.is_some_and(|connection| {
            if connection.session.backup.is_coming() {
                return false; // What waits is not in memory, but for some of it.
            }
            let is_subscriber = connection.session.subscriptions.is_some();
            let limit = self.shared.config.output_limit(is_subscriber);
            let bytes = connection.out_len() as u64;
            limit.is_exceeded(bytes, &mut connection.above_limit_since, now)
        })
    }

    #[cold]
    pub(super) fn close_overfull(&mut self, id: usize) {
        if let Some(connection) = self.connections.get(id).and_then(Option::as_ref) {
            tracing::warn!(
                client = connection.session.info.id,
                "output buffer limit reached: connection closed"
            );
        }
        self.stats.limit_disconnections.add(1);
        self.close(id);
    }

    /// Closes the connections whose replies have been above the soft limit for too long: nothing may ever be written to them.
    pub(super) fn close_all_overfull(&mut self) {
        let config = &self.shared.config;
        if config.output_limit(false).soft == 0 && config.output_limit(true).soft == 0 {
            return;
        }
        for id in 0..self.connections.len() {
            if self.is_overfull(id) {
                self.close_overfull(id);
            }
        }
    }
}
