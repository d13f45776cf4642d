//! RESP2 and RESP3, the protocols of Redis, as pure functions from bytes to values and back.
//!
//! Nothing here opens a socket, waits or starts a thread: the caller owns the buffers and the IO, so the
//! codec serves blocking code, `mio`, `tokio` and tests alike.
//!
//! | you write a … | you read with | you write with |
//! |---|---|---|
//! | server, proxy | [`RequestDecoder`] into a [`Batch`] of [`Request`]s | [`ReplyEncoder`] |
//! | client | [`ReplyDecoder`], yielding [`Value`]s | [`CommandEncoder`], [`encode_command`] |
//!
//! What comes from the other side is not trusted: every length is compared with [`Limits`] before it is
//! used, no memory is reserved because a header asks for it, and wrong input is a typed error, never a panic.
//!
//! # A server in a few lines
//!
//! ```
//! use djr_protocol::{Batch, Limits, ReplyEncoder, RequestDecoder, RespVersion};
//!
//! /// Answers all whole requests in `input`; returns how many of its bytes are done with.
//! fn serve(decoder: &mut RequestDecoder, batch: &mut Batch, input: &[u8], output: &mut Vec<u8>) -> usize {
//!     batch.clear();
//!     let decoded = decoder.decode(input, &Limits::default(), batch);
//!     let mut reply = ReplyEncoder::new(output, RespVersion::V2);
//!     for request in batch.iter(input) {
//!         match (request.name().to_ascii_uppercase().as_slice(), request.len()) {
//!             (b"PING", 1) => reply.simple("PONG"),
//!             (b"ECHO", 2) => reply.bulk(request.args(1)),
//!             _ => reply.error("ERR unknown command or wrong number of arguments"),
//!         }
//!     }
//!     decoded.unwrap_or_else(|error| {
//!         reply.protocol_error(&error); // and then close the connection
//!         input.len()
//!     })
//! }
//!
//! let mut output = Vec::new();
//! let taken = serve(&mut RequestDecoder::new(), &mut Batch::new(), b"PING\r\n*2\r\n$4\r\nECHO\r\n$2\r\nhi\r\n", &mut output);
//! assert_eq!(taken, 28);
//! assert_eq!(output, b"+PONG\r\n$2\r\nhi\r\n");
//! ```
//!
//! # A client in a few lines
//!
//! ```
//! use djr_protocol::{Limits, ReplyDecoder, Value, encode_command};
//!
//! let mut request = Vec::new();
//! encode_command(&mut request, &[b"INCR", b"visits"]);
//! // … send `request`, receive into `input` …
//! let mut input = bytes::BytesMut::from(&b":1\r\n"[..]);
//! let reply = ReplyDecoder::new().decode(&mut input, &Limits::default())?;
//! assert_eq!(reply, Some(Value::Integer(1)));
//! # Ok::<(), djr_protocol::ReplyError>(())
//! ```

#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod command;
mod limits;
mod number;
mod reply;
mod request;
mod wire;

pub use command::{CommandEncoder, encode_command};
pub use limits::{Limits, UNAUTHENTICATED_ARGS_MAX, UNAUTHENTICATED_BULK_LEN_MAX};
pub use number::{format_double, format_integer, parse_integer};
pub use reply::{Mark, ReplyDecoder, ReplyEncoder, ReplyError, RespVersion, Value};
pub use request::{Args, Batch, ProtocolError, Request, RequestBuf, RequestDecoder, split_args};

/// Runs the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
