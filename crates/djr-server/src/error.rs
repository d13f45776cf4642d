//! Why a server can't start, or did not end well.

use std::io;
use std::path::PathBuf;

use djr_engine::registry::RenameError;

/// Why a server could not start. `Display` is a sentence for people.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// An address can't be listened on.
    #[error(
        "Failed listening on port {}: Could not create server TCP listening socket {address}: {}",
        port_of(address),
        plain(error)
    )]
    Listen {
        /// Which.
        address: String,
        /// Why.
        error: io::Error,
    },
    /// The Unix socket can't be made.
    #[error("Failed opening Unix socket {}: {}", path.display(), plain(error))]
    UnixSocket {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Neither a port nor a Unix socket is configured.
    #[error("Configured to not listen anywhere, exiting.")]
    Nowhere,
    /// The system refused something that every server needs.
    #[error("could not start: {0}")]
    System(#[from] io::Error),
    /// The data directory is not usable.
    #[error("the data directory {} is not usable: {}", path.display(), plain(error))]
    Dir {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Certificates, keys or ciphers can't be used.
    #[error("{0}")]
    Tls(String),
    /// The users could not be made.
    #[error("{0}")]
    Users(String),
    /// Commands can't be renamed so.
    #[error(transparent)]
    Renames(#[from] RenameError),
    /// The data set could not be recovered.
    #[error("{0}")]
    Recovery(String),
}

/// What went wrong while the server was running or stopping. The log has the details.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StopError {
    /// The append-only log could not be closed: what was not durable before may be missing.
    #[error("the append-only log could not be closed: {0}")]
    Log(String),
    /// The last snapshot could not be written.
    #[error("the last snapshot could not be written")]
    Save,
    /// A thread has ended by a panic.
    #[error("a thread has ended by a panic")]
    Panic,
}

/// A system's error with its own words, and `bind:` in front where it comes from that call, as Redis puts it.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let text = text
        .strip_prefix("failed to lookup address information: ")
        .unwrap_or(text);
    match error.kind() {
        io::ErrorKind::AddrInUse | io::ErrorKind::AddrNotAvailable => format!("bind: {text}"),
        _ => text.to_owned(),
    }
}

fn port_of(address: &str) -> &str {
    address.rsplit(':').next().unwrap_or_default()
}
