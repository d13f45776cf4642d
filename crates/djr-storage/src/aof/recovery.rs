//! From the files back to the keyspace.
//!
//! Two passes: the [survey](super::survey) decides what of the files is good, torn or damaged, before anything is applied
//! or changed; then the good parts are replayed. Only then is a torn tail cut off, so a failed replay leaves all as it was.

use super::log::OpenState;
use super::manifest::{Manifest, ManifestError, ManifestFile, is_file_name};
use super::repair;
use super::scan::{FileReader, Item};
use super::search::content_len;
use super::survey::{FileSurvey, Role, Survey, Why, survey};
use super::{AofConfig, LogError, Offset};
use crate::disk::{Contents, Disk, read_all};
use crate::rdb::{LoadError, is_rdb};
use smallvec::SmallVec;
use std::fmt;
use std::path::{Path, PathBuf};
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

/// What the increments build upon.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum BaseFile {
    /// Nothing: the increments begin with an empty keyspace.
    #[default]
    None,
    /// Commands.
    Aof(PathBuf),
    /// A snapshot in RDB format.
    Rdb(PathBuf),
}

/// What recovery found and did. `Display` is the text for the server's log, one line per fact.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// The base.
    pub base: BaseFile,
    /// Files that make up the data set.
    pub files: usize,
    /// Commands applied.
    pub commands: u64,
    /// Their bytes, annotations included.
    pub bytes: u64,
    /// Bytes of commands without a checksum: another server wrote them. They were checked as to syntax.
    pub bytes_unchecked: u64,
    /// The log offset at the end.
    pub end: Offset,
    /// The tail that a crash tore.
    pub torn: Option<TornTail>,
    /// Damage, in the order of the files.
    pub damaged: Vec<DamagedRange>,
}

/// A tail that never became durable, and was dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// Where it began.
    pub file: PathBuf,
    /// Its place in the file, in bytes.
    pub position: u64,
    /// Its length in bytes, in this file and those behind it.
    pub bytes: u64,
}

/// A part of a file that was durable and can't be read any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedRange {
    /// The file.
    pub file: PathBuf,
    /// First byte.
    pub position: u64,
    /// Length in bytes; 0 if bytes are missing there.
    pub bytes: u64,
    /// How it shows.
    pub why: Why,
    /// The first keys that can still be made out in it, printable and shortened.
    pub keys: Vec<String>,
    /// Where a repair put the bytes.
    pub quarantine: Option<PathBuf>,
}

/// Why the log can't be recovered. `Display` names the file, the place and the next step.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecoveryError {
    /// A disk operation failed.
    #[error(transparent)]
    Disk(#[from] LogError),
    /// The manifest makes no sense.
    #[error("the AOF manifest {path} can't be read: {error}", path = path.display())]
    Manifest {
        /// Its path.
        path: PathBuf,
        /// What is wrong.
        error: ManifestError,
    },
    /// The manifest names a file that is not there.
    #[error("the AOF file {path} is named in the manifest but does not exist", path = path.display())]
    MissingFile {
        /// Its path.
        path: PathBuf,
    },
    /// There are log files with commands in them, but no manifest.
    #[error("{file} holds commands, but the AOF manifest {manifest} is missing: restore it, or move the directory away to start empty", file = file.display(), manifest = manifest.display())]
    MissingManifest {
        /// The manifest's path.
        manifest: PathBuf,
        /// One of the files.
        file: PathBuf,
    },
    /// What was once durable is damaged.
    #[error(
        "{0}The log is damaged and nothing was loaded. To keep everything but the damaged parts, make a copy of the directory and start with --aof-repair"
    )]
    Damaged(Box<RecoveryReport>),
    /// The tail is torn, and `aof-load-truncated` is `no`.
    #[error("Unexpected end of file reading the append only file {}: {} bytes at position {} are not whole. To drop them, set 'aof-load-truncated' to yes and restart", .0.file.display(), .0.bytes, .0.position)]
    Torn(TornTail),
    /// A command of the log was refused, or the base could not be loaded.
    #[error("{file}, position {position}: {message}", file = file.display())]
    Apply {
        /// The file.
        file: PathBuf,
        /// Where the command begins.
        position: u64,
        /// Why, in the words of who was to apply it.
        message: String,
    },
}

/// A recovered log: what was found, and what [`super::Log::open`] needs.
#[derive(Debug)]
pub struct Recovered {
    /// What was found.
    pub report: RecoveryReport,
    /// For [`super::Log::open`].
    pub state: OpenState,
}

/// One file of the data set, as the manifest names it.
pub(super) struct DataFile {
    pub(super) path: PathBuf,
    pub(super) name: String,
    pub(super) role: Role,
    /// Where its commands begin.
    pub(super) start: u64,
}

/// A base that begins with a snapshot in RDB format.
struct RdbBase {
    path: PathBuf,
    contents: Contents,
    /// Where it ends and commands begin, in an AOF of Redis before version 7.
    commands: Option<u64>,
}

impl RdbBase {
    fn open(disk: &dyn Disk, path: PathBuf) -> Result<Self, RecoveryError> {
        let contents = disk
            .contents(&path)
            .map_err(|error| LogError::io("read", &path, &error))?;
        let mut commands = None;
        if path.extension().is_none_or(|extension| extension != "rdb") {
            // All of it is read, so that damage is known before anything is applied.
            let end = end_of_rdb(&contents).map_err(|error| refused_base(&path, &error))?;
            commands = Some(end).filter(|end| *end < contents.len() as u64);
        }
        Ok(Self {
            path,
            contents,
            commands,
        })
    }

    fn load(self, replay: &mut dyn Replay) -> Result<(), RecoveryError> {
        let Self {
            path,
            contents,
            commands,
        } = self;
        let end = replay
            .rdb_base(&path, &contents)
            .map_err(|error| refused_base(&path, &error))?;
        if end != commands.unwrap_or(contents.len() as u64) {
            return Err(RecoveryError::Apply {
                file: path,
                position: end,
                message: "there are bytes behind the end of the RDB file".to_owned(),
            });
        }
        Ok(())
    }
}

fn refused_base(path: &Path, error: &LoadError) -> RecoveryError {
    RecoveryError::Apply {
        file: path.to_owned(),
        position: error.offset().unwrap_or(0),
        message: error.to_string(),
    }
}

fn end_of_rdb(bytes: &[u8]) -> Result<u64, LoadError> {
    let mut reader = crate::rdb::FileReader::new(bytes)?;
    while reader.next_item()?.is_some() {}
    Ok(reader.position())
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
    let (manifest, rdb) = read_manifest(&**disk, config)?;
    let rdb = rdb.map(|path| RdbBase::open(&**disk, path)).transpose()?;
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

    let mut report = RecoveryReport {
        files: data.len() + usize::from(commands_of_base.is_none()),
        base: match (&rdb, data.first()) {
            (Some(rdb), _) => BaseFile::Rdb(rdb.path.clone()),
            (None, Some(file)) if file.role == Role::Base => BaseFile::Aof(file.path.clone()),
            _ => BaseFile::None,
        },
        ..RecoveryReport::default()
    };

    let mut files = open_all(&**disk, &data)?;
    let mut found = survey_all(&mut files, &data)?;
    report.damaged = damaged_ranges(&found, &files, &data)?;
    report.torn = torn_tail(&found, &data);
    if !report.damaged.is_empty() {
        if mode == RecoveryMode::Refuse {
            return Err(RecoveryError::Damaged(Box::new(report)));
        }
        repair::repair(&**disk, config, &data, &files, &found, &mut report.damaged)?;
        files = open_all(&**disk, &data)?;
        found = survey_all(&mut files, &data)?;
        report.torn = torn_tail(&found, &data);
        // What the repair wrote is checked like everything else.
        if found.files.iter().any(|file| !file.damage.is_empty()) {
            report.damaged = damaged_ranges(&found, &files, &data)?;
            return Err(RecoveryError::Damaged(Box::new(report)));
        }
    }
    if let Some(torn) = report.torn.as_ref().filter(|_| !truncate_ok) {
        return Err(RecoveryError::Torn(torn.clone()));
    }

    if let Some(rdb) = rdb {
        rdb.load(replay)?;
    }
    let total = found.files.iter().map(|found| found.content_end).sum();
    let mut size = 0;
    for (((_, reader), file), found) in files.iter_mut().zip(&data).zip(&found.files) {
        replay.progress(size, total);
        report.commands += replay_file(reader, file, found, replay, (size, total))?;
        report.bytes_unchecked += found.unchecked;
        size += found.content_end;
    }
    // Before anything is cut: a replay that fails leaves the files as they were.
    replay.finish().map_err(|message| RecoveryError::Apply {
        file: data
            .last()
            .map_or_else(|| config.aof_dir(), |file| file.path.clone()),
        position: size,
        message,
    })?;
    replay.progress(size, total);
    report.bytes = size;
    report.end = found.end;
    let last = data
        .iter()
        .zip(&found.files)
        .rfind(|(file, _)| file.role == Role::Incr)
        .map(|(_, found)| found);
    let state = OpenState {
        end: found.end,
        size,
        last_size: last.map_or(0, |found| found.content_end),
        cover: last.and_then(|found| found.cover),
        marked: last.is_some_and(|found| found.marked),
        manifest,
    };
    drop(files);
    cut_tails(&**disk, &data, &found)?;
    Ok(Recovered { report, state })
}

/// Makes the one AOF of a Redis before version 7 the base of a new manifest, as Redis 7 does: first the manifest, then the
/// file is moved, and if a crash came in between, the move is made up for.
fn adopt_single_file(disk: &dyn Disk, config: &AofConfig) -> Result<(), RecoveryError> {
    let old = config.dir.join(&config.file_name);
    let fail = |operation, path: &Path| {
        let path = path.to_owned();
        move |error| LogError::io(operation, &path, &error)
    };
    let names = disk.list(&config.dir).map_err(fail("list", &config.dir))?;
    if !names.contains(&config.file_name) {
        return Ok(());
    }
    let dir = config.aof_dir();
    let in_dir = disk.list(&dir).map_err(fail("list", &dir))?;
    let name = config.file_name.clone();
    let base = Manifest {
        base: Some(ManifestFile { name, seq: 1 }),
        ..Manifest::default()
    };
    let manifest = config.manifest_path();
    match disk.open(&manifest) {
        Ok(file) => {
            let bytes = read_all(&*file).map_err(fail("read", &manifest))?;
            // Some other file of that name, beside a log that has its own: nobody's business.
            if bytes != base.encode() || in_dir.contains(&config.file_name) {
                return Ok(());
            }
        }
        Err(_) => {
            disk.create_dir(&dir).map_err(fail("create", &dir))?;
            disk.sync_dir(&config.dir)
                .map_err(fail("fsync", &config.dir))?;
            config.publish_manifest(disk, &base)?;
        }
    }
    let new = config.path(&config.file_name);
    disk.rename(&old, &new).map_err(fail("rename", &old))?;
    disk.sync_dir(&dir).map_err(fail("fsync", &dir))?;
    disk.sync_dir(&config.dir)
        .map_err(fail("fsync", &config.dir))?;
    Ok(())
}

/// Reads the manifest; also says whether the base is an RDB file.
fn read_manifest(
    disk: &dyn Disk,
    config: &AofConfig,
) -> Result<(Manifest, Option<PathBuf>), RecoveryError> {
    let path = config.manifest_path();
    let file = match disk.open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            no_commands_without_manifest(disk, config)?;
            return Ok((Manifest::default(), None));
        }
        Err(error) => return Err(LogError::io("open", &path, &error).into()),
    };
    let bytes = read_all(&*file).map_err(|error| LogError::io("read", &path, &error))?;
    let manifest =
        Manifest::parse(&bytes).map_err(|error| RecoveryError::Manifest { path, error })?;
    let Some(base) = &manifest.base else {
        return Ok((manifest, None));
    };
    let path = config.path(&base.name);
    let file = open(disk, &path)?;
    let mut magic = [0; 5];
    let count = file
        .read_at(0, &mut magic)
        .map_err(|error| LogError::io("read", &path, &error))?;
    let magic = magic.get(..count).unwrap_or_default();
    let rdb = is_rdb(magic) || base.name.ends_with(".rdb");
    Ok((manifest, rdb.then_some(path)))
}

/// A first start that a crash interrupted may leave an increment without commands. Anything more must not be overlooked.
fn no_commands_without_manifest(disk: &dyn Disk, config: &AofConfig) -> Result<(), RecoveryError> {
    let dir = config.aof_dir();
    let names = disk
        .list(&dir)
        .map_err(|error| LogError::io("list", &dir, &error))?;
    let prefix = format!("{}.", config.file_name);
    for name in names
        .iter()
        .filter(|name| name.starts_with(&prefix) && is_file_name(name))
    {
        if !name.ends_with(".incr.aof")
            && !name.ends_with(".base.aof")
            && !name.ends_with(".base.rdb")
        {
            continue;
        }
        let path = config.path(name);
        let file = open(disk, &path)?;
        let fail = |error| LogError::io("read", &path, &error);
        let mut reader = FileReader::new(file).map_err(fail)?;
        let mut position = 0;
        while let Item::Comment { end } = reader.item(position).map_err(fail)? {
            position = end;
        }
        // Zeros and filler: its size survived a crash, its bytes did not.
        if content_len(&reader, position).map_err(fail)? > 0 {
            return Err(RecoveryError::MissingManifest {
                manifest: config.manifest_path(),
                file: path,
            });
        }
    }
    Ok(())
}

fn open(disk: &dyn Disk, path: &Path) -> Result<Arc<dyn crate::disk::DiskFile>, RecoveryError> {
    disk.open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => RecoveryError::MissingFile {
            path: path.to_owned(),
        },
        _ => LogError::io("open", path, &error).into(),
    })
}

fn open_all(disk: &dyn Disk, data: &[DataFile]) -> Result<Vec<(Role, FileReader)>, RecoveryError> {
    let reader = |file: &DataFile| {
        let reader = FileReader::new(open(disk, &file.path)?);
        let reader = reader.map_err(|error| LogError::io("read", &file.path, &error))?;
        Ok((file.role, reader.starting_at(file.start)))
    };
    data.iter().map(reader).collect()
}

fn survey_all(
    files: &mut [(Role, FileReader)],
    data: &[DataFile],
) -> Result<Survey, RecoveryError> {
    let dir = data
        .first()
        .and_then(|file| file.path.parent())
        .unwrap_or(Path::new(""));
    survey(files).map_err(|error| LogError::io("read", dir, &error).into())
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

fn damaged_ranges(
    found: &Survey,
    files: &[(Role, FileReader)],
    data: &[DataFile],
) -> Result<Vec<DamagedRange>, RecoveryError> {
    let mut ranges = Vec::new();
    for ((survey, (_, reader)), file) in found.files.iter().zip(files).zip(data) {
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
                                .command(&ReplayedCommand { db, args })
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

/// Cuts off the torn tail, and the filler of the last increment.
fn cut_tails(disk: &dyn Disk, data: &[DataFile], found: &Survey) -> Result<(), RecoveryError> {
    let last = data.len().saturating_sub(1);
    for (index, (file, survey)) in data.iter().zip(&found.files).enumerate() {
        let torn = found.torn.is_some_and(|torn| index >= torn.file);
        if !torn && (index != last || file.role != Role::Incr) {
            continue;
        }
        let handle = open(disk, &file.path)?;
        let fail = |operation| move |error| LogError::io(operation, &file.path, &error);
        if handle.size().map_err(fail("read"))? > survey.content_end {
            handle
                .set_size(survey.content_end)
                .map_err(fail("truncate"))?;
            // Else a later crash could bring the tail back, behind what is appended from now on.
            handle.sync_data().map_err(fail("fsync"))?;
        }
    }
    Ok(())
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Why::CutOff => "cut off",
            Why::NotACommand => "not a command",
            Why::Checksum => "wrong checksum",
            Why::Gap => "bytes missing or out of order",
        })
    }
}

impl fmt::Display for TornTail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TornTail {
            file,
            position,
            bytes,
        } = self;
        write!(
            f,
            "{bytes} bytes that a crash left unfinished were dropped: {} from position {position}",
            file.display()
        )
    }
}

impl fmt::Display for DamagedRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DamagedRange {
            file,
            position,
            bytes,
            why,
            keys,
            quarantine,
        } = self;
        write!(
            f,
            "damage in {}, {bytes} bytes at position {position} ({why})",
            file.display()
        )?;
        if !keys.is_empty() {
            write!(f, ", keys: {}", keys.join(", "))?;
        }
        match quarantine {
            Some(path) => write!(f, "; taken out and kept in {}", path.display()),
            None => Ok(()),
        }
    }
}

impl fmt::Display for RecoveryReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for damage in &self.damaged {
            writeln!(f, "{damage}")?;
        }
        if let Some(torn) = &self.torn {
            writeln!(f, "{torn}")?;
        }
        let RecoveryReport {
            files,
            commands,
            bytes,
            bytes_unchecked,
            end,
            ..
        } = self;
        write!(
            f,
            "AOF: {commands} commands in {files} files, {bytes} bytes, log offset {end}"
        )?;
        if *bytes_unchecked > 0 {
            write!(f, "; {bytes_unchecked} bytes without checksums")?;
        }
        writeln!(f)
    }
}
