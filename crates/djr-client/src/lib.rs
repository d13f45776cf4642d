//! Async client for DJR, Redis and Valkey, on tokio.
//!
//! One [`Client`] is one connection and needs no background task. It speaks RESP3 if the server does and
//! RESP2 otherwise, sends whole pipelines with one write, and keeps what a server pushes apart from what it
//! replies.
//!
//! ```no_run
//! use djr_client::Client;
//!
//! # async fn run() -> Result<(), djr_client::ClientError> {
//! let mut client = Client::connect("redis://127.0.0.1:6379/1").await?;
//! client.command(&["SET", "greeting", "hello"]).await?;
//! let greeting = client.command(&["GET", "greeting"]).await?;
//! assert_eq!(greeting.as_bytes(), Some(&b"hello"[..]));
//! # Ok(())
//! # }
//! ```
//!
//! # Errors
//!
//! An error reply is `Err(`[`ClientError::Reply`]`)`, so `?` does what one expects; [`ServerError::code`] tells
//! `WRONGTYPE` from `NOAUTH`. In a [`Pipeline`] each command has a result of its own. An error inside of
//! another reply (of `EXEC`) stays a [`Value::Error`].
//!
//! # Cancellation and timeouts
//!
//! A future that is dropped, or ends with [`ClientError::Timeout`], leaves the client usable: the reply that comes
//! too late is thrown away before the next one is read. The command itself may have been executed.
//!
//! # Reconnecting
//!
//! With [`Options::reconnect`] a lost connection is replaced before the next command, with the options' user and the
//! database that was selected last. A command whose reply got lost is never sent twice, because nobody knows whether it was
//! executed. Nor is a transaction gone on with on another connection: after `MULTI` or `WATCH`, the next command is
//! [`ClientError::TransactionLost`].
//!
//! # What it needs
//!
//! A tokio runtime with I/O and time (`enable_all`), of either kind, on Unix. One client is one task's: open more for more.
//!
//! # Memory
//!
//! The strings of a [`Value`] are parts of what was read, not copies: a short one keeps its neighbours' memory in use. Copy what
//! is to be kept for long.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod client;
mod connection;
mod error;
mod handshake;
mod options;
mod pipeline;
mod push;
mod raw;
mod session;
mod stream;
mod subscriber;
mod tls;
mod url;

pub use client::Client;
pub use djr_protocol::{Limits, ReplyError, RespVersion, Value};
pub use error::{ClientError, ServerError, TlsError, UrlError};
pub use options::{Address, IpVersion, Options, Protocol, Reconnect};
pub use pipeline::Pipeline;
pub use raw::Raw;
pub use subscriber::{Message, Subscriber};
pub use tls::{Tls, Verify};

/// Runs the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
