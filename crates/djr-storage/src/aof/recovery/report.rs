//! What recovery found, in values and in words.

use std::fmt;
use std::path::PathBuf;

use super::super::manifest::ManifestError;
use super::super::survey::Why;
use super::super::{LogError, Offset};

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
