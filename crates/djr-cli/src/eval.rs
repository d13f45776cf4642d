//! `--eval FILE key … , argument …`

use std::fs;
use std::path::Path;

/// The command that executes the script in `file`; an error is one line.
pub(crate) fn command(file: &Path, words: &[Vec<u8>]) -> Result<Vec<Vec<u8>>, String> {
    let script = fs::read(file).map_err(|error| {
        let reason = error.to_string();
        let reason = reason.split(" (os error").next().unwrap_or_default();
        format!("Can't open file '{}': {reason}", file.display())
    })?;
    let comma = words.iter().position(|word| word == b",");
    let (keys, arguments) = match comma {
        Some(at) => (
            words.get(..at).unwrap_or_default(),
            words.get(at + 1..).unwrap_or_default(),
        ),
        None => (words, &[][..]),
    };
    let mut command = vec![
        b"EVAL".to_vec(),
        script,
        keys.len().to_string().into_bytes(),
    ];
    command.extend_from_slice(keys);
    command.extend_from_slice(arguments);
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comma_parts_keys_from_arguments() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let words = |text: &str| -> Vec<Vec<u8>> {
            text.split_whitespace()
                .map(|word| word.as_bytes().to_vec())
                .collect()
        };
        let got = |text: &str| {
            let command = command(file.path(), &words(text)).unwrap();
            String::from_utf8(command[2..].join(&b' ')).unwrap()
        };
        assert_eq!(got("a b , c , d"), "2 a b c , d");
        assert_eq!(got("a"), "1 a");
        assert_eq!(got(", c"), "0 c");
        assert_eq!(got(""), "0");
        assert!(
            command(Path::new("/nonexistent"), &[])
                .unwrap_err()
                .starts_with("Can't open file '/nonexistent': ")
        );
    }
}
