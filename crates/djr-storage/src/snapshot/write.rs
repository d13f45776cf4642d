//! From the keyspace to RDB format.

use std::io;
use std::sync::atomic::Ordering::Relaxed;

use super::{Progress, SaveError};
use crate::keyspace::{Portion, Snapshot, SnapshotDb, SnapshotEntry, SnapshotItem, UnixMillis};
use crate::rdb::{EntryFacts, FileHeader, FileWriter, VERSION, VERSION_OF_FIELD_EXPIRY};

/// What goes into a file.
pub struct Content<'a> {
    /// The entries.
    pub snapshot: Snapshot<'a>,
    /// The code of the libraries of functions at the cut.
    pub functions: Vec<Vec<u8>>,
    /// What the file says about itself. The version is chosen here.
    pub header: FileHeader,
    /// What is written of the entries' access clocks.
    pub clocks: Clocks,
    /// Called now and then, when no shard is locked: to let others have the processor.
    pub rest: fn(),
}

/// What is written of the entries' access clocks: whatever the eviction policy keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Clocks {
    /// Nothing.
    #[default]
    None,
    /// How long ago the last access was, at this time.
    Idle(UnixMillis),
    /// The access counters, at this time.
    Frequency(UnixMillis),
}

/// Writes a snapshot into a sink, in RDB format, and gives the sink back. `failed` makes an error of one of the sink's.
pub fn write<W: io::Write>(
    sink: W,
    content: Content<'_>,
    progress: &Progress,
    failed: impl FnOnce(io::Error) -> SaveError,
) -> Result<W, SaveError> {
    let mut failed = Some(failed);
    let mut failed = |error| match failed.take() {
        Some(failed) => failed(error),
        None => SaveError::Cancelled,
    };
    let Content {
        mut snapshot,
        functions,
        mut header,
        clocks,
        rest,
    } = content;
    progress.begin(&snapshot);
    header.version = if snapshot.has_part_deadlines() {
        VERSION_OF_FIELD_EXPIRY
    } else {
        VERSION
    };
    let mut file = FileWriter::new(sink, &header).map_err(&mut failed)?;
    for code in &functions {
        file.function(code).map_err(&mut failed)?;
    }
    let mut selected = Selected::default();
    let mut portion = Portion::new();
    // The type of the last entry.
    let mut kind = 0;
    loop {
        if progress.is_cancelled() {
            return Err(SaveError::Cancelled);
        }
        let more = snapshot.step(&mut portion);
        for item in portion.items() {
            match item {
                SnapshotItem::Entry(entry) => {
                    selected
                        .select(&mut file, &entry, snapshot.dbs())
                        .map_err(&mut failed)?;
                    let facts = facts(&snapshot, &entry, clocks);
                    if let Some((type_byte, body)) = entry.value.split_first() {
                        kind = *type_byte;
                        file.plain_entry(entry.key, kind, body, &facts)
                            .map_err(&mut failed)?;
                    }
                }
                SnapshotItem::More(more) if more.are_elements => {
                    file.plain_elements(kind, more.bytes).map_err(&mut failed)?
                }
                SnapshotItem::More(more) => file.raw_elements(more.bytes).map_err(&mut failed)?,
            }
        }
        progress.add(&portion);
        progress.bytes.store(file.written(), Relaxed);
        portion.clear();
        rest();
        if !more {
            break;
        }
    }
    drop(snapshot);
    file.finish().map_err(&mut failed)
}

/// The db that entries are written for.
#[derive(Default)]
struct Selected {
    now: Option<u32>,
    /// Those whose size was told.
    told: Vec<u32>,
}

impl Selected {
    fn select<W: io::Write>(
        &mut self,
        file: &mut FileWriter<W>,
        entry: &SnapshotEntry<'_>,
        dbs: &[SnapshotDb],
    ) -> io::Result<()> {
        if self.now == Some(entry.db) {
            return Ok(());
        }
        self.now = Some(entry.db);
        let figures = dbs.iter().find(|db| db.db == entry.db);
        // Old values that were put aside come between those of other dbs: room is made once.
        let figures = figures.filter(|db| !self.told.contains(&db.db));
        self.told.extend(figures.map(|db| db.db));
        let (keys, expires) = figures.map_or((0, 0), |db| (db.keys, db.expires));
        file.select_db(entry.db, keys as u64, expires as u64)
    }
}

fn facts(snapshot: &Snapshot<'_>, entry: &SnapshotEntry<'_>, clocks: Clocks) -> EntryFacts {
    let mut facts = EntryFacts::expiring(entry.expire_at);
    match clocks {
        Clocks::None => {}
        Clocks::Idle(now) => facts.idle_seconds = Some(snapshot.idle_seconds(entry, now).into()),
        Clocks::Frequency(now) => facts.frequency = Some(snapshot.frequency(entry, now)),
    }
    facts
}
