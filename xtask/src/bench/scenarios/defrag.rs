//! What becomes of the memory of keys that are deleted at random.

use super::{Client, Random, Stage, Theatre};
use crate::bench::report::thousands;
use crate::bench::usage::{CpuUsage, resident_bytes};
use anyhow::Result;
use std::net::SocketAddr;
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
/// So long replies are timed before anything is deleted.
const CALM_SECONDS: u64 = 20;
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
         CPU share | longest replies (ms: one in 10 000, longest) | the same before |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
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
    let address = stage.server.address;
    // What the machine itself does to replies.
    let calm = probe_while(address, || {
        std::thread::sleep(Duration::from_secs(args.seconds.min(CALM_SECONDS)));
        Ok(())
    })?;
    for number in &doomed {
        let name = format!("key:{number}");
        stage.client.push(&[b"DEL", name.as_bytes()]);
        flush_some(theatre, &mut stage.client)?;
    }
    stage.client.flush(|_| {})?;
    let (began, cpu) = (Instant::now(), CpuUsage::of(pid)?);
    let deleted = resident_bytes(pid)?;
    let mut reached = None;
    let replies = probe_while(address, || {
        while began.elapsed() < Duration::from_secs(args.seconds) {
            if theatre.interrupt.check().is_err() {
                break;
            }
            std::thread::sleep(Duration::from_millis(250));
            if reached.is_none() && resident_bytes(pid)? as f64 <= live as f64 * GOAL {
                reached = Some(began.elapsed());
            }
        }
        Ok(())
    })?;
    theatre.interrupt.check()?;
    let spent = CpuUsage::of(pid)?.since(cpu).on_cpu_ns as f64 / began.elapsed().as_nanos() as f64;
    let (end, used) = (resident_bytes(pid)?, stage.client.figure("used_memory")?);
    Ok(format!(
        "{:.0} | {:.0} | {:.0} | {:.0} | {:.0} | {:.2} | {:.2} | {} | {:.1} % | {replies} | {calm}",
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
    ))
}

fn flush_some(theatre: &Theatre<'_>, client: &mut Client) -> Result<()> {
    if client.pushed_bytes() >= PIPELINE_BYTES {
        theatre.interrupt.check()?;
        client.flush(|_| {})?;
    }
    Ok(())
}

/// The longest replies, with the scheduler's and the machine's other work in them.
struct Replies(Vec<Duration>);

impl std::fmt::Display for Replies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ms = |place: usize| {
            self.0
                .get(place)
                .map_or(0.0, |time| time.as_secs_f64() * 1000.0)
        };
        write!(f, "{:.2}, {:.2}", ms(self.0.len() / 10_000), ms(0))
    }
}

/// Somebody asks all the time while something is done.
fn probe_while(address: SocketAddr, during: impl FnOnce() -> Result<()>) -> Result<Replies> {
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let prober = scope.spawn(|| probe(address, &is_over));
        let done = during();
        is_over.store(true, Relaxed);
        let replies = prober.join();
        done?;
        replies.unwrap_or_else(|_| Err(anyhow::anyhow!("the prober has failed")))
    })
}

/// Asks until it is over, a thousand times a second at most. How long the replies took, the longest first.
fn probe(address: SocketAddr, is_over: &AtomicBool) -> Result<Replies> {
    let mut client = Client::connect(address)?;
    let mut times = Vec::new();
    let mut number = 0_u64;
    while !is_over.load(Relaxed) {
        number += 7919;
        let name = format!("key:{number}");
        let began = Instant::now();
        client.ask(&["GET", &name])?;
        times.push(began.elapsed());
        std::thread::sleep(Duration::from_micros(900));
    }
    times.sort_unstable_by(|left, right| right.cmp(left));
    Ok(Replies(times))
}
