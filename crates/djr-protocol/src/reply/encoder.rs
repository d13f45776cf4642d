//! Writing replies. This is the one place where RESP2 and RESP3 differ.

use crate::number::{format_double, format_integer, integer_text};
use crate::request::ProtocolError;
use crate::wire::{CRLF, fill_header, push_bulk, push_header};

/// Which protocol a connection speaks; `HELLO` changes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RespVersion {
    /// What a connection starts with.
    #[default]
    V2,
    /// After `HELLO 3`: maps, sets, doubles, booleans, pushes and so on have types of their own.
    V3,
}

/// Writes replies into a buffer that it borrows.
///
/// RESP2 has fewer types, so there some replies are written as Redis writes them for an old client:
///
/// | reply | RESP3 | RESP2 |
/// |---|---|---|
/// | [`null`](Self::null), [`null_array`](Self::null_array) | `_` | `$-1`, `*-1` |
/// | [`map`](Self::map) of n pairs | `%n` | `*2n` |
/// | [`set`](Self::set), [`push`](Self::push) | `~n`, `>n` | `*n` |
/// | [`double`](Self::double), [`big_number`](Self::big_number), [`verbatim`](Self::verbatim) | `,` `(` `=` | bulk string |
/// | [`boolean`](Self::boolean) | `#t`, `#f` | `:1`, `:0` |
/// | [`attribute`](Self::attribute) | `\|n` | nothing; see there |
///
/// An aggregate is a header followed by its elements. If their number is known only after they are written, the header
/// can be [filled in later](Self::array_later).
///
/// ```
/// use djr_protocol::{ReplyEncoder, RespVersion};
///
/// let mut out = Vec::new();
/// let mut reply = ReplyEncoder::new(&mut out, RespVersion::V2);
/// reply.map(1);
/// reply.bulk(b"score");
/// reply.double(0.5);
/// assert_eq!(out, b"*2\r\n$5\r\nscore\r\n$3\r\n0.5\r\n");
///
/// out.clear();
/// let mut reply = ReplyEncoder::new(&mut out, RespVersion::V3);
/// reply.map(1);
/// reply.bulk(b"score");
/// reply.double(0.5);
/// assert_eq!(out, b"%1\r\n$5\r\nscore\r\n,0.5\r\n");
/// ```
#[derive(Debug)]
pub struct ReplyEncoder<'a> {
    out: &'a mut Vec<u8>,
    version: RespVersion,
}

/// A header to be filled in by [`ReplyEncoder::finish`], once the number of elements is known.
#[derive(Debug)]
#[must_use = "without `finish` the reply claims to have no elements"]
pub struct Mark {
    /// Where the header begins in the buffer.
    at: usize,
    /// Elements per counted thing: 2 for a map in RESP2.
    width: usize,
}

impl<'a> ReplyEncoder<'a> {
    /// An encoder that appends to `out`.
    #[inline]
    #[must_use]
    pub fn new(out: &'a mut Vec<u8>, version: RespVersion) -> ReplyEncoder<'a> {
        ReplyEncoder { out, version }
    }

    /// What the peer speaks, for the few replies whose shape depends on it.
    #[inline]
    #[must_use]
    pub fn version(&self) -> RespVersion {
        self.version
    }

    /// Changes what the following replies are written in.
    #[inline]
    pub fn set_version(&mut self, version: RespVersion) {
        self.version = version;
    }

    /// How many bytes the buffer holds, those from before included. To be given to [`truncate`](Self::truncate).
    #[inline]
    #[must_use]
    #[expect(
        clippy::len_without_is_empty,
        reason = "a place in the buffer and not a size"
    )]
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// Takes back what was written since the buffer had `len` bytes, for instance to replace a half
    /// written reply by an error.
    #[inline]
    pub fn truncate(&mut self, len: usize) {
        self.out.truncate(len);
    }

    /// Another encoder for the same buffer, to hand to a function that takes one by value.
    #[inline]
    pub fn reborrow(&mut self) -> ReplyEncoder<'_> {
        ReplyEncoder {
            out: self.out,
            version: self.version,
        }
    }

    /// `+OK`
    #[inline]
    pub fn ok(&mut self) {
        self.out.extend_from_slice(b"+OK\r\n");
    }

    /// A simple string: one line, so line ends in `text` become blanks.
    #[inline]
    pub fn simple(&mut self, text: &str) {
        self.line(b'+', text.as_bytes());
    }

    /// Like [`simple`](Self::simple), for a status that needn't be UTF-8.
    #[inline]
    pub fn simple_bytes(&mut self, text: &[u8]) {
        self.line(b'+', text);
    }

    /// An error: all that follows the `-`, so beginning with the code (`ERR`, `WRONGTYPE` …). One line, so line
    /// ends in `text` become blanks; at its end they are left out.
    #[inline]
    pub fn error(&mut self, text: &str) {
        self.error_bytes(text.as_bytes());
    }

    /// Like [`error`](Self::error), for texts that quote what a client sent.
    #[inline]
    pub fn error_bytes(&mut self, mut text: &[u8]) {
        while let [before @ .., b'\r' | b'\n'] = text {
            text = before;
        }
        self.line(b'-', text);
    }

    /// An error that may span lines (`!`); in RESP2 an ordinary one.
    pub fn bulk_error(&mut self, text: &[u8]) {
        match self.version {
            RespVersion::V2 => self.error_bytes(text),
            RespVersion::V3 => {
                push_header(self.out, b'!', text.len());
                self.out.extend_from_slice(text);
                self.out.extend_from_slice(CRLF);
            }
        }
    }

    /// `-ERR Protocol error: …`, the last reply before the connection is closed.
    #[cold]
    pub fn protocol_error(&mut self, error: &ProtocolError) {
        if let ProtocolError::ExpectedBulk(got) = error {
            // The byte itself, which needn't be text.
            let mut text = b"ERR Protocol error: expected '$', got '".to_vec();
            text.extend_from_slice(&[*got, b'\'']);
            self.error_bytes(&text);
        } else {
            self.error(&format!("ERR {error}"));
        }
    }

    /// `:number`
    #[inline]
    pub fn integer(&mut self, number: i64) {
        if (0..10).contains(&number) {
            self.out
                .extend_from_slice(&[b':', b'0' + number as u8, b'\r', b'\n']);
        } else {
            self.number_line(b':', number);
        }
    }

    /// A bulk string.
    #[inline]
    pub fn bulk(&mut self, bytes: &[u8]) {
        push_bulk(self.out, bytes);
    }

    /// A bulk string with the decimal text of `number`.
    #[inline]
    pub fn bulk_integer(&mut self, number: i64) {
        let mut text = [0; 20];
        let start = integer_text(number, &mut text);
        push_bulk(self.out, &text[start..]);
    }

    /// A bulk string with the text of `value`.
    pub fn bulk_display(&mut self, value: impl std::fmt::Display) {
        push_bulk(self.out, value.to_string().as_bytes());
    }

    /// A bulk string in both versions with the text of `number`, see [`format_double`](crate::format_double).
    pub fn bulk_double(&mut self, number: f64) {
        let mut text = Vec::with_capacity(24);
        format_double(number, &mut text);
        push_bulk(self.out, &text);
    }

    /// No value, where a string could have been.
    #[inline]
    pub fn null(&mut self) {
        self.out.extend_from_slice(match self.version {
            RespVersion::V2 => b"$-1\r\n",
            RespVersion::V3 => b"_\r\n",
        });
    }

    /// No value, where an array could have been.
    #[inline]
    pub fn null_array(&mut self) {
        self.out.extend_from_slice(match self.version {
            RespVersion::V2 => b"*-1\r\n",
            RespVersion::V3 => b"_\r\n",
        });
    }

    /// Begins an array: `len` elements follow.
    #[inline]
    pub fn array(&mut self, len: usize) {
        push_header(self.out, b'*', len);
    }

    /// Begins a map: `pairs` times a key and a value follow.
    #[inline]
    pub fn map(&mut self, pairs: usize) {
        match self.version {
            RespVersion::V2 => push_header(self.out, b'*', pairs * 2),
            RespVersion::V3 => push_header(self.out, b'%', pairs),
        }
    }

    /// Begins a set: `len` elements follow.
    #[inline]
    pub fn set(&mut self, len: usize) {
        push_header(self.out, self.kind(b'~'), len);
    }

    /// Begins a message that answers no request (pub/sub, invalidation): `len` elements follow. In RESP2 only
    /// pub/sub has such messages, as arrays.
    #[inline]
    pub fn push(&mut self, len: usize) {
        push_header(self.out, self.kind(b'>'), len);
    }

    /// Begins an attribute: `pairs` times a key and a value follow, then the reply that they are about.
    ///
    /// RESP2 has no place for it. There nothing is written, `false` is returned, and the
    /// pairs must be left out.
    #[inline]
    #[must_use = "in RESP2 the pairs must be left out"]
    pub fn attribute(&mut self, pairs: usize) -> bool {
        match self.version {
            RespVersion::V2 => false,
            RespVersion::V3 => {
                push_header(self.out, b'|', pairs);
                true
            }
        }
    }

    /// A floating point number; for its text see [`format_double`](crate::format_double).
    pub fn double(&mut self, number: f64) {
        match self.version {
            RespVersion::V2 => self.bulk_double(number),
            RespVersion::V3 => {
                self.out.push(b',');
                format_double(number, self.out);
                self.out.extend_from_slice(CRLF);
            }
        }
    }

    pub(super) fn double_text(&mut self, text: &[u8]) {
        match self.version {
            RespVersion::V2 => self.bulk(text),
            RespVersion::V3 => self.line(b',', text),
        }
    }

    /// An integer of any size, given as its decimal digits.
    pub fn big_number(&mut self, digits: &str) {
        self.big_number_bytes(digits.as_bytes());
    }

    pub(super) fn big_number_bytes(&mut self, digits: &[u8]) {
        match self.version {
            RespVersion::V2 => self.bulk(digits),
            RespVersion::V3 => self.line(b'(', digits),
        }
    }

    /// True or false.
    #[inline]
    pub fn boolean(&mut self, value: bool) {
        self.out.extend_from_slice(match (self.version, value) {
            (RespVersion::V2, true) => b":1\r\n",
            (RespVersion::V2, false) => b":0\r\n",
            (RespVersion::V3, true) => b"#t\r\n",
            (RespVersion::V3, false) => b"#f\r\n",
        });
    }

    /// A text for people as it stands. `format` says what it is, in three bytes: `txt` or `mkd`. (Like Redis,
    /// a shorter one is filled up with blanks and a longer one cut.)
    pub fn verbatim(&mut self, format: &str, text: &[u8]) {
        let mut tag = *b"   ";
        for (slot, byte) in tag.iter_mut().zip(format.bytes()) {
            *slot = byte;
        }
        self.verbatim_bytes(tag, text);
    }

    pub(super) fn verbatim_bytes(&mut self, format: [u8; 3], text: &[u8]) {
        match self.version {
            RespVersion::V2 => self.bulk(text),
            RespVersion::V3 => {
                push_header(self.out, b'=', text.len() + format.len() + 1);
                self.out.extend_from_slice(&format);
                self.out.push(b':');
                self.out.extend_from_slice(text);
                self.out.extend_from_slice(CRLF);
            }
        }
    }

    /// Bytes that are an encoded reply, or part of one, already.
    #[inline]
    pub fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// Begins an array whose length is not known yet.
    ///
    /// ```
    /// use djr_protocol::{ReplyEncoder, RespVersion};
    ///
    /// let mut out = Vec::new();
    /// let mut reply = ReplyEncoder::new(&mut out, RespVersion::V2);
    /// let mark = reply.array_later();
    /// let mut even = 0;
    /// for number in (1..=5).filter(|number| number % 2 == 0) {
    ///     reply.integer(number);
    ///     even += 1;
    /// }
    /// reply.finish(mark, even);
    /// assert_eq!(out, b"*2\r\n:2\r\n:4\r\n");
    /// ```
    #[inline]
    pub fn array_later(&mut self) -> Mark {
        self.mark(b'*', 1)
    }

    /// Begins a map whose number of pairs is not known yet.
    #[inline]
    pub fn map_later(&mut self) -> Mark {
        match self.version {
            RespVersion::V2 => self.mark(b'*', 2),
            RespVersion::V3 => self.mark(b'%', 1),
        }
    }

    /// Begins a set whose length is not known yet.
    #[inline]
    pub fn set_later(&mut self) -> Mark {
        self.mark(self.kind(b'~'), 1)
    }

    /// Fills in a header that was put off: `len` elements (for a map: pairs) have been written since.
    ///
    /// Marks are finished inside out, the one that was made last first. Up to nine elements this costs
    /// nothing; beyond, what was written since is moved by a few bytes.
    ///
    /// # Panics
    /// If the buffer was cut back to before the mark.
    pub fn finish(&mut self, mark: Mark, len: usize) {
        fill_header(self.out, mark.at, len * mark.width);
    }

    fn mark(&mut self, kind: u8, width: usize) -> Mark {
        let at = self.out.len();
        push_header(self.out, kind, 0);
        Mark { at, width }
    }

    /// `kind` in RESP3, an array in RESP2.
    #[inline]
    fn kind(&self, kind: u8) -> u8 {
        match self.version {
            RespVersion::V2 => b'*',
            RespVersion::V3 => kind,
        }
    }

    fn number_line(&mut self, kind: u8, number: i64) {
        self.out.reserve(24);
        self.out.push(kind);
        format_integer(number, self.out);
        self.out.extend_from_slice(CRLF);
    }

    #[inline]
    fn line(&mut self, kind: u8, text: &[u8]) {
        self.out.reserve(text.len() + 3);
        self.out.push(kind);
        let start = self.out.len();
        self.out.extend_from_slice(text);
        for byte in self.out.iter_mut().skip(start) {
            if matches!(*byte, b'\r' | b'\n') {
                *byte = b' ';
            }
        }
        self.out.extend_from_slice(CRLF);
    }
}
