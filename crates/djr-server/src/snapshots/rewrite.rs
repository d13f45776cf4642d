//! A new base of the log.

use std::sync::Arc;

use djr_storage::aof::{Log, LogError, RewriteWriter};
use djr_storage::keyspace::Footprint;
use djr_storage::snapshot::{Content, Progress, SYNC_EVERY, SaveError, write, write_commands};

use super::save::{functions, header};
use super::{Busy, Job, NotBegun, Snapshots, manners};
use crate::clock;
use crate::shared::Shared;

impl Snapshots {
    /// Begins to rewrite the log in the background.
    pub(crate) fn begin_rewrite(&self, shared: &Arc<Shared>) -> Result<(), NotBegun> {
        let Some(log) = shared.log() else {
            tracing::warn!("there is no append-only log to rewrite: see 'appendonly'");
            self.state.lock().rewrite_scheduled = false;
            return Err(NotBegun::Failed);
        };
        let progress = self.claim(Job::Rewrite).map_err(NotBegun::Busy)?;
        let for_thread = shared.clone();
        let spawned = self.spawn(move || {
            // What came of it is in the log and in INFO.
            let _ = for_thread.snapshots.rewrite(&for_thread, &log, &progress);
        });
        if let Err(error) = spawned {
            tracing::warn!("Can't rewrite append only file in background: {error}");
            self.release(|state, _| state.note_rewrite_failed());
            return Err(NotBegun::Failed);
        }
        tracing::info!("Background append only file rewriting started");
        Ok(())
    }

    /// Rewrites the log, after what is under way; returns when it is done.
    pub(crate) fn rewrite_now(&self, shared: &Shared, log: &Log) -> Result<(), String> {
        let busy = |Busy(_)| "the server ends".to_owned();
        let progress = self.claim_in_turn(Job::Rewrite).map_err(busy)?;
        self.rewrite(shared, log, &progress)
            .map_err(|error| error.to_string())
    }

    fn rewrite(&self, shared: &Shared, log: &Log, progress: &Progress) -> Result<(), SaveError> {
        let before = log.sizes().current;
        let result = write_base(shared, log, progress);
        self.release(|state, took| {
            match &result {
                Ok(()) => {
                    state.rewrite_ok = true;
                    state.rewrites += 1;
                    state.rewrite_failures = 0;
                    tracing::info!(
                        "append-only log compacted from {before} to {} bytes in {:.3} seconds",
                        log.sizes().current,
                        took.as_secs_f64()
                    );
                }
                Err(SaveError::Cancelled) => {
                    tracing::warn!("Background append only file rewriting cancelled");
                }
                Err(error) => {
                    state.note_rewrite_failed();
                    tracing::error!("Background append only file rewriting error: {error}");
                }
            }
            state.rewrite_time = Some(took);
        });
        result
    }
}

impl super::State {
    fn note_rewrite_failed(&mut self) {
        self.rewrite_ok = false;
        self.rewrite_failures = self.rewrite_failures.saturating_add(1);
    }
}

fn write_base(shared: &Shared, log: &Log, progress: &Progress) -> Result<(), SaveError> {
    let failed = |error: LogError| SaveError::Log(error.to_string());
    let prepared = log.prepare_rewrite().map_err(failed)?;
    let now_ms = clock::unix_millis();
    let (mut writer, cut, functions) = {
        let mut access = shared.engine.keyspace.open(Footprint::ALL, now_ms);
        let Some(cut) = access.begin_snapshot() else {
            return Err(SaveError::Cancelled);
        };
        match prepared.cut() {
            Ok(writer) => (writer, cut, functions(shared)),
            Err(error) => {
                drop(access);
                drop(cut.walk(&shared.engine.keyspace));
                return Err(failed(error));
            }
        }
    };
    let (header, clocks) = header(shared, now_ms, true);
    let content = Content {
        snapshot: cut.walk(&shared.engine.keyspace),
        functions,
        header,
        clocks,
        rest: manners::rest,
    };
    let config = &shared.config;
    let sync_every = config.aof_incremental_fsync().then_some(SYNC_EVERY);
    if config.aof_rdb_preamble() {
        let sink = writer.rdb(sync_every);
        write(sink, content, progress, |error| {
            SaveError::Log(error.to_string())
        })?;
    } else {
        write_as_commands(&mut writer, content, progress)?;
    }
    if progress.is_cancelled() {
        return Err(SaveError::Cancelled);
    }
    writer.finish().map_err(failed)
}

fn write_as_commands(
    writer: &mut RewriteWriter<'_>,
    content: Content<'_>,
    progress: &Progress,
) -> Result<(), SaveError> {
    write_commands(content, progress, &mut |db, words| {
        writer
            .write_command(db, words)
            .map_err(|error| SaveError::Log(error.to_string()))
    })
}
