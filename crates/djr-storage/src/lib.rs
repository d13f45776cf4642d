//! The keyspace and the files of DJR: table, entries, expiry, append-only file, recovery.

pub mod table;
