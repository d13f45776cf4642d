//! The ids of entries: milliseconds and a number among those of the same millisecond.

use std::fmt;

/// The id of an entry. Ids ascend along a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId {
    /// Milliseconds since the Unix epoch, or whatever the client chose.
    pub ms: u64,
    /// Number among the ids of the same millisecond.
    pub seq: u64,
}

/// The longest text of an id: two numbers of 20 digits and a dash.
pub const ID_TEXT_SIZE_MAX: usize = 41;

impl StreamId {
    /// `0-0`, which no entry has.
    pub const MIN: Self = Self { ms: 0, seq: 0 };
    /// The last possible id.
    pub const MAX: Self = Self {
        ms: u64::MAX,
        seq: u64::MAX,
    };

    /// The id made of these numbers.
    pub const fn new(ms: u64, seq: u64) -> Self {
        Self { ms, seq }
    }

    /// Whether it is `0-0`, which stands for "none".
    pub fn is_zero(self) -> bool {
        self == Self::MIN
    }

    /// The next greater id, if there is one.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        match self.seq.checked_add(1) {
            Some(seq) => Some(Self { seq, ..self }),
            None => Some(Self::new(self.ms.checked_add(1)?, 0)),
        }
    }

    /// The next smaller id, if there is one.
    #[must_use]
    pub fn previous(self) -> Option<Self> {
        match self.seq.checked_sub(1) {
            Some(seq) => Some(Self { seq, ..self }),
            None => Some(Self::new(self.ms.checked_sub(1)?, u64::MAX)),
        }
    }

    /// Reads `ms-seq`, or `ms` alone, for which `seq` is taken. The numbers are decimal without sign or leading zeros.
    pub fn parse(text: &[u8], seq: u64) -> Option<Self> {
        match text.iter().position(|byte| *byte == b'-') {
            None => Some(Self::new(parse_number(text)?, seq)),
            Some(dash) => {
                let (ms, rest) = text.split_at(dash);
                Some(Self::new(parse_number(ms)?, parse_number(&rest[1..])?))
            }
        }
    }

    /// Writes `ms-seq` to the end of `buffer` and returns it.
    pub fn format(self, buffer: &mut [u8; ID_TEXT_SIZE_MAX]) -> &[u8] {
        let at = format_number(self.seq, buffer, ID_TEXT_SIZE_MAX) - 1;
        buffer[at] = b'-';
        let at = format_number(self.ms, buffer, at);
        &buffer[at..]
    }
}

/// Reads the canonical text of a `u64`.
pub fn parse_number(text: &[u8]) -> Option<u64> {
    match text {
        [b'0'] => return Some(0),
        [b'1'..=b'9', ..] if text.len() <= 20 => {}
        _ => return None,
    }
    let mut number = 0u64;
    for &byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    Some(number)
}

/// Writes the digits of `number` so that they end before `end`, and returns where they begin.
fn format_number(mut number: u64, buffer: &mut [u8], end: usize) -> usize {
    let mut at = end;
    loop {
        at -= 1;
        buffer[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return at;
        }
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        for id in [
            StreamId::MIN,
            StreamId::MAX,
            StreamId::new(0, 1),
            StreamId::new(1_700_000_000_000, 12),
        ] {
            let mut buffer = [0; ID_TEXT_SIZE_MAX];
            let text = id.format(&mut buffer);
            assert_eq!(text, id.to_string().as_bytes());
            assert_eq!(StreamId::parse(text, 7), Some(id));
        }
        assert_eq!(StreamId::parse(b"5", 7), Some(StreamId::new(5, 7)));
        for text in [
            "",
            "-",
            "1-",
            "-1",
            "01",
            "1-01",
            "+1",
            "1-2-3",
            " 1",
            "1 ",
            "a",
            "1-a",
            "1--1",
            "18446744073709551616",
            "1-18446744073709551616",
        ] {
            assert_eq!(StreamId::parse(text.as_bytes(), 0), None, "{text}");
        }
    }

    #[test]
    fn neighbours() {
        assert_eq!(StreamId::MAX.next(), None);
        assert_eq!(StreamId::MIN.previous(), None);
        assert_eq!(StreamId::new(1, u64::MAX).next(), Some(StreamId::new(2, 0)));
        assert_eq!(
            StreamId::new(2, 0).previous(),
            Some(StreamId::new(1, u64::MAX))
        );
        assert_eq!(StreamId::new(2, 5).next(), Some(StreamId::new(2, 6)));
    }
}
