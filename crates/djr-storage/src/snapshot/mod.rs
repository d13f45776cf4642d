//! Snapshots on disk: what `SAVE` and `BGSAVE` leave, the base of a rewritten log, later what a new replica gets.
//!
//! ```text
//! Access::begin_snapshot    the cut: under all locks, at once                       keyspace::Cut
//! Cut::walk                 some entries per step, each under one shard's lock      keyspace::Portion
//! write                     portions ─► RDB format ─► any sink                      no lock held
//! save                      temporary file ─► fsync ─► rename ─► fsync of the directory
//! ```
//!
//! A file that had the name is there until the new one is durable under it; after a crash at any moment one of the two is there, whole. What
//! is left of a failed or cancelled attempt is removed.

mod commands;
mod sink;
#[cfg(test)]
mod tests;
mod write;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

pub use commands::write_commands;
pub use sink::FileSink;
pub use write::{Clocks, Content, write};

use crate::disk::Disk;
use crate::keyspace::{Portion, Snapshot};

/// With `rdb-save-incremental-fsync`, a file is made durable each time it has grown by this, so that the end does not take long, nor
/// disturb others.
pub const SYNC_EVERY: u64 = 4 << 20;

/// Why there is no file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SaveError {
    /// A disk operation failed.
    #[error("{operation} {path}: {error}", path = path.display())]
    Io {
        /// What was to be done.
        operation: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The log could not do its part.
    #[error("{0}")]
    Log(String),
    /// [`Progress::cancel`] was called.
    #[error("cancelled")]
    Cancelled,
}

impl SaveError {
    fn io(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self::Io {
            operation,
            path,
            error,
        }
    }
}

/// How far a snapshot has come. Shared with whoever wants to know, or to end it.
#[derive(Debug, Default)]
pub struct Progress {
    keys: AtomicU64,
    keys_total: AtomicU64,
    bytes: AtomicU64,
    cancelled: AtomicBool,
}

impl Progress {
    /// Entries written so far.
    pub fn keys(&self) -> u64 {
        self.keys.load(Relaxed)
    }

    /// Entries that there were at the cut.
    pub fn keys_total(&self) -> u64 {
        self.keys_total.load(Relaxed)
    }

    /// Bytes written so far.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    fn begin(&self, snapshot: &Snapshot<'_>) {
        let total: usize = snapshot.dbs().iter().map(|db| db.keys).sum();
        self.keys_total.store(total as u64, Relaxed);
    }

    fn add(&self, portion: &Portion) {
        self.keys.fetch_add(portion.len() as u64, Relaxed);
    }

    /// Ends the snapshot soon, without a file.
    pub fn cancel(&self) {
        self.cancelled.store(true, Relaxed);
    }

    /// Whether [`cancel`](Self::cancel) was called.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Relaxed)
    }
}

/// Where a file goes.
#[derive(Clone, Debug)]
pub struct SavePlace {
    /// The directory, which exists.
    pub dir: PathBuf,
    /// The file's name (`dbfilename`).
    pub name: String,
    /// Its name until it is whole (`temp-<pid>.rdb`).
    pub temp_name: String,
    /// Bytes after which it is made durable piece by piece; `None`: at the end only.
    pub sync_every: Option<u64>,
}

/// Writes a snapshot to a file, in place of the one of that name. Returns its size in bytes, which are durable then.
pub fn save(
    disk: &dyn Disk,
    place: &SavePlace,
    content: Content<'_>,
    progress: &Progress,
) -> Result<u64, SaveError> {
    let temp = place.dir.join(&place.temp_name);
    let result = write_and_publish(disk, place, &temp, content, progress);
    if result.is_err() {
        // There may be none, and nothing else can be done about it.
        let _ = disk.remove(&temp);
    }
    result
}

fn write_and_publish(
    disk: &dyn Disk,
    place: &SavePlace,
    temp: &Path,
    content: Content<'_>,
    progress: &Progress,
) -> Result<u64, SaveError> {
    let file = disk.create(temp).map_err(SaveError::io("create", temp))?;
    let sink = FileSink::new(file, place.sync_every);
    let sink = write(sink, content, progress, SaveError::io("write", temp))?;
    let size = sink.finish().map_err(SaveError::io("fsync", temp))?;
    if progress.is_cancelled() {
        return Err(SaveError::Cancelled);
    }
    let path = place.dir.join(&place.name);
    disk.rename(temp, &path)
        .map_err(SaveError::io("rename", temp))?;
    disk.sync_dir(&place.dir)
        .map_err(SaveError::io("fsync", &place.dir))?;
    Ok(size)
}
