//! The DJR server as a library: `Server::start(config)`.
//!
//! - [`config`]: every directive, its parsing and its text.
//! - [`check`]: the tools that look at files.
//! - `worker`: the threads that serve connections and execute what they send.
//! - `session`: a client's state, and the checks before its commands run.
//! - `commands`: the commands that concern sessions and the server.
//! - [`logging`]: the server's own log, for people.
//! - `pubsub`: publish and subscribe.
//! - `tracking`: client-side caching.
//! - `persistence`: recovery, the log's thread.
//! - `snapshots`: snapshots, save points, rewrites of the log.

#![forbid(unsafe_code)]

mod acl;
pub mod check;
mod clients;
mod clock;
mod commands;
pub mod config;
mod disposal;
mod error;
mod introspection;
mod listen;
mod loading;
pub mod logging;
mod memory;
mod metrics;
mod persistence;
mod process;
mod pubsub;
mod server;
mod session;
mod shared;
mod shutdown;
mod snapshots;
mod stats;
mod surroundings;
mod tls;
mod tracking;
mod worker;

pub use commands::{registry, start_again};
pub use config::Config;
pub use djr_engine::REDIS_VERSION;
pub use error::{StartError, StopError};
pub use server::{Server, Stopper};
pub use shutdown::StopSignal;
