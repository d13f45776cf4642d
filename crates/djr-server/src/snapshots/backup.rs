//! A snapshot for whoever asks for one over a connection, as `redis-cli --rdb` does.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use djr_storage::disk::OsDisk;
use djr_storage::rdb::FileWriter;
use djr_storage::snapshot::{Progress, SavePlace, save};

use super::save::{Moment, functions, header};
use super::{Held, Job, Snapshots, manners};
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

/// Each takes a file as large as the data set, until its client has read all of it.
const BACKUPS_MAX: usize = 4;

/// How many backups are being made or sent.
#[derive(Default)]
pub(super) struct Backups(Arc<AtomicUsize>);

/// The place of one of them.
struct Place(Arc<AtomicUsize>);

impl Backups {
    fn take_place(&self) -> Option<Place> {
        let place = Place(self.0.clone());
        // It is counted down where there are too many, too.
        (self.0.fetch_add(1, Relaxed) < BACKUPS_MAX).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// A file without a name: it is gone when this is dropped.
pub(crate) struct BackupFile {
    pub(crate) file: File,
    /// Its size in bytes.
    pub(crate) len: u64,
    _place: Place,
}

impl Snapshots {
    /// Takes a snapshot when nothing else is under way any more, and hands its file to `done`, on a thread of its own.
    pub(crate) fn begin_backup(
        shared: &Arc<Shared>,
        of: BackupOf,
        done: impl FnOnce(io::Result<BackupFile>) + Send + 'static,
    ) -> io::Result<()> {
        let place = shared.snapshots.backups.take_place();
        let place = place.ok_or_else(|| io::Error::other("there are too many at once"))?;
        let shared = shared.clone();
        let thread = std::thread::Builder::new().name("djr-backup".into());
        let spawned = thread.spawn(move || {
            manners::step_back();
            let file = make(&shared, of);
            let backup = file.map(|(file, len)| BackupFile {
                file,
                len,
                _place: place,
            });
            if let Err(error) = &backup {
                tracing::error!("Backup for a client: {error}");
            }
            done(backup);
        });
        spawned.map(drop)
    }

    /// Whether any backup is being made or sent.
    pub(crate) fn has_backups(&self) -> bool {
        self.backups.0.load(Relaxed) > 0
    }
}

/// A file, which has no name any more, and its size.
fn make(shared: &Shared, of: BackupOf) -> io::Result<(File, u64)> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let snapshots = &shared.snapshots;
    let ends = |_| io::Error::other("the server ends");
    let progress = snapshots.claim_in_turn(Job::Save).map_err(ends)?;
    // The end of the server waits for this: until then the file is removed.
    let _held = Held(snapshots);
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
    let saved = save(&OsDisk, &place, moment.content(shared), progress);
    saved.map(drop).map_err(io::Error::other)
}

fn write_functions(shared: &Shared, path: &Path, of: BackupOf) -> io::Result<()> {
    let (header, _) = header(shared, clock::unix_millis(), false);
    let mut file = FileWriter::new(File::create(path)?, &header)?;
    if of == BackupOf::Functions {
        for code in functions(shared) {
            file.function(&code)?;
        }
    }
    file.finish().map(drop)
}
