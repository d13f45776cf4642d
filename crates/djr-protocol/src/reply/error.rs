//! Why a server's bytes are not a reply.

/// Why the place in a server's stream was lost. The connection can't be used any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplyError {
    /// No type begins with this byte.
    #[error("no reply begins with the byte '{}'", .0.escape_ascii())]
    UnknownType(u8),
    /// A line end was expected and something else came.
    #[error("a line end (CRLF) is missing")]
    MissingLineEnd,
    /// The line of an integer, a count, a double and so on is longer than any of these can be.
    #[error("a line is too long for a reply of type '{}'", .0.escape_ascii())]
    LineTooLong(u8),
    /// The line of this type doesn't hold what it should.
    #[error("the value of a reply of type '{}' is malformed", .0.escape_ascii())]
    Malformed(u8),
    /// The length of a string is not a number or negative.
    #[error("the length of a reply of type '{}' is invalid", .0.escape_ascii())]
    InvalidLength(u8),
    /// A string is longer than [`Limits::bulk_len_max`](crate::Limits::bulk_len_max).
    #[error("a string of {len} bytes is longer than the limit of {limit}")]
    BulkTooLong {
        /// Its length in bytes (so far, if it comes in chunks).
        len: u64,
        /// The limit in bytes.
        limit: usize,
    },
    /// An aggregate has more elements than [`Limits::args_max`](crate::Limits::args_max).
    #[error("an aggregate of {len} elements is larger than the limit of {limit}")]
    TooManyElements {
        /// Its number of elements (so far, if it is streamed).
        len: u64,
        /// The limit.
        limit: usize,
    },
    /// Aggregates are nested deeper than [`Limits::depth_max`](crate::Limits::depth_max).
    #[error("aggregates are nested deeper than {limit} levels")]
    TooDeep {
        /// The limit.
        limit: usize,
    },
    /// The end of a streamed aggregate outside of one, or in the middle of a pair or an attribute.
    #[error("the end of a streamed aggregate came where none can end")]
    UnexpectedEnd,
}
