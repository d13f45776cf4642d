//! The servers under measurement: how they are named, started, asked and stopped.

use super::interrupt::Interrupt;
use super::null;
use anyhow::{Context, Result, bail, ensure};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// What is started, and how it is told the number of its threads.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    /// `djr-server`, with this many workers.
    Djr { workers: usize },
    /// The same with one worker, and with metrics, which are read every second.
    Metrics,
    /// Valkey and Redis, old and new.
    Redis,
    /// Our own, which only replies.
    Null,
}

/// One server of a run.
#[derive(Clone, Debug)]
pub(crate) struct Contender {
    /// What the table calls it.
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) program: PathBuf,
}

/// When what was written has to be on the disk.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Durability {
    None,
    EverySecond,
    Always,
}

/// A server that runs. Dropping it kills the process and removes its folder.
pub(crate) struct Running {
    child: Child,
    pub(crate) address: SocketAddr,
    _reader: Option<MetricsReader>,
    _dir: TempDir,
}

/// Reads metrics every second, as Prometheus would, until it is dropped.
struct MetricsReader(Arc<AtomicBool>);

impl MetricsReader {
    fn start(address: SocketAddr) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let reader = Self(ended.clone());
        std::thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                // Until the server listens, and when it has ended, there is nothing to read.
                if let Ok(mut stream) = TcpStream::connect(address)
                    && stream
                        .write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
                        .is_ok()
                {
                    let _ = stream.read_to_end(&mut Vec::new());
                }
                std::thread::sleep(Duration::from_secs(1));
            }
        });
        reader
    }
}

impl Drop for MetricsReader {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

const START_MAX: Duration = Duration::from_secs(20);

impl Contender {
    /// Whether the goals are its own.
    pub(crate) fn is_djr(&self) -> bool {
        matches!(self.kind, Kind::Djr { .. } | Kind::Metrics)
    }

    /// Starts the server with an empty folder below `scratch`, on the given cores, and waits until it
    /// answers. `reply` is what the null server sends.
    pub(crate) fn start(
        &self,
        durability: Durability,
        reply: &[u8],
        cores: &[usize],
        scratch: &Path,
        interrupt: &Interrupt,
    ) -> Result<Running> {
        self.start_with(durability, reply, &[], cores, scratch, interrupt)
    }

    /// The same with these options on its command line.
    pub(crate) fn start_with(
        &self,
        durability: Durability,
        reply: &[u8],
        options: &[&str],
        cores: &[usize],
        scratch: &Path,
        interrupt: &Interrupt,
    ) -> Result<Running> {
        let dir = tempfile::Builder::new()
            .prefix("server-")
            .tempdir_in(scratch)?;
        let address = free_address()?;
        let log = dir.path().join("output");
        let output = File::create(&log)?;
        let mut command = self.command(durability, reply, address.port(), dir.path());
        command.args(options);
        let metrics = match self.kind {
            Kind::Metrics => Some(free_address()?),
            _ => None,
        };
        if let Some(address) = metrics {
            command.args(["--metrics-port", &address.port().to_string()]);
        }
        command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        // A child inherits the cores of the thread that starts it; all its threads will.
        let own = sched_getaffinity(None)?;
        sched_setaffinity(None, &cpu_set(cores))
            .with_context(|| format!("cannot use the cores {cores:?}"))?;
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {}", self.program.display()));
        sched_setaffinity(None, &own)?;
        let mut running = Running {
            child: child?,
            address,
            _reader: metrics.map(MetricsReader::start),
            _dir: dir,
        };

        let deadline = Instant::now() + START_MAX;
        while !self.answers(address) {
            interrupt.check()?;
            let ended = running.child.try_wait()?;
            if ended.is_some() || Instant::now() > deadline {
                let how = ended.map_or_else(
                    || "does not answer".to_owned(),
                    |status| format!("ended ({status})"),
                );
                let said = std::fs::read_to_string(&log).unwrap_or_default();
                let lines = said.lines().collect::<Vec<_>>();
                bail!(
                    "{} {how}; it said:\n{}",
                    self.name,
                    lines[lines.len().saturating_sub(12)..].join("\n")
                );
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(running)
    }

    fn command(&self, durability: Durability, reply: &[u8], port: u16, dir: &Path) -> Command {
        let mut command = dying_with_us(&self.program);
        let port = port.to_string();
        if self.kind == Kind::Null {
            command.args([
                "null-server",
                "--port",
                &port,
                "--reply",
                &null::escape(reply),
            ]);
            return command;
        }
        let (threads, count) = match self.kind {
            Kind::Djr { workers } => ("--threads", workers),
            Kind::Metrics => ("--threads", 1),
            Kind::Redis | Kind::Null => ("--io-threads", 1),
        };
        command.args([
            threads,
            &count.to_string(),
            "--port",
            &port,
            "--bind",
            "127.0.0.1",
            "--save",
            "",
        ]);
        command.arg("--dir").arg(dir);
        match durability {
            Durability::None => command.args(["--appendonly", "no"]),
            // Rewrites are another measurement; they would fall into some windows and not into others.
            Durability::EverySecond => command.args(["--appendfsync", "everysec"]),
            Durability::Always => command.args(["--appendfsync", "always"]),
        };
        if durability != Durability::None {
            command.args(["--appendonly", "yes", "--auto-aof-rewrite-percentage", "0"]);
        }
        command.current_dir(dir);
        command
    }

    /// The null server's only reply is a canned one; that it listens must do.
    fn answers(&self, address: SocketAddr) -> bool {
        if self.kind == Kind::Null {
            return TcpStream::connect(address).is_ok();
        }
        ask(address, "PING\r\n").is_ok_and(|line| line == "+PONG")
    }
}

impl Running {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Empties it.
    pub(crate) fn flush(&self) -> Result<()> {
        let line = ask(self.address, "FLUSHALL\r\n")?;
        ensure!(line == "+OK", "FLUSHALL says {line}");
        Ok(())
    }

    /// Number of keys in database 0.
    pub(crate) fn key_count(&self) -> Result<u64> {
        let line = ask(self.address, "DBSIZE\r\n")?;
        line.strip_prefix(':')
            .and_then(|count| count.parse().ok())
            .with_context(|| format!("DBSIZE says {line}"))
    }

    /// The server's version in its own words: `valkey_version` and so on, of `INFO server`.
    pub(crate) fn version(&self) -> Result<String> {
        let mut stream = connect(self.address)?;
        stream.write_all(b"INFO server\r\n")?;
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        reader.read_line(&mut head)?;
        let len = head
            .trim_end()
            .strip_prefix('$')
            .and_then(|len| len.parse::<u64>().ok());
        let mut text = String::new();
        reader
            .take(len.with_context(|| format!("INFO says {head}"))?)
            .read_to_string(&mut text)?;
        // Valkey and DJR also tell the Redis version that they are compatible with.
        let field = |name: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        };
        let version = ["djr_version", "valkey_version", "redis_version"]
            .into_iter()
            .find_map(field);
        Ok(version.unwrap_or("unknown").trim().to_owned())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Nothing it has is worth a clean stop. Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `Drop` stops the children on errors, panics and Ctrl-C; `setpriv` (util-linux) also sees to it when
/// this process itself is killed.
pub(super) fn dying_with_us(program: &Path) -> Command {
    if Command::new("setpriv")
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success())
    {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(program);
        command
    } else {
        Command::new(program)
    }
}

pub(super) fn ask(address: SocketAddr, request: &str) -> Result<String> {
    let mut stream = connect(address)?;
    stream.write_all(request.as_bytes())?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    ensure!(!line.is_empty(), "no reply");
    Ok(line.trim_end().to_owned())
}

pub(super) fn connect(address: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(START_MAX))?;
    Ok(stream)
}

pub(super) fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// Pins the calling thread.
pub(crate) fn pin(cores: &[usize]) -> Result<()> {
    sched_setaffinity(None, &cpu_set(cores))
        .with_context(|| format!("cannot use the cores {cores:?}"))
}

/// The cores that this process may use, ascending.
pub(crate) fn usable_cores() -> Result<Vec<usize>> {
    let set = sched_getaffinity(None)?;
    Ok((0..CpuSet::MAX_CPU)
        .filter(|&core| set.is_set(core))
        .collect())
}

fn cpu_set(cores: &[usize]) -> CpuSet {
    let mut set = CpuSet::new();
    for &core in cores {
        set.set(core);
    }
    set
}
