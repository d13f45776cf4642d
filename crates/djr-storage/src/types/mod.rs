//! The data structures behind the types: lists, sets, sorted sets, hashes, streams. Plain values that know no keyspace, no
//! commands and no clock; an entry holds one, and [`Object`] is all that the keyspace asks of it.

mod limits;

pub mod dictionary;
pub mod hash;
pub mod kept;
#[cfg(test)]
mod kept_tests;
pub mod list;
pub mod listpack;
#[cfg(test)]
pub(crate) mod probe;
pub mod set;
pub mod sorted_set;
pub mod stream;

pub use dictionary::{Dictionary, seed_member_hashes};
pub use hash::Hash;
use kept::{Kept, Ticket};
pub use limits::{HashLimits, ListLimits, SetLimits, SortedSetLimits, StreamLimits};
pub use list::List;
pub use listpack::Listpack;
#[cfg(test)]
pub(crate) use probe::Probe;
pub use set::Set;
pub use sorted_set::SortedSet;
pub use stream::Stream;

use std::sync::Arc;

use crate::keyspace::UnixMillis;
use crate::table::prefetch_line;
use crate::value::{Encoding, Kind};

/// At most so many elements (members, fields with values, …) in one command of [`Object::rewrite`], as in Redis.
pub const REWRITE_PORTION: usize = 64;

/// What the keyspace asks of a structure that an entry holds.
///
/// An entry keeps the structure in place, so it may be moved in memory between two uses, and should be small (at most 64
/// bytes, aligned to at most 8; both are checked when compiling): what is large is behind a pointer. Dropping it frees all of it.
///
/// Only the structures of this module implement it: there is one for each [`Kind`] but strings.
pub trait Object: sealed::Structure + Clone + Default + Send + 'static {
    /// The kind of value that this is.
    const KIND: Kind;

    /// Bytes behind it: what it takes from the allocator, by capacity. Asked before and after each change, so it must be cheap
    /// (no walk), and the same as long as nothing changes: the keyspace adds up the differences.
    fn memory_bytes(&self) -> usize;

    /// Whether its key is to be removed, because nothing is left in it. Streams stay.
    fn is_vacant(&self) -> bool;

    /// How it is kept, in Redis's words and at Redis's limits.
    fn encoding(&self) -> Encoding;

    /// The earliest deadline of its parts (fields of a hash), so that the expiry index looks at it then. Cheap, as
    /// [`memory_bytes`](Self::memory_bytes). May be too early (it is then asked again), but not too late.
    fn next_expire(&self) -> Option<UnixMillis> {
        None
    }

    /// Has what is looked at first behind it loaded into the cache. Where that is the bucket of `member` (or field) in a dictionary, returns
    /// its [hash](dictionary::member_hash), for [`prefetch_member`](Self::prefetch_member).
    fn prefetch(&self, _member: Option<&[u8]>) -> Option<u64> {
        None
    }

    /// The next step: has the member itself loaded, when its bucket has had time to come.
    fn prefetch_member(&self, _hash: u64) {}

    /// If it is large: keeps what there is at this moment, for whoever has the ticket, appends the beginning of its value as RDB files have it,
    /// and returns yes. Takes no longer for many elements. See [`kept`].
    fn keep(&mut self, ticket: &Arc<Ticket>, out: &mut Vec<u8>) -> bool {
        let _ = (ticket, out);
        false
    }

    /// What is kept, if anything is.
    fn kept(&mut self) -> Option<&mut dyn Kept> {
        None
    }

    /// Removes parts (fields of a hash) whose deadline is before `now`, `limit` at most, and tells each, so that `HDEL key field`
    /// is logged for it. Returns how many went. If fewer than `limit` are due, [`next_expire`](Self::next_expire) is not before
    /// `now` afterwards.
    ///
    /// Called by the active expiry, in small steps, and for some parts before a command changes the structure, so that the log
    /// has these removals first. Until then such parts are still in it, and whoever reads or writes takes care not to see them.
    fn expire_parts(
        &mut self,
        _now: UnixMillis,
        _limit: usize,
        _on_expired: &mut dyn FnMut(&[u8]),
    ) -> usize {
        0
    }

    /// Puts some of what it holds behind into new memory, so that the old can go back to the system: from the part `from` on (0: the
    /// first), about `budget` bytes of it. Returns the part to go on with; 0: done. Changes nothing that can be seen but
    /// [`memory_bytes`](Self::memory_bytes), and leaves alone what would take long, or is whole pages of the system anyway.
    fn relocate(&mut self, _from: u128, _budget: usize) -> u128 {
        0
    }

    /// Tells the commands that, run one after the other where `key` does not exist, make an equal structure: how it is written to
    /// the base of the append-only file, and how tests compare keyspaces.
    ///
    /// - At most [`REWRITE_PORTION`] elements in a command, so that no command grows with the structure:
    ///   `RPUSH key e…`, `SADD key m…`, `ZADD key s m…`, `HSET key f v…`.
    /// - The words are as clients send them: no relative times, no current time, scores by the shortest text that reads back
    ///   the same (`djr_protocol`'s numbers).
    /// - Deadlines of parts too (`HPEXPIREAT key ms FIELDS n f…`), those already past as well. The key's own deadline is the
    ///   caller's.
    /// - All of its state: a stream's last id, counters, groups, consumers and pending entries too (`XSETID`, `XGROUP`, `XCLAIM`);
    ///   one that is empty is made as well.
    /// - In a fixed order where the structure has one (lists, streams).
    fn rewrite(&self, key: &[u8], emit: &mut dyn FnMut(&[&[u8]])) {
        let _ = (key, emit);
        debug_assert!(
            self.is_vacant(),
            "a {} would be missing in the rewritten log",
            Self::KIND.name()
        );
    }
}

/// Larger blocks are never relocated: allocators give them pages of their own, and copying them would take long.
pub(crate) const RELOCATED_MAX: usize = 128 << 10;
/// Larger dictionaries are not relocated: their members are in whole slabs, which they tidy up themselves.
const RELOCATED_DICTIONARY_MAX: usize = 64 << 10;

/// Puts bytes into new memory of the same size. Returns how many it copied.
fn relocate_block(block: &mut Box<[u8]>) -> usize {
    if block.is_empty() || block.len() > RELOCATED_MAX {
        return 0;
    }
    *block = block.to_vec().into_boxed_slice();
    block.len()
}

/// The same for a vector, which keeps its capacity.
pub(crate) fn relocate_vec<T: Copy>(vec: &mut Vec<T>) -> usize {
    let size = vec.capacity() * size_of::<T>();
    if size == 0 || size > RELOCATED_MAX {
        return 0;
    }
    let mut new = Vec::with_capacity(vec.capacity());
    new.extend_from_slice(vec);
    *vec = new;
    size
}

/// How large a block is made for `used` bytes that may become more: what allocators have in store, which is four sizes between a power of two
/// and the next. So appending is amortized, and nothing is lost to rounding.
fn block_size(used: usize) -> usize {
    const STEP_MIN: usize = 16;
    let below = used.max(1).next_power_of_two() / 2;
    used.next_multiple_of((below / 4).max(STEP_MIN))
}

/// Has the first cache lines of `bytes` loaded: as many as are worth being asked for at once.
fn prefetch_bytes(bytes: &[u8]) {
    for line in bytes.chunks(CACHE_LINE).take(PREFETCHED_LINES) {
        prefetch_line(line.as_ptr().addr());
    }
}

/// Has a value loaded that is behind a pointer.
fn prefetch_value<T>(value: &T) {
    let start = std::ptr::from_ref(value).addr();
    for line in (0..size_of::<T>()).step_by(CACHE_LINE) {
        prefetch_line(start + line);
    }
}

const CACHE_LINE: usize = 64;
/// More than the processor fetches at a time; it goes on by itself with what is read in order.
const PREFETCHED_LINES: usize = 16;

/// An entry finds out by its kind which structure it holds, so nobody else may claim to be of a kind.
mod sealed {
    pub trait Structure {}
    impl Structure for super::Hash {}
    impl Structure for super::List {}
    impl Structure for super::Set {}
    impl Structure for super::SortedSet {}
    impl Structure for super::Stream {}
    #[cfg(test)]
    impl Structure for super::Probe {}
}

#[cfg(test)]
mod tests {
    use super::block_size;

    #[test]
    fn blocks_are_four_sizes_an_octave() {
        let sizes = (1..=1024)
            .map(block_size)
            .collect::<std::collections::BTreeSet<_>>();
        let expected = [
            16, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 640, 768,
            896, 1024,
        ];
        assert!(sizes.iter().eq(&expected), "{sizes:?}");
        assert!((1..=1024).all(|used| block_size(used) >= used));
    }
}
