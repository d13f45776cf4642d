//! A snapshot for whoever asks for one over a connection, as `redis-cli --rdb` does.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use djr_storage::disk::OsDisk;
use djr_storage::rdb::FileWriter;
use djr_storage::snapshot::{Content, Progress, SavePlace, save};

use super::save::{Moment, header};
use super::{Job, Snapshots, manners};
use crate::clock;
use crate::shared::Shared;

/// What a backup has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum BackupOf {
    /// Keys and functions.
    #[default]
    All,
    Functions,
    Nothing,
}

/// A file without a name, and its size.
pub(crate) type BackupFile = io::Result<(File, u64)>;

impl Snapshots {
    /// Takes a snapshot when nothing else is under way any more, and hands its file to `done`, on a thread of its own.
    pub(crate) fn begin_backup(
        shared: &Arc<Shared>,
        of: BackupOf,
        done: impl FnOnce(BackupFile) + Send + 'static,
    ) -> io::Result<()> {
        let shared = shared.clone();
        let thread = std::thread::Builder::new().name("djr-backup".into());
        let spawned = thread.spawn(move || {
            manners::step_back();
            let backup = make(&shared, of);
            if let Err(error) = &backup {
                tracing::error!("Backup for a client: {error}");
            }
            done(backup);
        });
        spawned.map(drop)
    }
}

fn make(shared: &Shared, of: BackupOf) -> BackupFile {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let snapshots = &shared.snapshots;
    let ends = |_| io::Error::other("the server ends");
    let progress = snapshots.claim_in_turn(Job::Save).map_err(ends)?;
    let number = NUMBER.fetch_add(1, Relaxed);
    let place = SavePlace {
        dir: snapshots.dir.clone(),
        name: format!("temp-backup-{}-{number}.rdb", std::process::id()),
        temp_name: format!("temp-backup-{}-{number}.tmp", std::process::id()),
        sync_every: None,
    };
    let path = place.dir.join(&place.name);
    let result = match of {
        BackupOf::All => write_all(shared, place, &progress),
        BackupOf::Functions | BackupOf::Nothing => write_functions(shared, &path, of),
    };
    snapshots.release(|_, _| ());
    let file = result.and_then(|()| File::open(&path));
    // Nobody needs its name: it is gone with the last one who has it open.
    let removed = std::fs::remove_file(&path);
    let file = file?;
    removed?;
    let len = file.metadata()?.len();
    Ok((file, len))
}

fn write_all(shared: &Shared, place: SavePlace, progress: &Progress) -> io::Result<()> {
    let moment = Moment::take(shared);
    let moment = moment.ok_or_else(|| io::Error::other("another snapshot is being given up"))?;
    let (header, clocks) = header(shared, moment.now_ms, false);
    let content = Content {
        snapshot: moment.cut.walk(&shared.engine.keyspace),
        functions: moment.functions,
        header,
        clocks,
        rest: manners::rest,
    };
    let saved = save(&OsDisk, &place, content, progress);
    saved.map(drop).map_err(io::Error::other)
}

fn write_functions(shared: &Shared, path: &Path, of: BackupOf) -> io::Result<()> {
    let (header, _) = header(shared, clock::unix_millis(), false);
    let mut file = FileWriter::new(File::create(path)?, &header)?;
    if of == BackupOf::Functions {
        for code in super::save::functions(shared) {
            file.function(&code)?;
        }
    }
    file.finish().map(drop)
}
