//! Reading a server's byte stream.
//!
//! Invariant: however the same bytes are split into reads, the same values come out, and no byte is
//! scanned twice. Bytes are taken out of the caller's buffer as soon as they are understood; aggregates that are
//! not complete wait on a stack, not in recursion. Memory is taken for elements that have come, never for
//! those that a header promises.

use bytes::{Buf, Bytes, BytesMut};

use super::error::ReplyError;
use super::value::Value;
use crate::limits::Limits;
use crate::number::parse_integer;

/// Bytes in a line that holds a number. The longest that servers send is a double in plain digits (some 320).
const NUMBER_LINE_LEN_MAX: usize = 512;

/// Elements that room is made for before they have come.
const ELEMENTS_AHEAD_MAX: usize = 16;

/// Cuts a server's byte stream into [`Value`]s, without IO. Understands RESP2 and RESP3 alike, so it need not be told
/// what was agreed on, RESP3's streamed strings and aggregates included.
///
/// ```
/// use bytes::BytesMut;
/// use djr_protocol::{Limits, ReplyDecoder, Value};
///
/// let (mut decoder, limits) = (ReplyDecoder::new(), Limits::default());
/// let mut input = BytesMut::from(&b"*2\r\n:1\r\n$5\r\nhe"[..]);
/// assert_eq!(decoder.decode(&mut input, &limits)?, None);
/// assert_eq!(decoder.missing(), 5); // "llo\r\n"
///
/// input.extend_from_slice(b"llo\r\n+OK\r\n");
/// let array = decoder.decode(&mut input, &limits)?.expect("complete now");
/// assert_eq!(array, Value::Array(vec![Value::Integer(1), Value::Bulk("hello".into())]));
/// assert_eq!(decoder.decode(&mut input, &limits)?, Some(Value::Simple("OK".into())));
/// assert_eq!(decoder.decode(&mut input, &limits)?, None);
/// # Ok::<(), djr_protocol::ReplyError>(())
/// ```
#[derive(Debug, Default)]
pub struct ReplyDecoder {
    /// The aggregates that the next value is in, outermost first.
    open: Vec<Aggregate>,
    string: StringState,
    /// How many bytes of the line at the start of the input have been searched for its end.
    searched: usize,
    missing: usize,
    failed: Option<ReplyError>,
    keep_double_text: bool,
}

/// A string whose length is known and whose bytes are not there yet.
#[derive(Debug, Default)]
enum StringState {
    #[default]
    None,
    /// `$`, `!`, `=` of this many bytes.
    Whole { kind: u8, len: usize },
    /// `$?`: what has come, between two chunks.
    Chunks(Vec<u8>),
    /// `;`: what has come, and the length of the chunk that begins at the start of the input.
    Chunk { before: Vec<u8>, len: usize },
}

/// An aggregate that has begun.
#[derive(Debug)]
struct Aggregate {
    items: Items,
    /// Values still to come, or `None` if an end marker will say so.
    left: Option<usize>,
}

#[derive(Debug)]
enum Items {
    /// `*`, `~` or `>`.
    List { kind: u8, items: Vec<Value> },
    /// `%` or `|`; `key` waits for its value.
    Pairs {
        kind: u8,
        pairs: Vec<(Value, Value)>,
        key: Option<Value>,
    },
    /// The pairs of a `|` are complete, the value that they are about is to come.
    Attributed {
        attributes: Vec<(Value, Value)>,
        value: Value,
    },
}

/// What one step of the decoder brought.
enum Step {
    Value(Value),
    /// A header or a part of a string; go on.
    Progress,
    /// Not enough bytes.
    Wait,
}

impl ReplyDecoder {
    /// A decoder at the start of a stream.
    #[must_use]
    pub fn new() -> ReplyDecoder {
        ReplyDecoder::default()
    }

    /// From now on yields doubles as [`Value::DoubleText`], digit for digit as they came. For programs that show
    /// replies to people: `3.10` and `3.1` are the same number, and not the same output.
    ///
    /// ```
    /// use djr_protocol::{Limits, ReplyDecoder, Value};
    ///
    /// let mut input = bytes::BytesMut::from(&b",3.10\r\n"[..]);
    /// let reply = ReplyDecoder::new().keep_double_text().decode(&mut input, &Limits::default())?;
    /// assert_eq!(reply, Some(Value::DoubleText("3.10".into())));
    /// # Ok::<(), djr_protocol::ReplyError>(())
    /// ```
    #[must_use]
    pub fn keep_double_text(mut self) -> ReplyDecoder {
        self.keep_double_text = true;
        self
    }

    /// Takes the next value from the front of `input`; `None` if it is not complete yet.
    ///
    /// What is understood is taken out of `input` even then: append what comes next, and call again.
    ///
    /// # Errors
    /// After an error the place in the stream is lost, and every further call returns the same error.
    pub fn decode(
        &mut self,
        input: &mut BytesMut,
        limits: &Limits,
    ) -> Result<Option<Value>, ReplyError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let decoded = self.run(input, limits);
        self.failed = decoded.as_ref().err().copied();
        decoded
    }

    /// A lower bound of the bytes that the value in progress still needs, beyond those in the input; at least 1 unless
    /// a value has just been returned. Exact for the rest of a large string, so that room for it can be made at once.
    #[must_use]
    pub fn missing(&self) -> usize {
        self.missing
    }

    /// Whether a value has begun: the end of the stream would cut it. (The input must be empty, too, for a clean end.)
    #[must_use]
    pub fn is_partial(&self) -> bool {
        !self.open.is_empty() || !matches!(self.string, StringState::None)
    }

    fn run(&mut self, input: &mut BytesMut, limits: &Limits) -> Result<Option<Value>, ReplyError> {
        loop {
            let step = match &self.string {
                StringState::None => self.item(input, limits)?,
                StringState::Whole { kind, len } => {
                    let (kind, len) = (*kind, *len);
                    self.whole_string(input, kind, len)?
                }
                StringState::Chunks(_) => self.chunk_header(input, limits)?,
                StringState::Chunk { .. } => self.chunk(input)?,
            };
            match step {
                Step::Wait => return Ok(None),
                Step::Progress => {}
                Step::Value(value) => {
                    if let Some(value) = self.place(value, limits)? {
                        self.missing = 0;
                        return Ok(Some(value));
                    }
                }
            }
        }
    }

    /// Reads the line that every item begins with.
    fn item(&mut self, input: &mut BytesMut, limits: &Limits) -> Result<Step, ReplyError> {
        let Some(&kind) = input.first() else {
            self.missing = if self.open.is_empty() { 1 } else { 3 };
            return Ok(Step::Wait);
        };
        let len_max = match kind {
            b'+' | b'-' | b'(' => limits.bulk_len_max,
            b':' | b'$' | b'*' | b'%' | b'~' | b'>' | b'|' | b',' | b'#' | b'_' | b'!' | b'='
            | b'.' => NUMBER_LINE_LEN_MAX,
            other => return Err(ReplyError::UnknownType(other)),
        };
        let Some(end) = self.line_end(input, kind, len_max)? else {
            return Ok(Step::Wait);
        };
        let line = input.get(1..end).unwrap_or_default();
        let malformed = ReplyError::Malformed(kind);
        let value = match kind {
            b'+' => return Ok(Step::Value(Value::Simple(take_line(input, end)))),
            b'-' => return Ok(Step::Value(Value::Error(take_line(input, end)))),
            b'(' => {
                if !is_big_number(line) {
                    return Err(malformed);
                }
                return Ok(Step::Value(Value::BigNumber(take_line(input, end))));
            }
            b':' => Value::Integer(parse_text(line).ok_or(malformed)?),
            b',' => {
                let number = parse_text(line).ok_or(malformed)?;
                if self.keep_double_text {
                    return Ok(Step::Value(Value::DoubleText(take_line(input, end))));
                }
                Value::Double(number)
            }
            b'#' => Value::Boolean(match line {
                b"t" => true,
                b"f" => false,
                _ => return Err(malformed),
            }),
            b'_' if line.is_empty() => Value::Null,
            b'_' => return Err(malformed),
            b'.' if line.is_empty() => {
                let closed = self.end_streamed()?;
                input.advance(end + 2);
                return Ok(closed.map_or(Step::Progress, Step::Value));
            }
            b'.' => return Err(malformed),
            b'$' if line == b"-1" => Value::Null,
            b'*' if line == b"-1" => Value::NullArray,
            b'$' if line == b"?" => {
                self.string = StringState::Chunks(Vec::new());
                input.advance(end + 2);
                return Ok(Step::Progress);
            }
            b'$' | b'!' | b'=' => {
                let len = bulk_len(kind, line, 0, limits)?;
                self.string = StringState::Whole { kind, len };
                input.advance(end + 2);
                return Ok(Step::Progress);
            }
            _ => {
                let opened = self.open_aggregate(kind, line, limits)?;
                input.advance(end + 2);
                return Ok(opened.map_or(Step::Progress, Step::Value));
            }
        };
        input.advance(end + 2);
        Ok(Step::Value(value))
    }

    /// The place of the `\r\n` that ends the line at the start of `input`.
    fn line_end(
        &mut self,
        input: &BytesMut,
        kind: u8,
        len_max: usize,
    ) -> Result<Option<usize>, ReplyError> {
        let unseen = input.get(self.searched..).unwrap_or_default();
        let stop = unseen
            .iter()
            .position(|&byte| matches!(byte, b'\r' | b'\n'));
        let end = self.searched + stop.unwrap_or(unseen.len());
        if end > len_max.saturating_add(1) {
            return Err(ReplyError::LineTooLong(kind));
        }
        self.searched = end;
        match (input.get(end), input.get(end + 1)) {
            (None, _) => self.missing = 2,
            (Some(b'\r'), None) => self.missing = 1,
            (Some(b'\r'), Some(b'\n')) => {
                self.searched = 0;
                return Ok(Some(end));
            }
            _ => return Err(ReplyError::MissingLineEnd),
        }
        Ok(None)
    }

    /// Begins an aggregate; returns it if it is complete already, being empty.
    fn open_aggregate(
        &mut self,
        kind: u8,
        line: &[u8],
        limits: &Limits,
    ) -> Result<Option<Value>, ReplyError> {
        let pairs = matches!(kind, b'%' | b'|');
        let left = if line == b"?" {
            None
        } else {
            let len = parse_integer(line).and_then(|len| u64::try_from(len).ok());
            let len = len.ok_or(ReplyError::InvalidLength(kind))?;
            Some(elements(len, limits)?)
        };
        if self.open.len() >= limits.depth_max {
            return Err(ReplyError::TooDeep {
                limit: limits.depth_max,
            });
        }
        let ahead = left.unwrap_or(0).min(ELEMENTS_AHEAD_MAX);
        let items = if pairs {
            Items::Pairs {
                kind,
                pairs: Vec::with_capacity(ahead),
                key: None,
            }
        } else {
            Items::List {
                kind,
                items: Vec::with_capacity(ahead),
            }
        };
        if left == Some(0) {
            return Ok(self.close(items));
        }
        let left = left.map(|left| if pairs { left.saturating_mul(2) } else { left });
        self.open.push(Aggregate { items, left });
        Ok(None)
    }

    /// Ends the innermost aggregate, which is streamed; returns it as [`close`](Self::close) does.
    fn end_streamed(&mut self) -> Result<Option<Value>, ReplyError> {
        match self.open.pop() {
            Some(Aggregate { items, left: None })
                if !matches!(items, Items::Pairs { key: Some(_), .. }) =>
            {
                Ok(self.close(items))
            }
            _ => Err(ReplyError::UnexpectedEnd),
        }
    }

    /// A complete aggregate as a value. Attributes are none yet: they stay open for what they are about.
    fn close(&mut self, items: Items) -> Option<Value> {
        Some(match items {
            Items::List { kind: b'~', items } => Value::Set(items),
            Items::List { kind: b'>', items } => Value::Push(items),
            Items::List { items, .. } => Value::Array(items),
            Items::Pairs {
                kind: b'%', pairs, ..
            } => Value::Map(pairs),
            Items::Pairs {
                pairs: attributes, ..
            } => {
                let items = Items::Attributed {
                    attributes,
                    value: Value::Null,
                };
                self.open.push(Aggregate {
                    items,
                    left: Some(1),
                });
                return None;
            }
            Items::Attributed { attributes, value } => Value::Attributed {
                attributes,
                value: Box::new(value),
            },
        })
    }

    /// Puts `value` where it belongs; returns the outermost value if that is complete now.
    fn place(&mut self, mut value: Value, limits: &Limits) -> Result<Option<Value>, ReplyError> {
        while let Some(innermost) = self.open.last_mut() {
            if !innermost.add(value, limits)? {
                return Ok(None);
            }
            let closed = self
                .open
                .pop()
                .and_then(|complete| self.close(complete.items));
            match closed {
                Some(closed) => value = closed,
                None => return Ok(None),
            }
        }
        Ok(Some(value))
    }

    /// The bytes of a string and its line end.
    fn whole_string(
        &mut self,
        input: &mut BytesMut,
        kind: u8,
        len: usize,
    ) -> Result<Step, ReplyError> {
        if !self.has_string(input, len)? {
            return Ok(Step::Wait);
        }
        self.string = StringState::None;
        let mut bytes = take(input, len);
        Ok(Step::Value(match kind {
            b'$' => Value::Bulk(bytes),
            b'!' => Value::Error(bytes),
            _ => match *bytes {
                [a, b, c, b':', ..] => {
                    bytes.advance(4);
                    Value::Verbatim {
                        format: [a, b, c],
                        text: bytes,
                    }
                }
                _ => return Err(ReplyError::Malformed(kind)),
            },
        }))
    }

    /// `;` and the length of the next chunk of a streamed string; a length of 0 ends it.
    fn chunk_header(&mut self, input: &mut BytesMut, limits: &Limits) -> Result<Step, ReplyError> {
        match input.first() {
            None => {
                self.missing = 4;
                return Ok(Step::Wait);
            }
            Some(b';') => {}
            Some(other) => return Err(ReplyError::UnknownType(*other)),
        }
        let Some(end) = self.line_end(input, b';', NUMBER_LINE_LEN_MAX)? else {
            return Ok(Step::Wait);
        };
        let StringState::Chunks(before) = &mut self.string else {
            return Ok(Step::Progress);
        };
        let len = bulk_len(
            b';',
            input.get(1..end).unwrap_or_default(),
            before.len(),
            limits,
        )?;
        let before = std::mem::take(before);
        input.advance(end + 2);
        if len == 0 {
            self.string = StringState::None;
            return Ok(Step::Value(Value::Bulk(before.into())));
        }
        self.string = StringState::Chunk { before, len };
        Ok(Step::Progress)
    }

    fn chunk(&mut self, input: &mut BytesMut) -> Result<Step, ReplyError> {
        let StringState::Chunk { len, .. } = self.string else {
            return Ok(Step::Progress);
        };
        if !self.has_string(input, len)? {
            return Ok(Step::Wait);
        }
        if let StringState::Chunk { mut before, .. } = std::mem::take(&mut self.string) {
            before.extend_from_slice(&take(input, len));
            self.string = StringState::Chunks(before);
        }
        Ok(Step::Progress)
    }

    /// Whether the `len` bytes of a string and its line end are there.
    fn has_string(&mut self, input: &BytesMut, len: usize) -> Result<bool, ReplyError> {
        let after = len.saturating_add(2);
        if input.len() < after {
            self.missing = after - input.len();
            return Ok(false);
        }
        if input.get(len..after) == Some(b"\r\n") {
            Ok(true)
        } else {
            Err(ReplyError::MissingLineEnd)
        }
    }
}

impl Aggregate {
    /// Adds a value; returns whether the aggregate is complete.
    fn add(&mut self, value: Value, limits: &Limits) -> Result<bool, ReplyError> {
        let len = match &mut self.items {
            Items::List { items, .. } => {
                items.push(value);
                items.len()
            }
            Items::Pairs { pairs, key, .. } => {
                match key.take() {
                    None => *key = Some(value),
                    Some(key) => pairs.push((key, value)),
                }
                pairs.len()
            }
            Items::Attributed { value: about, .. } => {
                *about = value;
                1
            }
        };
        match &mut self.left {
            Some(left) => {
                *left = left.saturating_sub(1);
                Ok(*left == 0)
            }
            None => elements(len as u64, limits).map(|_| false),
        }
    }
}

/// The number of elements, if it is allowed.
fn elements(len: u64, limits: &Limits) -> Result<usize, ReplyError> {
    let too_many = ReplyError::TooManyElements {
        len,
        limit: limits.args_max,
    };
    usize::try_from(len)
        .ok()
        .filter(|len| *len <= limits.args_max)
        .ok_or(too_many)
}

/// The length of a string, if it is allowed after the `before` bytes that have come.
fn bulk_len(kind: u8, line: &[u8], before: usize, limits: &Limits) -> Result<usize, ReplyError> {
    let len = parse_integer(line).and_then(|len| u64::try_from(len).ok());
    let len = len.ok_or(ReplyError::InvalidLength(kind))?;
    let total = len.saturating_add(before as u64);
    let too_long = ReplyError::BulkTooLong {
        len: total,
        limit: limits.bulk_len_max,
    };
    if total > limits.bulk_len_max as u64 {
        return Err(too_long);
    }
    usize::try_from(len).map_err(|_| too_long)
}

fn parse_text<T: std::str::FromStr>(line: &[u8]) -> Option<T> {
    std::str::from_utf8(line).ok()?.parse().ok()
}

fn is_big_number(line: &[u8]) -> bool {
    let digits = line
        .strip_prefix(b"-")
        .or_else(|| line.strip_prefix(b"+"))
        .unwrap_or(line);
    !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
}

/// Takes the `len` bytes at the front of `input`, and the line end behind them.
fn take(input: &mut BytesMut, len: usize) -> Bytes {
    let bytes = input.split_to(len).freeze();
    input.advance(2);
    bytes
}

/// Takes the line at the front of `input`, which ends at `end`, without the type byte.
fn take_line(input: &mut BytesMut, end: usize) -> Bytes {
    input.advance(1);
    take(input, end - 1)
}
