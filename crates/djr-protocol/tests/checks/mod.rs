//! What must hold for any bytes at all. Called with made-up ones by `properties.rs` and `smoke.rs`, and with those
//! that a fuzzer finds by `fuzz/fuzz_targets/`. Only the public interface is used.

#![allow(dead_code, reason = "each user needs a part of it")]

mod model;

use bytes::BytesMut;
use djr_protocol::{
    Batch, Limits, ProtocolError, ReplyDecoder, ReplyError, RequestDecoder, RespVersion, Value,
};

/// A request's arguments, and its bytes if it was RESP.
pub(crate) type Decoded = (Vec<Vec<u8>>, Option<Vec<u8>>);

/// All requests of a stream, and the error that ended it, if any.
pub(crate) type Stream = (Vec<Decoded>, Option<ProtocolError>);

/// The requests and the error do not depend on how the bytes are split, nor on whether they are decoded
/// one at a time; and they are those of the model, which looks at the whole stream and takes no short cuts.
///
/// `cuts` says how many bytes come at once; it is started over when used up.
pub(crate) fn decode_split(stream: &[u8], cuts: &[u8], limits: &Limits) {
    let expected = model::requests(stream, limits);
    assert_eq!(requests(stream, &[], limits, false), expected, "at once");
    assert_eq!(
        requests(stream, cuts, limits, false),
        expected,
        "split by {cuts:?}"
    );
    assert_eq!(
        requests(stream, cuts, limits, true),
        expected,
        "one request at a time, split by {cuts:?}"
    );
    if stream.len() < 4096 {
        assert_eq!(
            requests(stream, &[1], limits, false),
            expected,
            "byte by byte"
        );
    }
}

/// Decodes as a server does: what is left over goes to the front of the buffer.
fn requests(stream: &[u8], cuts: &[u8], limits: &Limits, one_at_a_time: bool) -> Stream {
    let (mut decoder, mut batch) = (RequestDecoder::new(), Batch::new());
    let (mut buffer, mut decoded) = (Vec::new(), Vec::new());
    for piece in pieces(stream, cuts) {
        let missing = decoder.missing();
        buffer.extend_from_slice(piece);
        loop {
            batch.clear();
            let taken = if one_at_a_time {
                decoder.decode_one(&buffer, limits, &mut batch)
            } else {
                decoder.decode(&buffer, limits, &mut batch)
            };
            for (index, request) in batch.iter(&buffer).enumerate() {
                assert!(
                    missing <= piece.len(),
                    "complete before the {missing} missing bytes had come"
                );
                let args: Vec<Vec<u8>> = request.iter().map(<[u8]>::to_vec).collect();
                // What is passed on as it came is what encoding the arguments would make.
                let came = &buffer[batch.raw_range(index)];
                let mut canonical = Vec::new();
                let parts: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
                djr_protocol::encode_command(&mut canonical, &parts);
                let is_canonical = !batch.is_inline(index) && came == canonical;
                assert_eq!(request.raw().is_some(), is_canonical);
                let kept = request.to_buf();
                assert_eq!(kept.as_request().iter().collect::<Vec<_>>(), args);
                if let Some(raw) = request.raw() {
                    assert_eq!(raw, &buffer[batch.raw_range(index)]);
                    assert_eq!(kept.as_request().raw(), Some(raw));
                }
                decoded.push((args, request.raw().map(<[u8]>::to_vec)));
            }
            match taken {
                Ok(taken) => {
                    buffer.drain(..taken);
                    let stopped = one_at_a_time && !batch.is_empty();
                    assert_eq!(decoder.missing() == 0, buffer.is_empty() || stopped);
                    if taken == 0 || buffer.is_empty() {
                        break;
                    }
                }
                Err(error) => return (decoded, Some(error)),
            }
        }
    }
    (decoded, None)
}

/// The values and the error do not depend on how the bytes are split; and what was decoded, encoded in RESP3 and decoded
/// again, is the same.
pub(crate) fn decode_reply(stream: &[u8], cuts: &[u8], limits: &Limits) {
    let (values, error) = replies(stream, &[], limits);
    let expected = (format!("{values:?}"), error); // as text, so that NaN equals itself
    for cuts in [cuts, &[1]] {
        let (values, error) = replies(stream, cuts, limits);
        assert_eq!(
            (format!("{values:?}"), error),
            expected,
            "split by {cuts:?}"
        );
    }
    for value in values {
        let again = replies(&value.to_bytes(RespVersion::V3), &[], &Limits::default());
        assert_eq!(
            format!("{again:?}"),
            format!("{:?}", (vec![in_resp3(value)], None::<ReplyError>))
        );
    }
}

/// Decodes as a client does.
pub(crate) fn replies(
    stream: &[u8],
    cuts: &[u8],
    limits: &Limits,
) -> (Vec<Value>, Option<ReplyError>) {
    let (mut decoder, mut input, mut values) = (ReplyDecoder::new(), BytesMut::new(), Vec::new());
    for piece in pieces(stream, cuts) {
        let missing = decoder.missing();
        input.extend_from_slice(piece);
        loop {
            match decoder.decode(&mut input, limits) {
                Ok(Some(value)) => {
                    assert!(
                        missing <= piece.len(),
                        "complete before the {missing} missing bytes had come"
                    );
                    assert!(!decoder.is_partial());
                    values.push(value);
                }
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(
                        decoder.decode(&mut input, limits),
                        Err(error),
                        "an error stays"
                    );
                    return (values, Some(error));
                }
            }
        }
    }
    (values, None)
}

/// What is left of a value when it goes through a RESP3 connection: there is only one null.
pub(crate) fn in_resp3(value: Value) -> Value {
    let all = |items: Vec<Value>| items.into_iter().map(in_resp3).collect();
    let both = |pairs: Vec<(Value, Value)>| {
        pairs
            .into_iter()
            .map(|(key, value)| (in_resp3(key), in_resp3(value)))
            .collect()
    };
    match value {
        Value::NullArray => Value::Null,
        Value::Array(items) => Value::Array(all(items)),
        Value::Set(items) => Value::Set(all(items)),
        Value::Push(items) => Value::Push(all(items)),
        Value::Map(pairs) => Value::Map(both(pairs)),
        Value::Attributed { attributes, value } => Value::Attributed {
            attributes: both(attributes),
            value: Box::new(in_resp3(*value)),
        },
        other => other,
    }
}

/// `stream` in pieces of `cuts` bytes, started over when used up; without cuts in one piece.
fn pieces<'a>(stream: &'a [u8], cuts: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let mut sizes = cuts.iter().cycle();
    let mut rest = stream;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let size = sizes
            .next()
            .map_or(rest.len(), |size| usize::from(*size).max(1));
        let (piece, behind) = rest.split_at(size.min(rest.len()));
        rest = behind;
        Some(piece)
    })
}
