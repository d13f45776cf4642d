//! One element of a block, in the encoding of Redis's listpack: so that a block has the size that Redis compares with its limits,
//! and is what a dump holds.
//!
//! ```text
//! 0xxxxxxx                  integer 0 to 127
//! 10xxxxxx …                up to 63 bytes
//! 110xxxxx xxxxxxxx         integer of 13 bits, signed
//! 1110xxxx xxxxxxxx …       up to 4095 bytes
//! 11110000 4 bytes (LE) …   more bytes
//! 11110001 to 11110100      integer of 2, 3, 4, 8 bytes (LE), signed
//! ```
//!
//! Behind each element stands its size, to be read backwards: the low seven bits are in the last byte, and a set top bit says that another byte is
//! before it.

use crate::types::listpack::Element;
use crate::types::listpack::entry::backlen_size;
use crate::value::parse_integer;

/// Appends an element.
#[inline]
pub(super) fn push(out: &mut Vec<u8>, bytes: &[u8]) {
    // Most values begin with a letter; only what may be a number is looked at more closely.
    if let [b'-' | b'0'..=b'9', ..] = bytes
        && let Some(integer) = parse_integer(bytes)
    {
        return push_integer(out, integer);
    }
    let len = bytes.len();
    if len < 64 {
        out.push(0x80 | len as u8);
        out.extend_from_slice(bytes);
        out.push(len as u8 + 1);
        return;
    }
    let header = if len < 4096 {
        out.extend_from_slice(&[0xe0 | (len >> 8) as u8, len as u8]);
        2
    } else {
        out.push(0xf0);
        out.extend_from_slice(&(len as u32).to_le_bytes());
        5
    };
    out.extend_from_slice(bytes);
    push_back_length(out, header + len);
}

/// Appends an integer.
#[inline]
pub(super) fn push_integer(out: &mut Vec<u8>, integer: i64) {
    let bytes = integer.to_le_bytes();
    match integer {
        0..=127 => out.extend_from_slice(&[integer as u8, 1]),
        -4096..=4095 => out.extend_from_slice(&[0xc0 | (bytes[1] & 0x1f), bytes[0], 2]),
        -0x8000..=0x7fff => out.extend_from_slice(&[0xf1, bytes[0], bytes[1], 3]),
        -0x80_0000..=0x7f_ffff => {
            out.extend_from_slice(&[0xf2, bytes[0], bytes[1], bytes[2], 4]);
        }
        -0x8000_0000..=0x7fff_ffff => {
            out.push(0xf3);
            out.extend_from_slice(&bytes[..4]);
            out.push(5);
        }
        _ => {
            out.push(0xf4);
            out.extend_from_slice(&bytes);
            out.push(9);
        }
    }
}

/// Bytes that a count takes.
#[inline]
pub(super) fn integer_len(count: u32) -> usize {
    match count {
        0..=127 => 2,
        128..=4095 => 3,
        4096..=0x7fff => 4,
        0x8000..=0x7f_ffff => 5,
        0x80_0000..=0x7fff_ffff => 6,
        _ => 10,
    }
}

fn push_back_length(out: &mut Vec<u8>, len: usize) {
    for shift in (0..backlen_size(len)).rev() {
        let more = if shift + 1 == backlen_size(len) {
            0
        } else {
            0x80
        };
        out.push((len >> (7 * shift)) as u8 & 0x7f | more);
    }
}

/// The element at `at` and where the next one begins.
#[inline]
pub(super) fn read(bytes: &[u8], at: usize) -> (Element<'_>, usize) {
    let first = bytes[at];
    let (start, len) = match first {
        0..=0x7f => return (Element::Int(i64::from(first)), at + 2),
        0x80..=0xbf => {
            let len = usize::from(first & 0x3f);
            return (Element::Bytes(&bytes[at + 1..at + 1 + len]), at + len + 2);
        }
        0xc0..=0xdf => {
            let integer = u16::from_be_bytes([first & 0x1f, bytes[at + 1]]);
            // 13 bits with a sign.
            let integer = (integer << 3) as i16 >> 3;
            return (Element::Int(i64::from(integer)), at + 3);
        }
        0xe0..=0xef => (
            2,
            usize::from(u16::from_be_bytes([first & 0x0f, bytes[at + 1]])),
        ),
        0xf0 => (5, long_length(bytes, at)),
        _ => {
            let size = integer_size(first);
            let mut wide = [0; 8];
            wide[8 - size..].copy_from_slice(&bytes[at + 1..at + 1 + size]);
            let integer = i64::from_le_bytes(wide) >> (64 - 8 * size);
            return (Element::Int(integer), at + size + 2);
        }
    };
    let end = at + start + len;
    (
        Element::Bytes(&bytes[at + start..end]),
        end + backlen_size(start + len),
    )
}

/// The integer at `at` and where the next element begins.
#[inline]
pub(super) fn read_integer(bytes: &[u8], at: usize) -> (i64, usize) {
    match read(bytes, at) {
        (Element::Int(integer), next) => (integer, next),
        // Not reached: these places hold integers.
        (Element::Bytes(_), next) => (0, next),
    }
}

/// Where the element after the one at `at` begins.
#[inline]
pub(super) fn skip(bytes: &[u8], at: usize) -> usize {
    let first = bytes[at];
    match first {
        0..=0x7f => at + 2,
        0x80..=0xbf => at + usize::from(first & 0x3f) + 2,
        0xc0..=0xdf => at + 3,
        0xe0..=0xef => {
            let len = 2 + usize::from(u16::from_be_bytes([first & 0x0f, bytes[at + 1]]));
            at + len + backlen_size(len)
        }
        0xf0 => {
            let len = 5 + long_length(bytes, at);
            at + len + backlen_size(len)
        }
        _ => at + integer_size(first) + 2,
    }
}

/// Where the element that ends before `end` begins.
#[inline]
pub(super) fn back(bytes: &[u8], end: usize) -> usize {
    let (mut len, mut at) = (0, end);
    loop {
        at -= 1;
        len |= usize::from(bytes[at] & 0x7f) << (7 * (end - at - 1));
        if bytes[at] < 0x80 {
            return at - len;
        }
    }
}

#[inline]
fn long_length(bytes: &[u8], at: usize) -> usize {
    u32::from_le_bytes([bytes[at + 1], bytes[at + 2], bytes[at + 3], bytes[at + 4]]) as usize
}

#[inline]
fn integer_size(first: u8) -> usize {
    match first {
        0xf1 => 2,
        0xf2 => 3,
        0xf3 => 4,
        _ => 8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::INTEGER_TEXT_SIZE_MAX;

    #[test]
    fn what_is_pushed_is_read() {
        let mut words: Vec<Vec<u8>> = vec![b"-0".to_vec(), b"007".to_vec(), b"".to_vec()];
        for bits in 0..63 {
            for near in -1..=1 {
                let integer = (1i64 << bits).wrapping_add(near);
                words.push(integer.to_string().into_bytes());
                words.push(integer.wrapping_neg().to_string().into_bytes());
            }
        }
        words.push(i64::MIN.to_string().into_bytes());
        for len in [
            1, 63, 64, 125, 126, 127, 4095, 4096, 16380, 16381, 16382, 16383, 2097150, 2097151,
        ] {
            words.push(vec![b'x'; len]);
        }
        let (mut bytes, mut starts) = (Vec::new(), Vec::new());
        for word in &words {
            starts.push(bytes.len());
            push(&mut bytes, word);
        }
        let mut at = 0;
        for word in &words {
            let (element, next) = read(&bytes, at);
            assert_eq!(element, Element::of(word));
            assert!(element.eq_bytes(word));
            assert_eq!(element.to_bytes(&mut [0; INTEGER_TEXT_SIZE_MAX]), word);
            assert_eq!(skip(&bytes, at), next);
            assert_eq!(back(&bytes, next), at);
            at = next;
        }
        assert_eq!(at, bytes.len());
    }

    #[test]
    fn counts_are_as_long_as_said() {
        for count in [
            0,
            127,
            128,
            4095,
            4096,
            0x7fff,
            0x8000,
            0x7f_ffff,
            0x80_0000,
            u32::MAX,
        ] {
            let mut bytes = Vec::new();
            push_integer(&mut bytes, i64::from(count));
            assert_eq!(bytes.len(), integer_len(count), "{count}");
        }
    }
}
