//! Why a client's bytes are not a request.

use std::fmt;

/// Why the place in a client's stream was lost. `Display` is Redis's text, without the `ERR ` in front.
///
/// There is no way to find the next request after one of these: execute the requests that came
/// before, send the error ([`ReplyEncoder::protocol_error`](crate::ReplyEncoder::protocol_error)), and
/// close the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProtocolError {
    /// The count after `*` is not a number or too large.
    InvalidMultibulkLength,
    /// The length after `$` is not a number, negative or too large.
    InvalidBulkLength,
    /// An argument begins with this byte and not with `$`.
    ExpectedBulk(u8),
    /// The line of a `*` count does not end.
    TooBigMultibulkCount,
    /// The line of a `$` length does not end.
    TooBigBulkCount,
    /// An inline request does not end.
    TooBigInline,
    /// A quote that does not close, or that is followed by something else than a blank.
    UnbalancedQuotes,
    /// More arguments than a client may send before it has authenticated.
    UnauthenticatedMultibulkLength,
    /// A longer argument than a client may send before it has authenticated.
    UnauthenticatedBulkLength,
    /// One request takes 4 GiB or more. (Redis closes such a client earlier, by its query buffer limit.)
    TooBigRequest,
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Protocol error: ")?;
        f.write_str(match self {
            ProtocolError::InvalidMultibulkLength => "invalid multibulk length",
            ProtocolError::InvalidBulkLength => "invalid bulk length",
            ProtocolError::ExpectedBulk(got) => {
                // An error is one line, so Redis prints line ends as blanks.
                let got = if matches!(got, b'\r' | b'\n') {
                    ' '
                } else {
                    char::from(*got)
                };
                return write!(f, "expected '$', got '{got}'");
            }
            ProtocolError::TooBigMultibulkCount => "too big mbulk count string",
            ProtocolError::TooBigBulkCount => "too big bulk count string",
            ProtocolError::TooBigInline => "too big inline request",
            ProtocolError::UnbalancedQuotes => "unbalanced quotes in request",
            ProtocolError::UnauthenticatedMultibulkLength => "unauthenticated multibulk length",
            ProtocolError::UnauthenticatedBulkLength => "unauthenticated bulk length",
            ProtocolError::TooBigRequest => "too big request",
        })
    }
}

impl std::error::Error for ProtocolError {}
