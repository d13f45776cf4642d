//! `cargo xtask package wheel|deb`: what users install. The work is done by `packaging/`, in Python, which pip needs anyhow.

use crate::{paths, run};
use anyhow::{Result, ensure};
use std::path::PathBuf;

/// Make a package of both programs: man pages, completions and configuration are in it.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// `wheel` for PyPI, `deb` for Debian
    #[arg(value_enum)]
    kind: Kind,
    /// What to build
    #[arg(long, default_value = "release", value_parser = ["dev", "quick", "release"])]
    profile: String,
    /// A directory that has both programs already, instead of building them
    #[arg(long)]
    binaries: Option<PathBuf>,
    /// Where the package goes; target/package without
    #[arg(long)]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Kind {
    Wheel,
    Deb,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let newer = "import sys; sys.exit(sys.version_info < (3, 11))";
    ensure!(
        run::is_there(run::program("python3").args(["-c", newer])),
        "packages are made with Python 3.11 or newer as `python3`"
    );
    let script = match args.kind {
        Kind::Wheel => "packaging/build_wheel.py",
        Kind::Deb => "packaging/build_deb.py",
    };
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
