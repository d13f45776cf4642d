//! Writing requests, as a client sends them and a log keeps them.

use crate::wire::{fill_header, push_bulk, push_header};

/// Appends one request.
///
/// ```
/// let mut out = Vec::new();
/// djr_protocol::encode_command(&mut out, &[b"GET", b"key"]);
/// assert_eq!(out, b"*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n");
/// ```
pub fn encode_command(out: &mut Vec<u8>, args: &[&[u8]]) {
    push_header(out, b'*', args.len());
    for arg in args {
        push_bulk(out, arg);
    }
}

/// Writes one request argument by argument, and counts them itself.
///
/// It is complete when the encoder is dropped, or when [`finish`](Self::finish) is called.
///
/// ```
/// use djr_protocol::CommandEncoder;
///
/// let mut out = Vec::new();
/// CommandEncoder::new(&mut out).arg(b"PEXPIREAT").arg(b"key").integer(1_700_000_000_000);
/// assert_eq!(out, b"*3\r\n$9\r\nPEXPIREAT\r\n$3\r\nkey\r\n$13\r\n1700000000000\r\n");
/// ```
#[derive(Debug)]
pub struct CommandEncoder<'a> {
    out: &'a mut Vec<u8>,
    at: usize,
    args: usize,
}

impl<'a> CommandEncoder<'a> {
    /// Begins a request, to be appended to `out`.
    pub fn new(out: &'a mut Vec<u8>) -> CommandEncoder<'a> {
        let at = out.len();
        push_header(out, b'*', 0);
        CommandEncoder { out, at, args: 0 }
    }

    /// Adds an argument.
    #[inline]
    pub fn arg(&mut self, bytes: &[u8]) -> &mut Self {
        push_bulk(self.out, bytes);
        self.args += 1;
        self
    }

    /// Adds the decimal text of `number`.
    #[inline]
    pub fn integer(&mut self, number: i64) -> &mut Self {
        let mut text = [0; 20];
        let start = crate::number::integer_text(number, &mut text);
        self.arg(&text[start..])
    }

    /// Adds the text of `number`, see [`format_double`](crate::format_double).
    pub fn double(&mut self, number: f64) -> &mut Self {
        let mut text = Vec::with_capacity(24);
        crate::number::format_double(number, &mut text);
        self.arg(&text)
    }

    /// How many arguments there are so far.
    #[must_use]
    pub fn count(&self) -> usize {
        self.args
    }

    /// Ends the request, as dropping the encoder does too; this says it aloud and gives the buffer free.
    pub fn finish(self) {}
}

impl Drop for CommandEncoder<'_> {
    fn drop(&mut self) {
        fill_header(self.out, self.at, self.args);
    }
}
