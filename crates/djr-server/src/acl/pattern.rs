//! Patterns of keys and channels, made ready for matching: most end in their only `*`, and are a comparison of bytes.

use djr_engine::glob;

/// A glob-style pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    text: Box<[u8]>,
    form: Form,
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

impl Pattern {
    pub(super) fn new(text: &[u8]) -> Self {
        let is_special = |byte: &u8| matches!(byte, b'*' | b'?' | b'[' | b'\\');
        let form = match text {
            b"*" => Form::Any,
            _ if !text.iter().any(is_special) => Form::Exact,
            [start @ .., b'*'] if !start.iter().any(is_special) => Form::Prefix,
            _ => Form::Glob,
        };
        Self {
            text: text.into(),
            form,
        }
    }

    /// As it was written.
    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }

    /// Whether the whole of a name matches.
    #[inline]
    pub(super) fn matches(&self, name: &[u8]) -> bool {
        match self.form {
            Form::Prefix => match &*self.text {
                [start @ .., _] => name.starts_with(start),
                [] => false,
            },
            Form::Exact => *name == *self.text,
            Form::Any => !name.is_empty(),
            Form::Glob => glob::matches(&self.text, name),
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
            let matched = Pattern::new(&pattern).matches(&name);
            prop_assert_eq!(matched, glob::matches(&pattern, &name));
        }

        #[test]
        fn prefixes_match_as_the_general_one(
            start in proptest::collection::vec(proptest::sample::select(b"ab".to_vec()), 0..4),
            name in proptest::collection::vec(proptest::sample::select(b"ab*".to_vec()), 0..6),
        ) {
            let pattern = [&start[..], b"*"].concat();
            prop_assert_eq!(Pattern::new(&pattern).matches(&name), glob::matches(&pattern, &name));
            prop_assert_eq!(Pattern::new(&start).matches(&name), glob::matches(&start, &name));
        }
    }
}
