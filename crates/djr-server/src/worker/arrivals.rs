//! Connections come and go.

use std::sync::atomic::Ordering::Relaxed;

use super::{Accepted, Connection, Core, Listener, Mail, Peer};
use crate::introspection::forget_monitor;
use crate::session::{Session, Watches};

impl Core {
    /// Takes some of those that wait at a listener, each for the worker with the fewest connections. The rest comes in the next turn:
    /// a flood of connections must not keep clients waiting that are there already.
    pub(super) fn accept(&mut self, listener: usize) {
        let is_tls = matches!(self.listeners[listener], Listener::Tls(_));
        for _ in 0..self.shared.config.new_connections_max(is_tls) {
            let accepted = match self.listeners[listener].accept() {
                Ok(Some(accepted)) => accepted,
                Ok(None) => return,
                Err(error) => {
                    // Out of descriptors. Nothing tells when there are some again.
                    if !self.full_listeners.contains(&listener) {
                        tracing::warn!("accept: {error}");
                        self.full_listeners.push(listener);
                    }
                    return;
                }
            };
            self.full_listeners.retain(|full| *full != listener);
            let accepted = match self.secured(listener, accepted) {
                Some(accepted) => accepted,
                None => continue,
            };
            let workers = self.shared.workers.iter().enumerate();
            let (worker, handle) = workers
                .min_by_key(|(_, worker)| worker.connections.load(Relaxed))
                .unwrap_or((self.index, &self.shared.workers[self.index]));
            handle.connections.fetch_add(1, Relaxed);
            if worker == self.index {
                self.add(accepted);
            } else {
                self.shared.workers[worker]
                    .mailbox
                    .send(Mail::Connection(accepted));
            }
        }
        // Edge-triggered: nothing tells of those that are left.
        self.unaccepted.push(listener);
    }

    /// Goes on with the listeners that had more.
    pub(super) fn accept_more(&mut self) {
        for listener in std::mem::take(&mut self.unaccepted) {
            self.accept(listener);
        }
    }

    /// Tries the listeners again that could not be served.
    pub(super) fn accept_again(&mut self) {
        for at in 0..self.full_listeners.len() {
            if let Some(&listener) = self.full_listeners.get(at) {
                self.accept(listener);
            }
        }
    }

    /// A new connection, with TLS if it came to such a port.
    fn secured(&self, listener: usize, accepted: Accepted) -> Option<Accepted> {
        if !matches!(self.listeners[listener], Listener::Tls(_)) {
            return Some(accepted);
        }
        let config = self.shared.tls.config()?;
        let Accepted { stream, peer } = accepted;
        match stream.with_tls(config) {
            Ok(stream) => Some(Accepted { stream, peer }),
            Err(error) => {
                tracing::warn!("new TLS connection: {error}");
                None
            }
        }
    }

    pub(super) fn add(&mut self, mut accepted: Accepted) {
        self.stats.connections_received.add(1);
        if let Some(refusal) = self.refusal(&accepted.peer) {
            // A courtesy: whether it arrives does not matter.
            let _ = std::io::Write::write(&mut accepted.stream, refusal.as_bytes());
            self.stats.connections_rejected.add(1);
            self.count_connection_out();
            return;
        }
        let slot = self.free.pop().unwrap_or_else(|| {
            self.connections.push(None);
            self.connections.len() - 1
        });
        if let Err(error) = self.driver.add_stream(&mut accepted.stream, slot) {
            tracing::warn!("new connection: {error}");
            self.free.push(slot);
            self.count_connection_out();
            return;
        }
        self.shared.config.configure_socket(&accepted.stream);
        let fd = std::os::fd::AsRawFd::as_raw_fd(&accepted.stream);
        let info = self
            .shared
            .clients
            .add((self.index, slot), fd, accepted.peer, self.now);
        let session = Session::new(info, slot, self.shared.acl.newcomer());
        self.connections[slot] = Some(Box::new(Connection::new(accepted.stream, session)));
        self.weigh_later(slot);
    }

    /// What a newcomer is told that may not stay.
    fn refusal(&self, peer: &Peer) -> Option<String> {
        let config = &self.shared.config;
        if self.shared.clients.len() >= config.maxclients() {
            return Some("-ERR max number of clients reached\r\n".into());
        }
        (config.is_protected() && !self.shared.acl.default_has_password() && !peer.is_local()).then(|| {
            "-DENIED DJR is running in protected mode because protected mode is enabled and no password is set for the \
             default user. In this mode connections are only accepted from the loopback interface. To connect from \
             elsewhere, set a password (requirepass), or switch the mode off with 'CONFIG SET protected-mode no' from \
             this machine or '--protected-mode no' at the start, if the network is trusted.\r\n"
                .into()
        })
    }

    /// This worker has one connection less than it was given.
    fn count_connection_out(&self) {
        self.shared.workers[self.index]
            .connections
            .fetch_sub(1, Relaxed);
    }

    /// Ends a connection now.
    pub(crate) fn close(&mut self, id: usize) {
        let Some(mut connection) = self.connections.get_mut(id).and_then(Option::take) else {
            return;
        };
        self.unsubscribe_all(&mut connection.session);
        self.untrack(&mut connection.session);
        if connection.session.is_monitor {
            forget_monitor(&self.shared, connection.session.info.id);
        }
        self.count_connection_out();
        self.shared.clients.remove(connection.session.info.id);
        self.forget_weight(&connection.session.info);
        self.abandon(&mut connection);
        if let Some(watches) = connection.session.watches.take() {
            self.forget_watches(*watches);
        }
        self.freed.push(id);
    }

    /// Ends watches: now, or as soon as the keyspace can be had.
    pub(crate) fn forget_watches(&mut self, watches: Watches) {
        self.unwatch_later.push(watches);
        self.unwatch();
    }

    /// Takes the watches that have ended out of the keyspace, unless a script keeps it: then later.
    pub(super) fn unwatch(&mut self) {
        let (engine, now) = (&self.shared.engine, self.now);
        self.unwatch_later
            .retain_mut(|watches| !crate::commands::try_unwatch(engine, watches, now));
    }

    /// Ends the connections of subscribers that may not be it any more.
    pub(super) fn end_lost_subscribers(&mut self) {
        for id in 0..self.connections.len() {
            let Some(Some(connection)) = self.connections.get_mut(id) else {
                continue;
            };
            let session = &mut connection.session;
            session.identity.refresh(&self.shared.acl);
            if session.has_lost_channels() {
                self.close(id);
            }
        }
    }

    /// Ends the connection of this client, if it is one of ours.
    pub(super) fn kill(&mut self, client: u64) {
        let found = self.connections.iter().position(|connection| {
            connection
                .as_ref()
                .is_some_and(|connection| connection.session.info.id == client)
        });
        if let Some(id) = found {
            self.close(id);
        }
    }
}
