//! What the process owes its surroundings: the file with its number, and word to systemd.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;

use crate::Config;

/// The file that holds the process id: removed when this is dropped.
pub(crate) struct PidFile(Option<PathBuf>);

impl PidFile {
    /// Writes it, if the configuration asks for it. As in Redis it is no reason not to start if that fails.
    pub(crate) fn write(config: &Config) -> Self {
        let Some(path) = config.pidfile() else {
            return Self(None);
        };
        match std::fs::write(&path, format!("{}\n", std::process::id())) {
            Ok(()) => Self(Some(path)),
            Err(error) => {
                tracing::warn!("pidfile {}: {error}", path.display());
                Self(None)
            }
        }
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if let Some(path) = &self.0
            && let Err(error) = std::fs::remove_file(path)
        {
            tracing::warn!("pidfile {}: {error}", path.display());
        }
    }
}

/// Tells systemd (or whoever has set `NOTIFY_SOCKET`) how the server does: `READY=1`, `STOPPING=1`.
pub(crate) fn tell_systemd(config: &Config, state: &str) {
    if !config.tells_systemd() {
        return;
    }
    let Some(socket) = std::env::var_os("NOTIFY_SOCKET") else {
        return;
    };
    if let Err(error) = send(&socket, state) {
        tracing::warn!("systemd could not be told {state}: {error}");
    }
}

fn send(socket: &std::ffi::OsStr, state: &str) -> io::Result<()> {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::net::SocketAddr;
    // '@' stands for the abstract name space.
    let address = match socket.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(socket)?,
    };
    UnixDatagram::unbound()?
        .send_to_addr(state.as_bytes(), &address)
        .map(|_| ())
}
