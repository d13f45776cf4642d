//! A worker's way to the log.

use std::sync::Arc;

use djr_engine::EffectLog;
use djr_storage::aof::{Log, Offset};

use super::Core;

/// The worker's way to the log.
#[derive(Default)]
pub(crate) struct WorkerLog {
    pub(super) log: Option<Arc<Log>>,
    /// Which of the server's logs it is.
    pub(super) generation: u32,
    /// The end of what this worker has appended.
    pub(super) end: Offset,
    /// Something was appended in this turn.
    pub(super) dirty: bool,
    /// Changes of the data set so far, for `rdb_changes_since_last_save`.
    pub(super) changes: Arc<djr_engine::stats::Counter>,
}

impl EffectLog for WorkerLog {
    #[inline]
    fn append(&mut self, db: u32, parts: &[&[u8]]) {
        self.changes.add(1);
        if let Some(log) = &self.log {
            self.end = log.append_parts(db, parts);
            self.dirty = true;
        }
    }
}

impl Core {
    /// There is another log, or none any more.
    #[cold]
    pub(super) fn take_log(&mut self) {
        // In this order: it may be a later log than the number says, and is taken once more then.
        let generation = self.shared.persistence.generation();
        self.log.log = self.shared.log();
        self.log.generation = generation;
        let seen = &self.shared.workers[self.index].log_generation;
        seen.store(generation, std::sync::atomic::Ordering::Release);
    }

    #[cold]
    pub(super) fn log_failed(&mut self) {
        if self.log.log.as_ref().is_some_and(|log| log.is_closed()) {
            // It was switched off during this turn: no reply waits for it.
            self.log.log = None;
        } else {
            self.shared.persistence.failed(&self.shared);
        }
    }
}
