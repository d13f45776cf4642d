//! What a server sends to its replicas: `--rdb` and `--functions-rdb` save the snapshot that comes first, `--replica` shows
//! the commands that come after it.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use djr_client::{Client, ClientError, Limits, Raw};
use djr_protocol::ReplyDecoder;

use super::BulkError;
use crate::format::{Output, Style};
use crate::progress::{Progress, Unit};

/// How long an answer to `REPLCONF` or `SYNC` may take: a server forks and writes first. Line ends come meanwhile.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// The longest line that a server sends before the snapshot.
const LINE_LEN_MAX: usize = 64 * 1024;

/// How long the mark is that ends a snapshot of unknown length.
const MARK_LEN: usize = 40;

/// Saves a snapshot to `file`, or to standard output if that is `-`.
pub(crate) async fn run(
    client: Client,
    file: &Path,
    only_functions: bool,
) -> Result<(), BulkError> {
    let mut link = Link::new(client)?;
    link.prepare(&["capa", "eof"]).await?;
    link.prepare(&["rdb-only", "1"]).await?;
    if only_functions {
        link.prepare(&["rdb-filter-only", "functions"]).await?;
    }
    let payload = link.sync().await?;
    let is_stdout = file == Path::new("-");
    let shown = file.display();
    match payload {
        Payload::Length(len) => eprintln!("SYNC sent to master, writing {len} bytes to '{shown}'"),
        Payload::Marked(_) => {
            eprintln!(
                "SYNC sent to master, writing bytes of bulk transfer until EOF marker to '{shown}'"
            );
        }
    }
    let failed = |error: io::Error| {
        let reason = error.to_string();
        let reason = reason.split(" (os error").next().unwrap_or_default();
        BulkError::Said(format!("Error opening '{shown}': {reason}"))
    };
    let mut out: Box<dyn Write> = if is_stdout {
        Box::new(io::stdout().lock())
    } else {
        Box::new(File::create(file).map_err(failed)?)
    };
    let len = link.save(payload, &mut out).await?;
    out.flush()?;
    drop(out);
    if !is_stdout {
        File::open(file)?.sync_all()?;
    }
    match payload {
        Payload::Length(_) => eprintln!("Transfer finished with success."),
        Payload::Marked(_) => eprintln!("Transfer finished with success after {len} bytes"),
    }
    Ok(())
}

/// Shows what the server sends to its replicas, in CSV, for ever.
pub(crate) async fn watch(client: Client) -> Result<(), BulkError> {
    let mut link = Link::new(client)?;
    link.prepare(&["capa", "eof"]).await?;
    // An empty filter: the data would only be thrown away. Old servers send them all the same.
    link.prepare(&["rdb-filter-only", ""]).await?;
    let payload = link.sync().await?;
    match payload {
        Payload::Length(len) => {
            eprintln!("SYNC with master, discarding {len} bytes of bulk transfer...");
        }
        Payload::Marked(_) => {
            eprintln!("SYNC with master, discarding bytes of bulk transfer until EOF marker...");
        }
    }
    link.save(payload, &mut io::sink()).await?;
    eprintln!("SYNC done. Logging commands from master.");
    let style = Style {
        output: Output::Csv,
        element_delimiter: Vec::new(),
        reply_delimiter: Vec::new(),
    };
    let limits = Limits {
        bulk_len_max: isize::MAX as usize,
        ..Limits::default()
    };
    let (mut decoder, mut text) = (ReplyDecoder::new(), Vec::new());
    loop {
        while let Some(value) = decoder
            .decode(&mut link.input, &limits)
            .map_err(ClientError::from)?
        {
            text.clear();
            style.reply(&value, false, &mut text);
            let mut stdout = io::stdout().lock();
            stdout.write_all(&text)?;
            stdout.flush()?;
        }
        link.raw.read(&mut link.input).await?;
    }
}

/// How a snapshot comes.
#[derive(Clone, Copy, Debug)]
enum Payload {
    Length(u64),
    /// Until these bytes come.
    Marked([u8; MARK_LEN]),
}

struct Link {
    raw: Raw,
    input: BytesMut,
}

impl Link {
    fn new(client: Client) -> Result<Link, BulkError> {
        let raw = client.into_raw().ok_or(ClientError::Closed)?;
        Ok(Link {
            raw,
            input: BytesMut::new(),
        })
    }

    /// Says what this replica can do. A server that does not know it says so, and goes on.
    async fn prepare(&mut self, words: &[&str]) -> Result<(), BulkError> {
        eprintln!("sending REPLCONF {}", words.join(" "));
        let mut command = Vec::new();
        let all: Vec<&[u8]> = std::iter::once(&b"REPLCONF"[..])
            .chain(words.iter().map(|word| word.as_bytes()))
            .collect();
        djr_protocol::encode_command(&mut command, &all);
        self.raw.write_all(&command).await?;
        let line = self.line().await?;
        if let Some(reason) = line.strip_prefix('-') {
            let option = words.first().copied().unwrap_or_default();
            eprintln!("{option} error: {reason}");
        }
        Ok(())
    }

    async fn sync(&mut self) -> Result<Payload, BulkError> {
        self.raw.write_all(b"SYNC\r\n").await?;
        let line = loop {
            let line = self.line().await?;
            // Signs of life while the snapshot is made.
            if !line.is_empty() {
                break line;
            }
        };
        if let Some(mark) = line.strip_prefix("$EOF:") {
            return match mark.as_bytes().try_into() {
                Ok(mark) => Ok(Payload::Marked(mark)),
                Err(_) => Err(BulkError::Said(format!("SYNC with master failed: {line}"))),
            };
        }
        match line.strip_prefix('$').and_then(|len| len.parse().ok()) {
            Some(len) => Ok(Payload::Length(len)),
            None => Err(BulkError::Said(match line.as_str() {
                unknown if unknown.starts_with("-ERR unknown command") => {
                    "SYNC with master failed: this server can't send snapshots to replicas"
                        .to_owned()
                }
                line => format!("SYNC with master failed: {line}"),
            })),
        }
    }

    /// The next line, without its end.
    async fn line(&mut self) -> Result<String, BulkError> {
        loop {
            if let Some(len) = self.input.iter().position(|&byte| byte == b'\n') {
                let line = self.input.split_to(len + 1);
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            if self.input.len() > LINE_LEN_MAX {
                return Err(BulkError::Said(
                    "SYNC with master failed: no line end".to_owned(),
                ));
            }
            self.read().await?;
        }
    }

    async fn read(&mut self) -> Result<(), BulkError> {
        let read = self.raw.read(&mut self.input);
        match tokio::time::timeout(SILENCE_MAX, read).await {
            Ok(read) => read.map(drop).map_err(BulkError::from),
            Err(_) => Err(ClientError::Timeout(SILENCE_MAX).into()),
        }
    }

    /// Writes the snapshot to `out`; returns its length.
    async fn save(&mut self, payload: Payload, out: &mut impl Write) -> Result<u64, BulkError> {
        let total = match payload {
            Payload::Length(len) => Some(len),
            Payload::Marked(_) => None,
        };
        let mut progress = Progress::new(Unit::Bytes, total);
        let mut len = 0;
        loop {
            let (ready, is_last) = match payload {
                Payload::Length(total) => {
                    let left = usize::try_from(total - len).unwrap_or(usize::MAX);
                    (left.min(self.input.len()), left <= self.input.len())
                }
                Payload::Marked(mark) => {
                    let ends = self.input.len().checked_sub(MARK_LEN);
                    // The mark is the last thing that comes before the stream of commands, if there is one.
                    match self
                        .input
                        .windows(MARK_LEN)
                        .position(|window| window == mark)
                    {
                        Some(at) => (at, true),
                        None => (ends.unwrap_or(0), false),
                    }
                }
            };
            out.write_all(self.input.get(..ready).unwrap_or_default())?;
            self.input.advance(ready);
            len += ready as u64;
            progress.advance(ready as u64);
            if is_last {
                if let Payload::Marked(_) = payload {
                    self.input.advance(MARK_LEN.min(self.input.len()));
                }
                return Ok(len);
            }
            self.read().await?;
        }
    }
}
