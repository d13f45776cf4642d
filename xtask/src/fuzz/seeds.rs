//! What the fuzzer of sessions begins with: the transcripts, in its form, and the words of all commands.

use crate::paths;
use anyhow::{Context, Result};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Lines of a transcript that make one seed: more would be longer than what the fuzzer tries.
const LINES: usize = 25;

/// A folder with seeds, made anew from `tests/transcripts`: the lines of what clients send, without the replies.
pub(super) fn of_transcripts() -> Result<PathBuf> {
    let folder = paths::target().join("fuzz-seeds/session");
    if folder.is_dir() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;
    for path in super::list(&paths::workspace().join("tests/transcripts"))? {
        let text = std::fs::read_to_string(&path)?;
        let requests: Vec<String> = text.lines().filter_map(request).collect();
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        for (number, lines) in requests.chunks(LINES).enumerate() {
            std::fs::write(folder.join(format!("{name}-{number}")), lines.join("\n"))?;
        }
    }
    Ok(folder)
}

/// `A> GET key` becomes `A GET key`, and `A>> "…"`, which is sent as it is, `A>"…"`.
fn request(line: &str) -> Option<String> {
    let (client, rest) = line.split_at_checked(1)?;
    if !client.starts_with(|c: char| c.is_ascii_uppercase()) {
        return None;
    }
    match rest.strip_prefix(">> ") {
        Some(raw) => Some(format!("{client}>{raw}")),
        None => Some(format!("{client} {}", rest.strip_prefix("> ")?)),
    }
}

/// A file of words, as libFuzzer reads it: the names of commands and the words of their options.
pub(super) fn command_words() -> Result<PathBuf> {
    let facts = paths::workspace().join("tests/fixtures/commands.json");
    let facts: Value = serde_json::from_str(&std::fs::read_to_string(facts)?)?;
    let mut words = BTreeSet::new();
    for (name, command) in facts.as_object().context("commands.json is a map")? {
        words.insert(name.to_uppercase());
        collect(command, &mut words);
    }
    let path = paths::target().join("fuzz-seeds/session.words");
    let lines: Vec<String> = words.iter().map(|word| format!("{word:?}\n")).collect();
    std::fs::write(&path, lines.concat())?;
    Ok(path)
}

/// The tokens of arguments and the names of subcommands, however deep.
fn collect(value: &Value, words: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                match (name.as_str(), field) {
                    ("token", Value::String(token)) => {
                        words.insert(token.to_uppercase());
                    }
                    ("subcommands", Value::Object(subcommands)) => {
                        words.extend(subcommands.keys().map(|name| name.to_uppercase()));
                        collect(field, words);
                    }
                    _ => collect(field, words),
                }
            }
        }
        Value::Array(elements) => elements.iter().for_each(|element| collect(element, words)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::request;

    #[test]
    fn requests_of_transcripts_are_those_of_the_fuzzer() {
        assert_eq!(request("A> GET key").as_deref(), Some("A GET key"));
        assert_eq!(
            request("B>> \"PING\\r\\n\"").as_deref(),
            Some("B>\"PING\\r\\n\"")
        );
        for other in ["+OK", "A<", "# A> B", "", "@ wait 5", ":1"] {
            assert_eq!(request(other), None, "{other}");
        }
    }
}
