//! Doubles as text.

use super::format_integer;
use super::grisu::Decimal;

/// Appends `number` as Redis 7.2 and later write a double (a sorted set's score, a RESP3 double): digits that
/// read back as the same number, and hardly ever more of them than that takes.
///
/// - `inf`, `-inf`, `nan`, `0`, `-0`
/// - whole numbers up to 2^62: as integers, to the last digit
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
    const WHOLE_MAX: f64 = (1_u64 << 62) as f64;

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
    let (count, scale) = (digits.len() as i32, decimal.scale);
    // number = ddd * 10^scale = d.dd * 10^exponent
    let exponent = scale + count - 1;

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

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    // The first block are the forms, the second numbers whose digits are not the shortest or not the
    // nearest ones, the third the edges of the range.
    #[rstest]
    #[case(0.0, "0")]
    #[case(-0.0, "-0")]
    #[case(1.0, "1")]
    #[case(-1.0, "-1")]
    #[case(0.1, "0.1")]
    #[case(-0.1, "-0.1")]
    #[case(0.5, "0.5")]
    #[case(2.75, "2.75")]
    #[case(1000000000000000.0, "1000000000000000")]
    #[case(4503599627370496.0, "4503599627370496")]
    #[case(-4503599627370496.0, "-4503599627370496")]
    #[case(4503599627370498.0, "4503599627370498")]
    #[case(9007199254740992.0, "9007199254740992")]
    #[case(9007199254740994.0, "9007199254740994")]
    #[case(1e16, "10000000000000000")]
    #[case(-1e16, "-10000000000000000")]
    #[case(1e17, "100000000000000000")]
    #[case(1.2345678901234567e19, "12345678901234567000")]
    #[case(-1.2345678901234567e19, "-12345678901234567000")]
    #[case(1.23e22, "12300000000000001000000")]
    #[case(1e20, "1e+20")]
    #[case(-1e20, "-1e+20")]
    #[case(1e21, "1e+21")]
    #[case(1e22, "1e+22")]
    #[case(1e23, "99999999999999990000000")]
    #[case(1.5e20, "1.5e+20")]
    #[case(1.23456789e18, "1234567890000000000")]
    #[case(1.23456789e24, "1.23456789e+24")]
    #[case(1e100, "1e+100")]
    #[case(1.5e300, "1.5e+300")]
    #[case(0.01, "0.01")]
    #[case(0.001, "0.001")]
    #[case(0.0001, "0.0001")]
    #[case(1e-05, "0.00001")]
    #[case(1e-06, "0.000001")]
    #[case(1e-07, "1e-7")]
    #[case(1.5e-07, "1.5e-7")]
    #[case(1e-10, "1e-10")]
    #[case(0.000123456, "1.23456e-4")]
    #[case(0.00123456, "0.00123456")]
    #[case(0.0123456, "0.0123456")]
    #[case(123456.789012, "123456.789012")]
    #[case(12345678.1234567, "1.23456781234567e+7")]
    #[case(1700000000.1234567, "1.7000000001234567e+9")]
    #[case(1e18, "1000000000000000000")]
    #[case(-37380696090857392.0, "-37380696090857392")]
    #[case(4611686018427387904.0, "4611686018427387904")]
    #[case(-4611686018427387904.0, "-4611686018427387904")]
    #[case(4611686018427388928.0, "4611686018427389000")]
    #[case(5e18, "5e+18")]
    #[case(1700000000.123, "1700000000.123")]
    #[case(13.361389338970184, "13.361389338970184")]
    #[case(144.483784, "144.48378400000001")]
    #[case(139.62988, "139.62988000000001")]
    #[case(133.258775, "133.25877500000001")]
    #[case(0.2767141122359493, "0.27671411223594933")]
    #[case(2.951749533409803e16, "29517495334098032")]
    #[case(2.315937287738532e-07, "2.3159372877385319e-7")]
    #[case(1718959041.2156126, "1.7189590412156127e+9")]
    #[case(5e-324, "5e-324")]
    #[case(2.2250738585072014e-308, "2.2250738585072014e-308")]
    #[case(2.225073858507201e-308, "2.225073858507201e-308")]
    #[case(1.7976931348623157e308, "1.7976931348623157e+308")]
    #[case(-1.7976931348623157e308, "-1.7976931348623157e+308")]
    #[case(1.5, "1.5")]
    #[case(f64::INFINITY, "inf")]
    #[case(f64::NEG_INFINITY, "-inf")]
    #[case(f64::NAN, "nan")]
    fn texts(#[case] number: f64, #[case] expected: &str) {
        let mut out = Vec::new();
        format_double(number, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn every_text_reads_back() {
        // Steps through the bit patterns of all finite doubles, by a prime.
        for bits in (0..f64::INFINITY.to_bits()).step_by(46_116_860_184_273_879) {
            for number in [f64::from_bits(bits), -f64::from_bits(bits)] {
                let mut out = Vec::new();
                format_double(number, &mut out);
                let text = String::from_utf8(out).unwrap();
                assert_eq!(
                    text.parse().map(f64::to_bits),
                    Ok(number.to_bits()),
                    "{text}"
                );
            }
        }
    }
}
