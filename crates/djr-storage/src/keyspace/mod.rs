//! The keyspace: every db, every key, shared by all workers.
//!
//! Keys are spread over shards by their seeded hash; a shard is one lock around its part of every db. A command says which
//! keys it needs, which gives a [`Footprint`]; [`Keyspace::open`] locks those shards, in ascending order, and returns the
//! [`Access`] through which the command reads ([`Db`]) or writes ([`DbMut`]):
//!
//! ```
//! use djr_storage::keyspace::{Expire, Keyspace, KeyspaceOptions};
//!
//! let keyspace = Keyspace::new(KeyspaceOptions::default());
//! let key = keyspace.key(b"session:1");
//! let mut access = keyspace.open(keyspace.footprint(key.hash), 1_700_000_000_000);
//! access.db_mut(0).set_string(key, b"42", Expire::At(1_700_000_060_000));
//! let entry = access.db(0).get(key).unwrap();
//! assert_eq!(entry.encoding().name(), "int");
//! assert_eq!(entry.expire_at(), Some(1_700_000_060_000));
//! ```
//!
//! - **Expired keys.** A key past its deadline does not exist, whatever it is asked with. Looking it up for reading only
//!   notes it ([`Access::has_expired`]); [`Access::purge_expired`] removes what was noted. Writing look-ups remove it at once.
//!   Either way [`Access::take_expired`] tells which keys went, for the log. [`Keyspace::expire_step`] finds the rest.
//!   Fields of hashes expire likewise, but a hash that is only read keeps them, and takes care not to show them.
//! - **One access per thread at a time.** Opening a second one whose footprint overlaps the first waits forever.
//! - **No clock, no randomness.** `now` and random numbers come in as arguments.

mod access;
mod block;
mod classes;
mod db;
mod db_mut;
mod defrag;
pub mod disposal;
mod entry;
mod entry_mut;
mod eviction;
#[cfg(test)]
mod eviction_tests;
mod hash;
#[allow(clippy::module_inception)]
mod keyspace;
mod load;
#[cfg(test)]
mod model_tests;
mod options;
mod part;
mod shard;
mod snapshot;
#[cfg(test)]
mod tests;
mod tracking;
mod wait;
mod watch;
mod wheel;

pub use access::{Access, Expired};
pub use classes::{
    CLASSES_MAX, ClassId, Classes, EVICTION_POLICIES, EvictionOrder, EvictionPolicy, MemoryClass,
};
pub use db::{Db, Expire, StringForm, WrongKind};
pub use db_mut::DbMut;
pub use defrag::{Defrag, DefragCounts, DefragStep};
pub use entry::{EntryRef, OwnedEntry};
pub use entry_mut::EntryMut;
pub use eviction::{Eviction, EvictionTask, VictimPool};
pub use hash::{Footprint, Key, KeyHash, UnixMillis};
pub use keyspace::{ExpireProgress, Keyspace, Turn};
pub use load::LoadedFacts;
pub use options::{AccessClock, KeyspaceOptions};
pub use snapshot::{
    Cut, Portion, Snapshot, SnapshotDb, SnapshotEntry, SnapshotItem, SnapshotMore, WholeEntries,
};
pub use tracking::{Invalidation, Readers, Tracking};
pub use wait::{ReadyKey, Registration, Ticket, WaiterRef, Waits};
pub use watch::WatchFlag;

pub use crate::table::Home;
