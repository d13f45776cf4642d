//! The verbs of this repository: `cargo xtask WORD`. One file (or folder) per verb.

#![forbid(unsafe_code)]

mod bench;
mod book;
mod ci;
mod commands;
mod config;
mod fuzz;
mod new_command;
mod package;
mod paths;
mod peers;
mod run;
mod soak;
mod test;
mod tidy;

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
    Test(test::Args),
    Ci(ci::Args),
    Tidy(tidy::Args),
    Commands(commands::Args),
    NewCommand(new_command::Args),
    Fuzz(fuzz::Args),
    Smoke(fuzz::SmokeArgs),
    Bench(Box<bench::Args>),
    Config(config::Args),
    Soak(soak::Args),
    Package(package::Args),
    Book(book::Args),
    #[command(hide = true)]
    NullServer(bench::null::Args),
    Peers(peers::Args),
}

fn main() -> ExitCode {
    let result = match Cli::parse().verb {
        Verb::Test(args) => test::run(&args),
        Verb::Ci(args) => ci::run(&args),
        Verb::Tidy(args) => tidy::run(&args),
        Verb::Commands(args) => commands::run(&args),
        Verb::NewCommand(args) => new_command::run(&args),
        Verb::Fuzz(args) => fuzz::run(&args),
        Verb::Smoke(args) => fuzz::smoke(&args),
        Verb::Bench(args) => bench::run(&args),
        Verb::Config(args) => config::run(&args),
        Verb::Soak(args) => soak::run(&args),
        Verb::Package(args) => package::run(&args),
        Verb::Book(args) => book::run(&args),
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
