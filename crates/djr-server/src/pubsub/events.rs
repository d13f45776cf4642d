//! Keyspace events as messages (`notify-keyspace-events`).

use std::io::Write;

use djr_engine::notify::{Event, Notify};

use super::Kind;
use crate::worker::Core;

impl Core {
    /// Publishes a keyspace event, whose class the setting wants: its name on the key's channel, the key on the event's.
    pub(crate) fn notify(&mut self, event: Event<'_>) {
        let wanted = self.shared.engine.settings.notify();
        let name = event.name.as_bytes();
        for (on, kind, what, payload) in [
            (Notify::KEYSPACE, "keyspace", event.key, name),
            (Notify::KEYEVENT, "keyevent", name, event.key),
        ] {
            if wanted.contains(on) {
                let mut channel = Vec::with_capacity(24 + what.len());
                let written = write!(channel, "__{kind}@{}__:", event.db);
                debug_assert!(written.is_ok(), "memory takes everything");
                channel.extend_from_slice(what);
                self.publish(Kind::Channel, &channel, payload);
            }
        }
    }
}
