//! `cargo xtask bench persistence`: what snapshots and rewrites cost those who use the server meanwhile, and how long files take to load.
//!
//! | scenario | what is measured |
//! |---|---|
//! | `pause` | latency under an even load, half of it writes: without anything, during a snapshot, during a rewrite of the log |
//! | `memory` | resident memory (children included) above that before, while a fifth of the keys is overwritten during a snapshot |
//! | `large` | latency of writes to one value of a million elements, for each type, while it is read for a snapshot |
//! | `save` | how long a snapshot takes, alone and under full load; how much of the throughput is left |
//! | `load` | from start to the first reply, with the same RDB file for all |
//! | `replay` | the same with the same log of commands |
//!
//! The load comes on a schedule of its own, and latency counts from when a request was due: a server that stands still is charged for all that
//! waits. All take turns within one run.

mod client;
mod data;
mod process;
mod scenarios;
mod table;

use super::build;
use super::interrupt::Interrupt;
use super::machine::Machine;
use crate::{paths, peers};
use anyhow::{Context, Result, bail, ensure};
use process::Program;
use std::fmt::Write;
use std::path::PathBuf;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Which: pause, memory, large, save, load, replay [default: all]
    scenarios: Vec<Scenario>,
    /// Who takes part: djr, valkey, redis, or NAME=PATH of a server started as Redis is
    #[arg(long, value_delimiter = ',', default_value = "djr,valkey,redis")]
    servers: Vec<String>,
    /// Data sets: strings, mixed
    #[arg(long, value_delimiter = ',', default_value = "strings,mixed")]
    data: Vec<data::DataSet>,
    /// Keys of the string set; the mixed one has a tenth of them, with ten times as many elements in all
    #[arg(long, default_value_t = 5_000_000)]
    keys: u64,
    /// Elements of the large value
    #[arg(long, default_value_t = 1_000_000)]
    elements: u64,
    /// How often each is done; the median is told
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Shortest time that a load is kept up
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Requests per second of the even load
    #[arg(long, default_value_t = 20_000)]
    rate: u64,
    /// Threads of djr (the others run with one, and fork)
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// The djr-server to measure, instead of building this tree's
    #[arg(long, value_name = "PATH")]
    djr: Option<PathBuf>,
    /// Where the peers are [default: bench/peers in this repository]
    #[arg(long, value_name = "DIR")]
    peers: Option<PathBuf>,
    /// Also write the tables to this file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Scenario {
    Pause,
    Memory,
    Large,
    Save,
    Load,
    Replay,
}

const ALL: [Scenario; 6] = [
    Scenario::Pause,
    Scenario::Memory,
    Scenario::Large,
    Scenario::Save,
    Scenario::Load,
    Scenario::Replay,
];

/// What a run has.
struct Bench<'a> {
    args: &'a Args,
    programs: Vec<Program>,
    scratch: PathBuf,
    interrupt: Interrupt,
}

impl Bench<'_> {
    fn names(&self) -> Vec<&str> {
        let names = self.programs.iter().map(|program| &*program.name);
        names.collect()
    }
}

pub(crate) fn run(args: &Args) -> Result<()> {
    ensure!(
        args.rounds > 0 && args.keys >= 1000 && args.elements >= 1000 && args.rate >= 100,
        "--rounds begins at 1, --keys and --elements at 1000, --rate at 100"
    );
    let interrupt = Interrupt::install()?;
    std::fs::create_dir_all(paths::target())?;
    let scratch = tempfile::Builder::new()
        .prefix("bench-")
        .tempdir_in(paths::target())?;
    let bench = Bench {
        args,
        programs: programs(args)?,
        scratch: scratch.path().to_owned(),
        interrupt,
    };
    let machine = Machine::read();
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{}, {} cores, {} GiB; {} keys, {} rounds, {} requests/s\n",
        machine.cpu, machine.cores, machine.memory_gib, args.keys, args.rounds, args.rate
    );
    let wanted = if args.scenarios.is_empty() {
        &ALL[..]
    } else {
        &args.scenarios
    };
    let mut outcome = Ok(());
    for scenario in wanted {
        match scenarios::run(&bench, *scenario) {
            Ok(table) => text.push_str(&table),
            Err(error) => {
                outcome = Err(error.context(format!("{scenario:?}")));
                break;
            }
        }
    }
    println!("{text}");
    if let Some(path) = &args.out {
        std::fs::write(path, &text).with_context(|| format!("writing {}", path.display()))?;
    }
    outcome
}

fn programs(args: &Args) -> Result<Vec<Program>> {
    let peers = args
        .peers
        .clone()
        .unwrap_or_else(peers::default_dir)
        .join("bin");
    let mut programs = Vec::new();
    for name in &args.servers {
        let program = match (name.as_str(), name.split_once('=')) {
            ("djr", _) => Program {
                name: name.clone(),
                path: match &args.djr {
                    Some(path) => std::path::absolute(path)?,
                    None => {
                        build::this_tree()?;
                        build::release_binary()
                    }
                },
                threads: Some(args.threads),
            },
            ("valkey" | "redis", _) => Program {
                name: name.clone(),
                path: peers.join(format!("{name}-server")),
                threads: None,
            },
            (_, Some((name, path))) => Program {
                name: name.to_owned(),
                path: std::path::absolute(path)?,
                threads: None,
            },
            _ => bail!("--servers: what is {name}? One of djr, valkey, redis, or NAME=PATH"),
        };
        ensure!(
            program.path.exists(),
            "{}: there is no {}",
            program.name,
            program.path.display()
        );
        programs.push(program);
    }
    Ok(programs)
}
