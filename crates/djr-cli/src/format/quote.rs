//! Strings in double quotes, as Redis prints them: its own escapes for control characters, `\xHH` for what is not ASCII.

/// Appends `bytes` in double quotes.
pub(super) fn quoted(bytes: &[u8], out: &mut Vec<u8>) {
    out.reserve(bytes.len() + 2);
    out.push(b'"');
    for &byte in bytes {
        match byte {
            b'\\' | b'"' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x07 => out.extend_from_slice(b"\\a"),
            0x08 => out.extend_from_slice(b"\\b"),
            b' '..=b'~' => out.push(byte),
            _ => {
                out.extend_from_slice(b"\\x");
                hex(byte, out);
            }
        }
    }
    out.push(b'"');
}

/// Two hexadecimal digits.
pub(super) fn hex(byte: u8, out: &mut Vec<u8>) {
    for digit in [byte >> 4, byte & 15] {
        out.push(if digit < 10 {
            b'0' + digit
        } else {
            b'a' + digit - 10
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_quoted_reads_back() {
        let every: Vec<u8> = (0..=255).collect();
        let mut text = Vec::new();
        quoted(&every, &mut text);
        assert!(text.is_ascii());
        assert_eq!(djr_protocol::split_args(&text).unwrap(), [every]);
    }
}
