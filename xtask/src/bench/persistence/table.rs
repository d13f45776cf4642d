//! Figures by row and server, and what DJR is to reach.

use std::collections::BTreeMap;
use std::fmt::Write;

/// What is to be reached, in DJR's median over the rounds. Differences and quotients are taken within a round.
#[derive(Clone, Copy, Debug)]
pub(super) enum Goal {
    AtMost(f64),
    AtLeast(f64),
    /// So much more than in another row of the same server.
    AddsAtMost(&'static str, f64),
    /// Valkey takes so many times as long.
    TimesFaster(f64),
}

/// The peer that times are compared with.
const PEER: &str = "valkey";
const SUBJECT: &str = "djr";

#[derive(Default)]
pub(super) struct Table {
    rows: Vec<Row>,
}

struct Row {
    name: String,
    /// By server, a figure per round.
    figures: BTreeMap<String, Vec<f64>>,
    goal: Option<Goal>,
}

impl Table {
    pub(super) fn add(&mut self, row: &str, server: &str, figure: f64) {
        eprintln!("{server:<10} {row}: {figure:.3}");
        let figures = &mut self.row(row).figures;
        figures.entry(server.to_owned()).or_default().push(figure);
    }

    pub(super) fn goal(&mut self, row: &str, goal: Goal) {
        self.row(row).goal = Some(goal);
    }

    fn row(&mut self, name: &str) -> &mut Row {
        let found = self.rows.iter().position(|row| row.name == name);
        let index = found.unwrap_or_else(|| {
            self.rows.push(Row {
                name: name.to_owned(),
                figures: BTreeMap::new(),
                goal: None,
            });
            self.rows.len() - 1
        });
        &mut self.rows[index]
    }

    fn figures(&self, row: &str, server: &str) -> &[f64] {
        let found = self.rows.iter().find(|known| known.name == row);
        let figures = found.and_then(|row| row.figures.get(server));
        figures.map_or(&[], Vec::as_slice)
    }

    /// Medians, then goals and verdicts.
    pub(super) fn markdown(&self, title: &str, servers: &[&str]) -> String {
        let mut text = format!("### {title}\n\n| |");
        for server in servers {
            let _ = write!(text, " {server} |");
        }
        text.push_str(" goal | reached | |\n|---|");
        text.push_str(&"---:|".repeat(servers.len() + 2));
        text.push_str("---|\n");
        for row in &self.rows {
            let _ = write!(text, "| {} |", row.name);
            for server in servers {
                let _ = match median(self.figures(&row.name, server).to_vec()) {
                    Some(figure) => write!(text, " {} |", shown(figure)),
                    None => write!(text, " – |"),
                };
            }
            match self.judged(row) {
                Some((goal, reached, is_met)) => {
                    let verdict = if is_met { "ok" } else { "missed" };
                    let _ = writeln!(text, " {goal} | {reached} | {verdict} |");
                }
                None => text.push_str(" | | |\n"),
            }
        }
        text.push('\n');
        text
    }

    /// The goal, what was reached, and whether that is enough.
    fn judged(&self, row: &Row) -> Option<(String, String, bool)> {
        let figures = row.figures.get(SUBJECT)?;
        match row.goal? {
            Goal::AtMost(most) => {
                let reached = median(figures.clone())?;
                Some((format!("≤ {most}"), shown(reached), reached <= most))
            }
            Goal::AtLeast(least) => {
                let reached = median(figures.clone())?;
                Some((format!("≥ {least}"), shown(reached), reached >= least))
            }
            Goal::AddsAtMost(base, most) => {
                let base = self.figures(base, SUBJECT);
                let added = figures.iter().zip(base).map(|(with, base)| with - base);
                let reached = median(added.collect())?;
                let text = format!("{reached:+.2}");
                Some((format!("≤ +{most}"), text, reached <= most))
            }
            Goal::TimesFaster(least) => {
                let peer = row.figures.get(PEER)?;
                let times = figures.iter().zip(peer).map(|(own, peer)| peer / own);
                let reached = median(times.collect())?;
                let text = format!("{reached:.2}x");
                Some((format!("≥ {least}x"), text, reached >= least))
            }
        }
    }
}

fn median(mut figures: Vec<f64>) -> Option<f64> {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied()
}

fn shown(figure: f64) -> String {
    if figure.abs() >= 1000.0 {
        format!("{figure:.0}")
    } else {
        format!("{figure:.2}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goals_are_judged_within_rounds() {
        let mut table = Table::default();
        for (own, peer) in [(1.0, 3.0), (2.0, 8.2), (10.0, 45.0)] {
            table.add("time", "djr", own);
            table.add("time", "valkey", peer);
            table.add("alone", "djr", own * 100.0);
            table.add("with", "djr", own * 100.0 + 0.5);
        }
        table.goal("time", Goal::TimesFaster(4.0));
        table.goal("alone", Goal::AtMost(150.0));
        table.goal("with", Goal::AddsAtMost("alone", 1.0));
        let text = table.markdown("title", &["djr", "valkey", "redis"]);
        let lines: Vec<_> = text.lines().skip(4).collect();
        assert_eq!(
            lines,
            [
                "| time | 2.00 | 8.20 | – | ≥ 4x | 4.10x | ok |",
                "| alone | 200.00 | – | – | ≤ 150 | 200.00 | missed |",
                "| with | 200.50 | – | – | ≤ +1 | +0.50 | ok |",
                "",
            ]
        );
    }
}
