//! What a request costs one kind of client beside another: GET and SET in pipelines, both kinds in turn.

use super::Theatre;
use crate::bench::generator::{self, Load};
use crate::bench::loads::Step;
use crate::bench::reply::Expected;
use crate::bench::report::thousands;
use crate::bench::request::{Arg, Command};
use crate::bench::server::Running;
use crate::bench::stats::{pairwise_ratio, spread};
use crate::bench::stream::Opening;
use anyhow::{Context, Result, ensure};
use std::net::SocketAddr;
use std::time::Duration;

/// How it is measured.
#[derive(clap::Args)]
pub(crate) struct Rates {
    /// How often each load is run by each kind of client
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Measured time of each, in seconds
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Keys
    #[arg(long, default_value_t = 1_000_000)]
    keys: u64,
    /// Requests that are sent together
    #[arg(long, default_value_t = 16)]
    pipeline: usize,
    /// Connections of each kind of client
    #[arg(long, default_value_t = 50)]
    clients: usize,
}

/// One kind of client.
pub(super) struct Side<'a> {
    pub(super) name: String,
    pub(super) server: &'a Running,
    /// Where its clients connect to.
    pub(super) address: SocketAddr,
    pub(super) opening: Opening,
}

const KEY: Arg = Arg::Key("key:");
const SET: Command = &[Arg::Text("SET"), KEY, Arg::Value];
const GET: Command = &[Arg::Text("GET"), KEY];
const LOADS: [(&str, &[Step], Expected); 2] = [
    ("get", &[&[GET]], Expected::Value),
    ("set", &[&[SET]], Expected::Ok),
];
const WARM_UP: Duration = Duration::from_millis(500);

impl Rates {
    /// Gives a server the keys that are asked for.
    pub(super) fn fill(&self, server: &Running, theatre: &Theatre<'_>) -> Result<()> {
        generator::fill(server.address, &[SET], self.keys, theatre.interrupt)
    }

    /// Prints a line for each load and side. `judge` says what the first side's CPU time may be, divided by the last one's.
    pub(super) fn compare(
        &self,
        sides: &[Side<'_>],
        goal: f64,
        theatre: &Theatre<'_>,
    ) -> Result<()> {
        ensure!(
            self.rounds > 0 && self.keys > 0 && self.clients > 0 && self.pipeline > 0,
            "--rounds, --keys, --clients and --pipeline begin at 1"
        );
        println!("| load | clients | requests/s | CPU ns each | of the others' | goal | |");
        println!("|---|---|---:|---:|---:|---:|---|");
        for (name, steps, reply) in LOADS {
            let mut figures = vec![Vec::new(); sides.len()];
            for round in 1..=self.rounds {
                // Nobody always goes first.
                for turn in 0..sides.len() {
                    let index = (turn + round) % sides.len();
                    let load = Load {
                        steps,
                        reply,
                        keys: self.keys,
                        pipeline: self.pipeline,
                        subscribers: 0,
                        connections: self.clients,
                        warm_up: WARM_UP,
                        window: Duration::from_secs_f64(self.seconds),
                        seed: round as u64,
                        opening: sides[index].opening.clone(),
                    };
                    let side = &sides[index];
                    let measured = load
                        .run(side.address, side.server.pid(), theatre.interrupt)
                        .with_context(|| side.name.clone())?;
                    ensure!(measured.requests > 0, "{} served nothing", side.name);
                    let requests = measured.requests as f64;
                    figures[index].push((
                        round,
                        measured.server.on_cpu_ns as f64 / requests,
                        requests / measured.elapsed.as_secs_f64(),
                    ));
                }
            }
            let cpu = |index: usize| -> Vec<(usize, f64)> {
                figures[index]
                    .iter()
                    .map(|(round, cpu, _)| (*round, *cpu))
                    .collect()
            };
            for (index, side) in sides.iter().enumerate() {
                let rate = spread(figures[index].iter().map(|(.., rate)| *rate));
                let own = spread(cpu(index).into_iter().map(|(_, cpu)| cpu));
                let (Some(rate), Some(own)) = (rate, own) else {
                    continue;
                };
                let others = match index {
                    0 if sides.len() > 1 => pairwise_ratio(&cpu(0), &cpu(sides.len() - 1)),
                    _ => None,
                };
                let judged = others.map_or_else(
                    || " | |".to_owned(),
                    |ratio| {
                        let verdict = if ratio.median <= goal { "ok" } else { "missed" };
                        format!(
                            "{:.3} ({:.3} to {:.3}) | ≤ {goal} | {verdict}",
                            ratio.median, ratio.min, ratio.max
                        )
                    },
                );
                println!(
                    "| {name}-p{} | {} | {} | {} | {judged} |",
                    self.pipeline,
                    side.name,
                    thousands(rate.median),
                    thousands(own.median)
                );
            }
        }
        Ok(())
    }
}
