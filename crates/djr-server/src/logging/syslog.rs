//! Lines for syslog (RFC 3164, as local daemons take them), beside those of the log file.

use std::io::{self, Write as _};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// Where the system takes log lines.
const SOCKET: &str = "/dev/log";

/// Sends each event to syslog.
pub(super) struct Syslog {
    socket: UnixDatagram,
    path: PathBuf,
    ident: String,
    facility: u8,
}

impl Syslog {
    pub(super) fn new(ident: String, facility: u8) -> io::Result<Self> {
        Self::to(SOCKET.into(), ident, facility)
    }

    fn to(path: PathBuf, ident: String, facility: u8) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        // A daemon that hangs must not hold us up.
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket,
            path,
            ident,
            facility,
        })
    }
}

/// The severities of syslog: error, warning, notice, info, debug.
fn severity(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 5,
        Level::DEBUG => 6,
        Level::TRACE => 7,
    }
}

impl<S: Subscriber> Layer<S> for Syslog {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let priority = self.facility * 8 + severity(*event.metadata().level());
        let mut line = format!("<{priority}>{}[{}]: ", self.ident, std::process::id()).into_bytes();
        let mut fields = Fields {
            line: &mut line,
            any: false,
        };
        event.record(&mut fields);
        // Where nobody listens there is nobody to tell of it.
        let _ = self.socket.send_to(&line, &self.path);
    }
}

/// Writes the message, and other fields as `name=value`.
struct Fields<'a> {
    line: &'a mut Vec<u8>,
    any: bool,
}

impl tracing::field::Visit for Fields<'_> {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        let space = if std::mem::replace(&mut self.any, true) {
            " "
        } else {
            ""
        };
        // Writing to memory does not fail.
        let _ = match field.name() {
            "message" => write!(self.line, "{space}{value:?}"),
            name => write!(self.line, "{space}{name}={value:?}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing_subscriber::layer::SubscriberExt as _;

    #[test]
    fn lines_have_priority_name_and_process() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("log");
        let daemon = UnixDatagram::bind(&path).expect("a socket");
        let syslog = Syslog::to(path, "djr".into(), 16).expect("a sender");
        tracing::subscriber::with_default(tracing_subscriber::registry().with(syslog), || {
            tracing::warn!(client = 7, "something is {}", "up");
        });
        let mut line = [0; 200];
        let count = daemon.recv(&mut line).expect("a line");
        let expected = format!("<132>djr[{}]: something is up client=7", std::process::id());
        assert_eq!(String::from_utf8_lossy(&line[..count]), expected);
    }
}
