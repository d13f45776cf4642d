//! `djr-server check-aof [--fix | --truncate-to-timestamp TS] FILE`: goes through a log, or one file of it.
//!
//! The lines are those of `redis-check-aof`. What only our files tell (a checksum that does not agree, where the damage ends, which keys) stands
//! between them. `--fix` cuts off a torn tail; damage in a file of ours is taken out and put aside, and what stands behind it stays.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};

use djr_storage::aof::manifest::Manifest;
use djr_storage::aof::{AofConfig, CheckedFile, Examined, FilePart, Seen, cut_file};
use djr_storage::disk::{Disk, OsDisk};
use djr_storage::rdb::is_rdb;

use super::Bar;
use super::rdb::check_preamble;
use crate::commands::registry;

/// A manifest longer than this is none.
const MANIFEST_SIZE_MAX: u64 = 16 << 20;

/// What `check-aof` is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AofCheck {
    /// A manifest, or a file of a log.
    pub path: PathBuf,
    /// Mends what can be mended, after a question.
    pub fix: bool,
    /// Cuts the log off before the first command that is later (seconds since 1970).
    pub truncate_to: Option<i64>,
}

impl AofCheck {
    /// From the words of a command line. An error without text: the usage should be shown.
    pub fn from_words(words: &[OsString]) -> Result<Self, Option<String>> {
        let text = |word: &OsString| word.to_str().map(str::to_owned).ok_or(None);
        match words {
            [path] => Ok(Self {
                path: path.into(),
                ..Self::default()
            }),
            [option, path] if text(option)? == "--fix" => Ok(Self {
                path: path.into(),
                fix: true,
                truncate_to: None,
            }),
            [option, time, path] if text(option)? == "--truncate-to-timestamp" => {
                let time = text(time)?.parse();
                Ok(Self {
                    path: path.into(),
                    fix: false,
                    truncate_to: Some(
                        time.map_err(|_| Some("Invalid timestamp, aborting...".to_owned()))?,
                    ),
                })
            }
            _ => Err(None),
        }
    }
}

/// The check at work.
struct Run<'a, 'b> {
    check: &'a AofCheck,
    out: &'a mut dyn Write,
    input: &'a mut dyn BufRead,
    bar: Bar<'b>,
}

/// What was counted in a file.
#[derive(Default)]
struct Counts {
    commands: u64,
    transactions: u64,
    /// By what the commands work on: how many, and bytes.
    groups: BTreeMap<&'static str, (u64, u64)>,
    /// As the tool of Redis counts them.
    lines: u64,
    /// Where the last argument stands of a transaction that has not ended.
    in_multi: Option<u64>,
    timestamps: Option<(i64, i64)>,
}

/// Checks a log or a file of it; `Ok(true)`: all is whole, or has been made so. An error is one of `out` or `input`.
pub fn check_aof(
    check: &AofCheck,
    out: &mut dyn Write,
    input: &mut dyn BufRead,
    bar: Option<&mut dyn Write>,
) -> io::Result<bool> {
    let mut run = Run {
        check,
        out,
        input,
        bar: Bar::new(bar),
    };
    if let Err(error) = std::fs::File::open(&check.path) {
        let (path, why) = (check.path.display(), why(&error));
        writeln!(run.out, "Cannot open file {path}: {why}")?;
        return Ok(false);
    }
    match manifest_name(&check.path) {
        Some(name) => run.manifest(&name),
        None => run.single(),
    }
}

/// The system's words for an error, as C programs have them.
fn why(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((why, _)) => why.to_owned(),
        None => text,
    }
}

/// The log's name, if this file is a manifest.
fn manifest_name(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?.strip_suffix(".manifest")?;
    let size = std::fs::metadata(path).ok()?.len();
    let bytes = std::fs::read(path)
        .ok()
        .filter(|_| size < MANIFEST_SIZE_MAX)?;
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let first = lines.find(|line| !line.starts_with(b"#"))?;
    first.starts_with(b"file ").then(|| name.to_owned())
}

/// Where the files are of which this is one.
fn place(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// `a`, where `./a` is meant.
fn without_dot(path: &Path) -> &Path {
    path.strip_prefix(".").unwrap_or(path)
}

impl Run<'_, '_> {
    fn manifest(&mut self, name: &str) -> io::Result<bool> {
        writeln!(self.out, "Start checking Multi Part AOF")?;
        let config = AofConfig {
            dir_name: String::new(),
            file_name: name.to_owned(),
            ..AofConfig::new(place(&self.check.path))
        };
        let bytes = std::fs::read(&self.check.path)?;
        let manifest = match Manifest::parse(&bytes) {
            Ok(manifest) => manifest,
            Err(error) => {
                let path = self.check.path.display();
                writeln!(self.out, "The AOF manifest {path} can't be read: {error}")?;
                return Ok(false);
            }
        };
        for file in manifest.base.iter().chain(&manifest.incrs) {
            let path = config.path(&file.name);
            if let Err(error) = std::fs::File::open(&path) {
                let (path, why) = (without_dot(&path).display(), why(&error));
                writeln!(self.out, "Cannot open file {path}: {why}, aborting...")?;
                return Ok(false);
            }
        }
        if let Some(base) = &manifest.base {
            let path = config.path(&base.name);
            let rdb = begins_as_rdb(&path)?;
            let format = if rdb { "RDB" } else { "RESP" };
            writeln!(self.out, "Start to check BASE AOF ({format} format).")?;
            if rdb {
                let Some((end, size)) = self.preamble(&path, &base.name)? else {
                    return Ok(false);
                };
                if end == size {
                    self.tell_whole_base(&base.name, size)?;
                }
            }
        }
        let mut log = match Examined::new(&OsDisk, &config) {
            Ok(log) => log,
            Err(error) => {
                writeln!(self.out, "{error}")?;
                return Ok(false);
            }
        };
        let files = log.files();
        let mut told_increments = false;
        let mut all = Outcome::Whole;
        for (index, file) in files.iter().enumerate() {
            if file.part == FilePart::Increment && !told_increments {
                told_increments = true;
                writeln!(self.out, "Start to check INCR files.")?;
            }
            let label = match file.part {
                FilePart::Base => "BASE AOF",
                FilePart::Increment => "INCR AOF",
            };
            let is_last = index + 1 == files.len();
            let outcome = self.file(&mut log, (index, file), label, &file.name, is_last)?;
            if outcome == Outcome::Given {
                return Ok(false);
            }
            all = all.max(outcome);
        }
        self.conclude(log, all, "All AOF files and manifest are valid")
    }

    fn single(&mut self) -> io::Result<bool> {
        writeln!(self.out, "Start checking Old-Style AOF")?;
        let path = &self.check.path;
        let shown = path.display().to_string();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            writeln!(self.out, "{shown} is no file's name")?;
            return Ok(false);
        };
        let mut start = 0;
        if begins_as_rdb(path)? {
            let Some((end, _)) = self.preamble(path, &shown)? else {
                return Ok(false);
            };
            start = end;
        }
        let config = AofConfig {
            dir_name: String::new(),
            ..AofConfig::new(place(path))
        };
        let log = Examined::single(&OsDisk, &config, name, start);
        let mut log = match log {
            Ok(log) => log,
            Err(error) => {
                writeln!(self.out, "{error}")?;
                return Ok(false);
            }
        };
        let files = log.files();
        let Some(file) = files.first() else {
            return Ok(false);
        };
        let outcome = self.file(&mut log, (0, file), "AOF", &shown, true)?;
        if outcome == Outcome::Given {
            return Ok(false);
        }
        self.conclude(log, outcome, "")
    }

    /// Checks the snapshot at the head of a file. Where it ends, and how long the file is; `None`: it is damaged, and that has been told.
    fn preamble(&mut self, path: &Path, shown: &str) -> io::Result<Option<(u64, u64)>> {
        let bytes = OsDisk.contents(path)?;
        let end = check_preamble(shown, &bytes, self.out, &mut self.bar)?;
        let Some(end) = end else {
            writeln!(self.out, "RDB preamble of AOF file is not sane, aborting.")?;
            return Ok(None);
        };
        writeln!(self.out, "RDB preamble is OK, proceeding with AOF tail...")?;
        Ok(Some((end, bytes.len() as u64)))
    }

    /// A base that is a snapshot and nothing else.
    fn tell_whole_base(&mut self, name: &str, size: u64) -> io::Result<()> {
        match self.check.truncate_to {
            Some(time) => writeln!(
                self.out,
                "Truncate nothing in AOF {name} to timestamp {time}"
            )?,
            None => writeln!(
                self.out,
                "AOF analyzed: filename={name}, size={size}, ok_up_to={size}, ok_up_to_line=1, diff=0"
            )?,
        }
        writeln!(self.out, "BASE AOF {name} is valid")
    }

    /// What is to be done is done.
    fn conclude(&mut self, log: Examined<'_>, outcome: Outcome, words: &str) -> io::Result<bool> {
        match outcome {
            Outcome::Damaged | Outcome::Given => return Ok(false),
            Outcome::Whole => {}
            Outcome::ToFix => match log.fix() {
                Ok(report) => {
                    for damage in &report.damaged {
                        writeln!(self.out, "{damage}")?;
                    }
                    writeln!(self.out, "Successfully repaired")?;
                }
                Err(error) => {
                    writeln!(self.out, "Failed to repair: {error}")?;
                    return Ok(false);
                }
            },
        }
        if !words.is_empty() {
            writeln!(self.out, "{words}")?;
        }
        Ok(true)
    }

    fn file(
        &mut self,
        log: &mut Examined<'_>,
        (index, file): (usize, &CheckedFile),
        label: &str,
        shown: &str,
        is_last: bool,
    ) -> io::Result<Outcome> {
        if file.size == 0 {
            writeln!(self.out, "{label} {shown} is empty")?;
            return Ok(Outcome::Whole);
        }
        if let Some(time) = self.check.truncate_to {
            return self.truncate(log, (index, file), label, shown, (time, is_last));
        }
        let mut counts = Counts {
            lines: 1,
            ..Counts::default()
        };
        let bar = &mut self.bar;
        let end = log.walk(index, |position, seen| {
            if let Seen::Progress = seen {
                bar.draw(position, file.size, counts.commands, "commands")?;
            }
            counts.see(position, &seen);
            Ok(true)
        })?;
        bar.clear()?;
        let whole = file.is_whole();
        if !whole {
            self.tell_trouble(log, (index, file), end, &counts)?;
        }
        let ok_up_to = if whole { file.size } else { file.good_to };
        writeln!(
            self.out,
            "AOF analyzed: filename={shown}, size={}, ok_up_to={ok_up_to}, ok_up_to_line={}, diff={}",
            file.size,
            counts.lines,
            file.size.saturating_sub(ok_up_to)
        )?;
        self.tell_counts(file, &counts)?;
        if whole {
            writeln!(self.out, "{label} {shown} is valid")?;
            return Ok(Outcome::Whole);
        }
        if !self.check.fix {
            writeln!(
                self.out,
                "AOF {shown} is not valid. Use the --fix option to try fixing it."
            )?;
            return Ok(Outcome::Damaged);
        }
        self.fix(file, shown, is_last)
    }

    fn tell_trouble(
        &mut self,
        log: &Examined<'_>,
        (index, file): (usize, &CheckedFile),
        end: u64,
        counts: &Counts,
    ) -> io::Result<()> {
        match (log.explain(index, end)?, counts.in_multi) {
            (Some((position, why)), _) => writeln!(self.out, "0x{position:16x}: {why}")?,
            (None, Some(position)) => writeln!(
                self.out,
                "0x{position:16x}: Reached EOF before reading EXEC for MULTI"
            )?,
            _ => {}
        }
        if file.ours {
            for damage in &file.damaged {
                writeln!(self.out, "{damage}")?;
            }
            if let Some(bytes) = file.torn {
                writeln!(
                    self.out,
                    "{bytes} bytes from position {} were never durable: a crash left them unfinished",
                    file.good_to
                )?;
            }
        }
        Ok(())
    }

    fn tell_counts(&mut self, file: &CheckedFile, counts: &Counts) -> io::Result<()> {
        let Counts {
            commands,
            transactions,
            ..
        } = counts;
        let unchecked = match (file.ours, file.unchecked) {
            (true, 1..) => format!(", {} bytes without checksums", file.unchecked),
            _ => String::new(),
        };
        writeln!(
            self.out,
            "[info] {commands} commands, {transactions} transactions{unchecked}"
        )?;
        for (group, (commands, bytes)) in &counts.groups {
            writeln!(
                self.out,
                "[info] {group}: {commands} commands, {bytes} bytes"
            )?;
        }
        if let Some((first, last)) = counts.timestamps {
            writeln!(self.out, "[info] timestamps from {first} to {last}")?;
        }
        if file.prepared > 0 {
            let bytes = file.prepared;
            writeln!(
                self.out,
                "[info] {bytes} bytes at the end are room for what is appended next"
            )?;
        }
        Ok(())
    }

    fn fix(&mut self, file: &CheckedFile, shown: &str, is_last: bool) -> io::Result<Outcome> {
        let (size, to) = (file.size, file.good_to);
        if file.ours && !file.damaged.is_empty() {
            let bytes: u64 = file.damaged.iter().map(|damage| damage.bytes).sum();
            writeln!(
                self.out,
                "This will take {bytes} damaged bytes out of the AOF {shown} and keep them in a file beside it"
            )?;
            return Ok(match self.may_go_on()? {
                true => Outcome::ToFix,
                false => Outcome::Given,
            });
        }
        if !is_last && file.torn.is_none() {
            writeln!(
                self.out,
                "Failed to truncate AOF {shown} because it is not the last file"
            )?;
            return Ok(Outcome::Given);
        }
        writeln!(
            self.out,
            "This will shrink the AOF {shown} from {size} bytes, with {} bytes, to {to} bytes",
            size.saturating_sub(to)
        )?;
        if !self.may_go_on()? {
            return Ok(Outcome::Given);
        }
        match cut_file(&OsDisk, &file.path, to) {
            Ok(()) => {
                writeln!(self.out, "Successfully truncated AOF {shown}")?;
                Ok(Outcome::Whole)
            }
            Err(error) => {
                writeln!(self.out, "Failed to truncate AOF {shown}: {error}")?;
                Ok(Outcome::Given)
            }
        }
    }

    fn may_go_on(&mut self) -> io::Result<bool> {
        write!(self.out, "Continue? [y/N]: ")?;
        self.out.flush()?;
        let mut answer = String::new();
        self.input.read_line(&mut answer)?;
        let yes = answer.starts_with(['y', 'Y']);
        if !yes {
            writeln!(self.out, "Aborting...")?;
        }
        Ok(yes)
    }

    fn truncate(
        &mut self,
        log: &mut Examined<'_>,
        (index, file): (usize, &CheckedFile),
        label: &str,
        shown: &str,
        (time, is_last): (i64, bool),
    ) -> io::Result<Outcome> {
        if !file.is_whole() {
            writeln!(
                self.out,
                "{label} {shown} is not valid. Use the --fix option to try fixing it."
            )?;
            return Ok(Outcome::Given);
        }
        let mut later = None;
        log.walk(index, |position, seen| {
            if let Seen::Comment(line) = seen
                && timestamp(line).is_some_and(|stamp| stamp > time)
            {
                later = Some(position);
            }
            Ok(later.is_none())
        })?;
        let Some(position) = later else {
            writeln!(
                self.out,
                "Truncate nothing in AOF {shown} to timestamp {time}"
            )?;
            writeln!(self.out, "{label} {shown} is valid")?;
            return Ok(Outcome::Whole);
        };
        if !is_last {
            writeln!(
                self.out,
                "Failed to truncate AOF {shown} to timestamp {time} because it is not the last file"
            )?;
            return Ok(Outcome::Given);
        }
        if position == 0 {
            let path = without_dot(&file.path).display();
            writeln!(
                self.out,
                "AOF {path} has nothing before timestamp {time}, aborting..."
            )?;
            return Ok(Outcome::Given);
        }
        match cut_file(&OsDisk, &file.path, position) {
            Ok(()) => {
                writeln!(
                    self.out,
                    "Successfully truncated AOF {shown} to timestamp {time}"
                )?;
                Ok(Outcome::Whole)
            }
            Err(error) => {
                writeln!(self.out, "Failed to truncate AOF {shown}: {error}")?;
                Ok(Outcome::Given)
            }
        }
    }
}

/// How the check of a file went; the later ones outweigh.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Whole,
    /// Damage is to be taken out.
    ToFix,
    Damaged,
    /// Given up: nothing more is looked at.
    Given,
}

impl Counts {
    fn see(&mut self, position: u64, seen: &Seen<'_>) {
        let args = match seen {
            Seen::Command(args) => args,
            Seen::Comment(line) => {
                if let Some(stamp) = timestamp(line) {
                    let first = self.timestamps.map_or(stamp, |(first, _)| first);
                    self.timestamps = Some((first, stamp));
                }
                return;
            }
            Seen::Progress => return,
        };
        self.commands += 1;
        self.lines += 1 + 2 * args.len() as u64;
        let name = args.first().copied().unwrap_or_default();
        let bytes: usize = args.iter().map(|arg| arg.len()).sum();
        let command = registry().find(name);
        let group = command.map_or("unknown commands", |command| command.spec.group.name());
        let of_group = self.groups.entry(group).or_default();
        of_group.0 += 1;
        of_group.1 += bytes as u64;
        if name.eq_ignore_ascii_case(b"multi") {
            self.transactions += 1;
        }
        let ends = name.eq_ignore_ascii_case(b"exec");
        if name.eq_ignore_ascii_case(b"multi") || (self.in_multi.is_some() && !ends) {
            self.in_multi = Some(position + last_arg(args));
        } else if ends {
            self.in_multi = None;
        }
    }
}

/// Where the last argument of a command begins, counted from the command's beginning.
fn last_arg(args: &[&[u8]]) -> u64 {
    let line = |number: usize| 1 + number.to_string().len() + 2;
    let Some((last, others)) = args.split_last() else {
        return 0;
    };
    let others: usize = others
        .iter()
        .map(|arg| line(arg.len()) + arg.len() + 2)
        .sum();
    (line(args.len()) + others + line(last.len())) as u64
}

/// `#TS:1700000000`.
fn timestamp(line: &[u8]) -> Option<i64> {
    let digits = line.strip_prefix(b"#TS:")?.trim_ascii_end();
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn begins_as_rdb(path: &Path) -> io::Result<bool> {
    use std::io::Read as _;
    let mut first = Vec::new();
    std::fs::File::open(path)?.take(5).read_to_end(&mut first)?;
    Ok(is_rdb(&first))
}
