//! What the request decoder answers to odd and wrong input. Every row was sent to a Redis 7.0 server over a plain
//! socket; it answered with the same text, or served the same commands.

use djr_protocol::{
    Batch, CommandEncoder, Limits, ProtocolError, ReplyEncoder, Request, RequestBuf,
    RequestDecoder, RespVersion, encode_command,
};
use rstest::rstest;

const PING: &str = "*1\r\n$4\r\nPING\r\n";

/// The names of the requests in `input`, and the error reply after them, if any.
fn decode(input: &[u8], limits: &Limits) -> (Vec<String>, Option<Vec<u8>>) {
    let (mut decoder, mut batch) = (RequestDecoder::new(), Batch::new());
    let result = decoder.decode(input, limits, &mut batch);
    let names = batch
        .iter(input)
        .map(|request| request.name().escape_ascii().to_string())
        .collect();
    let error = result.err().map(|error| {
        let mut out = Vec::new();
        ReplyEncoder::new(&mut out, RespVersion::V2).protocol_error(&error);
        out
    });
    (names, error)
}

#[rstest]
#[case(b"*\r\n", "invalid multibulk length")]
#[case(b"*a\r\n", "invalid multibulk length")]
#[case(b"*01\r\n", "invalid multibulk length")]
#[case(b"*+1\r\n", "invalid multibulk length")]
#[case(b"*-0\r\n", "invalid multibulk length")]
#[case(b"* 1\r\n", "invalid multibulk length")]
#[case(b"*1 \r\n", "invalid multibulk length")]
#[case(b"*2147483648\r\n", "invalid multibulk length")]
#[case(b"*99999999999999999999\r\n", "invalid multibulk length")]
#[case(b"*1xx$4\r\nPING\r\n", "invalid multibulk length")]
#[case(b"*1\r\n$\r\n", "invalid bulk length")]
#[case(b"*1\r\n$-1\r\n", "invalid bulk length")]
#[case(b"*1\r\n$04\r\nPING\r\n", "invalid bulk length")]
#[case(b"*1\r\n$536870913\r\n", "invalid bulk length")]
#[case(b"*1\r\n:4\r\nPING\r\n", "expected '$', got ':'")]
#[case(b"*1\r\n\r\nPING\r\n", "expected '$', got ' '")]
#[case(b"*1\r\n\n\r\nPING\r\n", "expected '$', got ' '")]
#[case(b"echo \"a\r\n", "unbalanced quotes in request")]
fn refuses(#[case] input: &[u8], #[case] text: &str) {
    let expected = format!("-ERR Protocol error: {text}\r\n").into_bytes();
    assert_eq!(decode(input, &Limits::default()), (vec![], Some(expected)));
}

#[test]
fn a_byte_that_is_no_text_is_quoted_as_it_is() {
    let (_, error) = decode(b"*1\r\n\xffx\r\n", &Limits::default());
    assert_eq!(
        error.unwrap(),
        b"-ERR Protocol error: expected '$', got '\xff'\r\n"
    );
}

#[rstest]
#[case("*-1\r\n", &[])]
#[case("*-99999999999\r\n", &[])]
#[case("*0\r\n", &[])]
#[case("\r\n", &[])]
#[case("\n", &[])]
#[case("   \r\n", &[])]
#[case("*1\rX$4\rYPINGab", &["PING"])] // unseen: the byte after \r, the two after an argument
#[case("*1\r\n$0\r\n\r\n", &[""])]
#[case("*1\r\n$4\r\nPIN\0\r\n", &["PIN\\x00"])]
#[case("$3\r\nfoo\r\n", &["$3", "foo"])]
#[case("PING\n", &["PING"])]
#[case("PING\r\r\n", &["PING"])]
fn goes_on_after(#[case] input: &str, #[case] names: &[&str]) {
    let (mut expected, input) = (names.to_vec(), format!("{input}{PING}"));
    expected.push("PING");
    assert_eq!(
        decode(input.as_bytes(), &Limits::default()),
        (expected.iter().map(|name| name.to_string()).collect(), None)
    );
}

#[rstest]
#[case(b"*2147483647\r\n")]
#[case(b"*1\r\n$536870912\r\n")]
#[case(b"*1\r\n\x00x\r\n")] // a NUL hides the line's end
#[case(b"*1\x00\r\n$4\r\nPING\r\n")]
#[case(b"echo \x00a\r\nPING\r\n")]
fn waits(#[case] input: &[u8]) {
    assert_eq!(decode(input, &Limits::default()), (vec![], None));
}

#[rstest]
#[case("", "too big inline request")]
#[case("*", "too big mbulk count string")]
#[case("*1\r\n$", "too big bulk count string")]
fn lines_end_within_64_kib(#[case] start: &str, #[case] text: &str) {
    let line = start.rfind(['*', '$']).map_or(0, |sign| start.len() - sign);
    let mut input = start.as_bytes().to_vec();
    input.resize(start.len() - line + 64 * 1024, b'1');
    assert_eq!(decode(&input, &Limits::default()), (vec![], None));
    input.push(b'1');
    let expected = format!("-ERR Protocol error: {text}\r\n").into_bytes();
    assert_eq!(decode(&input, &Limits::default()), (vec![], Some(expected)));
}

#[rstest]
#[case(b"*10\r\n", None)]
#[case(b"*11\r\n", Some(ProtocolError::UnauthenticatedMultibulkLength))]
#[case(b"*2147483648\r\n", Some(ProtocolError::InvalidMultibulkLength))]
#[case(b"*1\r\n$16384\r\n", None)]
#[case(b"*1\r\n$16385\r\n", Some(ProtocolError::UnauthenticatedBulkLength))]
#[case(b"*1\r\n$536870913\r\n", Some(ProtocolError::InvalidBulkLength))]
fn before_authentication(#[case] input: &[u8], #[case] expected: Option<ProtocolError>) {
    let decoded =
        RequestDecoder::new().decode(input, &Limits::unauthenticated(), &mut Batch::new());
    assert_eq!(decoded.err(), expected);
}

#[rstest]
#[case(ProtocolError::InvalidMultibulkLength, "invalid multibulk length")]
#[case(ProtocolError::InvalidBulkLength, "invalid bulk length")]
#[case(ProtocolError::ExpectedBulk(b'x'), "expected '$', got 'x'")]
#[case(ProtocolError::ExpectedBulk(b'\n'), "expected '$', got ' '")]
#[case(ProtocolError::TooBigMultibulkCount, "too big mbulk count string")]
#[case(ProtocolError::TooBigBulkCount, "too big bulk count string")]
#[case(ProtocolError::TooBigInline, "too big inline request")]
#[case(ProtocolError::UnbalancedQuotes, "unbalanced quotes in request")]
#[case(
    ProtocolError::UnauthenticatedMultibulkLength,
    "unauthenticated multibulk length"
)]
#[case(
    ProtocolError::UnauthenticatedBulkLength,
    "unauthenticated bulk length"
)]
#[case(ProtocolError::TooBigRequest, "too big request")]
fn error_texts(#[case] error: ProtocolError, #[case] text: &str) {
    assert_eq!(error.to_string(), format!("Protocol error: {text}"));
}

#[test]
fn requests_before_an_error_are_kept() {
    let input = format!("{PING}*2\r\n$4\r\nPING\r\n$x\r\n");
    let (names, error) = decode(input.as_bytes(), &Limits::default());
    assert_eq!(names, ["PING"]);
    assert!(error.is_some());
}

#[test]
fn limits_may_change_between_two_requests() {
    let input = format!("{PING}*11\r\n{}", "$1\r\nx\r\n".repeat(11));
    let (mut decoder, mut batch) = (RequestDecoder::new(), Batch::new());
    let taken = decoder
        .decode_one(input.as_bytes(), &Limits::unauthenticated(), &mut batch)
        .unwrap();
    assert_eq!((taken, batch.len(), decoder.missing()), (PING.len(), 1, 0));
    let rest = &input.as_bytes()[taken..];
    assert!(
        decoder
            .clone()
            .decode_one(rest, &Limits::unauthenticated(), &mut Batch::new())
            .is_err()
    );
    batch.clear();
    assert_eq!(
        decoder.decode_one(rest, &Limits::default(), &mut batch),
        Ok(rest.len())
    );
    assert_eq!(batch.request(0, rest).len(), 11);
}

#[test]
fn missing_is_exact_within_an_argument() {
    let (mut decoder, mut batch) = (RequestDecoder::new(), Batch::new());
    let mut input = b"*2\r\n$3\r\nGET\r\n$1000\r\nabc".to_vec();
    assert_eq!(
        decoder.decode(&input, &Limits::default(), &mut batch),
        Ok(0)
    );
    assert_eq!(decoder.missing(), 999);
    input.resize(input.len() + 998, b'x');
    assert_eq!(
        decoder.decode(&input, &Limits::default(), &mut batch),
        Ok(0)
    );
    assert_eq!(decoder.missing(), 1);
    input.push(b'x');
    assert_eq!(
        decoder.decode(&input, &Limits::default(), &mut batch),
        Ok(input.len())
    );
    assert_eq!(decoder.missing(), 0);
}

#[rstest]
#[case(1)]
#[case(9)]
#[case(10)]
#[case(1234)]
fn command_encoder_counts(#[case] count: usize) {
    let args: Vec<Vec<u8>> = (0..count).map(|index| vec![b'x'; index]).collect();
    let slices: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
    let (mut at_once, mut one_by_one) = (b"before".to_vec(), b"before".to_vec());
    encode_command(&mut at_once, &slices);
    let mut command = CommandEncoder::new(&mut one_by_one);
    for arg in &args {
        command.arg(arg);
    }
    assert_eq!(command.count(), count);
    command.finish();
    assert_eq!(one_by_one, at_once);

    let buf = RequestBuf::from_args(&args);
    assert_eq!(buf.as_request().raw(), at_once.strip_prefix(b"before"));
    assert!(buf.as_request().iter().eq(slices));
    assert_eq!(Request::to_buf(&buf.as_request()), buf);
}

/// A log takes requests as they came: it must not take what another reader of it would refuse.
#[test]
fn bytes_that_are_no_line_ends_are_not_passed_on() {
    for (input, is_whole) in [
        (&b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"[..], true),
        (b"*2\r\n$3\r\nGETxx$1\r\nk\r\n", false),
        (b"*2\r\n$3\r\nGET\r\n$1\r\nkxx", false),
        (b"*2\rx$3\r\nGET\r\n$1\r\nk\r\n", false),
        (b"*2\r\n$3\rxGET\r\n$1\r\nk\r\n", false),
    ] {
        let mut batch = djr_protocol::Batch::new();
        let taken = djr_protocol::RequestDecoder::new()
            .decode(input, &djr_protocol::Limits::default(), &mut batch)
            .expect("Redis accepts it");
        assert_eq!(taken, input.len());
        let request = batch.request(0, input);
        assert_eq!((request.args(0), request.args(1)), (&b"GET"[..], &b"k"[..]));
        assert_eq!(request.raw().is_some(), is_whole, "{input:?}");
    }
}
