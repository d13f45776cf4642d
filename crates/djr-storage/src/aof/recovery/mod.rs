//! From the files back to the keyspace.
//!
//! Two passes: the [survey](super::survey) decides what of the files is good, torn or damaged, before anything is applied
//! or changed; then the good parts are replayed. Only then is a torn tail cut off, so a failed replay leaves all as it was.

mod check;
mod files;
mod repair;
mod report;

use super::log::OpenState;
use super::manifest::Manifest;
use super::scan::{FileReader, Item};
use super::survey::{FileSurvey, Role, Survey, survey};
use super::{AofConfig, LogError};
use crate::disk::Disk;
use crate::rdb::LoadError;
pub use check::{CheckedFile, FilePart, Seen, cut_file};
use files::{DataFile, RdbBase, adopt_single_file, cut_tails, open_all, read_manifest};
pub use report::{BaseFile, DamagedRange, RecoveryError, RecoveryReport, TornTail};
use smallvec::SmallVec;
use std::path::Path;
use std::sync::Arc;

/// Progress is told after so many commands.
const PROGRESS_COMMANDS: u64 = 1024;

/// What to do about damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecoveryMode {
    /// Name it, and go no further.
    Refuse,
    /// Keep everything outside the damaged groups, and put their bytes aside in files of their own (`--aof-repair`).
    Repair,
}

/// One command of the log, to be applied as it stands: deterministic, and whole transactions only.
#[derive(Debug)]
pub struct ReplayedCommand<'a> {
    /// The db that it applies to.
    pub db: u32,
    /// Its name and arguments; at least one. `SELECT`, `MULTI` and `EXEC` do not come here.
    pub args: &'a [&'a [u8]],
    /// The same as the log has it, in RESP.
    pub encoded: Option<&'a [u8]>,
}

/// Who takes the commands. Any `FnMut(&ReplayedCommand) -> Result<(), String>` does.
pub trait Replay {
    /// Applies a command. An error ends the recovery; it is a sentence for people.
    fn command(&mut self, command: &ReplayedCommand<'_>) -> Result<(), String>;

    /// Waits until everything handed over is applied, if that goes on beside the reading. An error as of [`Replay::command`].
    fn finish(&mut self) -> Result<(), String> {
        Ok(())
    }

    /// Loads a base in RDB format, before all commands. Returns where it ends in these bytes.
    fn rdb_base(&mut self, path: &Path, bytes: &[u8]) -> Result<u64, LoadError> {
        let _ = bytes;
        let path = path.display();
        Err(LoadError::Refused(format!(
            "{path} is in RDB format, which is not expected here"
        )))
    }

    /// Told now and then how many bytes of how many have been replayed; a base in RDB format is not counted.
    fn progress(&mut self, replayed: u64, total: u64) {
        let _ = (replayed, total);
    }
}

impl<F: FnMut(&ReplayedCommand<'_>) -> Result<(), String>> Replay for F {
    fn command(&mut self, command: &ReplayedCommand<'_>) -> Result<(), String> {
        self(command)
    }
}

/// A recovered log: what was found, and what [`super::Log::open`] needs.
#[derive(Debug)]
pub struct Recovered {
    /// What was found.
    pub report: RecoveryReport,
    /// For [`super::Log::open`].
    pub state: OpenState,
}

/// Recovers the log: hands every command to `replay`, in order, and makes the files ready to be appended to.
///
/// `truncate_ok` (`aof-load-truncated`): a torn tail may be dropped. An absent log is a good one without commands.
pub fn recover(
    disk: &Arc<dyn Disk>,
    config: &AofConfig,
    mode: RecoveryMode,
    truncate_ok: bool,
    replay: &mut dyn Replay,
) -> Result<Recovered, RecoveryError> {
    adopt_single_file(&**disk, config)?;
    let mut log = Examined::new(&**disk, config)?;
    if !log.report.damaged.is_empty() {
        if mode == RecoveryMode::Refuse {
            return Err(RecoveryError::Damaged(Box::new(log.report)));
        }
        log.repair()?;
    }
    if let Some(torn) = log.report.torn.as_ref().filter(|_| !truncate_ok) {
        return Err(RecoveryError::Torn(torn.clone()));
    }
    log.replay(replay)?;
    log.make_ready()
}

/// A log whose files have been looked through, and not changed.
///
/// A base in RDB format whose name says so is looked through when it is loaded.
pub struct Examined<'a> {
    disk: &'a dyn Disk,
    config: &'a AofConfig,
    manifest: Manifest,
    rdb: Option<RdbBase>,
    data: Vec<DataFile>,
    files: Vec<(Role, FileReader)>,
    found: Survey,
    report: RecoveryReport,
}

impl<'a> Examined<'a> {
    /// Looks the log's files through.
    pub fn new(disk: &'a dyn Disk, config: &'a AofConfig) -> Result<Self, RecoveryError> {
        let (manifest, rdb) = read_manifest(disk, config)?;
        let rdb = rdb.map(|path| RdbBase::open(disk, path)).transpose()?;
        let commands_of_base = match &rdb {
            Some(rdb) => rdb.commands,
            None => Some(0),
        };
        let names = manifest
            .base
            .iter()
            .filter(|_| commands_of_base.is_some())
            .map(|file| (Role::Base, &file.name));
        let names = names.chain(manifest.incrs.iter().map(|file| (Role::Incr, &file.name)));
        let data: Vec<DataFile> = names
            .map(|(role, name)| DataFile {
                path: config.path(name),
                name: name.clone(),
                role,
                start: match role {
                    Role::Base => commands_of_base.unwrap_or(0),
                    Role::Incr => 0,
                },
            })
            .collect();
        let report = RecoveryReport {
            files: data.len() + usize::from(commands_of_base.is_none()),
            base: match (&rdb, data.first()) {
                (Some(rdb), _) => BaseFile::Rdb(rdb.path.clone()),
                (None, Some(file)) if file.role == Role::Base => BaseFile::Aof(file.path.clone()),
                _ => BaseFile::None,
            },
            ..RecoveryReport::default()
        };
        let mut log = Self {
            disk,
            config,
            manifest,
            rdb,
            data,
            files: Vec::new(),
            found: Survey::default(),
            report,
        };
        log.survey()?;
        log.report.damaged = log.damaged_ranges()?;
        Ok(log)
    }

    /// What was found.
    pub fn report(&self) -> &RecoveryReport {
        &self.report
    }

    /// Hands everything to `replay`. What is damaged or torn is left out.
    pub fn replay(&mut self, replay: &mut dyn Replay) -> Result<(), RecoveryError> {
        let total = self.found.files.iter().map(|found| found.content_end).sum();
        replay.progress(0, total);
        if let Some(rdb) = self.rdb.take() {
            rdb.load(replay)?;
        }
        let mut size = 0;
        let files = self.files.iter_mut().zip(&self.data);
        for (((_, reader), file), found) in files.zip(&self.found.files) {
            replay.progress(size, total);
            self.report.commands += replay_file(reader, file, found, replay, (size, total))?;
            self.report.bytes_unchecked += found.unchecked;
            size += found.content_end;
        }
        // Before anything is cut: a replay that fails leaves the files as they were.
        replay.finish().map_err(|message| RecoveryError::Apply {
            file: self
                .data
                .last()
                .map_or_else(|| self.config.aof_dir(), |file| file.path.clone()),
            position: size,
            message,
        })?;
        replay.progress(size, total);
        self.report.bytes = size;
        self.report.end = self.found.end;
        Ok(())
    }

    fn survey(&mut self) -> Result<(), RecoveryError> {
        self.files = open_all(self.disk, &self.data)?;
        let dir = self
            .data
            .first()
            .and_then(|file| file.path.parent())
            .unwrap_or(Path::new(""));
        self.found = survey(&mut self.files).map_err(|error| LogError::io("read", dir, &error))?;
        self.report.torn = torn_tail(&self.found, &self.data);
        Ok(())
    }

    fn repair(&mut self) -> Result<(), RecoveryError> {
        repair::repair(
            self.disk,
            self.config,
            &self.data,
            &self.files,
            &self.found,
            &mut self.report.damaged,
        )?;
        self.survey()?;
        // What the repair wrote is checked like everything else.
        if self.found.files.iter().any(|file| !file.damage.is_empty()) {
            self.report.damaged = self.damaged_ranges()?;
            return Err(RecoveryError::Damaged(Box::new(self.report.clone())));
        }
        Ok(())
    }

    /// Cuts off what does not belong to the log.
    fn make_ready(self) -> Result<Recovered, RecoveryError> {
        let mut last = self.data.iter().zip(&self.found.files);
        let last = last
            .rfind(|(file, _)| file.role == Role::Incr)
            .map(|(_, found)| found);
        let state = OpenState {
            end: self.found.end,
            size: self.report.bytes,
            last_size: last.map_or(0, |found| found.content_end),
            cover: last.and_then(|found| found.cover),
            marked: last.is_some_and(|found| found.marked),
            manifest: self.manifest,
        };
        drop(self.files);
        cut_tails(self.disk, &self.data, &self.found)?;
        Ok(Recovered {
            report: self.report,
            state,
        })
    }

    fn damaged_ranges(&self) -> Result<Vec<DamagedRange>, RecoveryError> {
        let mut ranges = Vec::new();
        let files = self.files.iter().zip(&self.data);
        for (survey, ((_, reader), file)) in self.found.files.iter().zip(files) {
            for damage in &survey.damage {
                let keys = repair::keys(reader, damage.range.clone());
                ranges.push(DamagedRange {
                    file: file.path.clone(),
                    position: damage.range.start,
                    bytes: damage.range.end - damage.range.start,
                    why: damage.why,
                    keys: keys.map_err(|error| LogError::io("read", &file.path, &error))?,
                    quarantine: None,
                });
            }
        }
        Ok(ranges)
    }
}

fn torn_tail(found: &Survey, data: &[DataFile]) -> Option<TornTail> {
    let torn = found.torn?;
    let file = data.get(torn.file)?.path.clone();
    Some(TornTail {
        file,
        position: torn.position,
        bytes: torn.bytes,
    })
}

/// Applies the good parts of one file; returns how many commands that were.
fn replay_file(
    reader: &mut FileReader,
    file: &DataFile,
    found: &FileSurvey,
    replay: &mut dyn Replay,
    (before, total): (u64, u64),
) -> Result<u64, RecoveryError> {
    let mut commands: u64 = 0;
    // Each file is loaded as by a new client: in db 0.
    let mut db = 0;
    for range in &found.kept {
        let mut position = range.start;
        while position < range.end {
            let item = reader
                .item(position)
                .map_err(|error| LogError::io("read", &file.path, &error))?;
            let refused = |message: String| RecoveryError::Apply {
                file: file.path.clone(),
                position,
                message,
            };
            let end = match item {
                Item::Comment { end } => end,
                Item::Command { end } => {
                    let args: SmallVec<[&[u8]; 16]> = reader.args(position).collect();
                    match args.as_slice() {
                        [name, number] if name.eq_ignore_ascii_case(b"select") => {
                            let number = std::str::from_utf8(number)
                                .ok()
                                .and_then(|number| number.parse().ok());
                            db = number.ok_or_else(|| {
                                refused("SELECT of something that is no db number".to_owned())
                            })?;
                        }
                        [name]
                            if name.eq_ignore_ascii_case(b"multi")
                                || name.eq_ignore_ascii_case(b"exec") => {}
                        args => {
                            replay
                                .command(&ReplayedCommand {
                                    db,
                                    args,
                                    encoded: Some(reader.bytes(position..end)),
                                })
                                .map_err(refused)?;
                            commands += 1;
                            if commands.is_multiple_of(PROGRESS_COMMANDS) {
                                replay.progress(before + position, total);
                            }
                        }
                    }
                    end
                }
                Item::End | Item::CutOff | Item::Invalid => {
                    return Err(refused("the file changed while it was read".to_owned()));
                }
            };
            position = end;
        }
    }
    Ok(commands)
}
