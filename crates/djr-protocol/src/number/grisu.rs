//! The decimal digits of a double by Florian Loitsch's algorithm Grisu2 ("Printing Floating-Point Numbers Quickly
//! and Accurately with Integers", PLDI 2010).
//!
//! Why not std's, which are always the shortest? Because Redis (since 7.2) and Valkey print what Grisu2 finds: it works with 64
//! bits, and so about one number in a thousand comes out a digit too long (144.483784 as 144.48378400000001). The text of a
//! score is compared, stored and replicated, so it has to be the same.
//!
//! In short: the number and the middles between it and its neighbours are multiplied by a power of ten that brings
//! them near 2^64 (`POWERS`); then digits are taken from the upper middle until the rest is small enough
//! that any further ones don't matter, and the last digit is lowered towards the number itself.

/// A number as `fraction * 2^exponent`.
#[derive(Clone, Copy)]
struct Scaled {
    fraction: u64,
    exponent: i32,
}

/// Decimal digits: the number is these as an integer, times 10^`scale`.
pub(super) struct Decimal {
    digits: [u8; 20],
    count: usize,
    pub(super) scale: i32,
}

const HIDDEN_BIT: u64 = 1 << 52;

impl Decimal {
    /// The digits of a positive, finite number.
    pub(super) fn new(number: f64) -> Decimal {
        let exact = Scaled::from(number);
        // Half way to the next number, and half way to the one before, which is nearer below a power of two.
        let upper = Scaled {
            fraction: exact.fraction * 2 + 1,
            exponent: exact.exponent - 1,
        }
        .normalized();
        let shift = if exact.fraction == HIDDEN_BIT { 2 } else { 1 };
        let lower = Scaled {
            fraction: (exact.fraction << shift) - 1,
            exponent: exact.exponent - shift,
        };
        let lower = Scaled {
            fraction: lower.fraction << (lower.exponent - upper.exponent),
            exponent: upper.exponent,
        };

        let (power, power_exponent) = power_for(upper.exponent);
        let exact = exact.normalized().times(power);
        let upper = upper.times(power);
        let lower = lower.times(power);
        // The products are off by less than one: stay inside.
        let high = upper.fraction - 1;
        let low = lower.fraction + 1;

        let mut decimal = Decimal {
            digits: [0; 20],
            count: 0,
            scale: -power_exponent,
        };
        decimal.generate(high, high - exact.fraction, high - low, -upper.exponent);
        decimal
    }

    pub(super) fn digits(&self) -> &[u8] {
        &self.digits[..self.count]
    }

    /// Takes digits from `high`, a fixed point number with `point` bits behind the point, until what is left is within
    /// `width`. `distance` is how far below `high` the number itself lies.
    fn generate(&mut self, high: u64, mut distance: u64, mut width: u64, point: i32) {
        let one = 1_u64 << point;
        let mut whole = high >> point;
        let mut part = high & (one - 1);
        let mut unit = 1_000_000_000; // `whole` has 32 bits at most
        for scale in (0..10).rev() {
            self.push(whole / unit);
            whole %= unit;
            let rest = (whole << point) + part;
            if rest <= width {
                self.scale += scale;
                self.lower_last(distance, width, rest, unit << point);
                return;
            }
            unit /= 10;
        }
        loop {
            part *= 10;
            width *= 10;
            distance = distance.wrapping_mul(10);
            self.scale -= 1;
            self.push(part >> point);
            part &= one - 1;
            if part < width {
                self.lower_last(distance, width, part, one);
                return;
            }
        }
    }

    /// Adds a digit, unless it is a leading zero.
    fn push(&mut self, digit: u64) {
        if digit != 0 || self.count > 0 {
            self.digits[self.count] = b'0' + digit as u8;
            self.count += 1;
        }
    }

    /// Lowers the last digit, worth `unit`, as long as that gets nearer to the number and stays within `width`.
    fn lower_last(&mut self, distance: u64, width: u64, mut rest: u64, unit: u64) {
        while rest < distance
            && width - rest >= unit
            && (rest + unit < distance || distance - rest > rest + unit - distance)
        {
            self.digits[self.count - 1] -= 1;
            rest += unit;
        }
    }
}

impl From<f64> for Scaled {
    fn from(number: f64) -> Scaled {
        let bits = number.to_bits();
        let fraction = bits & (HIDDEN_BIT - 1);
        match (bits >> 52) as i32 & 0x7ff {
            0 => Scaled {
                fraction,
                exponent: -1074,
            },
            exponent => Scaled {
                fraction: fraction | HIDDEN_BIT,
                exponent: exponent - 1075,
            },
        }
    }
}

impl Scaled {
    /// The same number with the highest bit set.
    fn normalized(self) -> Scaled {
        let shift = self.fraction.leading_zeros();
        Scaled {
            fraction: self.fraction << shift,
            exponent: self.exponent - shift as i32,
        }
    }

    /// The upper half of the product, rounded.
    fn times(self, other: Scaled) -> Scaled {
        let product = u128::from(self.fraction) * u128::from(other.fraction);
        Scaled {
            fraction: ((product + (1 << 63)) >> 64) as u64,
            exponent: self.exponent + other.exponent + 64,
        }
    }
}

/// The power of ten that brings a normalized number with this exponent to one between -60 and -32, and which it is.
fn power_for(exponent: i32) -> (Scaled, i32) {
    // The start decides where two powers would do, so it is the one that Redis has.
    let guess = (f64::from(-(exponent + POWERS.len() as i32)) * 0.301_029_995_663_981_14) as i32;
    let mut index = (guess - POWER_FIRST) / POWER_STEP;
    loop {
        let (fraction, power_exponent) = POWERS[index as usize];
        let power_exponent = i32::from(power_exponent);
        match exponent + power_exponent + 64 {
            ..-60 => index += 1,
            -31.. => index -= 1,
            _ => {
                let power = Scaled {
                    fraction,
                    exponent: power_exponent,
                };
                return (power, POWER_FIRST + index * POWER_STEP);
            }
        }
    }
}

const POWER_FIRST: i32 = -348;
const POWER_STEP: i32 = 8;

/// 10^-348, 10^-340 … 10^340, rounded to 64 bits, as fraction and binary exponent.
#[rustfmt::skip]
const POWERS: [(u64, i16); 87] = [
    (0xfa8fd5a0081c0288, -1220), (0xbaaee17fa23ebf76, -1193), (0x8b16fb203055ac76, -1166),
    (0xcf42894a5dce35ea, -1140), (0x9a6bb0aa55653b2d, -1113), (0xe61acf033d1a45df, -1087),
    (0xab70fe17c79ac6ca, -1060), (0xff77b1fcbebcdc4f, -1034), (0xbe5691ef416bd60c, -1007),
    (0x8dd01fad907ffc3c, -980), (0xd3515c2831559a83, -954), (0x9d71ac8fada6c9b5, -927),
    (0xea9c227723ee8bcb, -901), (0xaecc49914078536d, -874), (0x823c12795db6ce57, -847),
    (0xc21094364dfb5637, -821), (0x9096ea6f3848984f, -794), (0xd77485cb25823ac7, -768),
    (0xa086cfcd97bf97f4, -741), (0xef340a98172aace5, -715), (0xb23867fb2a35b28e, -688),
    (0x84c8d4dfd2c63f3b, -661), (0xc5dd44271ad3cdba, -635), (0x936b9fcebb25c996, -608),
    (0xdbac6c247d62a584, -582), (0xa3ab66580d5fdaf6, -555), (0xf3e2f893dec3f126, -529),
    (0xb5b5ada8aaff80b8, -502), (0x87625f056c7c4a8b, -475), (0xc9bcff6034c13053, -449),
    (0x964e858c91ba2655, -422), (0xdff9772470297ebd, -396), (0xa6dfbd9fb8e5b88f, -369),
    (0xf8a95fcf88747d94, -343), (0xb94470938fa89bcf, -316), (0x8a08f0f8bf0f156b, -289),
    (0xcdb02555653131b6, -263), (0x993fe2c6d07b7fac, -236), (0xe45c10c42a2b3b06, -210),
    (0xaa242499697392d3, -183), (0xfd87b5f28300ca0e, -157), (0xbce5086492111aeb, -130),
    (0x8cbccc096f5088cc, -103), (0xd1b71758e219652c, -77), (0x9c40000000000000, -50),
    (0xe8d4a51000000000, -24), (0xad78ebc5ac620000, 3), (0x813f3978f8940984, 30),
    (0xc097ce7bc90715b3, 56), (0x8f7e32ce7bea5c70, 83), (0xd5d238a4abe98068, 109),
    (0x9f4f2726179a2245, 136), (0xed63a231d4c4fb27, 162), (0xb0de65388cc8ada8, 189),
    (0x83c7088e1aab65db, 216), (0xc45d1df942711d9a, 242), (0x924d692ca61be758, 269),
    (0xda01ee641a708dea, 295), (0xa26da3999aef774a, 322), (0xf209787bb47d6b85, 348),
    (0xb454e4a179dd1877, 375), (0x865b86925b9bc5c2, 402), (0xc83553c5c8965d3d, 428),
    (0x952ab45cfa97a0b3, 455), (0xde469fbd99a05fe3, 481), (0xa59bc234db398c25, 508),
    (0xf6c69a72a3989f5c, 534), (0xb7dcbf5354e9bece, 561), (0x88fcf317f22241e2, 588),
    (0xcc20ce9bd35c78a5, 614), (0x98165af37b2153df, 641), (0xe2a0b5dc971f303a, 667),
    (0xa8d9d1535ce3b396, 694), (0xfb9b7cd9a4a7443c, 720), (0xbb764c4ca7a44410, 747),
    (0x8bab8eefb6409c1a, 774), (0xd01fef10a657842c, 800), (0x9b10a4e5e9913129, 827),
    (0xe7109bfba19c0c9d, 853), (0xac2820d9623bf429, 880), (0x80444b5e7aa7cf85, 907),
    (0xbf21e44003acdd2d, 933), (0x8e679c2f5e44ff8f, 960), (0xd433179d9c8cb841, 986),
    (0x9e19db92b4e31ba9, 1013), (0xeb96bf6ebadf77d9, 1039), (0xaf87023b9bf0ee6b, 1066),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_are_right() {
        let mut previous = 0.0;
        for (index, (fraction, exponent)) in POWERS.into_iter().enumerate() {
            assert!(fraction >> 63 == 1, "normalized");
            let log = (fraction as f64).log10() + f64::from(exponent) * 2_f64.log10();
            let expected = f64::from(POWER_FIRST + index as i32 * POWER_STEP);
            assert!((log - expected).abs() < 1e-9, "power {index}");
            assert!(log > previous || index == 0);
            previous = log;
        }
    }

    #[test]
    fn mostly_the_shortest() {
        let (mut longer, count) = (0, 10_000);
        for number in (1..=count).map(|number| f64::from(number) / 7.0) {
            let shortest = format!("{number:e}")
                .split('e')
                .next()
                .map_or(0, |text| text.replace('.', "").len());
            let digits = Decimal::new(number).digits().len();
            assert!(digits >= shortest, "{number}");
            longer += usize::from(digits > shortest);
        }
        assert!(longer < 100, "{longer} of {count}");
    }
}
