//! Builds the `djr-server` to be measured: of this tree, or of another revision.

use crate::paths;
use anyhow::{Context, Result, bail, ensure};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

const BINARY: &str = "djr-server";

/// Where the release binary of this tree is.
pub(crate) fn release_binary() -> PathBuf {
    paths::target().join("release").join(BINARY)
}

pub(crate) fn this_tree() -> Result<()> {
    eprintln!("building {BINARY} (release)");
    cargo_build(&paths::workspace(), &paths::target(), BINARY)
}

/// Builds a program of this tree; each has the name of its package.
pub(crate) fn release(name: &str) -> Result<PathBuf> {
    eprintln!("building {name} (release)");
    cargo_build(&paths::workspace(), &paths::target(), name)?;
    Ok(paths::target().join("release").join(name))
}

/// Builds `revision` in a git worktree of its own and puts the binary into `scratch`.
pub(crate) fn revision(revision: &str, scratch: &Path) -> Result<PathBuf> {
    let tree = Worktree::new(revision, &scratch.join("tree"))?;
    eprintln!("building {BINARY} of {revision} (release)");
    // Kept between runs: only what differs is built again.
    let target = paths::target().join("bench-compare");
    cargo_build(&tree.path, &target, BINARY).with_context(|| format!("revision {revision}"))?;
    let binary = scratch.join(format!("{BINARY}-compared"));
    std::fs::copy(target.join("release").join(BINARY), &binary)?;
    Ok(binary)
}

fn cargo_build(tree: &Path, target: &Path, name: &str) -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args([
            "build",
            "--release",
            "--package",
            name,
            "--bin",
            name,
            "--target-dir",
        ])
        .arg(target)
        .current_dir(tree)
        // What `cargo xtask` told this process about itself is not for that build.
        .env_remove("CARGO_MANIFEST_DIR")
        .status()
        .context("cannot run cargo")?;
    ensure!(status.success(), "cargo build failed");
    Ok(())
}

/// A git worktree, removed when dropped.
struct Worktree {
    path: PathBuf,
}

impl Worktree {
    fn new(revision: &str, path: &Path) -> Result<Self> {
        git([
            OsStr::new("worktree"),
            "add".as_ref(),
            "--detach".as_ref(),
            path.as_os_str(),
            revision.as_ref(),
        ])?;
        Ok(Worktree {
            path: path.to_owned(),
        })
    }
}

impl Drop for Worktree {
    fn drop(&mut self) {
        let remove = [
            OsStr::new("worktree"),
            "remove".as_ref(),
            "--force".as_ref(),
            self.path.as_os_str(),
        ];
        if let Err(error) = git(remove) {
            eprintln!(
                "cannot remove the worktree {}: {error:#}",
                self.path.display()
            );
        }
    }
}

fn git<const N: usize>(args: [&OsStr; N]) -> Result<()> {
    let output = Command::new("git")
        .current_dir(paths::workspace())
        .args(args)
        .output()
        .context("cannot run git")?;
    if !output.status.success() {
        bail!(
            "git: {}",
            String::from_utf8_lossy(&output.stderr).trim_end()
        );
    }
    Ok(())
}
