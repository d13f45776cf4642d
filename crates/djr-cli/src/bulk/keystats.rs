//! `--keystats`: memory and lengths of all keys at once, with the largest ones and their distribution.

use std::io::{self, IsTerminal, Write};

use djr_client::Client;

use super::BulkError;
use super::survey::{Kind, Kinds, Survey, Wanted, database_len};
use crate::format::{human_bytes, quoted_text};
use crate::options::Settings;
use crate::progress::{Progress, Unit};

/// What was found of one type.
#[derive(Clone, Debug, Default)]
struct Found {
    count: u64,
    memory: u64,
    length: u64,
    /// The key with the most memory, and with the greatest length.
    by_memory: Option<(u64, Vec<u8>)>,
    by_length: Option<(u64, Vec<u8>)>,
}

/// Sizes of all keys in classes of about a percent: what is kept does not grow with the keyspace.
#[derive(Debug, Default)]
struct Distribution {
    classes: std::collections::BTreeMap<u64, (u64, u64)>,
    count: u64,
    sum: f64,
    squares: f64,
    largest: u64,
}

impl Distribution {
    fn add(&mut self, size: u64) {
        // The upper seven bits of a number tell it to a percent.
        let shift = (64 - size.leading_zeros()).saturating_sub(7);
        let class = self.classes.entry(size >> shift << shift).or_default();
        class.0 = class.0.max(size);
        class.1 += 1;
        self.count += 1;
        self.sum += size as f64;
        self.squares += size as f64 * size as f64;
        self.largest = self.largest.max(size);
    }

    fn mean(&self) -> f64 {
        if self.count == 0 {
            0.0
        } else {
            self.sum / self.count as f64
        }
    }

    fn deviation(&self) -> f64 {
        if self.count == 0 {
            return 0.0;
        }
        (self.squares / self.count as f64 - self.mean().powi(2))
            .max(0.0)
            .sqrt()
    }

    /// For 0 %, 50 %, 75 %, …, 100 %: the size that so many keys do not exceed, and how many those are.
    fn rows(&self) -> Vec<(u64, f64, u64)> {
        let mut rows: Vec<(u64, f64, u64)> = Vec::new();
        let (mut below, mut goal) = (0, 0.0);
        for (size, count) in self.classes.values() {
            below += count;
            let share = below as f64 / self.count as f64 * 100.0;
            if below == self.count {
                rows.push((*size, 100.0, below));
                break;
            }
            if share >= goal {
                let reached = goal;
                while goal <= share {
                    goal = if goal == 0.0 {
                        50.0
                    } else {
                        100.0 - (100.0 - goal) / 2.0
                    };
                }
                rows.push((*size, reached, below));
            }
        }
        rows
    }
}

/// Looks at all keys; `samples` elements of each, and lists the `top` largest.
pub(crate) async fn run(
    mut client: Client,
    settings: &Settings,
    samples: Option<u64>,
    top: usize,
) -> Result<(), BulkError> {
    let total = database_len(&mut client).await?;
    let mut out = io::stdout();
    write!(
        out,
        "\n# Scanning the entire keyspace to find the biggest keys and distribution information.\n\
         # Use -i 0.1 to sleep 0.1 sec per 100 SCAN commands (not usually needed).\n\
         # Use --cursor <n> to start the scan at the cursor <n> (usually after a Ctrl-C).\n\
         # Use --top <n> to display <n> top key sizes (default is 10).\n\
         # Ctrl-C to stop the scan.\n\n"
    )?;
    let mut progress = out
        .is_terminal()
        .then(|| Progress::new(Unit::Keys, Some(total)));
    let wanted = Wanted {
        size: true,
        memory: Some(samples),
    };
    let mut survey = Survey::new(settings, wanted);
    let mut found: Vec<Found> = Vec::new();
    let mut largest: Vec<(u64, usize, Vec<u8>)> = Vec::new();
    let (mut sizes, mut names) = (Distribution::default(), Distribution::default());
    let mut is_stopped = false;
    loop {
        let step = tokio::select! {
            step = survey.next(&mut client) => step?,
            _ = tokio::signal::ctrl_c() => {
                is_stopped = true;
                None
            }
        };
        let Some(page) = step else { break };
        found.resize_with(survey.kinds.all.len(), Found::default);
        for entry in &page {
            let key = entry.name();
            let Some(found) = entry.kind.and_then(|index| found.get_mut(index)) else {
                continue;
            };
            let (memory, length) = (entry.memory, entry.size);
            found.count += 1;
            found.memory += memory;
            found.length += length;
            keep_larger(&mut found.by_memory, memory, key);
            keep_larger(&mut found.by_length, length, key);
            sizes.add(memory);
            names.add(key.len() as u64);
            let at = largest.partition_point(|(size, ..)| *size >= memory);
            if at < top {
                largest.insert(at, (memory, entry.kind.unwrap_or_default(), key.to_vec()));
                largest.truncate(top);
            }
        }
        if let Some(progress) = &mut progress {
            progress.advance(page.len() as u64);
        }
    }
    drop(progress);
    found.resize_with(survey.kinds.all.len(), Found::default);
    if is_stopped {
        let cursor = survey.cursor();
        writeln!(
            out,
            "Scan interrupted:\nUse '--cursor {cursor}' to restart from the last cursor.\n"
        )?;
    }
    let report = Report {
        kinds: &survey.kinds,
        found,
        largest,
        sizes,
        names,
        top,
    };
    report.write(&mut out, total)?;
    Ok(())
}

fn keep_larger(kept: &mut Option<(u64, Vec<u8>)>, size: u64, key: &[u8]) {
    if kept.as_ref().is_none_or(|(largest, _)| size > *largest) {
        *kept = Some((size, key.to_vec()));
    }
}

struct Report<'a> {
    kinds: &'a Kinds,
    found: Vec<Found>,
    largest: Vec<(u64, usize, Vec<u8>)>,
    sizes: Distribution,
    names: Distribution,
    top: usize,
}

impl Report<'_> {
    fn kinds(&self) -> impl Iterator<Item = (&Kind, &Found)> {
        self.kinds.all.iter().zip(&self.found)
    }

    fn write(&self, out: &mut impl Write, total: u64) -> io::Result<()> {
        let sampled = self.sizes.count;
        let share = match total {
            0 => 100.0,
            total => (sampled as f64 / total as f64 * 100.0).min(100.0),
        };
        writeln!(out, "{share:.2}% keys scanned\nKeys sampled: {sampled}")?;
        writeln!(
            out,
            "Keys size:    {}\n",
            human_bytes(self.sizes.sum as u64)
        )?;
        writeln!(out, "--- Top {} key sizes ---", self.top)?;
        for (index, (size, kind, key)) in self.largest.iter().enumerate() {
            let name = self
                .kinds
                .all
                .get(*kind)
                .map_or("?", |kind| kind.name.as_str());
            let (number, size) = (index + 1, human_bytes(*size));
            writeln!(out, "{number:3} {size:>8} {name:<10} {}", quoted_text(key))?;
        }
        writeln!(out, "\n--- Top size per type ---")?;
        for (kind, found) in self.kinds() {
            if let Some((size, key)) = &found.by_memory {
                let (key, size) = (String::from_utf8_lossy(key), human_bytes(*size));
                writeln!(out, "{:<10} {key} is {size}", kind.name)?;
            }
        }
        writeln!(out, "\n--- Top length and cardinality per type ---")?;
        for (kind, found) in self.kinds() {
            if let (Some((length, key)), Some((_, unit))) = (&found.by_length, kind.size) {
                let key = String::from_utf8_lossy(key);
                writeln!(out, "{:<10} {key} has {}", kind.name, amount(*length, unit))?;
            }
        }
        writeln!(
            out,
            "\nKey size Percentile Total keys\n-------- ---------- -----------"
        )?;
        for (size, percent, count) in self.sizes.rows() {
            writeln!(out, "{:>8} {percent:>9.4}% {count:>11}", human_bytes(size))?;
        }
        writeln!(
            out,
            "Note: 1% size precision, Mean: {}, StdDeviation: {}",
            human_bytes(self.sizes.mean() as u64),
            human_bytes(self.sizes.deviation() as u64)
        )?;
        writeln!(
            out,
            "\nKey name length Percentile Total keys\n--------------- ---------- -----------"
        )?;
        for (size, percent, count) in self.names.rows() {
            writeln!(out, "{:>15} {percent:>9.4}% {count:>11}", human_bytes(size))?;
        }
        let average = human_bytes(self.names.mean() as u64);
        writeln!(
            out,
            "Total key length is {} ({average} avg)",
            human_bytes(self.names.sum as u64)
        )?;
        writeln!(
            out,
            "\nType        Total keys  Keys % Tot size Avg size  Total length/card Avg ln/card\n\
             --------- ------------ ------- -------- -------- ------------------ -----------"
        )?;
        for (kind, found) in self.kinds().filter(|(_, found)| found.count > 0) {
            let count = found.count.max(1);
            let average = found.length as f64 / count as f64;
            let (length, average) = match kind.size {
                Some((_, "bytes")) => (human_bytes(found.length), human_bytes(average as u64)),
                Some((_, unit)) => (amount(found.length, unit), format!("{average:.2}")),
                None => (String::new(), String::new()),
            };
            writeln!(
                out,
                "{:<9} {:>12} {:>6.2}% {:>8} {:>8} {length:>18} {average:>11}",
                kind.name,
                found.count,
                found.count as f64 / sampled.max(1) as f64 * 100.0,
                human_bytes(found.memory),
                human_bytes(found.memory / count)
            )?;
        }
        Ok(())
    }
}

fn amount(number: u64, unit: &str) -> String {
    match unit {
        "bytes" => human_bytes(number),
        unit => format!("{number} {unit}"),
    }
}
