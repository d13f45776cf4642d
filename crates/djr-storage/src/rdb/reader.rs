//! Numbers and strings out of the bytes of a file.
//!
//! | bytes | a length |
//! |---|---|
//! | `00nnnnnn` | n |
//! | `01nnnnnn` and one byte | 14 bits, the high ones first |
//! | `10000000` and four bytes | 32 bits, big-endian |
//! | `10000001` and eight bytes | 64 bits, big-endian |
//! | `11nnnnnn` | not a length: a string of form n |
//!
//! Forms of strings: 0 to 2, a signed integer of 8, 16 or 32 bits, little-endian, of which the string is the text; 3, the length compressed and
//! plain, then the bytes in [`lzf`].

use std::borrow::Cow;

use super::{RdbError, lzf};
use crate::value::{INTEGER_TEXT_SIZE_MAX, format_integer};

/// Bytes that are read from the front.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

/// What a length's first byte announces.
enum Length {
    Plain(u64),
    /// A string of this form.
    Form(u8),
}

impl<'a> Reader<'a> {
    /// Reads these bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What is left.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next `len` bytes.
    #[inline]
    pub fn bytes(&mut self, len: u64) -> Result<&'a [u8], RdbError> {
        let len = usize::try_from(len).map_err(|_| RdbError::Truncated)?;
        let (bytes, rest) = self.rest.split_at_checked(len).ok_or(RdbError::Truncated)?;
        self.rest = rest;
        Ok(bytes)
    }

    /// The next bytes, of which there are N.
    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], RdbError> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(RdbError::Truncated)?;
        self.rest = rest;
        Ok(*bytes)
    }

    /// The next byte.
    #[inline]
    pub fn byte(&mut self) -> Result<u8, RdbError> {
        self.array::<1>().map(|[byte]| byte)
    }

    #[inline]
    fn length(&mut self) -> Result<Length, RdbError> {
        let first = self.byte()?;
        Ok(match first >> 6 {
            0 => Length::Plain(u64::from(first)),
            1 => Length::Plain(u64::from(first & 63) << 8 | u64::from(self.byte()?)),
            2 => match first {
                0x80 => Length::Plain(u64::from(u32::from_be_bytes(self.array()?))),
                0x81 => Length::Plain(u64::from_be_bytes(self.array()?)),
                _ => return Err(RdbError::Corrupt("no such form of a length")),
            },
            _ => Length::Form(first & 63),
        })
    }

    /// A number in the form of a length.
    pub fn number(&mut self) -> Result<u64, RdbError> {
        match self.length()? {
            Length::Plain(number) => Ok(number),
            Length::Form(_) => Err(RdbError::Corrupt("a string where a length should be")),
        }
    }

    /// How many things of at least `size_min` bytes follow. There is room for so many.
    pub fn count(&mut self, size_min: usize) -> Result<usize, RdbError> {
        let count = self.number()?;
        match usize::try_from(count) {
            Ok(count) if count <= self.rest.len() / size_min => Ok(count),
            _ => Err(RdbError::Truncated),
        }
    }

    /// A string.
    #[inline]
    pub fn string(&mut self) -> Result<Cow<'a, [u8]>, RdbError> {
        let integer = match self.length()? {
            Length::Plain(len) => return self.bytes(len).map(Cow::Borrowed),
            Length::Form(0) => i64::from(i8::from_le_bytes(self.array()?)),
            Length::Form(1) => i64::from(i16::from_le_bytes(self.array()?)),
            Length::Form(2) => i64::from(i32::from_le_bytes(self.array()?)),
            Length::Form(3) => {
                let (packed, len) = (self.number()?, self.number()?);
                let packed = self.bytes(packed)?;
                return usize::try_from(len)
                    .ok()
                    .and_then(|len| lzf::decompress(packed, len))
                    .map(Cow::Owned)
                    .ok_or(RdbError::Corrupt("a compressed string"));
            }
            Length::Form(_) => return Err(RdbError::Corrupt("no such form of a string")),
        };
        let text = format_integer(integer, &mut [0; INTEGER_TEXT_SIZE_MAX]).to_vec();
        Ok(Cow::Owned(text))
    }

    /// Reads over a string.
    #[inline]
    pub fn skip_string(&mut self) -> Result<(), RdbError> {
        let len = match self.length()? {
            Length::Plain(len) => len,
            Length::Form(0) => 1,
            Length::Form(1) => 2,
            Length::Form(2) => 4,
            Length::Form(3) => {
                let packed = self.number()?;
                self.number()?;
                packed
            }
            Length::Form(_) => return Err(RdbError::Corrupt("no such form of a string")),
        };
        self.bytes(len).map(drop)
    }

    /// A number of milliseconds since 1970, or another integer of eight bytes.
    pub fn i64(&mut self) -> Result<i64, RdbError> {
        self.array().map(i64::from_le_bytes)
    }

    /// A score in eight bytes.
    pub fn f64(&mut self) -> Result<f64, RdbError> {
        not_nan(f64::from_le_bytes(self.array()?))
    }

    /// A score as text, in the oldest files.
    pub fn f64_text(&mut self) -> Result<f64, RdbError> {
        match self.byte()? {
            253 => Err(RdbError::Corrupt("a score that is not a number")),
            254 => Ok(f64::INFINITY),
            255 => Ok(f64::NEG_INFINITY),
            len => parse_score(self.bytes(u64::from(len))?),
        }
    }
}

/// A score as text.
pub(super) fn parse_score(text: &[u8]) -> Result<f64, RdbError> {
    let text = std::str::from_utf8(text).map_err(|_| RdbError::Corrupt("a score"))?;
    not_nan(
        text.trim_start()
            .parse()
            .map_err(|_| RdbError::Corrupt("a score"))?,
    )
}

fn not_nan(score: f64) -> Result<f64, RdbError> {
    if score.is_nan() {
        return Err(RdbError::Corrupt("a score that is not a number"));
    }
    Ok(score)
}
