//! `--intrinsic-latency`: how long this machine keeps a process from running that only computes. No server can answer
//! faster than that.

use std::hint::black_box;
use std::io::{self, Write};
use std::time::{Duration, Instant};

pub(crate) fn run(seconds: u64) -> io::Result<()> {
    let mut stdout = io::stdout();
    let end = Instant::now() + Duration::from_secs(seconds);
    let (mut runs, mut sum, mut max) = (0_u64, Duration::ZERO, Duration::ZERO);
    let mut before = Instant::now();
    loop {
        let mut state = runs;
        for step in 0..40_u64 {
            state = black_box(state.rotate_left(5) ^ step.wrapping_mul(0x9E37_79B9));
        }
        let now = Instant::now();
        let took = now - before;
        runs += 1;
        sum += took;
        // Said in whole microseconds, and so only if that is more.
        let is_more = took.as_micros() > max.as_micros();
        max = max.max(took);
        if is_more {
            writeln!(
                stdout,
                "Max latency so far: {} microseconds.",
                max.as_micros()
            )?;
        }
        if now > end {
            break;
        }
        // Not the time that the line took to be written.
        before = Instant::now();
    }
    let average = sum.as_secs_f64() * 1e6 / runs as f64;
    writeln!(
        stdout,
        "\n{runs} total runs (avg latency: {average:.4} microseconds / {:.2} nanoseconds per run).\n\
         Worst run took {:.0}x longer than the average latency.",
        average * 1e3,
        max.as_secs_f64() * 1e6 / average.max(f64::MIN_POSITIVE)
    )
}
