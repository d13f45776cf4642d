//! The tables made of a run's results, with what a reader should know before believing them.

use super::loads::{DataSet, GEOMETRIC_MEAN_GOAL, Goal, Measure, What, data_sets, of_types};
use super::results::{Figures, Requests, Run, Server, Settings};
use super::stats::Spread;
use std::fmt::Write as _;

/// Above this the run says that something else was on the server's or the generator's core.
const DISTURBED_MAX: f64 = 0.03;
/// If the server ran or waited for its core for less of the time, the core was not the bottleneck.
const BUSY_MIN: f64 = 0.95;

impl Run {
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
        for set in data_sets() {
            for memory in [false, true] {
                let rows = self.rows(set, memory);
                if !rows.is_empty() {
                    let mut table = vec![self.head(memory)];
                    table.extend(rows);
                    let _ = write!(text, "\n**{}**\n\n{}", set.title, markdown_table(&table));
                }
            }
        }
        for server in self.servers.iter().filter(|server| server.has_goals) {
            text.push_str(&self.mean_of_types(server).unwrap_or_default());
        }
        for note in self.notes() {
            let _ = write!(text, "\nNote: {note}\n");
        }
        text
    }

    /// The geometric mean of the ratios under the loads of the types, if they were run.
    fn mean_of_types(&self, server: &Server) -> Option<String> {
        let baseline = self.baselines.first()?;
        let ratio = |measure: &Measure| self.ratio(measure.name, &server.name, baseline, false);
        let ratios = of_types().filter_map(ratio).collect::<Vec<_>>();
        let sum_of_logarithms = ratios.iter().map(|ratio| ratio.median.ln()).sum::<f64>();
        let mean = (sum_of_logarithms / ratios.len() as f64).exp();
        let verdict = match GEOMETRIC_MEAN_GOAL.reached(mean) {
            true => "ok",
            false => "missed",
        };
        (ratios.len() > 1).then(|| {
            format!(
                "\nGeometric mean of {}'s {} ratios to {baseline} under the loads of the types: {mean:.2} (goal {GEOMETRIC_MEAN_GOAL}, {verdict}).\n",
                server.name,
                ratios.len()
            )
        })
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
            .filter(|(_, requests)| {
                requests.disturbed.max(requests.generator_disturbed) > DISTURBED_MAX
            })
            .count();
        if disturbed > 0 {
            notes.push(format!(
                "in {disturbed} of {} samples the server or the load generator waited more than {:.0} % of the time for its core: \
                 other work was on the machine",
                all().count(),
                DISTURBED_MAX * 100.0
            ));
        }
        let mut idle = all()
            // Where every request waits for the disk, the core is not meant to be the limit.
            .filter(|(sample, requests)| {
                requests.busy + requests.disturbed < BUSY_MIN
                    && requests.generator_disturbed <= DISTURBED_MAX
                    && !sample.load.contains("always")
            })
            .map(|(sample, _)| format!("{} under {}", sample.server, sample.load))
            .collect::<Vec<_>>();
        idle.sort();
        idle.dedup();
        if !idle.is_empty() {
            notes.push(format!(
                "the server was at times idle, so its core was not the limit: {}",
                idle.join(", ")
            ));
        }
        notes
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
mod tests {
    use super::super::results::Figures;
    use super::super::results::tests::{run_of, sample};
    use super::*;

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
    fn loads_of_types_have_a_mean() {
        let pair = |load, djr| {
            [
                sample(load, "djr", 1, djr),
                sample(load, "valkey", 1, 1000.0),
            ]
        };
        let mut samples = Vec::from(pair("hget-p16", 400.0));
        samples.extend(pair("zadd-p16", 900.0));
        let text = run_of(samples).markdown();
        assert!(
            text.contains("under the loads of the types: 0.60"),
            "{text}"
        );
        let text = run_of(Vec::from(pair("get-p16", 400.0))).markdown();
        assert!(!text.contains("mean of djr"), "{text}");
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
            (requests.busy, requests.disturbed) = (0.5, 0.2);
        }
        let mut contended = sample("get-p1", "valkey", 1, 500.0);
        if let Figures::Requests(requests) = &mut contended.figures {
            (requests.busy, requests.disturbed) = (0.8, 0.2);
        }
        let notes = run_of(vec![odd, contended, sample("get-p1", "djr", 2, 500.0)]).notes();
        assert!(notes[0].starts_with("in 2 of 3 samples"), "{notes:?}");
        assert!(notes[1].ends_with("limit: djr under get-p1"), "{notes:?}");
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(thousands(1_234_567.4), "1 234 567");
        assert_eq!(thousands(999.6), "1 000");
        assert_eq!(thousands(3.456), "3.46");
    }
}
