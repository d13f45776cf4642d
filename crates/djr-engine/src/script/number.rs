//! Numbers as text, the ways that C programs write them. The digits are the standard library's; only their layout is ours.

/// As `printf("%.<precision>g")` writes it. `precision` is at least 1.
pub(super) fn general(number: f64, precision: usize) -> String {
    if let Some(text) = not_finite(number) {
        return text.into();
    }
    let precision = precision.max(1);
    let (sign, digits, exponent) = scientific(&format!("{number:.*e}", precision - 1));
    let digits = digits.trim_end_matches('0');
    let digits = if digits.is_empty() { "0" } else { digits };
    if exponent < -4 || exponent >= precision as i32 {
        let (first, rest) = digits.split_at(1);
        let point = if rest.is_empty() { "" } else { "." };
        let exponent_sign = if exponent < 0 { '-' } else { '+' };
        return format!(
            "{sign}{first}{point}{rest}e{exponent_sign}{:02}",
            exponent.abs()
        );
    }
    format!("{sign}{}", positional(digits, exponent))
}

fn not_finite(number: f64) -> Option<&'static str> {
    if number.is_nan() {
        Some(if number.is_sign_negative() {
            "-nan"
        } else {
            "nan"
        })
    } else if number.is_infinite() {
        Some(if number < 0.0 { "-inf" } else { "inf" })
    } else {
        None
    }
}

/// Sign, digits without a point, and exponent of a text such as `-1.25e-7`.
fn scientific(text: &str) -> (&'static str, String, i32) {
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text),
    };
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let digits = mantissa.chars().filter(char::is_ascii_digit).collect();
    (sign, digits, exponent.parse().unwrap_or(0))
}

/// `digits` (one before the point) times ten to `exponent`, without an exponent.
fn positional(digits: &str, exponent: i32) -> String {
    let before = exponent + 1;
    if before <= 0 {
        return format!("0.{}{digits}", "0".repeat(before.unsigned_abs() as usize));
    }
    let before = before as usize;
    if digits.len() <= before {
        return format!("{digits}{}", "0".repeat(before - digits.len()));
    }
    let (whole, fraction) = digits.split_at(before);
    format!("{whole}.{fraction}")
}

/// The number that a text begins with, and how long it is, as C's `strtod` reads it: decimal or hexadecimal, `inf`,
/// `infinity`, `nan`.
pub(crate) fn parse(text: &[u8]) -> Option<(f64, usize)> {
    let signed = usize::from(matches!(text.first(), Some(b'+' | b'-')));
    let negate = |number: f64| {
        if text.first() == Some(&b'-') {
            -number
        } else {
            number
        }
    };
    let body = &text[signed..];
    let begins = |word: &[u8]| {
        body.get(..word.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(word))
    };
    if begins(b"infinity") || begins(b"inf") {
        let len = if begins(b"infinity") { 8 } else { 3 };
        return Some((negate(f64::INFINITY), signed + len));
    }
    if begins(b"nan") {
        return Some((negate(f64::NAN), signed + 3));
    }
    if begins(b"0x")
        && let Some((number, len)) = parse_hexadecimal(&body[2..])
    {
        return Some((negate(number), signed + 2 + len));
    }
    let digits = |from: usize| {
        body[from..]
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count()
    };
    let whole = digits(0);
    let mut len = whole;
    let mut any = whole > 0;
    if body.get(len) == Some(&b'.') {
        let fraction = digits(len + 1);
        any |= fraction > 0;
        len += 1 + fraction;
    }
    if !any {
        return None;
    }
    if let Some(b'e' | b'E') = body.get(len) {
        let sign = usize::from(matches!(body.get(len + 1), Some(b'+' | b'-')));
        if body.get(len + 1 + sign).is_some_and(u8::is_ascii_digit) {
            len += 1 + sign + digits(len + 1 + sign);
        }
    }
    let number = std::str::from_utf8(&body[..len]).ok()?.parse().ok()?;
    Some((negate(number), signed + len))
}

/// What follows `0x`: digits, a point perhaps, and an exponent of two. Exact up to 53 bits.
fn parse_hexadecimal(text: &[u8]) -> Option<(f64, usize)> {
    let (mut number, mut exponent, mut len, mut any, mut point) = (0.0_f64, 0_i32, 0, false, false);
    for byte in text {
        match (char::from(*byte).to_digit(16), byte) {
            (Some(digit), _) => {
                any = true;
                number = number * 16.0 + f64::from(digit);
                exponent -= if point { 4 } else { 0 };
            }
            (None, b'.') if !point => point = true,
            _ => break,
        }
        len += 1;
    }
    if !any {
        return None;
    }
    if let Some(b'p' | b'P') = text.get(len) {
        let sign = usize::from(matches!(text.get(len + 1), Some(b'+' | b'-')));
        let digits = text[len + 1 + sign..]
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let exponent_text = std::str::from_utf8(&text[len + 1..len + 1 + sign + digits]).ok()?;
        if digits > 0 {
            let added = exponent_text.parse::<i32>().unwrap_or(0).clamp(-5000, 5000);
            exponent = exponent.saturating_add(added);
            len += 1 + sign + digits;
        }
    }
    Some((number * 2.0_f64.powi(exponent), len))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case(0.1, 17, "0.10000000000000001")]
    #[case(0.1, 14, "0.1")]
    #[case(1e14, 14, "1e+14")]
    #[case(1e13, 14, "10000000000000")]
    #[case(-1.5e-7, 14, "-1.5e-07")]
    #[case(0.0001, 14, "0.0001")]
    #[case(0.0, 14, "0")]
    #[case(-0.0, 14, "-0")]
    #[case(1e300, 14, "1e+300")]
    #[case(123456.75, 3, "1.23e+05")]
    #[case(9.9999, 2, "10")]
    #[case(f64::INFINITY, 14, "inf")]
    fn general_is_like_printf(#[case] number: f64, #[case] precision: usize, #[case] text: &str) {
        assert_eq!(general(number, precision), text);
    }

    #[rstest::rstest]
    #[case("1.5e3,", Some((1500.0, 5)))]
    #[case("-0x1F]", Some((-31.0, 5)))]
    #[case("0x", Some((0.0, 1)))]
    #[case("1e+", Some((1.0, 1)))]
    #[case(".5", Some((0.5, 2)))]
    #[case("-Infinity", Some((f64::NEG_INFINITY, 9)))]
    #[case("0x1.8p1", Some((3.0, 7)))]
    #[case("-", None)]
    #[case(".", None)]
    fn reads_like_strtod(#[case] text: &str, #[case] expected: Option<(f64, usize)>) {
        assert_eq!(parse(text.as_bytes()), expected);
    }
}
