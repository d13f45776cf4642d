//! How Redis reads requests, said as plainly as possible: on the whole stream, without a state, without short cuts.

use djr_protocol::{Limits, ProtocolError, RequestBuf, RequestDecoder};

use super::Stream;

/// All requests of a stream, and the error that ends it, if any.
pub(super) fn requests(stream: &[u8], limits: &Limits) -> Stream {
    let (mut rest, mut decoded) = (stream, Vec::new());
    while !rest.is_empty() {
        let request = if rest[0] == b'*' {
            multibulk(rest, limits)
        } else {
            inline(rest, limits)
        };
        match request {
            Ok(Some((args, len))) => {
                if !args.is_empty() {
                    let parts: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
                    let mut canonical = Vec::new();
                    djr_protocol::encode_command(&mut canonical, &parts);
                    let raw = (rest[..len] == canonical).then_some(canonical);
                    decoded.push((args, raw));
                }
                rest = &rest[len..];
            }
            Ok(None) => break,
            Err(error) => return (decoded, Some(error)),
        }
    }
    (decoded, None)
}

type One = Result<Option<(Vec<Vec<u8>>, usize)>, ProtocolError>;

fn multibulk(stream: &[u8], limits: &Limits) -> One {
    let Some((count, mut at)) = header(stream, 0, limits, ProtocolError::TooBigMultibulkCount)?
    else {
        return Ok(None);
    };
    let count = integer(count).filter(|count| *count <= limits.args_max as i64);
    let count = count.ok_or(ProtocolError::InvalidMultibulkLength)?;
    if count > 10 && !limits.authenticated {
        return Err(ProtocolError::UnauthenticatedMultibulkLength);
    }
    let mut args = Vec::new();
    for _ in 0..count {
        let Some((len, after)) = header(stream, at, limits, ProtocolError::TooBigBulkCount)? else {
            return Ok(None);
        };
        if stream[at] != b'$' {
            return Err(ProtocolError::ExpectedBulk(stream[at]));
        }
        let len = integer(len).and_then(|len| usize::try_from(len).ok());
        let len = len
            .filter(|len| *len <= limits.bulk_len_max)
            .ok_or(ProtocolError::InvalidBulkLength)?;
        if len > 16 * 1024 && !limits.authenticated {
            return Err(ProtocolError::UnauthenticatedBulkLength);
        }
        at = after + len + 2;
        if at > stream.len() {
            return Ok(None);
        }
        args.push(stream[after..after + len].to_vec());
    }
    Ok(Some((args, at)))
}

/// What stands between the type byte at `at` and the line's end; and where the next thing begins.
fn header<'a>(
    stream: &'a [u8],
    at: usize,
    limits: &Limits,
    too_big: ProtocolError,
) -> Result<Option<(&'a [u8], usize)>, ProtocolError> {
    match line_len(&stream[at..], b'\r', limits, too_big)? {
        Some(len) if at + len + 2 <= stream.len() => Ok(Some((
            stream[at..at + len].get(1..).unwrap_or_default(),
            at + len + 2,
        ))),
        _ => Ok(None),
    }
}

fn inline(stream: &[u8], limits: &Limits) -> One {
    let Some(len) = line_len(stream, b'\n', limits, ProtocolError::TooBigInline)? else {
        return Ok(None);
    };
    // Quoting has its own table test, so the decoder's own splitting will do, on exactly this line.
    let (mut decoder, mut batch) = (RequestDecoder::new(), djr_protocol::Batch::new());
    decoder.decode(&stream[..=len], &Limits::default(), &mut batch)?;
    let args = batch.iter(stream).next().map_or(Vec::new(), |request| {
        request.iter().map(<[u8]>::to_vec).collect()
    });
    if !args.is_empty() {
        assert!(
            RequestBuf::from_args(&args)
                .as_request()
                .iter()
                .eq(args.iter().map(Vec::as_slice))
        );
    }
    Ok(Some((args, len + 1)))
}

/// The length of the line up to its end. A NUL hides what follows.
fn line_len(
    line: &[u8],
    end: u8,
    limits: &Limits,
    too_big: ProtocolError,
) -> Result<Option<usize>, ProtocolError> {
    let visible = line.split(|byte| *byte == 0).next().unwrap_or_default();
    match visible.iter().position(|byte| *byte == end) {
        Some(len) if len <= limits.inline_len_max => Ok(Some(len)),
        None if line.len() <= limits.inline_len_max => Ok(None),
        _ => Err(too_big),
    }
}

/// Decimal, and written in the only way that it can be.
fn integer(text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?;
    let number: i64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}
