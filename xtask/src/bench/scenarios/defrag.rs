//! What becomes of the memory of keys that are deleted at random.

use super::{Client, Random, Stage, Theatre};
use crate::bench::report::thousands;
use crate::bench::usage::{CpuUsage, resident_bytes};
use anyhow::Result;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// What becomes of the memory of keys that are deleted at random.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Keys before the deletions
    #[arg(long, default_value_t = 10_000_000)]
    keys: u64,
    /// Bytes of the smallest and of the largest value
    #[arg(long, default_value_t = 16)]
    smallest: u64,
    #[arg(long, default_value_t = 1500)]
    largest: u64,
    /// The part of the keys that is deleted
    #[arg(long, default_value_t = 0.75)]
    deleted: f64,
    /// How long it is watched, in seconds
    #[arg(long, default_value_t = 60)]
    seconds: u64,
}

/// Bytes of requests that are sent together.
const PIPELINE_BYTES: usize = 64 << 10;
/// What memory should fall to, as a multiple of the live data.
const GOAL: f64 = 1.4;

pub(super) fn run(args: &Args, theatre: &Theatre<'_>) -> Result<()> {
    println!(
        "{} keys with values of {} to {} bytes, {} % of them deleted at random, watched for {} s\n",
        thousands(args.keys as f64),
        args.smallest,
        args.largest,
        args.deleted * 100.0,
        args.seconds
    );
    println!(
        "| server | live (MiB) | used_memory | RSS full | RSS after deletion | at the end | RSS / live | RSS / used | {GOAL} of live after | \
         CPU share | longest reply (ms) |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
    for contender in theatre.contenders {
        let mut stage = theatre.open(contender)?;
        let answer = stage.client.ask(&["CONFIG", "SET", "activedefrag", "yes"]);
        if let Err(error) = answer {
            println!(
                "| {} | no active defragmentation: {error} |",
                contender.name
            );
            continue;
        }
        let line = watch(args, theatre, &mut stage)?;
        println!("| {} | {line} |", contender.name);
    }
    Ok(())
}

fn watch(args: &Args, theatre: &Theatre<'_>, stage: &mut Stage) -> Result<String> {
    let pid = stage.server.pid();
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let value = vec![b'v'; args.largest as usize];
    let (mut random, mut live) = (Random(1), 0);
    let spread = args.largest - args.smallest + 1;
    let mut doomed: Vec<u64> = Vec::new();
    for number in 0..args.keys {
        let size = args.smallest + random.below(spread);
        let name = format!("key:{number}");
        stage
            .client
            .push(&[b"SET", name.as_bytes(), &value[..size as usize]]);
        if random.unit() < args.deleted {
            doomed.push(number);
        } else {
            live += size + name.len() as u64;
        }
        flush_some(theatre, &mut stage.client)?;
    }
    stage.client.flush(|_| {})?;
    let full = resident_bytes(pid)?;
    for number in &doomed {
        let name = format!("key:{number}");
        stage.client.push(&[b"DEL", name.as_bytes()]);
        flush_some(theatre, &mut stage.client)?;
    }
    stage.client.flush(|_| {})?;
    let (began, cpu) = (Instant::now(), CpuUsage::of(pid)?);
    let deleted = resident_bytes(pid)?;
    // Somebody asks all the time, and notes how long the longest reply took.
    let (is_over, address) = (AtomicBool::new(false), stage.server.address);
    let mut reached = None;
    let longest = std::thread::scope(|scope| -> Result<Duration> {
        let prober = scope.spawn(|| probe(address, &is_over));
        while began.elapsed() < Duration::from_secs(args.seconds) {
            if theatre.interrupt.check().is_err() {
                break;
            }
            std::thread::sleep(Duration::from_millis(250));
            if reached.is_none() && resident_bytes(pid)? as f64 <= live as f64 * GOAL {
                reached = Some(began.elapsed());
            }
        }
        is_over.store(true, Relaxed);
        prober
            .join()
            .unwrap_or_else(|_| Err(anyhow::anyhow!("the prober has failed")))
    })?;
    theatre.interrupt.check()?;
    let spent = CpuUsage::of(pid)?.since(cpu).on_cpu_ns as f64 / began.elapsed().as_nanos() as f64;
    let (end, used) = (resident_bytes(pid)?, stage.client.figure("used_memory")?);
    Ok(format!(
        "{:.0} | {:.0} | {:.0} | {:.0} | {:.0} | {:.2} | {:.2} | {} | {:.1} % | {:.2}",
        mib(live),
        mib(used as u64),
        mib(full),
        mib(deleted),
        mib(end),
        end as f64 / live as f64,
        end as f64 / used,
        reached.map_or_else(
            || "never".into(),
            |time| format!("{:.1} s", time.as_secs_f64())
        ),
        spent * 100.0,
        longest.as_secs_f64() * 1000.0
    ))
}

fn flush_some(theatre: &Theatre<'_>, client: &mut Client) -> Result<()> {
    if client.pushed_bytes() >= PIPELINE_BYTES {
        theatre.interrupt.check()?;
        client.flush(|_| {})?;
    }
    Ok(())
}

/// Asks until it is over, a thousand times a second at most. The longest time that a reply took: of the server, and of the machine's
/// other work.
fn probe(address: std::net::SocketAddr, is_over: &AtomicBool) -> Result<Duration> {
    let mut client = Client::connect(address)?;
    let mut longest = Duration::ZERO;
    let mut number = 0_u64;
    while !is_over.load(Relaxed) {
        number += 7919;
        let name = format!("key:{number}");
        let began = Instant::now();
        client.ask(&["GET", &name])?;
        longest = longest.max(began.elapsed());
        std::thread::sleep(Duration::from_micros(900));
    }
    Ok(longest)
}
