//! `cargo xtask tidy`: what compilers and clippy do not see. Each finding comes with what to do instead.
//!
//! - `rules`: calls that a crate must not make.
//! - `crates`: which crate may use which; every dependency has its line in docs/dependencies.md.
//! - `licences`: what dependencies may be used under.
//! - `text`: file sizes, words, links, pages that the book has forgotten.

mod crates;
mod licences;
mod rules;
mod source;
mod text;

use crate::{paths, run};
use anyhow::{Result, bail};
use std::path::Path;

/// Look for forbidden calls, wrong dependencies, long files, broken links.
#[derive(clap::Args)]
pub(crate) struct Args {}

/// Files that hold what must be looked for, or that are not ours to write.
const UNCHECKED: &[&str] = &["xtask/src/tidy/", "tests/fixtures/", "bench/runs/"];

pub(crate) fn run(_: &Args) -> Result<()> {
    let findings = findings()?;
    findings.iter().for_each(|finding| println!("{finding}"));
    match findings.len() {
        0 => {
            println!("tidy");
            Ok(())
        }
        count => bail!("{count} to tidy up"),
    }
}

fn findings() -> Result<Vec<String>> {
    let mut findings = Vec::new();
    let root = paths::workspace();
    let paths = files()?;
    let summary = std::fs::read_to_string(root.join("docs/SUMMARY.md"))?;
    findings.extend(text::unlisted(&paths, &summary));
    for path in paths {
        // What is not text (a fuzzer's corpus, a picture) or was just removed has no rules.
        let Ok(content) = std::fs::read_to_string(root.join(&path)) else {
            continue;
        };
        if is_corpus(&path) || UNCHECKED.iter().any(|dir| path.starts_with(dir)) {
            continue;
        }
        let exists = |target: &Path| root.join(target).exists();
        let mut wrong = text::check(&path, &content, &exists);
        if path.ends_with(".md") {
            let read = |target: &Path| std::fs::read_to_string(root.join(target)).ok();
            wrong.extend(text::check_anchors(&path, &content, &read));
        }
        for (line, what) in wrong {
            findings.push(format!("{path}:{line}: {what}"));
        }
        if !path.ends_with(".rs") {
            continue;
        }
        for (line, word, instead) in rules::check(&path, &content) {
            findings.push(format!(
                "{path}:{line}: {word} is forbidden here: {instead}"
            ));
        }
        if needs_forbid(&path) && !content.contains("#![forbid(unsafe_code)]") {
            findings.push(format!("{path}:1: add #![forbid(unsafe_code)]"));
        }
    }
    findings.extend(crates::check(&crates::packages()?, &crates::documented()));
    findings.extend(licences::check(&licences::packages()?));
    Ok(findings)
}

/// The files of the repository, as paths from its root; new ones too.
fn files() -> Result<Vec<String>> {
    let list = run::output(run::program("git").args([
        "ls-files",
        "--cached",
        "--others",
        "--exclude-standard",
    ]))?;
    Ok(list.lines().map(str::to_owned).collect())
}

fn is_corpus(path: &str) -> bool {
    path.contains("/corpus/") || path.contains("proptest-regressions/")
}

/// The root of a crate that does without unsafe code: of every one but djr-storage.
fn needs_forbid(path: &str) -> bool {
    let is_root = path.ends_with("src/lib.rs") || path.ends_with("src/main.rs");
    is_root && !path.starts_with("crates/djr-storage/")
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_repository_is_tidy() {
        let findings = super::findings().unwrap();
        assert!(findings.is_empty(), "{}", findings.join("\n"));
    }
}
