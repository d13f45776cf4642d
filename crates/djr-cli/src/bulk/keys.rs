//! `--bigkeys`, `--memkeys` and `--hotkeys`: the largest or most used keys of a walk over all.

use std::io::{self, IsTerminal, Write};

use djr_client::{Client, Pipeline, Value};

use super::BulkError;
use super::scan::Walker;
use super::survey::{Kind, Survey, Wanted, database_len};
use crate::format::quoted_text;
use crate::options::{Mode, Settings};
use crate::progress::{Progress, Unit};

/// A line in between says how far it is, every so many keys.
const KEYS_PER_LINE: u64 = 1_000_000;

/// How far it is, is told in steps of so many keys: redis-cli's, which asks for no more at a time.
const PERCENT_STEP: u64 = 10;

/// What was found of one type.
#[derive(Clone, Debug, Default)]
struct Found {
    count: u64,
    total: u64,
    biggest: u64,
    key: Option<Vec<u8>>,
}

/// Searches, for one thing after the other.
pub(crate) async fn run(mut client: Client, settings: &Settings) -> Result<(), BulkError> {
    let Mode::Keys { big, memory, hot } = settings.mode else {
        return Ok(());
    };
    if big {
        sizes(&mut client, settings, None).await?;
    }
    if let Some(samples) = memory {
        sizes(&mut client, settings, Some(samples)).await?;
    }
    if let Some(len) = hot {
        frequencies(&mut client, settings, len).await?;
    }
    Ok(())
}

fn introduce(out: &mut impl Write, what: &str) -> io::Result<()> {
    write!(
        out,
        "\n# Scanning the entire keyspace to find {what} keys as well as\n\
         # average sizes per key type.  You can use -i 0.1 to sleep 0.1 sec\n\
         # per 100 SCAN commands (not usually needed).\n\n"
    )
}

fn percentage(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64 * 100.0
    }
}

/// Where the lines go: they are rare, and a bar may have to go first.
struct Report {
    out: io::Stdout,
    progress: Option<Progress>,
}

impl Report {
    fn new(total: u64) -> Report {
        let out = io::stdout();
        let progress = out
            .is_terminal()
            .then(|| Progress::new(Unit::Keys, Some(total)));
        Report { out, progress }
    }

    fn line(&mut self, line: &str) -> io::Result<()> {
        if let Some(progress) = &mut self.progress {
            progress.clear();
        }
        self.out.write_all(line.as_bytes())?;
        self.out.write_all(b"\n")
    }
}

/// `memory`: bytes, with so many samples, instead of elements.
async fn sizes(
    client: &mut Client,
    settings: &Settings,
    memory: Option<Option<u64>>,
) -> Result<(), BulkError> {
    let total = database_len(client).await?;
    let mut report = Report::new(total);
    introduce(&mut report.out, "biggest")?;
    let wanted = Wanted {
        size: memory.is_none(),
        memory,
    };
    let mut survey = Survey::new(settings, wanted);
    let mut found: Vec<Found> = Vec::new();
    let (mut sampled, mut keys_len) = (0, 0);
    while let Some(page) = survey.next(client).await? {
        found.resize_with(survey.kinds.all.len(), Found::default);
        for entry in &page {
            let percent = percentage(sampled - sampled % PERCENT_STEP, total);
            sampled += 1;
            let key = entry.name();
            keys_len += key.len() as u64;
            let Some(index) = entry.kind else { continue };
            let (Some(kind), Some(found)) = (survey.kinds.all.get(index), found.get_mut(index))
            else {
                continue;
            };
            let size = match memory {
                Some(_) => entry.memory,
                None => entry.size,
            };
            found.count += 1;
            found.total += size;
            if size > found.biggest {
                found.biggest = size;
                found.key = Some(key.to_vec());
                let (name, unit) = (&kind.name, unit(kind, memory.is_some()));
                report.line(&format!(
                    "[{percent:05.2}%] Biggest {name:<6} found so far '{}' with {size} {unit}",
                    quoted_text(key)
                ))?;
            }
            if sampled % KEYS_PER_LINE == 0 {
                report.line(&format!("[{percent:05.2}%] Sampled {sampled} keys so far"))?;
            }
        }
        if let Some(progress) = &mut report.progress {
            progress.advance(page.len() as u64);
        }
    }
    report.line("\n-------- summary -------\n")?;
    report.line(&format!("Sampled {sampled} keys in the keyspace!"))?;
    let average = if sampled == 0 {
        0.0
    } else {
        keys_len as f64 / sampled as f64
    };
    report.line(&format!(
        "Total key length in bytes is {keys_len} (avg len {average:.2})\n"
    ))?;
    found.resize_with(survey.kinds.all.len(), Found::default);
    let all = || survey.kinds.all.iter().zip(&found);
    for (kind, found) in all() {
        let Some(key) = &found.key else { continue };
        let (name, unit) = (&kind.name, unit(kind, memory.is_some()));
        report.line(&format!(
            "Biggest {name:>6} found '{}' has {} {unit}",
            quoted_text(key),
            found.biggest
        ))?;
    }
    report.line("")?;
    for (kind, found) in all() {
        let average = if found.count == 0 {
            0.0
        } else {
            found.total as f64 / found.count as f64
        };
        report.line(&format!(
            "{} {}s with {} {} ({:05.2}% of keys, avg size {average:.2})",
            found.count,
            kind.name,
            found.total,
            unit(kind, memory.is_some()),
            percentage(found.count, sampled)
        ))?;
    }
    Ok(())
}

fn unit(kind: &Kind, is_memory: bool) -> &'static str {
    match kind.size {
        _ if is_memory => "bytes",
        Some((_, unit)) => unit,
        None => "?",
    }
}

async fn frequencies(
    client: &mut Client,
    settings: &Settings,
    len: usize,
) -> Result<(), BulkError> {
    let total = database_len(client).await?;
    let mut report = Report::new(total);
    introduce(&mut report.out, "hot")?;
    let mut walker = Walker::new(&settings.walk, !settings.interval.is_zero());
    let mut pipeline = Pipeline::new();
    let mut hottest: Vec<(u64, Vec<u8>)> = Vec::new();
    let mut sampled = 0;
    walker.ask(&mut pipeline);
    client.send_all(&pipeline).await?;
    let mut keys = walker.take(client).await?;
    loop {
        pipeline.clear();
        for key in &keys {
            pipeline.add(&[&b"OBJECT"[..], b"FREQ", key.as_bytes().unwrap_or_default()]);
        }
        let is_asked = walker.ask(&mut pipeline);
        client.send_all(&pipeline).await?;
        let percent = percentage(sampled, total);
        for key in &keys {
            // A key that is gone has none.
            let count = match client.receive().await? {
                Value::Error(text) if !text.starts_with(b"ERR no such key") => {
                    let text = String::from_utf8_lossy(&text).into_owned();
                    return Err(BulkError::Said(format!("Error: {text}")));
                }
                reply => reply
                    .as_integer()
                    .and_then(|count| count.try_into().ok())
                    .unwrap_or(0),
            };
            sampled += 1;
            let is_hot =
                hottest.len() < len || hottest.last().is_some_and(|(least, _)| count > *least);
            if is_hot && count > 0 {
                let key = key.as_bytes().unwrap_or_default();
                let at = hottest.partition_point(|(other, _)| *other >= count);
                hottest.insert(at, (count, key.to_vec()));
                hottest.truncate(len);
                report.line(&format!(
                    "[{percent:05.2}%] Hot key '{}' found so far with counter {count}",
                    quoted_text(key)
                ))?;
            }
            if sampled % KEYS_PER_LINE == 0 {
                report.line(&format!("[{percent:05.2}%] Sampled {sampled} keys so far"))?;
            }
        }
        if let Some(progress) = &mut report.progress {
            progress.advance(keys.len() as u64);
        }
        if !is_asked {
            break;
        }
        keys = walker.take(client).await?;
        walker.pause(settings.interval).await;
    }
    report.line("\n-------- summary -------\n")?;
    report.line(&format!("Sampled {sampled} keys in the keyspace!"))?;
    for (count, key) in &hottest {
        report.line(&format!(
            "hot key found with counter: {count}\tkeyname: {}",
            quoted_text(key)
        ))?;
    }
    Ok(())
}
