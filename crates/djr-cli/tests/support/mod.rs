//! A server that gives the same answer to everything, and what a program does when it talks to it.

#![allow(dead_code)] // Each test file uses a part of it.

use std::ffi::OsStr;
use std::hash::{BuildHasher, RandomState};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use djr_protocol::{Batch, Limits, RequestDecoder};

/// No program takes that long, on any machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A port that is free now, below those that the kernel gives to clients: one of them could sit on it when a server comes. The one that a
/// cluster's server wants besides, 10000 higher, is free, too.
pub(crate) fn free_port() -> u16 {
    let is_free = |port: &u16| {
        let ports = [*port, port + 10_000];
        ports
            .iter()
            .all(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
    };
    let random = |_| 20_000 + (RandomState::new().hash_one(0) % 12_000) as u16;
    (0..1000).map(random).find(is_free).unwrap()
}

/// Requests as they came, one line each.
type Log = Arc<Mutex<Vec<String>>>;

/// A server on a port of its own, which ends with the test.
pub(crate) struct FakeServer {
    pub(crate) port: u16,
    log: Log,
}

impl FakeServer {
    /// Answers each request with `reply`, also `AUTH` and the like unless `logs_in`.
    pub(crate) fn start(reply: &[u8], logs_in: bool) -> FakeServer {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let log = Log::default();
        let (reply, shared) = (reply.to_vec(), Arc::clone(&log));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (reply, log) = (reply.clone(), Arc::clone(&shared));
                thread::spawn(move || serve(stream, &reply, logs_in, &log));
            }
        });
        FakeServer { port, log }
    }

    /// What was asked since the last call. Prompts ask for `COMMAND DOCS` and `INFO` when they like;
    /// that is left out.
    pub(crate) fn take_log(&self) -> Vec<String> {
        let mut lines = std::mem::take(&mut *self.log.lock().unwrap());
        lines.retain(|line| !line.starts_with("COMMAND") && !line.starts_with("INFO"));
        lines
    }
}

fn serve(mut stream: TcpStream, reply: &[u8], logs_in: bool, log: &Log) {
    let (mut decoder, mut batch) = (RequestDecoder::new(), Batch::new());
    let (mut input, mut chunk) = (Vec::new(), [0; 4096]);
    while let Ok(len @ 1..) = stream.read(&mut chunk) {
        input.extend_from_slice(&chunk[..len]);
        batch.clear();
        let taken = decoder
            .decode(&input, &Limits::default(), &mut batch)
            .unwrap();
        for request in batch.iter(&input) {
            let words: Vec<String> = request
                .iter()
                .map(|word| word.escape_ascii().to_string())
                .collect();
            log.lock().unwrap().push(words.join(" "));
            let answer: &[u8] = match request.name().to_ascii_uppercase().as_slice() {
                b"COMMAND" => b"-ERR unknown command\r\n",
                // redis-cli 8 asks for the version before it helps.
                b"INFO" if words == ["INFO"] || words == ["INFO", "SERVER"] => {
                    b"$21\r\nredis_version:8.0.0\r\n\r\n"
                }
                b"HELLO" if logs_in => {
                    b"%2\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$5\r\n7.0.0\r\n"
                }
                b"AUTH" | b"SELECT" if logs_in => b"+OK\r\n",
                _ => reply,
            };
            if stream.write_all(answer).is_err() {
                return;
            }
        }
        input.drain(..taken);
    }
}

/// What came out of a program.
#[derive(PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    pub(crate) status: Option<i32>,
}

impl Outcome {
    /// valkey-cli calls itself and its server by their names; we say what redis-cli says.
    pub(crate) fn with_names_of_redis(mut self) -> Outcome {
        for text in [&mut self.stdout, &mut self.stderr] {
            *text = text.replace_all(b"connect to Valkey at", b"connect to Redis at");
            *text = text.replace_all(b"Invalid valkey-cli", b"Invalid redis-cli");
            *text = text.replace_all(b"unknown valkey-cli", b"unknown redis-cli");
        }
        self
    }
}

trait ReplaceAll {
    fn replace_all(&self, from: &[u8], to: &[u8]) -> Vec<u8>;
}

impl ReplaceAll for Vec<u8> {
    fn replace_all(&self, from: &[u8], to: &[u8]) -> Vec<u8> {
        let (mut out, mut rest) = (Vec::new(), self.as_slice());
        while let Some(at) = rest.windows(from.len()).position(|window| window == from) {
            out.extend_from_slice(&rest[..at]);
            out.extend_from_slice(to);
            rest = &rest[at + from.len()..];
        }
        out.extend_from_slice(rest);
        out
    }
}

impl std::fmt::Debug for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "status {:?}", self.status)?;
        writeln!(f, "stdout {}", self.stdout.escape_ascii())?;
        write!(f, "stderr {}", self.stderr.escape_ascii())
    }
}

/// Runs a program to its end, in an environment without the settings of whoever runs the tests.
pub(crate) fn run<S: AsRef<OsStr>>(
    program: impl AsRef<OsStr>,
    args: &[S],
    env: &[(&str, &str)],
    stdin: &[u8],
) -> Outcome {
    let mut child = Command::new(program)
        .args(args)
        .env_remove("FAKETTY")
        .env_remove("REDISCLI_AUTH")
        .env_remove("DJRCLI_AUTH")
        .env("HOME", "/nonexistent")
        .env("LC_ALL", "C")
        .envs(env.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Dropped at the end of the statement, so the program sees the end of its input.
    let _ = child.stdin.take().unwrap().write_all(stdin);
    let readers = (
        drain(child.stdout.take().unwrap()),
        drain(child.stderr.take().unwrap()),
    );
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status.code();
        }
        if begun.elapsed() > PATIENCE {
            child.kill().unwrap();
        }
        thread::sleep(Duration::from_millis(1));
    };
    Outcome {
        stdout: readers.0.join().unwrap(),
        stderr: readers.1.join().unwrap(),
        status,
    }
}

fn drain(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).unwrap();
        bytes
    })
}

/// Whether `script(1)` is there, to make a terminal with. If not, says so; where `CI=true`, fails.
pub(crate) fn has_terminal() -> bool {
    let is_there = run("sh", &["-c", "command -v script"], &[], b"").status == Some(0);
    if !is_there {
        let is_ci = std::env::var("CI").is_ok_and(|value| value == "true");
        assert!(!is_ci, "no script(1) to make a terminal with, and CI=true");
        eprintln!("SKIPPED: no script(1) to make a terminal with");
    }
    is_there
}

/// The programs to be compared with: those in `DJR_REDIS_CLI` (separated by colons), or `redis-cli` on the path and what `cargo
/// xtask peers` has unpacked. Without any, says so; where `CI=true`, fails.
pub(crate) fn peers() -> Vec<PathBuf> {
    let found: Vec<PathBuf> = match std::env::var_os("DJR_REDIS_CLI") {
        Some(paths) => std::env::split_paths(&paths)
            .filter(|path| !path.as_os_str().is_empty())
            .collect(),
        None => {
            let path = std::env::var_os("PATH").unwrap_or_default();
            std::env::split_paths(&path)
                .map(|dir| dir.join("redis-cli"))
                .find(|file| file.is_file())
                .into_iter()
                .chain(unpacked("redis-cli"))
                .chain(unpacked("valkey-cli"))
                .collect()
        }
    };
    if found.is_empty() {
        let is_ci = std::env::var("CI").is_ok_and(|value| value == "true");
        assert!(!is_ci, "no redis-cli to compare with, and CI=true");
        eprintln!("SKIPPED: no redis-cli to compare with (install one, or set DJR_REDIS_CLI)");
    }
    found
}

/// A program that `cargo xtask peers` has unpacked, of this name. Where that ran, it must be there.
pub(crate) fn unpacked(name: &str) -> Option<PathBuf> {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bench/peers/bin");
    if !dir.is_dir() {
        eprintln!("SKIPPED: no {name} of `cargo xtask peers` to compare with");
        return None;
    }
    let program = dir.join(name);
    assert!(program.is_file(), "no {}", program.display());
    Some(program)
}
