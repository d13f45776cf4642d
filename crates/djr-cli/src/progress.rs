//! How far long work is: a bar with rate and time left, on the terminal only. It is written to standard error, so it never
//! gets between the lines of a result.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// How often the bar is drawn.
const PAUSE: Duration = Duration::from_millis(100);

/// Characters of the bar alone.
const BAR_WIDTH: u64 = 30;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Keys,
    Bytes,
}

/// A bar.
#[derive(Debug)]
pub(crate) struct Progress {
    unit: Unit,
    /// If it is known. It may turn out to be more.
    total: Option<u64>,
    done: u64,
    begun: Instant,
    drawn: Option<Instant>,
    is_on: bool,
}

impl Progress {
    pub(crate) fn new(unit: Unit, total: Option<u64>) -> Progress {
        Progress {
            unit,
            total,
            done: 0,
            begun: Instant::now(),
            drawn: None,
            is_on: io::stderr().is_terminal(),
        }
    }

    /// So much more is done.
    pub(crate) fn advance(&mut self, more: u64) {
        self.done += more;
        if !self.is_on || self.drawn.unwrap_or(self.begun).elapsed() < PAUSE {
            return;
        }
        self.drawn = Some(Instant::now());
        let line = line(self.unit, self.done, self.total, self.begun.elapsed());
        // Whether it is seen does not matter to the work.
        let _ = write!(io::stderr().lock(), "\r\x1b[2K{line}");
    }

    /// Takes the bar off the screen, before a line is printed and at the end.
    pub(crate) fn clear(&mut self) {
        if self.drawn.take().is_some() {
            let _ = write!(io::stderr().lock(), "\r\x1b[2K");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

fn line(unit: Unit, done: u64, total: Option<u64>, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64().max(0.001);
    let rate = done as f64 / seconds;
    let amount = match unit {
        Unit::Keys => format!(
            "{} keys, {} keys/s",
            short(done as f64, 1000.0),
            short(rate, 1000.0)
        ),
        Unit::Bytes => format!(
            "{}B, {}B/s",
            short(done as f64, 1024.0),
            short(rate, 1024.0)
        ),
    };
    let Some(total) = total.filter(|total| *total > 0) else {
        return format!("{amount}, {:.0} s", elapsed.as_secs_f64());
    };
    let done = done.min(total);
    let full = done.saturating_mul(BAR_WIDTH) / total;
    let bar: String = (0..BAR_WIDTH)
        .map(|at| if at < full { '#' } else { '.' })
        .collect();
    let left = if rate > 0.0 {
        (total - done) as f64 / rate
    } else {
        0.0
    };
    format!(
        "{:5.1}% [{bar}] {amount}, {}:{:02} left",
        done as f64 / total as f64 * 100.0,
        left as u64 / 60,
        left as u64 % 60
    )
}

/// A number with a letter for its magnitude: `1.2M`.
fn short(mut number: f64, step: f64) -> String {
    for letter in ["", "k", "M", "G", "T"] {
        if number < step {
            let digits = if letter.is_empty() { 0 } else { 1 };
            return format!("{number:.digits$}{letter}");
        }
        number /= step;
    }
    format!("{number:.1}P")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(
        Unit::Keys,
        500,
        Some(1000),
        " 50.0% [###############...............] 500 keys, 250 keys/s, 0:02 left"
    )]
    #[case(
        Unit::Keys,
        0,
        Some(1000),
        "  0.0% [..............................] 0 keys, 0 keys/s, 0:00 left"
    )]
    #[case(
        Unit::Keys,
        2000,
        Some(1000),
        "100.0% [##############################] 2.0k keys, 1.0k keys/s, 0:00 left"
    )]
    #[case(Unit::Bytes, 3 * 1024 * 1024, None, "3.0MB, 1.5MB/s, 2 s")]
    fn lines(
        #[case] unit: Unit,
        #[case] done: u64,
        #[case] total: Option<u64>,
        #[case] expected: &str,
    ) {
        assert_eq!(line(unit, done, total, Duration::from_secs(2)), expected);
    }
}
