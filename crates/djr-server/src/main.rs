//! `djr-server`: the daemon.

#![forbid(unsafe_code)]

mod background;

use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use background::Place;
use djr_server::config::{Action, environment, from_command_line, markdown, sample_file};
use djr_server::{Config, Server, StopSignal, Stopper, check, logging};
use djr_storage::memory::{Allocator, keep_empty_pages};

/// Lists, hashes and the interpreter allocate and free much. It is quicker at that than the system's, and uses huge pages.
#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

const HELP: &str = "\
Usage: djr-server [FILE] [--DIRECTIVE VALUE ...] ... [-]
       djr-server check-rdb FILE
       djr-server check-aof [--fix | --truncate-to-timestamp SECONDS] FILE

  FILE                  a configuration file in the format of redis.conf
  --DIRECTIVE VALUE     a directive of such a file: --port 7777, --save '', --appendfsync always
  -                     reads more of the configuration from standard input
  check-rdb FILE        goes through a snapshot: what is in it, and what is damaged, by offset and key
  check-aof FILE        the same for an append-only log, by its manifest, or one file of it; --fix mends what can be mended,
                        --truncate-to-timestamp cuts off what is later. Also called redis-check-rdb and redis-check-aof
  --aof-repair          starts although the append-only log is damaged: what can't be read is put aside
  -v, --version         the version
  -h, --help            this

  DJR_DIRECTIVE=VALUE in the environment counts less than the file: DJR_MAXMEMORY_POLICY=allkeys-lru

Examples:
  djr-server
  djr-server /etc/djr/djr.conf --loglevel verbose
  echo 'port 7777' | djr-server -
";

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args_os().collect();
    if let Some((tool, words)) = check::tool(&words) {
        return run_tool(tool, words);
    }
    match from_command_line(std::env::args_os().skip(1), environment()) {
        Ok(Action::Run(config)) => match background::go_there(&config) {
            Ok(Place::Here) => {
                // The server says when.
                keep_empty_pages();
                run(*config)
            }
            Ok(Place::Elsewhere) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("daemonize: {error}");
                ExitCode::FAILURE
            }
        },
        Ok(Action::Help) => print(HELP),
        Ok(Action::Version) => print(&format!(
            "DJR server v={} redis_version={} bits={}\n",
            env!("CARGO_PKG_VERSION"),
            djr_server::REDIS_VERSION,
            usize::BITS
        )),
        Ok(Action::PrintConfig) => print(&sample_file()),
        Ok(Action::PrintMarkdown) => print(&markdown()),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// As `redis-check-rdb` and `redis-check-aof`: 0 if what was looked at is whole.
fn run_tool(tool: check::Tool, words: &[std::ffi::OsString]) -> ExitCode {
    let mut bar = std::io::stderr();
    let is_terminal = bar.is_terminal();
    let bar: Option<&mut dyn std::io::Write> = if is_terminal { Some(&mut bar) } else { None };
    let (mut out, mut input) = (std::io::stdout().lock(), std::io::stdin().lock());
    match tool.run(words, &mut out, &mut input, bar) {
        Ok(true) => ExitCode::SUCCESS,
        // A reader that has gone away has seen enough, but the file has not been seen to its end.
        Ok(false) | Err(_) => ExitCode::FAILURE,
    }
}

fn print(text: &str) -> ExitCode {
    print!("{text}");
    ExitCode::SUCCESS
}

fn run(config: Config) -> ExitCode {
    let logfile = config.logfile();
    if let Err(error) = logging::init(&config) {
        let path = logfile.unwrap_or_default();
        eprintln!("Can't open the log file {}: {error}", path.display());
        return ExitCode::FAILURE;
    }
    let stopper: Arc<OnceLock<Stopper>> = Arc::default();
    if let Err(error) = obey_signals(stopper.clone()) {
        tracing::warn!("signals can't be caught: {error}");
    }
    let started = Server::start_with(config, |made| {
        // A second one can't come: this is the only place.
        let _ = stopper.set(made);
    });
    match started {
        Ok(server) => match server.wait() {
            Ok(()) if let Some(delay) = stopper.get().and_then(Stopper::restart_after) => {
                tracing::error!("{}", djr_server::start_again(delay));
                ExitCode::FAILURE
            }
            Ok(()) => ExitCode::SUCCESS,
            // It has been logged.
            Err(_) => ExitCode::FAILURE,
        },
        Err(error) => {
            tracing::error!("{error}");
            // The log is on standard output, where nobody may look.
            if logfile.is_some() || !std::io::stdout().is_terminal() {
                eprintln!("{error}");
            }
            ExitCode::FAILURE
        }
    }
}

/// On a thread of its own: a last snapshot takes a while, and a second signal is to be heard.
fn stop(stopper: Stopper, signal: StopSignal, stopping: Arc<AtomicBool>) {
    let thread = std::thread::Builder::new().name("djr-stop".into());
    let spawned = thread.spawn(move || {
        if !stopper.stop_on(signal) {
            tracing::warn!(
                "Errors trying to shut down the server. Check the logs for more information."
            );
            stopping.store(false, Ordering::Release);
        }
    });
    if let Err(error) = spawned {
        tracing::error!("can't begin to stop: {error}");
        std::process::exit(1);
    }
}

/// The first SIGTERM or SIGINT stops the server, a second one ends the process at once. SIGHUP has certificates read again.
fn obey_signals(stopper: Arc<OnceLock<Stopper>>) -> std::io::Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    let mut signals = signal_hook::iterator::Signals::new([SIGTERM, SIGINT, SIGHUP])?;
    let thread = std::thread::Builder::new().name("djr-signals".into());
    thread.spawn(move || {
        let stopping = Arc::new(AtomicBool::new(false));
        for signal in signals.forever() {
            if signal == SIGHUP {
                // The log file is opened for every line: after logrotate has moved it there is nothing to do.
                if let Some(stopper) = stopper.get() {
                    stopper.reload();
                }
                continue;
            }
            let (name, kind) = match signal {
                SIGINT => ("SIGINT", StopSignal::Interrupt),
                _ => ("SIGTERM", StopSignal::Terminate),
            };
            if stopping.load(Ordering::Acquire) {
                tracing::warn!("Received {name} again: exiting now, without closing the log");
                std::process::exit(1);
            }
            match stopper.get().filter(|stopper| !stopper.is_loading()) {
                Some(stopper) => {
                    tracing::warn!("Received {name} scheduling shutdown...");
                    stopping.store(true, Ordering::Release);
                    stop(stopper.clone(), kind, Arc::clone(&stopping));
                }
                None => {
                    // Nothing has been acknowledged yet.
                    tracing::warn!("Received {name} while starting: exiting now");
                    std::process::exit(0);
                }
            }
        }
    })?;
    Ok(())
}
