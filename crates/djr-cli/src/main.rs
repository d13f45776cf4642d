//! `djr-cli`: the command-line client. Three ways to use it, one module each: a command on the command line
//! ([`oneshot`]), commands from a pipe ([`batch`]), and a prompt ([`prompt`]).

#![forbid(unsafe_code)]

mod batch;
mod format;
mod help;
mod lines;
mod oneshot;
mod options;
mod prompt;
mod secrets;
mod session;
mod verbatim;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use options::Instead;

fn main() -> ExitCode {
    let settings = match options::read() {
        Ok(settings) => settings,
        Err(Instead::Print(text)) => {
            return match io::stdout().write_all(text.as_bytes()) {
                Ok(()) => ExitCode::SUCCESS,
                Err(_) => ExitCode::FAILURE,
            };
        }
        Err(Instead::Fail(line)) => {
            eprintln!("{line}");
            return ExitCode::FAILURE;
        }
    };
    // One thread: there is one connection, and starting more takes longer than most commands.
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("Can't start: {error}");
            return ExitCode::FAILURE;
        }
    };
    if !settings.command.is_empty() {
        runtime.block_on(oneshot::run(settings))
    } else if io::stdin().is_terminal() {
        prompt::run(&runtime, &settings)
    } else {
        runtime.block_on(batch::run(&settings))
    }
}
