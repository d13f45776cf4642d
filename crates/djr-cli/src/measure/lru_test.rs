//! `--lru-test`: a cache of which a fifth of the keys gets most of the requests, and how often it has what is asked for.

use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::time::{Duration, Instant};

use djr_client::{Client, Pipeline};

use crate::bulk::BulkError;

/// Commands per write.
const BATCH_LEN: u64 = 250;

/// The exponent with which 20 % of the keys get 80 % of the requests.
const POWER: f64 = 6.2;

/// Writes and reads keys until interrupted; a line every second.
pub(crate) async fn run(mut client: Client, keys: u64) -> Result<(), BulkError> {
    let mut random = Random::new();
    loop {
        let begun = Instant::now();
        let (mut hits, mut misses) = (0_u64, 0_u64);
        while begun.elapsed() < Duration::from_secs(1) {
            let mut pipeline = Pipeline::new();
            for _ in 0..BATCH_LEN {
                let key = format!("lru:{}", random.key(keys));
                pipeline.add(&["SET", &key, "djrdj"]);
            }
            for reply in client.run(&pipeline).await? {
                reply?;
            }
            pipeline.clear();
            for _ in 0..BATCH_LEN {
                let key = format!("lru:{}", random.key(keys));
                pipeline.add(&["GET", &key]);
            }
            for reply in client.run(&pipeline).await? {
                if reply?.is_null() {
                    misses += 1;
                } else {
                    hits += 1;
                }
            }
        }
        let gets = hits + misses;
        let percent = |part: u64| part as f64 / gets.max(1) as f64 * 100.0;
        let mut stdout = io::stdout().lock();
        writeln!(
            stdout,
            "{gets} Gets/sec | Hits: {hits} ({:.2}%) | Misses: {misses} ({:.2}%)",
            percent(hits),
            percent(misses)
        )?;
        stdout.flush()?;
    }
}

/// SplitMix64, seeded by the operating system.
struct Random(u64);

impl Random {
    fn new() -> Random {
        Random(RandomState::new().hash_one(0))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number from 1 to `max`: large ones often, small ones seldom.
    fn key(&mut self, max: u64) -> u64 {
        let uniform = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        let low = 1.0;
        let high = (max as f64 + 1.0).powf(POWER + 1.0);
        let drawn = ((high - low) * uniform + low).powf(1.0 / (POWER + 1.0));
        (drawn as u64).clamp(1, max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fifth_gets_four_fifths() {
        let mut random = Random(1);
        let draws = 100_000;
        let often = (0..draws).filter(|_| random.key(1000) > 800).count();
        assert!(
            (0.75..0.85).contains(&(often as f64 / f64::from(draws))),
            "{often}"
        );
    }
}
