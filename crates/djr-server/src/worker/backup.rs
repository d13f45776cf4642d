//! Sending a backup to the client that has asked for it.

use std::sync::atomic::Ordering::Relaxed;

use super::{Connection, Core};
use crate::session::Session;
use crate::snapshots::{BackupFile, BackupOf, Snapshots};
use crate::worker::Mail;

/// So long a client may take nothing of its backup, in milliseconds: as Redis's `repl-timeout`.
const SILENCE_MS_MAX: u64 = 60_000;

/// A backup that is ready for the client of a slot, if that is still the same.
pub(crate) struct Backup {
    slot: usize,
    client: u64,
    file: std::io::Result<BackupFile>,
}

impl Core {
    /// Has a backup made for a client. Until it comes nothing that the client sends is executed.
    pub(crate) fn begin_backup(&self, session: &mut Session, of: BackupOf) -> std::io::Result<()> {
        let (shared, index) = (self.shared.clone(), self.index);
        let (slot, client) = (session.slot, session.info.id);
        Snapshots::begin_backup(&self.shared, of, move |file| {
            let backup = Backup { slot, client, file };
            let mail = Mail::Backup(Box::new(backup));
            shared.workers[index].mailbox.send(mail);
        })?;
        session.backup.set_coming();
        Ok(())
    }

    /// Begins to send a backup: its length, its bytes, and that is all.
    pub(super) fn send_backup(&mut self, backup: Backup) {
        let Some(Some(connection)) = self.connections.get_mut(backup.slot) else {
            return;
        };
        if connection.session.info.id != backup.client {
            return;
        }
        match backup.file {
            Ok(file) => {
                let header = format!("${}\r\n", file.len);
                connection.out.extend_from_slice(header.as_bytes());
                connection.feed(file);
                let info = &connection.session.info;
                info.active_ms.store(self.now as u64, Relaxed);
            }
            Err(error) => {
                let text = format!("-ERR Unable to make a backup: {error}\r\n");
                connection.out.extend_from_slice(text.as_bytes());
            }
        }
        connection.closing = true;
        self.write_later(backup.slot);
    }

    /// Ends connections that take nothing more of their backup: its file takes room.
    pub(super) fn close_stuck_backups(&mut self) {
        if !self.shared.snapshots.has_backups() {
            return;
        }
        let limit = (self.now as u64).saturating_sub(SILENCE_MS_MAX);
        for id in 0..self.connections.len() {
            let stuck = self.connections[id].as_ref().is_some_and(|connection| {
                connection.is_fed() && connection.session.info.active_ms.load(Relaxed) < limit
            });
            if stuck {
                tracing::warn!("a client took nothing of its backup for a minute: closed");
                self.close(id);
            }
        }
    }

    /// Whether a file goes out, and the socket may take more of it at once.
    pub(super) fn is_hungry(&self, id: usize) -> bool {
        let connection = self.connections.get(id).and_then(Option::as_ref);
        let backlog = connection.and_then(|connection| connection.backlog.as_ref());
        backlog.is_some_and(|backlog| backlog.is_hungry())
    }

    /// Notes that a connection has something to write at the end of the turn.
    pub(super) fn write_later(&mut self, id: usize) {
        if let Some(Some(connection)) = self.connections.get_mut(id)
            && !connection.queued
        {
            connection.queued = true;
            self.queued.push(id);
        }
    }
}

impl Connection {
    /// Whether a file goes out at the moment.
    pub(super) fn is_fed(&self) -> bool {
        (self.backlog.as_ref()).is_some_and(|backlog| backlog.has_source())
    }
}
