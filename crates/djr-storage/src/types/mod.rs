//! The data structures behind the types: lists, sets, sorted sets, hashes, streams. Plain values that know no keyspace, no
//! commands and no clock; an entry holds one, and [`Object`] is all that the keyspace asks of it.

mod limits;

pub mod dictionary;
pub mod hash;
pub mod list;
pub mod listpack;
pub mod set;
pub mod sorted_set;
pub mod stream;

pub use dictionary::{Dictionary, seed_member_hashes};
pub use hash::Hash;
pub use limits::{HashLimits, ListLimits, SetLimits, SortedSetLimits, StreamLimits};
pub use list::List;
pub use listpack::Listpack;
pub use set::Set;
pub use sorted_set::SortedSet;
pub use stream::Stream;

use crate::keyspace::UnixMillis;
use crate::value::{Encoding, Kind};

/// What the keyspace asks of a structure that an entry holds.
///
/// An entry keeps the structure in place, so it may be moved in memory between two uses, and should be small (at most 32
/// bytes, aligned to at most 8): what is large is behind a pointer.
pub trait Object: Clone + 'static {
    /// The kind of value that this is.
    const KIND: Kind;

    /// Bytes behind it: what it takes from the allocator. Asked before and after each change, so it must be cheap (no walk).
    fn memory_bytes(&self) -> usize;

    /// Whether its key is to be removed. Streams stay.
    fn is_vacant(&self) -> bool;

    /// How it is kept, in Redis's words and at Redis's limits.
    fn encoding(&self) -> Encoding;

    /// The earliest deadline of its parts (fields of a hash), so that the expiry index looks at it then.
    fn next_expire(&self) -> Option<UnixMillis> {
        None
    }
}
