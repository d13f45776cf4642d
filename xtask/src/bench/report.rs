//! What a run found: the samples, the tables made of them, and the files of the run's folder.

use super::chart;
use super::loads::{DATA_SETS, DataSet, Goal, Measure, What};
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
}

impl Requests {
    const FIELDS: [&str; 10] = [
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
    ];

    fn values(&self) -> [f64; 10] {
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
        ]
    }
}

/// Above this the run says that something else was on the server's core.
const DISTURBED_MAX: f64 = 0.03;
/// Below this the server's core was not the bottleneck.
const BUSY_MIN: f64 = 0.95;

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

    /// Everything a reader needs, to be pasted into `docs/benchmarks.md`.
    pub(crate) fn markdown(&self) -> String {
        let Settings {
            connections,
            rounds,
            seconds,
            server_cores,
            generator_core,
            keys,
            ..
        } = &self.settings;
        let mut text = format!("Machine: {}.\n", self.machine);
        let versions = self
            .servers
            .iter()
            .map(|server| match server.version.as_str() {
                "" => server.name.clone(),
                version => format!("{} {version}", server.name),
            });
        let cores = server_cores
            .iter()
            .map(usize::to_string)
            .collect::<Vec<_>>()
            .join(" and ");
        let _ = writeln!(
            text,
            "Servers: {}.",
            versions.collect::<Vec<_>>().join(", ")
        );
        let _ = write!(
            text,
            "{connections} connections, medians of {rounds} rounds of {seconds} s; servers on core {cores}, \
             load generator on core {generator_core}."
        );
        if let Some(keys) = keys {
            let _ = write!(
                text,
                " **A trial: {} keys instead of the loads' own number.**",
                thousands(*keys as f64)
            );
        }
        text.push('\n');
        for set in DATA_SETS {
            for memory in [false, true] {
                let rows = self.rows(set, memory);
                if !rows.is_empty() {
                    let mut table = vec![self.head(memory)];
                    table.extend(rows);
                    let _ = write!(text, "\n**{}**\n\n{}", set.title, markdown_table(&table));
                }
            }
        }
        for note in self.notes() {
            let _ = write!(text, "\nNote: {note}\n");
        }
        text
    }

    fn head(&self, memory: bool) -> Vec<String> {
        let figures: &[&str] = if memory {
            &["bytes per key"]
        } else {
            &[
                "requests/s",
                "CPU ns/request",
                "user",
                "system",
                "busy",
                "p50 µs",
                "p99 µs",
                "p99.9 µs",
            ]
        };
        let mut head = vec!["load".to_owned(), "server".to_owned()];
        head.extend(figures.iter().map(|&figure| figure.to_owned()));
        head.extend(self.baselines.iter().map(|name| format!("ratio to {name}")));
        head.extend(["goal", ""].map(str::to_owned));
        head
    }

    fn rows(&self, set: &DataSet, memory: bool) -> Vec<Vec<String>> {
        let measures = set
            .measures
            .iter()
            .filter(|measure| matches!(measure.what, What::MemoryPerKey) == memory);
        let pairs =
            measures.flat_map(|measure| self.servers.iter().map(move |server| (measure, server)));
        pairs
            .filter_map(|(measure, server)| self.row(measure, server))
            .collect()
    }

    fn row(&self, measure: &Measure, server: &Server) -> Option<Vec<String>> {
        let mut row = vec![measure.name.to_owned(), server.name.clone()];
        if matches!(measure.what, What::MemoryPerKey) {
            row.push(format!(
                "{:.1}",
                self.memory(measure.name, &server.name)?.median
            ));
        } else {
            let median = |figure: fn(&Requests) -> f64| {
                Some(self.requests(measure.name, &server.name, figure)?.median)
            };
            row.push(thousands(median(|r| r.requests_per_second)?));
            for figure in [
                |r: &Requests| r.cpu_ns,
                |r: &Requests| r.user_ns,
                |r: &Requests| r.system_ns,
            ] {
                row.push(thousands(median(figure)?));
            }
            row.push(format!("{:.0} %", median(|r| r.busy)? * 100.0));
            for figure in [
                |r: &Requests| r.p50_us,
                |r: &Requests| r.p99_us,
                |r: &Requests| r.p999_us,
            ] {
                row.push(thousands(median(figure)?));
            }
        }
        let goal = self.goal.or(measure.goal);
        let by_throughput = matches!(goal, Some(Goal::ThroughputAtLeast(_)));
        let ratios = self
            .baselines
            .iter()
            .map(|baseline| self.ratio(measure.name, &server.name, baseline, by_throughput))
            .collect::<Vec<_>>();
        for ratio in &ratios {
            row.push(match ratio {
                Some(Spread { median, min, max }) if by_throughput => {
                    format!("{median:.2}x ({min:.2}–{max:.2})")
                }
                Some(Spread { median, min, max }) => format!("{median:.2} ({min:.2}–{max:.2})"),
                None => String::new(),
            });
        }
        // The goals are against the first baseline.
        let judged = goal.filter(|_| server.has_goals);
        row.push(judged.map(|goal| goal.to_string()).unwrap_or_default());
        row.push(match (judged, ratios.first()) {
            (Some(goal), Some(Some(ratio))) if goal.reached(ratio.median) => "ok".to_owned(),
            (Some(_), Some(Some(_))) => "missed".to_owned(),
            _ => String::new(),
        });
        Some(row)
    }

    /// `None` for the baseline itself, and where there is nothing to compare with.
    fn ratio(
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

    /// What a reader should know before believing the figures.
    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let all = || {
            self.samples
                .iter()
                .filter_map(|sample| match &sample.figures {
                    Figures::Requests(requests) => Some((sample, requests)),
                    Figures::Memory { .. } => None,
                })
        };
        let disturbed = all()
            .filter(|(_, requests)| requests.disturbed > DISTURBED_MAX)
            .count();
        if disturbed > 0 {
            notes.push(format!(
                "in {disturbed} of {} samples a server waited more than {:.0} % of the time for its core: other work was on it",
                all().count(),
                DISTURBED_MAX * 100.0
            ));
        }
        let mut idle = all()
            // Where every request waits for the disk, the core is not meant to be the limit.
            .filter(|(sample, requests)| {
                requests.busy < BUSY_MIN && !sample.load.contains("always")
            })
            .map(|(sample, _)| format!("{} under {}", sample.server, sample.load))
            .collect::<Vec<_>>();
        idle.sort();
        idle.dedup();
        if !idle.is_empty() {
            notes.push(format!(
                "the server's core was not always fully busy: {}",
                idle.join(", ")
            ));
        }
        notes
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

/// `12 090`; three significant digits where the figure is small.
pub(crate) fn thousands(value: f64) -> String {
    if value < 10.0 {
        return format!("{value:.2}");
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// A Markdown table with its columns aligned, so that it can be read as it is. Words go left, numbers right.
fn markdown_table(rows: &[Vec<String>]) -> String {
    const WORDS: usize = 2;
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| Some(row.get(column)?.chars().count()))
            .max()
            .unwrap_or(0)
            .max(3)
    };
    let widths = (0..columns).map(width).collect::<Vec<_>>();
    let mut text = String::new();
    for (index, row) in rows.iter().enumerate() {
        for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
            let pad = " ".repeat(width - cell.chars().count());
            let _ = if column < WORDS {
                write!(text, "| {cell}{pad} ")
            } else {
                write!(text, "| {pad}{cell} ")
            };
        }
        text.push_str("|\n");
        if index == 0 {
            for (column, &width) in widths.iter().enumerate() {
                let dashes = "-".repeat(width);
                let _ = if column < WORDS {
                    write!(text, "|-{dashes}-")
                } else {
                    write!(text, "|-{dashes}:")
                };
            }
            text.push_str("|\n");
        }
    }
    text
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
        });
        Sample {
            load,
            server: server.to_owned(),
            round,
            figures,
        }
    }

    #[test]
    fn goals_are_judged_by_the_median_of_pairwise_ratios() {
        let pairs = |djr: f64| {
            (1..=3).flat_map(move |round| {
                let slow = round as f64; // each round slower than the last, for both
                [
                    sample("get-p16", "djr", round, djr * slow),
                    sample("get-p16", "valkey", round, 1600.0 * slow),
                ]
            })
        };
        let text = run_of(pairs(640.0).collect()).markdown();
        let line = text
            .lines()
            .find(|line| line.starts_with("| get-p16 | djr"))
            .expect("a line for djr");
        assert!(line.contains("0.40 (0.40–0.40)"), "{line}");
        assert!(line.contains("≤ 0.50 |  ok |"), "{line}");
        let text = run_of(pairs(1000.0).collect()).markdown();
        assert!(text.contains("missed"), "{text}");
        let line = text
            .lines()
            .find(|line| line.starts_with("| get-p16 | valkey"))
            .expect("a line for valkey");
        assert!(
            line.contains("3 200"),
            "the median of valkey's rounds: {line}"
        );
        assert!(!line.contains('≤'), "a peer has no goal: {line}");
    }

    #[test]
    fn throughput_goals_compare_throughput() {
        let samples = vec![
            sample("set-p16-always", "djr", 1, 500.0),
            sample("set-p16-always", "valkey", 1, 1000.0),
        ];
        let text = run_of(samples).markdown();
        assert!(text.contains("2.00x (2.00–2.00)"), "{text}");
        assert!(text.contains("≥ 1.8x |  ok |"), "{text}");
    }

    #[test]
    fn disturbance_and_idleness_are_told() {
        let mut odd = sample("get-p1", "djr", 1, 500.0);
        if let Figures::Requests(requests) = &mut odd.figures {
            requests.disturbed = 0.2;
            requests.busy = 0.7;
        }
        let notes = run_of(vec![odd, sample("get-p1", "djr", 2, 500.0)]).notes();
        assert!(notes[0].starts_with("in 1 of 2 samples"), "{notes:?}");
        assert!(notes[1].ends_with("djr under get-p1"), "{notes:?}");
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
        assert_eq!(cells, [14, 14, 14], "{csv}");
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(thousands(1_234_567.4), "1 234 567");
        assert_eq!(thousands(999.6), "1 000");
        assert_eq!(thousands(3.456), "3.46");
    }
}
