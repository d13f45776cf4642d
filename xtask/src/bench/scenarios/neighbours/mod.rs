//! How long a calm client waits while another one behaves badly.
//!
//! The calm client asks at a steady rate, whatever happens; a request that is late because the one before it was not answered
//! counts from when it was due. Whoever disturbs has the lowest priority on the generator's core, so that what is measured is the server.

mod attacks;
mod calm;

use super::Theatre;
use anyhow::{Context, Result, ensure};
use attacks::Attack;
use calm::Waits;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

/// How long a calm client waits while another one behaves badly.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Measured time, calm and disturbed, of each
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// The calm client's requests per second
    #[arg(long, default_value_t = 250)]
    rate: u64,
    /// Bytes per second of an argument that is announced as 512 MiB, in MiB
    #[arg(long, default_value_t = 40)]
    feed_mb: u64,
    /// Connection attempts per second
    #[arg(long, default_value_t = 50_000)]
    attempts: u64,
    /// Milliseconds until a script's length is answered with BUSY
    #[arg(long, default_value_t = 20)]
    busy_after: u64,
    /// Only what is called so
    #[arg(long, value_delimiter = ',')]
    attacks: Vec<String>,
}

/// The 99th percentile while disturbed, as a multiple of the calm one.
const GOAL: f64 = 10.0;

pub(super) fn run(args: &Args, theatre: &Theatre<'_>) -> Result<()> {
    ensure!(
        args.seconds > 0 && args.rate > 0,
        "--seconds and --rate begin at 1"
    );
    let chosen: Vec<Attack> = Attack::all()
        .into_iter()
        .filter(|attack| {
            args.attacks.is_empty() || args.attacks.iter().any(|name| name == attack.name)
        })
        .collect();
    ensure!(
        !chosen.is_empty(),
        "--attacks: reader, header, slow-header, connections, script"
    );
    println!(
        "GET and SET of a calm client, {} requests a second for {} s; times in µs, memory in MiB\n",
        args.rate, args.seconds
    );
    println!(
        "| neighbour | server | p50 calm | p99 calm | p50 | p99 | longest | errors | memory grew by | p99 / calm | goal | | what it did |"
    );
    println!("|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---|---|");
    for attack in &chosen {
        for contender in theatre.contenders {
            let line = measure(args, theatre, contender, attack)
                .with_context(|| format!("{} beside {}", contender.name, attack.name));
            match line {
                Ok(line) => println!("| {} | {} | {line} |", attack.name, contender.name),
                // A peer may fall; we may not.
                Err(error) if !contender.is_djr() => {
                    theatre.interrupt.check()?;
                    println!(
                        "| {} | {} | failed: {error:#} |",
                        attack.name, contender.name
                    );
                }
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

fn measure(
    args: &Args,
    theatre: &Theatre<'_>,
    contender: &crate::bench::server::Contender,
    attack: &Attack,
) -> Result<String> {
    let mut stage = theatre.open(contender)?;
    let (address, pid) = (stage.server.address, stage.server.pid());
    (attack.prepare)(&mut stage.client, args)?;
    let time = Duration::from_secs(args.seconds);
    let calmly = |seconds| Waits::measure(address, pid, args.rate, seconds, theatre.interrupt);
    calmly(Duration::from_millis(500))?;
    let calm = calmly(time)?;
    let is_over = AtomicBool::new(false);
    let (disturbed, done) = std::thread::scope(|scope| -> Result<_> {
        let attacker = scope.spawn(|| {
            attacks::lower_priority();
            (attack.run)(address, args, &is_over)
        });
        let disturbed = calmly(time);
        is_over.store(true, Relaxed);
        let done = attacker
            .join()
            .unwrap_or_else(|_| Err(anyhow::anyhow!("the attacker has failed")));
        Ok((disturbed?, done?))
    })?;
    let micros =
        |waits: &Waits, percentile| waits.latency_ns.value_at_percentile(percentile) as f64 / 1e3;
    let ratio = micros(&disturbed, 99.0) / micros(&calm, 99.0);
    let judged = match (contender.is_djr(), ratio <= GOAL) {
        (false, _) => " | ".to_owned(),
        (true, true) => format!("≤ {GOAL} | ok"),
        (true, false) => format!("≤ {GOAL} | missed"),
    };
    Ok(format!(
        "{:.0} | {:.0} | {:.0} | {:.0} | {:.0} | {} | {:.0} | {ratio:.1} | {judged} | {done}",
        micros(&calm, 50.0),
        micros(&calm, 99.0),
        micros(&disturbed, 50.0),
        micros(&disturbed, 99.0),
        disturbed.latency_ns.max() as f64 / 1e3,
        disturbed.errors,
        disturbed.largest.saturating_sub(calm.largest) as f64 / f64::from(1 << 20),
    ))
}
