//! What connections take that nobody uses at the moment, as an application's pool holds them.

use super::{Client, Stage, Theatre};
use crate::bench::report::thousands;
use crate::bench::usage::resident_bytes;
use anyhow::{Context, Result, ensure};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// What connections take that nobody uses at the moment.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Connections
    #[arg(long, default_value_t = 10_000)]
    clients: u64,
    /// Bytes of the value that a used connection has written and read
    #[arg(long, default_value_t = 20_000)]
    value: usize,
    /// How long they idle before memory is read, in seconds: buffers are given back meanwhile
    #[arg(long, default_value_t = 15)]
    settle: u64,
}

/// As a part of what the first other server takes.
const GOAL: f64 = 0.7;
/// Descriptors beside those of the connections.
const OTHER_FILES: u64 = 500;

/// What the connections were used for before.
#[derive(Clone, Copy, PartialEq)]
enum Past {
    /// They were opened, and that is all.
    Unused,
    /// Each has written a large value and read it.
    Used,
}

pub(super) fn run(args: &Args, theatre: &Theatre<'_>) -> Result<()> {
    ensure!(args.clients > 0, "--clients begins at 1");
    // The servers inherit it.
    allow_files(args.clients + OTHER_FILES)?;
    println!(
        "{} connections, {} s after they were opened; used ones have written and read {} bytes each\n",
        thousands(args.clients as f64),
        args.settle,
        args.value
    );
    println!(
        "| connections | server | RSS before (MiB) | RSS with them (MiB) | bytes each | of the peer's | goal | |"
    );
    println!("|---|---|---:|---:|---:|---:|---:|---|");
    let peer_name = theatre.contenders.iter().find(|c| !c.is_djr());
    for (past, title) in [(Past::Unused, "never used"), (Past::Used, "used before")] {
        let mut figures = Vec::new();
        for contender in theatre.contenders {
            let mut stage = theatre.open(contender)?;
            let (before, after) = measure(args, past, theatre, &mut stage)
                .with_context(|| format!("{}, {title}", contender.name))?;
            figures.push((contender, before, after));
        }
        let each =
            |before: u64, after: u64| after.saturating_sub(before) as f64 / args.clients as f64;
        let of_peer = figures
            .iter()
            .find(|(contender, ..)| peer_name.is_some_and(|peer| peer.name == contender.name))
            .map(|(_, before, after)| each(*before, *after));
        for (contender, before, after) in figures {
            let bytes = each(before, after);
            let judged = match of_peer.filter(|_| contender.is_djr()) {
                Some(peer) if bytes <= peer * GOAL => {
                    format!("{:.2} | ≤ {GOAL} | ok", bytes / peer)
                }
                Some(peer) => format!("{:.2} | ≤ {GOAL} | missed", bytes / peer),
                None => "| |".into(),
            };
            println!(
                "| {title} | {} | {:.1} | {:.1} | {} | {judged} |",
                contender.name,
                mib(before),
                mib(after),
                thousands(bytes)
            );
        }
    }
    Ok(())
}

/// Resident bytes of the server before the connections and with them.
fn measure(
    args: &Args,
    past: Past,
    theatre: &Theatre<'_>,
    stage: &mut Stage,
) -> Result<(u64, u64)> {
    let limit = (args.clients + 100).to_string();
    stage.client.ask(&["CONFIG", "SET", "maxclients", &limit])?;
    warm_up(args, stage)?;
    let before = resident_bytes(stage.server.pid())?;
    let mut streams = Vec::new();
    for _ in 0..args.clients {
        theatre.interrupt.check()?;
        let stream = TcpStream::connect(stage.server.address)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        streams.push(stream);
    }
    if past == Past::Used {
        use_all(&mut streams, args.value)?;
    }
    let end = Instant::now() + Duration::from_secs(args.settle);
    while Instant::now() < end {
        theatre.interrupt.check()?;
        std::thread::sleep(Duration::from_millis(100));
    }
    let after = resident_bytes(stage.server.pid())?;
    let open = stage.client.figure("connected_clients")?;
    ensure!(
        open as u64 > args.clients,
        "only {open} clients are connected"
    );
    Ok((before, after))
}

/// What any connection makes the server allocate once is not counted.
fn warm_up(args: &Args, stage: &Stage) -> Result<()> {
    let mut streams: Vec<TcpStream> = (0..10)
        .map(|_| TcpStream::connect(stage.server.address))
        .collect::<std::io::Result<_>>()?;
    use_all(&mut streams, args.value)?;
    drop(streams);
    std::thread::sleep(Duration::from_millis(300));
    Ok(())
}

/// Writes a value and reads it on each connection. All requests are under way before the first reply is read.
fn use_all(streams: &mut [TcpStream], value: usize) -> Result<()> {
    let mut client = Vec::new();
    Client::encode(&mut client, &[b"SET", b"of:all", &vec![b'v'; value]]);
    Client::encode(&mut client, &[b"GET", b"of:all"]);
    let reply_len = format!("+OK\r\n${value}\r\n").len() + value + 2;
    let mut reply = vec![0; reply_len];
    for some in streams.chunks_mut(100) {
        for stream in some.iter_mut() {
            stream.write_all(&client)?;
        }
        for stream in some {
            stream.read_exact(&mut reply)?;
            ensure!(reply.starts_with(b"+OK\r\n$"), "not the value");
        }
    }
    Ok(())
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// Raises the limit of open files as far as is needed.
fn allow_files(count: u64) -> Result<()> {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= count) {
        return Ok(());
    }
    limit.current = Some(count);
    limit.maximum = limit.maximum.map(|maximum| maximum.max(count));
    setrlimit(Resource::Nofile, limit)
        .with_context(|| format!("{count} open files are not allowed (ulimit -n)"))
}
