//! The format of `redis.conf`: one directive per line, `#` begins a comment line, words may be quoted.
//!
//! ```text
//! save 3600 1
//! requirepass "two words, a \"quote\" and \x00"     escapes between double quotes: \n \r \t \b \a \\ \" \xHH
//! logfile 'C''s log \'1\''                           only \' between single quotes
//! include conf.d/*.conf
//! ```
//!
//! A closing quote must be followed by a space or the end. A `#` behind a directive begins no comment.

use std::path::{Path, PathBuf};

use djr_engine::glob;

/// What Redis says of a quote that is not closed, and of a directive that does not exist.
pub(crate) const UNBALANCED: &str = "Unbalanced quotes in configuration line";
pub(crate) const BAD_DIRECTIVE: &str = "Bad directive or wrong number of arguments";

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

/// Takes a line apart into its words. `None`: a quote is not closed, or something follows it at once.
pub(crate) fn split(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut words = Vec::new();
    let mut rest = line;
    loop {
        rest = rest.trim_ascii_start();
        while let [0x0b, after @ ..] = rest {
            rest = after.trim_ascii_start();
        }
        if rest.is_empty() {
            return Some(words);
        }
        let (word, after) = word(rest)?;
        words.push(word);
        rest = after;
    }
}

/// The first word, and what follows it.
fn word(mut rest: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut word = Vec::new();
    loop {
        rest = match rest {
            [] => return Some((word, rest)),
            [byte, ..] if is_space(*byte) => return Some((word, rest)),
            [b'"', inside @ ..] => return quoted(word, inside),
            [b'\'', inside @ ..] => return single_quoted(word, inside),
            [byte, after @ ..] => {
                word.push(*byte);
                after
            }
        }
    }
}

fn quoted(mut word: Vec<u8>, mut rest: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    loop {
        rest = match rest {
            [b'\\', b'x', high, low, after @ ..]
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                word.push(hex(*high) << 4 | hex(*low));
                after
            }
            [b'\\', escaped, after @ ..] => {
                word.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 8,
                    b'a' => 7,
                    other => *other,
                });
                after
            }
            [b'"', after @ ..] => return ended(word, after),
            [byte, after @ ..] => {
                word.push(*byte);
                after
            }
            [] => return None,
        }
    }
}

fn single_quoted(mut word: Vec<u8>, mut rest: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    loop {
        rest = match rest {
            [b'\\', b'\'', after @ ..] => {
                word.push(b'\'');
                after
            }
            [b'\'', after @ ..] => return ended(word, after),
            [byte, after @ ..] => {
                word.push(*byte);
                after
            }
            [] => return None,
        }
    }
}

/// A closing quote ends the word.
fn ended(word: Vec<u8>, rest: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    rest.first()
        .is_none_or(|byte| is_space(*byte))
        .then_some((word, rest))
}

fn hex(digit: u8) -> u8 {
    (digit as char).to_digit(16).map_or(0, |digit| digit as u8)
}

/// Writes a word so that [`split`] gives it back, quoted where it must be.
pub(crate) fn quote(word: &[u8]) -> String {
    let plain = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'\\' | b'#');
    if !word.is_empty() && word.iter().all(plain) {
        return String::from_utf8_lossy(word).into_owned();
    }
    let mut text = String::from("\"");
    for byte in word {
        match byte {
            b'"' => text.push_str("\\\""),
            b'\\' => text.push_str("\\\\"),
            b'\n' => text.push_str("\\n"),
            b'\r' => text.push_str("\\r"),
            b'\t' => text.push_str("\\t"),
            b' '..=b'~' => text.push(char::from(*byte)),
            other => text.push_str(&format!("\\x{other:02x}")),
        }
    }
    text.push('"');
    text
}

/// A line without the white space around it; `None` if it is empty or a comment.
pub(crate) fn directive(line: &[u8]) -> Option<&[u8]> {
    let line = line.trim_ascii();
    (!line.is_empty() && line[0] != b'#').then_some(line)
}

/// The files that an `include` names, in alphabetical order. A pattern may name none; a path without pattern is returned
/// whether it exists or not.
pub(crate) fn included(pattern: &Path) -> Vec<PathBuf> {
    use std::os::unix::ffi::OsStrExt;
    let is_pattern = |part: &[u8]| part.iter().any(|byte| matches!(byte, b'*' | b'?' | b'['));
    let mut paths = vec![PathBuf::new()];
    let mut is_sure = true;
    for part in pattern.components() {
        let name = part.as_os_str().as_bytes();
        if !is_pattern(name) {
            paths.iter_mut().for_each(|path| path.push(part));
            continue;
        }
        is_sure = false;
        let mut found = Vec::new();
        for path in &paths {
            let dir = if path.as_os_str().is_empty() {
                Path::new(".")
            } else {
                path
            };
            let Ok(entries) = std::fs::read_dir(dir) else {
                continue;
            };
            for entry in entries.flatten() {
                let file_name = entry.file_name();
                let bytes = file_name.as_bytes();
                // As in a shell: hidden files must be asked for.
                if (bytes[0] != b'.' || name[0] == b'.') && glob::matches(name, bytes) {
                    found.push(path.join(&file_name));
                }
            }
        }
        paths = found;
    }
    if !is_sure {
        paths.retain(|path| path.exists());
        paths.sort();
    }
    paths
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("port 6379", &["port", "6379"])]
    #[case("  save\t3600  1 ", &["save", "3600", "1"])]
    #[case(r#"a "b c" d"#, &["a", "b c", "d"])]
    #[case(r#"a "" ''"#, &["a", "", ""])]
    #[case(r#"a "\n\r\t\b\a\\\"\x41\xZZ\q""#, &["a", "\n\r\t\x08\x07\\\"AxZZq"])]
    #[case(r#"a 'x\n\'y'"#, &["a", "x\\n'y"])]
    #[case(r#"a pre"fix""#, &["a", "prefix"])]
    #[case("hz 1 # no comment", &["hz", "1", "#", "no", "comment"])]
    #[case("", &[])]
    fn words_are_taken_apart_as_in_redis(#[case] line: &str, #[case] words: &[&str]) {
        let expected: Vec<_> = words.iter().map(|word| word.as_bytes().to_vec()).collect();
        assert_eq!(split(line.as_bytes()), Some(expected));
    }

    #[rstest]
    #[case(r#"a "b"#)]
    #[case(r#"a 'b"#)]
    #[case(r#"a "b"c"#)]
    #[case(r#"a 'b'c"#)]
    #[case(r#"a "b\"#)]
    fn quotes_must_be_closed(#[case] line: &str) {
        assert_eq!(split(line.as_bytes()), None);
    }

    #[rstest]
    #[case(b"plain", "plain")]
    #[case(b"", "\"\"")]
    #[case(b"two words", "\"two words\"")]
    #[case(b"a\"b\\c\n\0", "\"a\\\"b\\\\c\\n\\x00\"")]
    #[case(b"#x", "\"#x\"")]
    fn what_is_quoted_is_read_back(#[case] word: &[u8], #[case] text: &str) {
        assert_eq!(quote(word), text);
        assert_eq!(split(text.as_bytes()), Some(vec![word.to_vec()]));
    }

    #[test]
    fn every_byte_is_read_back() {
        let word: Vec<u8> = (0..=255).collect();
        assert_eq!(split(quote(&word).as_bytes()), Some(vec![word]));
    }

    #[test]
    fn includes_are_found_by_patterns() {
        let dir = tempfile::tempdir().expect("a directory");
        for name in ["b.conf", "a.conf", ".hidden.conf", "c.txt"] {
            std::fs::write(dir.path().join(name), "").expect("a file");
        }
        let found = included(&dir.path().join("*.conf"));
        assert_eq!(
            found,
            [dir.path().join("a.conf"), dir.path().join("b.conf")]
        );
        assert!(included(&dir.path().join("none*.conf")).is_empty());
        let missing = dir.path().join("none.conf");
        assert_eq!(included(&missing), [missing]);
    }
}
