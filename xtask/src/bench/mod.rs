//! `cargo xtask bench`: DJR and its peers under the same loads, side by side.
//!
//! What counts is the server's CPU time per request: unlike throughput it does not depend on how fast
//! the load generator is. The method is described in `docs/benchmarks.md`.

mod build;
mod chart;
mod cli;
mod generator;
mod interrupt;
mod loads;
mod machine;
pub(crate) mod null;
mod persistence;
mod reply;
mod report;
mod request;
mod results;
mod scenarios;
mod server;
mod stats;
mod stream;
mod usage;

use crate::{paths, peers};
use anyhow::{Context, Result, bail, ensure};
use interrupt::Interrupt;
use loads::{DataSet, Goal, Measure, What, data_sets};
use machine::Machine;
use report::thousands;
use results::{Figures, Requests, Run, Sample, Server, Settings};
use scenarios::{Scenario, Theatre};
use server::{Contender, Durability, Kind, Running, pin, usable_cores};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Measure DJR beside its peers: CPU time per request, throughput, latency, memory per key.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Who takes part: djr, valkey, redis, null, or NAME=PATH of a server started as Redis is
    #[arg(long, value_delimiter = ',', default_value = "djr,valkey,redis,null")]
    servers: Vec<String>,
    /// Only loads that are called so or, if none is, whose name contains it
    #[arg(long, value_delimiter = ',', value_name = "PATTERN")]
    only: Vec<String>,
    /// Print the names of the loads and stop
    #[arg(long)]
    list: bool,
    /// How often each load is run on each server
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Measured time of each
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Unmeasured time before it
    #[arg(long, default_value_t = 0.5, value_name = "SECONDS")]
    warm_up: f64,
    #[arg(long, default_value_t = 50)]
    connections: usize,
    /// Another number of keys than the loads' own (for a quick trial)
    #[arg(long)]
    keys: Option<u64>,
    /// The djr-server to measure, instead of building this tree's
    #[arg(long, value_name = "PATH")]
    djr: Option<PathBuf>,
    /// Take the release binary that is there
    #[arg(long)]
    no_build: bool,
    /// Also build and measure this revision of djr-server
    #[arg(long, value_name = "REV")]
    compare: Option<String>,
    /// Compare DJR with two workers to DJR with one, instead of DJR to its peers
    #[arg(long)]
    two_workers: bool,
    /// Compare DJR with metrics, read every second, to DJR without, instead of DJR to its peers
    #[arg(long, conflicts_with = "two_workers")]
    metrics: bool,
    /// Where the peers are [default: bench/peers in this repository]
    #[arg(long, value_name = "DIR")]
    peers: Option<PathBuf>,
    /// Name of the folder in bench/runs [default: date and CPU]
    #[arg(long)]
    name: Option<String>,
    /// Print nothing but the section for docs/benchmarks.md
    #[arg(long)]
    markdown: bool,
    /// Play this through instead of measuring loads
    #[command(subcommand)]
    special: Option<Special>,
}

/// What is measured in a way of its own.
#[derive(clap::Subcommand)]
enum Special {
    Cli(cli::Args),
    /// Snapshots, rewrites, loading and replay: pauses, memory, time
    Persistence(persistence::Args),
    #[command(flatten)]
    Scenario(Scenario),
}

pub(crate) fn run(args: &Args) -> Result<()> {
    if let Some(Special::Cli(args)) = &args.special {
        return cli::run(args);
    }
    if let Some(Special::Persistence(args)) = &args.special {
        return persistence::run(args);
    }
    if args.list {
        data_sets()
            .flat_map(|set| set.measures)
            .for_each(|measure| println!("{}", measure.name));
        return Ok(());
    }
    ensure!(
        args.rounds > 0 && args.connections > 0,
        "--rounds and --connections begin at 1"
    );
    ensure!(args.keys != Some(0), "--keys begins at 1");
    ensure!(
        (0.01..=3600.0).contains(&args.seconds),
        "--seconds: 0.01 to 3600"
    );
    ensure!(
        (0.0..=3600.0).contains(&args.warm_up),
        "--warm-up: 0 to 3600"
    );
    ensure!(
        data_sets()
            .flat_map(|set| set.measures)
            .any(|measure| args.wants(measure)),
        "no load is called so: see --list"
    );
    let interrupt = Interrupt::install()?;
    // On the disk that the repository is on: a temporary folder may be memory.
    std::fs::create_dir_all(paths::target())?;
    let scratch = tempfile::Builder::new()
        .prefix("bench-")
        .tempdir_in(paths::target())?;
    let contenders = contenders(args, scratch.path())?;
    let (server_cores, generator_core) = cores(args)?;
    pin(&[generator_core])?;
    if let Some(Special::Scenario(scenario)) = &args.special {
        let contenders: Vec<_> = contenders
            .into_iter()
            .filter(|contender| contender.kind != Kind::Null)
            .collect();
        return scenarios::play(
            scenario,
            &Theatre {
                contenders: &contenders,
                cores: &server_cores,
                scratch: scratch.path(),
                interrupt: &interrupt,
            },
        );
    }

    let mut bench = Bench {
        args,
        scratch: scratch.path(),
        interrupt,
        run: Run {
            machine: Machine::read(),
            settings: Settings {
                connections: args.connections,
                rounds: args.rounds,
                seconds: args.seconds,
                warm_up_seconds: args.warm_up,
                server_cores,
                generator_core,
                keys: args.keys,
            },
            servers: servers(args, &contenders),
            baselines: baselines(args, &contenders),
            samples: Vec::new(),
            goal: match (args.two_workers, args.metrics) {
                (true, _) => Some(Goal::CpuAtMost(1.1)),
                (_, true) => Some(Goal::CpuAtMost(1.01)),
                _ => None,
            },
        },
        contenders,
    };
    let outcome = bench.measure_all();
    // What was measured before something failed is worth keeping.
    if !bench.run.samples.is_empty() {
        let folder = run_folder(args, &bench.run.machine);
        bench.run.save(&folder)?;
        println!("{}", bench.run.markdown());
        if !args.markdown {
            println!("written to {}", folder.display());
        }
    }
    outcome
}

impl Args {
    fn wants(&self, measure: &Measure) -> bool {
        let all = || data_sets().flat_map(|set| set.measures);
        let matches = |pattern: &String| match all().any(|other| other.name == pattern) {
            true => measure.name == pattern,
            false => measure.name.contains(pattern.as_str()),
        };
        self.only.is_empty() || self.only.iter().any(matches)
    }
}

/// Who takes part, with the programs looked up, or built.
fn contenders(args: &Args, scratch: &Path) -> Result<Vec<Contender>> {
    let contender = |name: &str, kind, program| Contender {
        name: name.to_owned(),
        kind,
        program,
    };
    let djr = || -> Result<PathBuf> {
        if let Some(path) = &args.djr {
            return std::path::absolute(path).context("--djr");
        }
        if !args.no_build {
            build::this_tree()?;
        }
        Ok(build::release_binary())
    };
    let peers = args
        .peers
        .clone()
        .unwrap_or_else(peers::default_dir)
        .join("bin");
    let mut contenders = Vec::new();
    if args.two_workers {
        let program = djr()?;
        contenders.push(contender("djr", Kind::Djr { workers: 1 }, program.clone()));
        contenders.push(contender(
            "djr-2-workers",
            Kind::Djr { workers: 2 },
            program,
        ));
    } else if args.metrics {
        let program = djr()?;
        contenders.push(contender("djr", Kind::Djr { workers: 1 }, program.clone()));
        contenders.push(contender("djr-metrics", Kind::Metrics, program));
    } else {
        for name in &args.servers {
            contenders.push(match (name.as_str(), name.split_once('=')) {
                ("djr", _) => contender(name, Kind::Djr { workers: 1 }, djr()?),
                ("valkey" | "redis", _) => {
                    contender(name, Kind::Redis, peers.join(format!("{name}-server")))
                }
                ("null", _) => contender(name, Kind::Null, std::env::current_exe()?),
                (_, Some((name, path))) => contender(name, Kind::Redis, std::path::absolute(path)?),
                _ => bail!(
                    "--servers: what is {name}? One of djr, valkey, redis, null, or NAME=PATH"
                ),
            });
        }
    }
    if let Some(revision) = &args.compare {
        let program = build::revision(revision, scratch)?;
        contenders.push(contender(
            &format!("djr@{revision}"),
            Kind::Djr { workers: 1 },
            program,
        ));
    }
    for Contender { name, program, .. } in &contenders {
        let hint = if name == "valkey" || name == "redis" {
            ": `cargo xtask peers` brings it"
        } else {
            ""
        };
        ensure!(
            program.exists(),
            "{name}: there is no {}{hint}",
            program.display()
        );
    }
    Ok(contenders)
}

fn servers(args: &Args, contenders: &[Contender]) -> Vec<Server> {
    let has_goals = |contender: &Contender| match contender.kind {
        Kind::Djr { workers } => !args.metrics && workers == if args.two_workers { 2 } else { 1 },
        Kind::Metrics => true,
        Kind::Redis | Kind::Null => false,
    };
    // The versions are filled in when the servers first run.
    let server = |c: &Contender| Server {
        name: c.name.clone(),
        version: String::new(),
        has_goals: has_goals(c),
    };
    contenders.iter().map(server).collect()
}

fn baselines(args: &Args, contenders: &[Contender]) -> Vec<String> {
    let first = match args.two_workers || args.metrics {
        true => "djr",
        false => "valkey",
    };
    let taking_part = |name: &&str| contenders.iter().any(|contender| contender.name == *name);
    let compared = args
        .compare
        .as_ref()
        .map(|revision| format!("djr@{revision}"));
    Some(first)
        .filter(taking_part)
        .map(str::to_owned)
        .into_iter()
        .chain(compared)
        .collect()
}

/// The servers' cores and the generator's. Two workers share a core with the generator if there are
/// only two.
fn cores(args: &Args) -> Result<(Vec<usize>, usize)> {
    let usable = usable_cores()?;
    let [first, second, ..] = usable[..] else {
        bail!("the benchmark needs two cores")
    };
    Ok(match (args.two_workers, usable.get(2)) {
        (false, _) => (vec![first], second),
        (true, None) => (vec![first, second], second),
        (true, Some(&third)) => (vec![first, second], third),
    })
}

struct Bench<'a> {
    args: &'a Args,
    scratch: &'a Path,
    interrupt: Interrupt,
    contenders: Vec<Contender>,
    run: Run,
}

/// A server with its data set in it.
struct Filled {
    /// Its place among the contenders.
    index: usize,
    server: Running,
    /// Only if the data set has a measure of memory.
    bytes_per_key: f64,
}

/// Memory hardly differs from one process to the next.
const MEMORY_ROUNDS: usize = 2;

impl Bench<'_> {
    fn measure_all(&mut self) -> Result<()> {
        for set in data_sets() {
            if set.measures.iter().any(|measure| self.args.wants(measure)) {
                self.measure_set(set).with_context(|| set.title)?;
            }
        }
        Ok(())
    }

    fn measure_set(&mut self, set: &DataSet) -> Result<()> {
        eprintln!("== {}", set.title);
        let only_memory = set
            .measures
            .iter()
            .all(|measure| matches!(measure.what, What::MemoryPerKey));
        let rounds = if only_memory {
            self.args.rounds.min(MEMORY_ROUNDS)
        } else {
            self.args.rounds
        };
        let mut live = Vec::new();
        for round in 1..=rounds {
            if set.fresh_each_round {
                live.clear();
            }
            if live.is_empty() {
                for index in 0..self.contenders.len() {
                    if self.contenders[index].kind != Kind::Null {
                        live.push(self.start_and_fill(set, index)?);
                    }
                }
            }
            for measure in set
                .measures
                .iter()
                .filter(|measure| self.args.wants(measure))
            {
                // Nobody always goes first, or after the same one.
                for turn in 0..self.contenders.len() {
                    let index = (turn + round - 1) % self.contenders.len();
                    let filled = live.iter().find(|filled| filled.index == index);
                    let Some(figures) = self.measure(set, measure, index, filled, round)? else {
                        continue;
                    };
                    let server = self.contenders[index].name.clone();
                    self.tell(measure.name, &server, round, rounds, &figures);
                    self.run.samples.push(Sample {
                        load: measure.name,
                        server,
                        round,
                        figures,
                    });
                }
            }
        }
        Ok(())
    }

    fn keys(&self, set: &DataSet) -> u64 {
        self.args.keys.unwrap_or(set.keys)
    }

    fn start_and_fill(&mut self, set: &DataSet, index: usize) -> Result<Filled> {
        let contender = &self.contenders[index];
        let cores = &self.run.settings.server_cores;
        let server = contender.start(set.durability, b"", cores, self.scratch, &self.interrupt)?;
        let name = &contender.name;
        let info = server
            .version()
            .with_context(|| format!("{name}: INFO server"))?;
        self.run.servers[index].version = info;
        let keys = self.keys(set);
        let empty = usage::resident_bytes(server.pid())?;
        generator::fill(server.address, set.fill, keys, &self.interrupt)
            .with_context(|| format!("filling {name}"))?;
        let count = server.key_count()?;
        let expected = if set.one_key { 1 } else { keys };
        ensure!(
            count == expected,
            "{name} has {count} keys, not {expected}, after it was filled"
        );
        let mut bytes_per_key = 0.0;
        if set
            .measures
            .iter()
            .any(|measure| matches!(measure.what, What::MemoryPerKey))
        {
            // Resizing goes on for a while, and buffers are given back.
            self.sleep(Duration::from_secs(2))?;
            let full = usage::resident_bytes(server.pid())?;
            bytes_per_key = full.saturating_sub(empty) as f64 / keys as f64;
        }
        Ok(Filled {
            index,
            server,
            bytes_per_key,
        })
    }

    /// `None` where a measure makes no sense: what the null server's memory is, for example.
    fn measure(
        &self,
        set: &DataSet,
        measure: &Measure,
        index: usize,
        filled: Option<&Filled>,
        round: usize,
    ) -> Result<Option<Figures>> {
        let (steps, reply, pipeline, subscribers) = match measure.what {
            What::MemoryPerKey => {
                return Ok(filled.map(|filled| Figures::Memory {
                    bytes_per_key: filled.bytes_per_key,
                }));
            }
            What::Requests {
                steps,
                reply,
                pipeline,
                subscribers,
            } => (steps, reply, pipeline, subscribers),
        };
        let contender = &self.contenders[index];
        let null;
        let server = match (filled, reply.bytes()) {
            (Some(filled), _) => &filled.server,
            (None, Some(canned)) if set.durability == Durability::None => {
                let cores = &self.run.settings.server_cores;
                null = contender.start(
                    set.durability,
                    &canned,
                    cores,
                    self.scratch,
                    &self.interrupt,
                )?;
                &null
            }
            (None, _) => return Ok(None),
        };
        if set.durability != Durability::None {
            // What the server before has left to be written is not this one's business.
            rustix::fs::sync();
        }
        let load = generator::Load {
            steps,
            reply,
            keys: self.keys(set),
            pipeline,
            subscribers,
            connections: self.args.connections,
            warm_up: Duration::from_secs_f64(self.args.warm_up),
            window: Duration::from_secs_f64(self.args.seconds),
            // The same keys for everyone in a round.
            seed: round as u64,
            opening: stream::Opening::default(),
        };
        let measured = load
            .run(server.address, server.pid(), &self.interrupt)
            .with_context(|| format!("{} under {}", contender.name, measure.name))?;
        ensure!(
            measured.requests > 0,
            "{} served nothing under {}",
            contender.name,
            measure.name
        );
        Ok(Some(Figures::Requests(figures(&measured))))
    }

    fn tell(&self, load: &str, server: &str, round: usize, rounds: usize, figures: &Figures) {
        let text = match figures {
            Figures::Memory { bytes_per_key } => format!("{bytes_per_key:.1} bytes per key"),
            Figures::Requests(figures) => format!(
                "{:>9} requests/s, {:>6} ns CPU each, core {:.0} % busy, generator {} ns each",
                thousands(figures.requests_per_second),
                thousands(figures.cpu_ns),
                figures.busy * 100.0,
                thousands(figures.generator_ns)
            ),
        };
        eprintln!("round {round}/{rounds} {load:<18} {server:<14} {text}");
    }

    fn sleep(&self, time: Duration) -> Result<()> {
        const STEP: Duration = Duration::from_millis(100);
        for _ in 0..time.as_millis() / STEP.as_millis() {
            self.interrupt.check()?;
            std::thread::sleep(STEP);
        }
        Ok(())
    }
}

fn figures(measured: &generator::Measurement) -> Requests {
    let requests = measured.requests as f64;
    let seconds = measured.elapsed.as_secs_f64();
    let (user_ns, system_ns) = measured.server.split_ns();
    let percentile_us =
        |percentile| measured.latency_ns.value_at_percentile(percentile) as f64 / 1000.0;
    Requests {
        requests_per_second: requests / seconds,
        cpu_ns: measured.server.on_cpu_ns as f64 / requests,
        user_ns: user_ns / requests,
        system_ns: system_ns / requests,
        p50_us: percentile_us(50.0),
        p99_us: percentile_us(99.0),
        p999_us: percentile_us(99.9),
        busy: measured.server.on_cpu_ns as f64 / 1e9 / seconds,
        disturbed: measured.server.waiting_ns as f64 / 1e9 / seconds,
        generator_ns: measured.generator.on_cpu_ns as f64 / requests,
        generator_disturbed: measured.generator.waiting_ns as f64 / 1e9 / seconds,
    }
}

/// `bench/runs/NAME`, or one that does not exist yet.
fn run_folder(args: &Args, machine: &Machine) -> PathBuf {
    let runs = paths::workspace().join("bench/runs");
    if let Some(name) = &args.name {
        return runs.join(name);
    }
    let date = Command::new("date")
        .arg("+%Y-%m-%d")
        .output()
        .ok()
        .and_then(|output| String::from_utf8(output.stdout).ok());
    let name = format!(
        "{}-{}",
        date.as_deref().unwrap_or("run").trim(),
        machine.slug()
    );
    let numbered = (2..).map(|number| runs.join(format!("{name}-{number}")));
    let first = runs.join(&name);
    std::iter::once(first.clone())
        .chain(numbered)
        .find(|folder| !folder.exists())
        .unwrap_or(first)
}
