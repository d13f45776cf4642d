//! Why a configuration was refused.

use std::io;
use std::path::PathBuf;

/// Why a configuration was refused. `Display` is what `redis-server` prints.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A line of a configuration file.
    #[error(
        "\n{}\nReading the configuration file, at line {line}{}\n>>> '{text}'\n{reason}",
        banner(),
        of_file(included)
    )]
    Line {
        /// Its number, from 1.
        line: usize,
        /// The file, if it is one that another file includes.
        included: Option<PathBuf>,
        /// The line itself.
        text: String,
        /// What is wrong.
        reason: String,
    },
    /// A configuration file can't be read.
    #[error("Fatal error, can't open config file '{path}': {reason}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Standard input can't be read.
    #[error("Fatal error, can't read the configuration from standard input: {0}")]
    Input(io::Error),
    /// An argument of the command line.
    #[error("\n{}\nReading the command line\n>>> '{argument}'\n{reason}", banner())]
    Argument {
        /// The argument and those that belong to it.
        argument: String,
        /// What is wrong.
        reason: String,
    },
    /// An environment variable.
    #[error("\n{}\nReading the environment\n>>> '{variable}'\n{reason}", banner())]
    Environment {
        /// Its name.
        variable: String,
        /// What is wrong.
        reason: String,
    },
    /// A parameter set from code.
    #[error("{name}: {reason}")]
    Parameter {
        /// Its name.
        name: String,
        /// What is wrong.
        reason: String,
    },
}

fn banner() -> String {
    format!(
        "*** FATAL CONFIG FILE ERROR (DJR {}) ***",
        env!("CARGO_PKG_VERSION")
    )
}

fn of_file(included: &Option<PathBuf>) -> String {
    match included {
        Some(path) => format!(" of '{}'", path.display()),
        None => String::new(),
    }
}
