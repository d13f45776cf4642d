//! Requests of a load: encoded once, and only the digits of their keys changed for each use.
//!
//! ```text
//! *2\r\n$3\r\nGET\r\n$16\r\nkey:000000001234\r\n   × pipeline
//!                           └ 12 digits, patched
//! ```

use std::sync::LazyLock;

/// One argument of a load's command.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Arg {
    Text(&'static str),
    /// A key of the data set: 16 bytes, `key:` and 12 digits.
    Key,
    /// 64 bytes.
    Value,
}

/// A command of a load: its arguments, its own name first.
pub(crate) type Command = &'static [Arg];

pub(crate) const VALUE: [u8; 64] = [b'x'; 64];
const KEY_PREFIX: &[u8] = b"key:";
const KEY_DIGITS: usize = 12;

/// Which keys requests are made for.
pub(crate) enum Keys {
    /// Uniformly random keys below `count`.
    Random { count: u64, state: u64 },
    /// One after the other.
    Sequential { next: u64 },
}

impl Keys {
    pub(crate) fn random(count: u64, seed: u64) -> Self {
        assert!(count > 0, "a load needs keys");
        Keys::Random { count, state: seed }
    }

    fn next(&mut self) -> u64 {
        match self {
            Keys::Random { count, state } => {
                // splitmix64, then scaled to the range by a multiplication instead of a division.
                *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let mut z = *state;
                z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                z ^= z >> 31;
                ((u128::from(z) * u128::from(*count)) >> 64) as u64
            }
            Keys::Sequential { next } => {
                let key = *next;
                *next += 1;
                key
            }
        }
    }
}

/// The bytes of one full pipeline.
pub(crate) struct Pipeline {
    bytes: Vec<u8>,
    /// Where each key's digits begin.
    digits: Vec<usize>,
}

impl Pipeline {
    pub(crate) fn new(command: Command, depth: usize) -> Self {
        let mut pipeline = Pipeline {
            bytes: Vec::new(),
            digits: Vec::new(),
        };
        for _ in 0..depth {
            pipeline.push(command);
        }
        pipeline
    }

    fn push(&mut self, command: Command) {
        self.bytes.extend(format!("*{}\r\n", command.len()).bytes());
        for arg in command {
            match arg {
                Arg::Text(text) => self.push_bulk(text.as_bytes()),
                Arg::Value => self.push_bulk(&VALUE),
                Arg::Key => {
                    let mut key = KEY_PREFIX.to_vec();
                    key.resize(KEY_PREFIX.len() + KEY_DIGITS, b'0');
                    self.push_bulk(&key);
                    self.digits.push(self.bytes.len() - 2 - KEY_DIGITS);
                }
            }
        }
    }

    fn push_bulk(&mut self, bytes: &[u8]) {
        self.bytes.extend(format!("${}\r\n", bytes.len()).bytes());
        self.bytes.extend(bytes);
        self.bytes.extend(b"\r\n");
    }

    /// Gives every request its next key and returns the bytes to send.
    pub(crate) fn with_next_keys(&mut self, keys: &mut Keys) -> &[u8] {
        for &at in &self.digits {
            write_digits(&mut self.bytes[at..at + KEY_DIGITS], keys.next());
        }
        &self.bytes
    }
}

/// `0000` to `9999`.
static FOUR_DIGITS: LazyLock<Vec<[u8; 4]>> = LazyLock::new(|| {
    (0..10_000_u16)
        .map(|n| [n / 1000, n / 100 % 10, n / 10 % 10, n % 10].map(|digit| b'0' + digit as u8))
        .collect()
});

fn write_digits(out: &mut [u8], number: u64) {
    let table = &**FOUR_DIGITS;
    let (high, low) = (number / 100_000_000, number % 100_000_000);
    out[0..4].copy_from_slice(&table[(high % 10_000) as usize]);
    out[4..8].copy_from_slice(&table[(low / 10_000) as usize]);
    out[8..12].copy_from_slice(&table[(low % 10_000) as usize]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_decimal() {
        for number in [
            0,
            7,
            1234,
            99_999_999,
            100_000_000,
            123_456_789_012,
            999_999_999_999,
        ] {
            let mut out = [0; 12];
            write_digits(&mut out, number);
            assert_eq!(String::from_utf8_lossy(&out), format!("{number:012}"));
        }
    }

    #[test]
    fn pipeline_holds_well_formed_requests_with_successive_keys() {
        let mut pipeline = Pipeline::new(&[Arg::Text("SET"), Arg::Key, Arg::Value], 2);
        let bytes = pipeline.with_next_keys(&mut Keys::Sequential { next: 41 });
        let value = "x".repeat(64);
        let one = |key| format!("*3\r\n$3\r\nSET\r\n$16\r\nkey:{key:012}\r\n$64\r\n{value}\r\n");
        assert_eq!(String::from_utf8_lossy(bytes), one(41) + &one(42));
    }

    #[test]
    fn random_keys_cover_the_range_and_keep_inside() {
        let mut keys = Keys::random(10, 1);
        let mut seen = [0_u32; 10];
        for _ in 0..10_000 {
            seen[keys.next() as usize] += 1;
        }
        assert!(
            seen.iter().all(|&count| (800..1200).contains(&count)),
            "{seen:?}"
        );
    }
}
