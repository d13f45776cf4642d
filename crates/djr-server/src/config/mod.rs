//! The configuration. (First cut: what the workers need to start.)

use std::path::PathBuf;

use djr_protocol::Limits;
use djr_storage::aof::FsyncPolicy;

use crate::worker::Stream;

/// The configuration of a running server.
#[derive(Clone, Debug)]
pub struct Config {
    /// `port`.
    pub port: u16,
    /// `bind`.
    pub bind: Vec<String>,
    /// `unixsocket`.
    pub unix_socket: Option<String>,
    /// `dir`.
    pub dir: PathBuf,
    /// `threads`.
    pub threads: usize,
    /// `databases`.
    pub databases: u32,
    /// `appendonly`.
    pub append_only: bool,
    /// `appendfsync`.
    pub append_fsync: FsyncPolicy,
    /// `--aof-repair`.
    pub aof_repair: bool,
    /// `requirepass`.
    pub password: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            port: 6379,
            bind: vec!["127.0.0.1".into()],
            unix_socket: None,
            dir: ".".into(),
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            databases: 16,
            append_only: true,
            append_fsync: FsyncPolicy::EverySec,
            aof_repair: false,
            password: None,
        }
    }
}

impl Config {
    pub(crate) fn request_limits(&self) -> Limits {
        Limits::default()
    }
    pub(crate) fn needs_password(&self) -> bool {
        self.password.is_some()
    }
    pub(crate) fn check_password(&self, password: &[u8]) -> bool {
        self.password
            .as_ref()
            .is_none_or(|expected| expected.as_bytes() == password)
    }
    pub(crate) fn allows_debug(&self, _peer: &crate::worker::Peer) -> bool {
        false
    }
    pub(crate) fn file(&self) -> &str {
        ""
    }
    pub(crate) fn maxmemory(&self) -> u64 {
        0
    }
    pub(crate) fn maxmemory_policy(&self) -> &str {
        "noeviction"
    }
    pub(crate) fn maxclients(&self) -> usize {
        10_000
    }
    pub(crate) fn is_protected(&self) -> bool {
        self.password.is_none()
    }
    pub(crate) fn output_limit(&self) -> u64 {
        0
    }
    pub(crate) fn timeout_ms(&self) -> u64 {
        0
    }
    pub(crate) fn configure_socket(&self, _stream: &Stream) {}
}
