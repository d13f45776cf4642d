//! Whole files: what `SAVE` writes and a server loads, also the base of an append-only log.
//!
//! ```text
//!   "REDIS" and four digits of the version; or "VALKEY" and three
//!   fields about the file (250: name, value), libraries of functions (245: text)
//!   per db:    254 its number, 251 numbers of keys and of those that expire
//!   per entry: [252 deadline in ms, 8 bytes | 253 deadline in s, 4 bytes] [248 idle seconds | 249 frequency, 1 byte]
//!              type, key, value
//!   255, CRC-64 of all that (8 bytes, little-endian; 0: none was calculated). Before version 5 there is none
//! ```
//!
//! [`FileWriter`] writes one piece by piece. [`FileReader`] goes through the bytes of one and finds where each value ends without building it,
//! so that building can be spread over threads: [`Loading`] fills a keyspace so.

mod load;
mod reader;
mod skip;
#[cfg(test)]
mod tests;
mod writer;

use std::borrow::Cow;
use std::fmt;

pub use load::{LoadError, LoadOptions, LoadProgress, LoadReport, Loading};
pub use reader::{Entry, FileReader, Item};
pub use writer::{EntryFacts, FileHeader, FileWriter, ReplicationPosition};

use super::RdbError;

/// What comes before anything that is not an entry.
mod opcode {
    /// Valkey: a slot that is being moved here, with a name and ranges of slots.
    pub(super) const SLOT_IMPORT: u8 = 243;
    /// Sizes of a slot of a cluster: slot, keys, keys that expire.
    pub(super) const SLOT_INFO: u8 = 244;
    pub(super) const FUNCTION: u8 = 245;
    /// A library as release candidates of Redis 7.0 wrote it.
    pub(super) const FUNCTION_EARLY: u8 = 246;
    pub(super) const MODULE_AUX: u8 = 247;
    pub(super) const IDLE: u8 = 248;
    pub(super) const FREQUENCY: u8 = 249;
    pub(super) const AUX: u8 = 250;
    pub(super) const RESIZE: u8 = 251;
    pub(super) const EXPIRE_MS: u8 = 252;
    pub(super) const EXPIRE_S: u8 = 253;
    pub(super) const SELECT: u8 = 254;
    pub(super) const END: u8 = 255;
}

/// From this version on there is a checksum at the end.
const VERSION_OF_CHECKSUM: u16 = 5;

/// What is wrong with a file, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileError {
    /// Where the item begins that can't be read, in bytes from the beginning of the file.
    pub offset: u64,
    /// The key that it belongs to, if that could be read.
    pub key: Option<Vec<u8>>,
    /// What is wrong.
    pub why: RdbError,
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "offset {}", self.offset)?;
        if let Some(key) = &self.key {
            write!(f, ", key '{}'", printable(key))?;
        }
        write!(f, ": {}", self.why)
    }
}

impl std::error::Error for FileError {}

/// The longest part of a key in a message.
const KEY_SHOWN_MAX: usize = 120;

/// A key as people can read it, shortened.
pub fn printable(key: &[u8]) -> Cow<'static, str> {
    let shown = key.get(..KEY_SHOWN_MAX).unwrap_or(key);
    let mut text = shown.escape_ascii().to_string();
    if shown.len() < key.len() {
        text.push('…');
    }
    Cow::Owned(text)
}

/// Whether these are the first bytes of such a file (five are enough).
pub fn is_rdb(first: &[u8]) -> bool {
    first.starts_with(b"REDIS") || first.starts_with(b"VALKE")
}
