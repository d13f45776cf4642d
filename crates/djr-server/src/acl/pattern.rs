//! Patterns of keys and channels, made ready for matching: most end in their only `*`, and are a comparison of bytes.

use djr_engine::glob;

/// A glob-style pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    text: Box<[u8]>,
    form: Form,
    /// The first bytes of a name that matches, and where they count: one comparison tells most others apart.
    head: u64,
    mask: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Everything but the empty name, which `*` does not match in Redis either.
    Any,
    /// This text only.
    Exact,
    /// What begins with all of the text but its last byte, a `*`.
    Prefix,
    /// The general case.
    Glob,
}

/// A name that is compared with patterns.
#[derive(Clone, Copy)]
pub(super) struct Name<'a> {
    bytes: &'a [u8],
    /// Its first bytes, as those of a pattern.
    head: u64,
}

impl<'a> Name<'a> {
    #[inline]
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            head: head(bytes),
        }
    }
}

/// The first eight bytes, or as many as there are and zeros.
#[inline]
fn head(bytes: &[u8]) -> u64 {
    match bytes.first_chunk() {
        Some(chunk) => u64::from_le_bytes(*chunk),
        None => {
            let mut chunk = [0; 8];
            chunk[..bytes.len()].copy_from_slice(bytes);
            u64::from_le_bytes(chunk)
        }
    }
}

impl Pattern {
    pub(super) fn new(text: &[u8]) -> Self {
        let is_special = |byte: &u8| matches!(byte, b'*' | b'?' | b'[' | b'\\');
        let (form, start) = match text {
            b"*" => (Form::Any, &[][..]),
            _ if !text.iter().any(is_special) => (Form::Exact, text),
            [start @ .., b'*'] if !start.iter().any(is_special) => (Form::Prefix, start),
            _ => (Form::Glob, &[][..]),
        };
        let bits = 8 * start.len().min(8) as u32;
        Self {
            text: text.into(),
            form,
            head: head(start),
            mask: u64::MAX.checked_shr(64 - bits).unwrap_or(0),
        }
    }

    /// As it was written.
    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }

    /// Whether the whole of a name matches.
    #[inline]
    pub(super) fn matches(&self, name: Name<'_>) -> bool {
        if name.head & self.mask != self.head {
            return false;
        }
        let (text, name) = (&*self.text, name.bytes);
        match self.form {
            Form::Prefix => match text {
                [start @ .., _] => {
                    name.len() >= start.len() && (start.len() <= 8 || name.starts_with(start))
                }
                [] => false,
            },
            Form::Exact => *name == *text,
            Form::Any => !name.is_empty(),
            Form::Glob => glob::matches(text, name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever the form, the result is that of the general matcher.
        #[test]
        fn every_form_matches_as_the_general_one(
            pattern in proptest::collection::vec(proptest::sample::select(b"ab*?[]^-\\".to_vec()), 0..6),
            name in proptest::collection::vec(proptest::sample::select(b"ab*".to_vec()), 0..6),
        ) {
            let matched = Pattern::new(&pattern).matches(Name::new(&name));
            prop_assert_eq!(matched, glob::matches(&pattern, &name));
        }

        #[test]
        fn prefixes_match_as_the_general_one(
            start in proptest::collection::vec(proptest::sample::select(b"a\0".to_vec()), 0..12),
            same in 0_usize..12,
            end in proptest::collection::vec(proptest::sample::select(b"a*\0".to_vec()), 0..6),
        ) {
            // Most names are no match: these begin as the pattern does.
            let name = [&start[..same.min(start.len())], &end].concat();
            let pattern = [&start[..], b"*"].concat();
            prop_assert_eq!(Pattern::new(&pattern).matches(Name::new(&name)), glob::matches(&pattern, &name));
            prop_assert_eq!(Pattern::new(&start).matches(Name::new(&name)), glob::matches(&start, &name));
        }
    }
}
