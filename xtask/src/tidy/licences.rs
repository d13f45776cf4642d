//! Which licences dependencies may have: those that let the server be used, changed and sold without conditions for its users.
//! Read from what cargo has on disk, so it works without a network.

use crate::run;
use anyhow::{Context, Result};
use serde::Deserialize;

/// Licences by their SPDX names.
const ALLOWED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
    "bzip2-1.0.6",
    // Data, not code: the authorities that browsers trust.
    "CDLA-Permissive-2.0",
];

/// Additions that take nothing away.
const EXCEPTIONS: &[&str] = &["LLVM-exception"];

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
pub(super) struct Package {
    name: String,
    version: String,
    license: Option<String>,
}

/// All crates that are built for any of our programs, dependencies of dependencies included.
pub(super) fn packages() -> Result<Vec<Package>> {
    let text = run::output(run::cargo().args([
        "metadata",
        "--format-version",
        "1",
        "--locked",
        "--filter-platform",
        "x86_64-unknown-linux-gnu",
    ]))?;
    let metadata: Metadata = serde_json::from_str(&text).context("cargo metadata")?;
    Ok(metadata.packages)
}

/// What may not be used.
pub(super) fn check(packages: &[Package]) -> Vec<String> {
    let mut found = Vec::new();
    for package in packages {
        let Package {
            name,
            version,
            license,
        } = package;
        match license {
            None => found.push(format!("{name} {version} names no licence: use another crate")),
            Some(license) if !is_allowed(license) => found.push(format!(
                "{name} {version} is under {license}, which is not on the list in xtask/src/tidy/licences.rs"
            )),
            Some(_) => {}
        }
    }
    found
}

/// Whether an SPDX expression (`/` is an old way to write `OR`) can be met with what is allowed. `AND` binds closer than `OR`.
fn is_allowed(expression: &str) -> bool {
    let spaced = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    any(&words, &mut at) == Some(true) && at == words.len()
}

/// `all OR all …`. `None`: it can't be read.
fn any(words: &[&str], at: &mut usize) -> Option<bool> {
    let mut result = all(words, at)?;
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        result |= all(words, at)?;
    }
    Some(result)
}

/// `one AND one …`
fn all(words: &[&str], at: &mut usize) -> Option<bool> {
    let mut result = one(words, at)?;
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        result &= one(words, at)?;
    }
    Some(result)
}

/// A licence, with an exception or without, or an expression in brackets.
fn one(words: &[&str], at: &mut usize) -> Option<bool> {
    let word = words.get(*at)?;
    *at += 1;
    if *word == "(" {
        let result = any(words, at)?;
        (words.get(*at) == Some(&")")).then_some(())?;
        *at += 1;
        return Some(result);
    }
    let mut result = ALLOWED.contains(word);
    if words.get(*at) == Some(&"WITH") {
        result &= EXCEPTIONS.contains(words.get(*at + 1)?);
        *at += 2;
    }
    Some(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_read() {
        for (expression, allowed) in [
            ("MIT", true),
            ("MIT/Apache-2.0", true),
            ("GPL-3.0 OR MIT", true),
            ("GPL-3.0", false),
            ("MIT AND GPL-3.0", false),
            ("(MIT OR Apache-2.0) AND Unicode-3.0", true),
            ("MIT OR GPL-3.0 AND ISC", true),
            ("Apache-2.0 WITH LLVM-exception", true),
            ("Apache-2.0 WITH other-exception", false),
            ("(MIT", false),
            ("MIT ISC", false),
            ("", false),
        ] {
            assert_eq!(is_allowed(expression), allowed, "{expression}");
        }
    }
}
