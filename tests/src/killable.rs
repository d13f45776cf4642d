//! The server's program as a child process that is killed, not stopped.
//!
//! Needs the program itself: `cargo build -p djr-server`.

use std::cell::RefCell;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::connection::Connection;
use crate::ports::free_port;

/// A server that is killed when it is dropped.
pub struct Killable {
    process: RefCell<Child>,
    address: SocketAddr,
}

impl Killable {
    /// Starts a server on a free port, with its data in `dir`, and these words more on its command line.
    pub fn start(dir: &Path, words: &[&str]) -> Self {
        Self::try_start(dir, words).unwrap_or_else(|text| panic!("the server has ended: {text}"))
    }

    /// As [`start`](Self::start), but no file may become longer than so many blocks (of 512 or 1024 bytes): as on a disk that is full.
    pub fn start_on_small_disk(dir: &Path, words: &[&str], blocks: u32) -> Self {
        let mut shell = Command::new("sh");
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\"");
        shell.args(["-c", &script, "sh"]).arg(program());
        Self::try_start_by(shell, dir, words)
            .unwrap_or_else(|text| panic!("the server has ended: {text}"))
    }

    /// As [`start`](Self::start), but does not wait until the data set is loaded.
    pub fn start_loading(dir: &Path, words: &[&str]) -> Self {
        Self::start_until(Command::new(program()), dir, words, |reply| {
            reply == b"+PONG\r\n" || reply == b"-LOADIN"
        })
        .unwrap_or_else(|text| panic!("the server has ended: {text}"))
    }

    /// The same as [`start`](Self::start); `Err` with what it said if it ended instead of getting ready.
    pub fn try_start(dir: &Path, words: &[&str]) -> Result<Self, String> {
        Self::try_start_by(Command::new(program()), dir, words)
    }

    fn try_start_by(command: Command, dir: &Path, words: &[&str]) -> Result<Self, String> {
        Self::start_until(command, dir, words, |reply| reply == b"+PONG\r\n")
    }

    /// `is_ready` is given the first bytes of the reply to PING.
    fn start_until(
        mut command: Command,
        dir: &Path,
        words: &[&str],
        is_ready: fn(&[u8]) -> bool,
    ) -> Result<Self, String> {
        let address = free_port();
        let log = dir.with_extension("log");
        let process = command
            .args(["--port", &address.port().to_string(), "--logfile"])
            .arg(&log)
            .arg("--dir")
            .arg(dir)
            .args(words)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let server = Self {
            process: process.into(),
            address,
        };
        let deadline = Instant::now() + Duration::from_secs(60);
        while !server.is_ready(is_ready) {
            let ended = server.process.borrow_mut().try_wait().expect("a child");
            if let Some(status) = ended {
                let mut text = format!("{status}: ");
                let mut process = server.process.borrow_mut();
                let pipe = process.stderr.as_mut().expect("a pipe");
                pipe.read_to_string(&mut text).expect("text");
                return Err(text);
            }
            assert!(Instant::now() < deadline, "the server does not get ready");
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(server)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A new connection.
    pub fn connect(&self) -> Connection {
        Connection::open(self.address)
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.borrow().id()
    }

    /// kill -9.
    pub fn kill(&self) {
        let mut process = self.process.borrow_mut();
        process.kill().expect("killed");
        process.wait().expect("gone");
    }

    /// Waits for it to end by itself.
    pub fn wait(&self) -> ExitStatus {
        self.process.borrow_mut().wait().expect("a child")
    }

    fn is_ready(&self, is_ready: fn(&[u8]) -> bool) -> bool {
        let Ok(mut stream) = TcpStream::connect(self.address) else {
            return false;
        };
        let mut reply = [0; 7];
        let asked = stream.write_all(b"PING\r\n");
        asked.is_ok() && stream.read_exact(&mut reply).is_ok() && is_ready(&reply)
    }
}

impl Drop for Killable {
    fn drop(&mut self) {
        let process = self.process.get_mut();
        // It may have been killed already.
        let _ = process.kill();
        let _ = process.wait();
    }
}

/// The server's program, which lies beside the directory of this test's.
pub fn program() -> PathBuf {
    let test = std::env::current_exe().expect("this program");
    let program = test
        .parent()
        .and_then(Path::parent)
        .map(|dir| dir.join("djr-server"))
        .expect("a directory");
    assert!(
        program.is_file(),
        "{} is missing: build it first with `cargo build -p djr-server`",
        program.display()
    );
    program
}
