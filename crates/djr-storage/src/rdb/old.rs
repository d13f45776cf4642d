//! The packed formats of older files: ziplists, zipmaps, arrays of integers. Each is read to its end, which must be where it says.

use std::borrow::Cow;

use super::{RdbError, Reader};
use crate::types::listpack::Element;

const ZIPLIST: RdbError = RdbError::Corrupt("a ziplist");
const ZIPMAP: RdbError = RdbError::Corrupt("a zipmap");
const INTSET: RdbError = RdbError::Corrupt("an intset");

/// The elements of a ziplist.
///
/// ```text
///   bytes u32, offset of the last entry u32, entries u16 (65535: count them), entries, 0xff   all little-endian
///   an entry: length of the one before (one byte; or 0xfe and four), encoding, contents
/// ```
pub(super) fn ziplist(bytes: &[u8]) -> Result<Vec<Element<'_>>, RdbError> {
    let mut reader = Reader::new(bytes);
    let len = u32::from_le_bytes(reader.array()?);
    let tail = u32::from_le_bytes(reader.array()?);
    let count = u16::from_le_bytes(reader.array()?);
    if len as usize != bytes.len() || bytes.last() != Some(&0xff) {
        return Err(ZIPLIST);
    }
    let mut elements = Vec::new();
    let (mut last_at, mut last_len) = (bytes.len() - reader.rest().len(), 0);
    loop {
        let before = reader;
        let first = reader.byte()?;
        if first == 0xff {
            break;
        }
        let previous = match first {
            0xfe => u32::from_le_bytes(reader.array()?) as usize,
            len => usize::from(len),
        };
        if previous != last_len {
            return Err(ZIPLIST);
        }
        elements.push(ziplist_element(&mut reader)?);
        last_at = bytes.len() - before.rest().len();
        last_len = before.rest().len() - reader.rest().len();
    }
    let counted = usize::from(count) == elements.len() || count == u16::MAX;
    if !reader.rest().is_empty() || tail as usize != last_at || !counted {
        return Err(ZIPLIST);
    }
    Ok(elements)
}

fn ziplist_element<'a>(reader: &mut Reader<'a>) -> Result<Element<'a>, RdbError> {
    let first = reader.byte()?;
    let len = match first >> 6 {
        0 => u64::from(first),
        1 => u64::from(first & 63) << 8 | u64::from(reader.byte()?),
        2 => u64::from(u32::from_be_bytes(reader.array()?)),
        _ => {
            return Ok(Element::Int(match first {
                0xc0 => i64::from(i16::from_le_bytes(reader.array()?)),
                0xd0 => i64::from(i32::from_le_bytes(reader.array()?)),
                0xe0 => i64::from_le_bytes(reader.array()?),
                0xf0 => {
                    let [a, b, c] = reader.array()?;
                    i64::from(i32::from_le_bytes([0, a, b, c]) >> 8)
                }
                0xfe => i64::from(i8::from_le_bytes(reader.array()?)),
                0xf1..=0xfd => i64::from(first) - 0xf1,
                _ => return Err(ZIPLIST),
            }));
        }
    };
    Ok(Element::Bytes(reader.bytes(len)?))
}

/// A field and its value.
type Pair<'a> = (&'a [u8], &'a [u8]);

/// The fields and values of a zipmap.
///
/// ```text
///   fields u8 (254 or more: count them), pairs, 0xff
///   a pair: length, field, length, number of unused bytes u8, value, unused bytes     a length: one byte; or 0xfe and four, little-endian
/// ```
pub(super) fn zipmap(bytes: &[u8]) -> Result<Vec<Pair<'_>>, RdbError> {
    let mut reader = Reader::new(bytes);
    let count = reader.byte()?;
    let mut pairs = Vec::new();
    let len_of = |reader: &mut Reader<'_>, first: u8| match first {
        0xfe => reader.array().map(u32::from_le_bytes),
        0xff => Err(ZIPMAP),
        len => Ok(u32::from(len)),
    };
    loop {
        let first = reader.byte()?;
        if first == 0xff {
            break;
        }
        let len = len_of(&mut reader, first)?;
        let field = reader.bytes(u64::from(len))?;
        let first = reader.byte()?;
        let len = len_of(&mut reader, first)?;
        let unused = reader.byte()?;
        let value = reader.bytes(u64::from(len))?;
        reader.bytes(u64::from(unused))?;
        pairs.push((field, value));
    }
    if !reader.rest().is_empty() || count < 0xfe && usize::from(count) != pairs.len() {
        return Err(ZIPMAP);
    }
    Ok(pairs)
}

/// The integers of an intset: their size in bytes u32, their number u32, then they, ascending; all little-endian.
pub(super) fn intset(bytes: &[u8]) -> Result<Vec<i64>, RdbError> {
    let mut reader = Reader::new(bytes);
    let size = u32::from_le_bytes(reader.array()?) as usize;
    let count = u32::from_le_bytes(reader.array()?) as usize;
    let contents = reader.rest();
    if !matches!(size, 2 | 4 | 8) || count.checked_mul(size) != Some(contents.len()) {
        return Err(INTSET);
    }
    let integers: Vec<i64> = contents
        .chunks_exact(size)
        .map(|bytes| {
            let unused = 64 - 8 * size as u32;
            let word = bytes
                .iter()
                .rev()
                .fold(0_u64, |word, byte| word << 8 | u64::from(*byte));
            (word << unused) as i64 >> unused
        })
        .collect();
    if !integers.is_sorted_by(|a, b| a < b) {
        return Err(INTSET);
    }
    Ok(integers)
}

/// An element's bytes.
pub(super) fn bytes_of(element: Element<'_>) -> Cow<'_, [u8]> {
    match element {
        Element::Bytes(bytes) => Cow::Borrowed(bytes),
        Element::Int(_) => Cow::Owned(element.to_vec()),
    }
}
