//! `--latency`, `--latency-history`, `--latency-dist`: how long a `PING` takes, a hundred times a second.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use djr_client::Client;

use crate::bulk::BulkError;
use crate::format::Output;
use crate::options::Settings;

/// Between two samples.
const PAUSE: Duration = Duration::from_millis(10);

/// Whole milliseconds, as the tools that read `--csv` and `--raw` expect.
#[derive(Clone, Copy, Debug, Default)]
struct Samples {
    min: u64,
    max: u64,
    sum: u64,
    count: u64,
}

impl Samples {
    fn add(&mut self, latency: u64) {
        self.min = if self.count == 0 {
            latency
        } else {
            self.min.min(latency)
        };
        self.max = self.max.max(latency);
        self.sum += latency;
        self.count += 1;
    }

    fn line(&self, output: Output) -> String {
        let Samples {
            min, max, count, ..
        } = self;
        let average = self.sum as f64 / (*count).max(1) as f64;
        match output {
            Output::Standard => {
                format!("min: {min}, max: {max}, avg: {average:.2} ({count} samples)")
            }
            Output::Csv => format!("{min},{max},{average:.2},{count}\n"),
            Output::Raw => format!("{min} {max} {average:.2} {count}\n"),
            Output::Json | Output::QuotedJson => format!(
                "{{\"min\": {min}, \"max\": {max}, \"avg\": {average:.2}, \"count\": {count}}}\n"
            ),
        }
    }
}

/// Measures until the end of the interval, or for ever.
pub(crate) async fn run(
    mut client: Client,
    settings: &Settings,
    has_history: bool,
) -> Result<(), BulkError> {
    let output = settings.style.output;
    let interval = match settings.interval {
        given if !given.is_zero() => given,
        _ if has_history => Duration::from_secs(15),
        _ => Duration::from_secs(1),
    };
    let (mut samples, mut begun) = (Samples::default(), Instant::now());
    loop {
        let sent = Instant::now();
        client.command(&["PING"]).await?;
        samples.add(sent.elapsed().as_millis().try_into().unwrap_or(u64::MAX));
        let is_over = begun.elapsed() > interval;
        if output == Output::Standard {
            write(&format!("\x1b[0G\x1b[2K{}", samples.line(output)))?;
        } else if has_history {
            write(&samples.line(output))?;
        } else if is_over {
            return write(&samples.line(output));
        }
        if has_history && is_over {
            write(&format!(
                " -- {:.2} seconds range\n",
                begun.elapsed().as_secs_f64()
            ))?;
            (samples, begun) = (Samples::default(), Instant::now());
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Classes of latency: up to so many microseconds, and the character for it.
const CLASSES: [(u64, char); 31] = [
    (10, '.'),
    (125, '-'),
    (250, '*'),
    (500, '#'),
    (1_000, '1'),
    (2_000, '2'),
    (3_000, '3'),
    (4_000, '4'),
    (5_000, '5'),
    (6_000, '6'),
    (7_000, '7'),
    (8_000, '8'),
    (9_000, '9'),
    (10_000, 'A'),
    (20_000, 'B'),
    (30_000, 'C'),
    (40_000, 'D'),
    (50_000, 'E'),
    (100_000, 'F'),
    (200_000, 'G'),
    (300_000, 'H'),
    (400_000, 'I'),
    (500_000, 'J'),
    (1_000_000, 'K'),
    (2_000_000, 'L'),
    (4_000_000, 'M'),
    (8_000_000, 'N'),
    (16_000_000, 'O'),
    (30_000_000, 'P'),
    (60_000_000, 'Q'),
    (u64::MAX, '?'),
];

/// Of 256 colors, those from nothing to everything.
const PALETTE: [u8; 19] = [
    0, 233, 234, 235, 237, 239, 241, 243, 245, 247, 144, 143, 142, 184, 226, 214, 208, 202, 196,
];

/// Lines between two legends.
const LINES_PER_LEGEND: usize = 20;

/// Shows a line of colors per interval.
pub(crate) async fn distribution(mut client: Client, settings: &Settings) -> Result<(), BulkError> {
    let interval = match settings.interval {
        given if !given.is_zero() => given,
        _ => Duration::from_secs(1),
    };
    let (mut counts, mut begun, mut lines) = ([0_u64; CLASSES.len()], Instant::now(), 0);
    loop {
        let sent = Instant::now();
        client.command(&["PING"]).await?;
        let latency: u64 = sent.elapsed().as_micros().try_into().unwrap_or(u64::MAX);
        let class = CLASSES.partition_point(|(limit, _)| *limit < latency);
        if let Some(count) = counts.get_mut(class) {
            *count += 1;
        }
        if begun.elapsed() > interval {
            if lines % LINES_PER_LEGEND == 0 {
                write(&legend())?;
            }
            write(&spectrum(&counts))?;
            lines += 1;
            (counts, begun) = ([0; CLASSES.len()], Instant::now());
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn spectrum(counts: &[u64; CLASSES.len()]) -> String {
    let total: u64 = counts.iter().sum();
    let mut line = String::from("\x1b[38;5;0m");
    for (count, (_, letter)) in counts.iter().zip(CLASSES) {
        let shade = (count * (PALETTE.len() as u64 - 1)).div_ceil(total.max(1));
        let color = PALETTE.get(shade as usize).copied().unwrap_or(0);
        line.push_str(&format!("\x1b[48;5;{color}m{letter}"));
    }
    line.push_str("\x1b[0m\n");
    line
}

fn legend() -> String {
    let colors: String = PALETTE
        .iter()
        .map(|color| format!("\x1b[48;5;{color}m "))
        .collect();
    format!(
        "---------------------------------------------\n\
         . - * #          .01 .125 .25 .5 milliseconds\n\
         1,2,3,...,9      from 1 to 9     milliseconds\n\
         A,B,C,D,E        10,20,30,40,50  milliseconds\n\
         F,G,H,I,J        .1,.2,.3,.4,.5       seconds\n\
         K,L,M,N,O,P,Q,?  1,2,4,8,16,30,60,>60 seconds\n\
         From 0 to 100%: {colors}\x1b[0m\n\
         ---------------------------------------------\n"
    )
}

fn write(text: &str) -> Result<(), BulkError> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    Ok(stdout.flush()?)
}
