//! Cutting a client's byte stream into requests.
//!
//! ```text
//!   *2 \r\n   $3 \r\n GET \r\n   $1 \r\n k \r\n       a request: what clients send
//!   └ count   └ length └ arg 0   └ length └ arg 1
//!
//!   GET k \r\n                                        an inline request: what people type
//! ```
//!
//! Invariant: however the same bytes are split into reads, the same requests come out, and no byte (but the few of the lines in a
//! partial request that is short)
//! is scanned twice. What a partial request has already given away (its argument ranges, how many are
//! still to come, how far the current line has been searched) stays in the decoder.
//!
//! Redis's ways with odd input are kept: the byte after a header's `\r` and the two after an argument
//! are skipped unseen; a NUL in a line hides the rest of it, so that the line never ends.

use super::batch::{Batch, Form, Span};
use super::error::ProtocolError;
use super::inline;
use crate::limits::{Limits, UNAUTHENTICATED_ARGS_MAX, UNAUTHENTICATED_BULK_LEN_MAX};
use crate::number::parse_integer;

/// What a partial request waits for. Places are counted from the request's first byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// The line at `place`: of an inline request or a count (then `args_left` is 0), or of an argument's length.
    #[default]
    Line,
    /// The argument of this many bytes that begins at `place`.
    Bulk(usize),
}

/// Cuts a client's byte stream into requests, without IO and without copies.
///
/// The caller keeps the bytes. It hands in all that has come and is told how many of them the whole requests took; the
/// rest, the beginning of one more request, has to be at the start of the next input:
///
/// ```
/// use djr_protocol::{Batch, Limits, RequestDecoder};
///
/// let mut buffer = b"*1\r\n$4\r\nPING\r\n*2\r\n$4\r\nECHO\r\n$5\r\nhe".to_vec();
/// let (mut decoder, mut batch) = (RequestDecoder::new(), Batch::new());
///
/// let taken = decoder.decode(&buffer, &Limits::default(), &mut batch)?;
/// assert_eq!(batch.len(), 1);
/// assert_eq!(decoder.missing(), 5); // "llo\r\n"
///
/// batch.clear();
/// buffer.drain(..taken);
/// buffer.extend_from_slice(b"llo\r\n");
/// let taken = decoder.decode(&buffer, &Limits::default(), &mut batch)?;
/// assert_eq!(batch.request(0, &buffer).args(1), b"hello");
/// assert_eq!(taken, buffer.len());
/// # Ok::<(), djr_protocol::ProtocolError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct RequestDecoder {
    stage: Stage,
    /// Where in the partial request the line or argument of `stage` begins.
    place: usize,
    /// How many bytes of the line have been searched for its end.
    searched: usize,
    /// Arguments still to come.
    args_left: usize,
    /// The arguments of the partial request that are complete.
    args: Vec<Span>,
    /// Bytes that the current line or argument still needs.
    missing: usize,
}

impl RequestDecoder {
    /// A decoder at the start of a stream.
    #[must_use]
    pub fn new() -> RequestDecoder {
        RequestDecoder::default()
    }

    /// Appends every whole request in `input` to `batch` and returns how many bytes they took; the
    /// rest begins the next call's input.
    ///
    /// Requests without arguments (`*0`, `*-1`, an empty line) are skipped, as Redis does.
    ///
    /// # Errors
    /// After an error the place in the stream is lost. The requests before it are in the batch: they
    /// are executed, then the error is sent and the connection closed.
    pub fn decode(
        &mut self,
        input: &[u8],
        limits: &Limits,
        batch: &mut Batch,
    ) -> Result<usize, ProtocolError> {
        self.run(input, limits, batch, usize::MAX)
    }

    /// Like [`decode`](RequestDecoder::decode), but stops after one request: for a session whose limits or
    /// protocol may change with each of them (before `AUTH`, say).
    ///
    /// # Errors
    /// As [`decode`](RequestDecoder::decode).
    pub fn decode_one(
        &mut self,
        input: &[u8],
        limits: &Limits,
        batch: &mut Batch,
    ) -> Result<usize, ProtocolError> {
        self.run(input, limits, batch, 1)
    }

    /// A lower bound of the bytes that the partial request still needs; 0 if there is none.
    ///
    /// It is exact for the rest of a large argument, so that room for it can be made at once. It comes from the client,
    /// though within [`Limits`]: whoever reserves that much memory bounds it first.
    #[inline]
    #[must_use]
    pub fn missing(&self) -> usize {
        self.missing
    }

    fn run(
        &mut self,
        input: &[u8],
        limits: &Limits,
        batch: &mut Batch,
        requests_max: usize,
    ) -> Result<usize, ProtocolError> {
        // Ranges are 32 bits wide, so no request may reach beyond.
        let window = input.get(..u32::MAX as usize).unwrap_or(input);
        let batch_len = batch.len();
        let mut taken = 0;
        if self.missing > 0 {
            match self.resume(window, limits, batch)? {
                Some(end) => taken = end,
                None if window.len() < input.len() => return Err(ProtocolError::TooBigRequest),
                None => return Ok(0),
            }
        }
        let short = ShortLimits::new(limits);
        while batch.len() - batch_len < requests_max
            && let Some(&first) = window.get(taken)
        {
            let args_start = batch.args.len();
            if let Some(end) = plain_request(window, taken, short, &mut batch.args) {
                batch.close(args_start, Span::new(taken, end), Form::Whole);
                taken = end;
                continue;
            }
            let end = if first == b'*' {
                self.multibulk(window, taken, limits, short, &mut batch.args)
            } else {
                self.inline(window, taken, limits, batch)
            };
            match end {
                Ok(Some(end)) => {
                    if batch.args.len() > args_start {
                        let form = if first == b'*' {
                            Form::Loose
                        } else {
                            Form::Inline
                        };
                        batch.close(args_start, Span::new(taken, end), form);
                    }
                    taken = end;
                }
                Ok(None) => {
                    self.args.clear();
                    self.args
                        .extend(batch.args.drain(args_start..).map(|span| span.since(taken)));
                    if taken == 0 && window.len() < input.len() {
                        return Err(ProtocolError::TooBigRequest);
                    }
                    break;
                }
                Err(error) => {
                    batch.args.truncate(args_start);
                    return Err(error);
                }
            }
        }
        Ok(taken)
    }

    /// The whole request at `start`, which begins with `*`: where it ends, or `None` if it is partial.
    #[inline(always)]
    fn multibulk(
        &mut self,
        input: &[u8],
        start: usize,
        limits: &Limits,
        short: ShortLimits,
        args: &mut Vec<Span>,
    ) -> Result<Option<usize>, ProtocolError> {
        let (count, at) = match short_line(input, start) {
            Some((_, count, after)) if count <= short.args_max => (count, after),
            _ => match self.count(input, start, limits)? {
                Some(count) => count,
                None => return Ok(None),
            },
        };
        self.arguments(input, start, at, count, limits, short, args)
    }

    /// `left` arguments from `at` on, of the request at `start`.
    #[inline(always)]
    #[expect(
        clippy::too_many_arguments,
        reason = "one loop in two places; a struct of these is slower"
    )]
    fn arguments(
        &mut self,
        input: &[u8],
        start: usize,
        mut at: usize,
        mut left: usize,
        limits: &Limits,
        short: ShortLimits,
        args: &mut Vec<Span>,
    ) -> Result<Option<usize>, ProtocolError> {
        while left > 0 {
            let (len, place) = match short_line(input, at) {
                Some((b'$', len, after)) if len <= short.bulk_len_max => (len, after),
                _ => match self.length(input, start, at, limits)? {
                    Some(length) => length,
                    None => {
                        self.args_left = left;
                        return Ok(None);
                    }
                },
            };
            let end = place.saturating_add(len);
            // The two bytes after the argument are a line end; Redis does not look at them either.
            let after = end.saturating_add(2);
            if after > input.len() {
                self.args_left = left;
                self.wait_for_bulk(place - start, len, after - input.len());
                return Ok(None);
            }
            args.push(Span::new(place, end));
            at = after;
            left -= 1;
        }
        Ok(Some(at))
    }

    /// Goes on with the partial request, which begins at the start of `input`: where it ends, if it does now.
    #[cold]
    fn resume(
        &mut self,
        input: &[u8],
        limits: &Limits,
        batch: &mut Batch,
    ) -> Result<Option<usize>, ProtocolError> {
        let inline = input.first() != Some(&b'*');
        let args_start = batch.args.len();
        let end = if inline {
            self.inline(input, 0, limits, batch)?
        } else {
            let mut args = std::mem::take(&mut self.args);
            let end = self.resume_multibulk(input, limits, &mut args);
            self.args = args;
            end?
        };
        if let Some(end) = end {
            batch.args.append(&mut self.args);
            self.missing = 0;
            if batch.args.len() > args_start {
                let form = if inline { Form::Inline } else { Form::Loose };
                batch.close(args_start, Span::new(0, end), form);
            }
        }
        Ok(end)
    }

    fn resume_multibulk(
        &mut self,
        input: &[u8],
        limits: &Limits,
        args: &mut Vec<Span>,
    ) -> Result<Option<usize>, ProtocolError> {
        let (at, left) = if self.args_left == 0 {
            match self.count(input, 0, limits)? {
                Some((count, after)) => (after, count),
                None => return Ok(None),
            }
        } else {
            let length = match self.stage {
                Stage::Line => self.length(input, 0, self.place, limits)?,
                Stage::Bulk(len) => Some((len, self.place)),
            };
            let Some((len, place)) = length else {
                return Ok(None);
            };
            let end = place.saturating_add(len);
            let after = end.saturating_add(2);
            if after > input.len() {
                self.wait_for_bulk(place, len, after - input.len());
                return Ok(None);
            }
            args.push(Span::new(place, end));
            (after, self.args_left - 1)
        };
        self.arguments(input, 0, at, left, limits, ShortLimits::new(limits), args)
    }

    /// The `*` line at `start`: the count, and where the line ends.
    #[cold]
    fn count(
        &mut self,
        input: &[u8],
        start: usize,
        limits: &Limits,
    ) -> Result<Option<(usize, usize)>, ProtocolError> {
        self.args_left = 0;
        let Some(end) = self.header(
            input,
            start,
            start,
            limits,
            ProtocolError::TooBigMultibulkCount,
        )?
        else {
            return Ok(None);
        };
        let count = input.get(start + 1..end).and_then(parse_integer);
        let count = count.ok_or(ProtocolError::InvalidMultibulkLength)?;
        let count = usize::try_from(count).unwrap_or(0); // negative: no arguments
        if count > limits.args_max {
            return Err(ProtocolError::InvalidMultibulkLength);
        }
        if count > UNAUTHENTICATED_ARGS_MAX && !limits.authenticated {
            return Err(ProtocolError::UnauthenticatedMultibulkLength);
        }
        Ok(Some((count, end + 2)))
    }

    /// The `$` line at `at`, of the request at `start`: the length, and where the line ends.
    #[cold]
    fn length(
        &mut self,
        input: &[u8],
        start: usize,
        at: usize,
        limits: &Limits,
    ) -> Result<Option<(usize, usize)>, ProtocolError> {
        let Some(end) = self.header(input, start, at, limits, ProtocolError::TooBigBulkCount)?
        else {
            return Ok(None);
        };
        match input.get(at) {
            Some(b'$') | None => {}
            Some(&other) => return Err(ProtocolError::ExpectedBulk(other)),
        }
        let len = input.get(at + 1..end).and_then(parse_integer);
        let len = len
            .and_then(|len| usize::try_from(len).ok())
            .ok_or(ProtocolError::InvalidBulkLength)?;
        if len > limits.bulk_len_max {
            return Err(ProtocolError::InvalidBulkLength);
        }
        if len > UNAUTHENTICATED_BULK_LEN_MAX && !limits.authenticated {
            return Err(ProtocolError::UnauthenticatedBulkLength);
        }
        Ok(Some((len, end + 2)))
    }

    /// The place of the `\r` that ends the line at `at`, once the byte behind it is there too.
    fn header(
        &mut self,
        input: &[u8],
        start: usize,
        at: usize,
        limits: &Limits,
        too_big: ProtocolError,
    ) -> Result<Option<usize>, ProtocolError> {
        let end = self.line_end(input, start, at, b'\r', limits.inline_len_max, too_big)?;
        if let Some(end) = end
            && end + 1 >= input.len()
        {
            self.wait_for_line(start, at, end - at);
            return Ok(None);
        }
        Ok(end)
    }

    /// The inline request at `start`.
    fn inline(
        &mut self,
        input: &[u8],
        start: usize,
        limits: &Limits,
        batch: &mut Batch,
    ) -> Result<Option<usize>, ProtocolError> {
        self.args_left = 0;
        let too_big = ProtocolError::TooBigInline;
        let Some(end) =
            self.line_end(input, start, start, b'\n', limits.inline_len_max, too_big)?
        else {
            return Ok(None);
        };
        let line = input.get(start..end).unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        inline::split(line, &mut batch.side, &mut batch.args)?;
        Ok(Some(end + 1))
    }

    /// Searches for the byte that ends the line at `at`, from where the last search stopped.
    ///
    /// Whether a line is too long depends on its bytes alone, not on how many of them are there:
    /// its end must be among the first `line_len_max + 1`.
    fn line_end(
        &mut self,
        input: &[u8],
        start: usize,
        at: usize,
        terminator: u8,
        line_len_max: usize,
        too_big: ProtocolError,
    ) -> Result<Option<usize>, ProtocolError> {
        let line = input.get(at..).unwrap_or_default();
        let unseen = line.get(self.searched..).unwrap_or_default();
        let stop = unseen
            .iter()
            .position(|&byte| byte == terminator || byte == 0);
        let seen = self.searched + stop.unwrap_or(unseen.len());
        let ended = stop.is_some() && line.get(seen) == Some(&terminator);
        if if ended {
            seen > line_len_max
        } else {
            line.len() > line_len_max
        } {
            return Err(too_big);
        }
        if ended {
            self.searched = 0;
            Ok(Some(at + seen))
        } else {
            self.wait_for_line(start, at, seen);
            Ok(None)
        }
    }

    fn wait_for_bulk(&mut self, place: usize, len: usize, missing: usize) {
        self.stage = Stage::Bulk(len);
        self.place = place;
        self.missing = missing;
    }

    fn wait_for_line(&mut self, start: usize, at: usize, searched: usize) {
        self.stage = Stage::Line;
        self.place = at - start;
        self.searched = searched;
        self.missing = 1;
    }
}

/// What a short line may say without a look at all of [`Limits`].
#[derive(Clone, Copy)]
struct ShortLimits {
    args_max: usize,
    bulk_len_max: usize,
}

impl ShortLimits {
    fn new(limits: &Limits) -> ShortLimits {
        let Limits {
            args_max,
            bulk_len_max,
            ..
        } = *limits;
        if limits.authenticated {
            ShortLimits {
                args_max,
                bulk_len_max,
            }
        } else {
            ShortLimits {
                args_max: args_max.min(UNAUTHENTICATED_ARGS_MAX),
                bulk_len_max: bulk_len_max.min(UNAUTHENTICATED_BULK_LEN_MAX),
            }
        }
    }
}

/// A request as nearly all are: whole, of less than ten arguments below 1000 bytes, each with its line ends. Returns where it ends;
/// of any other nothing is kept, and it is left to the long way.
#[inline(always)]
fn plain_request(
    input: &[u8],
    start: usize,
    short: ShortLimits,
    args: &mut Vec<Span>,
) -> Option<usize> {
    let [b'*', count, b'\r', b'\n', rest @ ..] = input.get(start..)? else {
        return None;
    };
    let count = usize::from(count.wrapping_sub(b'1')) + 1;
    if count > short.args_max.min(9) {
        return None;
    }
    let args_start = args.len();
    let mut at = input.len() - rest.len();
    for _ in 0..count {
        let Some((place, end)) = plain_argument(input, at, short) else {
            args.truncate(args_start);
            return None;
        };
        args.push(Span::new(place, end));
        at = end + 2;
    }
    Some(at)
}

/// The argument whose line is at `at`: where it begins and ends, if it is whole and short and has its line ends.
#[inline(always)]
fn plain_argument(input: &[u8], at: usize, short: ShortLimits) -> Option<(usize, usize)> {
    // No argument takes fewer bytes, line ends included.
    let line: &[u8; 6] = input.get(at..)?.first_chunk()?;
    let digit = |index: usize| usize::from(line[index].wrapping_sub(b'0'));
    let ends = |index: usize| line[index] == b'\r' && line[index + 1] == b'\n';
    let mut len = digit(1);
    if line[0] != b'$' || len > 9 {
        return None;
    }
    let mut digits = 1;
    while !ends(digits + 1) {
        digits += 1;
        if digits > 3 || len == 0 || digit(digits) > 9 {
            return None;
        }
        len = len * 10 + digit(digits);
    }
    let place = at + digits + 3;
    let end = place + len;
    (len <= short.bulk_len_max && input.get(end..end + 2) == Some(b"\r\n")).then_some((place, end))
}

/// The way nearly every `*` and `$` line goes: one to four digits without a leading zero, and bytes behind it.
/// Returns the first byte, the number, and where the line ends; anything else is left to the long way.
#[inline(always)]
fn short_line(input: &[u8], at: usize) -> Option<(u8, usize, usize)> {
    let line: &[u8; 7] = input.get(at..)?.first_chunk()?;
    let digit = |index: usize| usize::from(line[index].wrapping_sub(b'0'));
    let mut number = digit(1);
    if number > 9 {
        return None;
    }
    if line[2] == b'\r' {
        return Some((line[0], number, at + 4));
    }
    if number == 0 {
        return None;
    }
    for index in 2..5 {
        let next = digit(index);
        if next > 9 {
            return None;
        }
        number = number * 10 + next;
        if line[index + 1] == b'\r' {
            return Some((line[0], number, at + index + 3));
        }
    }
    None
}
