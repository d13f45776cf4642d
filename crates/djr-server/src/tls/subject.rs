//! The common name in a certificate's subject. Only that much of DER is read as leads there; what is not understood is no name.

/// 2.5.4.3, `commonName`.
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT_IDENTIFIER: u8 = 0x06;
/// UTF8String, PrintableString, T61String, IA5String: bytes that are text as they are.
const STRINGS: [u8; 4] = [0x0c, 0x13, 0x14, 0x16];

/// The first common name in the subject (the content of an X.501 `Name`) of a certificate.
pub(super) fn common_name(subject: &[u8]) -> Option<&[u8]> {
    let mut rest = subject;
    while let Some((SET, mut attributes)) = next(&mut rest) {
        while let Some((SEQUENCE, mut attribute)) = next(&mut attributes) {
            let (OBJECT_IDENTIFIER, kind) = next(&mut attribute)? else {
                return None;
            };
            let (tag, value) = next(&mut attribute)?;
            if kind == COMMON_NAME {
                return STRINGS.contains(&tag).then_some(value);
            }
        }
    }
    None
}

/// The tag and the content of the element at the beginning of `rest`, which is moved behind it.
fn next<'a>(rest: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let [tag, first, behind @ ..] = *rest else {
        return None;
    };
    let (len, content) = match first {
        0..=0x7f => (usize::from(*first), behind),
        0x81 => {
            let [len, content @ ..] = behind else {
                return None;
            };
            (usize::from(*len), content)
        }
        0x82 => {
            let [high, low, content @ ..] = behind else {
                return None;
            };
            (usize::from(u16::from_be_bytes([*high, *low])), content)
        }
        _ => return None,
    };
    let (content, behind) = content.split_at_checked(len)?;
    *rest = behind;
    Some((*tag, content))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(tag: u8, content: &[u8]) -> Vec<u8> {
        let len = u8::try_from(content.len()).expect("short");
        [&[tag, len], content].concat()
    }

    fn attribute(kind: &[u8], tag: u8, value: &[u8]) -> Vec<u8> {
        let parts = [element(OBJECT_IDENTIFIER, kind), element(tag, value)];
        element(SET, &element(SEQUENCE, &parts.concat()))
    }

    #[test]
    fn the_common_name_is_found_behind_others() {
        let organization = attribute(&[0x55, 0x04, 0x0a], 0x0c, b"Example");
        let name = attribute(COMMON_NAME, 0x0c, b"alice");
        assert_eq!(
            common_name(&[organization, name.clone()].concat()),
            Some(&b"alice"[..])
        );
        assert_eq!(common_name(&name), Some(&b"alice"[..]));
        assert_eq!(common_name(&attribute(COMMON_NAME, 0x1e, b"\0a")), None);
        assert_eq!(common_name(b""), None);
    }

    #[test]
    fn what_is_cut_off_is_no_name() {
        let name = attribute(COMMON_NAME, 0x0c, b"alice");
        for len in 0..name.len() {
            assert_eq!(common_name(&name[..len]), None, "{len}");
        }
        for place in 0..name.len() {
            for byte in 0..=255 {
                let mut changed = name.clone();
                changed[place] = byte;
                // Whatever comes of it: nothing is read that is not there.
                let _ = common_name(&changed);
            }
        }
    }
}
