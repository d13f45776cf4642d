//! The results of a run: its samples, figures drawn from them, and the files of its folder.

use super::chart;
use super::loads::Goal;
use super::machine::Machine;
use super::stats::{Spread, pairwise_ratio, spread};
use anyhow::{Context, Result};
use serde::Serialize;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// One run of `bench`.
#[derive(Serialize)]
pub(crate) struct Run {
    pub(crate) machine: Machine,
    pub(crate) settings: Settings,
    pub(crate) servers: Vec<Server>,
    /// Names of the servers that the others' figures are divided by.
    pub(crate) baselines: Vec<String>,
    pub(crate) samples: Vec<Sample>,
    /// Replaces the loads' own goals.
    #[serde(skip)]
    pub(crate) goal: Option<Goal>,
}

#[derive(Serialize)]
pub(crate) struct Settings {
    pub(crate) connections: usize,
    pub(crate) rounds: usize,
    pub(crate) seconds: f64,
    pub(crate) warm_up_seconds: f64,
    pub(crate) server_cores: Vec<usize>,
    pub(crate) generator_core: usize,
    /// If the number of keys was not the loads' own.
    pub(crate) keys: Option<u64>,
}

#[derive(Serialize)]
pub(crate) struct Server {
    pub(crate) name: String,
    pub(crate) version: String,
    /// Whether the goals are for this one.
    pub(crate) has_goals: bool,
}

/// One server under one load in one round.
#[derive(Serialize)]
pub(crate) struct Sample {
    pub(crate) load: &'static str,
    pub(crate) server: String,
    pub(crate) round: usize,
    #[serde(flatten)]
    pub(crate) figures: Figures,
}

#[derive(Clone, Copy, Serialize)]
#[serde(untagged)]
pub(crate) enum Figures {
    Requests(Requests),
    Memory { bytes_per_key: f64 },
}

#[derive(Clone, Copy, Serialize)]
pub(crate) struct Requests {
    pub(crate) requests_per_second: f64,
    /// CPU time of the server process per request, and its parts.
    pub(crate) cpu_ns: f64,
    pub(crate) user_ns: f64,
    pub(crate) system_ns: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) p999_us: f64,
    /// Cores that the server kept busy: 1 is one whole core.
    pub(crate) busy: f64,
    /// The part of the time in which one of its threads waited for its core: other work disturbed it.
    pub(crate) disturbed: f64,
    /// CPU time of the load generator per request.
    pub(crate) generator_ns: f64,
    /// As `disturbed`, of the load generator.
    pub(crate) generator_disturbed: f64,
}

impl Requests {
    const FIELDS: [&str; 11] = [
        "requests_per_second",
        "cpu_ns",
        "user_ns",
        "system_ns",
        "p50_us",
        "p99_us",
        "p999_us",
        "busy",
        "disturbed",
        "generator_ns",
        "generator_disturbed",
    ];

    fn values(&self) -> [f64; 11] {
        [
            self.requests_per_second,
            self.cpu_ns,
            self.user_ns,
            self.system_ns,
            self.p50_us,
            self.p99_us,
            self.p999_us,
            self.busy,
            self.disturbed,
            self.generator_ns,
            self.generator_disturbed,
        ]
    }
}

impl Run {
    /// Writes tables, chart and raw results into `folder`.
    pub(crate) fn save(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        fs::write(
            folder.join("results.json"),
            serde_json::to_string_pretty(self)? + "\n",
        )?;
        fs::write(folder.join("results.csv"), self.csv())?;
        fs::write(folder.join("tables.md"), self.markdown())?;
        fs::write(folder.join("chart.svg"), chart::draw(self))?;
        Ok(())
    }

    /// `None` for the baseline itself, and where there is nothing to compare with.
    pub(crate) fn ratio(
        &self,
        load: &str,
        server: &str,
        baseline: &str,
        by_throughput: bool,
    ) -> Option<Spread> {
        let figures = |server: &str| {
            let samples = self
                .samples
                .iter()
                .filter(|sample| sample.load == load && sample.server == server);
            let figure = samples.map(|sample| match sample.figures {
                Figures::Requests(requests) if by_throughput => {
                    (sample.round, requests.requests_per_second)
                }
                Figures::Requests(requests) => (sample.round, requests.cpu_ns),
                Figures::Memory { bytes_per_key } => (sample.round, bytes_per_key),
            });
            figure.collect::<Vec<_>>()
        };
        if server == baseline {
            None
        } else {
            pairwise_ratio(&figures(server), &figures(baseline))
        }
    }

    /// Over the rounds: a figure of requests.
    pub(crate) fn requests(
        &self,
        load: &str,
        server: &str,
        figure: fn(&Requests) -> f64,
    ) -> Option<Spread> {
        let samples = self
            .samples
            .iter()
            .filter(|sample| sample.load == load && sample.server == server);
        spread(samples.filter_map(|sample| match &sample.figures {
            Figures::Requests(requests) => Some(figure(requests)),
            Figures::Memory { .. } => None,
        }))
    }

    /// Over the rounds: bytes per key.
    pub(crate) fn memory(&self, load: &str, server: &str) -> Option<Spread> {
        let samples = self
            .samples
            .iter()
            .filter(|sample| sample.load == load && sample.server == server);
        spread(samples.filter_map(|sample| match sample.figures {
            Figures::Requests(_) => None,
            Figures::Memory { bytes_per_key } => Some(bytes_per_key),
        }))
    }

    fn csv(&self) -> String {
        let mut text = format!(
            "load,server,round,{},bytes_per_key\n",
            Requests::FIELDS.join(",")
        );
        for sample in &self.samples {
            let _ = write!(text, "{},{},{}", sample.load, sample.server, sample.round);
            match &sample.figures {
                Figures::Requests(requests) => {
                    for value in requests.values() {
                        let _ = write!(text, ",{value:.4}");
                    }
                    text.push_str(",\n");
                }
                Figures::Memory { bytes_per_key } => {
                    let _ = writeln!(
                        text,
                        "{},{bytes_per_key:.2}",
                        ",".repeat(Requests::FIELDS.len())
                    );
                }
            }
        }
        text
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn run_of(samples: Vec<Sample>) -> Run {
        let server = |name: &str, has_goals| Server {
            name: name.to_owned(),
            version: "1".to_owned(),
            has_goals,
        };
        Run {
            machine: Machine::read(),
            settings: Settings {
                connections: 50,
                rounds: 2,
                seconds: 3.0,
                warm_up_seconds: 0.5,
                server_cores: vec![0],
                generator_core: 1,
                keys: None,
            },
            servers: vec![server("djr", true), server("valkey", false)],
            baselines: vec!["valkey".to_owned()],
            samples,
            goal: None,
        }
    }

    pub(crate) fn sample(load: &'static str, server: &str, round: usize, cpu_ns: f64) -> Sample {
        let figures = Figures::Requests(Requests {
            requests_per_second: 1e9 / cpu_ns,
            cpu_ns,
            user_ns: cpu_ns * 0.75,
            system_ns: cpu_ns * 0.25,
            p50_us: 100.0,
            p99_us: 200.0,
            p999_us: 300.0,
            busy: 1.0,
            disturbed: 0.0,
            generator_ns: 50.0,
            generator_disturbed: 0.0,
        });
        Sample {
            load,
            server: server.to_owned(),
            round,
            figures,
        }
    }

    #[test]
    fn csv_has_as_many_cells_in_every_line() {
        let memory = Sample {
            load: "memory-5m",
            server: "djr".to_owned(),
            round: 1,
            figures: Figures::Memory {
                bytes_per_key: 99.5,
            },
        };
        let csv = run_of(vec![sample("get-p1", "djr", 1, 500.0), memory]).csv();
        let cells = csv
            .lines()
            .map(|line| line.split(',').count())
            .collect::<Vec<_>>();
        assert_eq!(cells, [15, 15, 15], "{csv}");
    }
}
