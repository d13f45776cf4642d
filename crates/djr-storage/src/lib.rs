//! The keyspace and the files of DJR: table, entries, expiry, append-only file, recovery.

pub mod aof;
mod arena;
pub mod disk;
pub mod keyspace;
pub mod rdb;
pub mod snapshot;
pub mod table;
pub mod types;
pub mod value;
