//! The command of the command line, once or more often.

use std::io::{self, Read};
use std::process::ExitCode;

use crate::options::{Settings, StdinArgument};
use crate::session::{Outcome, Session, Source};

pub(crate) async fn run(settings: Settings) -> ExitCode {
    let mut session = Session::new(&settings, Source::CommandLine);
    let mut command = settings.command;
    if let Err(line) = fill_in(&mut command, &settings.stdin_argument) {
        eprintln!("{line}");
        return ExitCode::FAILURE;
    }
    let mut left = settings.repeat;
    while left != 0 {
        left -= i64::from(left > 0);
        match session.execute(&command).await {
            Outcome::Failed | Outcome::Garbled => return ExitCode::FAILURE,
            Outcome::ErrorReply if settings.exit_error => return ExitCode::FAILURE,
            Outcome::ErrorReply | Outcome::Done => {}
        }
        if left != 0 && !settings.interval.is_zero() {
            tokio::time::sleep(settings.interval).await;
        }
    }
    ExitCode::SUCCESS
}

/// Puts what standard input holds where it belongs.
fn fill_in(command: &mut Vec<Vec<u8>>, argument: &StdinArgument) -> Result<(), String> {
    if *argument == StdinArgument::None {
        return Ok(());
    }
    let mut text = Vec::new();
    io::stdin()
        .lock()
        .read_to_end(&mut text)
        .map_err(|error| format!("Can't read standard input: {error}"))?;
    match argument {
        StdinArgument::Tagged(tag) => match command.iter_mut().find(|word| *word == tag) {
            Some(word) => *word = text,
            None => return Err("Using -X option but stdin tag not match.".to_owned()),
        },
        _ => command.push(text),
    }
    Ok(())
}
