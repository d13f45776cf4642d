//! Glob-style patterns, as Redis matches them: `KEYS`, `SCAN … MATCH`, `PSUBSCRIBE`, ACL rules, `CONFIG GET`.
//!
//! | pattern | matches |
//! |---|---|
//! | `*` | any bytes, none included |
//! | `?` | any one byte |
//! | `[ab0-9]` | one of these bytes; the ends of a range may be swapped; without `]` the class goes to the pattern's end |
//! | `[^ab]` | any one byte but these |
//! | `\x` | the byte `x`, outside a class and in it |
//!
//! Takes at most pattern times text steps, whatever the pattern. One peculiarity of Redis is kept: an empty text matches only the
//! empty pattern, not even `*`.

/// Whether the whole of `text` matches `pattern`.
pub fn matches(pattern: &[u8], text: &[u8]) -> bool {
    run::<false>(pattern, text)
}

/// The same, without regard to the case of ASCII letters.
pub fn matches_ignoring_case(pattern: &[u8], text: &[u8]) -> bool {
    run::<true>(pattern, text)
}

/// Whether the pattern matches whatever there is, so that matching can be left out.
pub fn is_any(pattern: &[u8]) -> bool {
    pattern == b"*"
}

fn run<const IGNORE_CASE: bool>(pattern: &[u8], text: &[u8]) -> bool {
    if text.is_empty() {
        return pattern.is_empty();
    }
    let (mut rest, mut text) = (pattern, text);
    // What follows the last `*`, and the text from where it was tried last. Going back further is of no use: what
    // precedes the `*` has been matched at the earliest place.
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        match (rest, text) {
            ([b'*', after @ ..], _) => {
                if after.is_empty() {
                    return true;
                }
                rest = after;
                retry = Some((after, text));
                continue;
            }
            ([], []) => return true,
            ([_, ..], [byte, after @ ..]) => {
                let (matched, next) = one::<IGNORE_CASE>(rest, *byte);
                if matched {
                    (rest, text) = (next, after);
                    continue;
                }
            }
            // Text is left, or it is at its end too early.
            _ => {}
        }
        match retry {
            Some((after_star, [_, shorter @ ..])) if !shorter.is_empty() => {
                retry = Some((after_star, shorter));
                (rest, text) = (after_star, shorter);
            }
            _ => return false,
        }
    }
}

/// Whether the first element of `pattern`, which is not `*`, matches a byte; and what follows it.
fn one<const IGNORE_CASE: bool>(pattern: &[u8], byte: u8) -> (bool, &[u8]) {
    let fold = |byte: u8| {
        if IGNORE_CASE {
            byte.to_ascii_lowercase()
        } else {
            byte
        }
    };
    match pattern {
        [b'?', rest @ ..] => (true, rest),
        [b'[', rest @ ..] => class::<IGNORE_CASE>(rest, byte),
        [b'\\', literal, rest @ ..] | [literal, rest @ ..] => (fold(*literal) == fold(byte), rest),
        [] => (false, pattern),
    }
}

/// Whether a class, of which `pattern` begins behind the `[`, has a byte; and what follows it.
fn class<const IGNORE_CASE: bool>(pattern: &[u8], byte: u8) -> (bool, &[u8]) {
    let fold = |byte: u8| {
        if IGNORE_CASE {
            byte.to_ascii_lowercase()
        } else {
            byte
        }
    };
    let (negated, mut rest) = match pattern {
        [b'^', rest @ ..] => (true, rest),
        _ => (false, pattern),
    };
    let mut found = false;
    let rest = loop {
        rest = match rest {
            // Case counts behind a backslash, as in Redis.
            [b'\\', literal, rest @ ..] => {
                found |= *literal == byte;
                rest
            }
            [b']', rest @ ..] => break rest,
            [] => break rest,
            [start, b'-', end, rest @ ..] => {
                let (low, high) = (fold(*start.min(end)), fold(*start.max(end)));
                found |= (low..=high).contains(&fold(byte));
                rest
            }
            [literal, rest @ ..] => {
                found |= fold(*literal) == fold(byte);
                rest
            }
        };
    };
    (found != negated, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements() {
        let cases: &[(&str, &str, bool)] = &[
            ("", "", true),
            ("", "a", false),
            ("*", "abc", true),
            ("*", "", false),
            ("**", "a", true),
            ("a*", "a", true),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("*a", "ab", false),
            ("?", "a", true),
            ("?", "ab", false),
            ("*?", "a", true),
            ("[abc]", "b", true),
            ("[abc]", "d", false),
            ("[^abc]", "b", false),
            ("[^abc]", "d", true),
            ("[a-c]", "b", true),
            ("[c-a]", "b", true),
            ("[a-c]", "-", false),
            ("[a-]", "]", true),
            ("[a-]", "-", false),
            ("[-a]", "-", true),
            ("[\\]]", "]", true),
            ("[]a]", "a]", false),
            ("[a", "a", true),
            ("[^a", "b", true),
            ("[", "[", false),
            ("[^", "b", true),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("\\", "\\", true),
            ("a\\", "a\\", true),
            ("h[^e]llo*", "hallo world", true),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(
                matches(pattern.as_bytes(), text.as_bytes()),
                *expected,
                "{pattern} {text}"
            );
        }
    }

    #[test]
    fn case() {
        assert!(!matches(b"aB[C-D]", b"Abc"));
        assert!(matches_ignoring_case(b"aB[C-D]", b"Abc"));
        assert!(matches_ignoring_case(b"\\A*", b"ab"));
        // As Redis: not behind a backslash inside a class.
        assert!(!matches_ignoring_case(b"[\\A]", b"a"));
    }

    /// Each star might be tried at each place: 30 of them would take years.
    #[test]
    fn many_stars_take_no_time() {
        let text = vec![b'a'; 3000];
        let mut pattern = b"a*".repeat(30);
        pattern.push(b'b');
        assert!(!matches(&pattern, &text));
    }
}
