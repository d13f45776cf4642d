//! DJR in this process, in a directory of its own.

use std::net::SocketAddr;

use djr_server::{Config, Server};

use crate::connection::Connection;

/// A DJR of our own on a free port. Stopped when dropped.
pub struct Ours {
    address: SocketAddr,
    // Dropped in this order: the server's last act is writing to its directory.
    _server: Server,
    _dir: tempfile::TempDir,
}

impl Ours {
    /// Starts a server with so many workers.
    pub fn start(threads: usize) -> Self {
        Self::start_with(threads, &[])
    }

    /// Starts a server with so many workers and these directives, in redis.conf's syntax.
    pub fn start_with(threads: usize, directives: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        Self::start_in(threads, dir, directives)
    }

    /// Starts a server in a directory that may hold files for it.
    pub fn start_in(threads: usize, dir: tempfile::TempDir, directives: &[(&str, &str)]) -> Self {
        let mut config = Config::default()
            .with_free_port()
            .with_dir(dir.path())
            .with_threads(threads);
        for (name, value) in directives {
            config.set(name, value).expect("a directive");
        }
        let server = Server::start(config).expect("the server starts");
        Self {
            address: server.addresses()[0],
            _server: server,
            _dir: dir,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connects.
    pub fn connect(&self) -> Connection {
        Connection::open(self.address)
    }
}
