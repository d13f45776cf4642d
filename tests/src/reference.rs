//! Real servers to compare with: `redis-server` and `valkey-server`, where they are installed.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use djr_protocol::{Limits, ReplyDecoder, Value, encode_command};

use crate::ports::free_port;

/// The real servers found in the directory that the environment variable `DJR_PEERS` names (default: `bench/peers/bin`, where
/// `cargo xtask peers` puts them), on the `PATH`, and the one that `DJR_REFERENCE_SERVER` names.
///
/// # Panics
/// If there is none and `CI` is set: a comparison that is silently left out says nothing.
pub fn binaries() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let peers = std::env::var_os("DJR_PEERS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../bench/peers/bin"),
        PathBuf::from,
    );
    // The same directory may be on the PATH under several names. Not so the files: one is often a link to another, and goes by
    // the name that it is called by.
    let dirs: BTreeSet<_> = std::iter::once(peers)
        .chain(std::env::split_paths(&path))
        .filter_map(|dir| dir.canonicalize().ok())
        .collect();
    let found: Vec<_> = dirs
        .iter()
        .flat_map(|dir| ["redis-server", "valkey-server"].map(|name| dir.join(name)))
        .chain(std::env::var_os("DJR_REFERENCE_SERVER").map(PathBuf::from))
        .filter(|binary| binary.is_file())
        .collect();
    if found.is_empty() {
        assert!(
            std::env::var("CI").as_deref() != Ok("true"),
            "no redis-server or valkey-server on the PATH or in DJR_PEERS"
        );
        eprintln!(
            "NOT COMPARED WITH ANYTHING: no redis-server or valkey-server on the PATH or in DJR_PEERS"
        );
    }
    found
}

/// A real server of our own, on a free port and a socket in a temporary directory, without persistence. Stopped when dropped.
pub struct Reference {
    _process: Process,
    connection: Connection,
    address: SocketAddr,
    /// What `INFO` calls it: `redis 7.0.15`, `valkey 9.1.2`.
    pub version: String,
    dir: tempfile::TempDir,
}

impl Reference {
    /// Starts a server.
    pub fn start(binary: &Path) -> Self {
        Self::start_with(binary, None)
    }

    /// Starts a server that asks for a password, if one is given.
    pub fn start_with(binary: &Path, password: Option<&str>) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        Self::start_in(binary, password, dir, &[])
    }

    /// Starts a server in a directory that may hold files for it, with more directives.
    pub fn start_in(
        binary: &Path,
        password: Option<&str>,
        dir: tempfile::TempDir,
        directives: &[&str],
    ) -> Self {
        let address = free_port();
        let socket = dir.path().join("socket");
        let child = Command::new(binary)
            .args(["--port", &address.port().to_string(), "--save", ""])
            .args(["--bind", "127.0.0.1", "--requirepass"])
            .args([password.unwrap_or_default(), "--unixsocket"])
            .arg(&socket)
            .arg("--dir")
            .arg(dir.path())
            .args(directives)
            .stdout(Stdio::null())
            .spawn()
            .expect("the server starts");
        let process = Process(child);
        let deadline = Instant::now() + Duration::from_secs(30);
        let stream = loop {
            match UnixStream::connect(&socket) {
                Ok(stream) => break stream,
                Err(error) => assert!(Instant::now() < deadline, "{}: {error}", binary.display()),
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        let mut connection = Connection::new(stream);
        if let Some(password) = password {
            connection.call(&[b"AUTH", password.as_bytes()]);
        }
        let info = connection.call(&[b"INFO", b"server"]);
        let info = String::from_utf8_lossy(info.as_bytes().unwrap_or_default()).into_owned();
        let field = |name: &str| {
            info.lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
                .map(str::to_owned)
        };
        let version = match field("valkey_version") {
            Some(version) => format!("valkey {version}"),
            None => format!("redis {}", field("redis_version").unwrap_or_default()),
        };
        Self {
            _process: process,
            connection,
            address,
            version,
            dir,
        }
    }

    /// Where its files are.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Sends a command and waits for its reply.
    pub fn call(&mut self, words: &[&[u8]]) -> Value {
        self.connection.call(words)
    }

    /// Ends the connection that [`call`](Self::call) uses, so that the server has only those that a test opens.
    pub fn hang_up(&mut self) {
        self.connection.call(&[b"QUIT"]);
        // The end comes when the server has forgotten the client.
        let end = self.connection.stream.read(&mut [0]);
        assert!(matches!(end, Ok(0)), "the server closes");
    }

    /// Where it listens.
    pub fn address(&self) -> std::net::SocketAddr {
        self.address
    }

    /// A new connection over TCP.
    pub fn connect(&self) -> crate::connection::Connection {
        crate::connection::Connection::open(self.address)
    }

    /// The number of its first version part: 7 of `redis 7.0.15`.
    pub fn major(&self) -> u32 {
        let number = self.version.split([' ', '.']).nth(1);
        number.and_then(|part| part.parse().ok()).unwrap_or(0)
    }

    /// Whether it is Redis 7.0, which lacks much and does many a thing in an older way.
    pub fn is_old(&self) -> bool {
        self.version.starts_with("redis 7.0")
    }

    /// Whether it is a Valkey.
    pub fn is_valkey(&self) -> bool {
        self.version.starts_with("valkey")
    }
}

/// Stopped when dropped, whatever has gone wrong.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It has nothing to lose, and an error here could only hide the test's own.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A connection that waits for each reply.
pub struct Connection {
    stream: UnixStream,
    input: BytesMut,
    decoder: ReplyDecoder,
}

impl Connection {
    fn new(stream: UnixStream) -> Self {
        Self {
            stream,
            input: BytesMut::new(),
            decoder: ReplyDecoder::new(),
        }
    }

    /// Connects to a server of any kind at its Unix socket.
    pub fn open(socket: &Path) -> std::io::Result<Self> {
        UnixStream::connect(socket).map(Self::new)
    }

    /// Sends a command and waits for its reply.
    pub fn call(&mut self, words: &[&[u8]]) -> Value {
        let mut request = Vec::new();
        encode_command(&mut request, words);
        self.stream.write_all(&request).expect("the server reads");
        loop {
            let decoded = self.decoder.decode(&mut self.input, &Limits::default());
            if let Some(value) = decoded.expect("the reply is RESP") {
                return value;
            }
            let mut chunk = [0; 16 * 1024];
            let count = self.stream.read(&mut chunk).expect("the server answers");
            assert!(count > 0, "the server closed the connection");
            self.input.extend_from_slice(&chunk[..count]);
        }
    }
}
