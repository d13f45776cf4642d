//! The form of a line of the log: that of Redis, or one of Valkey's others.
//!
//! ```text
//! 4711:M 01 Mar 2026 09:30:00.123 * Ready to accept connections
//! │    │ └ local time             │ └ what happened
//! │    └ M: takes writes          └ . debug, - verbose, * notice, # warning
//! └ process id
//! ```

use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

use jiff::Zoned;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::registry::LookupSpan;

/// `log-format`, by its place in the table's choices.
static FORMAT: AtomicU8 = AtomicU8::new(0);
/// `log-timestamp-format`, likewise.
static TIMESTAMP: AtomicU8 = AtomicU8::new(0);

/// What `log-format` may be, in the order of [`set_format`].
pub(crate) const FORMATS: &[&str] = &["legacy", "logfmt", "json"];
/// What `log-timestamp-format` may be, in the order of [`set_timestamp_format`].
pub(crate) const TIMESTAMP_FORMATS: &[&str] = &["legacy", "iso8601", "milliseconds"];

/// From now on lines have the form with this place in [`FORMATS`].
pub(crate) fn set_format(index: u8) {
    FORMAT.store(index, Relaxed);
}

/// From now on times have the form with this place in [`TIMESTAMP_FORMATS`].
pub(crate) fn set_timestamp_format(index: u8) {
    TIMESTAMP.store(index, Relaxed);
}

/// Writes each event as one line.
pub(super) struct Line;

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
        let mut message = String::new();
        context.format_fields(Writer::new(&mut message), event)?;
        let level = *event.metadata().level();
        let time = shown(&Zoned::now(), TIMESTAMP.load(Relaxed));
        write_line(&mut line, FORMAT.load(Relaxed), level, &time, &message)
    }
}

fn shown(now: &Zoned, format: u8) -> String {
    match format {
        0 => now.strftime("%d %b %Y %H:%M:%S%.3f").to_string(),
        1 => now.strftime("%Y-%m-%dT%H:%M:%S%.3f%:z").to_string(),
        _ => now.timestamp().as_millisecond().to_string(),
    }
}

fn write_line(
    line: &mut impl fmt::Write,
    format: u8,
    level: Level,
    time: &str,
    message: &str,
) -> fmt::Result {
    let pid = std::process::id();
    // Redis knows no errors: they are warnings.
    let (mark, name) = match level {
        Level::TRACE => ('.', "debug"),
        Level::DEBUG => ('-', "verbose"),
        Level::INFO => ('*', "notice"),
        Level::WARN | Level::ERROR => ('#', "warning"),
    };
    match format {
        0 => writeln!(line, "{pid}:M {time} {mark} {message}"),
        1 => {
            // As Valkey does it: what would end the value is replaced.
            let message = message.replace('"', "'").replace(['\r', '\n'], " ");
            writeln!(
                line,
                "pid={pid} role=primary timestamp=\"{time}\" level={name} message=\"{message}\""
            )
        }
        _ => {
            let message = json_string(message);
            writeln!(
                line,
                "{{\"pid\":{pid},\"role\":\"primary\",\"timestamp\":\"{time}\",\"level\":\"{name}\",\"message\":{message}}}"
            )
        }
    }
}

fn json_string(text: &str) -> String {
    let mut json = String::with_capacity(text.len() + 2);
    json.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => json.extend(['\\', character]),
            '\n' => json.push_str("\\n"),
            '\r' => json.push_str("\\r"),
            '\t' => json.push_str("\\t"),
            control if control < ' ' => {
                let result = write!(json, "\\u{:04x}", u32::from(control));
                debug_assert!(result.is_ok(), "writing to a string does not fail");
            }
            other => json.push(other),
        }
    }
    json.push('"');
    json
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(0, Level::INFO, "a \"b\"\n", "PID:M T * a \"b\"\n\n")]
    #[case(0, Level::DEBUG, "a", "PID:M T - a\n")]
    #[case(0, Level::TRACE, "a", "PID:M T . a\n")]
    #[case(0, Level::ERROR, "a", "PID:M T # a\n")]
    #[case(
        1,
        Level::WARN,
        "a \"b\"\nc",
        "pid=PID role=primary timestamp=\"T\" level=warning message=\"a 'b' c\"\n"
    )]
    #[case(
        2,
        Level::INFO,
        "a \"b\"\n\u{1}\\",
        "{\"pid\":PID,\"role\":\"primary\",\"timestamp\":\"T\",\"level\":\"notice\",\"message\":\"a \\\"b\\\"\\n\\u0001\\\\\"}\n"
    )]
    fn lines_have_the_form_that_is_set(
        #[case] format: u8,
        #[case] level: Level,
        #[case] message: &str,
        #[case] expected: &str,
    ) {
        let mut line = String::new();
        write_line(&mut line, format, level, "T", message).expect("a string");
        assert_eq!(
            line,
            expected.replace("PID", &std::process::id().to_string())
        );
    }

    #[test]
    fn times_have_the_form_that_is_set() {
        let moment = "2026-03-01T09:30:00.0456-05:00[America/Lima]"
            .parse::<Zoned>()
            .or_else(|_| "2026-03-01T14:30:00.0456+00:00[UTC]".parse())
            .expect("a moment");
        let utc = moment.with_time_zone(jiff::tz::TimeZone::fixed(jiff::tz::offset(-5)));
        assert_eq!(shown(&utc, 0), "01 Mar 2026 09:30:00.045");
        assert_eq!(shown(&utc, 1), "2026-03-01T09:30:00.045-05:00");
        assert_eq!(shown(&utc, 2), "1772375400045");
    }
}
