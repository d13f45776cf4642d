//! Round trips and splits with made-up values; what a failure shrinks to is readable.

mod checks;

use bytes::Bytes;
use djr_protocol::{Batch, Limits, RequestDecoder, RespVersion, Value, encode_command};
use proptest::collection::vec;
use proptest::prelude::*;

fn line() -> impl Strategy<Value = Bytes> {
    vec(
        any::<u8>().prop_filter("a line has no end in it", |byte| !b"\r\n".contains(byte)),
        0..20,
    )
    .prop_map(Bytes::from)
}

fn bytes() -> impl Strategy<Value = Bytes> {
    prop_oneof![vec(any::<u8>(), 0..20), vec(any::<u8>(), 90..1200)].prop_map(Bytes::from)
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        line().prop_map(Value::Simple),
        line().prop_map(Value::Error),
        any::<i64>().prop_map(Value::Integer),
        (-20_i64..2000).prop_map(Value::Integer),
        bytes().prop_map(Value::Bulk),
        Just(Value::Null),
        Just(Value::NullArray),
        any::<f64>()
            .prop_filter("equal to itself", |number| !number.is_nan())
            .prop_map(Value::Double),
        any::<bool>().prop_map(Value::Boolean),
        "-?[0-9]{1,40}".prop_map(|digits| Value::BigNumber(digits.into())),
        (any::<[u8; 3]>(), bytes()).prop_map(|(format, text)| Value::Verbatim { format, text }),
    ];
    leaf.prop_recursive(4, 40, 12, |inner| {
        let pairs = vec((inner.clone(), inner.clone()), 0..12);
        prop_oneof![
            vec(inner.clone(), 0..12).prop_map(Value::Array),
            vec(inner.clone(), 0..12).prop_map(Value::Set),
            vec(inner.clone(), 0..12).prop_map(Value::Push),
            pairs.clone().prop_map(Value::Map),
            (pairs, inner).prop_map(|(attributes, value)| Value::Attributed {
                attributes,
                value: Box::new(value)
            }),
        ]
    })
}

/// What is left of a value when it goes through a RESP2 connection.
fn in_resp2(value: &Value) -> Value {
    let all = |items: &[Value]| items.iter().map(in_resp2).collect();
    match value {
        Value::Set(items) | Value::Push(items) | Value::Array(items) => Value::Array(all(items)),
        Value::Map(pairs) => Value::Array(
            pairs
                .iter()
                .flat_map(|(key, value)| [in_resp2(key), in_resp2(value)])
                .collect(),
        ),
        Value::Double(number) => {
            let mut text = Vec::new();
            djr_protocol::format_double(*number, &mut text);
            Value::Bulk(text.into())
        }
        Value::Boolean(value) => Value::Integer(i64::from(*value)),
        Value::BigNumber(text) | Value::Verbatim { text, .. } => Value::Bulk(text.clone()),
        Value::Attributed { value, .. } => in_resp2(value),
        other => other.clone(),
    }
}

proptest! {
    #[test]
    fn values_survive_resp3(values in vec(value(), 0..4), cuts in vec(1_u8.., 0..5)) {
        let stream: Vec<u8> = values.iter().flat_map(|value| value.to_bytes(RespVersion::V3)).collect();
        let expected: Vec<Value> = values.iter().cloned().map(checks::in_resp3).collect();
        prop_assert_eq!(checks::replies(&stream, &cuts, &Limits::default()), (expected, None));
    }

    #[test]
    fn values_survive_resp2(values in vec(value(), 0..4), cuts in vec(1_u8.., 0..5)) {
        let stream: Vec<u8> = values.iter().flat_map(|value| value.to_bytes(RespVersion::V2)).collect();
        let expected: Vec<Value> = values.iter().map(in_resp2).collect();
        prop_assert_eq!(checks::replies(&stream, &cuts, &Limits::default()), (expected, None));
    }

    #[test]
    fn replies_do_not_depend_on_the_split(values in vec(value(), 0..4), cuts in vec(1_u8.., 0..5), place: prop::sample::Index, byte: u8) {
        let mut stream: Vec<u8> = values.iter().flat_map(|value| value.to_bytes(RespVersion::V3)).collect();
        checks::decode_reply(&stream, &cuts, &Limits::default());
        if !stream.is_empty() {
            let place = place.index(stream.len());
            stream[place] = byte;
            checks::decode_reply(&stream, &cuts, &Limits::default());
        }
    }

    #[test]
    fn requests_survive(requests in vec(vec(bytes(), 1..15), 0..5)) {
        let mut stream = Vec::new();
        for request in &requests {
            encode_command(&mut stream, &request.iter().map(|arg| &arg[..]).collect::<Vec<_>>());
        }
        let mut batch = Batch::new();
        let taken = RequestDecoder::new().decode(&stream, &Limits::default(), &mut batch);
        prop_assert_eq!(taken, Ok(stream.len()));
        let decoded: Vec<Vec<Bytes>> = batch
            .iter(&stream)
            .map(|request| request.iter().map(Bytes::copy_from_slice).collect())
            .collect();
        prop_assert_eq!(decoded, requests);
    }

    #[test]
    fn requests_do_not_depend_on_the_split(requests in vec(vec(bytes(), 0..15), 0..5), cuts in vec(1_u8.., 0..5), place: prop::sample::Index, byte: u8) {
        let mut stream = Vec::new();
        for request in &requests {
            encode_command(&mut stream, &request.iter().map(|arg| &arg[..]).collect::<Vec<_>>());
        }
        checks::decode_split(&stream, &cuts, &Limits::default());
        if !stream.is_empty() {
            let place = place.index(stream.len());
            stream[place] = byte;
            checks::decode_split(&stream, &cuts, &Limits::default());
        }
    }

    #[test]
    fn inline_requests_do_not_depend_on_the_split(stream in "([a-c \"'\\\\x0\t]{0,12}\r?\n){0,5}", cuts in vec(1_u8.., 0..5)) {
        checks::decode_split(stream.as_bytes(), &cuts, &Limits::default());
    }

    #[test]
    fn integers_are_read_as_they_are_written(number: i64, text in "-?[0-9]{0,20}") {
        let mut out = Vec::new();
        djr_protocol::format_integer(number, &mut out);
        prop_assert_eq!(&out, &number.to_string().into_bytes());
        prop_assert_eq!(djr_protocol::parse_integer(&out), Some(number));
        let parsed = text.parse::<i64>().ok().filter(|number| number.to_string() == text);
        prop_assert_eq!(djr_protocol::parse_integer(text.as_bytes()), parsed);
    }

    #[test]
    fn doubles_are_read_as_they_are_written(number: f64) {
        let mut out = Vec::new();
        djr_protocol::format_double(number, &mut out);
        let text = String::from_utf8(out).unwrap();
        prop_assert!(text.len() <= 25, "{}", text);
        let read: f64 = text.parse().unwrap();
        prop_assert!(read.to_bits() == number.to_bits() || number.is_nan() && text == "nan", "{}", text);
    }
}
