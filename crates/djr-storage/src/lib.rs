//! The keyspace and the files of DJR: table, entries, expiry, append-only file, recovery.

mod arena;
pub mod keyspace;
pub mod table;
pub mod value;
