//! The hit rate of a cache under a Zipf load, as an application uses one: GET, and on a miss SET.

use super::{Random, Stage, Theatre};
use anyhow::{Result, ensure};

/// The hit rate of a cache that is smaller than what is asked of it.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// What the cache may take, in MiB
    #[arg(long, default_value_t = 128)]
    maxmemory_mb: u64,
    /// How many times that all values take
    #[arg(long, default_value_t = 4.0)]
    times: f64,
    /// Bytes of a value
    #[arg(long, default_value_t = 200)]
    value: usize,
    /// Requests that are counted; as many are made before them
    #[arg(long, default_value_t = 8_000_000)]
    requests: u64,
    /// Steepness: the nth key is asked for 1/n^s times as often as the first
    #[arg(long, default_value_t = 0.99)]
    skew: f64,
    /// Policies
    #[arg(long, value_delimiter = ',', default_value = "allkeys-lru,allkeys-lfu")]
    policies: Vec<String>,
}

/// Requests that are sent together.
const PIPELINE: u64 = 64;
/// What a key takes beside its value, about: so much more than the value counts for the number of keys.
const OVERHEAD: usize = 60;

pub(super) fn run(args: &Args, theatre: &Theatre<'_>) -> Result<()> {
    ensure!(
        args.skew > 0.0 && args.skew != 1.0,
        "--skew: above 0, not 1"
    );
    let bytes = (args.maxmemory_mb << 20) as f64 * args.times;
    let keys = (bytes / (args.value + OVERHEAD) as f64) as u64;
    ensure!(keys > 100, "too few keys");
    println!(
        "{keys} keys of {} bytes, {} times of {} MiB; Zipf {}; {} requests\n",
        args.value, args.times, args.maxmemory_mb, args.skew, args.requests
    );
    println!("| policy | server | hit rate | keys held | evicted |");
    println!("|---|---|---:|---:|---:|");
    for policy in &args.policies {
        for contender in theatre.contenders {
            let mut stage = theatre.open(contender)?;
            let limit = (args.maxmemory_mb << 20).to_string();
            stage.client.ask(&["CONFIG", "SET", "maxmemory", &limit])?;
            stage
                .client
                .ask(&["CONFIG", "SET", "maxmemory-policy", policy])?;
            let rate = hit_rate(args, theatre, &mut stage, keys)?;
            let held = stage.server.key_count()?;
            let evicted = stage.client.figure("evicted_keys")?;
            println!(
                "| {policy} | {} | {:.3} % | {held} | {evicted} |",
                contender.name,
                rate * 100.0
            );
        }
    }
    Ok(())
}

fn hit_rate(args: &Args, theatre: &Theatre<'_>, stage: &mut Stage, keys: u64) -> Result<f64> {
    let (zipf, mut random) = (Zipf::new(keys, args.skew), Random(1));
    let value = vec![b'v'; args.value];
    let (mut hits, mut done) = (0, 0);
    while done < 2 * args.requests {
        theatre.interrupt.check()?;
        let names: Vec<String> = (0..PIPELINE)
            .map(|_| format!("page:{}", scattered(zipf.draw(&mut random))))
            .collect();
        for name in &names {
            stage.client.push(&[b"GET", name.as_bytes()]);
        }
        let (mut found, mut at) = (vec![false; names.len()], 0);
        stage.client.flush(|reply| {
            found[at] = reply.is_some();
            at += 1;
        })?;
        if done >= args.requests {
            hits += found.iter().filter(|found| **found).count() as u64;
        }
        for (name, _) in names.iter().zip(found).filter(|(_, found)| !found) {
            stage.client.push(&[b"SET", name.as_bytes(), &value]);
        }
        stage.client.flush(|_| {})?;
        done += PIPELINE;
    }
    Ok(hits as f64 / (done - args.requests) as f64)
}

/// Popular keys are not neighbours. One to one.
fn scattered(rank: u64) -> u64 {
    rank.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23)
}

/// Ranks from 0 up, the nth with a probability in proportion to 1/n^skew (the method of Gray et al., "Quickly generating billion-record
/// synthetic databases").
struct Zipf {
    ranks: f64,
    sum: f64,
    alpha: f64,
    eta: f64,
    second: f64,
}

impl Zipf {
    fn new(ranks: u64, skew: f64) -> Self {
        let sum = |end: u64| (1..=end).map(|n| (n as f64).powf(-skew)).sum::<f64>();
        let (all, two) = (sum(ranks), sum(2));
        let n = ranks as f64;
        Self {
            ranks: n,
            sum: all,
            alpha: 1.0 / (1.0 - skew),
            eta: (1.0 - (2.0 / n).powf(1.0 - skew)) / (1.0 - two / all),
            second: two,
        }
    }

    fn draw(&self, random: &mut Random) -> u64 {
        let unit = random.unit();
        let at = unit * self.sum;
        if at < 1.0 {
            return 0;
        }
        if at < self.second {
            return 1;
        }
        let rank = self.ranks * (self.eta * unit - self.eta + 1.0).powf(self.alpha);
        (rank as u64).min(self.ranks as u64 - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_ranks_come_as_often_as_they_should() {
        let (zipf, mut random) = (Zipf::new(1000, 0.99), Random(1));
        let mut counts = [0_u64; 1000];
        for _ in 0..1_000_000 {
            counts[zipf.draw(&mut random) as usize] += 1;
        }
        let first = 1_000_000.0 / zipf.sum;
        assert!(
            (counts[0] as f64 / first - 1.0).abs() < 0.02,
            "{}",
            counts[0]
        );
        assert!((counts[1] as f64 / (first / 1.986) - 1.0).abs() < 0.02);
        assert!(counts[999] > 0 && counts[999] < counts[9]);
    }
}
