//! A server of a run: started in a folder that may have files in it, asked, stopped.

use super::super::interrupt::Interrupt;
use super::super::server::{connect, dying_with_us, free_address};
use anyhow::{Context, Result, bail, ensure};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub(super) struct Program {
    pub(super) name: String,
    pub(super) path: PathBuf,
    /// Of DJR: its workers.
    pub(super) threads: Option<usize>,
}

/// Dropping it kills the process.
pub(super) struct Process {
    child: Child,
    pub(super) address: SocketAddr,
    /// From its start until it answered.
    pub(super) ready_after: Duration,
}

/// Loading a file may take long.
const START_MAX: Duration = Duration::from_secs(600);

impl Program {
    /// Starts it in this folder, and waits until it has loaded what is there.
    pub(super) fn start(
        &self,
        dir: &Path,
        append_only: bool,
        interrupt: &Interrupt,
    ) -> Result<Process> {
        let address = free_address()?;
        let output = File::create(dir.join("output"))?;
        let mut command = dying_with_us(&self.path);
        if let Some(threads) = self.threads {
            command.args(["--threads", &threads.to_string()]);
        }
        command
            .args(["--port", &address.port().to_string()])
            .args(["--bind", "127.0.0.1", "--save", ""])
            .args(["--appendonly", if append_only { "yes" } else { "no" }])
            .args(["--auto-aof-rewrite-percentage", "0"])
            .arg("--dir")
            .arg(dir)
            .current_dir(dir)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        let began = Instant::now();
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {}", self.path.display()))?;
        let mut process = Process {
            child,
            address,
            ready_after: Duration::ZERO,
        };
        while !process.is_ready() {
            interrupt.check()?;
            if let Some(status) = process.child.try_wait()? {
                let said = std::fs::read_to_string(dir.join("output")).unwrap_or_default();
                let lines: Vec<_> = said.lines().collect();
                let last = lines[lines.len().saturating_sub(12)..].join("\n");
                bail!("{} ended ({status}); it said:\n{last}", self.name);
            }
            ensure!(began.elapsed() < START_MAX, "{} does not answer", self.name);
            std::thread::sleep(Duration::from_millis(2));
        }
        process.ready_after = began.elapsed();
        Ok(process)
    }
}

impl Process {
    fn is_ready(&self) -> bool {
        self.ask(&["PING"]).is_ok_and(|reply| reply == "+PONG")
    }

    /// The first line of a reply.
    pub(super) fn ask(&self, words: &[&str]) -> Result<String> {
        let mut stream = connect(self.address)?;
        let mut request = Vec::new();
        super::client::encode(&mut request, words);
        stream.write_all(&request)?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }

    /// As [`ask`](Self::ask); an error if the reply is one.
    pub(super) fn order(&self, words: &[&str]) -> Result<()> {
        let reply = self.ask(words)?;
        ensure!(!reply.starts_with('-'), "{words:?}: {reply}");
        Ok(())
    }

    /// Whether a snapshot or a rewrite is under way.
    pub(super) fn is_busy(&self) -> Result<bool> {
        is_busy(&mut connect(self.address)?)
    }

    /// Looks now and then whether a snapshot or a rewrite is under way, so that who measures need not wait for the answer.
    pub(super) fn watch(&self) -> Result<Watch> {
        const EVERY: Duration = Duration::from_millis(20);
        let mut stream = connect(self.address)?;
        let shared = Arc::new(Watched::default());
        let told = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            while !told.ends.load(Relaxed) {
                std::thread::sleep(EVERY);
                // A server that does not answer ends what is measured, too.
                if !is_busy(&mut stream).unwrap_or(false) {
                    told.was_idle.store(true, Relaxed);
                }
            }
        });
        Ok(Watch {
            shared,
            thread: Some(thread),
        })
    }

    /// Waits until nothing is under way; how long that took.
    pub(super) fn wait_idle(&self, interrupt: &Interrupt) -> Result<Duration> {
        let began = Instant::now();
        while self.is_busy()? {
            interrupt.check()?;
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(began.elapsed())
    }

    /// Memory of it and its children that belongs to nobody else, and its share of the rest: bytes.
    pub(super) fn memory(&self) -> u64 {
        let mut total = proportional(self.child.id());
        let id = self.child.id();
        let children =
            std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
        for child in children.split_whitespace() {
            total += child.parse().map_or(0, proportional);
        }
        total
    }
}

/// Whether a snapshot or a rewrite is under way.
fn is_busy(stream: &mut TcpStream) -> Result<bool> {
    stream.write_all(b"INFO persistence\r\n")?;
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    reader.read_line(&mut head)?;
    let len: u64 = head
        .trim_end()
        .trim_start_matches('$')
        .parse()
        .with_context(|| format!("INFO says {head}"))?;
    let mut text = String::new();
    // And the end of the line behind it.
    reader.take(len + 2).read_to_string(&mut text)?;
    let jobs = ["rdb_bgsave_in_progress", "aof_rewrite_in_progress"];
    let mut fields = text.lines().filter_map(|line| line.split_once(':'));
    Ok(fields.any(|(name, value)| jobs.contains(&name) && value.trim() == "1"))
}

#[derive(Default)]
struct Watched {
    was_idle: AtomicBool,
    ends: AtomicBool,
}

/// Asks in the background until it is dropped.
pub(super) struct Watch {
    shared: Arc<Watched>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Whether there was something under way whenever it looked.
    pub(super) fn is_busy(&self) -> bool {
        !self.shared.was_idle.load(Relaxed)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.shared.ends.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            // It does not panic.
            let _ = thread.join();
        }
    }
}

/// Of files that it has mapped nothing counts: the page cache is not its memory.
fn proportional(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let field = |name: &str| -> u64 {
        let found = text.lines().find_map(|line| line.strip_prefix(name));
        found
            .and_then(|rest| rest.trim().trim_end_matches(" kB").trim().parse().ok())
            .unwrap_or(0)
    };
    let anonymous = field("Pss_Anon:");
    1024 * if anonymous > 0 {
        anonymous
    } else {
        field("Pss:")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
