//! From a client's bytes to requests.
//!
//! `decoder` cuts the stream, `batch` keeps what was cut (as ranges, without copies), `inline` splits
//! the lines that people type, `error` has the texts for what can't be cut.

mod batch;
mod decoder;
mod error;
mod inline;

pub use batch::{Args, Batch, Request, RequestBuf};
pub use decoder::RequestDecoder;
pub use error::ProtocolError;
pub use inline::split_args;
