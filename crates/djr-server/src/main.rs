//! `djr-server`: the daemon.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use djr_server::{Config, Server};

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let mut config = Config::default();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().unwrap_or_default();
        match arg.as_str() {
            "--port" => config.port = value().parse().unwrap_or(6379),
            "--dir" => config.dir = value().into(),
            "--threads" | "--io-threads" => config.threads = value().parse().unwrap_or(1),
            "--appendonly" => config.append_only = value() == "yes",
            "--appendfsync" => {
                config.append_fsync = match value().as_str() {
                    "always" => djr_storage::aof::FsyncPolicy::Always,
                    "no" => djr_storage::aof::FsyncPolicy::No,
                    _ => djr_storage::aof::FsyncPolicy::EverySec,
                }
            }
            _ => drop(value()),
        }
    }
    match Server::start(config) {
        Ok(server) => {
            tracing::info!("Ready to accept connections on {:?}", server.addresses());
            let stop = server.stopper();
            if let Ok(mut signals) = signal_hook::iterator::Signals::new([
                signal_hook::consts::SIGTERM,
                signal_hook::consts::SIGINT,
            ]) {
                std::thread::spawn(move || signals.forever().for_each(|_| stop()));
            }
            server.wait();
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
