//! Scores and ends of ranges, as clients write them.

use djr_storage::types::sorted_set::{MemberBound, ScoreBound};

use super::super::prelude::*;

/// A score: a decimal or hexadecimal number or an infinity, with nothing around it. Neither NaN nor what is too large or too small
/// for a double.
pub(in crate::commands) fn parse_double(text: &[u8]) -> Option<f64> {
    if let Some(number) = parse_hexadecimal(text) {
        return Some(number);
    }
    let number = parse_decimal(text)?;
    let is_word = text.ends_with(b"y")
        || text.ends_with(b"Y")
        || text.ends_with(b"f")
        || text.ends_with(b"F");
    let is_overflow = number.is_infinite() && !is_word;
    let is_underflow = number == 0.0 && !is_zero(text);
    (!is_overflow && !is_underflow).then_some(number)
}

/// The number, rounded to the nearest double, even if that is an infinity or zero. Not NaN.
fn parse_decimal(text: &[u8]) -> Option<f64> {
    let number: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    (!number.is_nan()).then_some(number)
}

/// Whether a decimal number has no other digit than zero before its exponent.
fn is_zero(text: &[u8]) -> bool {
    text.iter()
        .take_while(|byte| !matches!(byte, b'e' | b'E'))
        .all(|byte| !matches!(byte, b'1'..=b'9'))
}

/// `0x1.8p3`, as C reads it: what Redis takes for a score, and Valkey does not.
fn parse_hexadecimal(text: &[u8]) -> Option<f64> {
    let (sign, text) = match text {
        [b'-', rest @ ..] => (-1.0, rest),
        [b'+', rest @ ..] => (1.0, rest),
        _ => (1.0, text),
    };
    let [b'0', b'x' | b'X', text @ ..] = text else {
        return None;
    };
    let (digits, exponent) = match text.iter().position(|byte| matches!(byte, b'p' | b'P')) {
        Some(at) => {
            let exponent = std::str::from_utf8(&text[at + 1..]).ok()?;
            (&text[..at], exponent.parse::<i32>().ok()?)
        }
        None => (text, 0),
    };
    // 60 bits, and in the last one whether anything came behind them.
    let (mut mantissa, mut scale, mut seen, mut in_fraction) = (0_u64, 0_i32, false, false);
    for byte in digits {
        if *byte == b'.' && !in_fraction {
            in_fraction = true;
            continue;
        }
        let digit = u64::from(char::from(*byte).to_digit(16)?);
        seen = true;
        if mantissa < 1 << 56 {
            mantissa = mantissa * 16 + digit;
            scale -= if in_fraction { 4 } else { 0 };
        } else {
            mantissa |= u64::from(digit != 0);
            scale = scale.saturating_add(if in_fraction { 0 } else { 4 });
        }
    }
    let scale = scale.saturating_add(exponent);
    if mantissa == 0 {
        return seen.then_some(0.0 * sign);
    }
    // In two steps, because 2^scale alone may not be a double. A result below the normal ones is rounded twice.
    let half = scale.clamp(-2000, 2000) / 2;
    let number = mantissa as f64 * 2_f64.powi(half) * 2_f64.powi(scale.clamp(-2000, 2000) - half);
    (number.is_finite() && number != 0.0).then_some(number * sign)
}

/// An end of a range of scores: `1.5`, `(1.5`, `-inf`. As in Redis, text ends at a zero byte, and nothing at all counts as 0.
pub(super) fn parse_score_bound(text: &[u8]) -> Option<ScoreBound> {
    let len = text.iter().position(|byte| *byte == 0);
    let text = &text[..len.unwrap_or(text.len())];
    let (is_exclusive, number) = match text {
        [b'(', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    let score = if number.is_empty() {
        0.0
    } else {
        parse_decimal(number)?
    };
    Some(ScoreBound {
        score,
        is_exclusive,
    })
}

/// An end of a range of members: `-`, `+`, `[member`, `(member`.
pub(super) fn parse_member_bound(text: &[u8]) -> Option<MemberBound<'_>> {
    Some(match text {
        b"-" => MemberBound::Lowest,
        b"+" => MemberBound::Highest,
        [b'[', member @ ..] => MemberBound::Included(member),
        [b'(', member @ ..] => MemberBound::Excluded(member),
        _ => return None,
    })
}

/// Arguments `min` and `max` as ends of a range of scores.
pub(super) fn score_bounds(
    args: &Args<'_>,
    min: usize,
    max: usize,
) -> Result<(ScoreBound, ScoreBound), CommandError> {
    parse_score_bound(args.get(min))
        .zip(parse_score_bound(args.get(max)))
        .ok_or(CommandError::text("ERR min or max is not a float"))
}

/// Arguments `min` and `max` as ends of a range of members.
pub(super) fn member_bounds<'a>(
    args: &Args<'a>,
    min: usize,
    max: usize,
) -> Result<(MemberBound<'a>, MemberBound<'a>), CommandError> {
    parse_member_bound(args.get(min))
        .zip(parse_member_bound(args.get(max)))
        .ok_or(CommandError::text(
            "ERR min or max not valid string range item",
        ))
}

/// The ranks `start` to `stop`, both included, of `len` members; negative ones count from the end.
pub(super) fn rank_range(start: i64, stop: i64, len: usize) -> std::ops::Range<usize> {
    let len = i64::try_from(len).unwrap_or(i64::MAX);
    let from_end = |rank: i64| if rank < 0 { rank + len } else { rank };
    let (start, stop) = (from_end(start).max(0), from_end(stop).min(len - 1));
    if start > stop {
        return 0..0;
    }
    start as usize..stop as usize + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_scores() {
        for (text, number) in [
            ("0", 0.0),
            ("-0", -0.0),
            ("1.", 1.0),
            (".5", 0.5),
            ("+5", 5.0),
            ("1e5", 1e5),
            ("5e-324", 5e-324),
            ("0e-999", 0.0),
            ("inf", f64::INFINITY),
            ("-Infinity", f64::NEG_INFINITY),
            ("0x10", 16.0),
            ("-0X.8p1", -1.0),
            ("0x1.fffffffffffff8p0", 2.0),
            ("0x1.fffffffffffff7ffp0", 1.999_999_999_999_999_8),
            ("0x0", 0.0),
        ] {
            let read = parse_double(text.as_bytes());
            assert_eq!(read, Some(number), "{text}");
            assert_eq!(
                read.map(f64::is_sign_negative),
                Some(number.is_sign_negative())
            );
        }
        for text in [
            "",
            " 1",
            "1 ",
            "nan",
            "-nan",
            "1e400",
            "-1e400",
            "1e-400",
            "1d",
            "inf3",
            "1_0",
            "0x",
            "0x.",
            "0xg",
            "0x1p",
            "0x1p9999",
            "0x1p-9999",
            "é",
            "0x1.1.1",
        ] {
            assert_eq!(parse_double(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn counts_ranks_from_either_end() {
        assert_eq!(rank_range(0, -1, 5), 0..5);
        assert_eq!(rank_range(-2, 99, 5), 3..5);
        assert_eq!(rank_range(-99, 0, 5), 0..1);
        assert_eq!(rank_range(3, 2, 5), 0..0);
        assert_eq!(rank_range(0, -1, 0), 0..0);
        assert_eq!(rank_range(5, 9, 5), 0..0);
        assert_eq!(rank_range(i64::MIN, i64::MAX, 5), 0..5);
    }
}
