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
        Self::start_with(threads, None)
    }

    /// Starts a server that asks for a password, if one is given.
    pub fn start_with(threads: usize, password: Option<&str>) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let server = Server::start(Config {
            port: 0,
            dir: dir.path().to_owned(),
            threads,
            password: password.map(str::to_owned),
            ..Config::default()
        });
        let server = server.expect("the server starts");
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
