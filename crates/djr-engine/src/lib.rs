//! What commands mean: declaration, parsing, execution, effects.
//!
//! Pure: time, random numbers and settings are passed in; there is no socket, no thread and no clock in this crate.
//!
//! - [`spec`]: how a command is declared; [`command`]: what follows from that; [`registry`]: finding it by name.
//! - [`engine`]: opens the keys of a command, runs it, logs its [`Effect`].
//! - [`transaction`], [`script`]: several commands as one unit.
//! - [`commands`]: the commands, a file each.
//!
//! **Invariants:** a reading command can't write (it holds the keyspace shared); a writing command must return its
//! [`Effect`]; an effect is logged before the locks of its keys are released.

#![forbid(unsafe_code)]

pub mod blocking;
pub mod command;
pub mod commands;
pub mod digest;
pub mod engine;
pub mod eviction;
pub mod glob;
pub mod keys;
pub mod notify;
pub mod registry;
pub mod script;
pub mod settings;
pub mod shell;
pub mod spec;
pub mod stats;
pub mod transaction;

mod args;
mod context;
mod effect;
mod error;
mod long_double;
pub mod rng;
#[cfg(any(test, feature = "testkit"))]
pub mod testkit;

/// The version of Redis whose commands and behaviour these are: what `INFO`, `HELLO` and scripts tell clients.
pub const REDIS_VERSION: &str = "8.0.6";

pub use args::{Args, OwnedRequest};
pub use context::{ReadContext, WriteContext};
pub use effect::{Effect, EffectLog, Effects, Rewritten};
pub use engine::{Engine, Executor, Prepared};
pub use error::CommandError;
pub use notify::Notify;
pub use rng::Rng;
pub use shell::{Inside, Ran, ScriptFate, Shell};

/// Where a command writes its reply.
pub type Reply<'a> = djr_protocol::ReplyEncoder<'a>;
