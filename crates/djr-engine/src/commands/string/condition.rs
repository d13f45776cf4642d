//! The conditions under which `SET` sets and `DELEX` deletes.

use djr_storage::value::{INTEGER_TEXT_SIZE_MAX, StringRef, ValueRef};
use xxhash_rust::xxh3::xxh3_64;

use super::super::prelude::*;

/// Bytes of a digest's text: 64 bits in hexadecimal.
const DIGEST_TEXT_SIZE: usize = 16;

/// A condition on what is stored at a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition<'a> {
    /// `NX`: nothing is.
    Absent,
    /// `XX`: something is.
    Present,
    /// `IFEQ`: this string is.
    Equal(&'a [u8]),
    /// `IFNE`: something else, or nothing, is.
    NotEqual(&'a [u8]),
    /// `IFDEQ`: a string with this digest is.
    DigestEqual(&'a [u8]),
    /// `IFDNE`: a string with another digest, or nothing, is.
    DigestNotEqual(&'a [u8]),
}

impl<'a> Condition<'a> {
    /// The condition that `IFEQ`, `IFNE`, `IFDEQ` or `IFDNE` at `index` and the argument behind it make.
    pub(super) fn comparison(args: &Args<'a>, index: usize) -> Option<Self> {
        let make = match args.get(index) {
            name if name.eq_ignore_ascii_case(b"IFEQ") => Self::Equal,
            name if name.eq_ignore_ascii_case(b"IFNE") => Self::NotEqual,
            name if name.eq_ignore_ascii_case(b"IFDEQ") => Self::DigestEqual,
            name if name.eq_ignore_ascii_case(b"IFDNE") => Self::DigestNotEqual,
            _ => return None,
        };
        (index + 1 < args.len()).then(|| make(args.get(index + 1)))
    }

    /// Refuses a digest that can't be one.
    pub(super) fn check(self) -> Result<(), CommandError> {
        match self {
            Self::DigestEqual(text) | Self::DigestNotEqual(text)
                if text.len() != DIGEST_TEXT_SIZE || !text.iter().all(u8::is_ascii_hexdigit) =>
            {
                Err(CommandError::text(
                    "ERR must be exactly 16 hexadecimal characters",
                ))
            }
            _ => Ok(()),
        }
    }

    /// Whether it holds. A comparison with something that is no string is an error.
    pub(super) fn holds(self, current: Option<ValueRef<'_>>) -> Result<bool, CommandError> {
        let equal = match (self, current) {
            (Self::Absent, current) => return Ok(current.is_none()),
            (Self::Present, current) => return Ok(current.is_some()),
            (_, None) => false,
            (Self::Equal(text) | Self::NotEqual(text), Some(value)) => {
                text == string_of(value)?.to_bytes(&mut [0; INTEGER_TEXT_SIZE_MAX])
            }
            (Self::DigestEqual(text) | Self::DigestNotEqual(text), Some(value)) => {
                text.eq_ignore_ascii_case(&digest(string_of(value)?))
            }
        };
        Ok(match self {
            Self::NotEqual(_) | Self::DigestNotEqual(_) => !equal,
            _ => equal,
        })
    }
}

/// The digest of a string: XXH3 with 64 bits and no seed, in lower-case hexadecimal.
pub(super) fn digest(string: StringRef<'_>) -> [u8; DIGEST_TEXT_SIZE] {
    let hash = xxh3_64(string.to_bytes(&mut [0; INTEGER_TEXT_SIZE_MAX]));
    std::array::from_fn(|index| {
        let nibble = (hash >> (60 - 4 * index)) as u8 & 0xf;
        b"0123456789abcdef"[usize::from(nibble)]
    })
}
