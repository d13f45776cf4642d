//! `cargo xtask soak`: all real clients at once, while the server and the workers are killed; what was acknowledged must be there.
//!
//! The work is done by `tests/python/soak/`, in the environment of the end-to-end tests.

use crate::{paths, run};
use anyhow::{Result, bail, ensure};
use std::path::PathBuf;

/// Run all real clients at once for minutes or hours, killing the server every few seconds and workers now and then.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// How long; the last quarter, at most five minutes, is without kills, to see whether memory grows
    #[arg(long, default_value_t = 1.0)]
    minutes: f64,
    /// Seed of the data and of the times of the kills
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Seconds between two kills, about
    #[arg(long, default_value_t = 4.0)]
    interval: f64,
    /// What to build: `dev` has assertions on
    #[arg(long, default_value = "dev", value_parser = ["dev", "quick", "release"])]
    profile: String,
    /// This server instead, also one of Redis or Valkey
    #[arg(long)]
    server: Option<PathBuf>,
    /// Write the report there as JSON, too
    #[arg(long)]
    json: Option<PathBuf>,
    /// Keep data, logs and ledger in this directory, which must not be there yet
    #[arg(long)]
    keep: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    ensure!(
        args.minutes.is_finite() && args.minutes > 0.0,
        "--minutes must be more than 0"
    );
    let server = match &args.server {
        Some(server) => server.clone(),
        None => build(&args.profile)?,
    };
    let mut command = run::program("python3");
    command
        .arg("tests/python/soak.py")
        .env("DJR_SERVER", std::path::absolute(server)?)
        .args(["--minutes", &args.minutes.to_string()])
        .args(["--seed", &args.seed.to_string()])
        .args(["--interval", &args.interval.to_string()]);
    for (name, path) in [("--json", &args.json), ("--keep", &args.keep)] {
        if let Some(path) = path {
            command.arg(name).arg(std::path::absolute(path)?);
        }
    }
    if !run::status(&mut command)?.success() {
        bail!("the soak found problems");
    }
    Ok(())
}

/// Builds the server, and returns where it is.
pub(crate) fn build(profile: &str) -> Result<PathBuf> {
    run::checked(run::cargo().args(["build", "--profile", profile, "-p", "djr-server"]))?;
    let folder = if profile == "dev" { "debug" } else { profile };
    Ok(paths::target().join(folder).join("djr-server"))
}
