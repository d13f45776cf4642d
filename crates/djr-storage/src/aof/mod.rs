//! The append-only file: what makes the keyspace survive.
//!
//! The layout is that of Redis 7: a directory with a manifest, a base file and increments, see [`manifest`]. The
//! increments hold RESP commands; after each group of them stands a checksum line that other servers skip, see
//! [`annotation`]. So Redis and Valkey load these files, at every moment, and we load theirs.
//!
//! - [`Log`] is the writing side: worker threads append, a sync thread makes durable.
//! - [`recover`] is the reading side; it ends in what [`Log::open`] needs to go on.
//! - [`RewriteWriter`] writes a new base; see [`Log::begin_rewrite`].
//!
//! An [`Offset`] is a position in the stream of logged commands, annotations not counted. It never goes back, survives
//! restarts and rewrites, and is the replication offset.
//!
//! **Invariants:** the log reads no clock and has no thread of its own. An offset is durable only once its bytes and
//! all before them are. After a failed write or sync of the log nothing is written any more: no retry, see [`LogError`].

pub mod annotation;
mod batch;
mod error;
mod filler;
mod layout;
mod log;
mod log_file;
pub mod manifest;
mod recovery;
mod rewrite;
mod scan;
mod search;
mod survey;

pub use batch::{BatchWriter, encode_select};
pub use error::LogError;
pub use layout::{AofConfig, FsyncPolicy, PREALLOCATE_STEP};
pub use log::{Log, OnDurable, OpenState, Sizes};
pub use recovery::{
    BaseFile, CheckedFile, DamagedRange, Examined, FilePart, Recovered, RecoveryError,
    RecoveryMode, RecoveryReport, Replay, ReplayedCommand, Seen, TornTail, cut_file, recover,
};
pub use rewrite::{PreparedRewrite, RewriteWriter};
pub use survey::Why;

/// A byte position in the stream of logged commands.
pub type Offset = u64;
