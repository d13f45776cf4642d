//! The extended-precision numbers of `INCRBYFLOAT` and `HINCRBYFLOAT`: x87's 80-bit format, which Redis calculates with on
//! the machines that it usually runs on, read and written as it does.
//!
//! ```text
//! sign, 15 bits of exponent (bias 16383), 64 bits of significand with its leading 1 written out
//! ```

use rustc_apfloat::ieee::X87DoubleExtended;
use rustc_apfloat::{Float, Round, Status, StatusAnd};

/// An 80-bit floating-point number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LongDouble(X87DoubleExtended);

/// The longest text of a number that Redis reads, in bytes.
const TEXT_SIZE_MAX: usize = 5 * 1024 - 1;

/// Digits written after the point.
const FRACTION_DIGITS: usize = 17;

impl LongDouble {
    /// Zero.
    pub(crate) const ZERO: Self = Self(X87DoubleExtended::ZERO);

    /// The number that a text means: all of it must be one, as `strtold` reads it in the C locale. No spaces, no NaN, nothing
    /// too large or so small that it would be read as zero.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        if text.len() > TEXT_SIZE_MAX {
            return None;
        }
        let (negative, magnitude) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            _ => (false, text),
        };
        let number = if magnitude.eq_ignore_ascii_case(b"inf")
            || magnitude.eq_ignore_ascii_case(b"infinity")
        {
            X87DoubleExtended::INFINITY
        } else {
            parse_finite(magnitude)?
        };
        Some(Self(if negative { -number } else { number }))
    }

    /// The number nearest to an integer: always itself.
    pub(crate) fn from_integer(integer: i64) -> Self {
        Self(X87DoubleExtended::from_i128(integer.into()).value)
    }

    /// The sum, rounded to nearest; `None` if that is no finite number.
    pub(crate) fn checked_add(self, other: Self) -> Option<Self> {
        let sum = (self.0 + other.0).value;
        sum.is_finite().then_some(Self(sum))
    }

    /// A thousand times the number, rounded up to an integer: seconds in milliseconds. `None` if that is more than 2^63 - 1; the
    /// least number if it is less than that.
    pub(crate) fn times_1000_rounded_up(self) -> Option<i64> {
        let product = (self.0 * Self::from_integer(1000).0).value;
        if product > Self::from_integer(i64::MAX).0 {
            return None;
        }
        let rounded = product
            .to_i128_r(64, Round::TowardPositive, &mut true)
            .value;
        i64::try_from(rounded).ok()
    }

    /// The number in decimal, without exponent: exact down to the 17th digit after the point, which is rounded; zeros at the end
    /// are left out. The number must be finite.
    pub(crate) fn to_text(self) -> String {
        let bits = self.0.to_bits();
        let (exponent, significand) = ((bits >> 64) as i32 & 0x7fff, bits as u64);
        // The value is significand * 2^exponent. Subnormal numbers have the exponent of the smallest normal ones.
        let exponent = exponent.max(1) - 16383 - 63;
        let mut text = if exponent >= 0 {
            shifted_text(significand, exponent as u32)
        } else {
            fraction_text(significand, exponent.unsigned_abs())
        };
        if self.0.is_negative() && text != "0" {
            text.insert(0, '-');
        }
        text
    }
}

/// Reads digits with a point and an exponent, or the same in hexadecimal with a binary exponent.
fn parse_finite(text: &[u8]) -> Option<X87DoubleExtended> {
    let hexadecimal = matches!(text, [b'0', b'x' | b'X', ..]);
    let (digits, exponent_mark) = if hexadecimal {
        (&text[2..], b'p')
    } else {
        (text, b'e')
    };
    let is_digit = |byte: &u8| {
        if hexadecimal {
            byte.is_ascii_hexdigit()
        } else {
            byte.is_ascii_digit()
        }
    };
    let end = digits
        .iter()
        .position(|byte| byte.eq_ignore_ascii_case(&exponent_mark))
        .unwrap_or(digits.len());
    let (mantissa, exponent) = digits.split_at(end);
    let points = mantissa.iter().filter(|byte| **byte == b'.').count();
    if points > 1
        || mantissa.len() == points
        || !mantissa.iter().all(|byte| is_digit(byte) || *byte == b'.')
    {
        return None;
    }
    let exponent = match exponent {
        [] => 0,
        [_, exponent @ ..] => parse_exponent(exponent)?,
    };
    if mantissa.iter().all(|byte| matches!(byte, b'0' | b'.')) {
        return Some(X87DoubleExtended::ZERO);
    }
    // Told in the one form that the crate reads: it wants a point and an exponent in hexadecimal.
    let mantissa = std::str::from_utf8(mantissa).ok()?;
    let (prefix, point) = if hexadecimal {
        ("0x", if points == 0 { "." } else { "" })
    } else {
        ("", "")
    };
    let mark = char::from(exponent_mark);
    let text = format!("{prefix}{mantissa}{point}{mark}{exponent}");
    let StatusAnd { status, value } =
        X87DoubleExtended::from_str_r(&text, Round::NearestTiesToEven).ok()?;
    let too_large = status.contains(Status::OVERFLOW) || value.is_infinite();
    (!too_large && !value.is_zero()).then_some(value)
}

/// Reads an exponent. One that is larger than any in use is held at a bound that is large enough to tell.
fn parse_exponent(text: &[u8]) -> Option<i32> {
    const BOUND: i32 = 100_000;
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let magnitude = digits.iter().fold(0, |sum: i32, digit| {
        (sum * 10 + i32::from(digit - b'0')).min(BOUND)
    });
    Some(if negative { -magnitude } else { magnitude })
}

/// `number * 2^shift` in decimal.
fn shifted_text(number: u64, mut shift: u32) -> String {
    const LIMB: u64 = 1_000_000_000_000_000_000;
    // In limbs of 18 digits, the lowest first.
    let mut limbs = vec![number % LIMB, number / LIMB];
    while shift > 0 {
        let step = shift.min(32);
        let mut carry = 0;
        for limb in &mut limbs {
            let product = (u128::from(*limb) << step) + u128::from(carry);
            *limb = (product % u128::from(LIMB)) as u64;
            carry = (product / u128::from(LIMB)) as u64;
        }
        if carry > 0 {
            limbs.push(carry);
        }
        shift -= step;
    }
    while limbs.len() > 1 && limbs.last() == Some(&0) {
        limbs.pop();
    }
    let mut limbs = limbs.iter().rev();
    let mut text = limbs.next().map_or(String::new(), u64::to_string);
    for limb in limbs {
        text.push_str(&format!("{limb:018}"));
    }
    text
}

/// `number / 2^shift` in decimal, rounded (half to even) behind the last digit.
fn fraction_text(number: u64, shift: u32) -> String {
    const SCALE: u128 = 10_u128.pow(FRACTION_DIGITS as u32);
    // Less than 2^121: no overflow.
    let scaled = u128::from(number) * SCALE;
    let rounded = match scaled.checked_shr(shift) {
        Some(floor) => {
            let rest = scaled - (floor << shift);
            let half = 1_u128 << (shift - 1);
            floor + u128::from(rest > half || (rest == half && floor % 2 == 1))
        }
        // Less than a half by far.
        None => 0,
    };
    let (whole, fraction) = (rounded / SCALE, rounded % SCALE);
    let text = format!("{whole}.{fraction:0FRACTION_DIGITS$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
