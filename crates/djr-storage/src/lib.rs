//! The keyspace and the files of DJR: table, entries, expiry, append-only file, recovery.

mod allocator;
pub mod aof;
mod arena;
pub mod disk;
pub mod keyspace;
/// The memory of the process: what entries and dictionaries are kept in, and the allocator for all else.
pub mod memory {
    pub use crate::allocator::{Allocator, give_back, keep_empty_pages};
    pub use crate::arena::chunk::{PoolBytes, pool_bytes, release_idle, tend_chunks};
}
pub mod rdb;
pub mod snapshot;
pub mod table;
pub mod types;
pub mod value;
