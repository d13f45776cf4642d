//! What is due: save points, what was scheduled, a log that has grown.

use std::sync::Arc;
use std::time::Duration;

use super::{NotBegun, Snapshots, State};
use crate::clock;
use crate::shared::Shared;

/// A snapshot that failed is tried again after this, as in Redis.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// So many rewrites may fail one after the other before the next one has to wait.
const REWRITE_FAILURES_FREE: u32 = 3;
/// The longest wait, in minutes.
const REWRITE_WAIT_MAX: u32 = 60;

impl Snapshots {
    /// Begins what is due. Called some times a second by the control thread.
    pub(crate) fn tick(&self, shared: &Arc<Shared>) {
        let state = self.state();
        if state.running.is_some() || state.stopping {
            return;
        }
        if state.rewrite_scheduled && state.may_rewrite() {
            self.begin_due_rewrite(shared);
        } else if let Some((seconds, changes)) = self.due_point(shared, &state) {
            tracing::info!("{changes} changes in {seconds} seconds. Saving...");
            self.begin_due_save(shared);
        } else if state.may_rewrite() && self.log_has_grown(shared) {
            self.begin_due_rewrite(shared);
        } else if state.save_scheduled && state.may_save() {
            self.begin_due_save(shared);
        }
    }

    fn begin_due_save(&self, shared: &Arc<Shared>) {
        match self.begin_save(shared) {
            Ok(()) => self.state.lock().save_scheduled = false,
            Err(NotBegun::Busy(_) | NotBegun::Failed) => {}
        }
    }

    fn begin_due_rewrite(&self, shared: &Arc<Shared>) {
        // Whether it can be begun is known soon enough.
        let _ = self.begin_rewrite(shared);
    }

    /// The first save point that is reached.
    fn due_point(&self, shared: &Shared, state: &State) -> Option<(u64, u64)> {
        let points = shared.config.save_points();
        if points.is_empty() || !state.may_save() {
            return None;
        }
        let changes = state.changes(shared.changes());
        let age_ms = clock::unix_millis()
            .saturating_sub(state.last_save_ms)
            .max(0);
        points
            .into_iter()
            .find(|(seconds, wanted)| changes >= *wanted && (age_ms as u64) / 1000 > *seconds)
    }

    fn log_has_grown(&self, shared: &Shared) -> bool {
        let config = &shared.config;
        let (percentage, min_size) = (config.rewrite_percentage(), config.rewrite_min_size());
        shared.log().is_some_and(|log| {
            log.poisoned().is_none()
                && log.is_complete()
                && log.sizes().rewrite_due(percentage, min_size)
        })
    }
}

impl State {
    fn may_save(&self) -> bool {
        let since = |at| clock::monotonic().saturating_duration_since(at);
        self.save_ok || self.last_save_try.is_none_or(|at| since(at) > RETRY_AFTER)
    }

    /// After some failures the next one waits a minute, then two, four, …, as in Redis.
    fn may_rewrite(&self) -> bool {
        let Some(more) = self.rewrite_failures.checked_sub(REWRITE_FAILURES_FREE) else {
            return true;
        };
        let minutes = 1u32
            .checked_shl(more)
            .unwrap_or(REWRITE_WAIT_MAX)
            .min(REWRITE_WAIT_MAX);
        self.last_rewrite_try.is_none_or(|at| {
            clock::monotonic().saturating_duration_since(at) >= Duration::from_secs(60) * minutes
        })
    }
}
