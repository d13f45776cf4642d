//! MONITOR: every command, as it runs, for those who ask for it. Nobody pays for it while nobody asks: the gate has a bit while there are
//! any.

use std::fmt::Write;

use bytes::Bytes;
use djr_engine::command::Command;
use djr_engine::spec::{Flags, Run};
use djr_engine::{Args, Inside};
use parking_lot::Mutex;

use super::redact::{REDACTED, is_secret};
use crate::clock;
use crate::pubsub::Message;
use crate::session::Session;
use crate::shared::{Gate, Shared};
use crate::worker::{Core, Peer};

/// Who is shown everything.
#[derive(Default)]
pub(crate) struct Monitors(Mutex<Vec<Monitor>>);

#[derive(Clone, Copy)]
struct Monitor {
    worker: usize,
    slot: usize,
    client: u64,
}

/// Where a command that is shown came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum From {
    Client,
    Script,
}

impl Core {
    /// `MONITOR`.
    pub(crate) fn monitor(&mut self, session: &mut Session) {
        if session.is_monitor {
            return;
        }
        session.is_monitor = true;
        let info = &session.info;
        info.is_monitor
            .store(true, std::sync::atomic::Ordering::Relaxed);
        let monitor = Monitor {
            worker: info.worker,
            slot: info.slot,
            client: info.id,
        };
        let shared = &self.shared;
        let mut monitors = shared.introspection.monitors.0.lock();
        monitors.push(monitor);
        shared.gate.set(Gate::MONITORED);
        self.gate |= Gate::MONITORED;
    }

    /// Ends what [`monitor`](Self::monitor) began.
    pub(crate) fn unmonitor(&mut self, session: &mut Session) {
        if !std::mem::take(&mut session.is_monitor) {
            return;
        }
        let info = &session.info;
        info.is_monitor
            .store(false, std::sync::atomic::Ordering::Relaxed);
        let shared = &self.shared;
        let mut monitors = shared.introspection.monitors.0.lock();
        monitors.retain(|monitor| monitor.client != info.id);
        if monitors.is_empty() {
            shared.gate.clear(Gate::MONITORED);
            self.gate &= !Gate::MONITORED;
        }
    }

    /// A command is about to run: scripts are shown before what they call.
    #[inline]
    pub(crate) fn show_script(&mut self, session: &Session, command: &Command, args: &Args<'_>) {
        if self.gate & Gate::MONITORED != 0 && matches!(command.run, Run::Script(_)) {
            self.show(session, From::Client, command, args);
        }
    }

    /// A command has run.
    #[inline]
    pub(crate) fn show_command(&mut self, session: &Session, command: &Command, args: &Args<'_>) {
        if self.gate & Gate::MONITORED != 0 {
            self.show_unless_hidden(session, From::Client, command, args);
        }
    }

    /// The same, inside of a transaction or a script.
    pub(crate) fn show_inside(
        &mut self,
        session: &Session,
        inside: Inside,
        command: &Command,
        args: &Args<'_>,
    ) {
        if self.gate & Gate::MONITORED != 0 {
            let from = match inside {
                Inside::Transaction => From::Client,
                Inside::Script => From::Script,
            };
            self.show_unless_hidden(session, from, command, args);
        }
    }

    fn show_unless_hidden(
        &mut self,
        session: &Session,
        from: From,
        command: &Command,
        args: &Args<'_>,
    ) {
        if !command.flags.has(Flags::SKIP_MONITOR) && !command.flags.has(Flags::ADMIN) {
            self.show(session, from, command, args);
        }
    }

    #[cold]
    fn show(&mut self, session: &Session, from: From, command: &Command, args: &Args<'_>) {
        let line = Bytes::from(line(session, from, command, args));
        let shared = self.shared.clone();
        for monitor in shared.introspection.monitors.0.lock().iter() {
            let Monitor {
                worker,
                slot,
                client,
            } = *monitor;
            if worker == self.index {
                self.outlet().0.show(slot, client, &line);
            } else {
                let line = line.clone();
                self.post(worker, Message::Shown { slot, client, line });
            }
        }
    }
}

/// Ends the gate's bit when the last monitor has gone with its connection.
pub(crate) fn forget(shared: &Shared, client: u64) {
    let mut monitors = shared.introspection.monitors.0.lock();
    monitors.retain(|monitor| monitor.client != client);
    if monitors.is_empty() {
        shared.gate.clear(Gate::MONITORED);
    }
}

/// What a monitor is sent: `+1700000000.000001 [0 127.0.0.1:40000] "get" "key"`, in RESP2 and RESP3 alike.
fn line(session: &Session, from: From, command: &Command, args: &Args<'_>) -> Vec<u8> {
    let micros = clock::unix_micros();
    let mut line = format!(
        "+{}.{:06} [{} ",
        micros / 1_000_000,
        micros % 1_000_000,
        session.db
    );
    match (from, &session.info.peer) {
        (From::Script, _) => line.push_str("lua"),
        (From::Client, Peer::Unix { path }) => {
            let result = write!(line, "unix:{path}");
            debug_assert!(result.is_ok(), "writing to a string does not fail");
        }
        (From::Client, peer) => line.push_str(&peer.remote()),
    }
    line.push(']');
    for index in 0..args.len() {
        let secret = is_secret(command, args, index);
        let arg = if secret { REDACTED } else { args.get(index) };
        line.push(' ');
        quote(&mut line, arg);
    }
    line.push_str("\r\n");
    line.into_bytes()
}

/// Appends bytes in quotes, escaped as redis-cli shows strings.
fn quote(line: &mut String, bytes: &[u8]) {
    line.push('"');
    for &byte in bytes {
        match byte {
            b'\\' | b'"' => {
                line.push('\\');
                line.push(byte as char);
            }
            b'\n' => line.push_str("\\n"),
            b'\r' => line.push_str("\\r"),
            b'\t' => line.push_str("\\t"),
            0x07 => line.push_str("\\a"),
            0x08 => line.push_str("\\b"),
            b' '..=b'~' => line.push(byte as char),
            _ => {
                let result = write!(line, "\\x{byte:02x}");
                debug_assert!(result.is_ok(), "writing to a string does not fail");
            }
        }
    }
    line.push('"');
}

#[cfg(test)]
mod tests {
    use super::quote;

    #[test]
    fn arguments_are_quoted_as_redis_cli_does() {
        let mut line = String::new();
        quote(&mut line, b"a \"b\\\r\n\t\x07\x08\x00\xff~");
        assert_eq!(line, r#""a \"b\\\r\n\t\a\b\x00\xff~""#);
    }
}
