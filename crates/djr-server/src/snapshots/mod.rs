//! Snapshots and rewrites of the log: who may begin one, what is under way, how the last ones went.
//!
//! - `save`: the snapshot's file, for SAVE, BGSAVE, save points and the end of the server.
//! - `rewrite`: the new base of the log, for BGREWRITEAOF and when the log has grown.
//! - `points`: what is due.
//!
//! One of them runs at a time, on a thread of its own; the keyspace is used meanwhile. See `djr_storage::snapshot` for how.

mod backup;
mod manners;
mod points;
mod rewrite;
mod save;

use backup::Backups;
pub(crate) use backup::{BackupFile, BackupOf};
pub(crate) use save::NotBegun;

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use djr_engine::CommandError;
use djr_storage::snapshot::Progress;
use parking_lot::{Condvar, Mutex};

use crate::clock;
use crate::shared::{Gate, Shared};

/// What can be under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Job {
    /// The snapshot's file.
    Save,
    /// A new base of the log.
    Rewrite,
}

/// Whoever else may begin one has to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Busy(pub(crate) Job);

/// What is known of snapshots and rewrites.
pub(crate) struct Snapshots {
    dir: PathBuf,
    state: Mutex<State>,
    /// Nothing is under way any more.
    ended: Condvar,
    /// Of what is under way, or was last.
    thread: Mutex<Option<JoinHandle<()>>>,
    backups: Backups,
}

/// As INFO tells it.
#[derive(Clone)]
pub(crate) struct State {
    running: Option<(Job, Instant)>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) save_scheduled: bool,
    pub(crate) rewrite_scheduled: bool,
    /// Milliseconds since 1970.
    pub(crate) last_save_ms: i64,
    last_save_try: Option<Instant>,
    pub(crate) save_ok: bool,
    /// How long the last one in the background took.
    pub(crate) save_time: Option<Duration>,
    pub(crate) saves: u64,
    /// Changes that the last snapshot has.
    saved_changes: u64,
    pub(crate) rewrite_ok: bool,
    pub(crate) rewrite_time: Option<Duration>,
    pub(crate) rewrites: u64,
    /// Since the last one that went well.
    pub(crate) rewrite_failures: u32,
    last_rewrite_try: Option<Instant>,
    /// The server ends: nothing new is begun.
    stopping: bool,
}

impl Snapshots {
    /// Nothing is under way. `dir` is where the files are.
    pub(crate) fn new(dir: PathBuf) -> Self {
        let state = State {
            running: None,
            progress: Arc::default(),
            save_scheduled: false,
            rewrite_scheduled: false,
            // As in Redis: what the server begins with counts as saved.
            last_save_ms: clock::unix_millis(),
            last_save_try: None,
            save_ok: true,
            save_time: None,
            saves: 0,
            saved_changes: 0,
            rewrite_ok: true,
            rewrite_time: None,
            rewrites: 0,
            rewrite_failures: 0,
            last_rewrite_try: None,
            stopping: false,
        };
        Self {
            dir,
            state: Mutex::new(state),
            ended: Condvar::new(),
            thread: Mutex::default(),
            backups: Backups::default(),
        }
    }
}

/// So long the end of the server waits for a snapshot that was given up: the log must be closed even if that is stuck.
const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// Nothing is begun while it lives.
pub(crate) struct Held<'a>(&'a Snapshots);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.release(|_, _| ());
    }
}

impl State {
    /// Whether this is under way, and for how long.
    pub(crate) fn running(&self, job: Job) -> Option<Duration> {
        self.running
            .filter(|(running, _)| *running == job)
            .map(|(_, since)| clock::monotonic().saturating_duration_since(since))
    }

    /// Changes since the last snapshot, given how many there were in all.
    pub(crate) fn changes(&self, all: u64) -> u64 {
        all.saturating_sub(self.saved_changes)
    }
}

impl Snapshots {
    /// As it is now.
    pub(crate) fn state(&self) -> State {
        self.state.lock().clone()
    }

    /// Begins, if nothing else is under way.
    fn claim(&self, job: Job) -> Result<Arc<Progress>, Busy> {
        let mut state = self.state.lock();
        self.claim_in(&mut state, job)
    }

    fn claim_in(&self, state: &mut State, job: Job) -> Result<Arc<Progress>, Busy> {
        if let Some((running, _)) = state.running {
            return Err(Busy(running));
        }
        if state.stopping {
            return Err(Busy(job));
        }
        let now = clock::monotonic();
        state.running = Some((job, now));
        state.progress = Arc::default();
        match job {
            Job::Save => state.last_save_try = Some(now),
            Job::Rewrite => {
                state.last_rewrite_try = Some(now);
                state.rewrite_scheduled = false;
            }
        }
        Ok(state.progress.clone())
    }

    /// As [`claim`](Self::claim), but waits for what is under way.
    fn claim_in_turn(&self, job: Job) -> Result<Arc<Progress>, Busy> {
        let mut state = self.state.lock();
        while state.running.is_some() {
            self.ended.wait(&mut state);
        }
        self.claim_in(&mut state, job)
    }

    /// Waits for what is under way; nothing is begun until what this returns is dropped. `None`: the server ends.
    pub(crate) fn hold(&self) -> Option<Held<'_>> {
        self.claim_in_turn(Job::Save).ok().map(|_| Held(self))
    }

    /// What was under way has ended; `note` says how. Returns how long it took.
    fn release(&self, note: impl FnOnce(&mut State, Duration)) {
        let mut state = self.state.lock();
        let since = state.running.take().map(|(_, since)| since);
        let took = since.map(|since| clock::monotonic().saturating_duration_since(since));
        note(&mut state, took.unwrap_or_default());
        self.ended.notify_all();
    }

    /// Runs a job on a thread of its own.
    fn spawn(&self, run: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
        let thread = std::thread::Builder::new()
            .name("djr-snapshot".into())
            .spawn(|| {
                manners::step_back();
                run();
            })?;
        // The one before it has ended, or is just about to.
        *self.thread.lock() = Some(thread);
        Ok(())
    }

    /// `BGSAVE CANCEL`: what it did, as Valkey says it.
    pub(crate) fn cancel_save(&self) -> Result<&'static str, CommandError> {
        let mut state = self.state.lock();
        if state.running(Job::Save).is_some() {
            tracing::info!("Background saving will be aborted due to user request");
            state.progress.cancel();
            Ok("Background saving cancelled")
        } else if state.save_scheduled {
            tracing::info!("Scheduled background saving will be cancelled due to user request");
            state.save_scheduled = false;
            Ok("Scheduled background saving cancelled")
        } else {
            Err(CommandError::text(
                "ERR Background saving is currently not in progress or scheduled",
            ))
        }
    }

    /// A snapshot as soon as nothing else is under way.
    pub(crate) fn schedule_save(&self) {
        self.state.lock().save_scheduled = true;
    }

    /// A rewrite as soon as nothing else is under way.
    pub(crate) fn schedule_rewrite(&self) {
        let mut state = self.state.lock();
        state.rewrite_scheduled = true;
        state.rewrite_failures = 0;
    }

    /// Ends what is under way, without a result. Nothing is begun any more.
    pub(crate) fn stop(&self) {
        {
            let mut state = self.state.lock();
            state.stopping = true;
            state.progress.cancel();
        }
        // A backup has a thread of its own, so this is not about the thread.
        let mut state = self.state.lock();
        let limit = clock::monotonic() + STOP_PATIENCE;
        while state.running.is_some() {
            if self.ended.wait_until(&mut state, limit).timed_out() {
                tracing::error!(
                    "a snapshot that was given up does not end: not waited for any more"
                );
                return;
            }
        }
        drop(state);
        let thread = self.thread.lock().take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread of a snapshot has ended by a panic");
        }
    }

    /// Whether writes are refused is decided anew: a snapshot went well or failed, or the configuration changed.
    pub(crate) fn judge_writes(&self, shared: &Shared) {
        let config = &shared.config;
        let refused = !self.state.lock().save_ok
            && config.stops_writes_on_save_error()
            && !config.save_points().is_empty();
        if refused {
            shared.gate.set(Gate::SAVE_FAILED);
        } else {
            shared.gate.clear(Gate::SAVE_FAILED);
        }
    }
}

/// What a write is answered while snapshots fail.
pub(crate) fn misconf() -> CommandError {
    CommandError::text(
        "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. Commands that may modify the data set are disabled, because this instance is configured to report errors during writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check the Redis logs for details about the RDB error.",
    )
}
