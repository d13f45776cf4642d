//! What TLS requests cost.

use super::Theatre;
use super::rates::{Rates, Side};
use crate::bench::server::{Running, free_address};
use crate::bench::stream::{Opening, trusting};
use anyhow::{Context, Result, ensure};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What requests over TLS cost, beside a peer's.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    rates: Rates,
}

/// CPU time, as a part of the peer's.
const GOAL: f64 = 0.9;

pub(super) fn run(args: &Args, theatre: &Theatre<'_>) -> Result<()> {
    let (certificate, key) = make_certificate(theatre.scratch)?;
    let tls = trusting(&certificate)?;
    let mut servers: Vec<(String, Running, SocketAddr)> = Vec::new();
    for contender in theatre.contenders {
        let address = free_address()?;
        let options = [
            ("--tls-port", address.port().to_string()),
            ("--tls-cert-file", certificate.display().to_string()),
            ("--tls-key-file", key.display().to_string()),
            ("--tls-auth-clients", "no".to_owned()),
        ];
        let options: Vec<&str> = options
            .iter()
            .flat_map(|(name, value)| [*name, value])
            .collect();
        match theatre.open_with(contender, &options) {
            Ok(stage) => {
                args.rates.fill(&stage.server, theatre)?;
                servers.push((contender.name.clone(), stage.server, address));
            }
            Err(error) if !contender.is_djr() => {
                theatre.interrupt.check()?;
                println!(
                    "{} does not start with TLS; it may have been built without: {error:#}\n",
                    contender.name
                );
            }
            Err(error) => return Err(error),
        }
    }
    let sides: Vec<Side<'_>> = servers
        .iter()
        .map(|(name, server, address)| Side {
            name: name.clone(),
            server,
            address: *address,
            opening: Opening {
                greeting: &[],
                tls: Some(tls.clone()),
            },
        })
        .collect();
    for side in &sides {
        println!("{}: TLS on port {}", side.name, side.address.port());
    }
    println!();
    args.rates.compare(&sides, GOAL, theatre)
}

/// A certificate of this machine's address, and its key.
fn make_certificate(scratch: &Path) -> Result<(PathBuf, PathBuf)> {
    let (certificate, key) = (scratch.join("cert.pem"), scratch.join("key.pem"));
    let output = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
        ])
        .args([
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
        ])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output()
        .context("certificates are made with `openssl`")?;
    ensure!(
        output.status.success(),
        "openssl: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok((certificate, key))
}
