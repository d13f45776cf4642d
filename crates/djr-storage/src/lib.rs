//! The keyspace and the files of DJR: table, entries, expiry, append-only file, recovery.

pub mod keyspace;
pub mod table;
pub mod value;
