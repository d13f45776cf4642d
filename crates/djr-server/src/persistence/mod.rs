//! The data set's way to disk and back: recovery at the start, the log's thread.

mod lanes;
mod reload;
mod replay;
mod switch;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use djr_engine::CommandError;
use djr_storage::aof::{
    AofConfig, BaseFile, Log, LogError, OnDurable, RecoveryMode, RecoveryReport, recover,
};
use djr_storage::disk::{Disk, OsDisk};
use parking_lot::Mutex;

use crate::shared::{Gate, Shared};
pub(crate) use reload::{ReloadOptions, reload_log, reload_snapshot};
use replay::Replayer;

/// The log and what goes on around it.
#[derive(Default)]
pub(crate) struct Persistence {
    /// What is appended to; `None`: `appendonly no`.
    log: Mutex<Option<Arc<Log>>>,
    /// Rises whenever there is another log, or none any more. Workers look at it once a turn.
    generation: AtomicU32,
    /// The thread of the log.
    thread: Mutex<Option<JoinHandle<()>>>,
    /// The data directory, absolute.
    dir: OnceLock<PathBuf>,
    /// The end of the last log that was switched off: the next one goes on from there.
    last_end: AtomicU64,
    /// What recovery found.
    report: OnceLock<RecoveryReport>,
}

impl Persistence {
    /// The log, once it is open.
    pub(crate) fn log(&self) -> Option<Arc<Log>> {
        self.log.lock().clone()
    }

    /// Rises when [`log`](Self::log) becomes another.
    #[inline]
    pub(crate) fn generation(&self) -> u32 {
        self.generation.load(Ordering::Acquire)
    }

    /// What recovery found; `None` without a log at the start.
    pub(crate) fn report(&self) -> Option<&RecoveryReport> {
        self.report.get()
    }

    /// To be called once, at the start: where the files are.
    pub(crate) fn set_dir(&self, dir: PathBuf) {
        let _ = self.dir.set(dir);
    }

    /// Recovers the data set and opens the log. Writes can be logged when this returns.
    pub(crate) fn load(&self, shared: &Arc<Shared>) -> Result<(), String> {
        let disk: Arc<dyn Disk> = Arc::new(OsDisk);
        let mode = if shared.config.aof_repair() {
            RecoveryMode::Repair
        } else {
            RecoveryMode::Refuse
        };
        let config = self.config(shared);
        let mut replayer = Replayer::new(shared);
        let truncate_ok = shared.config.aof_load_truncated();
        let recovered = recover(&disk, &config, mode, truncate_ok, &mut replayer)
            .map_err(|error| error.to_string())?;
        // Redis starts empty here. But somebody who has snapshots only, and finds an empty server, has lost everything.
        let snapshot = self.snapshot_path(shared);
        let report = &recovered.report;
        let adopt = report.base == BaseFile::None
            && report.commands == 0
            && replayer.snapshot(&snapshot)?;
        let log = Log::open(disk, config, recovered.state, wake_workers(shared))
            .map_err(|error| error.to_string())?;
        if adopt {
            // Until this is done there is nothing in the log, and another start begins with the snapshot again.
            tracing::warn!(
                "there is no append-only log yet, so the data comes from {}; the log is made from it now, and loaded from now on",
                snapshot.display()
            );
            shared.snapshots.rewrite_now(shared, &log)?;
        }
        let _ = self.report.set(recovered.report);
        self.install(shared, log).map_err(|error| error.to_string())
    }

    /// Loads the snapshot: how a server without a log starts. Whether there was one.
    pub(crate) fn load_snapshot(&self, shared: &Arc<Shared>) -> Result<bool, String> {
        Replayer::new(shared).snapshot(&self.snapshot_path(shared))
    }

    pub(super) fn snapshot_path(&self, shared: &Shared) -> PathBuf {
        let dir = self.dir.get().cloned().unwrap_or_default();
        dir.join(shared.config.db_file_name())
    }

    /// The log's files and habits, as configured now.
    pub(super) fn config(&self, shared: &Shared) -> AofConfig {
        let config = &shared.config;
        AofConfig {
            dir_name: config.append_dir_name(),
            file_name: config.append_file_name(),
            policy: config.append_fsync(),
            ..AofConfig::new(self.dir.get().cloned().unwrap_or_default())
        }
    }

    /// Makes a log the one that is appended to, and starts its thread.
    fn install(&self, shared: &Arc<Shared>, log: Log) -> std::io::Result<()> {
        let log = Arc::new(log);
        log.set_timestamps(shared.config.aof_timestamps());
        let (for_thread, for_failure) = (log.clone(), shared.clone());
        let thread = std::thread::Builder::new().name("djr-log".into());
        let thread = thread.spawn(move || run(&for_thread, &for_failure))?;
        *self.thread.lock() = Some(thread);
        self.publish(Some(log));
        Ok(())
    }

    fn publish(&self, log: Option<Arc<Log>>) {
        let mut current = self.log.lock();
        *current = log;
        // Under the lock, and after: who sees the number sees the log.
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// Waits for the end of the log's thread. `false`: it ended by a panic.
    fn join(&self) -> bool {
        let thread = self.thread.lock().take();
        thread.is_none_or(|thread| thread.join().is_ok())
    }

    /// The server ends: everything is durable when this returns. `false`: the log's thread has ended by a panic.
    pub(crate) fn close(&self) -> (bool, Result<(), LogError>) {
        let Some(log) = self.log() else {
            return (true, Ok(()));
        };
        log.stop();
        let well = self.join();
        if !log.is_complete() {
            tracing::warn!(
                "the append-only log was being switched on and is not whole: it is given up"
            );
            log.discard();
            return (well, Ok(()));
        }
        let closed = log.close();
        if closed.is_ok() {
            tracing::info!("the append-only log is complete and durable");
        }
        (well, closed)
    }

    /// The log has failed: from now on writes are refused.
    #[cold]
    pub(crate) fn failed(&self, shared: &Shared) {
        let log = self.log();
        let Some(error) = log.as_ref().and_then(|log| log.poisoned()) else {
            return;
        };
        if *error != LogError::Closed && shared.gate.bits() & Gate::MISCONF == 0 {
            shared.gate.set(Gate::MISCONF);
            tracing::error!(
                "the append-only log has failed, writes are refused from now on: {error}"
            );
            shared.wake_workers();
        }
    }

    /// What a write is answered while the log is failed.
    pub(crate) fn misconf(&self) -> CommandError {
        let log = self.log();
        let why = log.as_ref().and_then(|log| log.poisoned());
        let why = why.map(ToString::to_string);
        CommandError::format(format!(
            "MISCONF Errors writing to the AOF file: {}",
            why.unwrap_or_default()
        ))
    }
}

/// The log's thread: makes durable. Returns when the log is stopped.
fn run(log: &Log, shared: &Shared) {
    while log.wait_for_work(Duration::from_secs(1)) {
        if log.sync().is_err() {
            shared.persistence.failed(shared);
        }
    }
}

/// What tells the workers that more has become durable.
fn wake_workers(shared: &Shared) -> OnDurable {
    let workers = shared.workers.iter();
    let mailboxes: Vec<_> = workers.map(|worker| worker.mailbox.clone()).collect();
    Box::new(move |_| mailboxes.iter().for_each(|mailbox| mailbox.wake()))
}
