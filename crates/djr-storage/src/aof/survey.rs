//! The first pass over the files: what of them is good, what a crash tore, what is damaged. Applies nothing, changes nothing.
//!
//! A file is good up to the last *commit*: an annotation that agrees with the bytes before it. Commands behind it that no
//! annotation covers are one of three things:
//!
//! - **what another server appended** to a file (Redis knows no annotations): accepted as far as it can be read. It shows by
//!   its upper-case `SELECT`, which we never write, or by there being no line of ours before it. If the last file ends
//!   cleanly after a whole command, and not where a crash or a preallocation would end it, then Redis or its tools cut it
//!   there: accepted likewise, and covered by an annotation before anything is appended.
//! - **a torn group**: the bytes were never durable, because no later line says `synced` past them. The tail is dropped.
//! - **damage**: a later line does say so. The disk lost or changed what it had confirmed.
//!
//! Behind damage the survey goes on at the next annotation that agrees with its bytes. If the damaged group's own annotation
//! was reached by reading on, that is the place; only where the syntax is broken are lines searched for in raw bytes.

use super::annotation::{Annotation, Repaired, TAG};
use super::filler::{self, is_filler};
use super::scan::{FileReader, Item};
use super::search::{Line, content_len, lines, traces};
use crate::disk::SECTOR;
use std::io;
use std::ops::Range;

/// Which part a file plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Base,
    Incr,
}

/// What was found in all files.
#[derive(Debug, Default)]
pub(super) struct Survey {
    pub(super) files: Vec<FileSurvey>,
    pub(super) torn: Option<Torn>,
    /// The log offset after all that is kept.
    pub(super) end: u64,
}

/// What was found in one file.
#[derive(Debug, Default)]
pub(super) struct FileSurvey {
    /// The parts to replay.
    pub(super) kept: Vec<Range<u64>>,
    pub(super) damage: Vec<Damage>,
    /// Where the content ends: behind it is filler, or a torn tail.
    pub(super) content_end: u64,
    /// Bytes of commands kept that no checksum covers.
    pub(super) unchecked: u64,
    /// The last commands have no annotation, but are accepted: this is the one to write behind them.
    pub(super) cover: Option<Annotation>,
    /// The content ends in a line that says: this is the end, and all is durable.
    pub(super) marked: bool,
    /// There are lines of ours in it.
    pub(super) ours: bool,
}

/// A damaged part of a file.
#[derive(Clone, Debug)]
pub(super) struct Damage {
    pub(super) range: Range<u64>,
    /// The log offsets before and after what is missing (of a base: its own).
    pub(super) offsets: Range<u64>,
    pub(super) why: Why,
}

/// The tail that a crash tore.
#[derive(Clone, Copy, Debug)]
pub(super) struct Torn {
    pub(super) file: usize,
    pub(super) position: u64,
    /// Bytes dropped, in all files, filler not counted.
    pub(super) bytes: u64,
}

/// What is wrong at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The file ends in the middle of a command, a transaction or a group.
    CutOff,
    /// Neither a command nor a comment.
    NotACommand,
    /// The bytes do not agree with their checksum.
    Checksum,
    /// Bytes are missing before this place, or there twice.
    Gap,
}

/// A place up to which all is good.
#[derive(Clone, Copy, Debug, Default)]
struct Commit {
    position: u64,
    offset: u64,
}

/// Commands that follow each other without a comment line between.
#[derive(Clone, Copy, Debug)]
struct Run {
    start: u64,
    /// Begins as what remains of a torn group would: behind filler, at a sector's start.
    remains: bool,
    commit_before: Commit,
    unchecked_before: u64,
}

/// Walks through one file.
struct Walk<'a> {
    reader: &'a mut FileReader,
    role: Role,
    position: u64,
    /// The log offset at `position`.
    offset: u64,
    /// Whether `offset` is known, or only counted from the first byte.
    anchored: bool,
    commit: Commit,
    /// The last commit was a line that covers nothing.
    commit_is_mark: bool,
    run: Option<Run>,
    /// Since the last line of ours, another server's `SELECT` was seen.
    foreign_select: bool,
    /// A line of ours was seen in this file.
    ours: bool,
    after_filler: bool,
    in_multi: bool,
    found: FileSurvey,
    kept_from: u64,
}

struct Bad {
    why: Why,
    /// The item that can't be taken.
    position: u64,
    /// The place behind the bad group, if its own annotation could be read.
    resume: Option<Commit>,
}

impl Bad {
    fn new(why: Why, position: u64) -> Bad {
        Bad {
            why,
            position,
            resume: None,
        }
    }
}

/// What stands behind a bad place.
#[derive(Default)]
struct Ahead {
    /// The greatest offset that a later line says is durable.
    synced: u64,
    /// Where to go on in the same file.
    resume: Option<Commit>,
    /// The offset with which the first line in the files after this one begins.
    next_file_offset: Option<u64>,
}

/// Surveys the files in the order they are to be loaded.
pub(super) fn survey(files: &mut [(Role, FileReader)]) -> io::Result<Survey> {
    let mut survey = Survey::default();
    let mut anchored = false;
    for index in 0..files.len() {
        let (before_and_this, later) = files.split_at_mut(index + 1);
        let Some((role, reader)) = before_and_this.last_mut() else {
            break;
        };
        let base = *role == Role::Base;
        let mut walk = Walk::new(
            reader,
            *role,
            if base { 0 } else { survey.end },
            base || anchored,
        );
        let torn = walk.file(later)?;
        if !base {
            survey.end = walk.offset;
            // Without a line of ours the offset is simply counted, by the next opening too.
            anchored = true;
        }
        walk.found.ours = walk.ours;
        survey.files.push(walk.found);
        if let Some((position, mut bytes)) = torn {
            for (_, reader) in later.iter() {
                survey.files.push(FileSurvey::default());
                bytes += content_len(reader, 0)?;
            }
            survey.torn = Some(Torn {
                file: index,
                position,
                bytes,
            });
            break;
        }
    }
    Ok(survey)
}

impl<'a> Walk<'a> {
    fn new(reader: &'a mut FileReader, role: Role, offset: u64, anchored: bool) -> Walk<'a> {
        let start = reader.start();
        Walk {
            reader,
            role,
            position: start,
            offset,
            anchored,
            commit: Commit {
                position: start,
                offset,
            },
            commit_is_mark: false,
            run: None,
            foreign_select: false,
            ours: false,
            after_filler: false,
            in_multi: false,
            found: FileSurvey::default(),
            kept_from: start,
        }
    }

    /// Goes through the file. If its tail is torn, returns where, and how many bytes that are.
    fn file(&mut self, later: &[(Role, FileReader)]) -> io::Result<Option<(u64, u64)>> {
        loop {
            let bad = match self.step(later.is_empty())? {
                Ok(true) => continue,
                Ok(false) => None,
                Err(bad) => Some(bad),
            };
            let Some(bad) = bad else {
                self.keep();
                return Ok(None);
            };
            if let Some(run) = self
                .run
                .filter(|_| bad.why != Why::CutOff && bad.why != Why::NotACommand)
            {
                // An annotation disagrees: what was taken for another server's may be ours and wrong.
                self.commit = run.commit_before;
                self.found.unchecked = run.unchecked_before;
            }
            let ahead = self.look_ahead(&bad, later)?;
            let torn = if self.role == Role::Base && (self.ours || !later.is_empty()) {
                // A base is in the manifest only once it is durable.
                false
            } else if self.foreign() && ahead.resume.is_none() {
                // Else a line of ours comes later: it may be the first group of ours of which a sector is missing.
                let end = later.iter().all(|(_, reader)| reader.size() == 0);
                let is_rest =
                    bad.why == Why::CutOff || content_len(self.reader, bad.position)? == 0;
                end && (is_rest || self.was_never_durable()?)
            } else {
                ahead.synced <= self.commit.offset
            };
            self.keep();
            if torn {
                let position = self.commit.position;
                self.offset = self.commit.offset;
                return Ok(Some((position, content_len(self.reader, position)?)));
            }
            let resume = ahead.resume.unwrap_or(Commit {
                position: self.reader.size(),
                offset: ahead
                    .next_file_offset
                    .filter(|&next| next >= self.commit.offset)
                    .unwrap_or(self.commit.offset),
            });
            self.found.damage.push(Damage {
                range: self.commit.position..resume.position,
                offsets: self.commit.offset..resume.offset,
                why: bad.why,
            });
            // It takes a line of ours to go on.
            self.ours |= ahead.resume.is_some();
            self.resume_at(resume);
            if ahead.resume.is_none() {
                return Ok(None);
            }
        }
    }

    /// Whether this is a file that we began, of which not even the first sector is there: there is filler in it, or it begins with a
    /// hole and has nothing that could be a command.
    fn was_never_durable(&self) -> io::Result<bool> {
        let reader = &self.reader;
        if self.role != Role::Incr || reader.start() != 0 || self.commit.position != 0 {
            return Ok(false);
        }
        let traces = traces(reader)?;
        Ok(traces.filler || !traces.command && reader.byte(0)? == Some(0))
    }

    /// Takes one item. `Ok(false)` at a good end.
    fn step(&mut self, last: bool) -> io::Result<Result<bool, Bad>> {
        let at = self.position;
        Ok(match self.reader.item(at)? {
            Item::Command { end } => {
                self.command(end);
                Ok(true)
            }
            Item::Comment { end } => self.comment(end)?.map(|()| true),
            Item::End => self.end(last)?.map(|()| false),
            Item::CutOff => Err(Bad::new(Why::CutOff, at)),
            Item::Invalid => Err(Bad::new(Why::NotACommand, at)),
        })
    }

    fn command(&mut self, end: u64) {
        let at = self.position;
        if self.run.is_none() {
            self.run = Some(Run {
                start: at,
                remains: self.after_filler && at.is_multiple_of(SECTOR),
                commit_before: self.commit,
                unchecked_before: self.found.unchecked,
            });
        }
        let remains = self.run.is_some_and(|run| run.remains);
        match self.reader.args(at).next().unwrap_or_default() {
            b"SELECT" if !remains => self.foreign_select = true,
            name if name.len() == 5 && name.eq_ignore_ascii_case(b"multi") => self.in_multi = true,
            name if name.len() == 4 && name.eq_ignore_ascii_case(b"exec") => self.in_multi = false,
            _ => {}
        }
        self.position = end;
        self.offset = self.offset.saturating_add(end - at);
        if self.foreign() && !remains && !self.in_multi {
            self.commit_unchecked();
        }
    }

    /// Whether commands here are another server's.
    fn foreign(&self) -> bool {
        self.foreign_select || !self.ours
    }

    fn comment(&mut self, end: u64) -> io::Result<Result<(), Bad>> {
        let at = self.position;
        let line = self.reader.bytes(at..end);
        if is_filler(line) && self.role == Role::Incr {
            self.position = end;
            self.run = None;
            self.after_filler = true;
            return Ok(Ok(()));
        }
        if let Some(annotation) = Annotation::parse(line) {
            return self.annotation(annotation, end);
        }
        if let Some(repaired) = Repaired::parse(line) {
            return Ok(self.repaired(repaired, end));
        }
        let whole = line.ends_with(b"\n");
        if line.starts_with(TAG) || (!whole && TAG.starts_with(line)) {
            self.ours = true;
        }
        if !whole {
            return Ok(Err(Bad::new(Why::CutOff, at)));
        }
        // `#TS:` of Redis, or a line of ours that is damaged: then what it covered stays uncommitted.
        self.position = end;
        self.run = None;
        self.after_filler = false;
        if self.foreign() && !self.in_multi && self.commit.position == at {
            // As far as Redis, too, would take the file to be good.
            self.commit.position = end;
            self.found.content_end = end;
        }
        Ok(Ok(()))
    }

    fn annotation(&mut self, annotation: Annotation, end: u64) -> io::Result<Result<(), Bad>> {
        let at = self.position;
        let foreign = self.foreign();
        let run_len = self.run.map_or(0, |run| at - run.start);
        let bad = |why| Ok(Err(Bad::new(why, at)));
        self.ours = true;
        if annotation.len > run_len || self.in_multi {
            return bad(Why::Gap);
        }
        let covered_from = at - annotation.len;
        if annotation.len > 0 && self.reader.crc32(covered_from..at)? != annotation.crc32 {
            let own =
                covered_from == self.commit.position && annotation.start() == self.commit.offset;
            let resume = own.then_some(Commit {
                position: end,
                offset: annotation.end,
            });
            return Ok(Err(Bad {
                why: Why::Checksum,
                position: at,
                resume,
            }));
        }
        if !self.anchored && annotation.end >= self.offset {
            self.commit.offset = self
                .commit
                .offset
                .saturating_add(annotation.end - self.offset);
            self.offset = annotation.end;
            self.anchored = true;
        }
        // Between the last commit and a group directly behind it nothing can be missing. If the numbers disagree, one of them
        // is wrong: the bytes are right. (The first line of a file is another matter: the end of the file before may be lost.)
        let directly_behind = self.commit.position > 0 && covered_from == self.commit.position;
        if directly_behind && self.commit_is_mark && annotation.len > 0 {
            self.commit.offset = annotation.start();
            self.offset = annotation.end;
        }
        // What stands before the covered bytes must have been committed already, or be another server's.
        let start = if foreign {
            self.offset.saturating_sub(annotation.len)
        } else {
            self.commit.offset
        };
        let fits = annotation.end == self.offset && annotation.start() == start;
        if !fits && !directly_behind {
            return bad(Why::Gap);
        }
        if foreign && annotation.len > 0 {
            self.found.unchecked = self.found.unchecked.saturating_sub(annotation.len);
        }
        self.after_line(end);
        self.commit_is_mark = annotation.len == 0;
        self.found.marked = annotation.len == 0 && annotation.synced == annotation.end && at > 0;
        Ok(Ok(()))
    }

    fn repaired(&mut self, repaired: Repaired, end: u64) -> Result<(), Bad> {
        let covered = self.foreign() || self.commit.offset == self.offset;
        let fits = !self.anchored || repaired.from == self.offset;
        self.ours = true;
        if !covered || !fits || self.in_multi {
            return Err(Bad::new(Why::Gap, self.position));
        }
        self.offset = repaired.to;
        self.anchored = true;
        self.after_line(end);
        Ok(())
    }

    /// A line of ours agreed with all before it.
    fn after_line(&mut self, end: u64) {
        self.position = end;
        self.run = None;
        self.foreign_select = false;
        self.after_filler = false;
        self.commit = Commit {
            position: end,
            offset: self.offset,
        };
        self.found.content_end = end;
        self.found.marked = false;
        self.commit_is_mark = false;
    }

    fn commit_unchecked(&mut self) {
        self.found.unchecked += self.offset.saturating_sub(self.commit.offset);
        self.found.marked = false;
        self.commit_is_mark = false;
        self.commit = Commit {
            position: self.position,
            offset: self.offset,
        };
        self.found.content_end = self.position;
    }

    fn end(&mut self, last: bool) -> io::Result<Result<(), Bad>> {
        let bad = Bad::new(Why::CutOff, self.position);
        if self.commit.offset != self.offset {
            let run = self
                .run
                .filter(|run| !run.remains && run.start == self.commit.position);
            let sizes_of_ours = [0, filler::LINE];
            let elsewhere = !sizes_of_ours.contains(&(self.position % SECTOR));
            let Some(run) =
                run.filter(|_| last && elsewhere && !self.in_multi && self.role == Role::Incr)
            else {
                return Ok(Err(bad));
            };
            let crc32 = self.reader.crc32(run.start..self.position)?;
            let start = self.commit.offset;
            self.commit_unchecked();
            self.found.cover = Some(Annotation {
                crc32,
                len: self.offset - start,
                end: self.offset,
                synced: start,
            });
        }
        if self.role == Role::Base && self.ours && !self.found.marked {
            return Ok(Err(bad));
        }
        Ok(Ok(()))
    }

    /// Ends the part that is kept at the last commit.
    fn keep(&mut self) {
        if self.commit.position > self.kept_from {
            self.found.kept.push(self.kept_from..self.commit.position);
        }
        self.found.content_end = self.found.content_end.min(self.commit.position);
    }

    fn resume_at(&mut self, commit: Commit) {
        self.position = commit.position;
        self.offset = commit.offset;
        self.anchored = true;
        self.commit = commit;
        self.commit_is_mark = false;
        self.kept_from = commit.position;
        self.run = None;
        self.foreign_select = false;
        self.after_filler = false;
        self.in_multi = false;
        self.found.content_end = commit.position;
        self.found.marked = false;
    }

    /// Reads all annotations behind a bad place.
    fn look_ahead(&self, bad: &Bad, later: &[(Role, FileReader)]) -> io::Result<Ahead> {
        let mut ahead = Ahead {
            resume: bad.resume,
            ..Ahead::default()
        };
        let mut credible = Credible {
            commit: self.commit,
            anchored: self.anchored,
            room: 0,
        };
        // A wrong length may have led the reading astray, past the group's own annotation. Only where it arrived there is
        // it certain that nothing before it is an annotation.
        let from = if bad.resume.is_some() {
            bad.position
        } else {
            self.commit.position
        };
        let reader = &*self.reader;
        lines(reader, from, |line, range| {
            let Some(line) = credible.line(line, range.end - self.commit.position) else {
                return Ok(());
            };
            ahead.synced = ahead.synced.max(line.synced);
            if ahead.resume.is_none() {
                ahead.resume = self.resume_by(&line, range)?;
            }
            Ok(())
        })?;
        if self.role == Role::Incr {
            let mut before = reader.size() - self.commit.position;
            for (_, reader) in later {
                lines(reader, 0, |line, range| {
                    if let Some(line) = credible.line(line, before + range.end) {
                        ahead.synced = ahead.synced.max(line.synced);
                        ahead.next_file_offset.get_or_insert(line.start());
                    }
                    Ok(())
                })?;
                before += reader.size();
            }
        }
        Ok(ahead)
    }

    /// Where a line behind a bad place allows to go on: before its group if that is intact, else behind the line if it is
    /// the bad group's own.
    fn resume_by(&self, line: &Annotation, range: Range<u64>) -> io::Result<Option<Commit>> {
        let group = range
            .start
            .checked_sub(line.len)
            .filter(|&start| start >= self.commit.position);
        let intact = match group {
            Some(start) => line.len == 0 || self.reader.crc32(start..range.start)? == line.crc32,
            None => false,
        };
        let resume = match group {
            Some(position) if intact => Commit {
                position,
                offset: line.start(),
            },
            _ if line.start() == self.commit.offset => Commit {
                position: range.end,
                offset: line.end,
            },
            _ => return Ok(None),
        };
        let forward = resume.position > self.commit.position || resume.offset > self.commit.offset;
        Ok(forward.then_some(resume))
    }
}

/// Which lines found in raw bytes can be true. A value may hold text that looks like an annotation; but between a place and
/// a later one in the files there can't be more log bytes than file bytes, so it would have to know the log's offset.
struct Credible {
    commit: Commit,
    anchored: bool,
    /// By how much repairs let the offset jump.
    room: u64,
}

impl Credible {
    /// The annotation, if it can be true `distance` file bytes behind the commit.
    fn line(&mut self, line: Line, distance: u64) -> Option<Annotation> {
        match line {
            Line::Annotation(line) => {
                let offsets = line.end.checked_sub(self.commit.offset);
                let later = line.start() >= self.commit.offset;
                let near =
                    offsets.is_some_and(|offsets| offsets <= distance.saturating_add(self.room));
                (later && near || !self.anchored).then_some(line)
            }
            Line::Repaired(repaired) => {
                self.room = self
                    .room
                    .saturating_add(repaired.to.saturating_sub(repaired.from));
                None
            }
        }
    }
}
