//! Compressed values: gzip, zlib, bzip2, xz, zstd, LZ4 frames. What they may become is limited, and so is what a decoder may ask for
//! before it has begun: values come from anywhere.

use std::io::Read;

use lzma_rust2::Lzma2Reader;

/// How large a value may become by decompression; also the largest dictionary or window.
pub(super) const UNPACKED_LEN_MAX: usize = 64 * 1024 * 1024;

/// The name of the compression and what is inside, if that is what the signature says and it can be read.
pub(super) fn unpack(bytes: &[u8]) -> Option<(&'static str, Vec<u8>)> {
    let (name, unpacked) = match bytes {
        [0x1f, 0x8b, ..] => ("gzip", limited(flate2::read::MultiGzDecoder::new(bytes))),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => ("xz", xz(bytes)),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            // It refuses larger windows than 100 MB.
            let decoder = ruzstd::decoding::StreamingDecoder::new(bytes).ok()?;
            ("zstd", limited(decoder))
        }
        [b'B', b'Z', b'h', b'1'..=b'9', rest @ ..] if rest.starts_with(b"1AY&SY") => {
            ("bzip2", limited(bzip2::read::MultiBzDecoder::new(bytes)))
        }
        [0x04, 0x22, 0x4d, 0x18, ..] => {
            let out = limited(lz4_flex::frame::FrameDecoder::new(bytes));
            // It takes half a header for the end.
            ("lz4", out.filter(|out| !out.is_empty()))
        }
        // A window size, no dictionary, and a check over both.
        [
            method @ (0x08 | 0x18 | 0x28 | 0x38 | 0x48 | 0x58 | 0x68 | 0x78),
            flags,
            ..,
        ] if flags & 0x20 == 0
            && (u16::from(*method) << 8 | u16::from(*flags)).is_multiple_of(31) =>
        {
            ("zlib", limited(flate2::read::ZlibDecoder::new(bytes)))
        }
        _ => return None,
    };
    Some((name, unpacked?))
}

/// All that comes out of `reader`; `None` if that is damaged or too much.
fn limited(reader: impl Read) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    limited_into(reader, &mut out)?;
    Some(out)
}

fn limited_into(reader: impl Read, out: &mut Vec<u8>) -> Option<()> {
    let left = UNPACKED_LEN_MAX.checked_sub(out.len())?;
    let len = reader.take(left as u64 + 1).read_to_end(out).ok()?;
    (len <= left).then_some(())
}

/// The first stream of an .xz file, by the format's specification (xz-file-format.txt 1.2). The container is read here, and not
/// by the library, because a block may ask for a dictionary of 4 GB, which the library makes at once. Only LZMA2 without a
/// filter before it: what Python's `lzma.compress` and `xz` write. Checks are not verified; this is for looking at.
fn xz(bytes: &[u8]) -> Option<Vec<u8>> {
    // Behind the magic number: two bytes of flags, a CRC of four.
    let check_len = match bytes.get(7)? & 0x0f {
        0 => 0,
        check @ 1..=15 => 4_usize << ((check - 1) / 3),
        _ => return None,
    };
    let mut rest = bytes.get(12..)?;
    let mut out = Vec::new();
    loop {
        let [size, ..] = *rest else { return None };
        // The index begins: no more blocks.
        if size == 0 {
            return Some(out);
        }
        let (header, blocks) = rest.split_at_checked((usize::from(size) + 1) * 4)?;
        let mut data = blocks;
        let reader = Lzma2Reader::new(&mut data, dictionary_len(header)?, None);
        limited_into(reader, &mut out)?;
        // Blocks are padded to multiples of four.
        let padding = (blocks.len() - data.len()).wrapping_neg() % 4;
        rest = data.get(padding + check_len..)?;
    }
}

/// The size of the dictionary that the header of a block asks for, as far as it can matter.
fn dictionary_len(header: &[u8]) -> Option<u32> {
    let flags = *header.get(1)?;
    // One filter.
    if flags & 0x03 != 0 {
        return None;
    }
    let mut fields = header.get(2..)?;
    // The sizes, if they are there: the data say so, too.
    for bit in [0x40, 0x80] {
        if flags & bit != 0 {
            let end = fields.iter().position(|byte| byte & 0x80 == 0)?;
            fields = fields.get(end + 1..)?;
        }
    }
    let [0x21, 1, bits, ..] = *fields else {
        return None;
    };
    // Two values per power of two: 4 KB, 6 KB, 8 KB, …
    let len = match bits {
        0..40 => (2 | u64::from(bits & 1)) << (bits / 2 + 11),
        40 => u64::from(u32::MAX),
        _ => return None,
    };
    u32::try_from(len.min(UNPACKED_LEN_MAX as u64)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn what_is_too_much_is_refused() {
        let mut encoder =
            flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        let zeros = vec![0; 1024 * 1024];
        for _ in 0..UNPACKED_LEN_MAX / zeros.len() {
            encoder.write_all(&zeros).unwrap();
        }
        let fits = encoder.finish().unwrap();
        assert_eq!(
            unpack(&fits).map(|(name, out)| (name, out.len())),
            Some(("zlib", UNPACKED_LEN_MAX))
        );
        let mut encoder =
            flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        for _ in 0..UNPACKED_LEN_MAX / zeros.len() {
            encoder.write_all(&zeros).unwrap();
        }
        encoder.write_all(b"x").unwrap();
        assert_eq!(unpack(&encoder.finish().unwrap()), None);
    }

    #[test]
    fn a_dictionary_of_four_gigabytes_is_not_made() {
        // One LZMA2 filter with the largest dictionary.
        let header = [2, 0, 0x21, 1, 40, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(dictionary_len(&header), Some(UNPACKED_LEN_MAX as u32));
        // 8 MB, as `xz -6` asks for, with both sizes in front.
        let header = [4, 0xc0, 0x80, 0x01, 0x05, 0x21, 1, 22];
        assert_eq!(dictionary_len(&header), Some(8 * 1024 * 1024));
        assert_eq!(dictionary_len(&[2, 1, 0x03, 1, 0, 0x21, 1, 22]), None);
    }

    #[test]
    fn what_is_cut_is_nothing() {
        for signature in [
            &b"\x1f\x8b"[..],
            b"\xfd7zXZ\0",
            b"\x28\xb5\x2f\xfd",
            b"\x04\x22\x4d\x18",
            b"BZh91AY&SY",
            b"\x78\x9c",
        ] {
            assert_eq!(unpack(signature), None);
        }
    }
}
