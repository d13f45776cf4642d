//! The snapshot's file.

use std::sync::Arc;
use std::sync::mpsc;

use djr_storage::disk::OsDisk;
use djr_storage::keyspace::{Cut, Footprint};
use djr_storage::rdb::FileHeader;
use djr_storage::snapshot::{Clocks, Content, Progress, SYNC_EVERY, SaveError, SavePlace, save};

use super::{Busy, Job, Snapshots, manners};
use crate::clock;
use crate::shared::Shared;

/// The state at a moment, and what else is known of that moment.
pub(super) struct Moment {
    pub(super) cut: Cut,
    pub(super) functions: Vec<Vec<u8>>,
    pub(super) changes: u64,
    pub(super) now_ms: i64,
}

/// Why a snapshot in the background was not begun.
#[derive(Debug)]
pub(crate) enum NotBegun {
    /// Something else is under way.
    Busy(Busy),
    /// It can't be; the log says why.
    Failed,
}

impl Snapshots {
    /// Takes a snapshot of the state of now, and begins to write it to its file in the background.
    pub(crate) fn begin_save(&self, shared: &Arc<Shared>) -> Result<(), NotBegun> {
        let progress = self.claim(Job::Save).map_err(NotBegun::Busy)?;
        let (give, take) = mpsc::channel::<Moment>();
        let for_thread = shared.clone();
        let spawned = self.spawn(move || {
            let Ok(moment) = take.recv() else { return };
            let changes = moment.changes;
            let result = write_file(&for_thread, moment, &progress);
            for_thread
                .snapshots
                .save_ended(&for_thread, changes, result);
        });
        if let Err(error) = spawned {
            tracing::warn!("Can't save in background: {error}");
            self.release(|state, _| state.save_ok = false);
            self.judge_writes(shared);
            return Err(NotBegun::Failed);
        }
        let Some(moment) = Moment::take(shared) else {
            // The thread ends, for nobody will tell it.
            self.release(|_, _| ());
            return Err(NotBegun::Failed);
        };
        tracing::info!("Background saving started");
        // It waits for this.
        let _ = give.send(moment);
        Ok(())
    }

    /// Takes a snapshot and writes it; returns when it is durable. If the log is being rewritten, that comes first.
    pub(crate) fn save_now(&self, shared: &Shared) -> Result<(), NotBegun> {
        let progress = match self.claim(Job::Save) {
            Err(Busy(Job::Rewrite)) => self.claim_in_turn(Job::Save),
            claimed => claimed,
        };
        let progress = progress.map_err(NotBegun::Busy)?;
        self.save_claimed(shared, &progress)
    }

    /// As [`save_now`](Self::save_now), but waits for whatever is under way.
    pub(crate) fn save_in_turn(&self, shared: &Shared) -> Result<(), NotBegun> {
        let progress = self.claim_in_turn(Job::Save).map_err(NotBegun::Busy)?;
        self.save_claimed(shared, &progress)
    }

    /// As [`save_now`](Self::save_now), but ends whatever is under way.
    pub(crate) fn save_before_the_end(&self, shared: &Shared) -> Result<(), NotBegun> {
        self.state.lock().progress.cancel();
        let progress = self.claim_in_turn(Job::Save).map_err(NotBegun::Busy)?;
        self.save_claimed(shared, &progress)
    }

    /// The last snapshot, after [`stop`](Self::stop), when nothing changes any more; unless the one before it has everything.
    pub(crate) fn save_at_the_end(&self, shared: &Shared) -> Result<(), NotBegun> {
        let progress = {
            let mut state = self.state.lock();
            if state.saves > 0 && state.save_ok && state.changes(shared.changes()) == 0 {
                return Ok(());
            }
            state.stopping = false;
            let progress = self.claim_in(&mut state, Job::Save);
            state.stopping = true;
            progress.map_err(NotBegun::Busy)?
        };
        self.save_claimed(shared, &progress)
    }

    fn save_claimed(&self, shared: &Shared, progress: &Progress) -> Result<(), NotBegun> {
        let Some(moment) = Moment::take(shared) else {
            self.release(|_, _| ());
            return Err(NotBegun::Failed);
        };
        let (changes, now_ms) = (moment.changes, moment.now_ms);
        let result = write_file(shared, moment, progress);
        self.release(|state, _| match &result {
            Ok(_) => {
                state.note_saved(changes, now_ms);
                tracing::info!("DB saved on disk");
            }
            Err(error) => tracing::error!("Error saving DB on disk: {error}"),
        });
        self.judge_writes(shared);
        result.map(|_| ()).map_err(|_| NotBegun::Failed)
    }

    fn save_ended(&self, shared: &Shared, changes: u64, result: Result<u64, SaveError>) {
        self.release(|state, took| {
            match result {
                Ok(bytes) => {
                    state.note_saved(changes, clock::unix_millis());
                    tracing::info!(
                        "Background saving terminated with success: {bytes} bytes in {:.3} seconds",
                        took.as_secs_f64()
                    );
                }
                // As in Redis, that is no failure.
                Err(SaveError::Cancelled) => tracing::warn!("Background saving cancelled"),
                Err(error) => {
                    state.save_ok = false;
                    tracing::error!("Background saving error: {error}");
                }
            }
            state.save_time = Some(took);
        });
        self.judge_writes(shared);
    }
}

impl super::State {
    fn note_saved(&mut self, changes: u64, now_ms: i64) {
        self.save_ok = true;
        self.saves += 1;
        self.last_save_ms = now_ms;
        self.saved_changes = changes;
    }
}

impl Moment {
    /// `None`: another snapshot is being given up just now.
    pub(super) fn take(shared: &Shared) -> Option<Self> {
        let now_ms = clock::unix_millis();
        let mut access = shared.engine.keyspace.open(Footprint::ALL, now_ms);
        let cut = access.begin_snapshot()?;
        Some(Self {
            cut,
            functions: functions(shared),
            changes: shared.changes(),
            now_ms,
        })
    }
}

impl Moment {
    /// What a snapshot of it has.
    pub(super) fn content(self, shared: &Shared) -> Content<'_> {
        let (header, clocks) = header(shared, self.now_ms, false);
        Content {
            snapshot: self.cut.walk(&shared.engine.keyspace),
            functions: self.functions,
            header,
            clocks,
            rest: manners::rest,
        }
    }
}

/// The code of the libraries of functions. Under the locks of the cut.
pub(super) fn functions(shared: &Shared) -> Vec<Vec<u8>> {
    let libraries = shared.engine.functions.libraries();
    libraries
        .iter()
        .map(|library| library.code.to_vec())
        .collect()
}

/// What a file in RDB format says of itself and of the entries' clocks.
pub(super) fn header(shared: &Shared, now_ms: i64, aof_base: bool) -> (FileHeader, Clocks) {
    let config = &shared.config;
    let policy = config.maxmemory_policy();
    let clocks = if policy.ends_with("-lru") {
        Clocks::Idle(now_ms)
    } else if policy.ends_with("-lfu") {
        Clocks::Frequency(now_ms)
    } else {
        Clocks::None
    };
    let header = FileHeader {
        redis_version: crate::REDIS_VERSION.to_owned(),
        created_at: now_ms,
        used_memory: shared.engine.keyspace.used_bytes() as u64,
        aof_base,
        compress: config.rdb_compression(),
        checksum: config.rdb_checksum(),
        ..FileHeader::default()
    };
    (header, clocks)
}

fn write_file(shared: &Shared, moment: Moment, progress: &Progress) -> Result<u64, SaveError> {
    let place = SavePlace {
        dir: shared.snapshots.dir.clone(),
        name: shared.config.db_file_name(),
        temp_name: format!("temp-{}.rdb", std::process::id()),
        sync_every: shared.config.rdb_incremental_fsync().then_some(SYNC_EVERY),
    };
    save(&OsDisk, &place, moment.content(shared), progress)
}
