//! One increment being written: where the next group goes, and the preallocated part behind it.

use super::LogError;
use super::annotation::Annotation;
use super::filler;
use crate::disk::{DiskFile, SECTOR};
use std::path::PathBuf;
use std::sync::Arc;

/// Filler is written in pieces of this many bytes.
const FILL_CHUNK: u64 = 1 << 20;

/// Invariant: the file holds content up to `position`; from there to `size` it holds filler, whose first byte is `#`.
#[derive(Debug)]
pub(super) struct LogFile {
    pub(super) file: Arc<dyn DiskFile>,
    pub(super) path: PathBuf,
    position: u64,
    size: u64,
    /// Set when the disk had no room for a step: then the file grows as a plain one.
    plain: bool,
}

impl LogFile {
    /// A file whose content ends at `position`, with nothing behind it.
    pub(super) fn new(file: Arc<dyn DiskFile>, path: PathBuf, position: u64) -> LogFile {
        LogFile {
            file,
            path,
            position,
            size: position,
            plain: false,
        }
    }

    /// Where the content ends: the file's size, filler not counted.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Writes a group (its bytes with their annotation) with one call. `step` > 0 keeps the file preallocated.
    ///
    /// `bytes` may come back with the `#` that follows the group in a preallocated file.
    pub(super) fn write(&mut self, bytes: &mut Vec<u8>, step: u64) -> Result<(), LogError> {
        let end = self.position + bytes.len() as u64;
        if end >= self.size && step > 0 && !self.plain {
            self.preallocate(end + 1, step)?;
        }
        if end < self.size {
            bytes.push(b'#');
        }
        self.file
            .write_at(self.position, bytes)
            .map_err(|error| LogError::io("write", &self.path, &error))?;
        self.position = end;
        self.size = self.size.max(end);
        Ok(())
    }

    /// Makes the file long enough for `needed` bytes and one step more, filled with comment lines.
    pub(super) fn preallocate(&mut self, needed: u64, step: u64) -> Result<(), LogError> {
        let target = filler::preallocated_size(needed, step);
        let mut chunk = Vec::new();
        let mut at = self.size;
        while at < target {
            let to = (at + FILL_CHUNK - at % FILL_CHUNK).min(target);
            chunk.clear();
            filler::fill(at, to, &mut chunk);
            // The content's end must be followed by a comment even if it is not at a line's start.
            if at == self.position
                && let Some(first) = chunk.first_mut()
            {
                *first = b'#';
            }
            if self.file.write_at(at, &chunk).is_err() {
                // No room for a whole step: there may be some for the group, so this is no failure of the log yet.
                self.plain = true;
                return self.cut();
            }
            at = to;
        }
        self.size = target;
        Ok(())
    }

    /// Cuts the filler off.
    pub(super) fn cut(&mut self) -> Result<(), LogError> {
        self.file
            .set_size(self.position)
            .map_err(|error| LogError::io("truncate", &self.path, &error))?;
        self.size = self.position;
        Ok(())
    }

    pub(super) fn is_preallocated(&self) -> bool {
        self.size > self.position
    }

    pub(super) fn sync(&self) -> Result<(), LogError> {
        self.file
            .sync_data()
            .map_err(|error| LogError::io("fsync", &self.path, &error))
    }

    /// Makes the next `len` bytes stand in one sector, by a comment before them if need be. So a crash keeps them whole or
    /// not at all, and recovery is not in doubt whose they are.
    pub(super) fn pad_to_sector(&mut self, len: u64) -> Result<(), LogError> {
        let room = SECTOR - self.position % SECTOR;
        if room < len {
            let mut pad = vec![b' '; if room < 3 { room + filler::LINE } else { room } as usize];
            pad[0] = b'#';
            let end = pad.len() - 2;
            pad[end..].copy_from_slice(b"\r\n");
            self.write(&mut pad, 0)?;
            self.sync()?;
        }
        Ok(())
    }

    /// Writes a line by itself.
    pub(super) fn write_line(&mut self, line: &Annotation, step: u64) -> Result<(), LogError> {
        let mut bytes = Vec::new();
        line.encode(&mut bytes);
        self.write(&mut bytes, step)
    }
}
