//! A file that is written from its beginning to its end.

use std::io;
use std::sync::Arc;

use crate::disk::DiskFile;

/// Appends to a file, and makes it durable from time to time if wanted.
#[derive(Debug)]
pub struct FileSink {
    file: Arc<dyn DiskFile>,
    position: u64,
    synced: u64,
    sync_every: Option<u64>,
}

impl FileSink {
    /// Begins at the file's beginning.
    pub fn new(file: Arc<dyn DiskFile>, sync_every: Option<u64>) -> Self {
        Self {
            file,
            position: 0,
            synced: 0,
            sync_every,
        }
    }

    /// Makes all of it durable. Returns its size in bytes.
    pub fn finish(self) -> io::Result<u64> {
        self.file.sync_data()?;
        Ok(self.position)
    }
}

impl io::Write for FileSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write_at(self.position, bytes)?;
        self.position += bytes.len() as u64;
        if self
            .sync_every
            .is_some_and(|bytes| self.position - self.synced >= bytes)
        {
            self.file.sync_data()?;
            self.synced = self.position;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
