//! `cargo xtask commands`: writes `docs/commands.md` from the declarations of the commands.
//!
//! The text comes from a program in `tests/`, because it needs the whole server and the verbs must stay quick to build.

use crate::{paths, run};
use anyhow::{Context, Result, bail};

/// Write docs/commands.md anew from the commands' declarations.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only tell whether it is up to date
    #[arg(long)]
    pub(crate) check: bool,
}

const FILE: &str = "docs/commands.md";

pub(crate) fn run(args: &Args) -> Result<()> {
    let path = paths::workspace().join(FILE);
    let text = run::output(run::cargo().args([
        "run",
        "--quiet",
        "--package",
        "djr-tests",
        "--bin",
        "commands-doc",
    ]))?;
    // A missing file is a stale one.
    let old = std::fs::read_to_string(&path).unwrap_or_default();
    if old == text {
        println!("{FILE} is up to date");
        return Ok(());
    }
    if args.check {
        bail!("{FILE} is stale: run `cargo xtask commands`");
    }
    std::fs::write(&path, text).with_context(|| format!("cannot write {FILE}"))?;
    println!("{FILE} written");
    Ok(())
}
