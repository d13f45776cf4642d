//! The client that is disturbed.

use crate::bench::interrupt::Interrupt;
use crate::bench::usage::resident_bytes;
use anyhow::{Context, Result, ensure};
use hdrhistogram::Histogram;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// How long a client waited for its replies.
pub(super) struct Waits {
    pub(super) latency_ns: Histogram<u64>,
    /// Replies that were errors: a server may say that it is busy.
    pub(super) errors: u64,
    /// Bytes of memory that the server had at most.
    pub(super) largest: u64,
}

const VALUE_LEN: usize = 100;
/// Between two looks at the server's memory.
const LOOK_EVERY: u64 = 50;
/// A server that says nothing for so long is given up.
const SILENCE_MAX: Duration = Duration::from_secs(30);

impl Waits {
    /// Asks `rate` times a second for so long, GET and SET in turn.
    pub(super) fn measure(
        address: SocketAddr,
        pid: u32,
        rate: u64,
        time: Duration,
        interrupt: &Interrupt,
    ) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE_MAX))?;
        let mut stream = BufReader::new(stream);
        let value = "v".repeat(VALUE_LEN);
        let set = format!("*3\r\n$3\r\nSET\r\n$4\r\ncalm\r\n${VALUE_LEN}\r\n{value}\r\n");
        let get = "*2\r\n$3\r\nGET\r\n$4\r\ncalm\r\n";
        let mut waits = Self {
            latency_ns: Histogram::new_with_bounds(1, 60_000_000_000, 3)?,
            errors: 0,
            largest: 0,
        };
        let (begin, step) = (
            Instant::now(),
            Duration::from_secs(1) / u32::try_from(rate)?,
        );
        for number in 0..(time.as_secs_f64() * rate as f64) as u64 {
            let due = begin + Duration::from_secs_f64(number as f64 / rate as f64);
            let now = Instant::now();
            // Sleeping takes longer than asked for; that is not the server's fault, being late by a whole step is.
            let from = match now < due + step {
                true => {
                    std::thread::sleep(due.saturating_duration_since(now));
                    Instant::now()
                }
                false => due,
            };
            let request = if number % 2 == 0 { &set[..] } else { get };
            stream.get_mut().write_all(request.as_bytes())?;
            waits.errors += u64::from(read_reply(&mut stream).context("the calm client")?);
            waits
                .latency_ns
                .saturating_record(from.elapsed().as_nanos() as u64);
            if number % LOOK_EVERY == 0 {
                interrupt.check()?;
                waits.largest = waits.largest.max(resident_bytes(pid)?);
            }
        }
        Ok(waits)
    }
}

/// Reads a reply; whether it is an error.
fn read_reply(stream: &mut BufReader<TcpStream>) -> Result<bool> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    ensure!(!line.is_empty(), "the server has closed the connection");
    if let Some(len) = line
        .strip_prefix('$')
        .and_then(|len| len.trim_end().parse::<usize>().ok())
    {
        let mut value = vec![0; len + 2];
        stream.read_exact(&mut value)?;
    }
    Ok(line.starts_with('-'))
}
