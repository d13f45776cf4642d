//! `cargo xtask book`: the books in `docs/` as HTML, by mdBook.

use crate::{paths, run};
use anyhow::{Result, bail};

/// Write the books in docs/ as HTML to target/book. Needs mdbook; nothing is fetched.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Show it in a browser
    #[arg(long)]
    open: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    if !run::is_there(run::program("mdbook").arg("--version")) {
        bail!(
            "mdbook is missing: `cargo install mdbook --locked` installs it. The pages in docs/ can be read without it."
        );
    }
    let out = paths::target().join("book");
    let mut command = run::program("mdbook");
    command.args(["build", "docs", "--dest-dir"]).arg(&out);
    if args.open {
        command.arg("--open");
    }
    run::checked(&mut command)?;
    println!("{}", out.join("index.html").display());
    Ok(())
}
