//! `DEBUG RELOAD`, `DEBUG LOADAOF`: the data set is loaded again while the server runs.
//!
//! Everybody else is answered `-LOADING` meanwhile, as at the start. What is loaded is looked through first, so a damaged file
//! changes nothing.

use std::sync::Arc;

use djr_engine::CommandError;
use djr_storage::aof::{Examined, RecoveryError, ReplayedCommand};
use djr_storage::disk::OsDisk;
use djr_storage::rdb::FileReader;

use super::replay::Replayer;
use crate::loading::contents;
use crate::shared::{Gate, Shared};

/// What `DEBUG RELOAD` was told.
#[derive(Clone, Copy)]
pub(crate) struct ReloadOptions {
    /// Keys of the file take the place of those that are there.
    pub(crate) merge: bool,
    /// The data set is emptied before.
    pub(crate) flush: bool,
    /// A snapshot is written before.
    pub(crate) save: bool,
}

/// As long as it lives, everybody else is answered `-LOADING`.
struct Alone<'a>(&'a Shared);

impl<'a> Alone<'a> {
    /// `worker`: the index of the worker that this runs on.
    fn begin(shared: &'a Shared, worker: usize) -> Result<Self, CommandError> {
        if !shared.gate.claim(Gate::LOADING) {
            return Err(CommandError::text(
                "LOADING Redis is loading the dataset in memory",
            ));
        }
        let alone = Self(shared);
        shared.persistence.pass_a_turn(shared, worker);
        shared.loading.begin();
        Ok(alone)
    }
}

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        self.0.gate.clear(Gate::LOADING);
        self.0.wake_workers();
    }
}

/// Writes a snapshot and loads it.
pub(crate) fn reload_snapshot(
    shared: &Arc<Shared>,
    worker: usize,
    options: ReloadOptions,
) -> Result<(), CommandError> {
    let _alone = Alone::begin(shared, worker)?;
    if options.save && shared.snapshots.save_in_turn(shared).is_err() {
        return Err(CommandError::text("ERR"));
    }
    let held = shared.snapshots.hold().ok_or_else(ends)?;
    let failed = |error: String| {
        tracing::error!("DEBUG RELOAD: {error}");
        CommandError::text("ERR Error trying to load the RDB dump")
    };
    let path = shared.persistence.snapshot_path(shared);
    let contents = contents(&path)
        .and_then(|contents| contents.ok_or_else(|| format!("there is no {}", path.display())))
        .map_err(failed)?;
    let told =
        |error: &dyn std::fmt::Display| format!("{} can't be loaded: {error}", path.display());
    look_through(&contents).map_err(|error| failed(told(&error)))?;
    let log = shared.log();
    let mut replayer = Replayer::new(shared);
    if options.flush {
        empty(&mut replayer).map_err(failed)?;
    }
    replayer.replace = options.merge;
    // Where there is a log, it has not heard that keys past their deadline are gone: so they may not be.
    replayer
        .rdb(&path, &contents, log.is_some())
        .map_err(|error| failed(told(&error)))?;
    drop(held);
    tracing::warn!("DB reloaded by DEBUG RELOAD");
    // What was loaded may be something else than what the log says.
    if let Some(log) = log.filter(|_| !options.save || !options.flush) {
        shared
            .snapshots
            .rewrite_now(shared, &log)
            .map_err(|error| {
                CommandError::format(format!(
                    "ERR the data set was loaded, but it is not in the append-only log: {error}"
                ))
            })?;
    }
    Ok(())
}

/// Loads what the log says.
pub(crate) fn reload_log(shared: &Arc<Shared>, worker: usize) -> Result<(), CommandError> {
    let _alone = Alone::begin(shared, worker)?;
    let _held = shared.snapshots.hold().ok_or_else(ends)?;
    let failed = |error: String| {
        tracing::error!("DEBUG LOADAOF: {error}");
        CommandError::text("ERR Error trying to load the AOF files, check server logs")
    };
    let Some(log) = shared.log().filter(|log| log.is_complete()) else {
        return Err(failed("there is no whole append-only log".to_owned()));
    };
    log.flush().map_err(|error| failed(error.to_string()))?;
    let config = shared.persistence.config(shared);
    let told = |error: RecoveryError| failed(error.to_string());
    let mut files = Examined::new(&OsDisk, &config).map_err(told)?;
    if !files.report().damaged.is_empty() {
        return Err(failed(files.report().to_string()));
    }
    let mut replayer = Replayer::new(shared);
    empty(&mut replayer).map_err(failed)?;
    files.replay(&mut replayer).map_err(told)?;
    tracing::warn!(
        "Append Only File loaded by DEBUG LOADAOF: {} commands",
        files.report().commands
    );
    Ok(())
}

fn ends() -> CommandError {
    CommandError::text("ERR the server ends")
}

/// Every item of the file, and its checksum.
fn look_through(bytes: &[u8]) -> Result<(), djr_storage::rdb::FileError> {
    let mut reader = FileReader::new(bytes)?;
    while reader.next_item()?.is_some() {}
    Ok(())
}

/// Nothing is left, and the log does not hear of it.
fn empty(replayer: &mut Replayer<'_>) -> Result<(), String> {
    for args in [&[&b"FLUSHALL"[..], b"SYNC"], &[b"FUNCTION", b"FLUSH"]] {
        replayer.run(&ReplayedCommand {
            db: 0,
            args,
            encoded: None,
        })?;
    }
    Ok(())
}
