//! Where the files are and what they are called.

use super::LogError;
use super::manifest::Manifest;
use crate::disk::{Disk, read_all};
use std::io;
use std::path::{Path, PathBuf};

/// By how many bytes a preallocated file grows, unless configured otherwise.
pub const PREALLOCATE_STEP: u64 = 4 << 20;

/// When logged bytes are made durable: `appendfsync`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum FsyncPolicy {
    /// Replies wait until their bytes are durable.
    Always,
    /// Once a second.
    EverySec,
    /// When the operating system likes.
    No,
}

impl FsyncPolicy {
    pub(super) fn from_u8(number: u8) -> FsyncPolicy {
        match number {
            0 => FsyncPolicy::Always,
            1 => FsyncPolicy::EverySec,
            _ => FsyncPolicy::No,
        }
    }
}

/// Names and habits of one append-only log.
#[derive(Clone, Debug)]
pub struct AofConfig {
    /// The data directory (`dir`); must exist.
    pub dir: PathBuf,
    /// The directory of the log in it (`appenddirname`).
    pub dir_name: String,
    /// What the files' names begin with (`appendfilename`).
    pub file_name: String,
    /// `appendfsync`.
    pub policy: FsyncPolicy,
    /// By how many bytes a file grows under [`FsyncPolicy::Always`]; 0 for a plain file that grows with each write.
    pub preallocate_step: u64,
}

impl AofConfig {
    /// The defaults of Redis, in the given data directory.
    pub fn new(dir: impl Into<PathBuf>) -> AofConfig {
        AofConfig {
            dir: dir.into(),
            dir_name: "appendonlydir".to_owned(),
            file_name: "appendonly.aof".to_owned(),
            policy: FsyncPolicy::EverySec,
            preallocate_step: PREALLOCATE_STEP,
        }
    }

    /// The directory that holds the log's files.
    pub fn aof_dir(&self) -> PathBuf {
        self.dir.join(&self.dir_name)
    }

    /// The path of one of the log's files.
    pub fn path(&self, name: &str) -> PathBuf {
        self.aof_dir().join(name)
    }

    /// The manifest's path.
    pub fn manifest_path(&self) -> PathBuf {
        self.path(&format!("{}.manifest", self.file_name))
    }

    pub(super) fn temp_manifest_path(&self) -> PathBuf {
        self.path(&format!("temp-{}.manifest", self.file_name))
    }

    pub(super) fn incr_name(&self, seq: u64) -> String {
        format!("{}.{seq}.incr.aof", self.file_name)
    }

    pub(super) fn base_name(&self, seq: u64) -> String {
        format!("{}.{seq}.base.aof", self.file_name)
    }

    pub(super) fn rdb_base_name(&self, seq: u64) -> String {
        format!("{}.{seq}.base.rdb", self.file_name)
    }

    pub(super) fn temp_base_name(&self) -> String {
        format!("temp-{}.base.aof", self.file_name)
    }

    /// The manifest as it is on disk; `None` if there is none.
    pub(super) fn read_manifest(&self, disk: &dyn Disk) -> Result<Option<Manifest>, LogError> {
        let path = self.manifest_path();
        let bytes = match disk.open(&path) {
            Ok(file) => read_all(&*file).map_err(|error| LogError::io("read", &path, &error))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(LogError::io("open", &path, &error)),
        };
        let invalid = |error| io::Error::new(io::ErrorKind::InvalidData, error);
        Manifest::parse(&bytes)
            .map(Some)
            .map_err(|error| LogError::io("read", &path, &invalid(error)))
    }

    /// A number greater than that of every base and increment among these names.
    pub(super) fn seq_behind(&self, names: &[String]) -> u64 {
        let seq = |name: &String| {
            let (seq, _) = name
                .strip_prefix(&self.file_name)?
                .strip_prefix('.')?
                .split_once('.')?;
            seq.parse::<u64>().ok()
        };
        names
            .iter()
            .filter_map(seq)
            .max()
            .unwrap_or(0)
            .saturating_add(1)
    }

    /// Removes the manifest.
    pub(super) fn remove_manifest(&self, disk: &dyn Disk) -> Result<(), LogError> {
        let path = self.manifest_path();
        match disk.remove(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(LogError::io("remove", &path, &error))
            }
            _ => disk
                .sync_dir(&self.aof_dir())
                .map_err(|error| LogError::io("fsync", &self.aof_dir(), &error)),
        }
    }

    /// Puts a manifest in place, whole or not at all, and durable together with all names in the directory.
    pub(super) fn publish_manifest(
        &self,
        disk: &dyn Disk,
        manifest: &Manifest,
    ) -> Result<(), LogError> {
        let temp = self.temp_manifest_path();
        let target = self.manifest_path();
        let fail = |operation, path: &Path| {
            let path = path.to_owned();
            move |error| LogError::io(operation, &path, &error)
        };
        let file = disk.create(&temp).map_err(fail("create", &temp))?;
        file.write_at(0, &manifest.encode())
            .map_err(fail("write", &temp))?;
        file.sync_data().map_err(fail("fsync", &temp))?;
        // The files that the manifest names must be found wherever the manifest is.
        disk.sync_dir(&self.aof_dir())
            .map_err(fail("fsync", &self.aof_dir()))?;
        disk.rename(&temp, &target).map_err(fail("rename", &temp))?;
        disk.sync_dir(&self.aof_dir())
            .map_err(fail("fsync", &self.aof_dir()))
    }
}
