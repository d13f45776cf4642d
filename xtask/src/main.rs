//! The verbs of this repository: `cargo xtask WORD`. One file (or folder) per verb.

#![forbid(unsafe_code)]

mod bench;
mod config;
mod paths;
mod peers;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// The verbs of this repository.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Bench(bench::Args),
    Config(config::Args),
    #[command(hide = true)]
    NullServer(bench::null::Args),
    Peers(peers::Args),
}

fn main() -> ExitCode {
    let result = match Cli::parse().verb {
        Verb::Bench(args) => bench::run(&args),
        Verb::Config(args) => config::run(&args),
        Verb::NullServer(args) => bench::null::run(&args),
        Verb::Peers(args) => peers::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
