//! Which crate may use which: the arrows of docs/ARCHITECTURE.md.

use crate::run;
use anyhow::{Context, Result};
use serde::Deserialize;

/// Each crate of the house with the others that it may use, tests included.
const ARROWS: &[(&str, &[&str])] = &[
    ("djr-protocol", &[]),
    ("djr-storage", &["djr-protocol"]),
    ("djr-engine", &["djr-storage", "djr-protocol"]),
    ("djr-server", &["djr-engine", "djr-storage", "djr-protocol"]),
    ("djr-client", &["djr-protocol"]),
    ("djr-cli", &["djr-client", "djr-protocol"]),
    // Builds in seconds and knows the others as programs only.
    ("xtask", &[]),
];

/// Crates that may not use what waits or talks to a network.
const PURE: &[&str] = &["djr-protocol", "djr-storage", "djr-engine"];
const SHELL: &[&str] = &[
    "mio",
    "tokio",
    "socket2",
    "signal-hook",
    "tracing",
    "rustls",
];
/// Everything that the codec needs, so that others can use it without the rest of the house.
const OF_PROTOCOL: &[&str] = &["bytes", "thiserror"];

const DEPENDENCIES: &str = "docs/dependencies.md";

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
pub(super) struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    /// `None`: needed by what is shipped, not only by tests or the build.
    kind: Option<String>,
}

/// What cargo knows of the workspace's crates.
pub(super) fn packages() -> Result<Vec<Package>> {
    let text = run::output(run::cargo().args(["metadata", "--format-version", "1", "--no-deps"]))?;
    let metadata: Metadata = serde_json::from_str(&text).context("cargo metadata")?;
    Ok(metadata.packages)
}

/// The arrows that point the wrong way, and the dependencies that nobody gave a reason for.
pub(super) fn check(packages: &[Package], documented: &str) -> Vec<String> {
    let mut found = Vec::new();
    for package in packages {
        for dependency in &package.dependencies {
            if let Some(why) = refusal(&package.name, dependency) {
                found.push(format!("{} uses {}: {why}", package.name, dependency.name));
            }
            if !dependency.name.starts_with("djr-")
                && !documented.contains(&format!("| `{}` |", dependency.name))
            {
                found.push(format!(
                    "{} uses {}: add a line to {DEPENDENCIES} that says what for, and how well kept it is",
                    package.name, dependency.name
                ));
            }
        }
    }
    found
}

fn refusal(package: &str, dependency: &Dependency) -> Option<&'static str> {
    let name = dependency.name.as_str();
    if name.starts_with("djr-") {
        let (_, allowed) = ARROWS.iter().find(|(from, _)| *from == package)?;
        return (!allowed.contains(&name))
            .then_some("the arrows of docs/ARCHITECTURE.md run the other way");
    }
    if dependency.kind.is_some() {
        return None;
    }
    if package == "djr-protocol" && !OF_PROTOCOL.contains(&name) {
        return Some("the codec is published for reuse and needs only bytes and thiserror");
    }
    (PURE.contains(&package) && SHELL.contains(&name))
        .then_some("no sockets, signals or logging in this crate: they are the server's")
}

pub(super) fn documented() -> String {
    // A missing file documents nothing.
    std::fs::read_to_string(crate::paths::workspace().join(DEPENDENCIES)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, dependency: &str, kind: Option<&str>) -> Package {
        Package {
            name: name.into(),
            dependencies: vec![Dependency {
                name: dependency.into(),
                kind: kind.map(Into::into),
            }],
        }
    }

    #[test]
    fn wrong_arrows_are_found() {
        let documented = "| `mio` | sockets |\n| `proptest` | tests |";
        let rows = [
            ("djr-server", "djr-engine", None, 0),
            ("djr-engine", "djr-server", None, 1),
            ("djr-engine", "djr-server", Some("dev"), 1),
            ("djr-server", "mio", None, 0),
            ("djr-engine", "mio", None, 1),
            ("djr-engine", "mio", Some("dev"), 0),
            ("djr-protocol", "proptest", Some("dev"), 0),
            ("djr-protocol", "proptest", None, 1),
            ("djr-server", "left-pad", None, 1),
        ];
        for (from, to, kind, count) in rows {
            let found = check(&[package(from, to, kind)], documented);
            assert_eq!(found.len(), count, "{from} → {to}: {found:?}");
        }
    }
}
