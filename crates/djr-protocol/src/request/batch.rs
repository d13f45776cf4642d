//! The requests of one read, as ranges into the bytes that were read.

use std::ops::Range;

use crate::wire::{CRLF, push_bulk, push_header};

/// Where an argument lies. Half the size of a `Range<usize>`: arguments of a whole pipeline stay in L1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// Both below 2^32: the decoder looks at that much of its input, and no more.
    #[inline(always)]
    pub(crate) fn new(start: usize, end: usize) -> Span {
        debug_assert!(end <= u32::MAX as usize);
        Span {
            start: start as u32,
            end: end as u32,
        }
    }

    #[inline(always)]
    pub(crate) fn of(self, bytes: &[u8]) -> &[u8] {
        &bytes[self.start as usize..self.end as usize]
    }

    /// The same bytes, seen from `origin`.
    #[inline]
    pub(crate) fn since(self, origin: usize) -> Span {
        let origin = origin as u32;
        Span {
            start: self.start - origin,
            end: self.end - origin,
        }
    }
}

/// One request: which arguments are its own, and which bytes it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    args_start: u32,
    args_end: u32,
    raw: Span,
    form: Form,
}

/// What a request's bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// RESP, with all its line ends.
    Whole,
    /// RESP; the decoder has not looked at all line ends.
    Loose,
    /// A line.
    Inline,
}

/// The requests that one [`decode`](crate::RequestDecoder::decode) found, as ranges into its input.
///
/// Reuse it from read to read: once its vectors have grown to the size of a usual pipeline, decoding
/// allocates nothing. All requests in a batch come from the same input, which is handed in again
/// to look at them; [`clear`](Batch::clear) it before decoding another.
///
/// ```
/// use djr_protocol::{Batch, Limits, RequestDecoder};
///
/// let input = b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\nPING hello\r\n";
/// let mut batch = Batch::new();
/// let taken = RequestDecoder::new().decode(input, &Limits::default(), &mut batch)?;
/// assert_eq!(taken, input.len());
/// assert_eq!(batch.len(), 2);
///
/// let get = batch.request(0, input);
/// assert_eq!((get.len(), get.args(0), get.args(1)), (2, &b"GET"[..], &b"k"[..]));
/// assert_eq!(get.raw(), Some(&input[..20]));
///
/// let ping = batch.request(1, input);
/// assert_eq!(ping.args(1), b"hello");
/// assert_eq!(ping.raw(), None); // inline: its bytes are not RESP
/// # Ok::<(), djr_protocol::ProtocolError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Batch {
    pub(super) args: Vec<Span>,
    entries: Vec<Entry>,
    /// Arguments of inline requests, unquoted.
    pub(super) side: Vec<u8>,
}

impl Batch {
    /// An empty batch.
    #[must_use]
    pub fn new() -> Batch {
        Batch::default()
    }

    /// Forgets all requests and keeps the memory.
    pub fn clear(&mut self) {
        self.args.clear();
        self.entries.clear();
        self.side.clear();
    }

    /// How many requests there are.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no request.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Request number `index`; `input` is what was given to the decoder.
    ///
    /// # Panics
    /// If `index` is not below [`len`](Batch::len), or `input` is shorter than what was decoded.
    #[inline]
    #[must_use]
    pub fn request<'a>(&'a self, index: usize, input: &'a [u8]) -> Request<'a> {
        let entry = self.entries[index];
        let args = &self.args[entry.args_start as usize..entry.args_end as usize];
        let bytes = match entry.form {
            Form::Inline => &self.side,
            _ => input,
        };
        Request {
            args,
            bytes,
            raw: entry.raw,
            form: entry.form,
        }
    }

    /// All requests in order; `input` is what was given to the decoder.
    pub fn iter<'a>(&'a self, input: &'a [u8]) -> impl ExactSizeIterator<Item = Request<'a>> {
        (0..self.len()).map(move |index| self.request(index, input))
    }

    /// Which bytes of the input request number `index` came from, inline or not.
    ///
    /// # Panics
    /// If `index` is not below [`len`](Batch::len).
    #[inline]
    #[must_use]
    pub fn raw_range(&self, index: usize) -> Range<usize> {
        let raw = self.entries[index].raw;
        raw.start as usize..raw.end as usize
    }

    /// Whether request number `index` was sent as a line and not as RESP.
    ///
    /// # Panics
    /// If `index` is not below [`len`](Batch::len).
    #[inline]
    #[must_use]
    pub fn is_inline(&self, index: usize) -> bool {
        self.entries[index].form == Form::Inline
    }

    /// Makes a request of the arguments from `args_start` on.
    #[inline]
    pub(super) fn close(&mut self, args_start: usize, raw: Span, form: Form) {
        // No overflow: each argument took at least two of at most 2^32 bytes of input.
        let (args_start, args_end) = (args_start as u32, self.args.len() as u32);
        self.entries.push(Entry {
            args_start,
            args_end,
            raw,
            form,
        });
    }
}

/// A decoded request: its arguments, the command's name first. There is at least one.
///
/// A view, cheap to copy: it borrows the batch and the input.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    args: &'a [Span],
    /// What `args` are ranges of: the input, or the batch's side buffer for an inline request.
    bytes: &'a [u8],
    /// Where the request lies in the input.
    raw: Span,
    form: Form,
}

impl<'a> Request<'a> {
    /// How many arguments there are, the command's name included.
    #[expect(clippy::len_without_is_empty, reason = "a request is never empty")]
    #[inline(always)]
    #[must_use]
    pub fn len(&self) -> usize {
        self.args.len()
    }

    /// Argument number `index`; 0 is the command's name.
    ///
    /// # Panics
    /// If there are not that many: check the arity first, or use [`get`](Request::get).
    #[inline(always)]
    #[must_use]
    pub fn args(&self, index: usize) -> &'a [u8] {
        self.args[index].of(self.bytes)
    }

    /// Argument number `index`, if there are that many.
    #[inline]
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&'a [u8]> {
        self.args.get(index).map(|span| span.of(self.bytes))
    }

    /// The command's name as it was sent (any case).
    #[inline]
    #[must_use]
    pub fn name(&self) -> &'a [u8] {
        self.args(0)
    }

    /// All arguments in order, the command's name first.
    #[inline]
    pub fn iter(&self) -> Args<'a> {
        Args {
            args: self.args.iter(),
            bytes: self.bytes,
        }
    }

    /// Exactly the RESP bytes that the request came as, to log or to forward without encoding it again.
    ///
    /// `None` for an inline request, and for one whose lines do not all end in CRLF (Redis accepts such requests, as it skips
    /// line ends unseen; but a stricter reader of the log would not): [`encode_command`](crate::encode_command) makes RESP of it.
    #[inline]
    #[must_use]
    pub fn raw(&self) -> Option<&'a [u8]> {
        match self.form {
            Form::Whole => Some(self.raw.of(self.bytes)),
            Form::Loose if self.has_line_ends() => Some(self.raw.of(self.bytes)),
            _ => None,
        }
    }

    /// Whether the bytes between the arguments that decoding has skipped are line ends.
    fn has_line_ends(&self) -> bool {
        let is_end = |at: usize| self.bytes.get(at..at + 2) == Some(CRLF);
        let mut count_digits = 1;
        let mut rest = self.args.len() / 10;
        while rest > 0 {
            count_digits += 1;
            rest /= 10;
        }
        // `*` and the count, then for each argument: its length's line, itself.
        is_end(self.raw.start as usize + 1 + count_digits)
            && self
                .args
                .iter()
                .all(|arg| is_end((arg.start as usize).wrapping_sub(2)) && is_end(arg.end as usize))
    }

    /// A copy that borrows nothing, for a request that has to wait (in a `MULTI` queue, or blocked).
    #[must_use]
    pub fn to_buf(&self) -> RequestBuf {
        match self.raw() {
            Some(raw) => {
                let origin = self.raw.start as usize;
                let args = self.args.iter().map(|span| span.since(origin)).collect();
                RequestBuf {
                    bytes: raw.into(),
                    args,
                }
            }
            None => RequestBuf::from_args(self.iter()),
        }
    }
}

impl std::fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.iter().map(|arg| arg.escape_ascii().to_string()))
            .finish()
    }
}

impl<'a> IntoIterator for Request<'a> {
    type Item = &'a [u8];
    type IntoIter = Args<'a>;

    fn into_iter(self) -> Args<'a> {
        self.iter()
    }
}

/// Iterator over the arguments of a [`Request`].
#[derive(Clone, Debug)]
pub struct Args<'a> {
    args: std::slice::Iter<'a, Span>,
    bytes: &'a [u8],
}

impl<'a> Iterator for Args<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        self.args.next().map(|span| span.of(self.bytes))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.args.size_hint()
    }
}

impl ExactSizeIterator for Args<'_> {}

/// A request that owns its bytes, always as RESP.
///
/// ```
/// use djr_protocol::RequestBuf;
///
/// let del = RequestBuf::from_args([b"DEL", b"key"]);
/// assert_eq!(del.as_request().args(1), b"key");
/// assert_eq!(del.as_request().raw(), Some(&b"*2\r\n$3\r\nDEL\r\n$3\r\nkey\r\n"[..]));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct RequestBuf {
    bytes: Box<[u8]>,
    args: Box<[Span]>,
}

impl std::fmt::Debug for RequestBuf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.as_request().fmt(f)
    }
}

impl RequestBuf {
    /// A request with these arguments, for code that makes commands itself (a script, a test).
    ///
    /// # Panics
    /// If there is no argument, or if they take 4 GiB or more.
    pub fn from_args<I>(args: I) -> RequestBuf
    where
        I: IntoIterator<Item: AsRef<[u8]>, IntoIter: ExactSizeIterator>,
    {
        let args = args.into_iter();
        assert!(args.len() > 0, "a request has at least a command's name");
        let mut bytes = Vec::new();
        let mut spans = Vec::with_capacity(args.len());
        push_header(&mut bytes, b'*', args.len());
        for arg in args {
            push_bulk(&mut bytes, arg.as_ref());
            let end = bytes.len() - CRLF.len();
            assert!(
                u32::try_from(end).is_ok(),
                "a request is shorter than 4 GiB"
            );
            spans.push(Span::new(end - arg.as_ref().len(), end));
        }
        RequestBuf {
            bytes: bytes.into(),
            args: spans.into(),
        }
    }

    /// The view that all code for requests takes.
    #[inline]
    #[must_use]
    pub fn as_request(&self) -> Request<'_> {
        Request {
            args: &self.args,
            bytes: &self.bytes,
            raw: Span::new(0, self.bytes.len()),
            form: Form::Whole,
        }
    }
}
