//! `--bigkeys`, `--memkeys` and `--hotkeys`: the largest or most used keys of a walk over all. One write and one wait
//! per step: it asks for the sizes of one page of keys, for the types of the next one, and for the page after that.

use std::collections::HashMap;
use std::io::{self, IsTerminal, Write};

use djr_client::{Client, Pipeline, Value};

use super::BulkError;
use super::scan::{Walker, receive};
use crate::format::quoted_text;
use crate::options::{Mode, Settings};
use crate::progress::{Progress, Unit};

/// A line in between says how far it is, every so many keys.
const KEYS_PER_LINE: u64 = 1_000_000;

/// A type of values, and how its size is asked for.
#[derive(Clone, Debug)]
pub(super) struct Kind {
    pub(super) name: String,
    /// The command for the size, and what it counts; none for the types of modules.
    pub(super) size: Option<(&'static str, &'static str)>,
}

/// In the order of the summary.
const KINDS: [(&str, &str, &str); 6] = [
    ("list", "LLEN", "items"),
    ("hash", "HLEN", "fields"),
    ("stream", "XLEN", "entries"),
    ("string", "STRLEN", "bytes"),
    ("set", "SCARD", "members"),
    ("zset", "ZCARD", "members"),
];

/// The types that are known, and those that turn up.
#[derive(Debug)]
pub(super) struct Kinds {
    pub(super) all: Vec<Kind>,
    by_name: HashMap<Vec<u8>, usize>,
}

impl Kinds {
    pub(super) fn new() -> Kinds {
        let mut kinds = Kinds {
            all: Vec::new(),
            by_name: HashMap::new(),
        };
        for (name, command, unit) in KINDS {
            kinds.add(name, Some((command, unit)));
        }
        kinds
    }

    fn add(&mut self, name: &str, size: Option<(&'static str, &'static str)>) -> usize {
        let index = self.all.len();
        self.all.push(Kind {
            name: name.to_owned(),
            size,
        });
        self.by_name.insert(name.as_bytes().to_vec(), index);
        index
    }

    /// The index of a type; `None` if the key is gone.
    pub(super) fn of(&mut self, reply: &Value) -> Option<usize> {
        let name = reply.as_bytes().unwrap_or_default();
        if name == b"none" || name.is_empty() {
            return None;
        }
        if let Some(index) = self.by_name.get(name) {
            return Some(*index);
        }
        Some(self.add(&String::from_utf8_lossy(name), None))
    }
}

/// A page of keys on its way: first their types are asked for, then their sizes.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) keys: Vec<Value>,
    /// Index of the type; `None` for a key that has gone.
    pub(super) kinds: Vec<Option<usize>>,
}

/// Asks for the types and sizes of all keys, three steps at once.
#[derive(Debug)]
pub(super) struct Survey {
    walker: Walker,
    pub(super) kinds: Kinds,
    /// Whose types are known, and whose sizes are to be asked for.
    typed: Page,
    /// Whose types are to be asked for.
    fresh: Vec<Value>,
}

impl Survey {
    pub(super) fn new(settings: &Settings) -> Survey {
        Survey {
            walker: Walker::new(&settings.walk, !settings.interval.is_zero()),
            kinds: Kinds::new(),
            typed: Page::default(),
            fresh: Vec::new(),
        }
    }

    /// The next page with what `ask` asked of each of its keys: `ask` adds commands for a key and its type and returns
    /// how many. `None` at the end. A page may be empty.
    pub(super) async fn next(
        &mut self,
        client: &mut Client,
        pipeline: &mut Pipeline,
        mut ask: impl FnMut(&[u8], &Kind, &mut Pipeline) -> usize,
    ) -> Result<Option<(Page, Vec<Vec<Value>>)>, BulkError> {
        if self.walker.is_done() && self.fresh.is_empty() && self.typed.keys.is_empty() {
            return Ok(None);
        }
        pipeline.clear();
        let page = std::mem::take(&mut self.typed);
        let mut counts = Vec::with_capacity(page.keys.len());
        for (key, kind) in page.keys.iter().zip(&page.kinds) {
            let kind = kind.and_then(|index| self.kinds.all.get(index));
            counts.push(kind.map_or(0, |kind| {
                ask(key.as_bytes().unwrap_or_default(), kind, pipeline)
            }));
        }
        let keys = std::mem::take(&mut self.fresh);
        for key in &keys {
            pipeline.add(&[&b"TYPE"[..], key.as_bytes().unwrap_or_default()]);
        }
        let is_asked = self.walker.ask(pipeline);
        client.send_all(pipeline).await?;
        let mut answers = Vec::with_capacity(counts.len());
        for count in counts {
            let mut values = Vec::with_capacity(count);
            for _ in 0..count {
                values.push(receive(client).await?);
            }
            answers.push(values);
        }
        let mut kinds = Vec::with_capacity(keys.len());
        for _ in 0..keys.len() {
            let reply = receive(client).await?;
            kinds.push(self.kinds.of(&reply));
        }
        self.typed = Page { keys, kinds };
        if is_asked {
            self.fresh = self.walker.take(client).await?;
        }
        Ok(Some((page, answers)))
    }

    pub(super) fn walker(&self) -> &Walker {
        &self.walker
    }
}

/// What was found of one type.
#[derive(Clone, Debug, Default)]
struct Found {
    count: u64,
    total: u64,
    biggest: u64,
    key: Option<Vec<u8>>,
}

/// How many keys the database has, for percentages.
pub(super) async fn database_len(client: &mut Client) -> Result<u64, BulkError> {
    let reply = client.command(&["DBSIZE"]).await?;
    Ok(reply
        .as_integer()
        .and_then(|len| len.try_into().ok())
        .unwrap_or(0))
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
    let samples = memory.flatten().map(|samples| samples.to_string());
    let mut survey = Survey::new(settings);
    let mut pipeline = Pipeline::new();
    let mut found: Vec<Found> = Vec::new();
    let (mut sampled, mut keys_len) = (0, 0);
    let ask = |key: &[u8], kind: &Kind, pipeline: &mut Pipeline| {
        if memory.is_some() {
            let mut words: Vec<&[u8]> = vec![b"MEMORY", b"USAGE", key];
            if let Some(samples) = &samples {
                words.extend([&b"SAMPLES"[..], samples.as_bytes()]);
            }
            pipeline.add(&words);
            return 1;
        }
        match kind.size {
            Some((command, _)) => {
                pipeline.add(&[command.as_bytes(), key]);
                1
            }
            None => 0,
        }
    };
    while let Some((page, answers)) = survey.next(client, &mut pipeline, ask).await? {
        let percent = percentage(sampled, total);
        found.resize_with(survey.kinds.all.len(), Found::default);
        for ((key, kind), answer) in page.keys.iter().zip(&page.kinds).zip(&answers) {
            sampled += 1;
            let key = key.as_bytes().unwrap_or_default();
            keys_len += key.len() as u64;
            let Some(index) = *kind else { continue };
            let (Some(kind), Some(found)) = (survey.kinds.all.get(index), found.get_mut(index))
            else {
                continue;
            };
            let size = answer.first().and_then(Value::as_integer);
            let size: u64 = size.and_then(|size| size.try_into().ok()).unwrap_or(0);
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
            progress.advance(page.keys.len() as u64);
        }
        survey.walker().pause(settings.interval).await;
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
