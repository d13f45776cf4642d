//! Integers of any width at any bit of a string.

/// The type of a field: `i5`, `u63`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FieldType {
    pub(super) signed: bool,
    /// 1 to 64; 63 if not signed.
    pub(super) bits: u32,
}

/// What happens to a result that does not fit into its field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overflow {
    /// Its low bits are kept.
    Wrap,
    /// The nearest value that fits is kept.
    Saturate,
    /// Nothing is done.
    Fail,
}

impl FieldType {
    /// Reads `i5`, `u63`.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let (signed, digits) = match text {
            [b'i', digits @ ..] => (true, digits),
            [b'u', digits @ ..] => (false, digits),
            _ => return None,
        };
        let bits_max = if signed { 64 } else { 63 };
        match djr_storage::value::parse_integer(digits)? {
            bits if (1..=bits_max).contains(&bits) => Some(Self {
                signed,
                bits: bits as u32,
            }),
            _ => None,
        }
    }

    /// The value of the field at `offset`; bits past the end of the string are 0.
    pub(super) fn get(self, bytes: &[u8], offset: u64) -> i64 {
        let at = (offset / 8) as usize;
        let byte = |index: usize| u128::from(bytes.get(at + index).copied().unwrap_or(0));
        // Nine bytes hold 64 bits wherever they begin.
        let window = (0..9).fold(0, |window, index| window << 8 | byte(index));
        let raw = (window >> (72 - (offset % 8) as u32 - self.bits)) as u64;
        self.truncate(raw as i64)
    }

    /// Stores the low bits of a value in the field at `offset`, which must be inside the string.
    pub(super) fn set(self, bytes: &mut [u8], offset: u64, value: i64) {
        let (at, last) = (
            (offset / 8) as usize,
            ((offset + u64::from(self.bits) - 1) / 8) as usize,
        );
        let window = &mut bytes[at..=last];
        let unused = window.len() as u32 * 8 - (offset % 8) as u32 - self.bits;
        let mask = (u128::from(u64::MAX >> (64 - self.bits))) << unused;
        let bits = (u128::from(value as u64) << unused) & mask;
        for (index, byte) in window.iter_mut().rev().enumerate() {
            *byte = *byte & !((mask >> (8 * index)) as u8) | (bits >> (8 * index)) as u8;
        }
    }

    /// The sum of a field's value, or of any integer, and an increment as it fits into the field. `None` on overflow, if that fails.
    pub(super) fn add(self, value: i64, increment: i64, overflow: Overflow) -> Option<i64> {
        self.fit(i128::from(value) + i128::from(increment), overflow)
    }

    /// A new value as it fits into the field. `None` on overflow, if that fails.
    pub(super) fn assign(self, value: i64, overflow: Overflow) -> Option<i64> {
        // A negative number given for a field without sign is one too large.
        let exact = if self.signed {
            i128::from(value)
        } else {
            i128::from(value as u64)
        };
        self.fit(exact, overflow)
    }

    fn fit(self, exact: i128, overflow: Overflow) -> Option<i64> {
        let (min, max) = if self.signed {
            let max = (1i128 << (self.bits - 1)) - 1;
            (-max - 1, max)
        } else {
            (0, (1i128 << self.bits) - 1)
        };
        if (min..=max).contains(&exact) {
            return Some(exact as i64);
        }
        match overflow {
            Overflow::Wrap => Some(self.truncate(exact as i64)),
            Overflow::Saturate => Some(exact.clamp(min, max) as i64),
            Overflow::Fail => None,
        }
    }

    /// The value of the low bits.
    fn truncate(self, value: i64) -> i64 {
        let unused = 64 - self.bits;
        if self.signed {
            value << unused >> unused
        } else {
            ((value as u64) << unused >> unused) as i64
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_wrote_and_touches_nothing_else() {
        let mut rng = crate::Rng::new(5);
        for _ in 0..20_000 {
            let signed = rng.below(2) == 0;
            let bits = 1 + rng.below(if signed { 64 } else { 63 }) as u32;
            let field = FieldType { signed, bits };
            let mut bytes: Vec<u8> = (0..20).map(|_| rng.next() as u8).collect();
            let before = bytes.clone();
            let offset = rng.below(160 - u64::from(bits) + 1);
            let value = field.truncate(rng.next() as i64);
            field.set(&mut bytes, offset, value);
            assert_eq!(field.get(&bytes, offset), value, "{field:?} at {offset}");
            for bit in (0..160).filter(|bit| !(offset..offset + u64::from(bits)).contains(bit)) {
                let of = |bytes: &[u8]| bytes[(bit / 8) as usize] >> (7 - bit % 8) & 1;
                assert_eq!(of(&bytes), of(&before));
            }
        }
    }

    #[test]
    fn reads_zeros_past_the_end() {
        let field = FieldType::parse(b"u16").expect("a type");
        assert_eq!(field.get(b"\xff", 4), 0xf000);
        assert_eq!(field.get(b"\xff", 800), 0);
    }

    #[test]
    fn only_these_types() {
        for text in [
            "", "i", "u", "i0", "i65", "u64", "u0", "x8", "I8", "i08", "i-1", "8",
        ] {
            assert_eq!(FieldType::parse(text.as_bytes()), None, "{text}");
        }
        assert!(FieldType::parse(b"i64").is_some() && FieldType::parse(b"u63").is_some());
    }
}
