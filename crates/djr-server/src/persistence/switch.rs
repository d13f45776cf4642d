//! `CONFIG SET appendonly yes|no`, while the server runs.
//!
//! ```text
//! yes: a new log ─► all workers append to it ─► rewrite: the state at its cut is the base ─► the manifest names both
//! no:  all locks: the log ends here ─► no worker has it any more ─► it is closed
//! ```
//!
//! Until the rewrite has ended an earlier log in the directory stays as it is.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use djr_storage::aof::Log;
use djr_storage::disk::OsDisk;
use djr_storage::keyspace::Footprint;

use super::{Persistence, wake_workers};
use crate::clock;
use crate::shared::{Gate, Shared};

impl Persistence {
    /// Does what `appendonly` asks for. For the control thread. `false`: it could not, and should try again later.
    pub(crate) fn follow_config(&self, shared: &Arc<Shared>) -> bool {
        let wanted = shared.config.append_only();
        match self.log() {
            None if wanted => self.switch_on(shared),
            Some(log) if !wanted => {
                self.switch_off(shared, &log);
                true
            }
            Some(log) if !log.is_complete() => self.complete(shared, &log),
            _ => true,
        }
    }

    fn switch_on(&self, shared: &Arc<Shared>) -> bool {
        let config = self.config(shared);
        let end = self.last_end.load(Ordering::Relaxed);
        let opened = Log::open_new(Arc::new(OsDisk), config, end, wake_workers(shared));
        let installed = match opened {
            Ok(log) => self.install(shared, log).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = installed {
            tracing::error!("the append-only log can't be switched on: {error}");
            return false;
        }
        let log = self.log();
        log.is_some_and(|log| self.complete(shared, &log))
    }

    /// Makes a new log whole: by a rewrite, once every worker appends to it.
    fn complete(&self, shared: &Shared, log: &Log) -> bool {
        self.wait_for_workers(shared);
        if shared.shutdown.is_requested() {
            return true;
        }
        match shared.snapshots.rewrite_now(shared, log) {
            Ok(()) => {
                tracing::info!("the append-only log is switched on and whole");
                true
            }
            Err(error) => {
                tracing::error!(
                    "the append-only log is not whole, its base can't be written: {error}"
                );
                false
            }
        }
    }

    fn switch_off(&self, shared: &Arc<Shared>, log: &Log) {
        {
            // So it ends at one place for all keys.
            let _all = shared
                .engine
                .keyspace
                .open(Footprint::ALL, clock::unix_millis());
            if let Err(error) = log.seal() {
                tracing::warn!("the append-only log ends with an error: {error}");
            }
        }
        self.publish(None);
        self.wait_for_workers(shared);
        self.last_end.store(log.end(), Ordering::Relaxed);
        log.stop();
        if !self.join() {
            tracing::error!("the log's thread has ended by a panic");
        }
        if log.is_complete() {
            match log.close() {
                Ok(()) => tracing::info!("the append-only log is switched off"),
                Err(error) => tracing::error!("the append-only log could not be closed: {error}"),
            }
        } else {
            log.discard();
        }
        // What failed is not written to any more.
        shared.gate.clear(Gate::MISCONF);
    }

    /// Waits until every worker but this one has begun a turn that sees what was set before.
    pub(super) fn pass_a_turn(&self, shared: &Shared, own: usize) {
        // Once more: in the turn that sees the first number, the gate may have been looked at before.
        for _ in 0..2 {
            self.generation.fetch_add(1, Ordering::SeqCst);
            self.wait_for_workers_but(shared, Some(own));
        }
    }

    /// Waits until no worker appends to an earlier log.
    fn wait_for_workers(&self, shared: &Shared) {
        self.wait_for_workers_but(shared, None);
    }

    /// The same, but not for this one: it is that which waits.
    fn wait_for_workers_but(&self, shared: &Shared, own: Option<usize>) {
        let generation = self.generation();
        shared.wake_workers();
        let behind = || {
            shared.workers.iter().enumerate().any(|(index, worker)| {
                let seen = worker.log_generation.load(Ordering::Acquire);
                // It may wrap.
                own != Some(index) && generation.wrapping_sub(seen) as i32 > 0
            })
        };
        while behind() && !shared.shutdown.is_requested() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
