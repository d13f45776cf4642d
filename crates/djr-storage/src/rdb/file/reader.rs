//! Through a file, item by item.

use std::borrow::Cow;

use super::skip::{skip_module, skip_value};
use super::{FileError, VERSION_OF_CHECKSUM, opcode};
use crate::keyspace::UnixMillis;
use crate::rdb::checksum::Checksum;
use crate::rdb::{
    ModuleName, RdbError, Reader, VERSION_OF_FIELD_EXPIRY, VERSION_OF_VALKEY,
    VERSION_OF_VALKEY_MAX, ValueLimits, kind, read_value,
};
use crate::value::{Kind, Value};

/// The checksum is calculated in portions of so many bytes, while they are in the processor's cache.
const CHECKSUM_PORTION: usize = 256 << 10;

/// One thing in a file.
#[derive(Debug)]
#[non_exhaustive]
pub enum Item<'a> {
    /// Something about the file: `redis-ver`, `ctime`, …
    Aux {
        /// Its name.
        name: Cow<'a, [u8]>,
        /// What it says.
        value: Cow<'a, [u8]>,
    },
    /// The text of a library of functions.
    Function(Cow<'a, [u8]>),
    /// The entries that follow are of this db.
    Select(u32),
    /// The db has about so many keys.
    Resize {
        /// Keys.
        keys: u64,
        /// Keys that expire.
        expires: u64,
    },
    /// A slot of a cluster has about so many keys.
    SlotInfo {
        /// Which slot.
        slot: u64,
        /// Keys.
        keys: u64,
        /// Keys that expire.
        expires: u64,
    },
    /// Valkey: slots that were being moved to this node.
    SlotImport {
        /// The move's name.
        job: Cow<'a, [u8]>,
    },
    /// Something that a module keeps beside the keys. It can't be made use of without the module.
    Module(ModuleName),
    /// A key and its value.
    Entry(Entry<'a>),
}

/// A key and its value, still as bytes.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// Where it begins in the file, deadline included.
    pub offset: u64,
    /// The db.
    pub db: u32,
    /// The key.
    pub key: Cow<'a, [u8]>,
    /// The deadline, if there is one.
    pub expire_at: Option<UnixMillis>,
    /// Seconds since the last access, if the file says.
    pub idle_seconds: Option<u64>,
    /// The access counter, if the file says.
    pub frequency: Option<u8>,
    /// The type, as the file has it: one of several for each [`Kind`].
    pub kind: u8,
    /// The value, in that type.
    pub body: &'a [u8],
    pub(super) version: u16,
}

impl Entry<'_> {
    /// Builds the value. All of it is checked: whatever the bytes, this ends in a value or in an error.
    pub fn value(&self, limits: &ValueLimits) -> Result<Value, FileError> {
        let mut reader = Reader::new(self.body);
        let value = read_value(&mut reader, self.kind, self.version, limits);
        match value {
            Ok(value) if reader.rest().is_empty() => Ok(value),
            Ok(_) => Err(self.error(RdbError::Corrupt("more than one value"))),
            Err(why) => Err(self.error(why)),
        }
    }

    /// An error about this entry.
    pub fn error(&self, why: RdbError) -> FileError {
        FileError {
            offset: self.offset,
            key: Some(self.key.to_vec()),
            why,
        }
    }

    /// The kind of the value; `None` for a module's.
    pub fn value_kind(&self) -> Option<Kind> {
        kind::value_kind(self.kind)
    }
}

/// Goes through the bytes of a file: mapped ones, so that it may be larger than the memory.
///
/// Every length is compared with what is left before it is used. After an error there are no more items.
#[derive(Clone)]
pub struct FileReader<'a> {
    bytes: &'a [u8],
    reader: Reader<'a>,
    version: u16,
    db: u32,
    checksum: Option<Checksum>,
    /// Up to here the checksum is calculated.
    summed: usize,
    done: bool,
}

impl<'a> FileReader<'a> {
    /// Begins at the head of a file. Whatever is behind its end is not looked at.
    pub fn new(bytes: &'a [u8]) -> Result<Self, FileError> {
        let fail = |why| FileError {
            offset: 0,
            key: None,
            why,
        };
        let (magic, rest) = bytes
            .split_first_chunk::<9>()
            .ok_or_else(|| fail(RdbError::Magic))?;
        let (digits, versions) = if let Some(digits) = magic.strip_prefix(b"VALKEY") {
            (digits, VERSION_OF_VALKEY..=VERSION_OF_VALKEY_MAX)
        } else if let Some(digits) = magic.strip_prefix(b"REDIS") {
            (digits, 1..=VERSION_OF_FIELD_EXPIRY)
        } else {
            return Err(fail(RdbError::Magic));
        };
        let version = std::str::from_utf8(digits)
            .ok()
            .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()))
            .and_then(|digits| digits.parse().ok())
            .ok_or_else(|| fail(RdbError::Magic))?;
        if !versions.contains(&version) {
            return Err(fail(RdbError::Version(version)));
        }
        Ok(Self {
            bytes,
            reader: Reader::new(rest),
            version,
            db: 0,
            checksum: (version >= VERSION_OF_CHECKSUM).then(Checksum::new),
            summed: 0,
            done: false,
        })
    }

    /// Does not verify the checksum (`rdbchecksum no`). To be called before the first item is taken.
    pub fn without_checksum(mut self) -> Self {
        self.checksum = None;
        self
    }

    /// The version of the format.
    pub fn version(&self) -> u16 {
        self.version
    }

    /// The db that entries are of now.
    pub fn db(&self) -> u32 {
        self.db
    }

    /// How far it has been read, in bytes; after the last item, where the file ends.
    pub fn position(&self) -> u64 {
        self.at() as u64
    }

    #[inline]
    fn at(&self) -> usize {
        self.bytes.len() - self.reader.rest().len()
    }

    /// The next item, `None` at the end of the file, when the checksum was found right.
    pub fn next_item(&mut self) -> Result<Option<Item<'a>>, FileError> {
        if self.done {
            return Ok(None);
        }
        if self.at() - self.summed >= CHECKSUM_PORTION {
            self.sum();
        }
        let offset = self.at() as u64;
        let mut key = None;
        let result = self.item(offset, &mut key);
        self.done = !matches!(result, Ok(Some(_)));
        result.map_err(|why| FileError {
            offset,
            key: key.map(Cow::into_owned),
            why,
        })
    }

    fn sum(&mut self) {
        let at = self.at();
        if let (Some(checksum), Some(bytes)) = (&mut self.checksum, self.bytes.get(self.summed..at))
        {
            checksum.update(bytes);
        }
        self.summed = at;
    }

    fn item(
        &mut self,
        offset: u64,
        key: &mut Option<Cow<'a, [u8]>>,
    ) -> Result<Option<Item<'a>>, RdbError> {
        let (mut expire_at, mut idle_seconds, mut frequency) = (None, None, None);
        let mut facts = false;
        loop {
            let code = self.reader.byte()?;
            let reader = &mut self.reader;
            let item = match code {
                opcode::EXPIRE_MS => {
                    // Any other negative one has passed long ago.
                    expire_at = Some(reader.i64()?).filter(|at| *at != -1);
                    facts = true;
                    continue;
                }
                opcode::EXPIRE_S => {
                    let seconds = i32::from_le_bytes(reader.array()?);
                    expire_at = Some(i64::from(seconds) * 1000);
                    facts = true;
                    continue;
                }
                opcode::IDLE => {
                    idle_seconds = Some(reader.number()?);
                    facts = true;
                    continue;
                }
                opcode::FREQUENCY => {
                    frequency = Some(reader.byte()?);
                    facts = true;
                    continue;
                }
                opcode::AUX => Item::Aux {
                    name: reader.string()?,
                    value: reader.string()?,
                },
                opcode::FUNCTION => Item::Function(reader.string()?),
                opcode::FUNCTION_EARLY => return Err(RdbError::EarlyFunction),
                opcode::SELECT => {
                    let db = reader.number()?;
                    self.db = u32::try_from(db).map_err(|_| RdbError::Corrupt("a db's number"))?;
                    Item::Select(self.db)
                }
                opcode::RESIZE => Item::Resize {
                    keys: reader.number()?,
                    expires: reader.number()?,
                },
                opcode::SLOT_INFO => Item::SlotInfo {
                    slot: reader.number()?,
                    keys: reader.number()?,
                    expires: reader.number()?,
                },
                opcode::SLOT_IMPORT if self.version >= VERSION_OF_VALKEY => {
                    let job = reader.string()?;
                    for _ in 0..reader.count(2)? {
                        reader.number()?;
                        reader.number()?;
                    }
                    Item::SlotImport { job }
                }
                opcode::MODULE_AUX => {
                    let name = ModuleName(reader.number()?);
                    // When it was written: a number as modules write them.
                    reader.number()?;
                    reader.number()?;
                    skip_module(reader)?;
                    Item::Module(name)
                }
                opcode::END => return self.end().map(|()| None),
                kind => {
                    let name = reader.string()?;
                    let before = reader.rest();
                    if let Err(why) = skip_value(reader, kind, self.version) {
                        *key = Some(name);
                        return Err(why);
                    }
                    facts = false;
                    let len = before.len() - reader.rest().len();
                    Item::Entry(Entry {
                        offset,
                        db: self.db,
                        key: name,
                        expire_at,
                        idle_seconds,
                        frequency,
                        kind,
                        body: before.get(..len).unwrap_or_default(),
                        version: self.version,
                    })
                }
            };
            if facts {
                return Err(RdbError::Corrupt("a deadline without a key"));
            }
            return Ok(Some(item));
        }
    }

    fn end(&mut self) -> Result<(), RdbError> {
        if self.version < VERSION_OF_CHECKSUM {
            return Ok(());
        }
        self.sum();
        let expected = u64::from_le_bytes(self.reader.array()?);
        match &self.checksum {
            Some(checksum) if expected != 0 && expected != checksum.value() => {
                Err(RdbError::Checksum)
            }
            _ => Ok(()),
        }
    }
}
