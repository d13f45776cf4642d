//! `cargo xtask package wheel|deb`: what users install. The work is done by `packaging/`, in Python, which pip needs anyhow.
//! `cargo xtask package crates`: what programmers depend on, made and checked without publishing anything.

use crate::{paths, run};
use anyhow::{Result, ensure};
use std::path::PathBuf;
use std::process::Command;

/// Make a package of both programs (man pages, completions and configuration are in it), or of the crates of use without them.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// `wheel` for PyPI, `deb` for Debian, `crates` for crates.io
    #[arg(value_enum)]
    kind: Kind,
    /// What to build
    #[arg(long, default_value = "release", value_parser = ["dev", "quick", "release"])]
    profile: String,
    /// A directory that has both programs already, instead of building them
    #[arg(long)]
    binaries: Option<PathBuf>,
    /// Where the package goes; target/package without. Crates always go there
    #[arg(long)]
    out: Option<PathBuf>,
}

/// The crates that are published, in the order of their dependencies.
const CRATES: [&str; 2] = ["djr-protocol", "djr-client"];

/// What a published crate has to have in it, beside its sources.
const IN_EACH_CRATE: [&str; 5] = [
    "README.md",
    "LICENSE-MIT",
    "LICENSE-APACHE",
    "src/lib.rs",
    "examples/",
];

#[derive(Clone, Copy, clap::ValueEnum)]
enum Kind {
    Wheel,
    Deb,
    Crates,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let script = match args.kind {
        Kind::Wheel => "packaging/build_wheel.py",
        Kind::Deb => "packaging/build_deb.py",
        Kind::Crates => return crates(),
    };
    let newer = "import sys; sys.exit(sys.version_info < (3, 11))";
    ensure!(
        run::is_there(run::program("python3").args(["-c", newer])),
        "packages are made with Python 3.11 or newer as `python3`"
    );
    let out = match &args.out {
        Some(out) => std::path::absolute(out)?,
        None => paths::target().join("package"),
    };
    let mut command = run::program("python3");
    command.arg(script).arg("--out").arg(out);
    match &args.binaries {
        Some(binaries) => command
            .arg("--binaries")
            .arg(std::path::absolute(binaries)?),
        None => command.args(["--profile", &args.profile]),
    };
    run::checked(&mut command)
}

/// Packs the crates, builds each from its package alone (the second one finds the first in an overlay that cargo makes of
/// them, so nothing needs to be published before), and has rustdoc look at what it says about them.
pub(crate) fn crates() -> Result<()> {
    for name in CRATES {
        let listed = run::output(of(name, &mut package()).arg("--list"))?;
        for needed in IN_EACH_CRATE {
            let is_there = listed.lines().any(|path| match needed.strip_suffix('/') {
                Some(_) => path.starts_with(needed),
                None => path == needed,
            });
            ensure!(is_there, "the package of {name} has no {needed}");
        }
    }
    let (mut packing, mut documents) = (package(), run::cargo());
    documents
        .args(["doc", "--no-deps"])
        .env("RUSTDOCFLAGS", "--deny warnings");
    for name in CRATES {
        of(name, &mut packing);
        of(name, &mut documents);
    }
    run::checked(&mut packing)?;
    run::checked(&mut documents)
}

/// `cargo package` of the tree as it is: what is not committed yet is to be checked as well.
fn package() -> Command {
    let mut command = run::cargo();
    command.args(["package", "--quiet", "--allow-dirty"]);
    command
}

fn of<'a>(name: &str, command: &'a mut Command) -> &'a mut Command {
    command.args(["--package", name])
}
