//! The keyspace and the files of DJR: table, entries, expiry, append-only file, recovery.

pub mod aof;
mod arena;
pub mod disk;
pub mod keyspace;
/// The memory of the process that entries and dictionaries are kept in.
pub mod memory {
    pub use crate::arena::chunk::{PoolBytes, pool_bytes, release_idle};
}
pub mod rdb;
pub mod snapshot;
pub mod table;
pub mod types;
pub mod value;
