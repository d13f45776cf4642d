//! What is written to a connection without being the reply to its request: messages, invalidations.

use bytes::Bytes;

use super::{Connection, Core};
use crate::config::{Config, OutputLimit};
use crate::pubsub::{Hub, append_frame};
use crate::session::Session;
use crate::tracking::Invalidated;

/// What could not be written to its connection at once.
#[derive(Default)]
pub(crate) struct Pushes {
    /// For connections whose commands are being executed, by their numbers: comes behind the reply.
    held: Vec<(usize, Push)>,
    /// Connections that have grown past the hard limit: they end with the turn.
    doomed: Vec<usize>,
}

/// What is given to a connection.
enum Push {
    /// Encoded for RESP3.
    Frame(Bytes),
    /// For the client of this number.
    Invalidated(u64, Invalidated),
    /// For the same: a line of MONITOR.
    Shown(u64, Bytes),
}

impl Push {
    fn append(&self, out: &mut Vec<u8>, session: &Session) {
        match self {
            Push::Frame(frame) => append_frame(out, frame, session.version),
            Push::Invalidated(client, told) if *client == session.info.id => {
                told.append(out, session.version, session.subscriptions.is_some());
            }
            Push::Shown(client, line) if *client == session.info.id => out.extend_from_slice(line),
            Push::Invalidated(..) | Push::Shown(..) => {}
        }
    }
}

/// The way to a worker's connections.
pub(crate) struct Outlet<'a> {
    connections: &'a mut [Option<Box<Connection>>],
    spare: &'a mut Vec<Vec<u8>>,
    queued: &'a mut Vec<usize>,
    pushes: &'a mut Pushes,
    config: &'a Config,
    /// Of subscribers.
    limit: OutputLimit,
}

impl Outlet<'_> {
    /// Gives a connection something that was encoded for RESP3 as a push.
    #[inline]
    pub(crate) fn push(&mut self, id: usize, frame: &[u8]) {
        let Some(connection) = self.connections.get_mut(id).and_then(Option::as_mut) else {
            let frame = Bytes::copy_from_slice(frame);
            self.pushes.held.push((id, Push::Frame(frame)));
            return;
        };
        if connection.closing {
            return;
        }
        if connection.out.capacity() == 0
            && let Some(spare) = self.spare.pop()
        {
            connection.out = spare;
        }
        append_frame(&mut connection.out, frame, connection.session.version);
        let is_doomed = self.limit.hard > 0 && connection.out_len() as u64 > self.limit.hard;
        self.note(id, is_doomed);
    }

    /// Tells a client, if it is still at its place.
    pub(crate) fn tell(&mut self, id: usize, client: u64, told: &Invalidated) {
        let Some(connection) = self.connections.get_mut(id).and_then(Option::as_mut) else {
            let push = Push::Invalidated(client, told.clone());
            self.pushes.held.push((id, push));
            return;
        };
        if connection.closing || connection.session.info.id != client {
            return;
        }
        let session = &connection.session;
        let is_subscriber = session.subscriptions.is_some();
        told.append(&mut connection.out, session.version, is_subscriber);
        if !connection.out.is_empty() {
            let limit = self.config.output_limit(is_subscriber).hard;
            let is_doomed = limit > 0 && connection.out_len() as u64 > limit;
            self.note(id, is_doomed);
        }
    }

    /// Shows a command to a client, if it is still at its place.
    pub(crate) fn show(&mut self, id: usize, client: u64, line: &Bytes) {
        let Some(connection) = self.connections.get_mut(id).and_then(Option::as_mut) else {
            let push = Push::Shown(client, line.clone());
            self.pushes.held.push((id, push));
            return;
        };
        if connection.closing || connection.session.info.id != client {
            return;
        }
        connection.out.extend_from_slice(line);
        let limit = self.config.output_limit(false).hard;
        let is_doomed = limit > 0 && connection.out_len() as u64 > limit;
        self.note(id, is_doomed);
    }

    /// Notes that something was appended to the replies of a connection.
    #[inline]
    fn note(&mut self, id: usize, is_doomed: bool) {
        let Some(connection) = self.connections.get_mut(id).and_then(Option::as_mut) else {
            return;
        };
        connection.pushed = true;
        if !connection.queued {
            connection.queued = true;
            self.queued.push(id);
        }
        if is_doomed {
            connection.closing = true;
            self.pushes.doomed.push(id);
        }
    }
}

impl Core {
    /// The way to the connections, and what knows which of them are meant.
    pub(crate) fn outlet(&mut self) -> (Outlet<'_>, &mut Hub) {
        let outlet = Outlet {
            config: &self.shared.config,
            limit: self.shared.config.output_limit(true),
            connections: &mut self.connections,
            spare: &mut self.spare,
            queued: &mut self.queued,
            pushes: &mut self.pushes,
        };
        (outlet, &mut self.hub)
    }

    /// Whether something waits for the end of a command.
    #[inline]
    pub(crate) fn holds_pushes(&self) -> bool {
        !self.pushes.held.is_empty()
    }

    /// Appends to a connection's replies what came for it while its commands were being executed.
    #[cold]
    pub(crate) fn release_pushes(&mut self, session: &Session, out: &mut Vec<u8>) {
        self.pushes.held.retain(|(id, push)| {
            let is_its = *id == session.info.slot;
            if is_its {
                push.append(out, session);
            }
            !is_its
        });
    }

    /// Ends the connections that could not be given more.
    pub(super) fn close_doomed(&mut self) {
        for id in std::mem::take(&mut self.pushes.doomed) {
            self.close_overfull(id);
        }
    }
}
