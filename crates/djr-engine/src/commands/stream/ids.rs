//! Ids of stream entries in arguments.

use djr_storage::types::stream::StreamId;

use crate::CommandError;

pub(super) const INVALID_ID: CommandError =
    CommandError::text("ERR Invalid stream ID specified as stream command argument");

/// The longest argument that Redis looks at.
const TEXT_SIZE_MAX: usize = 127;

/// The id of a new entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NewId {
    /// `*`
    Auto,
    /// `ms-*`
    AutoSeq(u64),
    /// `ms-seq`
    Given(StreamId),
}

impl NewId {
    pub(super) fn parse(text: &[u8]) -> Result<Self, CommandError> {
        if text == b"*" {
            return Ok(Self::Auto);
        }
        let c_text = c_text(text)?;
        match c_text.strip_suffix(b"-*").filter(|ms| !ms.contains(&b'-')) {
            Some(ms) => Ok(Self::AutoSeq(parse_number(ms).ok_or(INVALID_ID)?)),
            None => Ok(Self::Given(parse_strict(text, 0)?)),
        }
    }
}

/// `ms-seq`, or `ms` alone, for which `seq` is taken.
pub(super) fn parse_strict(text: &[u8], seq: u64) -> Result<StreamId, CommandError> {
    let text = c_text(text)?;
    let id = match text.iter().position(|byte| *byte == b'-') {
        None => parse_number(text).map(|ms| StreamId::new(ms, seq)),
        Some(dash) => parse_number(&text[..dash])
            .zip(parse_number(&text[dash + 1..]))
            .map(|(ms, seq)| StreamId::new(ms, seq)),
    };
    id.ok_or(INVALID_ID)
}

/// The same, or `-` and `+` for the least and the greatest id.
pub(super) fn parse_id(text: &[u8], seq: u64) -> Result<StreamId, CommandError> {
    match c_text(text)? {
        b"-" => Ok(StreamId::MIN),
        b"+" => Ok(StreamId::MAX),
        _ => parse_strict(text, seq),
    }
}

/// The first id of a range; behind `(` the one that is just outside.
pub(super) fn parse_start(text: &[u8]) -> Result<StreamId, CommandError> {
    match text {
        [b'(', id @ ..] if !id.is_empty() => parse_strict(id, 0)?
            .next()
            .ok_or(CommandError::text("ERR invalid start ID for the interval")),
        _ => parse_id(text, 0),
    }
}

/// The last id of a range; behind `(` the one that is just outside.
pub(super) fn parse_end(text: &[u8]) -> Result<StreamId, CommandError> {
    match text {
        [b'(', id @ ..] if !id.is_empty() => parse_strict(id, u64::MAX)?
            .previous()
            .ok_or(CommandError::text("ERR invalid end ID for the interval")),
        _ => parse_id(text, u64::MAX),
    }
}

/// For Redis a text ends at its first zero byte.
fn c_text(text: &[u8]) -> Result<&[u8], CommandError> {
    if text.len() > TEXT_SIZE_MAX {
        return Err(INVALID_ID);
    }
    let len = text.iter().position(|byte| *byte == 0);
    Ok(&text[..len.unwrap_or(text.len())])
}

/// A number as Redis reads it: what is no canonical text of a number goes to C's `strtoull`, which takes blanks, signs and leading zeros.
fn parse_number(text: &[u8]) -> Option<u64> {
    if let Some(integer) = djr_storage::value::parse_integer(text) {
        return u64::try_from(integer).ok();
    }
    let blanks = text
        .iter()
        .take_while(|byte| matches!(byte, b' ' | b'\t'..=b'\r'));
    let text = &text[blanks.count()..];
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() {
        return None;
    }
    let mut number = 0u64;
    for &byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    Some(if negative {
        number.wrapping_neg()
    } else {
        number
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_c_reads_them() {
        for (text, number) in [
            ("0", Some(0)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("007", Some(7)),
            (" \t+7", Some(7)),
            ("-7", None),
            ("-07", Some(u64::MAX - 6)),
            ("", None),
            (" ", None),
            ("+", None),
            ("7 ", None),
            ("0x7", None),
        ] {
            assert_eq!(parse_number(text.as_bytes()), number, "{text}");
        }
    }

    #[test]
    fn forms() {
        let id = StreamId::new;
        assert_eq!(NewId::parse(b"*").ok(), Some(NewId::Auto));
        assert_eq!(NewId::parse(b"5-*").ok(), Some(NewId::AutoSeq(5)));
        assert_eq!(NewId::parse(b"5").ok(), Some(NewId::Given(id(5, 0))));
        assert_eq!(NewId::parse(b"5-6\0x").ok(), Some(NewId::Given(id(5, 6))));
        for text in [
            &b"5-6-*"[..],
            b"-*",
            b"**",
            b"-",
            b"+",
            b"5-",
            b"",
            &[b'1'; 128],
        ] {
            assert!(NewId::parse(text).is_err(), "{}", text.escape_ascii());
        }
        assert_eq!(parse_start(b"5").ok(), Some(id(5, 0)));
        assert_eq!(parse_end(b"5").ok(), Some(id(5, u64::MAX)));
        assert_eq!(parse_start(b"(5-1").ok(), Some(id(5, 2)));
        assert_eq!(parse_end(b"(5-1").ok(), Some(id(5, 0)));
        assert_eq!(
            (parse_start(b"-").ok(), parse_end(b"+").ok()),
            (Some(StreamId::MIN), Some(StreamId::MAX))
        );
        assert!(parse_start(b"(").is_err() && parse_start(b"(-").is_err());
    }
}
