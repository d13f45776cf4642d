//! The checksum annotation of the append-only file: one line after each group of batches.
//!
//! ```text
//! *3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n                          the group: RESP, as Redis writes it
//! #DJR crc32=5f0a11c2 len=27 end=18446 synced=16384\r\n       its annotation: Redis and Valkey skip it
//! └tag └ CRC-32 of   └ bytes └ log     └ log offset known
//!        the group     covered  offset     durable when this line
//!                               after them was written
//! ```
//!
//! A *group* is what one write call carried: one batch or many, never part of one. Invariants:
//!
//! - Lines are shorter than 128 bytes, CRLF included (the buffer of Redis's loader).
//! - The `len` bytes stand directly before the line.
//! - `end` rises by exactly `len`, so no group is applied twice or skipped.
//! - `synced <= end - len`, and it is the end of a group.
//! - A line with `len=0` covers nothing and states two facts: the offset at its place, and what is durable. Each file
//!   begins with one, each opening for append adds one (with `synced` = `end`), and so does a clean stop.
//!
//! Between groups Redis's timestamps may stand (`#TS:1700000000`, see `aof-timestamp-enabled`). Two more lines exist. The first makes a new file ours before its offset is known; a repair writes the second where it
//! took bytes out, because `end` jumps there:
//!
//! ```text
//! #DJR log\r\n
//! #DJR repaired from=18446 to=18502\r\n
//! ```

/// What every line of ours begins with.
pub(super) const TAG: &[u8] = b"#DJR ";

/// The line that a file begins with whose first offset is not known yet.
pub(super) const LOG_LINE: &[u8] = b"#DJR log\r\n";

/// The longest annotation, CRLF included.
pub const ANNOTATION_LEN_MAX: usize =
    "#DJR crc32=".len() + 8 + " len=".len() + 20 + " end=".len() + 20 + " synced=".len() + 20 + 2;

const _: () = assert!(
    ANNOTATION_LEN_MAX < 128,
    "Redis reads annotation lines into a 128-byte buffer"
);

/// The greatest offset: Redis's are signed. What follows it by appending can't overflow.
const OFFSET_MAX: u64 = i64::MAX as u64;

/// One annotation line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Annotation {
    /// CRC-32 (IEEE) of the covered bytes.
    pub crc32: u32,
    /// How many bytes directly before the line are covered.
    pub len: u64,
    /// The log offset after them.
    pub end: u64,
    /// The log offset known durable when the line was written.
    pub synced: u64,
}

impl Annotation {
    /// A line that covers nothing: it states the offset at its place and what is durable.
    pub fn mark(end: u64, synced: u64) -> Annotation {
        Annotation {
            crc32: 0,
            len: 0,
            end,
            synced,
        }
    }

    /// The log offset before the covered bytes.
    pub fn start(&self) -> u64 {
        self.end - self.len
    }

    /// Appends the line to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        debug_assert!(self.len <= self.end);
        debug_assert!(self.synced <= self.end - self.len);
        out.extend_from_slice(b"#DJR crc32=");
        for shift in (0..8).rev() {
            let digit = (self.crc32 >> (shift * 4)) & 0xf;
            out.push(b"0123456789abcdef"[digit as usize]);
        }
        out.extend_from_slice(b" len=");
        push_decimal(out, self.len);
        out.extend_from_slice(b" end=");
        push_decimal(out, self.end);
        out.extend_from_slice(b" synced=");
        push_decimal(out, self.synced);
        out.extend_from_slice(b"\r\n");
    }

    /// Reads a line, CRLF included. `None` if it is anything else, or states the impossible.
    pub fn parse(line: &[u8]) -> Option<Annotation> {
        let rest = line.strip_prefix(b"#DJR crc32=")?.strip_suffix(b"\r\n")?;
        let (hex, rest) = rest.split_at_checked(8)?;
        let mut crc32 = 0;
        for &byte in hex {
            let digit = match byte {
                b'0'..=b'9' => byte - b'0',
                b'a'..=b'f' => byte - b'a' + 10,
                _ => return None,
            };
            crc32 = crc32 << 4 | u32::from(digit);
        }
        let (len, rest) = decimal(rest.strip_prefix(b" len=")?)?;
        let (end, rest) = decimal(rest.strip_prefix(b" end=")?)?;
        let (synced, rest) = decimal(rest.strip_prefix(b" synced=")?)?;
        let possible = rest.is_empty() && end <= OFFSET_MAX && synced <= end.checked_sub(len)?;
        possible.then_some(Annotation {
            crc32,
            len,
            end,
            synced,
        })
    }
}

/// The line that a repair leaves where it took bytes out: the log offset continues at `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Repaired {
    pub(super) from: u64,
    pub(super) to: u64,
}

impl Repaired {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"#DJR repaired from=");
        push_decimal(out, self.from);
        out.extend_from_slice(b" to=");
        push_decimal(out, self.to);
        out.extend_from_slice(b"\r\n");
    }

    pub(super) fn parse(line: &[u8]) -> Option<Repaired> {
        let rest = line
            .strip_prefix(b"#DJR repaired from=")?
            .strip_suffix(b"\r\n")?;
        let (from, rest) = decimal(rest)?;
        let (to, rest) = decimal(rest.strip_prefix(b" to=")?)?;
        (rest.is_empty() && from.max(to) <= OFFSET_MAX).then_some(Repaired { from, to })
    }
}

/// Redis's line for the time of what follows it, in seconds since 1970 (`aof-timestamp-enabled`).
pub(super) fn timestamp(seconds: u64) -> Vec<u8> {
    format!("#TS:{seconds}\r\n").into_bytes()
}

/// Appends a number in decimal.
pub(super) fn push_decimal(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}

/// The number that the bytes begin with, as written by [`push_decimal`] (no sign, no leading zero), and what follows it.
pub(super) fn decimal(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let digits = bytes
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let (number, rest) = bytes.split_at(digits);
    if digits == 0 || (digits > 1 && number.first() == Some(&b'0')) {
        return None;
    }
    let mut value: u64 = 0;
    for &digit in number {
        value = value
            .checked_mul(10)?
            .checked_add(u64::from(digit - b'0'))?;
    }
    Some((value, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(annotation: Annotation) -> Vec<u8> {
        let mut line = Vec::new();
        annotation.encode(&mut line);
        line
    }

    #[test]
    fn the_line_reads_as_documented() {
        let line = encoded(Annotation {
            crc32: 0x5f0a_11c2,
            len: 27,
            end: 18446,
            synced: 16384,
        });
        assert_eq!(
            String::from_utf8(line).unwrap(),
            "#DJR crc32=5f0a11c2 len=27 end=18446 synced=16384\r\n"
        );
    }

    #[test]
    fn the_longest_line_fits() {
        let longest = Annotation {
            crc32: u32::MAX,
            len: 0,
            end: u64::MAX,
            synced: u64::MAX,
        };
        assert!(encoded(longest).len() <= ANNOTATION_LEN_MAX);
        let mut line = Vec::new();
        Repaired {
            from: u64::MAX,
            to: u64::MAX,
        }
        .encode(&mut line);
        assert!(line.len() < 128);
    }

    #[test]
    fn the_impossible_is_not_an_annotation() {
        for line in [
            "#DJR crc32=5f0a11c2 len=27 end=26 synced=0\r\n",
            "#DJR crc32=5f0a11c2 len=27 end=30 synced=4\r\n",
            "#DJR crc32=5f0a11c2 len=27 end=99999999999999999999 synced=4\r\n",
            "#DJR crc32=5f0a11c2 len=027 end=30 synced=3\r\n",
            "#DJR crc32=5f0a11C2 len=27 end=30 synced=3\r\n",
            "#DJR crc32=5f0a11c2 len=27 end=30 synced=\r\n",
            "#DJR crc32=5f0a11c2 len=27 end=30 synced=3 \r\n",
            "#DJR crc32=5f0a11c2 len=27 end=30 synced=3\n",
            "#DJR crc32=5f0a1\r\n",
            "#TS:1700000000\r\n",
            "#\r\n",
        ] {
            assert_eq!(Annotation::parse(line.as_bytes()), None, "{line:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(crc32: u32, parts: [u64; 3]) {
            let mut parts = parts.map(|part| part & OFFSET_MAX);
            parts.sort();
            let [synced, start, end] = parts;
            let annotation = Annotation { crc32, len: end - start, end, synced };
            prop_assert_eq!(Annotation::parse(&encoded(annotation)), Some(annotation));
            let repaired = Repaired { from: synced, to: end };
            let mut line = Vec::new();
            repaired.encode(&mut line);
            prop_assert_eq!(Repaired::parse(&line), Some(repaired));
        }
    }
}
