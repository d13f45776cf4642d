//! Commands from a pipe or a file, one per line.

use std::io::{self, BufRead};
use std::process::ExitCode;

use crate::lines::{Next, Shell};
use crate::options::Settings;
use crate::session::Source;

pub(crate) async fn run(settings: &Settings) -> ExitCode {
    let mut shell = Shell::new(settings, Source::Pipe);
    shell.session.connect().await;
    let mut line = Vec::new();
    let mut stdin = io::stdin().lock();
    loop {
        line.clear();
        match stdin.read_until(b'\n', &mut line) {
            Ok(0) => return ExitCode::SUCCESS,
            Ok(_) => {}
            Err(error) => {
                eprintln!("Can't read standard input: {error}");
                return ExitCode::FAILURE;
            }
        }
        match shell.run(&line).await {
            Next::Line => {}
            Next::Quit => return ExitCode::SUCCESS,
            Next::Fail => return ExitCode::FAILURE,
        }
    }
}
