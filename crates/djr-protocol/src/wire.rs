//! The few bytes that every message is made of.

use crate::number::{format_integer, integer_text};

pub(crate) const CRLF: &[u8] = b"\r\n";

/// `*3\r\n`, `$5\r\n` and the like.
#[inline]
pub(crate) fn push_header(out: &mut Vec<u8>, kind: u8, len: usize) {
    if len < 10 {
        out.extend_from_slice(&[kind, b'0' + len as u8, b'\r', b'\n']);
    } else if len < 100 {
        let (tens, ones) = (len / 10, len % 10);
        out.extend_from_slice(&[kind, b'0' + tens as u8, b'0' + ones as u8, b'\r', b'\n']);
    } else {
        out.push(kind);
        format_integer(len as i64, out);
        out.extend_from_slice(CRLF);
    }
}

/// `$5\r\nhello\r\n`.
#[inline]
pub(crate) fn push_bulk(out: &mut Vec<u8>, bytes: &[u8]) {
    out.reserve(bytes.len() + 32);
    push_header(out, b'$', bytes.len());
    out.extend_from_slice(bytes);
    out.extend_from_slice(CRLF);
}

/// Replaces the `0` in the header at `at` (`*0\r\n`, just as `push_header` wrote it) by `len`.
pub(crate) fn fill_header(out: &mut Vec<u8>, at: usize, len: usize) {
    let digit = at + 1;
    assert!(
        out.get(digit..at + 4) == Some(b"0\r\n"),
        "a header to fill in is where its mark says"
    );
    if len < 10 {
        out[digit] = b'0' + len as u8;
    } else {
        let mut text = [0; 20];
        let start = integer_text(len as i64, &mut text);
        out.splice(digit..=digit, text[start..].iter().copied());
    }
}
