//! Every disk operation of the engine, as a trait: [`OsDisk`] in production, [`SimDisk`] in tests.
//!
//! Nothing in this crate calls `std::fs` but [`OsDisk`], so the crash simulator runs the production code.
//!
//! What callers may rely on, and no more:
//!
//! - bytes written to a file are durable only after [`DiskFile::sync_data`] returned `Ok`;
//! - a name created, renamed or removed is so for good only after [`Disk::sync_dir`] returned `Ok`;
//! - before that a power cut keeps any part of it, in any order, in units of a sector ([`SECTOR`]);
//! - after a failed `sync_data` nothing is known about the bytes it should have covered, and a later
//!   success says nothing about them either.

mod contents;
mod os;
mod sim;

pub use contents::Contents;
pub use os::OsDisk;
pub use sim::{Fault, SimDisk};

use std::fmt::Debug;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// The unit in bytes that a power cut leaves whole: old or new, never a mixture.
pub const SECTOR: u64 = 512;

/// A file system: names, and the files behind them.
pub trait Disk: Send + Sync + Debug {
    /// Creates a file, or empties the one of that name, for reading and writing.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Opens an existing file for reading and writing. `NotFound` if there is none.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// The bytes of an existing file, for reading them in any order and from several threads: mapped where the system can, so that the file may
    /// be larger than the memory. Nobody may write to it meanwhile.
    fn contents(&self, path: &Path) -> io::Result<Contents> {
        Ok(Contents::owned(read_all(&*self.open(path)?)?))
    }

    /// Gives a file another name, in one step; a file that had that name is gone.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file's name. Handles that are open stay usable.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Creates a directory if there is none.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// The names of the files in a directory, sorted; names that are not UTF-8 are left out.
    /// An absent directory has none.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;
}

/// An open file. All operations name their place, so threads may share a handle.
pub trait DiskFile: Send + Sync + Debug {
    /// The size in bytes.
    fn size(&self) -> io::Result<u64>;

    /// Reads up to `out.len()` bytes from `offset`; 0 only at the end of the file.
    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<usize>;

    /// Writes all of `bytes` at `offset`, making the file longer if need be. After an error any part may have been written.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Cuts the file off, or makes it longer with zeros.
    fn set_size(&self, size: u64) -> io::Result<()>;

    /// Makes everything written so far, and the size, durable.
    fn sync_data(&self) -> io::Result<()>;
}

/// Reads a whole file. For small ones (the manifest).
pub fn read_all(file: &dyn DiskFile) -> io::Result<Vec<u8>> {
    let size = usize::try_from(file.size()?).map_err(|_| io::ErrorKind::FileTooLarge)?;
    let mut bytes = vec![0; size];
    let mut filled = 0;
    while filled < size {
        match file.read_at(filled as u64, &mut bytes[filled..])? {
            0 => break,
            count => filled += count,
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}
