//! `djr-server check-rdb` and `check-aof`: what is in files, and what is wrong with them. Also under the names `redis-check-rdb` and
//! `redis-check-aof`, whose lines and exit codes they have.

mod aof;
mod rdb;

use std::ffi::OsString;
use std::io::{self, BufRead, Write};

pub use aof::{AofCheck, check_aof};
pub use rdb::check_rdb;

const BAR_WIDTH: usize = 30;

/// How far a check is, on a terminal if there is one.
struct Bar<'a> {
    out: Option<&'a mut dyn Write>,
    percent: Option<u64>,
}

impl<'a> Bar<'a> {
    fn new(out: Option<&'a mut dyn Write>) -> Self {
        Self { out, percent: None }
    }

    /// Draws it if it has changed: `done` of `total`, and what has been counted.
    fn draw(&mut self, done: u64, total: u64, count: u64, what: &str) -> io::Result<()> {
        let Some(out) = &mut self.out else {
            return Ok(());
        };
        let percent = (done as f64 * 100.0 / total.max(1) as f64).min(100.0) as u64;
        if self.percent == Some(percent) {
            return Ok(());
        }
        self.percent = Some(percent);
        let full = BAR_WIDTH * percent as usize / 100;
        let (bar, rest) = ("#".repeat(full), " ".repeat(BAR_WIDTH - full));
        write!(out, "\r[{bar}{rest}] {percent:3} % {count} {what}")?;
        out.flush()
    }

    /// It goes.
    fn clear(&mut self) -> io::Result<()> {
        if self.percent.take().is_none() {
            return Ok(());
        }
        let Some(out) = &mut self.out else {
            return Ok(());
        };
        write!(out, "\r{:width$}\r", "", width = BAR_WIDTH + 50)?;
        out.flush()
    }
}

/// Which tool is asked for, if any: by the first word, or by the program's own name. With it the words that are left.
pub fn tool(words: &[OsString]) -> Option<(Tool, &[OsString])> {
    let (program, words) = words.split_first()?;
    let name = std::path::Path::new(program).file_name()?.to_str()?;
    let by_name = [("-check-rdb", Tool::Rdb), ("-check-aof", Tool::Aof)];
    if let Some((_, tool)) = by_name.iter().find(|(end, _)| name.ends_with(end)) {
        return Some((*tool, words));
    }
    let (word, words) = words.split_first()?;
    match word.to_str()? {
        "check-rdb" => Some((Tool::Rdb, words)),
        "check-aof" => Some((Tool::Aof, words)),
        _ => None,
    }
}

/// A tool that looks at files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// `check-rdb`.
    Rdb,
    /// `check-aof`.
    Aof,
}

impl Tool {
    /// How it is called.
    pub fn usage(self) -> &'static str {
        match self {
            Tool::Rdb => "Usage: djr-server check-rdb <rdb-file-name>",
            Tool::Aof => {
                "Usage: djr-server check-aof [--fix|--truncate-to-timestamp $timestamp] <file.manifest|file.aof>"
            }
        }
    }

    /// Runs it. `Ok(true)`: what it looked at is whole. Questions (`--fix`) are answered by `input`.
    pub fn run(
        self,
        words: &[OsString],
        out: &mut dyn Write,
        input: &mut dyn BufRead,
        bar: Option<&mut dyn Write>,
    ) -> io::Result<bool> {
        match (self, words) {
            (Tool::Rdb, [path]) => check_rdb(path.as_ref(), out, bar),
            (Tool::Aof, words) => match AofCheck::from_words(words) {
                Ok(check) => check_aof(&check, out, input, bar),
                Err(Some(error)) => writeln!(out, "{error}").map(|()| false),
                Err(None) => writeln!(out, "{}", self.usage()).map(|()| false),
            },
            _ => writeln!(out, "{}", self.usage()).map(|()| false),
        }
    }
}
