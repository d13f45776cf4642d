//! The rewrite: a new base that holds the state as it is, in place of the base and all increments before it.
//!
//! ```text
//! manifest          base 1, incr 1
//! prepare           base 1, incr 1, incr 2        incr 2 is empty; incr 1 is still written
//! cut                      "                      incr 2 is written from here on
//! write_command …          "                      the state at the cut goes to a temporary file
//! finish            base 2, incr 2 (h: the old)   then the old files are removed
//! ```
//!
//! Each manifest names a valid data set, whatever has been written to the files by then. A step that fails, or a power
//! cut, leaves the manifest before it in use. The cut alone needs the writers to stand still (the caller holds all shard
//! locks); a snapshot that keeps the state at the cut may write it out later, while the log goes on.

use super::annotation::Annotation;
use super::batch::encode_select;
use super::log::Log;
use super::log_file::LogFile;
use super::manifest::{Manifest, ManifestFile};
use super::{LogError, Offset, annotation};
use crate::disk::DiskFile;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The new base is written in groups of about this many bytes.
const GROUP_SIZE: usize = 128 << 10;

impl Log {
    /// [`Log::prepare_rewrite`] and [`PreparedRewrite::cut`] in one, for a caller that stops all writers for the whole rewrite.
    pub fn begin_rewrite(&self) -> Result<RewriteWriter<'_>, LogError> {
        self.prepare_rewrite()?.cut()
    }

    /// The slow half of the beginning, while writers go on: creates the next increment and puts it into the manifest.
    pub fn prepare_rewrite(&self) -> Result<PreparedRewrite<'_>, LogError> {
        self.check()?;
        let mut files = self.files.lock();
        if files.rewriting {
            return Err(LogError::RewriteInProgress);
        }
        let seq = files.manifest.incr_seq_next();
        let name = self.config.incr_name(seq);
        let path = self.config.path(&name);
        let file = self
            .disk
            .create(&path)
            .map_err(|error| LogError::io("create", &path, &error))?;
        let mut next = LogFile::new(file, path, 0);
        // Durable before the manifest names the file: however a crash tears it later, it is seen to be ours.
        next.write(&mut annotation::LOG_LINE.to_vec(), self.step())?;
        next.sync()?;
        let mut manifest = files.manifest.clone();
        manifest.incrs.push(ManifestFile { name, seq });
        // The first rewrite of a new log publishes nothing before it is whole.
        if files.replaces.is_none()
            && let Err(error) = self.config.publish_manifest(&*self.disk, &manifest)
        {
            // The rename may have happened. Only the old manifest, published once more, makes the new name harmless.
            if self
                .config
                .publish_manifest(&*self.disk, &files.manifest)
                .is_ok()
            {
                let _ = self.disk.remove(&next.path);
            }
            return Err(error);
        }
        files.manifest = manifest;
        files.rewriting = true;
        Ok(PreparedRewrite {
            log: self,
            next: Some(next),
            seq,
        })
    }
}

/// The next increment exists but is not used yet. Dropping it takes it back.
#[derive(Debug)]
pub struct PreparedRewrite<'a> {
    log: &'a Log,
    next: Option<LogFile>,
    seq: u64,
}

impl<'a> PreparedRewrite<'a> {
    /// Ends the old increment and begins the new one. The caller keeps all writers out until it has the state of this
    /// moment in hand. Takes two writes, no sync.
    pub fn cut(mut self) -> Result<RewriteWriter<'a>, LogError> {
        let log = self.log;
        let Some(mut next) = self.next.take() else {
            return Err(LogError::RewriteInProgress);
        };
        let offset;
        {
            let mut writer = log.writer.lock();
            let switched = log.write_pending_and_forget_db(&mut writer).and_then(|()| {
                // The first line of each increment: from which offset it counts.
                next.write_line(&Annotation::mark(log.written(), log.durable()), log.step())
            });
            if let Err(error) = switched {
                self.next = Some(next);
                drop(writer);
                return Err(error);
            }
            offset = log.written();
            log.size.fetch_add(next.position(), Ordering::Relaxed);
            let old = std::mem::replace(&mut writer.current, next);
            writer.retired.push(old);
            writer.unsynced = true;
            writer.marked = false;
            writer.time = 0;
        }
        let config = &log.config;
        let path = config.path(&config.temp_base_name());
        let writer = RewriteWriter {
            log,
            file: None,
            path,
            buffer: Vec::with_capacity(GROUP_SIZE + GROUP_SIZE / 4),
            position: 0,
            end: 0,
            db: 0,
            is_rdb: false,
            cut: offset,
            first_incr_seq: self.seq,
            finished: false,
        };
        Ok(writer)
    }
}

impl Drop for PreparedRewrite<'_> {
    fn drop(&mut self) {
        let Some(next) = self.next.take() else { return };
        let mut files = self.log.files.lock();
        files.rewriting = false;
        let mut manifest = files.manifest.clone();
        manifest.incrs.retain(|file| file.seq != self.seq);
        if files.replaces.is_some()
            || self
                .log
                .config
                .publish_manifest(&*self.log.disk, &manifest)
                .is_ok()
        {
            files.manifest = manifest;
            let _ = self.log.disk.remove(&next.path);
        }
        // Else the name stays in the manifest, of a file that holds no command: harmless.
    }
}

/// Takes the state at the cut, command by command, and becomes the new base. Dropping it unfinished leaves all as it was.
#[derive(Debug)]
pub struct RewriteWriter<'a> {
    log: &'a Log,
    file: Option<Arc<dyn DiskFile>>,
    path: PathBuf,
    buffer: Vec<u8>,
    /// Bytes in the file.
    position: u64,
    /// Bytes of commands in the file: a base counts for itself, from 0.
    end: Offset,
    db: u32,
    /// The base is an RDB file.
    is_rdb: bool,
    cut: Offset,
    first_incr_seq: u64,
    finished: bool,
}

impl<'a> RewriteWriter<'a> {
    /// The log offset of the state that the base holds.
    pub fn cut_offset(&self) -> Offset {
        self.cut
    }

    /// Appends one command.
    pub fn write_command(&mut self, db: u32, args: &[&[u8]]) -> Result<(), LogError> {
        if self.db != db || (self.buffer.is_empty() && db != 0) {
            encode_select(&mut self.buffer, db);
            self.db = db;
        }
        self.buffer.push(b'*');
        annotation::push_decimal(&mut self.buffer, args.len() as u64);
        self.buffer.extend_from_slice(b"\r\n");
        for arg in args {
            self.buffer.push(b'$');
            annotation::push_decimal(&mut self.buffer, arg.len() as u64);
            self.buffer.extend_from_slice(b"\r\n");
            self.buffer.extend_from_slice(arg);
            self.buffer.extend_from_slice(b"\r\n");
        }
        if self.buffer.len() >= GROUP_SIZE {
            self.write_group()
        } else {
            Ok(())
        }
    }

    /// Makes the base an RDB file, which is written into what this returns. Nothing else may have been written, and the RDB format's own
    /// end is to be there before [`finish`](Self::finish). `sync_every`: bytes after which it is made durable piece by piece.
    pub fn rdb(&mut self, sync_every: Option<u64>) -> RdbBase<'_, 'a> {
        self.is_rdb = true;
        RdbBase {
            writer: self,
            sync_every,
            unsynced: 0,
        }
    }

    /// Publishes the new base and removes what it replaces.
    pub fn finish(mut self) -> Result<(), LogError> {
        if !self.is_rdb {
            self.write_group()?;
            // Without this line a base is not whole.
            Annotation::mark(self.end, self.end).encode(&mut self.buffer);
        }
        let file = self.write_buffer()?;
        file.sync_data()
            .map_err(|error| LogError::io("fsync", &self.path, &error))?;

        let log = self.log;
        // The new increment becomes the first file to count offsets from, so its first line must be durable.
        log.sync()?;
        let mut files = log.files.lock();
        let seq = files.base_seq;
        files.base_seq += 1;
        let name = if self.is_rdb {
            log.config.rdb_base_name(seq)
        } else {
            log.config.base_name(seq)
        };
        let path = log.config.path(&name);
        log.disk
            .rename(&self.path, &path)
            .map_err(|error| LogError::io("rename", &self.path, &error))?;
        let mut manifest = files.manifest.clone();
        let old_base = manifest.base.replace(ManifestFile { name, seq });
        let (old_incrs, incrs) = manifest
            .incrs
            .into_iter()
            .partition(|file| file.seq < self.first_incr_seq);
        manifest.incrs = incrs;
        manifest.history = old_base.into_iter().chain::<Vec<_>>(old_incrs).collect();
        if let Some(Some(earlier)) = &files.replaces {
            let Manifest {
                base,
                incrs,
                history,
            } = earlier.clone();
            manifest.history.extend(base);
            manifest.history.extend(incrs);
            manifest.history.extend(history);
        }
        if let Err(error) = log.config.publish_manifest(&*log.disk, &manifest) {
            // Whichever of the two manifests is in place, its files are all there. The next rewrite uses another name.
            let restored = match &files.replaces {
                None => log.config.publish_manifest(&*log.disk, &files.manifest),
                Some(Some(earlier)) => log.config.publish_manifest(&*log.disk, earlier),
                Some(None) => log.config.remove_manifest(&*log.disk),
            };
            if restored.is_ok() {
                let _ = log.disk.remove(&path);
            }
            return Err(error);
        }
        files.replaces = None;
        log.complete.store(true, Ordering::Release);
        {
            let writer = log.writer.lock();
            let size = self.position + writer.current.position();
            log.size.store(size, Ordering::Relaxed);
            log.size_at_rewrite.store(size, Ordering::Relaxed);
        }
        let removed = manifest
            .take_history()
            .iter()
            .all(|name| log.disk.remove(&log.config.path(name)).is_ok());
        // As long as the names are in the manifest, the next start removes the files.
        files.manifest = manifest;
        if removed {
            let _ = log.config.publish_manifest(&*log.disk, &files.manifest);
        }
        self.finished = true;
        Ok(())
    }

    fn write_group(&mut self) -> Result<(), LogError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let len = self.buffer.len() as u64;
        self.end += len;
        let crc32 = crc32fast::hash(&self.buffer);
        Annotation {
            crc32,
            len,
            end: self.end,
            synced: 0,
        }
        .encode(&mut self.buffer);
        self.write_buffer().map(|_| ())
    }

    /// Writes the buffer behind what the file holds.
    fn write_buffer(&mut self) -> Result<Arc<dyn DiskFile>, LogError> {
        let file = match &self.file {
            Some(file) => file.clone(),
            None => {
                let created = self.log.disk.create(&self.path);
                let file = created.map_err(|error| LogError::io("create", &self.path, &error))?;
                let mut head = Vec::new();
                if !self.is_rdb {
                    Annotation::mark(0, 0).encode(&mut head);
                }
                file.write_at(0, &head)
                    .map_err(|error| LogError::io("write", &self.path, &error))?;
                self.position = head.len() as u64;
                self.file = Some(file.clone());
                file
            }
        };
        let written = file.write_at(self.position, &self.buffer);
        written.map_err(|error| LogError::io("write", &self.path, &error))?;
        self.position += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(file)
    }
}

/// Where the bytes of a base in RDB format go.
#[derive(Debug)]
pub struct RdbBase<'w, 'a> {
    writer: &'w mut RewriteWriter<'a>,
    sync_every: Option<u64>,
    unsynced: u64,
}

impl io::Write for RdbBase<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.buffer.extend_from_slice(bytes);
        let file = self.writer.write_buffer().map_err(io::Error::other)?;
        self.unsynced += bytes.len() as u64;
        if self.sync_every.is_some_and(|bytes| self.unsynced >= bytes) {
            file.sync_data()?;
            self.unsynced = 0;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for RewriteWriter<'_> {
    fn drop(&mut self) {
        let mut files = self.log.files.lock();
        files.rewriting = false;
        if !self.finished && self.file.is_some() {
            let _ = self.log.disk.remove(&self.path);
        }
    }
}
