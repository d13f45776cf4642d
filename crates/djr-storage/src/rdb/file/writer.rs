//! Files, written piece by piece.

use std::io;

use super::opcode;
use crate::keyspace::UnixMillis;
use crate::rdb::checksum::Checksum;
use crate::rdb::compress::{compress_elements, compress_value};
use crate::rdb::save::write_entry;
use crate::rdb::writer::{Output, push_number, push_string};
use crate::rdb::{VERSION, VERSION_OF_VALKEY};
use crate::value::ValueRef;

/// So much is gathered before it goes to the sink.
const CHUNK: usize = 64 << 10;

/// What a file says about itself, and how it is written.
#[derive(Clone, Debug)]
pub struct FileHeader {
    /// The format's version. [`VERSION`] unless there are hashes whose fields expire: then
    /// [`VERSION_OF_FIELD_EXPIRY`](crate::rdb::VERSION_OF_FIELD_EXPIRY).
    pub version: u16,
    /// `redis-ver`: the version of Redis that the writer claims to be.
    pub redis_version: String,
    /// `ctime`: when the state was taken.
    pub created_at: UnixMillis,
    /// `used-mem`, in bytes.
    pub used_memory: u64,
    /// `aof-base`: the file is the base of an append-only log.
    pub aof_base: bool,
    /// `repl-stream-db`, `repl-id`, `repl-offset`, if the file is to say where in the stream of replicated commands it stands.
    pub replication: Option<ReplicationPosition>,
    /// `rdbcompression`.
    pub compress: bool,
    /// `rdbchecksum`. Without it the checksum is 0, which loaders take for "none".
    pub checksum: bool,
}

impl Default for FileHeader {
    fn default() -> Self {
        Self {
            version: VERSION,
            redis_version: "7.2.4".to_owned(),
            created_at: 0,
            used_memory: 0,
            aof_base: false,
            replication: None,
            compress: true,
            checksum: true,
        }
    }
}

/// A place in the stream of replicated commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicationPosition {
    /// The db that the stream has selected there.
    pub db: u32,
    /// The stream: 40 hexadecimal digits.
    pub id: String,
    /// The place, in bytes.
    pub offset: u64,
}

/// What is written with an entry beside its key and value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EntryFacts {
    /// The deadline, if there is one.
    pub expire_at: Option<UnixMillis>,
    /// Seconds since the last access. Redis writes it where its eviction policy is one of LRU.
    pub idle_seconds: Option<u64>,
    /// The access counter. Redis writes it where its eviction policy is one of LFU.
    pub frequency: Option<u8>,
}

impl EntryFacts {
    /// A deadline or none, and nothing else.
    pub fn expiring(expire_at: Option<UnixMillis>) -> Self {
        Self {
            expire_at,
            ..Self::default()
        }
    }
}

/// Writes a file into a sink, in order: [`functions`](Self::function), then per db [`select_db`](Self::select_db) and its entries, then
/// [`finish`](Self::finish). Needs little memory whatever the size of the values, and calculates the checksum as it goes.
///
/// ```
/// use djr_storage::rdb::{EntryFacts, FileHeader, FileReader, FileWriter, Item, ValueLimits};
/// use djr_storage::value::{StringRef, StringValue, Value, ValueRef};
///
/// let mut file = FileWriter::new(Vec::new(), &FileHeader::default())?;
/// file.select_db(0, 1, 0)?;
/// let value = ValueRef::String(StringRef::Bytes(b"hello"));
/// file.entry(b"greeting", value, &EntryFacts::default(), 0)?;
/// let bytes = file.finish()?;
///
/// let mut reader = FileReader::new(&bytes)?;
/// let entry = loop {
///     match reader.next_item()? {
///         Some(Item::Entry(entry)) => break entry,
///         Some(_) => {}
///         None => panic!("there is an entry"),
///     }
/// };
/// assert_eq!(&*entry.key, b"greeting");
/// let value = entry.value(&ValueLimits::default())?;
/// assert!(matches!(value, Value::String(StringValue::Bytes { bytes, .. }) if bytes == b"hello"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct FileWriter<W: io::Write> {
    sink: Sink<W>,
}

#[derive(Debug)]
struct Sink<W> {
    inner: W,
    pending: Vec<u8>,
    written: u64,
    checksum: Option<Checksum>,
    compress: bool,
    version: u16,
    /// The first error: afterwards nothing is written.
    failed: Option<io::Error>,
}

impl<W: io::Write> Sink<W> {
    #[cold]
    fn pass_on(&mut self) {
        let bytes = std::mem::take(&mut self.pending);
        self.pass(&bytes);
        self.pending = bytes;
        self.pending.clear();
    }

    fn pass(&mut self, bytes: &[u8]) {
        if self.failed.is_some() {
            return;
        }
        if let Some(checksum) = &mut self.checksum {
            checksum.update(bytes);
        }
        self.written += bytes.len() as u64;
        self.failed = self.inner.write_all(bytes).err();
    }

    fn result(&mut self) -> io::Result<()> {
        match &self.failed {
            None => Ok(()),
            // Kept, so that whatever is done afterwards fails, too.
            Some(error) => Err(match error.raw_os_error() {
                Some(code) => io::Error::from_raw_os_error(code),
                None => io::Error::new(error.kind(), error.to_string()),
            }),
        }
    }
}

impl<W: io::Write> Output for Sink<W> {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        if self.pending.len() + bytes.len() > CHUNK {
            self.pass_on();
            if bytes.len() >= CHUNK {
                self.pass(bytes);
                return;
            }
        }
        self.pending.extend_from_slice(bytes);
    }

    #[inline]
    fn compresses(&self) -> bool {
        self.compress
    }
}

impl<W: io::Write> FileWriter<W> {
    /// Begins a file. An error is the sink's; so with all methods.
    pub fn new(sink: W, header: &FileHeader) -> io::Result<Self> {
        let mut file = Self {
            sink: Sink {
                inner: sink,
                pending: Vec::with_capacity(CHUNK),
                written: 0,
                checksum: header.checksum.then(Checksum::new),
                compress: header.compress,
                version: header.version,
                failed: None,
            },
        };
        let magic = if header.version >= VERSION_OF_VALKEY {
            format!("VALKEY{:03}", header.version)
        } else {
            format!("REDIS{:04}", header.version)
        };
        file.sink.put(magic.as_bytes());
        file.aux(b"redis-ver", header.redis_version.as_bytes())?;
        file.aux(b"redis-bits", usize::BITS.to_string().as_bytes())?;
        let seconds = header.created_at.div_euclid(1000);
        file.aux(b"ctime", seconds.to_string().as_bytes())?;
        file.aux(b"used-mem", header.used_memory.to_string().as_bytes())?;
        if let Some(position) = &header.replication {
            file.aux(b"repl-stream-db", position.db.to_string().as_bytes())?;
            file.aux(b"repl-id", position.id.as_bytes())?;
            file.aux(b"repl-offset", position.offset.to_string().as_bytes())?;
        }
        file.aux(b"aof-base", if header.aof_base { b"1" } else { b"0" })?;
        Ok(file)
    }

    /// A field about the file, beside those of the header. Loaders ignore names that they do not know.
    pub fn aux(&mut self, name: &[u8], value: &[u8]) -> io::Result<()> {
        self.sink.push(opcode::AUX);
        push_string(&mut self.sink, name);
        push_string(&mut self.sink, value);
        self.sink.result()
    }

    /// The text of a library of functions. Before the first db.
    pub fn function(&mut self, code: &[u8]) -> io::Result<()> {
        self.sink.push(opcode::FUNCTION);
        push_string(&mut self.sink, code);
        self.sink.result()
    }

    /// The entries that follow are of this db, which has so many keys, so many of which expire. The numbers are for the loader to make room
    /// beforehand, they need not be exact.
    pub fn select_db(&mut self, db: u32, keys: u64, expires: u64) -> io::Result<()> {
        self.sink.push(opcode::SELECT);
        push_number(&mut self.sink, u64::from(db));
        self.sink.push(opcode::RESIZE);
        push_number(&mut self.sink, keys);
        push_number(&mut self.sink, expires);
        self.sink.result()
    }

    /// An entry. Fields of hashes that are past their deadline at `now` are left out.
    ///
    /// # Errors
    /// Beside those of the sink: [`io::ErrorKind::InvalidInput`] if the value takes a newer version than the header says.
    pub fn entry(
        &mut self,
        key: &[u8],
        value: ValueRef<'_>,
        facts: &EntryFacts,
        now: UnixMillis,
    ) -> io::Result<()> {
        self.facts(facts);
        let needed = write_entry(&mut self.sink, key, value, now);
        if needed > self.sink.version {
            let text = format!("a value takes version {needed} of the RDB format");
            let error = io::Error::new(io::ErrorKind::InvalidInput, text);
            self.sink.failed.get_or_insert(error);
        }
        self.sink.result()
    }

    /// An entry whose value is in bytes already: its type and what follows, as [`write_value`](crate::rdb::write_value) tells them (the type
    /// is its first byte) and [`Entry`](super::Entry) has them.
    pub fn raw_entry(
        &mut self,
        key: &[u8],
        kind: u8,
        body: &[u8],
        facts: &EntryFacts,
    ) -> io::Result<()> {
        self.facts(facts);
        self.sink.push(kind);
        push_string(&mut self.sink, key);
        self.sink.put(body);
        self.sink.result()
    }

    /// As [`raw_entry`](Self::raw_entry), for a body in which no string is compressed: they are compressed now, if the header says so.
    pub fn plain_entry(
        &mut self,
        key: &[u8],
        kind: u8,
        body: &[u8],
        facts: &EntryFacts,
    ) -> io::Result<()> {
        self.facts(facts);
        self.sink.push(kind);
        push_string(&mut self.sink, key);
        compress_value(&mut self.sink, kind, body);
        self.sink.result()
    }

    /// Goes on with the body of the last entry, whose elements did not come all at once: some more of them, whole, in which no string is
    /// compressed.
    pub fn plain_elements(&mut self, kind: u8, elements: &[u8]) -> io::Result<()> {
        compress_elements(&mut self.sink, kind, elements);
        self.sink.result()
    }

    /// As [`plain_elements`](Self::plain_elements), for what is no elements, or should not be compressed.
    pub fn raw_elements(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.sink.put(bytes);
        self.sink.result()
    }

    fn facts(&mut self, facts: &EntryFacts) {
        if let Some(at) = facts.expire_at {
            self.sink.push(opcode::EXPIRE_MS);
            self.sink.put(&at.to_le_bytes());
        }
        if let Some(seconds) = facts.idle_seconds {
            self.sink.push(opcode::IDLE);
            push_number(&mut self.sink, seconds);
        }
        if let Some(frequency) = facts.frequency {
            self.sink.push(opcode::FREQUENCY);
            self.sink.push(frequency);
        }
    }

    /// Bytes so far, those included that the sink has not got yet.
    pub fn written(&self) -> u64 {
        self.sink.written + self.sink.pending.len() as u64
    }

    /// Ends the file and gives the sink back, with everything in it. To make it durable is the caller's.
    pub fn finish(mut self) -> io::Result<W> {
        self.sink.push(opcode::END);
        self.sink.pass_on();
        let checksum = self.sink.checksum.take();
        let checksum = checksum.map_or(0, |checksum| checksum.value());
        self.sink.put(&checksum.to_le_bytes());
        self.sink.pass_on();
        self.sink.result()?;
        self.sink.inner.flush()?;
        Ok(self.sink.inner)
    }
}
