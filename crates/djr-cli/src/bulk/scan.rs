//! `--scan`, and the walk over all keys: the next step is asked for before the last one's keys are worked on.

use std::io::{self, BufWriter, Write};
use std::time::Duration;

use djr_client::{Client, Pipeline, Value};

use super::BulkError;
use crate::format::Output;
use crate::options::{Settings, Walk};
use crate::progress::{Progress, Unit};

/// Keys that the server looks at per step: enough that the way there and back no longer counts, few enough that
/// nobody else has to wait (a fraction of a millisecond).
const COUNT_FAST: u64 = 1000;

/// The same if there are to be pauses (`-i`): as gentle as `redis-cli`.
const COUNT_GENTLE: u64 = 10;

/// After so many steps comes a pause, in the modes that work on each key.
const STEPS_PER_PAUSE: u64 = 100;

/// A walk over all keys. Not an iterator: it works in two halves, [`ask`](Walker::ask) and [`take`](Walker::take), so that
/// others can ask for more with the same write.
#[derive(Debug)]
pub(crate) struct Walker {
    cursor: Vec<u8>,
    pattern: Option<Vec<u8>>,
    count: Vec<u8>,
    is_done: bool,
    steps: u64,
}

impl Walker {
    pub(crate) fn new(walk: &Walk, is_gentle: bool) -> Walker {
        let fallback = if is_gentle { COUNT_GENTLE } else { COUNT_FAST };
        let count = walk.count.unwrap_or(fallback);
        Walker {
            cursor: walk.cursor.to_string().into_bytes(),
            pattern: walk.pattern.clone(),
            count: count.to_string().into_bytes(),
            is_done: false,
            steps: 0,
        }
    }

    /// Adds the next step to `pipeline`; `false` at the end.
    pub(crate) fn ask(&mut self, pipeline: &mut Pipeline) -> bool {
        if self.is_done {
            return false;
        }
        let mut words: Vec<&[u8]> = vec![b"SCAN", &self.cursor];
        if let Some(pattern) = &self.pattern {
            words.extend([&b"MATCH"[..], pattern]);
        }
        words.extend([&b"COUNT"[..], &self.count]);
        pipeline.add(&words);
        true
    }

    /// Reads the reply to what was asked: the keys.
    pub(crate) async fn take(&mut self, client: &mut Client) -> Result<Vec<Value>, BulkError> {
        let reply = receive(client).await?;
        let Value::Array(items) = reply else {
            return Err(BulkError::Said("Non ARRAY response from SCAN!".to_owned()));
        };
        let mut items = items.into_iter();
        let (Some(cursor), Some(Value::Array(keys)), None) =
            (items.next(), items.next(), items.next())
        else {
            return Err(BulkError::Said(
                "Invalid element count from SCAN!".to_owned(),
            ));
        };
        self.cursor = cursor.as_bytes().unwrap_or_default().to_vec();
        self.is_done = self.cursor == b"0" || self.cursor.is_empty();
        self.steps += 1;
        Ok(keys)
    }

    /// The step that comes next, to go on from there another time.
    pub(crate) fn cursor(&self) -> String {
        String::from_utf8_lossy(&self.cursor).into_owned()
    }

    /// Waits after every so many steps, if that is wanted.
    pub(crate) async fn pause(&self, interval: Duration) {
        if !interval.is_zero() && self.steps.is_multiple_of(STEPS_PER_PAUSE) {
            tokio::time::sleep(interval).await;
        }
    }
}

/// The next reply; an error reply is an error.
pub(super) async fn receive(client: &mut Client) -> Result<Value, BulkError> {
    loop {
        match client.receive().await? {
            Value::Error(text) => {
                return Err(BulkError::Said(format!(
                    "Error: {}",
                    String::from_utf8_lossy(&text)
                )));
            }
            Value::Push(_) => {}
            value => return Ok(value),
        }
    }
}

/// The keys that match `pattern`, at most `limit`, each once.
pub(crate) async fn keys(
    client: &mut Client,
    pattern: &[u8],
    limit: usize,
) -> Result<Vec<Vec<u8>>, BulkError> {
    let walk = Walk {
        pattern: Some(pattern.to_vec()),
        ..Walk::default()
    };
    let mut walker = Walker::new(&walk, false);
    let mut pipeline = Pipeline::new();
    let mut found = std::collections::BTreeSet::new();
    while found.len() < limit && walker.ask(&mut pipeline) {
        client.send_all(&pipeline).await?;
        let page = walker.take(client).await?;
        found.extend(
            page.iter()
                .map(|key| key.as_bytes().unwrap_or_default().to_vec()),
        );
        pipeline.clear();
    }
    Ok(found.into_iter().take(limit).collect())
}

/// Prints all keys.
pub(crate) async fn run(mut client: Client, settings: &Settings) -> Result<(), BulkError> {
    let mut walker = Walker::new(&settings.walk, !settings.interval.is_zero());
    let mut out = BufWriter::with_capacity(64 * 1024, io::stdout().lock());
    // Lines that come on the same terminal are progress enough.
    let mut progress = (!settings.has_tty).then(|| Progress::new(Unit::Keys, None));
    let style = &settings.style;
    let mut line = Vec::new();
    let mut pipeline = Pipeline::new();
    walker.ask(&mut pipeline);
    client.send_all(&pipeline).await?;
    loop {
        let keys = walker.take(&mut client).await?;
        // On its way while these keys are printed.
        pipeline.clear();
        let goes_on = walker.ask(&mut pipeline);
        if goes_on && settings.interval.is_zero() {
            client.send_all(&pipeline).await?;
        }
        for key in &keys {
            line.clear();
            match style.output {
                // redis-cli writes keys as they are, unless somebody looks at a terminal.
                Output::Standard => style.reply(key, false, &mut line),
                _ => {
                    line.extend_from_slice(key.as_bytes().unwrap_or_default());
                    line.push(b'\n');
                }
            }
            out.write_all(&line)?;
        }
        if let Some(progress) = &mut progress {
            progress.advance(keys.len() as u64);
        }
        if !goes_on {
            break;
        }
        if !settings.interval.is_zero() {
            out.flush()?;
            tokio::time::sleep(settings.interval).await;
            client.send_all(&pipeline).await?;
        }
    }
    out.flush()?;
    Ok(())
}
