//! One entry of a listpack: its encodings, and the length behind it that is read backwards.

use crate::value::{INTEGER_TEXT_SIZE_MAX, format_integer, parse_integer};

/// The byte behind the last entry.
pub(super) const END: u8 = 0xff;

/// What an entry holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element<'a> {
    /// The text of this integer.
    Int(i64),
    /// These bytes.
    Bytes(&'a [u8]),
}

impl<'a> Element<'a> {
    /// `bytes` as a listpack keeps them: an integer where they are the canonical text of one.
    #[inline]
    pub fn of(bytes: &'a [u8]) -> Self {
        if bytes.len() > INTEGER_TEXT_SIZE_MAX {
            return Self::Bytes(bytes);
        }
        parse_integer(bytes).map_or(Self::Bytes(bytes), Self::Int)
    }

    /// The bytes of the element; an integer is written into `buffer`.
    #[inline]
    pub fn to_bytes<'b>(self, buffer: &'b mut [u8; INTEGER_TEXT_SIZE_MAX]) -> &'b [u8]
    where
        'a: 'b,
    {
        match self {
            Self::Int(integer) => format_integer(integer, buffer),
            Self::Bytes(bytes) => bytes,
        }
    }

    /// A copy of the bytes.
    pub fn to_vec(self) -> Vec<u8> {
        self.to_bytes(&mut [0; INTEGER_TEXT_SIZE_MAX]).to_vec()
    }

    /// Length of the element's bytes.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(self) -> usize {
        match self {
            Self::Int(integer) => format_integer(integer, &mut [0; INTEGER_TEXT_SIZE_MAX]).len(),
            Self::Bytes(bytes) => bytes.len(),
        }
    }

    /// Whether the element is these bytes.
    #[inline]
    pub fn eq_bytes(self, other: &[u8]) -> bool {
        match self {
            Self::Int(integer) => parse_integer(other) == Some(integer),
            Self::Bytes(bytes) => bytes == other,
        }
    }

    /// The integer whose canonical text this is.
    #[inline]
    pub fn as_integer(self) -> Option<i64> {
        match self {
            Self::Int(integer) => Some(integer),
            Self::Bytes(bytes) => parse_integer(bytes),
        }
    }
}

/// Bytes to look for in many entries: whether they are an integer is found out once.
#[derive(Clone, Copy, Debug)]
pub struct Needle<'a> {
    bytes: &'a [u8],
    integer: Option<i64>,
}

impl<'a> Needle<'a> {
    /// These bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            integer: parse_integer(bytes),
        }
    }

    /// Whether they are the canonical text of an integer.
    #[inline]
    pub fn is_integer(&self) -> bool {
        self.integer.is_some()
    }

    /// Whether `element` is these bytes.
    #[inline]
    pub fn matches(&self, element: Element<'_>) -> bool {
        match element {
            Element::Int(integer) => self.integer == Some(integer),
            Element::Bytes(bytes) => bytes == self.bytes,
        }
    }
}

/// An entry to be written: the encoding (with the whole of an integer, or the length of a string), then data, then the
/// length of both.
pub(in crate::types) struct NewEntry<'a> {
    head: [u8; 9],
    head_len: usize,
    data: &'a [u8],
}

impl<'a> NewEntry<'a> {
    /// # Panics
    ///
    /// If `element` has 2^32 bytes or more: the format cannot say that.
    #[inline]
    pub(in crate::types) fn new(element: Element<'a>) -> Self {
        let mut head = [0; 9];
        let (head_len, data) = match element {
            Element::Int(integer) => (encode_integer(integer, &mut head), &[][..]),
            Element::Bytes(bytes) => (encode_length(bytes.len(), &mut head), bytes),
        };
        Self {
            head,
            head_len,
            data,
        }
    }

    /// Bytes that it takes, the length behind it included.
    #[inline]
    pub(in crate::types) fn size(&self) -> usize {
        let body = self.head_len + self.data.len();
        body + backlen_size(body)
    }

    /// Writes it into `out`, which is [`NewEntry::size`] bytes.
    #[inline]
    pub(in crate::types) fn write(&self, out: &mut [u8]) {
        let (head, rest) = out.split_at_mut(self.head_len);
        head.copy_from_slice(&self.head[..self.head_len]);
        let (data, back) = rest.split_at_mut(self.data.len());
        data.copy_from_slice(self.data);
        write_backlen(self.head_len + self.data.len(), back);
    }
}

/// The shortest encoding of `integer`.
#[inline]
fn encode_integer(integer: i64, head: &mut [u8; 9]) -> usize {
    match integer {
        0..=127 => {
            head[0] = integer as u8;
            1
        }
        -4096..=4095 => {
            let bits = (integer as u16) & 0x1fff;
            head[..2].copy_from_slice(&(bits | 0xc000).to_be_bytes());
            2
        }
        _ => {
            let bytes = integer.to_le_bytes();
            let (tag, width) = match integer {
                -0x8000..=0x7fff => (0xf1, 2),
                -0x80_0000..=0x7f_ffff => (0xf2, 3),
                -0x8000_0000..=0x7fff_ffff => (0xf3, 4),
                _ => (0xf4, 8),
            };
            head[0] = tag;
            head[1..=width].copy_from_slice(&bytes[..width]);
            1 + width
        }
    }
}

/// The encoding of a string of `len` bytes, without the string.
#[inline]
fn encode_length(len: usize, head: &mut [u8; 9]) -> usize {
    match len {
        0..=0x3f => {
            head[0] = 0x80 | len as u8;
            1
        }
        0x40..=0xfff => {
            head[..2].copy_from_slice(&(0xe000 | len as u16).to_be_bytes());
            2
        }
        _ => {
            // Whoever adds asks `may_grow_by`, whose limit is far below.
            let len = u32::try_from(len).expect("a string in a listpack is shorter than 4 GiB");
            head[0] = 0xf0;
            head[1..5].copy_from_slice(&len.to_le_bytes());
            5
        }
    }
}

/// Bytes that the length `body` takes behind the entry. The limits are Redis's: 16383 takes three though two would do.
#[inline]
pub(in crate::types) fn backlen_size(body: usize) -> usize {
    match body {
        0..=127 => 1,
        128..16_383 => 2,
        16_383..2_097_151 => 3,
        2_097_151..268_435_455 => 4,
        _ => 5,
    }
}

/// Writes `body` in seven-bit groups, the highest first; all but the first byte have the top bit.
#[inline]
fn write_backlen(mut body: usize, out: &mut [u8]) {
    for at in (0..out.len()).rev() {
        let more = if at == 0 { 0 } else { 0x80 };
        out[at] = (body & 0x7f) as u8 | more;
        body >>= 7;
    }
}

/// Reads the length that ends before `end`: the bytes of the entry that it belongs to, itself included.
#[inline]
fn size_before(bytes: &[u8], end: usize) -> Option<usize> {
    let mut body = 0usize;
    for width in 1..=5 {
        let byte = *bytes.get(end.checked_sub(width)?)?;
        body |= ((byte & 0x7f) as usize) << (7 * (width - 1));
        if byte & 0x80 == 0 {
            return Some(body + width);
        }
    }
    None
}

/// Bytes that the entry at the beginning of `bytes` takes without the length behind it. `None`: no entry begins so.
/// That they are all there is not checked.
#[inline]
fn body_size(bytes: &[u8]) -> Option<usize> {
    Some(match *bytes.first()? {
        0..=0x7f => 1,
        tag @ 0x80..=0xbf => 1 + (tag & 0x3f) as usize,
        0xc0..=0xdf => 2,
        tag @ 0xe0..=0xef => 2 + (((tag & 0xf) as usize) << 8 | *bytes.get(1)? as usize),
        0xf0 => 5 + u32::from_le_bytes(*bytes.get(1..)?.first_chunk()?) as usize,
        0xf1 => 3,
        0xf2 => 4,
        0xf3 => 5,
        0xf4 => 9,
        _ => return None,
    })
}

/// Bytes of the entry at the beginning of `bytes`, the length behind it included. 0 where no entry begins (at the end).
#[inline]
pub(in crate::types) fn size(bytes: &[u8]) -> usize {
    match bytes.first() {
        // Most entries: short strings and small integers.
        Some(&tag @ 0..=0xbf) => match tag {
            0..=0x7f => 2,
            _ => 2 + (tag & 0x3f) as usize,
        },
        _ => body_size(bytes).map_or(0, |body| body + backlen_size(body)),
    }
}

/// Bytes of the entry that ends before `end`.
#[inline]
pub(in crate::types) fn last_size(bytes: &[u8], end: usize) -> usize {
    match end.checked_sub(1).and_then(|at| bytes.get(at)) {
        Some(&body @ 0..=0x7f) => body as usize + 1,
        _ => size_before(bytes, end).unwrap_or(0),
    }
}

/// Bytes of the entry at the beginning of `bytes`, if all of it is there and the length behind it is right.
pub(super) fn checked_size(bytes: &[u8]) -> Option<usize> {
    let body = body_size(bytes)?;
    let size = body + backlen_size(body);
    (size <= bytes.len() && size_before(bytes, size) == Some(size)).then_some(size)
}

/// The element at the beginning of `bytes`; `None` at the end.
#[inline]
pub(in crate::types) fn decode(bytes: &[u8]) -> Option<Element<'_>> {
    let integer = |width: usize| -> Option<Element<'_>> {
        let mut wide = [0; 8];
        wide[8 - width..].copy_from_slice(bytes.get(1..=width)?);
        Some(Element::Int(
            i64::from_le_bytes(wide) >> (64 - 8 * width as u32),
        ))
    };
    match *bytes.first()? {
        tag @ 0..=0x7f => Some(Element::Int(i64::from(tag))),
        tag @ 0x80..=0xbf => Some(Element::Bytes(bytes.get(1..1 + (tag & 0x3f) as usize)?)),
        tag @ 0xc0..=0xdf => {
            let bits = u16::from_be_bytes([tag, *bytes.get(1)?]);
            Some(Element::Int(i64::from((bits << 3) as i16 >> 3)))
        }
        0xe0..=0xef => Some(Element::Bytes(bytes.get(2..body_size(bytes)?)?)),
        0xf0 => Some(Element::Bytes(bytes.get(5..body_size(bytes)?)?)),
        0xf1 => integer(2),
        0xf2 => integer(3),
        0xf3 => integer(4),
        0xf4 => integer(8),
        _ => None,
    }
}
