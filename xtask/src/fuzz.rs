//! `cargo xtask fuzz TARGET [SECS]` and `cargo xtask smoke`.
//!
//! Fuzz targets live beside the crate that they test, `crates/*/fuzz/fuzz_targets/*.rs`, with a seed corpus in git. What a run
//! adds to the corpus goes to `target/fuzz-corpus/` and is read again by the next one; a crash is kept in the fuzz crate's
//! `artifacts/` and its place printed. Neither shows up in git.

mod seeds;

use crate::{paths, run};
use anyhow::{Context, Result, bail, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Run one fuzz target (needs a nightly toolchain and cargo-fuzz).
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Its name; without one, they are listed
    target: Option<String>,
    /// For so many seconds
    #[arg(default_value_t = 60)]
    seconds: u32,
}

/// Run every fuzz target for some seconds, after the tests that need no fuzzer.
#[derive(clap::Args)]
pub(crate) struct SmokeArgs {
    /// Seconds for each target
    #[arg(default_value_t = 10)]
    seconds: u32,
}

/// A target that must crash: if the fuzzer does not find this out, it would find nothing else.
const CANARY: &str = "canary";
const CANARY_SECONDS: u32 = 60;
/// The target that talks to a server. Its seeds are the transcripts, its words those of the commands.
const SESSION: &str = "session";

pub(crate) fn run(args: &Args) -> Result<()> {
    let targets = targets()?;
    let Some(name) = &args.target else {
        targets
            .iter()
            .for_each(|target| println!("{}", target.name));
        return Ok(());
    };
    let target = targets
        .iter()
        .find(|target| target.name == *name)
        .with_context(|| format!("no fuzz target `{name}`: `cargo xtask fuzz` lists them"))?;
    if let Err(missing) = has_fuzzer() {
        bail!("{missing}");
    }
    ensure!(target.fuzz(args.seconds)?, "`{name}` has found something");
    Ok(())
}

pub(crate) fn smoke(args: &SmokeArgs) -> Result<()> {
    run::checked(run::cargo().args(["test", "--package", "djr-protocol", "--test", "smoke"]))?;
    if let Err(missing) = has_fuzzer() {
        println!("!! NOT FUZZED: {missing}");
        return Ok(());
    }
    let (canaries, targets): (Vec<_>, Vec<_>) = targets()?
        .into_iter()
        .partition(|target| target.name == CANARY);
    let mut failed = Vec::new();
    for target in targets {
        println!("── fuzzing {} for {} s", target.name, args.seconds);
        if !target.fuzz(args.seconds)? {
            failed.push(target.name);
        }
    }
    ensure!(
        failed.is_empty(),
        "fuzzers have found something: {}",
        failed.join(", ")
    );
    for canary in canaries {
        println!("── the canary, which must crash");
        let sings = canary.fuzz(CANARY_SECONDS)?;
        ensure!(
            !sings,
            "the fuzzer did not find the canary's crash: it finds nothing"
        );
        canary.forget_artifacts()?;
        println!("── it did: fuzzing finds crashes");
    }
    Ok(())
}

/// A fuzz target: its crate's folder and its name.
struct Target {
    dir: PathBuf,
    name: String,
}

fn targets() -> Result<Vec<Target>> {
    let mut found = Vec::new();
    for dir in list(&paths::workspace().join("crates"))? {
        let dir = dir.join("fuzz");
        let sources = dir.join("fuzz_targets");
        if !sources.is_dir() {
            continue;
        }
        for source in list(&sources)? {
            let name = source.file_stem().unwrap_or_default().to_string_lossy();
            found.push(Target {
                dir: dir.clone(),
                name: name.into_owned(),
            });
        }
    }
    Ok(found)
}

/// What is in a folder, in the order of names.
fn list(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut entries = std::fs::read_dir(dir)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    entries.sort();
    Ok(entries)
}

/// What a program of the nightly toolchain is started with. rustup chooses the toolchain by these, not by ours.
fn nightly() -> Command {
    let mut command = run::program("rustup");
    command
        .args(["run", "nightly", "cargo", "fuzz"])
        .env_remove("RUSTUP_TOOLCHAIN")
        .env_remove("CARGO");
    command
}

/// `Err` says what is missing and how to get it.
fn has_fuzzer() -> Result<(), &'static str> {
    if run::is_there(nightly().arg("--version")) {
        return Ok(());
    }
    Err(
        "needs the nightly toolchain and cargo-fuzz: `rustup toolchain install nightly`, `cargo install cargo-fuzz`",
    )
}

impl Target {
    /// Fuzzes for so long. `false`: it crashed.
    fn fuzz(&self, seconds: u32) -> Result<bool> {
        let found = paths::target().join("fuzz-corpus").join(&self.name);
        std::fs::create_dir_all(&found)?;
        let mut build = nightly();
        // Apart from the run, so that a target that does not compile is not taken for one that crashed.
        build.args(["build", &self.name]).current_dir(&self.dir);
        run::checked(&mut build)?;
        let mut command = nightly();
        command
            .args(["run", &self.name])
            // The first is where the fuzzer keeps what it finds.
            .arg(&found)
            .current_dir(&self.dir);
        let seeds = self.dir.join("corpus").join(&self.name);
        if seeds.is_dir() {
            command.arg(seeds);
        }
        let mut words = None;
        if self.name == SESSION {
            command.arg(seeds::of_transcripts()?);
            words = Some(seeds::command_words()?);
        }
        command.args([
            "--",
            &format!("-max_total_time={seconds}"),
            "-print_final_stats=1",
            "-verbosity=0",
        ]);
        if let Some(words) = words {
            command.arg(format!("-dict={}", words.display()));
            // The server goes on from input to input, and its entries live in maps of its own: what they alone own looks lost.
            command.arg("-detect_leaks=0");
        }
        Ok(run::status(&mut command)?.success())
    }

    fn forget_artifacts(&self) -> Result<()> {
        let dir = self.dir.join("artifacts").join(&self.name);
        if dir.is_dir() {
            std::fs::remove_dir_all(dir)?;
        }
        Ok(())
    }
}
