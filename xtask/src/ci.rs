//! `cargo xtask ci`: everything that must hold before a change is merged.

use crate::{commands, package, run, test, tidy};
use anyhow::{Result, bail};

/// Format, lints, tidiness, documents up to date, crates as they are published, all tests.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Leave out the slow tests, as `test --quick` does
    #[arg(long)]
    quick: bool,
}

/// A step: its name, and what runs it.
type Step<'a> = (&'static str, &'a dyn Fn() -> Result<()>);

pub(crate) fn run(args: &Args) -> Result<()> {
    let test = test::Args { quick: args.quick };
    let steps: [Step<'_>; 6] = [
        ("fmt", &|| {
            run::checked(run::cargo().args(["fmt", "--all", "--check"]))
        }),
        ("tidy", &|| tidy::run(&tidy::Args {})),
        ("clippy", &|| {
            run::checked(run::cargo().args([
                "clippy",
                "--workspace",
                "--all-targets",
                "--",
                "--deny",
                "warnings",
            ]))
        }),
        ("commands", &|| {
            commands::run(&commands::Args { check: true })
        }),
        ("crates", &package::crates),
        ("test", &|| test::run(&test)),
    ];
    // All of them, so that one run tells everything there is to mend.
    let mut failed = Vec::new();
    for (name, step) in steps {
        println!("── {name}");
        if let Err(error) = step() {
            println!("── {name} FAILED: {error:#}");
            failed.push(name);
        }
    }
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    println!("── ci: fmt, tidy, clippy, commands, crates and test passed");
    Ok(())
}
