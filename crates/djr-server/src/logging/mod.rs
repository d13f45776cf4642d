//! The server's own log, through `tracing`: `line` has the form of its lines.

mod line;
mod syslog;

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::OnceLock;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::Registry;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, reload};

use crate::Config;

pub(crate) use line::{FORMATS, TIMESTAMP_FORMATS, set_format, set_timestamp_format};

static LEVEL: OnceLock<reload::Handle<Targets, Registry>> = OnceLock::new();

/// Begins logging as the configuration says. Once per process; a program that embeds a server may install a subscriber of
/// its own instead.
pub fn init(config: &Config) -> io::Result<()> {
    let target = match config.logfile() {
        None => Target::Stdout,
        Some(path) => {
            // Whether it can be written shows now, not with the first line.
            open(&path)?;
            Target::File(path)
        }
    };
    line::set_format(config.log_format());
    line::set_timestamp_format(config.log_timestamp_format());
    let (filter, handle) = reload::Layer::new(filter(config.loglevel()));
    let lines = tracing_subscriber::fmt::layer()
        .event_format(line::Line)
        .with_ansi(false)
        .with_writer(target);
    let syslog = match config.syslog() {
        Some((ident, facility)) => Some(syslog::Syslog::new(ident, facility)?),
        None => None,
    };
    tracing_subscriber::registry()
        .with(lines.and_then(syslog).with_filter(filter))
        .try_init()
        .map_err(io::Error::other)?;
    // The first handle stays: a second initialization has failed above.
    let _ = LEVEL.set(handle);
    Ok(())
}

/// Changes how much is logged: 0 (debug) to 4 (nothing), as `loglevel` has them.
pub(crate) fn set_level(level: u8) {
    if let Some(handle) = LEVEL.get()
        && let Err(error) = handle.modify(|current| *current = filter(level))
    {
        tracing::warn!("loglevel: {error}");
    }
}

/// What is shown at a level. Errors are, at "warning", too; libraries do not show what they say for their own debugging.
fn filter(level: u8) -> Targets {
    let level = match level {
        0 => LevelFilter::TRACE,
        1 => LevelFilter::DEBUG,
        2 => LevelFilter::INFO,
        3 => LevelFilter::WARN,
        _ => LevelFilter::OFF,
    };
    Targets::new()
        .with_default(level.min(LevelFilter::INFO))
        .with_target("djr", level)
        .with_target("script", level)
}

/// Where lines go.
enum Target {
    Stdout,
    File(PathBuf),
}

enum LineWriter {
    Stdout(io::Stdout),
    File(File),
    /// The file can't be opened any more.
    Lost,
}

impl<'a> MakeWriter<'a> for Target {
    type Writer = LineWriter;

    /// The file is opened for each line, as Redis does it: so it may be moved away at any time.
    fn make_writer(&'a self) -> LineWriter {
        match self {
            Target::Stdout => LineWriter::Stdout(io::stdout()),
            Target::File(path) => open(path).map_or(LineWriter::Lost, LineWriter::File),
        }
    }
}

impl Write for LineWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            LineWriter::Stdout(stdout) => stdout.write(bytes),
            LineWriter::File(file) => file.write(bytes),
            LineWriter::Lost => Ok(bytes.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            LineWriter::Stdout(stdout) => stdout.flush(),
            LineWriter::File(_) | LineWriter::Lost => Ok(()),
        }
    }
}

fn open(path: &PathBuf) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}
