//! What this program knows of what others store: `inspect`, `celery`, `django`; and `completions` and `man`. Their names
//! are no commands of any server. They use ordinary commands only, so they work with Redis and Valkey, too.

mod celery;
mod django;
mod inspect;
mod table;

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use djr_client::Client;

use crate::bulk::BulkError;
use crate::options::Settings;
use crate::session::{Session, Source};

/// The first words that mean one of these.
const NAMES: [&str; 5] = ["inspect", "celery", "django", "completions", "man"];

/// Whether the command is for this program and not for the server.
pub(crate) fn is_tool(command: &[Vec<u8>]) -> bool {
    command
        .first()
        .is_some_and(|word| NAMES.iter().any(|name| name.as_bytes() == word))
}

#[derive(Debug, Parser)]
#[command(
    name = "djr-cli",
    no_binary_name = true,
    disable_help_subcommand = true
)]
pub(crate) struct Line {
    #[command(subcommand)]
    tool: Tool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Tool {
    /// Show a key with its value decoded: JSON, MessagePack, pickle (never executed), compressed, base64
    Inspect {
        key: String,
        /// Elements of a collection to show
        #[arg(long, default_value_t = 10)]
        limit: usize,
        #[command(flatten)]
        view: View,
    },
    /// Look at the queues and tasks of Celery
    #[command(subcommand)]
    Celery(celery::Command),
    /// Look at what Django has cached
    #[command(subcommand)]
    Django(django::Command),
    /// Write completions for a shell to standard output
    Completions { shell: Shell },
    /// Write the man page to standard output
    Man,
}

/// How a result is shown.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct View {
    /// As JSON
    #[arg(long)]
    json: bool,
    /// Again every so many seconds [default: 2]
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2")]
    watch: Option<f64>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// What a tool found, for people and for programs.
pub(crate) struct Found {
    text: String,
    json: serde_json::Value,
}

/// Does what the words say.
pub(crate) async fn run(settings: &Settings) -> ExitCode {
    let words = settings
        .command
        .iter()
        .map(|word| String::from_utf8_lossy(word).into_owned());
    let line = match Line::try_parse_from(words) {
        Ok(line) => line,
        Err(error) if !error.use_stderr() => {
            let _ = write!(io::stdout(), "{error}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            // One line: the first one says what is wrong.
            let text = error.to_string();
            let line = text.lines().next().unwrap_or_default();
            eprintln!("{}", line.strip_prefix("error: ").unwrap_or(line));
            return ExitCode::FAILURE;
        }
    };
    match execute(line.tool, settings).await {
        Ok(status) => status,
        Err(error) => {
            error.report();
            ExitCode::FAILURE
        }
    }
}

async fn execute(tool: Tool, settings: &Settings) -> Result<ExitCode, BulkError> {
    let view = match &tool {
        Tool::Completions { shell } => {
            io::stdout().write_all(&crate::options::completions(*shell))?;
            return Ok(ExitCode::SUCCESS);
        }
        Tool::Man => {
            io::stdout().write_all(&crate::options::man_page()?)?;
            return Ok(ExitCode::SUCCESS);
        }
        Tool::Inspect { view, .. } => view,
        Tool::Celery(command) => command.view(),
        Tool::Django(command) => command.view(),
    };
    let pause = match view.watch {
        None => None,
        Some(seconds) => match Duration::try_from_secs_f64(seconds) {
            Ok(pause) => Some(pause),
            Err(_) => {
                return Err(BulkError::Said(format!(
                    "Invalid value '{seconds}' for '--watch'"
                )));
            }
        },
    };
    let Some(mut client) = Session::new(settings, Source::CommandLine)
        .into_client()
        .await
    else {
        return Ok(ExitCode::FAILURE);
    };
    loop {
        let found = look(&tool, &mut client, settings).await?;
        let mut out = io::stdout().lock();
        if pause.is_some() && settings.has_tty {
            out.write_all(b"\x1b[H\x1b[2J")?;
        }
        if view.json {
            let text = if pause.is_some() {
                found.json.to_string()
            } else {
                serde_json::to_string_pretty(&found.json).unwrap_or_default()
            };
            writeln!(out, "{text}")?;
        } else {
            out.write_all(found.text.as_bytes())?;
        }
        out.flush()?;
        drop(out);
        match pause {
            None => return Ok(ExitCode::SUCCESS),
            Some(pause) => tokio::time::sleep(pause).await,
        }
    }
}

async fn look(tool: &Tool, client: &mut Client, settings: &Settings) -> Result<Found, BulkError> {
    match tool {
        Tool::Inspect { key, limit, .. } => {
            // As it was typed: a key need not be text.
            let key = settings
                .command
                .iter()
                .find(|word| String::from_utf8_lossy(word) == key.as_str())
                .cloned()
                .unwrap_or_else(|| key.clone().into_bytes());
            inspect::look(client, &key, *limit).await
        }
        Tool::Celery(command) => celery::look(client, command).await,
        Tool::Django(command) => django::look(client, command).await,
        Tool::Completions { .. } | Tool::Man => Err(BulkError::Said(String::new())),
    }
}
