//! Numbers and strings in the forms that [`reader`](super::reader) describes.

use super::lzf;
use crate::value::{INTEGER_TEXT_SIZE_MAX, format_integer, parse_integer};

/// Shorter strings are not worth compressing.
const COMPRESSED_MIN: usize = 21;
/// The longest text of a 32-bit integer.
const INTEGER32_TEXT_MAX: usize = 11;

/// Where the bytes of values go: a vector, or a file that is written as they come.
pub trait Output {
    /// Takes bytes.
    fn put(&mut self, bytes: &[u8]);

    /// Takes a byte.
    #[inline]
    fn push(&mut self, byte: u8) {
        self.put(&[byte]);
    }

    /// Whether strings are compressed where that makes them shorter (`rdbcompression`).
    #[inline]
    fn compresses(&self) -> bool {
        true
    }
}

impl Output for Vec<u8> {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    #[inline]
    fn push(&mut self, byte: u8) {
        Vec::push(self, byte);
    }
}

/// Bytes of values that are not to be compressed.
#[derive(Clone, Debug, Default)]
pub struct Uncompressed(pub Vec<u8>);

impl Output for Uncompressed {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    #[inline]
    fn compresses(&self) -> bool {
        false
    }
}

/// Takes values as they are, with no string compressed: that is done when they are written to a file.
pub(crate) struct Plain<'a>(pub(crate) &'a mut Vec<u8>);

impl Output for Plain<'_> {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    #[inline]
    fn push(&mut self, byte: u8) {
        self.0.push(byte);
    }

    #[inline]
    fn compresses(&self) -> bool {
        false
    }
}

/// Appends a number in the form of a length.
pub(super) fn push_number(out: &mut impl Output, number: u64) {
    match number {
        0..0x40 => out.push(number as u8),
        0x40..0x4000 => out.put(&[0x40 | (number >> 8) as u8, number as u8]),
        _ => match u32::try_from(number) {
            Ok(number) => {
                out.push(0x80);
                out.put(&number.to_be_bytes());
            }
            Err(_) => {
                out.push(0x81);
                out.put(&number.to_be_bytes());
            }
        },
    }
}

/// Appends a string in its shortest form.
pub(super) fn push_string(out: &mut impl Output, bytes: &[u8]) {
    if bytes.len() <= INTEGER32_TEXT_MAX
        && let Some(integer) = parse_integer(bytes)
        && push_integer32(out, integer)
    {
        return;
    }
    push_raw_string(out, bytes);
}

/// Appends the text of an integer as a string.
pub(super) fn push_integer(out: &mut impl Output, integer: i64) {
    if !push_integer32(out, integer) {
        push_raw_string(
            out,
            format_integer(integer, &mut [0; INTEGER_TEXT_SIZE_MAX]),
        );
    }
}

fn push_integer32(out: &mut impl Output, integer: i64) -> bool {
    if let Ok(integer) = i8::try_from(integer) {
        out.push(0xc0);
        out.put(&integer.to_le_bytes());
    } else if let Ok(integer) = i16::try_from(integer) {
        out.push(0xc1);
        out.put(&integer.to_le_bytes());
    } else if let Ok(integer) = i32::try_from(integer) {
        out.push(0xc2);
        out.put(&integer.to_le_bytes());
    } else {
        return false;
    }
    true
}

/// Appends a string that is no integer, compressed where that makes it shorter.
pub(super) fn push_raw_string(out: &mut impl Output, bytes: &[u8]) {
    if bytes.len() >= COMPRESSED_MIN
        && out.compresses()
        && let Some(packed) = lzf::compress(bytes, bytes.len() - 4)
    {
        out.push(0xc3);
        push_number(out, packed.len() as u64);
        push_number(out, bytes.len() as u64);
        out.put(&packed);
        return;
    }
    push_number(out, bytes.len() as u64);
    out.put(bytes);
}
