//! Splitting an inline request (`SET key "a value"`, as typed into telnet) by Redis's quoting rules.

use super::batch::Span;
use super::error::ProtocolError;

/// Splits a line, as people type it, into arguments by Redis's quoting rules: those of inline requests, of
/// `redis-cli`'s prompt and of `redis.conf`.
///
/// ```
/// use djr_protocol::split_args;
///
/// let args = split_args(br#"SET key "two\x20words\n" 'as is'"#)?;
/// assert_eq!(args, [&b"SET"[..], b"key", b"two words\n", b"as is"]);
/// assert!(split_args(b"GET \"open").is_err());
/// # Ok::<(), djr_protocol::ProtocolError>(())
/// ```
///
/// # Errors
/// [`ProtocolError::UnbalancedQuotes`]: a quote does not close, or something follows it without a blank.
pub fn split_args(line: &[u8]) -> Result<Vec<Vec<u8>>, ProtocolError> {
    let (mut side, mut spans) = (Vec::new(), Vec::new());
    split(line, &mut side, &mut spans)?;
    Ok(spans.iter().map(|span| span.of(&side).to_vec()).collect())
}

/// Appends the arguments in `line` to `args`, as ranges of `side`, where their unquoted bytes go.
///
/// - Blanks separate arguments.
/// - `"…"` understands `\n \r \t \b \a`, `\xHH` and `\` before any other byte, which then stands for itself.
/// - `'…'` understands `\'` only.
/// - A closing quote must be followed by a blank or the end; an opening one may come after other bytes.
pub(super) fn split(
    line: &[u8],
    side: &mut Vec<u8>,
    args: &mut Vec<Span>,
) -> Result<(), ProtocolError> {
    let mut rest = line;
    loop {
        while let [first, tail @ ..] = rest
            && is_space(*first)
        {
            rest = tail;
        }
        if rest.is_empty() {
            return Ok(());
        }
        let start = side.len();
        rest = argument(rest, side)?;
        args.push(Span::new(start, side.len()));
    }
}

/// Unquotes the argument at the start of `rest` into `side`; returns what follows it.
fn argument<'a>(mut rest: &'a [u8], side: &mut Vec<u8>) -> Result<&'a [u8], ProtocolError> {
    loop {
        match rest {
            // Other white space (vertical tab, form feed) is skipped between arguments only.
            [] | [b' ' | b'\n' | b'\r' | b'\t', ..] => return Ok(rest),
            [b'"', tail @ ..] => return double_quoted(tail, side),
            [b'\'', tail @ ..] => return single_quoted(tail, side),
            [byte, tail @ ..] => {
                side.push(*byte);
                rest = tail;
            }
        }
    }
}

fn double_quoted<'a>(mut rest: &'a [u8], side: &mut Vec<u8>) -> Result<&'a [u8], ProtocolError> {
    loop {
        match rest {
            [b'\\', b'x', high, low, tail @ ..]
                if let (Some(high), Some(low)) = (hex_digit(*high), hex_digit(*low)) =>
            {
                side.push(high << 4 | low);
                rest = tail;
            }
            [b'\\', escaped, tail @ ..] => {
                side.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 0x08,
                    b'a' => 0x07,
                    other => *other,
                });
                rest = tail;
            }
            [b'"', tail @ ..] => return closed(tail),
            [byte, tail @ ..] => {
                side.push(*byte);
                rest = tail;
            }
            [] => return Err(ProtocolError::UnbalancedQuotes),
        }
    }
}

fn single_quoted<'a>(mut rest: &'a [u8], side: &mut Vec<u8>) -> Result<&'a [u8], ProtocolError> {
    loop {
        match rest {
            [b'\\', b'\'', tail @ ..] => {
                side.push(b'\'');
                rest = tail;
            }
            [b'\'', tail @ ..] => return closed(tail),
            [byte, tail @ ..] => {
                side.push(*byte);
                rest = tail;
            }
            [] => return Err(ProtocolError::UnbalancedQuotes),
        }
    }
}

fn closed(rest: &[u8]) -> Result<&[u8], ProtocolError> {
    match rest.first() {
        Some(byte) if !is_space(*byte) => Err(ProtocolError::UnbalancedQuotes),
        _ => Ok(rest),
    }
}

/// C's `isspace` in the C locale.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    // Every row was sent to a Redis 7.0 server as `ECHO …` or the like and answered as here.
    #[rstest]
    #[case(b"", &[])]
    #[case(b"  \t ", &[])]
    #[case(b"a b", &["a", "b"])]
    #[case(b" a\tb ", &["a", "b"])]
    #[case(b"a\rb", &["a", "b"])]
    #[case(b"a\x0bb\x0c c", &["a\x0bb\x0c", "c"])]
    #[case(b"\x0ba", &["a"])]
    #[case(br#""a\x41\n\q""#, &["aA\nq"])]
    #[case(br#""\a\b\t\r""#, &["\x07\x08\t\r"])]
    #[case(br#""\xzz\x4""#, &["xzzx4"])]
    #[case(br#""a\"b" c"#, &["a\"b", "c"])]
    #[case(br#""a\\""#, &["a\\"])]
    #[case(br#""" ''"#, &["", ""])]
    #[case(br"'a\'b\n'", &["a'b\\n"])]
    #[case(br#"a"b""#, &["ab"])]
    #[case(br"a'b'", &["ab"])]
    #[case(b"\"abc\"\x0b", &["abc"])]
    fn splits(#[case] line: &[u8], #[case] expected: &[&str]) {
        let (mut side, mut args) = (Vec::new(), Vec::new());
        split(line, &mut side, &mut args).unwrap();
        let got: Vec<_> = args
            .iter()
            .map(|span| span.of(&side).escape_ascii().to_string())
            .collect();
        let expected: Vec<_> = expected
            .iter()
            .map(|text| text.as_bytes().escape_ascii().to_string())
            .collect();
        assert_eq!(got, expected);
    }

    #[rstest]
    #[case(br#""a"#)]
    #[case(br#""a\"#)]
    #[case(br#""a"b"#)]
    #[case(br#"a"b"c"#)]
    #[case(br"'a")]
    #[case(br"'a\\'")]
    #[case(br"'a'b")]
    #[case(br#""a""b""#)]
    fn refuses(#[case] line: &[u8]) {
        let refused = split(line, &mut Vec::new(), &mut Vec::new());
        assert_eq!(refused, Err(ProtocolError::UnbalancedQuotes));
    }
}
