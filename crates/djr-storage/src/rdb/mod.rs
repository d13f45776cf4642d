//! Values in the format of Redis's RDB files: so far one value at a time, as `DUMP` and `RESTORE` exchange them.
//!
//! A value is a type byte and what that type says. Numbers without a sign are written in as many bytes as they need (see [`reader`]), strings
//! with their length before them, as an integer, or compressed ([`lzf`]). Packed types are one string that holds all elements: today listpacks,
//! in older files ziplists, zipmaps and arrays of integers ([`old`]).
//!
//! Read is every type that Redis up to 8 and Valkey up to 9 write, but for those of modules. Whatever the bytes, reading ends in a value or in
//! an [`RdbError`]: each length and count is compared with what is left before anything is reserved, packed types are checked from end to end.

mod functions;
mod load;
pub mod lzf;
mod old;
mod payload;
mod reader;
mod save;
mod stream;
#[cfg(test)]
mod tests;
mod writer;

pub use functions::{dump_functions, restore_functions};
pub use load::{ValueLimits, read_value};
pub use payload::{dump, restore};
pub use reader::Reader;
pub use save::write_value;

/// The version that values are written in: that of Redis 7.2.
pub const VERSION: u16 = 11;
/// The version with hashes whose fields expire, that of Redis 7.4 and 8.
pub const VERSION_OF_FIELD_EXPIRY: u16 = 12;
/// From this version on it is Valkey's own: type 22 means something else there.
const VERSION_OF_VALKEY: u16 = 80;
/// The newest version of Valkey that is read.
const VERSION_OF_VALKEY_MAX: u16 = 81;

/// Why bytes are not a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RdbError {
    /// They end too early.
    #[error("the value is cut off")]
    Truncated,
    /// They contradict the format.
    #[error("the value is damaged: {0}")]
    Corrupt(&'static str),
    /// A type that is not known: a module's, or one of later versions.
    #[error("values of type {0} can't be read")]
    UnknownType(u8),
    /// A version that is not known.
    #[error("version {0} can't be read")]
    Version(u16),
    /// The checksum is another one.
    #[error("the checksum does not match")]
    Checksum,
}

/// The types of values, by the byte that they begin with.
mod kind {
    pub(super) const STRING: u8 = 0;
    pub(super) const LIST: u8 = 1;
    pub(super) const SET: u8 = 2;
    /// Scores as text.
    pub(super) const SORTED_SET: u8 = 3;
    pub(super) const HASH: u8 = 4;
    /// Scores in eight bytes.
    pub(super) const SORTED_SET_2: u8 = 5;
    pub(super) const HASH_ZIPMAP: u8 = 9;
    pub(super) const LIST_ZIPLIST: u8 = 10;
    pub(super) const SET_INTSET: u8 = 11;
    pub(super) const SORTED_SET_ZIPLIST: u8 = 12;
    pub(super) const HASH_ZIPLIST: u8 = 13;
    /// Several ziplists.
    pub(super) const LIST_QUICKLIST: u8 = 14;
    /// Without first id, greatest deleted id and numbers of entries ever added and read.
    pub(super) const STREAM: u8 = 15;
    pub(super) const HASH_LISTPACK: u8 = 16;
    pub(super) const SORTED_SET_LISTPACK: u8 = 17;
    /// Several listpacks, or large elements by themselves.
    pub(super) const LIST_QUICKLIST_2: u8 = 18;
    /// Without the times when consumers were active.
    pub(super) const STREAM_2: u8 = 19;
    pub(super) const STREAM_3: u8 = 21;
    pub(super) const SET_LISTPACK: u8 = 20;
    /// Deadlines in eight bytes behind each field. In versions of Redis: see the next one.
    pub(super) const HASH_2_OF_VALKEY: u8 = 22;
    /// As [`HASH_DEADLINES`], but deadlines are whole and there is no earliest one before them.
    pub(super) const HASH_DEADLINES_EARLY: u8 = 22;
    /// As [`HASH_LISTPACK_DEADLINES`], but there is no earliest deadline before it.
    pub(super) const HASH_LISTPACK_DEADLINES_EARLY: u8 = 23;
    /// The earliest deadline, then fields with how much later theirs is.
    pub(super) const HASH_DEADLINES: u8 = 24;
    /// The earliest deadline, then a listpack of fields, values and deadlines.
    pub(super) const HASH_LISTPACK_DEADLINES: u8 = 25;
}

/// What a plain chunk of a list is announced with.
const NODE_PLAIN: u64 = 1;
/// What a packed chunk of a list is announced with.
const NODE_PACKED: u64 = 2;
