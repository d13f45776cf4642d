//! What SCAN, HSCAN, SSCAN and ZSCAN have in common: cursor and options.

use djr_storage::value::parse_integer;

use super::prelude::*;
use crate::glob;

/// How many elements a call looks at if it does not say.
const COUNT: usize = 10;

/// An option that only one of the commands takes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Extra {
    /// None.
    None,
    /// `TYPE` and a type's name (SCAN).
    Type,
    /// `NOVALUES` (HSCAN).
    NoValues,
    /// `NOSCORES` (ZSCAN).
    NoScores,
}

/// The options of such a command.
pub(super) struct ScanOptions<'a> {
    pattern: Option<&'a [u8]>,
    /// How many elements it looks at, at least 1.
    pub(super) count: usize,
    /// `TYPE`.
    pub(super) kind: Option<&'a [u8]>,
    /// Values or scores are left out (`NOVALUES`, `NOSCORES`).
    pub(super) names_only: bool,
}

impl<'a> ScanOptions<'a> {
    /// Reads the options from word `first` on.
    pub(super) fn parse(args: &Args<'a>, first: usize, extra: Extra) -> Result<Self, CommandError> {
        let mut options = Self {
            pattern: None,
            count: COUNT,
            kind: None,
            names_only: false,
        };
        let mut index = first;
        while index < args.len() {
            let value = (index + 1 < args.len()).then(|| args.get(index + 1));
            match value {
                Some(_) if args.is(index, "COUNT") => {
                    options.count = usize::try_from(args.integer(index + 1)?)
                        .ok()
                        .filter(|count| *count > 0)
                        .ok_or(CommandError::Syntax)?;
                    index += 1;
                }
                Some(pattern) if args.is(index, "MATCH") => {
                    options.pattern = Some(pattern).filter(|pattern| !glob::is_any(pattern));
                    index += 1;
                }
                Some(kind) if extra == Extra::Type && args.is(index, "TYPE") => {
                    options.kind = Some(kind);
                    index += 1;
                }
                _ if args.is(index, "NOVALUES") => {
                    if extra != Extra::NoValues {
                        return Err(CommandError::text(
                            "ERR NOVALUES option can only be used in HSCAN",
                        ));
                    }
                    options.names_only = true;
                }
                _ if args.is(index, "NOSCORES") => {
                    if extra != Extra::NoScores {
                        return Err(CommandError::text(
                            "ERR NOSCORES option can only be used in ZSCAN",
                        ));
                    }
                    options.names_only = true;
                }
                _ => return Err(CommandError::Syntax),
            }
            index += 1;
        }
        Ok(options)
    }

    /// Whether `MATCH` lets this through.
    pub(super) fn wants(&self, name: &[u8]) -> bool {
        self.pattern
            .is_none_or(|pattern| glob::matches(pattern, name))
    }
}

/// A cursor, as loosely read as Redis does it by C's `strtoull`: up to a zero byte, with spaces before it and a sign, and modulo
/// 2^64 where that is a minus. But what is a negative integer at the first glance is none.
pub(super) fn cursor(text: &[u8]) -> Result<u64, CommandError> {
    parse_cursor(text).ok_or(CommandError::InvalidCursor)
}

fn parse_cursor(text: &[u8]) -> Option<u64> {
    let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
    if parse_integer(text).is_some_and(|integer| integer < 0) {
        return None;
    }
    let spaces = text
        .iter()
        .take_while(|byte| matches!(byte, b' ' | b'\t'..=b'\r'));
    let text = &text[spaces.count()..];
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some(if negative {
        number.wrapping_neg()
    } else {
        number
    })
}

/// Answers that there is nothing: where the key is missing, whatever the options are, as in Redis.
pub(super) fn reply_nothing(reply: &mut Reply<'_>) {
    reply.array(2);
    reply.bulk(b"0");
    reply.array(0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_are_read_as_redis_reads_them() {
        for (text, cursor) in [
            (&b"0"[..], Some(0)),
            (b"18446744073709551615", Some(u64::MAX)),
            (b"18446744073709551616", None),
            (b" 7", Some(7)),
            (b"\x0b\t7", Some(7)),
            (b"7 ", None),
            (b"+7", Some(7)),
            (b"007", Some(7)),
            (b"-0", Some(0)),
            (b"-1", None),
            (b" -1", Some(u64::MAX)),
            (b"7\0x", Some(7)),
            (b"0x7", None),
            (b"", None),
            (b"+", None),
            (b"+-1", None),
        ] {
            assert_eq!(parse_cursor(text), cursor, "{}", text.escape_ascii());
        }
    }
}
