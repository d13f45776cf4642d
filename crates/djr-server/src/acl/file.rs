//! Files of users: one `user NAME RULE …` a line. `aclfile`, and the lines of that name in a configuration file.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use djr_engine::registry::Registry;

use super::user::{User, is_name, joined};

/// The users of a file's text. The default user is there even if the file does not name it. All that is wrong is in one error,
/// a sentence per line.
pub(super) fn parse(
    text: &[u8],
    path: &Path,
    registry: &Registry,
    all_channels: bool,
) -> Result<Vec<User>, String> {
    let mut users: BTreeMap<Box<[u8]>, User> = BTreeMap::new();
    let mut errors = String::new();
    for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        let mut failed = |reason: &str| {
            errors.push_str(&format!("{}:{}: {reason}. ", path.display(), index + 1));
        };
        // Rules have no quotes here, as in Redis.
        let words: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
        let [b"user", name, rules @ ..] = &words[..] else {
            failed("line should begin with user keyword, followed by the username");
            continue;
        };
        if name.is_empty() || !is_name(name) {
            failed("username is missing or contains invalid characters");
            continue;
        }
        if users.contains_key(*name) {
            failed(&format!(
                "user '{}' is defined twice",
                String::from_utf8_lossy(name)
            ));
            continue;
        }
        match user(name, rules.iter().copied(), registry, all_channels) {
            Ok(user) => {
                users.insert((*name).into(), user);
            }
            Err(reason) => failed(&reason),
        }
    }
    if !errors.is_empty() {
        return Err(errors.trim_end().to_owned());
    }
    Ok(users.into_values().collect())
}

/// A user made by rules, from nothing.
pub(super) fn user<'a>(
    name: &[u8],
    rules: impl IntoIterator<Item = &'a [u8]>,
    registry: &Registry,
    all_channels: bool,
) -> Result<User, String> {
    let rules = rules.into_iter().filter(|rule| !rule.is_empty());
    let rules = joined(rules).map_err(|begun| {
        format!(
            "Unmatched parenthesis in selector definition '{}'",
            String::from_utf8_lossy(&begun)
        )
    })?;
    let mut user = User::new(name, registry, all_channels);
    for rule in rules {
        user.apply(&rule, registry, all_channels)
            .map_err(|error| error.to_string())?;
    }
    Ok(user)
}

/// Replaces a file, whole or not at all.
pub(super) fn write(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".tmp-{}", std::process::id()));
    let temporary = path.with_file_name(name);
    let written = (|| {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(&temporary)?;
        if let Ok(metadata) = std::fs::metadata(path) {
            file.set_permissions(metadata.permissions())?;
        }
        file.write_all(text)?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)
    })();
    if written.is_err() {
        // Best effort: the first error counts.
        let _ = std::fs::remove_file(&temporary);
        return written;
    }
    let dir = path
        .parent()
        .filter(|dir| !dir.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    File::open(dir)?.sync_all()
}
