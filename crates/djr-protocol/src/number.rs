//! Numbers as text, byte for byte as Redis reads and writes them.

use std::fmt::Write;

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

/// Appends `number` as Redis 7.2 and later write a double (a sorted set's score, a RESP3 double): the fewest digits that
/// read back as the same number.
///
/// - `inf`, `-inf`, `nan`, `0`, `-0`
/// - whole numbers up to 2^52: as integers
/// - otherwise the digits, with the point among or just before them, zeros behind (at most 6) or after the
///   point; or in exponent form, `1e+20`, `1.5e-7`
///
/// ```
/// # let text = |number| { let mut out = Vec::new(); djr_protocol::format_double(number, &mut out); String::from_utf8(out) };
/// assert_eq!(text(0.1)?, "0.1");
/// assert_eq!(text(1e20)?, "1e+20");
/// # Ok::<(), std::string::FromUtf8Error>(())
/// ```
pub fn format_double(number: f64, out: &mut Vec<u8>) {
    const WHOLE_MAX: f64 = (1_u64 << 52) as f64;

    if number.is_nan() {
        out.extend_from_slice(b"nan");
    } else if number.is_infinite() {
        out.extend_from_slice(if number > 0.0 { b"inf" } else { b"-inf" });
    } else if number == 0.0 {
        out.extend_from_slice(if number.is_sign_positive() {
            b"0"
        } else {
            b"-0"
        });
    } else if number.abs() <= WHOLE_MAX && number.fract() == 0.0 {
        format_integer(number as i64, out);
    } else {
        format_fraction(number, out);
    }
}

/// A finite number that is not zero.
fn format_fraction(number: f64, out: &mut Vec<u8>) {
    let decimal = Decimal::new(number.abs());
    let digits = decimal.digits();
    let count = i32::from(decimal.count);
    // number = digits as an integer * 10^scale = d.ddd * 10^exponent
    let exponent = decimal.exponent;
    let scale = exponent - (count - 1);

    let negative = number.is_sign_negative();
    if negative {
        out.push(b'-');
    }
    // A sign takes the place of one zero.
    let zeros_end = if negative { 6 } else { 7 };
    if scale >= 0 && exponent < count + zeros_end {
        out.extend_from_slice(digits);
        push_zeros(scale, out);
    } else if scale < 0 && (scale > -7 || exponent.abs() < 4) {
        match usize::try_from(count + scale) {
            Ok(point) if point > 0 => {
                let (whole, fraction) = digits.split_at(point);
                out.extend_from_slice(whole);
                out.push(b'.');
                out.extend_from_slice(fraction);
            }
            _ => {
                out.extend_from_slice(b"0.");
                push_zeros(-(count + scale), out);
                out.extend_from_slice(digits);
            }
        }
    } else {
        let (first, others) = digits.split_at(1);
        out.extend_from_slice(first);
        if !others.is_empty() {
            out.push(b'.');
            out.extend_from_slice(others);
        }
        out.push(b'e');
        out.push(if exponent < 0 { b'-' } else { b'+' });
        format_integer(i64::from(exponent.abs()), out);
    }
}

fn push_zeros(count: i32, out: &mut Vec<u8>) {
    out.resize(out.len() + usize::try_from(count).unwrap_or(0), b'0');
}

/// The shortest digits of a positive number and its decimal exponent, taken from std's `1.2345e-7`.
#[derive(Default)]
struct Decimal {
    digits: [u8; 17],
    count: u8,
    exponent: i32,
    exponent_negative: bool,
    in_exponent: bool,
}

impl Decimal {
    fn new(number: f64) -> Decimal {
        let mut decimal = Decimal::default();
        // Can't fail: no write to `Decimal` does.
        let _ = write!(decimal, "{number:e}");
        if decimal.exponent_negative {
            decimal.exponent = -decimal.exponent;
        }
        decimal
    }

    fn digits(&self) -> &[u8] {
        &self.digits[..usize::from(self.count)]
    }
}

impl Write for Decimal {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        for byte in text.bytes() {
            match byte {
                b'0'..=b'9' if self.in_exponent => {
                    self.exponent = self.exponent * 10 + i32::from(byte - b'0')
                }
                b'0'..=b'9' => {
                    // 17 digits tell every double apart, so there are never more.
                    if let Some(slot) = self.digits.get_mut(usize::from(self.count)) {
                        *slot = byte;
                        self.count += 1;
                    }
                }
                b'e' => self.in_exponent = true,
                b'-' => self.exponent_negative = true,
                _ => {} // the point
            }
        }
        Ok(())
    }
}
