//! The manifest of the multi-part AOF: which files make up the data set, in which order. Redis 7's format:
//!
//! ```text
//! #DJR crc32=5f0a11c2\n                           of all that follows; only where we have written it
//! file appendonly.aof.2.base.rdb seq 2 type b\n     at most one base
//! file appendonly.aof.1.incr.aof seq 1 type h\n     history: no longer needed, about to be deleted
//! file appendonly.aof.2.incr.aof seq 2 type i\n     increments, in the order they are to be loaded
//! ```
//!
//! Without that first line a manifest whose last line is lost would be a good one, of less.
//!
//! A line is key-value pairs in any order; unknown keys are skipped; a line that begins with `#` is a comment. A name that
//! holds blanks, quotes or unprintable bytes is written in double quotes, with `\"`, `\\`, `\n`, `\r`, `\t`, `\a`, `\b` and `\xHH`.

use std::fmt::Write as _;

/// Longest line that Redis reads.
const LINE_MAX: usize = 1024;

/// What a manifest of ours begins with.
const CHECKSUM: &str = "#DJR crc32=";

fn checksum(text: &[u8]) -> String {
    format!("{:08x}", crc32fast::hash(text))
}

/// One base, one increment or one file that is no longer needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestFile {
    /// The name, without a directory.
    pub name: String,
    /// Counts upwards for each type.
    pub seq: u64,
}

/// A parsed manifest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    /// The state that the increments build upon.
    pub base: Option<ManifestFile>,
    /// The increments, in the order they are to be loaded: by rising `seq`.
    pub incrs: Vec<ManifestFile>,
    /// No longer needed.
    pub history: Vec<ManifestFile>,
}

/// Why a manifest can't be read. `Display` is a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// The line is not made of pairs, or lacks a name, a number or a type.
    #[error("line {0}: not a valid AOF manifest line")]
    Line(usize),
    /// Longer than Redis reads.
    #[error("line {0}: longer than 1024 bytes")]
    TooLong(usize),
    /// More than one base.
    #[error("line {0}: found a second base file")]
    SecondBase(usize),
    /// Increments whose numbers do not rise.
    #[error("line {0}: the sequence numbers of the increments do not rise")]
    Order(usize),
    /// A file that an earlier line has in use, too.
    #[error("line {0}: a file that is named twice")]
    Twice(usize),
    /// The rest is not what the first line says it was.
    #[error("its checksum does not match; if it was changed on purpose, remove its first line")]
    Checksum,
    /// Empty, or cut off in the middle of a line.
    #[error("it is empty or its last line is cut off")]
    CutOff,
}

impl Manifest {
    /// Reads a manifest file.
    pub fn parse(bytes: &[u8]) -> Result<Manifest, ManifestError> {
        let mut manifest = Manifest::default();
        if bytes.last() != Some(&b'\n') {
            return Err(ManifestError::CutOff);
        }
        if let Some(rest) = bytes.strip_prefix(CHECKSUM.as_bytes()) {
            let end = rest.iter().position(|&byte| byte == b'\n');
            let (digits, rest) = rest.split_at(end.unwrap_or(rest.len()));
            let text = rest.get(1..).unwrap_or_default();
            if digits.trim_ascii_end() != checksum(text).as_bytes() {
                return Err(ManifestError::Checksum);
            }
        }
        for (index, line) in bytes.split_inclusive(|&byte| byte == b'\n').enumerate() {
            let number = index + 1;
            if line.len() > LINE_MAX {
                return Err(ManifestError::TooLong(number));
            }
            let line = line.trim_ascii();
            if line.first() == Some(&b'#') {
                continue;
            }
            let (file, kind) = parse_line(line).ok_or(ManifestError::Line(number))?;
            if kind != b'h' && manifest.uses(&file.name) {
                return Err(ManifestError::Twice(number));
            }
            match kind {
                b'b' if manifest.base.is_some() => return Err(ManifestError::SecondBase(number)),
                b'b' => manifest.base = Some(file),
                b'h' => manifest.history.push(file),
                _ => {
                    if manifest
                        .incrs
                        .last()
                        .is_some_and(|last| last.seq >= file.seq)
                    {
                        return Err(ManifestError::Order(number));
                    }
                    manifest.incrs.push(file);
                }
            }
        }
        Ok(manifest)
    }

    /// The bytes of the file.
    pub fn encode(&self) -> Vec<u8> {
        let mut text = String::new();
        let all = self.base.iter().map(|file| (file, 'b'));
        let all = all.chain(self.history.iter().map(|file| (file, 'h')));
        for (file, kind) in all.chain(self.incrs.iter().map(|file| (file, 'i'))) {
            // Writing to a String can't fail.
            let _ = writeln!(
                text,
                "file {} seq {} type {kind}",
                quoted(&file.name),
                file.seq
            );
        }
        format!("{CHECKSUM}{}\n{text}", checksum(text.as_bytes())).into_bytes()
    }

    /// Takes the history out: the names of files to be removed. What is in use all the same is not among them.
    pub fn take_history(&mut self) -> Vec<String> {
        let history = std::mem::take(&mut self.history);
        let names = history.into_iter().map(|file| file.name);
        names.filter(|name| !self.uses(name)).collect()
    }

    fn uses(&self, name: &str) -> bool {
        let mut used = self.base.iter().chain(&self.incrs);
        used.any(|file| file.name == name)
    }

    /// The number for the next base.
    pub fn base_seq_next(&self) -> u64 {
        self.base
            .as_ref()
            .map_or(1, |base| base.seq.saturating_add(1))
    }

    /// The number for the next increment.
    pub fn incr_seq_next(&self) -> u64 {
        self.incrs
            .last()
            .map_or(1, |last| last.seq.saturating_add(1))
    }
}

fn parse_line(line: &[u8]) -> Option<(ManifestFile, u8)> {
    let words = split_words(line)?;
    if words.len() < 6 || !words.len().is_multiple_of(2) {
        return None;
    }
    let (mut name, mut seq, mut kind) = (None, None, None);
    for pair in words.chunks_exact(2) {
        let [key, value] = pair else { return None };
        match key.to_ascii_lowercase().as_slice() {
            b"file" => name = Some(String::from_utf8(value.clone()).ok()?),
            b"seq" => seq = Some(std::str::from_utf8(value).ok()?.parse().ok()?),
            b"type" => kind = value.first().copied().filter(|_| value.len() == 1),
            _ => {}
        }
    }
    let name = name.filter(|name| is_file_name(name))?;
    let seq = seq.filter(|&seq| seq > 0)?;
    let kind = kind.filter(|kind| b"bhi".contains(kind))?;
    Some((ManifestFile { name, seq }, kind))
}

/// Whether a name stays inside its directory.
pub(super) fn is_file_name(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\0'])
}

fn quoted(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"\\\"'".contains(&byte);
    if !name.is_empty() && name.bytes().all(plain) {
        return name.to_owned();
    }
    let mut out = String::from("\"");
    for byte in name.bytes() {
        match byte {
            b'\\' => out.push_str("\\\\"),
            b'"' => out.push_str("\\\""),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            7 => out.push_str("\\a"),
            8 => out.push_str("\\b"),
            b' '..=b'~' => out.push(char::from(byte)),
            _ => {
                let _ = write!(out, "\\x{byte:02x}");
            }
        }
    }
    out.push('"');
    out
}

/// Splits a line into words at blanks; a word may be in double quotes (with escapes) or single quotes (with `\'`).
fn split_words(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut words = Vec::new();
    let mut bytes = line.iter().copied().peekable();
    loop {
        while bytes.next_if(u8::is_ascii_whitespace).is_some() {}
        let Some(&first) = bytes.peek() else {
            return Some(words);
        };
        let mut word = Vec::new();
        match first {
            b'"' | b'\'' => {
                bytes.next();
                loop {
                    match (bytes.next()?, first) {
                        (byte, quote) if byte == quote => break,
                        (b'\\', b'"') => word.push(match bytes.next()? {
                            b'n' => b'\n',
                            b'r' => b'\r',
                            b't' => b'\t',
                            b'a' => 7,
                            b'b' => 8,
                            b'x' => {
                                let high = char::from(bytes.next()?).to_digit(16)?;
                                let low = char::from(bytes.next()?).to_digit(16)?;
                                (high * 16 + low) as u8
                            }
                            other => other,
                        }),
                        (b'\\', _) if bytes.peek() == Some(&b'\'') => {
                            bytes.next();
                            word.push(b'\'');
                        }
                        (byte, _) => word.push(byte),
                    }
                }
                // A closing quote ends the word.
                if bytes.peek().is_some_and(|byte| !byte.is_ascii_whitespace()) {
                    return None;
                }
            }
            _ => {
                while let Some(byte) = bytes.next_if(|byte| !byte.is_ascii_whitespace()) {
                    word.push(byte);
                }
            }
        }
        words.push(word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn file(name: &str, seq: u64) -> ManifestFile {
        ManifestFile {
            name: name.to_owned(),
            seq,
        }
    }

    #[test]
    fn a_manifest_of_redis_is_read() {
        let text = "# made by hand\nfile appendonly.aof.2.base.rdb seq 2 type b\nfile appendonly.aof.1.incr.aof seq 1 type h\n\
                    seq 4 type i file \"append only.aof.4.incr.aof\" startoffset 12\nfile x.5.incr.aof seq 5 type i\n";
        let expected = Manifest {
            base: Some(file("appendonly.aof.2.base.rdb", 2)),
            incrs: vec![
                file("append only.aof.4.incr.aof", 4),
                file("x.5.incr.aof", 5),
            ],
            history: vec![file("appendonly.aof.1.incr.aof", 1)],
        };
        assert_eq!(Manifest::parse(text.as_bytes()), Ok(expected));
    }

    #[test]
    fn nonsense_is_refused_with_its_line() {
        let incr = "file a.1.incr.aof seq 1 type i\n";
        for (text, error) in [
            ("".to_owned(), ManifestError::CutOff),
            ("file a seq 1 type b".to_owned(), ManifestError::CutOff),
            (format!("{incr}\n"), ManifestError::Line(2)),
            (
                format!("{incr}file b.1.incr.aof seq 1 type i\n"),
                ManifestError::Order(2),
            ),
            (
                format!("{incr}file a.1.incr.aof seq 2 type i\n"),
                ManifestError::Twice(2),
            ),
            (
                format!("{incr}file a.1.incr.aof seq 1 type b\n"),
                ManifestError::Twice(2),
            ),
            (
                "file a seq 1 type b\nfile b seq 2 type b\n".to_owned(),
                ManifestError::SecondBase(2),
            ),
            (
                "file ../a seq 1 type b\n".to_owned(),
                ManifestError::Line(1),
            ),
            ("file a seq 1 type x\n".to_owned(), ManifestError::Line(1)),
            ("file a seq -1 type b\n".to_owned(), ManifestError::Line(1)),
            ("file \"a seq 1 type b\n".to_owned(), ManifestError::Line(1)),
            (
                format!("#{}\n", "x".repeat(2000)),
                ManifestError::TooLong(1),
            ),
        ] {
            assert_eq!(Manifest::parse(text.as_bytes()), Err(error), "{text:?}");
        }
    }

    #[test]
    fn what_is_in_use_is_not_history() {
        let mut manifest = Manifest {
            base: Some(file("base", 2)),
            incrs: vec![file("a", 1), file("b", 2)],
            history: vec![file("base", 1), file("old", 1), file("b", 1)],
        };
        assert_eq!(manifest.take_history(), ["old"]);
        assert_eq!(manifest.history, []);
    }

    #[test]
    fn names_are_quoted_as_redis_does() {
        for (name, text) in [
            ("appendonly.aof.1.incr.aof", "appendonly.aof.1.incr.aof"),
            ("a b", "\"a b\""),
            ("a\"\\\n", "\"a\\\"\\\\\\n\""),
            ("ü", "\"\\xc3\\xbc\""),
        ] {
            assert_eq!(quoted(name), text);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(names in proptest::collection::btree_set("[^/\0]{1,20}", 3..6)) {
            let names: Vec<_> = names.into_iter().collect();
            prop_assume!(names.iter().all(|name| is_file_name(name)));
            let manifest = Manifest {
                base: Some(file(&names[0], 7)),
                history: vec![file(&names[1], 1)],
                incrs: names[2..].iter().zip(3..).map(|(name, seq)| file(name, seq)).collect(),
            };
            prop_assert_eq!(Manifest::parse(&manifest.encode()), Ok(manifest));
        }

        #[test]
        fn no_bytes_cause_a_panic(bytes: Vec<u8>) {
            let _ = Manifest::parse(&bytes);
        }
    }
}
