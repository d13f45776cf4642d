//! A decoded reply.

use bytes::Bytes;

use super::encoder::{ReplyEncoder, RespVersion};

/// A reply, as [`ReplyDecoder`](crate::ReplyDecoder) yields it.
///
/// Byte strings are slices of the buffer that the reply arrived in, without a copy. A small one that is kept for
/// long keeps that whole buffer alive; copy it (`Bytes::copy_from_slice`) in that case.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// `+`: a status such as `OK`.
    Simple(Bytes),
    /// `-`, or `!` for one that spans lines: the text after it, beginning with a code.
    Error(Bytes),
    /// `:`
    Integer(i64),
    /// `$`: any bytes.
    Bulk(Bytes),
    /// `$-1`, and RESP3's `_`.
    Null,
    /// `*-1`, RESP2's null where an array could have been.
    NullArray,
    /// `*`
    Array(Vec<Value>),
    /// `%`: pairs in the order they came in.
    Map(Vec<(Value, Value)>),
    /// `~`
    Set(Vec<Value>),
    /// `>`: not a reply but a message, which may come between any two replies.
    Push(Vec<Value>),
    /// `,`
    Double(f64),
    /// `,` as the server wrote it; only from a decoder that was told to
    /// [keep the text](crate::ReplyDecoder::keep_double_text).
    DoubleText(Bytes),
    /// `#`
    Boolean(bool),
    /// `(`: the decimal digits of an integer of any size.
    BigNumber(Bytes),
    /// `=`: text for people.
    Verbatim {
        /// What the text is: `txt` or `mkd`.
        format: [u8; 3],
        /// The text itself.
        text: Bytes,
    },
    /// `|`: a value and what is said about it.
    Attributed {
        /// Pairs in the order they came in.
        attributes: Vec<(Value, Value)>,
        /// The reply itself.
        value: Box<Value>,
    },
}

impl Value {
    /// Whether this is one of the nulls.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null | Value::NullArray)
    }

    /// The bytes, if this is a string of any kind or a big number. Errors are not strings.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Value::Simple(bytes) | Value::Bulk(bytes) | Value::BigNumber(bytes) => Some(bytes),
            Value::Verbatim { text, .. } => Some(text),
            Value::Attributed { value, .. } => value.as_bytes(),
            _ => None,
        }
    }

    /// The integer, if this is one.
    #[must_use]
    pub fn as_integer(&self) -> Option<i64> {
        match self {
            Value::Integer(number) => Some(*number),
            Value::Attributed { value, .. } => value.as_integer(),
            _ => None,
        }
    }

    /// The floating point number, if this is one.
    #[must_use]
    pub fn as_double(&self) -> Option<f64> {
        match self {
            Value::Double(number) => Some(*number),
            Value::DoubleText(text) => std::str::from_utf8(text).ok()?.parse().ok(),
            Value::Attributed { value, .. } => value.as_double(),
            _ => None,
        }
    }

    /// The elements of an array, a set or a push.
    #[must_use]
    pub fn as_slice(&self) -> Option<&[Value]> {
        match self {
            Value::Array(items) | Value::Set(items) | Value::Push(items) => Some(items),
            Value::Attributed { value, .. } => value.as_slice(),
            _ => None,
        }
    }

    /// Writes the value, as a server would have; in RESP2 degraded as [`ReplyEncoder`] says, without attributes.
    ///
    /// ```
    /// use djr_protocol::{ReplyEncoder, RespVersion, Value};
    ///
    /// let mut out = Vec::new();
    /// Value::Array(vec![Value::Integer(1), Value::Null]).encode(&mut ReplyEncoder::new(&mut out, RespVersion::V3));
    /// assert_eq!(out, b"*2\r\n:1\r\n_\r\n");
    /// ```
    pub fn encode(&self, reply: &mut ReplyEncoder<'_>) {
        match self {
            Value::Simple(text) => reply.simple_bytes(text),
            Value::Error(text) if text.iter().any(|byte| matches!(byte, b'\r' | b'\n')) => {
                reply.bulk_error(text)
            }
            Value::Error(text) => reply.error_bytes(text),
            Value::Integer(number) => reply.integer(*number),
            Value::Bulk(bytes) => reply.bulk(bytes),
            Value::Null => reply.null(),
            Value::NullArray => reply.null_array(),
            Value::Array(items) => {
                reply.array(items.len());
                encode_all(items, reply);
            }
            Value::Map(pairs) => {
                reply.map(pairs.len());
                encode_pairs(pairs, reply);
            }
            Value::Set(items) => {
                reply.set(items.len());
                encode_all(items, reply);
            }
            Value::Push(items) => {
                reply.push(items.len());
                encode_all(items, reply);
            }
            Value::Double(number) => reply.double(*number),
            Value::DoubleText(text) => reply.double_text(text),
            Value::Boolean(value) => reply.boolean(*value),
            Value::BigNumber(digits) => reply.big_number_bytes(digits),
            Value::Verbatim { format, text } => reply.verbatim_bytes(*format, text),
            Value::Attributed { attributes, value } => {
                if reply.attribute(attributes.len()) {
                    encode_pairs(attributes, reply);
                }
                value.encode(reply);
            }
        }
    }

    /// The value as bytes, see [`encode`](Value::encode).
    #[must_use]
    pub fn to_bytes(&self, version: RespVersion) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode(&mut ReplyEncoder::new(&mut out, version));
        out
    }
}

fn encode_all(items: &[Value], reply: &mut ReplyEncoder<'_>) {
    for item in items {
        item.encode(reply);
    }
}

fn encode_pairs(pairs: &[(Value, Value)], reply: &mut ReplyEncoder<'_>) {
    for (key, value) in pairs {
        key.encode(reply);
        value.encode(reply);
    }
}
