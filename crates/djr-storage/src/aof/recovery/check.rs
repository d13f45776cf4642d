//! A log looked through without being loaded, for people: `check-aof`.

use std::io;
use std::path::{Path, PathBuf};

use super::files::{DataFile, cut_tails, open};
use super::{AofConfig, BaseFile, DamagedRange, Examined, RecoveryError, RecoveryReport};
use crate::aof::LogError;
use crate::aof::manifest::Manifest;
use crate::aof::scan::{FileReader, Item};
use crate::aof::survey::{Role, Survey};
use crate::disk::Disk;

/// Items between two looks at the progress.
const ITEMS_PER_LOOK: u64 = 4096;
/// As much of a command that can't be read is looked at to say what is wrong with it.
const EXPLAINED_MAX: u64 = 1 << 20;

/// Which part of a log a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilePart {
    /// The state that increments build upon.
    Base,
    /// What was written since.
    Increment,
}

/// What looking through a file found. Positions are bytes of the file.
#[derive(Clone, Debug)]
pub struct CheckedFile {
    /// The file.
    pub path: PathBuf,
    /// Its name, without a directory.
    pub name: String,
    /// Which part of the log it is.
    pub part: FilePart,
    /// Its size.
    pub size: u64,
    /// Where its commands begin: behind a snapshot at its head, or 0.
    pub start: u64,
    /// Where the good part from its beginning ends.
    pub good_to: u64,
    /// Bytes at its end that are room prepared for appending (`appendfsync always`).
    pub prepared: u64,
    /// Bytes behind [`good_to`](Self::good_to) that a crash left unfinished: a start would drop them.
    pub torn: Option<u64>,
    /// What was durable and can't be read any more.
    pub damaged: Vec<DamagedRange>,
    /// Bytes of commands that no checksum covers.
    pub unchecked: u64,
    /// Whether a DJR has written to it: else damage and a torn tail can't be told apart.
    pub ours: bool,
}

impl CheckedFile {
    /// Nothing is torn and nothing damaged.
    pub fn is_whole(&self) -> bool {
        self.torn.is_none() && self.damaged.is_empty()
    }
}

/// What is met in a file, in its order.
#[derive(Debug)]
pub enum Seen<'a> {
    /// A command: name and arguments, `SELECT`, `MULTI` and `EXEC` among them.
    Command(&'a [&'a [u8]]),
    /// A line that begins with `#`.
    Comment(&'a [u8]),
    /// So far it is, for whoever shows progress.
    Progress,
}

impl<'a> Examined<'a> {
    /// Looks a single file through, as if it were all of a log: one of a manifest's, or the one of a Redis before version 7.
    ///
    /// `config` says where it is: in [`AofConfig::aof_dir`]. `start` is where its commands begin.
    pub fn single(
        disk: &'a dyn Disk,
        config: &'a AofConfig,
        name: &str,
        start: u64,
    ) -> Result<Self, RecoveryError> {
        // The base of a log of ours, written as commands, ends in a line that says so. Of all others nothing more is expected.
        let role = match name.contains(".base.") && start == 0 {
            true => Role::Base,
            false => Role::Incr,
        };
        let mut log = Self {
            disk,
            config,
            manifest: Manifest::default(),
            rdb: None,
            data: vec![DataFile {
                path: config.path(name),
                name: name.to_owned(),
                role,
                start,
            }],
            files: Vec::new(),
            found: Survey::default(),
            report: RecoveryReport {
                files: 1,
                base: BaseFile::None,
                ..RecoveryReport::default()
            },
        };
        log.survey()?;
        log.report.damaged = log.damaged_ranges()?;
        Ok(log)
    }

    /// What was found, file by file. A base that is a snapshot and nothing else is not among them.
    pub fn files(&self) -> Vec<CheckedFile> {
        let files = self.files.iter().zip(&self.data).zip(&self.found.files);
        let torn_in = |index| self.found.torn.filter(|torn| index >= torn.file);
        files
            .enumerate()
            .map(|(index, (((_, reader), file), found))| {
                let damaged: Vec<_> = self
                    .report
                    .damaged
                    .iter()
                    .filter(|damage| damage.file == file.path)
                    .cloned()
                    .collect();
                let good_to = match found.damage.first() {
                    Some(damage) => damage.range.start,
                    None => found.content_end.max(file.start),
                };
                let rest = reader.size().saturating_sub(good_to);
                let torn = torn_in(index).filter(|_| damaged.is_empty()).map(|_| rest);
                CheckedFile {
                    path: file.path.clone(),
                    name: file.name.clone(),
                    part: match file.role {
                        Role::Base => FilePart::Base,
                        Role::Incr => FilePart::Increment,
                    },
                    size: reader.size(),
                    start: file.start,
                    good_to,
                    prepared: if torn.is_none() && damaged.is_empty() {
                        rest
                    } else {
                        0
                    },
                    // A file behind the torn one that is empty has lost nothing.
                    torn: torn.filter(|bytes| *bytes > 0),
                    damaged,
                    unchecked: found.unchecked,
                    ours: found.ours,
                }
            })
            .collect()
    }

    /// Goes through the file of this number in [`files`](Self::files), from its beginning to where it can't be read. Each item comes with
    /// its position; `false` ends the walk. Returns where it ended.
    pub fn walk(
        &mut self,
        file: usize,
        mut visit: impl FnMut(u64, Seen<'_>) -> io::Result<bool>,
    ) -> io::Result<u64> {
        let Some((_, reader)) = self.files.get_mut(file) else {
            return Ok(0);
        };
        let mut position = reader.start();
        let mut items: u64 = 0;
        loop {
            let (end, go_on) = match reader.item(position)? {
                Item::Command { end } => {
                    let args: Vec<&[u8]> = reader.args(position).collect();
                    (end, visit(position, Seen::Command(&args))?)
                }
                Item::Comment { end } => {
                    let line = reader.bytes(position..end);
                    (end, visit(position, Seen::Comment(line))?)
                }
                Item::End | Item::CutOff | Item::Invalid => return Ok(position),
            };
            if !go_on {
                return Ok(position);
            }
            position = end;
            items += 1;
            if items.is_multiple_of(ITEMS_PER_LOOK) && !visit(position, Seen::Progress)? {
                return Ok(position);
            }
        }
    }

    /// What is wrong with the command at a position where [`walk`](Self::walk) ended: where exactly, and a sentence as Redis's tool has it.
    /// `None`: the file ends there.
    pub fn explain(&self, file: usize, position: u64) -> io::Result<Option<(u64, String)>> {
        let Some((_, reader)) = self.files.get(file) else {
            return Ok(None);
        };
        explain(reader, position)
    }

    /// Cuts off the torn tail, and takes out what is damaged; where the bytes went is in [`report`](Self::report) then.
    pub fn fix(mut self) -> Result<RecoveryReport, RecoveryError> {
        if !self.report.damaged.is_empty() {
            self.repair()?;
        }
        self.files.clear();
        cut_tails(self.disk, &self.data, &self.found)?;
        Ok(self.report)
    }
}

/// Cuts a file of a log off.
pub fn cut_file(disk: &dyn Disk, path: &Path, size: u64) -> Result<(), RecoveryError> {
    let file = open(disk, path)?;
    file.set_size(size)
        .and_then(|()| file.sync_data())
        .map_err(|error| LogError::io("truncate", path, &error).into())
}

fn explain(reader: &FileReader, position: u64) -> io::Result<Option<(u64, String)>> {
    let end = reader.size().min(position.saturating_add(EXPLAINED_MAX));
    let mut bytes = Vec::new();
    reader.read(position..end, |part| bytes.extend_from_slice(part))?;
    Ok(explain_bytes(&bytes, position, reader.size() - position))
}

/// `rest` bytes are in the file from `position` on; `bytes` are the first of them.
fn explain_bytes(bytes: &[u8], position: u64, rest: u64) -> Option<(u64, String)> {
    if bytes.is_empty() {
        return None;
    }
    let count = match number_line(bytes, 0, b'*') {
        Ok((count, at)) => (count, at),
        Err(why) => return why.map(|why| (position, why)),
    };
    let (count, mut at) = count;
    for _ in 0..count {
        let (len, text) = match number_line(bytes, at, b'$') {
            Ok(found) => found,
            Err(why) => return why.map(|why| (position + at as u64, why)),
        };
        let here = position + text as u64;
        let left = rest.saturating_sub(text as u64);
        let needed = len.saturating_add(2);
        if needed > left {
            let why = format!("Expected to read {needed} bytes, got {left} bytes");
            return Some((here, why));
        }
        let behind = usize::try_from(len)
            .ok()
            .and_then(|len| text.checked_add(len))?;
        // What is too long to be looked at is whole, as far as it was.
        let pair = bytes.get(behind..behind.checked_add(2)?)?;
        if pair != b"\r\n" {
            return Some((here, expected_line_end(pair)));
        }
        at = behind + 2;
    }
    Some((position, format!("a command of {count} arguments")))
}

/// `*12\r\n`: the number, and where the line ends. An error without words: the file ends in it.
fn number_line(bytes: &[u8], at: usize, prefix: u8) -> Result<(u64, usize), Option<String>> {
    let rest = bytes.get(at..).unwrap_or_default();
    let first = *rest.first().ok_or(None)?;
    if first != prefix {
        let (prefix, first) = (char::from(prefix), first.escape_ascii());
        return Err(Some(format!("Expected prefix '{prefix}', got: '{first}'")));
    }
    let digits = rest.get(1..).unwrap_or_default();
    let len = digits
        .iter()
        .position(|byte| !byte.is_ascii_digit())
        .ok_or(None)?;
    let (digits, behind) = digits.split_at(len);
    let pair = behind.get(..2).ok_or(None)?;
    if pair != b"\r\n" {
        return Err(Some(expected_line_end(pair)));
    }
    let number = std::str::from_utf8(digits)
        .ok()
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(|| Some("Expected a number".to_owned()))?;
    Ok((number, at + 1 + len + 2))
}

fn expected_line_end(got: &[u8]) -> String {
    let hex: String = got.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("Expected \\r\\n, got: {hex}")
}

#[cfg(test)]
mod tests {
    use super::explain_bytes;

    #[test]
    fn what_is_wrong_is_told_as_by_the_tool_of_redis() {
        let explained = |bytes: &[u8]| explain_bytes(bytes, 100, bytes.len() as u64);
        let some = |at, text: &str| Some((at, text.to_owned()));
        assert_eq!(explained(b""), None);
        assert_eq!(explained(b"*3\r\n$3"), None);
        assert_eq!(
            explained(b"*3\r\n$3\r\nset\r\n$1\r\nd"),
            some(117, "Expected to read 3 bytes, got 1 bytes")
        );
        assert_eq!(
            explained(b"*x\r\n$3\r\n"),
            some(100, "Expected \\r\\n, got: 780d")
        );
        assert_eq!(
            explained(b"*1\r\n$3\r\nabcde"),
            some(108, "Expected \\r\\n, got: 6465")
        );
        assert_eq!(
            explained(b"set a b\r\n"),
            some(100, "Expected prefix '*', got: 's'")
        );
        assert_eq!(
            explained(b"*1\r\n:3\r\n"),
            some(104, "Expected prefix '$', got: ':'")
        );
    }
}
