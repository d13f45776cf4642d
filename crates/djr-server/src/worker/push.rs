//! What is written to a connection without being the reply to its request: messages, invalidations.

use bytes::Bytes;
use djr_protocol::RespVersion;

use super::{Connection, Core};
use crate::config::OutputLimit;
use crate::pubsub::{Hub, append_frame};
use crate::session::Session;

/// What could not be written to its connection at once.
#[derive(Default)]
pub(crate) struct Pushes {
    /// For connections whose commands are being executed, by their numbers: comes behind the reply.
    held: Vec<(usize, Bytes)>,
    /// Connections that have grown past the hard limit: they end with the turn.
    doomed: Vec<usize>,
}

/// The way to a worker's connections.
pub(crate) struct Outlet<'a> {
    connections: &'a mut [Option<Box<Connection>>],
    spare: &'a mut Vec<Vec<u8>>,
    queued: &'a mut Vec<usize>,
    pushes: &'a mut Pushes,
    limit: OutputLimit,
}

impl Outlet<'_> {
    /// Gives a connection something that was encoded for RESP3 as a push.
    #[inline]
    pub(crate) fn push(&mut self, id: usize, frame: &[u8]) {
        let Some(connection) = self.connections.get_mut(id).and_then(Option::as_mut) else {
            self.pushes.held.push((id, Bytes::copy_from_slice(frame)));
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
        connection.pushed = true;
        if !connection.queued {
            connection.queued = true;
            self.queued.push(id);
        }
        if self.limit.hard > 0 && connection.out_len() as u64 > self.limit.hard {
            connection.closing = true;
            self.pushes.doomed.push(id);
        }
    }
}

impl Core {
    /// The way to the connections, and what knows which of them are meant.
    pub(crate) fn outlet(&mut self) -> (Outlet<'_>, &mut Hub) {
        let outlet = Outlet {
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
        self.release(session.slot, session.version, out);
    }

    fn release(&mut self, slot: usize, version: RespVersion, out: &mut Vec<u8>) {
        self.pushes.held.retain(|(id, frame)| {
            let is_its = *id == slot;
            if is_its {
                append_frame(out, frame, version);
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
