//! The server's own log: lines for people, through `tracing`.
//!
//! ```text
//! 2026-03-01T09:30:00.123Z notice  Ready to accept connections on 127.0.0.1:6379
//! └ UTC                    └ level └ what happened; fields follow as name=value
//! ```

mod syslog;

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::sync::OnceLock;

use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::{LookupSpan, Registry};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, reload};

use crate::Config;

static LEVEL: OnceLock<reload::Handle<Targets, Registry>> = OnceLock::new();

/// Begins logging as the configuration says. Once per process; a program that embeds a server may install a subscriber of
/// its own instead.
pub fn init(config: &Config) -> io::Result<()> {
    let target = match config.logfile() {
        None => Target::Stderr,
        Some(path) => {
            // Whether it can be written shows now, not with the first line.
            open(&path)?;
            Target::File(path)
        }
    };
    let colours = matches!(target, Target::Stderr) && io::stderr().is_terminal();
    let (filter, handle) = reload::Layer::new(filter(config.loglevel()));
    let lines = tracing_subscriber::fmt::layer()
        .event_format(Line)
        .with_ansi(colours)
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

/// The form of a line.
struct Line;

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut line: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        // Milliseconds are enough.
        let time = time.get(..23).unwrap_or(&time);
        let (level, colour) = match *event.metadata().level() {
            Level::TRACE => ("debug  ", 2),
            Level::DEBUG => ("verbose", 2),
            Level::INFO => ("notice ", 32),
            Level::WARN => ("warning", 33),
            Level::ERROR => ("error  ", 31),
        };
        if line.has_ansi_escapes() {
            write!(line, "\x1b[2m{time}Z\x1b[0m \x1b[{colour}m{level}\x1b[0m ")?;
        } else {
            write!(line, "{time}Z {level} ")?;
        }
        context.format_fields(line.by_ref(), event)?;
        writeln!(line)
    }
}

/// Where lines go.
enum Target {
    Stderr,
    File(PathBuf),
}

enum LineWriter {
    Stderr(io::Stderr),
    File(File),
    /// The file can't be opened any more.
    Lost,
}

impl<'a> MakeWriter<'a> for Target {
    type Writer = LineWriter;

    /// The file is opened for each line, as Redis does it: so it may be moved away at any time.
    fn make_writer(&'a self) -> LineWriter {
        match self {
            Target::Stderr => LineWriter::Stderr(io::stderr()),
            Target::File(path) => open(path).map_or(LineWriter::Lost, LineWriter::File),
        }
    }
}

impl Write for LineWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            LineWriter::Stderr(stderr) => stderr.write(bytes),
            LineWriter::File(file) => file.write(bytes),
            LineWriter::Lost => Ok(bytes.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            LineWriter::Stderr(stderr) => stderr.flush(),
            LineWriter::File(_) | LineWriter::Lost => Ok(()),
        }
    }
}

fn open(path: &PathBuf) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}
