//! `cargo xtask bench cli`: djr-cli beside redis-cli and valkey-cli, as whole processes, into the same servers.
//!
//! | load | one run |
//! |---|---|
//! | `start` | `GET` of one key, as a command on the command line |
//! | `pipe` | `--pipe` of a file of SETs, into the empty server |
//! | `scan` | `--scan` of all keys, into /dev/null |
//! | `bigkeys` | `--bigkeys` over all keys, into /dev/null |
//!
//! The clients take turns, in an order that rotates; the server has the first core, they have the second. Beside the median of their
//! times stands how busy the server was: at 100 % no client can be faster.

use super::build;
use super::interrupt::Interrupt;
use super::server::{Contender, Durability, Kind, Running, pin, usable_cores};
use super::stats::{Spread, pairwise_ratio, spread};
use super::usage::CpuUsage;
use crate::{paths, peers};
use anyhow::{Context, Result, bail, ensure};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// Measure djr-cli beside redis-cli and valkey-cli: start-up, --pipe, --scan, --bigkeys.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The servers that they work with: djr, valkey, redis
    #[arg(long, value_delimiter = ',', default_value = "djr,valkey,redis")]
    servers: Vec<String>,
    /// How often each client does each of the long loads
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// How often each is started for one command
    #[arg(long, default_value_t = 300)]
    starts: usize,
    /// Keys that are written, listed and searched
    #[arg(long, default_value_t = 1_000_000)]
    keys: u64,
    /// The djr-cli to measure, instead of building this tree's
    #[arg(long, value_name = "PATH")]
    cli: Option<PathBuf>,
    /// The djr-server to work with, instead of building this tree's
    #[arg(long, value_name = "PATH")]
    djr: Option<PathBuf>,
    /// Where the peers are [default: bench/peers in this repository]
    #[arg(long, value_name = "DIR")]
    peers: Option<PathBuf>,
}

/// A client, and what comes before its arguments.
struct Client {
    name: String,
    command: Vec<PathBuf>,
}

/// What a client did.
struct Sample {
    load: &'static str,
    server: String,
    client: usize,
    round: usize,
    seconds: f64,
    /// The part of that time in which the server was at work.
    busy: f64,
}

const LOADS: [&str; 4] = ["start", "pipe", "scan", "bigkeys"];

pub(super) fn run(args: &Args) -> Result<()> {
    ensure!(
        args.rounds > 0 && args.starts > 0 && args.keys > 0,
        "--rounds, --starts and --keys begin at 1"
    );
    let interrupt = Interrupt::install()?;
    std::fs::create_dir_all(paths::target())?;
    let scratch = tempfile::Builder::new()
        .prefix("bench-cli-")
        .tempdir_in(paths::target())?;
    let clients = clients(args)?;
    let contenders = servers(args)?;
    let [server_core, client_core, ..] = usable_cores()?[..] else {
        bail!("the benchmark needs two cores")
    };
    pin(&[client_core])?;
    let file = scratch.path().join("sets");
    write_sets(&file, args.keys)?;

    let mut samples = Vec::new();
    for contender in &contenders {
        let running = contender.start(
            Durability::None,
            b"",
            &[server_core],
            scratch.path(),
            &interrupt,
        )?;
        eprintln!("== {} {}", contender.name, running.version()?);
        let mut bench = Bench {
            clients: &clients,
            server: &contender.name,
            running: &running,
            file: &file,
            keys: args.keys,
            interrupt: &interrupt,
            samples: &mut samples,
        };
        for round in 1..=args.rounds {
            for load in ["pipe", "scan", "bigkeys"] {
                bench.turn(load, round)?;
            }
        }
        for round in 1..=args.starts {
            bench.turn("start", round)?;
        }
    }
    println!("{}", markdown(&clients, &contenders, &samples)?);
    Ok(())
}

fn clients(args: &Args) -> Result<Vec<Client>> {
    let own = match &args.cli {
        Some(path) => std::path::absolute(path).context("--cli")?,
        None => build::release("djr-cli")?,
    };
    let mut clients = vec![Client {
        name: "djr-cli".to_owned(),
        command: vec![own],
    }];
    if let Some(path) = std::env::var_os("PATH")
        && let Some(program) = std::env::split_paths(&path)
            .map(|dir| dir.join("redis-cli"))
            .find(|program| program.is_file())
    {
        clients.push(Client {
            name: String::new(),
            command: vec![program],
        });
    }
    let dir = args.peers.clone().unwrap_or_else(peers::default_dir);
    for name in ["redis-cli", "valkey-cli"] {
        clients.push(Client {
            name: String::new(),
            command: peers::without_launcher(&dir, name)
                .with_context(|| format!("{name}: `cargo xtask peers` brings it"))?,
        });
    }
    for client in clients.iter_mut().skip(1) {
        let output = client.start().arg("--version").output()?;
        let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        client.name = version;
    }
    Ok(clients)
}

fn servers(args: &Args) -> Result<Vec<Contender>> {
    let peers = args.peers.clone().unwrap_or_else(peers::default_dir);
    args.servers
        .iter()
        .map(|name| {
            let (kind, program) = match name.as_str() {
                "djr" => (
                    Kind::Djr { workers: 1 },
                    match &args.djr {
                        Some(path) => std::path::absolute(path).context("--djr")?,
                        None => build::release("djr-server")?,
                    },
                ),
                "valkey" | "redis" => (
                    Kind::Redis,
                    peers.join("bin").join(format!("{name}-server")),
                ),
                _ => bail!("--servers: what is {name}? One of djr, valkey, redis"),
            };
            Ok(Contender {
                name: name.clone(),
                kind,
                program,
            })
        })
        .collect()
}

impl Client {
    fn start(&self) -> Command {
        let mut command = Command::new(&self.command[0]);
        command.args(&self.command[1..]);
        for name in ["REDISCLI_AUTH", "VALKEYCLI_AUTH", "DJRCLI_AUTH", "FAKETTY"] {
            command.env_remove(name);
        }
        command
    }
}

struct Bench<'a> {
    clients: &'a [Client],
    server: &'a str,
    running: &'a Running,
    file: &'a Path,
    keys: u64,
    interrupt: &'a Interrupt,
    samples: &'a mut Vec<Sample>,
}

impl Bench<'_> {
    /// Each client once; nobody always goes first, or after the same one.
    fn turn(&mut self, load: &'static str, round: usize) -> Result<()> {
        for turn in 0..self.clients.len() {
            self.interrupt.check()?;
            let client = (turn + round) % self.clients.len();
            if load == "pipe" {
                self.running.flush()?;
            }
            let (seconds, busy) = match self.measure(load, client) {
                Ok(measured) => measured,
                // A peer that can't do it with this server is left out.
                Err(error) if client > 0 => {
                    eprintln!("{load} of {}: {error:#}", self.clients[client].name);
                    continue;
                }
                Err(error) => return Err(error.context(load)),
            };
            if load == "pipe" {
                let count = self.running.key_count()?;
                ensure!(count == self.keys, "{count} keys, not {}", self.keys);
            }
            self.samples.push(Sample {
                load,
                server: self.server.to_owned(),
                client,
                round,
                seconds,
                busy,
            });
        }
        Ok(())
    }

    fn measure(&self, load: &str, client: usize) -> Result<(f64, f64)> {
        let mut command = self.clients[client].start();
        command
            .args(["-p", &self.running.address.port().to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        match load {
            "start" => command.args(["get", "key:000000000001"]),
            "pipe" => command.arg("--pipe").stdin(File::open(self.file)?),
            "scan" => command.arg("--scan"),
            _ => command.arg("--bigkeys"),
        };
        let before = CpuUsage::of(self.running.pid())?;
        let begun = Instant::now();
        let status = command.status()?;
        let seconds = begun.elapsed().as_secs_f64();
        let used = CpuUsage::of(self.running.pid())?.since(before);
        ensure!(status.success(), "it ended with {status}");
        Ok((seconds, used.on_cpu_ns as f64 / 1e9 / seconds))
    }
}

/// SETs of 16-byte keys and 16-byte values, as `--pipe` takes them.
fn write_sets(path: &Path, keys: u64) -> Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    for number in 0..keys {
        write!(
            file,
            "*3\r\n$3\r\nSET\r\n$16\r\nkey:{number:012}\r\n$16\r\nval:{number:012}\r\n"
        )?;
    }
    file.flush()?;
    Ok(())
}

fn markdown(clients: &[Client], servers: &[Contender], samples: &[Sample]) -> Result<String> {
    let mut out = String::from(
        "| load | server | client | ms (median) | djr-cli is faster by | server busy |\n|---|---|---|---:|---:|---:|\n",
    );
    for load in LOADS {
        for server in servers {
            let of = |client: usize| -> Vec<&Sample> {
                samples
                    .iter()
                    .filter(|s| s.load == load && s.server == server.name && s.client == client)
                    .collect()
            };
            let times = |client| -> Vec<(usize, f64)> {
                of(client).iter().map(|s| (s.round, s.seconds)).collect()
            };
            for (index, client) in clients.iter().enumerate() {
                let time = spread(times(index).iter().map(|(_, seconds)| seconds * 1e3));
                let busy = spread(of(index).iter().map(|sample| sample.busy * 100.0));
                let (Some(time), Some(busy)) = (time, busy) else {
                    continue;
                };
                let ratio = match index {
                    0 => String::new(),
                    _ => match pairwise_ratio(&times(index), &times(0)) {
                        Some(Spread { median, min, max }) if load != "start" => {
                            format!("{median:.2}x ({min:.2} to {max:.2})")
                        }
                        Some(Spread { median, .. }) => format!("{median:.2}x"),
                        None => String::new(),
                    },
                };
                out.push_str(&format!(
                    "| {load} | {} | {} | {:.2} | {ratio} | {:.0} % |\n",
                    server.name, client.name, time.median, busy.median
                ));
            }
        }
    }
    Ok(out)
}
