//! A keyspace from a file, by as many threads as there are.
//!
//! One thread at a time reads on in the file and sorts what it finds by shard; all others, and that one too when enough has been found, build
//! the values and put them into the keyspace, a batch per shard at a time. Nobody waits for anybody as long as there is something to do.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::{Entry, FileError, FileReader, Item};
use crate::keyspace::{Footprint, KeyHash, Keyspace, LoadedFacts, UnixMillis};
use crate::rdb::{RdbError, Reader, ValueLimits, kind};
use crate::types::Object;
use crate::value::Value;

/// Entries of a batch, and bytes of values that make one sooner.
const BATCH_ENTRIES: usize = 128;
const BATCH_BYTES: usize = 1 << 20;
/// So many items are read before somebody else may read on.
const READ_ITEMS: usize = 4096;
/// So far ahead of its insertion an entry's bucket is loaded into the cache.
const PREFETCH_AHEAD: usize = 8;
/// With a delay, one is taken for so many items at once.
const DELAYED_ITEMS: u64 = 16;

/// How a file is loaded.
#[derive(Clone, Copy, Debug, Default)]
pub struct LoadOptions {
    /// What time it is.
    pub now: UnixMillis,
    /// Up to which size values are kept in their compact forms.
    pub limits: ValueLimits,
    /// Keys past their deadline are loaded as well: what comes behind the file (the commands of a log) may refer to them.
    pub keep_expired: bool,
    /// The checksum at the end is verified (`rdbchecksum`).
    pub checksum: bool,
    /// A key that is there already, in the file or in the keyspace, is set anew, and is no error.
    pub replace: bool,
}

/// How far a load is, for whoever asks meanwhile.
#[derive(Debug, Default)]
pub struct LoadProgress {
    /// Bytes of the file.
    pub total: AtomicU64,
    /// Of them read.
    pub loaded: AtomicU64,
    /// Keys in the keyspace.
    pub keys: AtomicU64,
    /// Keys left out because their deadline has passed.
    pub expired: AtomicU64,
    /// Keys left out because nothing is in them. Damaged files of old servers have such.
    pub empty: AtomicU64,
    /// So many microseconds the load waits for each key: for tests that want to see it at work.
    pub delay_us: AtomicU64,
    /// How it waits.
    pub wait: Option<fn(Duration)>,
}

/// What was loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Fields about the file, in its order: `redis-ver`, `ctime`, …
    pub aux: Vec<(Vec<u8>, Vec<u8>)>,
    /// The version of the format.
    pub version: u16,
    /// Where the file ends, in bytes. There may be more behind it.
    pub end: u64,
    /// The texts of libraries of functions. To load them is the caller's.
    pub functions: Vec<Vec<u8>>,
    /// Keys.
    pub keys: u64,
    /// Keys left out because their deadline has passed.
    pub expired: u64,
    /// Keys left out because nothing is in them.
    pub empty: u64,
}

impl LoadReport {
    /// What the file says about itself under this name.
    pub fn aux(&self, name: &str) -> Option<&[u8]> {
        let mut fields = self.aux.iter();
        fields
            .find(|(known, _)| known == name.as_bytes())
            .map(|(_, value)| &**value)
    }
}

/// Why a file can't be loaded. The keyspace then holds a part of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// It is damaged, or holds what is not known here.
    #[error(transparent)]
    File(#[from] FileError),
    /// It could not be loaded for another reason, a sentence for people.
    #[error("{0}")]
    Refused(String),
}

impl LoadError {
    /// Where in the file, in bytes, if it has to do with a place.
    pub fn offset(&self) -> Option<u64> {
        match self {
            Self::File(error) => Some(error.offset),
            Self::Refused(_) => None,
        }
    }
}

/// A load under way.
///
/// This crate starts no threads: each thread that is to help calls [`work`](Self::work), which returns when there is nothing left to do.
///
/// ```
/// use djr_storage::keyspace::{Keyspace, KeyspaceOptions};
/// use djr_storage::rdb::{FileHeader, FileWriter, LoadOptions, LoadProgress, Loading};
///
/// let file = FileWriter::new(Vec::new(), &FileHeader::default())?.finish()?;
/// let keyspace = Keyspace::new(KeyspaceOptions::default());
/// let progress = LoadProgress::default();
/// let loading = Loading::new(&file, &keyspace, LoadOptions::default(), &progress)?;
/// std::thread::scope(|scope| {
///     scope.spawn(|| loading.work());
///     loading.work();
/// });
/// assert_eq!(loading.finish()?.keys, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Loading<'a> {
    keyspace: &'a Keyspace,
    options: LoadOptions,
    progress: &'a LoadProgress,
    parser: Mutex<Parser<'a>>,
    queue: Mutex<Queue<'a>>,
    /// Told of each batch, and of the end.
    news: Condvar,
}

struct Parser<'a> {
    reader: FileReader<'a>,
    size: u64,
    /// What was found so far, by shard.
    found: Vec<Batch<'a>>,
    aux: Vec<(Vec<u8>, Vec<u8>)>,
    functions: Vec<Vec<u8>>,
}

#[derive(Default)]
struct Queue<'a> {
    batches: VecDeque<Batch<'a>>,
    /// Everything has been read, or nothing more is to be.
    closed: bool,
    error: Option<LoadError>,
}

/// Entries of one shard.
#[derive(Default)]
struct Batch<'a> {
    shard: u32,
    bytes: usize,
    entries: Vec<(KeyHash, Entry<'a>)>,
}

impl<'a> Batch<'a> {
    fn of(shard: u32) -> Self {
        Self {
            shard,
            bytes: 0,
            entries: Vec::with_capacity(BATCH_ENTRIES),
        }
    }
}

/// A value on its way into the keyspace.
enum Built<'a> {
    String(Cow<'a, [u8]>),
    Value(Value),
    /// Is left out.
    Nothing,
}

impl<'a> Loading<'a> {
    /// Begins to load the file at the head of `bytes` into the keyspace.
    pub fn new(
        bytes: &'a [u8],
        keyspace: &'a Keyspace,
        options: LoadOptions,
        progress: &'a LoadProgress,
    ) -> Result<Self, LoadError> {
        let mut reader = FileReader::new(bytes)?;
        if !options.checksum {
            reader = reader.without_checksum();
        }
        progress.total.store(bytes.len() as u64, Relaxed);
        Ok(Self {
            keyspace,
            options,
            progress,
            parser: Mutex::new(Parser {
                reader,
                size: bytes.len() as u64,
                found: (0..keyspace.shards()).map(Batch::of).collect(),
                aux: Vec::new(),
                functions: Vec::new(),
            }),
            queue: Mutex::default(),
            news: Condvar::new(),
        })
    }

    /// Helps until everything is loaded, or until something can't be. To be called by as many threads as are wanted, one at least.
    pub fn work(&self) {
        loop {
            let mut queue = self.queue.lock();
            if queue.error.is_some() {
                return;
            }
            if let Some(batch) = queue.batches.pop_front() {
                drop(queue);
                self.apply(batch).unwrap_or_else(|error| self.fail(error));
                continue;
            }
            if queue.closed {
                return;
            }
            let Some(mut parser) = self.parser.try_lock() else {
                // Somebody is reading, and will find something.
                self.news.wait(&mut queue);
                continue;
            };
            drop(queue);
            let result = self.read_on(&mut parser);
            drop(parser);
            result.unwrap_or_else(|error| self.fail(error));
            // Whoever waits may now read on, while this one builds what it has found.
            self.news.notify_one();
        }
    }

    /// What was loaded, once every [`work`](Self::work) has returned.
    pub fn finish(self) -> Result<LoadReport, LoadError> {
        if let Some(error) = self.queue.into_inner().error {
            return Err(error);
        }
        let parser = self.parser.into_inner();
        Ok(LoadReport {
            version: parser.reader.version(),
            end: parser.reader.position(),
            aux: parser.aux,
            functions: parser.functions,
            keys: self.progress.keys.load(Relaxed),
            expired: self.progress.expired.load(Relaxed),
            empty: self.progress.empty.load(Relaxed),
        })
    }

    fn fail(&self, error: LoadError) {
        self.queue.lock().error.get_or_insert(error);
        self.news.notify_all();
    }

    fn hand_over(&self, batch: Batch<'a>) {
        if batch.entries.is_empty() {
            return;
        }
        self.queue.lock().batches.push_back(batch);
        self.news.notify_one();
    }

    fn read_on(&self, parser: &mut Parser<'a>) -> Result<(), LoadError> {
        for nth in 0..READ_ITEMS as u64 {
            let offset = parser.reader.position();
            if nth.is_multiple_of(DELAYED_ITEMS) {
                self.delay(offset);
            }
            match parser.reader.next_item()? {
                None => {
                    self.progress
                        .loaded
                        .store(parser.reader.position(), Relaxed);
                    for batch in std::mem::take(&mut parser.found) {
                        self.hand_over(batch);
                    }
                    self.queue.lock().closed = true;
                    self.news.notify_all();
                    return Ok(());
                }
                Some(item) => self.take(parser, item, offset)?,
            }
        }
        self.progress
            .loaded
            .store(parser.reader.position(), Relaxed);
        Ok(())
    }

    /// See [`LoadProgress::delay_us`].
    #[inline]
    fn delay(&self, offset: u64) {
        let delay = self.progress.delay_us.load(Relaxed);
        if delay > 0
            && let Some(wait) = self.progress.wait
        {
            self.progress.loaded.store(offset, Relaxed);
            wait(Duration::from_micros(delay.saturating_mul(DELAYED_ITEMS)));
        }
    }

    #[inline]
    fn take(&self, parser: &mut Parser<'a>, item: Item<'a>, offset: u64) -> Result<(), LoadError> {
        let fail = |why| {
            Err(LoadError::File(FileError {
                offset,
                key: None,
                why,
            }))
        };
        match item {
            Item::Entry(entry) => {
                let hash = self.keyspace.key(&entry.key).hash;
                let shard = self.keyspace.shard_of(hash);
                let Some(batch) = parser.found.get_mut(shard as usize) else {
                    return Ok(());
                };
                batch.bytes += entry.body.len();
                batch.entries.push((hash, entry));
                if batch.entries.len() >= BATCH_ENTRIES || batch.bytes >= BATCH_BYTES {
                    let full = std::mem::replace(batch, Batch::of(shard));
                    self.hand_over(full);
                }
            }
            Item::Select(db) if db >= self.keyspace.dbs() => return fail(RdbError::Db(db)),
            Item::Select(_) | Item::SlotInfo { .. } | Item::SlotImport { .. } => {}
            Item::Resize { keys, .. } => {
                // An entry takes three bytes at least, so that a wrong number reserves no more than the file could fill.
                let room = (parser.size - offset) / 3;
                let keys = usize::try_from(keys.min(room)).unwrap_or(0);
                let db = parser.reader.db();
                if db < self.keyspace.dbs() {
                    self.keyspace.reserve(db, keys);
                }
            }
            Item::Aux { name, value } => parser.aux.push((name.into_owned(), value.into_owned())),
            Item::Function(code) => parser.functions.push(code.into_owned()),
            Item::Module(name) => return fail(RdbError::Module(name)),
        }
        Ok(())
    }

    fn apply(&self, batch: Batch<'a>) -> Result<(), LoadError> {
        let Batch { shard, entries, .. } = batch;
        // Built before the shard is locked: what takes long holds nobody up.
        let mut built = Vec::with_capacity(entries.len());
        for (_, entry) in &entries {
            built.push(self.build(entry)?);
        }
        let turn = self.keyspace.pin();
        let prefetch = |entry: Option<&(KeyHash, Entry<'_>)>| {
            if let Some((hash, entry)) = entry {
                self.keyspace.prefetch(&turn, entry.db, *hash);
            }
        };
        (0..PREFETCH_AHEAD).for_each(|nth| prefetch(entries.get(nth)));
        let mut access = self.keyspace.open(Footprint::of(shard), self.options.now);
        let mut keys = 0;
        for (nth, ((_, entry), value)) in entries.iter().zip(built).enumerate() {
            prefetch(entries.get(nth + PREFETCH_AHEAD));
            let key = self.keyspace.key(&entry.key);
            let facts = LoadedFacts {
                expire_at: entry.expire_at,
                idle_seconds: entry.idle_seconds,
                frequency: entry.frequency,
            };
            let mut db = access.db_mut(entry.db);
            if self.options.replace && !matches!(value, Built::Nothing) {
                db.remove(key);
            }
            let is_new = match value {
                Built::String(bytes) => db.load_string(key, &bytes, &facts),
                Built::Value(value) => db.load_value(key, value, &facts),
                Built::Nothing => continue,
            };
            if !is_new {
                return Err(entry.error(RdbError::DuplicateKey).into());
            }
            keys += 1;
        }
        self.progress.keys.fetch_add(keys, Relaxed);
        Ok(())
    }

    #[inline]
    fn build(&self, entry: &Entry<'a>) -> Result<Built<'a>, LoadError> {
        let now = self.options.now;
        let expired = !self.options.keep_expired && entry.expire_at.is_some_and(|at| at < now);
        if entry.kind == kind::STRING {
            if expired {
                self.progress.expired.fetch_add(1, Relaxed);
                return Ok(Built::Nothing);
            }
            let string = Reader::new(entry.body).string();
            return Ok(Built::String(string.map_err(|why| entry.error(why))?));
        }
        // One that has expired is built all the same: damage must not be overlooked.
        let mut value = match entry.value(&self.options.limits) {
            Ok(value) => value,
            Err(FileError {
                why: RdbError::Empty,
                ..
            }) => {
                self.progress.empty.fetch_add(1, Relaxed);
                return Ok(Built::Nothing);
            }
            Err(error) => return Err(error.into()),
        };
        if let Value::Hash(hash) = &mut value
            && !self.options.keep_expired
        {
            hash.expire_parts(now, usize::MAX, &mut |_| {});
        }
        if expired || value.is_vacant() {
            self.progress.expired.fetch_add(1, Relaxed);
            return Ok(Built::Nothing);
        }
        Ok(Built::Value(value))
    }
}
