//! The append-only log as a whole: written, cut, flipped, crashed, repaired, and read by other servers.

#![allow(clippy::unwrap_used)]

mod crash;
mod failure;
mod foreign;
mod rdb_base;
mod redis;
mod rewrite;
mod sweep;
mod threads;
mod world;
