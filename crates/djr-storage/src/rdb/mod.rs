//! The format of Redis's RDB files: single values, as `DUMP` and `RESTORE` exchange them, and whole [files](file).
//!
//! A value is a type byte and what that type says. Numbers without a sign are written in as many bytes as they need (see `reader`), strings
//! with their length before them, as an integer, or compressed ([`lzf`]). Packed types are one string that holds all elements: today listpacks,
//! in older files ziplists, zipmaps and arrays of integers (`old`).
//!
//! Read is every type that Redis up to 8 and Valkey up to 9 write, but for those of modules. Whatever the bytes, reading ends in a value or in
//! an [`RdbError`]: each length and count is compared with what is left before anything is reserved, packed types are checked from end to end.

pub(crate) mod body;
mod checksum;
mod compress;
mod file;
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

pub use file::{
    Entry, EntryFacts, FileError, FileHeader, FileReader, FileWriter, Item, LoadError, LoadOptions,
    LoadProgress, LoadReport, Loading, ReplicationPosition, is_rdb, printable,
};
pub use functions::{dump_functions, restore_functions};
pub use load::{ValueLimits, read_value};
pub use payload::{dump, restore, restore_unchecked};
pub use reader::Reader;
pub use save::write_value;
pub(crate) use stream::pieces::{
    push_consumer_head, push_group_head, push_pending, push_pending_id, push_stream_block,
    push_stream_figures,
};
pub(crate) use writer::Plain;
pub use writer::{Output, Uncompressed};

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
    /// A type that is not known: one of later versions.
    #[error("values of type {0} can't be read")]
    UnknownType(u8),
    /// A structure with nothing in it, which no server writes. Redis leaves such keys out when it loads a file.
    #[error("the value is damaged: nothing in it")]
    Empty,
    /// Data of a module: without the module nobody knows what it means.
    #[error("data of the module type '{0}', which can't be loaded: there are no modules")]
    Module(ModuleName),
    /// A library of functions of a release candidate of Redis 7.0.
    #[error("a library of functions in a form that was given up before Redis 7.0 was released")]
    EarlyFunction,
    /// The first bytes are not those of an RDB file.
    #[error("not an RDB file: it begins with neither REDIS nor VALKEY and a version")]
    Magic,
    /// The same key was there before, in the same db.
    #[error("the key is there twice")]
    DuplicateKey,
    /// There are fewer dbs.
    #[error(
        "db {0} is out of range: the file was written by a server with more databases, see 'databases'"
    )]
    Db(u32),
    /// A version that is not known.
    #[error("version {0} can't be read")]
    Version(u16),
    /// The checksum is another one.
    #[error("the checksum does not match")]
    Checksum,
}

/// A module's type: nine letters and a version in one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModuleName(pub u64);

impl std::fmt::Display for ModuleName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const LETTERS: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        for nth in 1..=9 {
            let letter = LETTERS[(self.0 >> (64 - 6 * nth)) as usize & 63];
            write!(f, "{}", char::from(letter))?;
        }
        Ok(())
    }
}

/// The types of values, by the byte that they begin with.
mod kind {
    use crate::value::Kind;

    /// What a value of this type is.
    pub(super) fn value_kind(kind: u8) -> Option<Kind> {
        Some(match kind {
            STRING => Kind::String,
            LIST | LIST_ZIPLIST | LIST_QUICKLIST | LIST_QUICKLIST_2 => Kind::List,
            SET | SET_INTSET | SET_LISTPACK => Kind::Set,
            SORTED_SET | SORTED_SET_2 | SORTED_SET_ZIPLIST | SORTED_SET_LISTPACK => Kind::SortedSet,
            HASH
            | HASH_ZIPMAP
            | HASH_ZIPLIST
            | HASH_LISTPACK
            | HASH_DEADLINES_EARLY
            | HASH_LISTPACK_DEADLINES_EARLY
            | HASH_DEADLINES
            | HASH_LISTPACK_DEADLINES => Kind::Hash,
            STREAM | STREAM_2 | STREAM_3 => Kind::Stream,
            _ => return None,
        })
    }

    pub(super) const STRING: u8 = 0;
    pub(super) const LIST: u8 = 1;
    pub(super) const SET: u8 = 2;
    /// Scores as text.
    pub(super) const SORTED_SET: u8 = 3;
    pub(super) const HASH: u8 = 4;
    /// Scores in eight bytes.
    pub(super) const SORTED_SET_2: u8 = 5;
    /// A module's number, what it wrote, in a form that can be read over.
    pub(super) const MODULE: u8 = 7;
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
