//! What the reply encoder writes in both versions, and how the reply decoder reads it.

mod checks;

use bytes::{Bytes, BytesMut};
use djr_protocol::{Limits, ReplyDecoder, ReplyEncoder, ReplyError, RespVersion, Value};
use rstest::rstest;

fn encode(version: RespVersion, write: impl FnOnce(&mut ReplyEncoder<'_>)) -> String {
    let mut out = Vec::new();
    write(&mut ReplyEncoder::new(&mut out, version));
    out.escape_ascii().to_string().replace(r"\r\n", "|")
}

// The RESP2 and RESP3 columns are what Redis 7.0 sends (`DEBUG PROTOCOL`, after `HELLO 2` and `HELLO 3`) where it
// has a command that makes it; the text of doubles is that of 7.2.
#[rstest]
#[case::ok(|r: &mut ReplyEncoder<'_>| r.ok(), "+OK|", "+OK|")]
#[case::simple(|r: &mut ReplyEncoder<'_>| r.simple("a\r\nb"), "+a  b|", "+a  b|")]
#[case::error(|r: &mut ReplyEncoder<'_>| r.error("ERR a\nb\r\n"), "-ERR a b|", "-ERR a b|")]
#[case::error_bytes(|r: &mut ReplyEncoder<'_>| r.error_bytes(b"ERR \xff"), r"-ERR \xff|", r"-ERR \xff|")]
#[case::bulk_error(|r: &mut ReplyEncoder<'_>| r.bulk_error(b"ERR a"), "-ERR a|", "!5|ERR a|")]
#[case::integer(|r: &mut ReplyEncoder<'_>| r.integer(12_345), ":12345|", ":12345|")]
#[case::negative(|r: &mut ReplyEncoder<'_>| r.integer(-1), ":-1|", ":-1|")]
#[case::least(|r: &mut ReplyEncoder<'_>| r.integer(i64::MIN), ":-9223372036854775808|", ":-9223372036854775808|")]
#[case::bulk(|r: &mut ReplyEncoder<'_>| r.bulk(b"Hello World"), "$11|Hello World|", "$11|Hello World|")]
#[case::empty(|r: &mut ReplyEncoder<'_>| r.bulk(b""), "$0||", "$0||")]
#[case::bulk_integer(|r: &mut ReplyEncoder<'_>| r.bulk_integer(-10), "$3|-10|", "$3|-10|")]
#[case::bulk_display(|r: &mut ReplyEncoder<'_>| r.bulk_display('x'), "$1|x|", "$1|x|")]
#[case::bulk_double(|r: &mut ReplyEncoder<'_>| r.bulk_double(0.5), "$3|0.5|", "$3|0.5|")]
#[case::null(|r: &mut ReplyEncoder<'_>| r.null(), "$-1|", "_|")]
#[case::null_array(|r: &mut ReplyEncoder<'_>| r.null_array(), "*-1|", "_|")]
#[case::array(|r: &mut ReplyEncoder<'_>| r.array(3), "*3|", "*3|")]
#[case::map(|r: &mut ReplyEncoder<'_>| r.map(3), "*6|", "%3|")]
#[case::set(|r: &mut ReplyEncoder<'_>| r.set(12), "*12|", "~12|")]
#[case::push(|r: &mut ReplyEncoder<'_>| r.push(2), "*2|", ">2|")]
#[case::double(|r: &mut ReplyEncoder<'_>| r.double(3.25), "$4|3.25|", ",3.25|")]
#[case::infinite(|r: &mut ReplyEncoder<'_>| r.double(f64::NEG_INFINITY), "$4|-inf|", ",-inf|")]
#[case::big_number(
    |r: &mut ReplyEncoder<'_>| r.big_number("1234567999999999999999999999999999999"),
    "$37|1234567999999999999999999999999999999|",
    "(1234567999999999999999999999999999999|"
)]
#[case::yes(|r: &mut ReplyEncoder<'_>| r.boolean(true), ":1|", "#t|")]
#[case::no(|r: &mut ReplyEncoder<'_>| r.boolean(false), ":0|", "#f|")]
#[case::verbatim(
    |r: &mut ReplyEncoder<'_>| r.verbatim("txt", b"This is a verbatim\nstring"),
    r"$25|This is a verbatim\nstring|",
    r"=29|txt:This is a verbatim\nstring|"
)]
#[case::attribute(
    |r: &mut ReplyEncoder<'_>| {
        if r.attribute(1) {
            r.bulk(b"k");
            r.integer(1);
        }
        r.ok();
    },
    "+OK|",
    "|1|$1|k|:1|+OK|"
)]
#[case::raw(|r: &mut ReplyEncoder<'_>| r.raw(b":1\r\n"), ":1|", ":1|")]
#[case::protocol_error(
    |r: &mut ReplyEncoder<'_>| r.protocol_error(&djr_protocol::ProtocolError::TooBigInline),
    "-ERR Protocol error: too big inline request|",
    "-ERR Protocol error: too big inline request|"
)]
fn encodes(#[case] write: impl Fn(&mut ReplyEncoder<'_>), #[case] v2: &str, #[case] v3: &str) {
    assert_eq!(encode(RespVersion::V2, &write), v2);
    assert_eq!(encode(RespVersion::V3, &write), v3);
}

#[rstest]
#[case(0)]
#[case(9)]
#[case(10)]
#[case(1000)]
fn lengths_filled_in_later(#[case] len: usize) {
    for version in [RespVersion::V2, RespVersion::V3] {
        let later = encode(version, |reply| {
            let outer = reply.array_later();
            let map = reply.map_later();
            (0..len * 2).for_each(|_| reply.integer(7));
            reply.finish(map, len);
            let set = reply.set_later();
            (0..len).for_each(|_| reply.null());
            reply.finish(set, len);
            reply.finish(outer, 2);
        });
        let at_once = encode(version, |reply| {
            reply.array(2);
            reply.map(len);
            (0..len * 2).for_each(|_| reply.integer(7));
            reply.set(len);
            (0..len).for_each(|_| reply.null());
        });
        assert_eq!(later, at_once);
    }
}

fn bulk(text: &'static str) -> Value {
    Value::Bulk(text.into())
}

#[rstest]
#[case(b"+OK\r\n", Value::Simple("OK".into()))]
#[case(b"-ERR x\r\n", Value::Error("ERR x".into()))]
#[case(b"!5\r\na\r\nbc\r\n", Value::Error("a\r\nbc".into()))]
#[case(b":-5\r\n", Value::Integer(-5))]
#[case(b":+5\r\n", Value::Integer(5))]
#[case(b"$2\r\n\r\n\r\n", bulk("\r\n"))]
#[case(b"$-1\r\n", Value::Null)]
#[case(b"_\r\n", Value::Null)]
#[case(b"*-1\r\n", Value::NullArray)]
#[case(b"*0\r\n", Value::Array(vec![]))]
#[case(b"*2\r\n*1\r\n:1\r\n~0\r\n", Value::Array(vec![Value::Array(vec![Value::Integer(1)]), Value::Set(vec![])]))]
#[case(b"%1\r\n+k\r\n%0\r\n", Value::Map(vec![(Value::Simple("k".into()), Value::Map(vec![]))]))]
#[case(b">1\r\n#t\r\n", Value::Push(vec![Value::Boolean(true)]))]
#[case(b",1e+20\r\n", Value::Double(1e20))]
#[case(b",-inf\r\n", Value::Double(f64::NEG_INFINITY))]
#[case(b"(-12345678901234567890\r\n", Value::BigNumber("-12345678901234567890".into()))]
#[case(b"=7\r\nmkd:*a*\r\n", Value::Verbatim { format: *b"mkd", text: "*a*".into() })]
#[case(
    b"*1\r\n|1\r\n+ttl\r\n:9\r\n:1\r\n",
    Value::Array(vec![Value::Attributed {
        attributes: vec![(Value::Simple("ttl".into()), Value::Integer(9))],
        value: Box::new(Value::Integer(1)),
    }])
)]
#[case(
    b"|0\r\n|0\r\n:1\r\n",
    Value::Attributed {
        attributes: vec![],
        value: Box::new(Value::Attributed { attributes: vec![], value: Box::new(Value::Integer(1)) }),
    }
)]
#[case(b"$?\r\n;2\r\nab\r\n;3\r\ncde\r\n;0\r\n", bulk("abcde"))]
#[case(b"*?\r\n:1\r\n*?\r\n.\r\n:2\r\n.\r\n", Value::Array(vec![Value::Integer(1), Value::Array(vec![]), Value::Integer(2)]))]
#[case(b"%?\r\n:1\r\n:2\r\n.\r\n", Value::Map(vec![(Value::Integer(1), Value::Integer(2))]))]
#[case(
    b"|?\r\n:1\r\n:2\r\n.\r\n:3\r\n",
    Value::Attributed { attributes: vec![(Value::Integer(1), Value::Integer(2))], value: Box::new(Value::Integer(3)) }
)]
fn decodes(#[case] stream: &[u8], #[case] expected: Value) {
    assert_eq!(
        checks::replies(stream, &[], &Limits::default()),
        (vec![expected.clone()], None)
    );
    assert_eq!(
        checks::replies(stream, &[1], &Limits::default()),
        (vec![expected], None)
    );
}

#[rstest]
#[case(b"x", ReplyError::UnknownType(b'x'))]
#[case(b"\r\n", ReplyError::UnknownType(b'\r'))]
#[case(b"+O\nK\r\n", ReplyError::MissingLineEnd)]
#[case(b"+O\rK\r\n", ReplyError::MissingLineEnd)]
#[case(b"$1\r\nabc", ReplyError::MissingLineEnd)]
#[case(b":\r\n", ReplyError::Malformed(b':'))]
#[case(b":9223372036854775808\r\n", ReplyError::Malformed(b':'))]
#[case(b",\r\n", ReplyError::Malformed(b','))]
#[case(b"#\r\n", ReplyError::Malformed(b'#'))]
#[case(b"_1\r\n", ReplyError::Malformed(b'_'))]
#[case(b"(1x\r\n", ReplyError::Malformed(b'('))]
#[case(b"(-\r\n", ReplyError::Malformed(b'('))]
#[case(b"=3\r\ntxt\r\n", ReplyError::Malformed(b'='))]
#[case(b"$\r\n", ReplyError::InvalidLength(b'$'))]
#[case(b"$-2\r\n", ReplyError::InvalidLength(b'$'))]
#[case(b"*-2\r\n", ReplyError::InvalidLength(b'*'))]
#[case(b"%-1\r\n", ReplyError::InvalidLength(b'%'))]
#[case(b"$11\r\n", ReplyError::BulkTooLong { len: 11, limit: 10 })]
#[case(b"$?\r\n;6\r\nabcdef\r\n;5\r\n", ReplyError::BulkTooLong { len: 11, limit: 10 })]
#[case(b"$?\r\n+x\r\n", ReplyError::UnknownType(b'+'))]
#[case(b"+aaaaaaaaaaa", ReplyError::LineTooLong(b'+'))]
#[case(b"*4\r\n", ReplyError::TooManyElements { len: 4, limit: 3 })]
#[case(b"*?\r\n:1\r\n:2\r\n:3\r\n:4\r\n", ReplyError::TooManyElements { len: 4, limit: 3 })]
#[case(b"*1\r\n*1\r\n*1\r\n", ReplyError::TooDeep { limit: 2 })]
#[case(b"|0\r\n|0\r\n|0\r\n", ReplyError::TooDeep { limit: 2 })]
#[case(b".\r\n", ReplyError::UnexpectedEnd)]
#[case(b"*2\r\n:1\r\n.\r\n", ReplyError::UnexpectedEnd)]
#[case(b"%?\r\n:1\r\n.\r\n", ReplyError::UnexpectedEnd)]
fn refuses(#[case] stream: &[u8], #[case] expected: ReplyError) {
    let limits = Limits {
        bulk_len_max: 10,
        args_max: 3,
        depth_max: 2,
        ..Limits::default()
    };
    for cuts in [&[][..], &[1]] {
        assert_eq!(
            checks::replies(stream, cuts, &limits),
            (vec![], Some(expected))
        );
    }
    assert!(!expected.to_string().is_empty());
}

#[test]
fn a_promise_takes_no_memory() {
    // 128 levels, each promising 2^31 - 1 elements: were room made for them, this would be 128 times 100 GiB.
    let mut input = BytesMut::from(&b"*2147483647\r\n".repeat(128)[..]);
    assert_eq!(
        ReplyDecoder::new().decode(&mut input, &Limits::default()),
        Ok(None)
    );
}

#[test]
fn strings_are_not_copied() {
    let mut input = BytesMut::from(&b"$5\r\nhello\r\n"[..]);
    let place = input[4..].as_ptr();
    let value = ReplyDecoder::new()
        .decode(&mut input, &Limits::default())
        .unwrap();
    assert_eq!(value, Some(Value::Bulk(Bytes::from_static(b"hello"))));
    assert_eq!(value.unwrap().as_bytes().unwrap().as_ptr(), place);
}
