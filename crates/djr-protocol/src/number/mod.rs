//! Numbers as text, byte for byte as Redis reads and writes them.

mod double;
mod grisu;

pub use double::format_double;

/// All pairs of digits, "00" to "99", in a row.
const PAIRS: &[u8; 200] = &{
    let mut pairs = [0; 200];
    let mut number = 0;
    while number < 100 {
        pairs[number * 2] = b'0' + (number / 10) as u8;
        pairs[number * 2 + 1] = b'0' + (number % 10) as u8;
        number += 1;
    }
    pairs
};

/// Appends `number` as decimal text.
///
/// ```
/// let mut out = Vec::new();
/// djr_protocol::format_integer(-42, &mut out);
/// assert_eq!(out, b"-42");
/// ```
#[inline]
pub fn format_integer(number: i64, out: &mut Vec<u8>) {
    let mut text = [0; 20];
    let start = integer_text(number, &mut text);
    out.extend_from_slice(&text[start..]);
}

/// Writes `number` to the end of `text`; returns where it starts there. 20 bytes hold `i64::MIN`.
#[inline]
pub(crate) fn integer_text(number: i64, text: &mut [u8; 20]) -> usize {
    let mut rest = number.unsigned_abs();
    let mut start = text.len();
    while rest >= 100 {
        let pair = (rest % 100) as usize * 2;
        rest /= 100;
        start -= 2;
        text[start..start + 2].copy_from_slice(&PAIRS[pair..pair + 2]);
    }
    if rest >= 10 {
        let pair = rest as usize * 2;
        start -= 2;
        text[start..start + 2].copy_from_slice(&PAIRS[pair..pair + 2]);
    } else {
        start -= 1;
        text[start] = b'0' + rest as u8;
    }
    if number < 0 {
        start -= 1;
        text[start] = b'-';
    }
    start
}

/// Reads decimal text as strictly as Redis does wherever it wants an integer: an optional `-`, then digits
/// without a leading zero; no `+`, no `-0`, no blanks; within `i64`.
///
/// ```
/// use djr_protocol::parse_integer;
///
/// assert_eq!(parse_integer(b"-42"), Some(-42));
/// assert_eq!(parse_integer(b"042"), None);
/// ```
#[must_use]
pub fn parse_integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    match digits {
        [b'0'] if !negative => return Some(0),
        [b'1'..=b'9', ..] if digits.len() <= 19 => {}
        _ => return None,
    }
    let mut number: u64 = 0; // 19 digits fit
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number * 10 + u64::from(digit);
    }
    if negative {
        0_i64.checked_sub_unsigned(number)
    } else {
        i64::try_from(number).ok()
    }
}
