//! Replies: from values to bytes (`encoder`) and back (`decoder`, `value`).

mod decoder;
mod encoder;
mod error;
mod value;

pub use decoder::ReplyDecoder;
pub use encoder::{Mark, ReplyEncoder, RespVersion};
pub use error::ReplyError;
pub use value::Value;
