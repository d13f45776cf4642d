//! `cargo xtask config`: makes `djr.conf` and `docs/configuration.md` from the server's table of parameters.

use anyhow::{Context, Result, bail};
use std::process::Command;

use crate::paths;

/// Makes `djr.conf` and `docs/configuration.md` from the table of parameters.
#[derive(clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_: &Args) -> Result<()> {
    for (option, path) in [
        ("--print-config", "djr.conf"),
        ("--print-config-markdown", "docs/configuration.md"),
    ] {
        let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args([
                "run",
                "--quiet",
                "-p",
                "djr-server",
                "--bin",
                "djr-server",
                "--",
                option,
            ])
            .current_dir(paths::workspace())
            .stderr(std::process::Stdio::inherit())
            .output()?;
        if !output.status.success() {
            bail!("djr-server {option} has failed");
        }
        let path = paths::workspace().join(path);
        std::fs::write(&path, output.stdout).with_context(|| path.display().to_string())?;
        println!("{}", path.display());
    }
    Ok(())
}
