//! `daemonize yes`. The process that was started does not fork: it starts itself anew, without a terminal and in a session of its own,
//! and ends. What runs is so a process like any other, with no memory of a terminal.

use std::io;
use std::process::{Command, Stdio};

use djr_server::Config;

/// Tells the new process that it is the one in the background.
const MARK: &str = "_DJR_IN_BACKGROUND";

/// Where the server is to run.
pub(crate) enum Place {
    /// In this process.
    Here,
    /// In another, which has been started.
    Elsewhere,
}

/// Starts the server in the background, if the configuration asks for it and this is not there already.
pub(crate) fn go_there(config: &Config) -> io::Result<Place> {
    if !config.daemonize() {
        return Ok(Place::Here);
    }
    if std::env::var_os(MARK).is_some() {
        // A leader of a group has a session already.
        if let Err(error) = rustix::process::setsid() {
            tracing::debug!("setsid: {error}");
        }
        return Ok(Place::Here);
    }
    let args: Vec<_> = std::env::args_os().skip(1).collect();
    if args.iter().any(|arg| arg == "-") {
        return Err(io::Error::other(
            "a configuration from standard input can't be read again in the background",
        ));
    }
    Command::new(std::env::current_exe()?)
        .args(args)
        .env(MARK, "1")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    Ok(Place::Elsewhere)
}
