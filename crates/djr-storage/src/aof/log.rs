//! The log that all workers append to.
//!
//! ```text
//! workers: append ─► pending buffer ─► write ─► file ─► fdatasync
//!                    (one short lock)  (group)          (sync thread)
//!          end() ────┘      written() ─┘    durable() ──┘
//! ```
//!
//! Invariant: `durable <= written <= end`, each of them only rises.

mod open;

use super::annotation::{self, ANNOTATION_LEN_MAX, Annotation};
use super::batch::{BatchWriter, Pending};
use super::log_file::LogFile;
use super::manifest::Manifest;
use super::{AofConfig, FsyncPolicy, LogError, Offset};
use crate::disk::Disk;
use parking_lot::{Condvar, Mutex};
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Called after the durable offset rose, and once when the log fails. It must not append or flush.
pub type OnDurable = Box<dyn Fn(Offset) + Send + Sync>;

/// A buffer that a burst made larger than this is given back after its use.
const BUFFER_KEPT_MAX: usize = 4 << 20;

/// Where recovery stopped: what [`Log::open`] needs to go on from there.
#[derive(Clone, Debug)]
pub struct OpenState {
    /// The files as found.
    pub(super) manifest: Manifest,
    /// The log offset after the last command.
    pub(super) end: Offset,
    /// Content bytes of all files.
    pub(super) size: u64,
    /// Content bytes of the last increment.
    pub(super) last_size: u64,
    /// What to write behind commands that have no annotation yet.
    pub(super) cover: Option<Annotation>,
    /// The last line of the last increment already states the end and that all is durable.
    pub(super) marked: bool,
}

/// Sizes in bytes, for deciding when to rewrite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Content of all files now.
    pub current: u64,
    /// Content right after the last rewrite, or when the log was opened.
    pub at_rewrite: u64,
}

impl Sizes {
    /// Whether the log has grown by `percentage` and to at least `min_size`
    /// (`auto-aof-rewrite-percentage`, `auto-aof-rewrite-min-size`). 0 percent means never.
    pub fn rewrite_due(&self, percentage: u64, min_size: u64) -> bool {
        let base = self.at_rewrite.max(1);
        let growth = u128::from(self.current.saturating_sub(base)) * 100;
        percentage > 0
            && self.current > min_size
            && growth >= u128::from(base) * u128::from(percentage)
    }
}

/// The writing side of the append-only file. Shared by all threads.
pub struct Log {
    pending: Padded<Mutex<Pending>>,
    end: AtomicU64,
    written: AtomicU64,
    durable: AtomicU64,
    policy: AtomicU8,
    failed: OnceLock<LogError>,
    /// The files hold the whole data set: `false` from [`Log::open_new`] until the first rewrite ends.
    pub(super) complete: AtomicBool,
    /// `aof-timestamp-enabled`.
    timestamps: AtomicBool,
    /// The time of the latest batches, in seconds since 1970: see [`Log::note_time`].
    time: AtomicU64,
    /// Content bytes of all files: [`Sizes`]. Written under the writer's lock.
    pub(super) size: AtomicU64,
    pub(super) size_at_rewrite: AtomicU64,
    pub(super) writer: Mutex<Writer>,
    /// Held while syncing, so that files become durable in their order. Taken before `writer`.
    syncing: Mutex<()>,
    wake: Mutex<Wake>,
    woken: Condvar,
    on_durable: OnDurable,
    pub(super) files: Mutex<Files>,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) config: AofConfig,
}

/// Keeps the one word that all workers write on a cache line of its own.
#[repr(align(128))]
struct Padded<T>(T);

pub(super) struct Writer {
    pub(super) current: LogFile,
    /// The empty buffer that is exchanged for the full one.
    spare: Vec<u8>,
    /// Whether the current increment holds bytes not synced yet; the first line of a new one is no logged byte, but counts.
    pub(super) unsynced: bool,
    /// The current increment ends in a line that says that all of it is durable.
    pub(super) marked: bool,
    /// The time that the current increment said last (`#TS:`); 0: it has said none.
    pub(super) time: u64,
    /// Earlier increments that hold bytes not synced yet, oldest first.
    pub(super) retired: Vec<LogFile>,
}

struct Wake {
    work: bool,
    stop: bool,
}

/// What the manifest says.
pub(super) struct Files {
    pub(super) manifest: Manifest,
    pub(super) rewriting: bool,
    /// The number for the next base.
    pub(super) base_seq: u64,
    /// The manifest on disk is not ours yet, but this one: that of an earlier log, if there was one. See [`Log::open_new`].
    pub(super) replaces: Option<Option<Manifest>>,
}

impl Log {
    /// Appends the commands of one batch, while the caller holds the locks of the shards that they changed. Several
    /// commands must be wrapped in `MULTI` … `EXEC` by the caller. Inserts the `select` of `db` where needed.
    /// Returns the offset after the batch.
    ///
    /// In a failed log the bytes go nowhere, and the offset returned never becomes durable.
    #[inline]
    pub fn append(&self, db: u32, commands: &[u8]) -> Offset {
        self.append_with(db, |batch| batch.push(commands))
    }

    /// As [`Log::append`], for a batch that is in several pieces.
    #[inline]
    pub fn append_parts(&self, db: u32, parts: &[&[u8]]) -> Offset {
        self.append_with(db, |batch| parts.iter().for_each(|part| batch.push(part)))
    }

    /// As [`Log::append`], for a batch that is written in place or changes the db on its way ([`BatchWriter::select`]).
    #[inline]
    pub fn append_with(&self, db: u32, fill: impl FnOnce(&mut BatchWriter<'_>)) -> Offset {
        let mut pending = self.pending.0.lock();
        let end = pending.append(db, fill);
        if self.failed.get().is_some() {
            pending.buffer.clear();
        }
        // Under the lock, so it only rises.
        self.end.store(end, Ordering::Release);
        end
    }

    /// Called by a worker at the end of its turn. Under `everysec` and `no`: hands everything appended so far to the
    /// operating system, in one write call; if another worker is writing, waits until our bytes are out. Under
    /// `always`: wakes the sync thread, which does the same with a sync behind it. Cheap if nothing is pending.
    pub fn flush(&self) -> Result<Offset, LogError> {
        let target = self.end.load(Ordering::Acquire);
        self.check()?;
        if self.written.load(Ordering::Acquire) >= target {
            return Ok(target);
        }
        if self.policy() == FsyncPolicy::Always {
            self.wake(|wake| wake.work = true);
            return Ok(target);
        }
        let mut writer = self.writer.lock();
        if self.written.load(Ordering::Acquire) < target {
            self.write_pending(&mut writer)?;
        }
        Ok(target)
    }

    /// One step of the sync thread: writes what is pending, makes everything written durable, publishes the new durable
    /// offset and returns it. Blocks for as long as the disk takes; appends go on meanwhile.
    pub fn sync(&self) -> Result<Offset, LogError> {
        self.check()?;
        self.sync_after(|log, writer| log.write_pending(writer))
    }

    /// Makes durable what is written after `write`.
    fn sync_after(
        &self,
        write: impl FnOnce(&Log, &mut Writer) -> Result<(), LogError>,
    ) -> Result<Offset, LogError> {
        let turn = self.syncing.lock();
        let (retired, unsynced, file, path, target) = {
            let mut writer = self.writer.lock();
            write(self, &mut writer)?;
            let target = self.written.load(Ordering::Acquire);
            let retired = std::mem::take(&mut writer.retired);
            let unsynced = std::mem::take(&mut writer.unsynced);
            (
                retired,
                unsynced,
                writer.current.file.clone(),
                writer.current.path.clone(),
                target,
            )
        };
        for mut file in retired {
            // In this order: an increment must not be durable where the one before it is not.
            let done = if file.is_preallocated() {
                file.cut()
            } else {
                Ok(())
            };
            done.and_then(|()| file.sync())
                .map_err(|error| self.fail(error))?;
        }
        if !unsynced {
            return Ok(target);
        }
        file.sync_data()
            .map_err(|error| self.fail(LogError::io("fsync", &path, &error)))?;
        self.durable.store(target, Ordering::Release);
        drop(turn);
        (self.on_durable)(target);
        Ok(target)
    }

    /// Blocks the sync thread until it has something to do: under `always` until a worker flushes, under `everysec` for
    /// `interval`, under `no` until the policy changes. `false`: [`Log::stop`] was called. The thread is just
    /// `while log.wait_for_work(second) { log.sync(); }`.
    pub fn wait_for_work(&self, interval: Duration) -> bool {
        let mut wake = self.wake.lock();
        loop {
            if wake.stop {
                return false;
            }
            if std::mem::take(&mut wake.work) {
                return true;
            }
            match self.policy() {
                FsyncPolicy::EverySec if self.failed.get().is_none() => {
                    if self.woken.wait_for(&mut wake, interval).timed_out() && !wake.stop {
                        return true;
                    }
                }
                _ => self.woken.wait(&mut wake),
            }
        }
    }

    /// Wakes the sync thread for one step, whatever the policy.
    pub fn request_sync(&self) {
        self.wake(|wake| wake.work = true);
    }

    /// Ends the sync thread's waiting for good.
    pub fn stop(&self) {
        self.wake(|wake| wake.stop = true);
    }

    /// Ends the log at this place: what is appended from now on goes nowhere, as in a failed log. The caller keeps all writers
    /// out. [`Log::close`] may follow later, when they go on.
    pub fn seal(&self) -> Result<(), LogError> {
        let mut writer = self.writer.lock();
        self.write_pending(&mut writer)?;
        let _ = self.failed.set(LogError::Closed);
        Ok(())
    }

    /// A clean stop: everything is written and durable, the last line says so, the filler is cut off.
    pub fn close(&self) -> Result<(), LogError> {
        self.stop();
        if self.is_closed() {
            self.sync_after(|_, _| Ok(()))?;
        } else {
            self.sync()?;
        }
        let mut writer = self.writer.lock();
        self.write_last_line(&mut writer)
            .map_err(|error| self.fail(error))?;
        let _ = self.failed.set(LogError::Closed);
        Ok(())
    }

    /// Whether it was sealed or closed. (It may also have failed: [`Log::poisoned`].)
    pub fn is_closed(&self) -> bool {
        matches!(self.failed.get(), Some(LogError::Closed))
    }

    /// Removes the files of a log that never became [complete](Log::is_complete) and is not written to any more.
    pub fn discard(&self) {
        self.stop();
        let files = self.files.lock();
        if files.replaces.is_some() && !files.rewriting {
            for file in &files.manifest.incrs {
                // Nobody reads what stays.
                let _ = self.disk.remove(&self.config.path(&file.name));
            }
        }
    }

    /// Whether the files hold the whole data set. Only then does [`Log::durable`] say what survives.
    pub fn is_complete(&self) -> bool {
        self.complete.load(Ordering::Acquire)
    }

    /// Changes `aof-timestamp-enabled`.
    pub fn set_timestamps(&self, enabled: bool) {
        self.timestamps.store(enabled, Ordering::Relaxed);
    }

    /// With timestamps enabled: tells the time of what has been appended since the last call, in seconds since 1970. A group
    /// whose time differs from the one before it is preceded by a line `#TS:<seconds>`, as Redis writes it.
    #[inline]
    pub fn note_time(&self, seconds: u64) {
        if self.timestamps.load(Ordering::Relaxed) {
            self.time.store(seconds, Ordering::Relaxed);
        }
    }

    fn write_last_line(&self, writer: &mut Writer) -> Result<(), LogError> {
        if !writer.marked {
            let line = Annotation::mark(self.written(), self.durable());
            writer.current.write_line(&line, 0)?;
            writer.marked = true;
        }
        if writer.current.is_preallocated() {
            writer.current.cut()?;
        }
        writer.current.sync()
    }

    /// The offset after the last batch appended.
    pub fn end(&self) -> Offset {
        self.end.load(Ordering::Acquire)
    }

    /// The offset up to which the operating system has the bytes.
    pub fn written(&self) -> Offset {
        self.written.load(Ordering::Acquire)
    }

    /// The offset up to which everything survives a power cut.
    pub fn durable(&self) -> Offset {
        self.durable.load(Ordering::Acquire)
    }

    /// Bytes appended that the operating system does not have yet: the measure for back-pressure.
    pub fn pending_bytes(&self) -> u64 {
        let written = self.written();
        self.end().saturating_sub(written)
    }

    /// Why the log failed, if it did: then writes must be refused, and replies that wait for durability be errors.
    #[inline]
    pub fn poisoned(&self) -> Option<&LogError> {
        self.failed.get()
    }

    /// `appendfsync` as it is now.
    #[inline]
    pub fn policy(&self) -> FsyncPolicy {
        FsyncPolicy::from_u8(self.policy.load(Ordering::Relaxed))
    }

    /// Changes `appendfsync`.
    pub fn set_policy(&self, policy: FsyncPolicy) {
        self.policy.store(policy as u8, Ordering::Relaxed);
        // What was left to the workers may now be up to the sync thread, which may be in a wait of the other kind.
        self.wake(|wake| wake.work = true);
    }

    /// Content sizes in bytes.
    pub fn sizes(&self) -> Sizes {
        Sizes {
            current: self.size.load(Ordering::Relaxed),
            at_rewrite: self.size_at_rewrite.load(Ordering::Relaxed),
        }
    }

    pub(super) fn check(&self) -> Result<(), LogError> {
        self.failed.get().map_or(Ok(()), |error| Err(error.clone()))
    }

    /// The step by which files grow now; 0 for plain ones.
    pub(super) fn step(&self) -> u64 {
        if self.policy() == FsyncPolicy::Always {
            self.config.preallocate_step
        } else {
            0
        }
    }

    /// Poisons the log.
    pub(super) fn fail(&self, error: LogError) -> LogError {
        let first = self.failed.set(error.clone()).is_ok();
        if first {
            let mut pending = self.pending.0.lock();
            pending.buffer = Vec::new();
            drop(pending);
            (self.on_durable)(self.durable());
        }
        error
    }

    fn wake(&self, change: impl FnOnce(&mut Wake)) {
        change(&mut self.wake.lock());
        self.woken.notify_all();
    }

    /// Writes everything appended so far as one group.
    pub(super) fn write_pending(&self, writer: &mut Writer) -> Result<(), LogError> {
        self.write_pending_and(writer, |_| ())
    }

    /// Makes the next batch say its db again, for a new file, at exactly the place where the group written here ends.
    pub(super) fn write_pending_and_forget_db(&self, writer: &mut Writer) -> Result<(), LogError> {
        self.write_pending_and(writer, |db| *db = None)
    }

    fn write_pending_and(
        &self,
        writer: &mut Writer,
        change_db: impl FnOnce(&mut Option<u32>),
    ) -> Result<(), LogError> {
        self.check()?;
        let mut group = std::mem::take(&mut writer.spare);
        let end = {
            let mut pending = self.pending.0.lock();
            change_db(&mut pending.db);
            std::mem::swap(&mut pending.buffer, &mut group);
            pending.end
        };
        if !group.is_empty() {
            let len = group.len() as u64;
            let crc32 = crc32fast::hash(&group);
            group.reserve(ANNOTATION_LEN_MAX + 1);
            // `durable` can't pass `written`, which is where this group starts.
            Annotation {
                crc32,
                len,
                end,
                synced: self.durable(),
            }
            .encode(&mut group);
            let position = writer.current.position();
            let time = self.time.load(Ordering::Relaxed);
            if time > writer.time && self.timestamps.load(Ordering::Relaxed) {
                // Not part of the group: a line between two of them.
                let mut line = annotation::timestamp(time);
                line.append(&mut group);
                group = line;
                writer.time = time;
            }
            let done = writer.current.write(&mut group, self.step());
            done.map_err(|error| self.fail(error))?;
            self.size
                .fetch_add(writer.current.position() - position, Ordering::Relaxed);
            writer.unsynced = true;
            writer.marked = false;
            self.written.store(end, Ordering::Release);
        }
        group.clear();
        group.shrink_to(BUFFER_KEPT_MAX);
        writer.spare = group;
        Ok(())
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log")
            .field("end", &self.end())
            .field("written", &self.written())
            .field("durable", &self.durable())
            .field("policy", &self.policy())
            .field("failed", &self.failed.get())
            .finish_non_exhaustive()
    }
}

impl From<LogError> for io::Error {
    fn from(error: LogError) -> io::Error {
        let kind = match &error {
            LogError::Io { kind, .. } => *kind,
            _ => io::ErrorKind::Other,
        };
        io::Error::new(kind, error)
    }
}
