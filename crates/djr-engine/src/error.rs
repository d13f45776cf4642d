//! Why a command was refused.

/// Why a command was refused. `Display` is exactly the text after the `-` of the error reply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the texts say it")]
pub enum CommandError {
    #[error("ERR wrong number of arguments for '{0}' command")]
    Arity(String),
    #[error("ERR syntax error")]
    Syntax,
    #[error("ERR value is not an integer or out of range")]
    NotAnInteger,
    #[error("ERR value is out of range")]
    OutOfRange,
    #[error("ERR value is out of range, must be positive")]
    NotPositive,
    #[error("ERR value is not a valid float")]
    NotAFloat,
    #[error("ERR increment or decrement would overflow")]
    Overflow,
    #[error("ERR decrement would overflow")]
    DecrementOverflow,
    #[error("ERR increment would produce NaN or Infinity")]
    NanOrInfinity,
    #[error("WRONGTYPE Operation against a key holding the wrong kind of value")]
    WrongType,
    #[error("ERR no such key")]
    NoSuchKey,
    #[error("ERR index out of range")]
    IndexOutOfRange,
    #[error("ERR source and destination objects are the same")]
    SameObject,
    #[error("ERR DB index is out of range")]
    DbIndex,
    #[error("ERR invalid DB index")]
    InvalidDbIndex,
    #[error("ERR invalid expire time in '{0}' command")]
    ExpireTime(&'static str),
    #[error("ERR invalid cursor")]
    InvalidCursor,
    #[error("ERR offset is out of range")]
    OffsetOutOfRange,
    #[error("ERR string exceeds maximum allowed size (proto-max-bulk-len)")]
    StringTooLong,
    /// An error with a text of its own, code included (`ERR …`, `NOSCRIPT …`).
    #[error("{0}")]
    Text(std::borrow::Cow<'static, str>),
}

impl CommandError {
    /// An error whose text is known when compiling, code included.
    pub const fn text(text: &'static str) -> Self {
        Self::Text(std::borrow::Cow::Borrowed(text))
    }

    /// An error whose text is made up at run time, code included.
    pub fn format(text: String) -> Self {
        Self::Text(std::borrow::Cow::Owned(text))
    }
}

/// What a client sent, to be quoted in an error: at most `len_max` bytes, and none from a zero byte on, where text ends for Redis.
pub(crate) fn quoted(bytes: &[u8], len_max: usize) -> std::borrow::Cow<'_, str> {
    let len = bytes.iter().position(|byte| *byte == 0);
    let len = len.unwrap_or(bytes.len()).min(len_max);
    String::from_utf8_lossy(&bytes[..len])
}
