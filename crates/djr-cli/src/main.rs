//! `djr-cli`: the command-line client. Ways to use it, one module each: a command on the command line ([`oneshot`]),
//! commands from a pipe ([`batch`]), a prompt ([`prompt`]), work on many keys ([`bulk`]), and measuring ([`measure`]).

#![forbid(unsafe_code)]

mod batch;
mod bulk;
mod cluster;
mod eval;
mod format;
mod help;
mod lines;
mod measure;
mod oneshot;
mod options;
mod progress;
mod prompt;
mod secrets;
mod session;
mod tools;
mod verbatim;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use options::{Instead, Mode, Settings};
use session::{Session, Source};

fn main() -> ExitCode {
    let settings = match options::read() {
        Ok(settings) => settings,
        Err(Instead::Print(text)) => {
            return printed(&text);
        }
        Err(Instead::Fail(line)) => {
            eprintln!("{line}");
            return ExitCode::FAILURE;
        }
    };
    match &settings.mode {
        Mode::Cluster(words) => match cluster::answer(words) {
            Ok(text) => {
                printed(&text);
                // As there: nothing has been done to a cluster.
                return ExitCode::FAILURE;
            }
            Err(line) => {
                eprintln!("{line}");
                return ExitCode::FAILURE;
            }
        },
        Mode::IntrinsicLatency(seconds) => {
            return match measure::intrinsic::run(*seconds) {
                Ok(()) => ExitCode::SUCCESS,
                Err(_) => ExitCode::FAILURE,
            };
        }
        _ => {}
    }
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
    if let Mode::Eval(file) = &settings.mode {
        match eval::command(file, &settings.command) {
            Ok(command) => runtime.block_on(oneshot::run(Settings {
                command,
                ..settings
            })),
            Err(line) => {
                eprintln!("{line}");
                ExitCode::FAILURE
            }
        }
    } else if settings.mode != Mode::Commands {
        runtime.block_on(work(&settings))
    } else if tools::is_tool(&settings.command) {
        runtime.block_on(tools::run(&settings))
    } else if !settings.command.is_empty() {
        runtime.block_on(oneshot::run(settings))
    } else if io::stdin().is_terminal() {
        prompt::run(&runtime, &settings)
    } else {
        runtime.block_on(batch::run(&settings))
    }
}

/// What works on a connection of its own.
async fn work(settings: &Settings) -> ExitCode {
    let session = Session::new(settings, Source::CommandLine);
    let Some(client) = session.into_client().await else {
        return ExitCode::FAILURE;
    };
    let outcome = match &settings.mode {
        Mode::Scan => bulk::scan::run(client, settings).await,
        Mode::Keys { .. } => bulk::keys::run(client, settings).await,
        Mode::KeyStats { samples, top } => {
            bulk::keystats::run(client, settings, *samples, *top).await
        }
        Mode::Pipe(timeout) => match bulk::pipe::run(client, *timeout).await {
            Ok(status) => return status,
            Err(error) => Err(error),
        },
        Mode::Rdb {
            file,
            only_functions,
        } => bulk::rdb::run(client, file, *only_functions).await,
        Mode::Replica => bulk::rdb::watch(client).await,
        Mode::Stat => measure::stat::run(client, settings.interval, settings.repeat).await,
        Mode::Latency { has_history } => {
            measure::latency::run(client, settings, *has_history).await
        }
        Mode::LatencyDistribution => measure::latency::distribution(client, settings).await,
        Mode::LruTest(keys) => measure::lru_test::run(client, *keys).await,
        // Done before there was a connection.
        Mode::Commands | Mode::Eval(_) | Mode::Cluster(_) | Mode::IntrinsicLatency(_) => Ok(()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error.report();
            ExitCode::FAILURE
        }
    }
}

fn printed(text: &str) -> ExitCode {
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
