//! Clients: one that sends as much as it can, and one that keeps to a schedule.

use super::super::interrupt::Interrupt;
use super::super::server::connect;
use anyhow::{Context, Result, bail, ensure};
use hdrhistogram::Histogram;
use mio::{Events, Interest, Poll, Token};
use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Appends a command.
pub(super) fn encode(out: &mut Vec<u8>, words: &[&str]) {
    // Fails only where the vector would.
    let _ = write!(out, "*{}\r\n", words.len());
    for word in words {
        let _ = write!(out, "${}\r\n{word}\r\n", word.len());
    }
}

pub(super) fn encode_bytes(out: &mut Vec<u8>, words: &[Vec<u8>]) {
    let _ = write!(out, "*{}\r\n", words.len());
    for word in words {
        let _ = write!(out, "${}\r\n", word.len());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
}

/// Counts replies in a stream of bytes. Only those that the loads here get: lines, and strings of one level.
#[derive(Default)]
struct Replies {
    /// Bytes of a string that are still to come.
    skip: usize,
    line: Vec<u8>,
}

impl Replies {
    /// Tells of each reply that is complete.
    fn take(&mut self, mut bytes: &[u8], mut reply: impl FnMut()) -> Result<()> {
        while !bytes.is_empty() {
            if self.skip > 0 {
                let len = self.skip.min(bytes.len());
                self.skip -= len;
                bytes = &bytes[len..];
                if self.skip == 0 {
                    reply();
                }
                continue;
            }
            let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {
                self.line.extend_from_slice(bytes);
                return Ok(());
            };
            self.line.extend_from_slice(&bytes[..end]);
            bytes = &bytes[end + 1..];
            match self.line.first() {
                Some(b'$') => {
                    let text = String::from_utf8_lossy(&self.line[1..]);
                    let len: i64 = text.trim_end().parse().context("a length")?;
                    match usize::try_from(len) {
                        Ok(len) => self.skip = len + 2,
                        Err(_) => reply(),
                    }
                }
                Some(b'-') => bail!("{}", String::from_utf8_lossy(&self.line)),
                _ => reply(),
            }
            self.line.clear();
        }
        Ok(())
    }
}

/// One connection with many requests on their way.
pub(super) struct Pipe {
    stream: TcpStream,
    out: Vec<u8>,
    sent: u64,
    unanswered: u64,
    replies: Replies,
}

impl Pipe {
    pub(super) fn new(address: SocketAddr) -> Result<Self> {
        let stream = connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            out: Vec::new(),
            sent: 0,
            unanswered: 0,
            replies: Replies::default(),
        })
    }

    pub(super) fn send(&mut self, make: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        const AT_ONCE: u64 = 200;
        make(&mut self.out);
        self.sent += 1;
        self.unanswered += 1;
        if self.unanswered >= AT_ONCE || self.out.len() > 1 << 16 {
            self.finish()?;
        }
        Ok(())
    }

    /// Waits for all replies.
    pub(super) fn finish(&mut self) -> Result<()> {
        self.stream.write_all(&self.out)?;
        self.out.clear();
        let mut buffer = [0; 1 << 16];
        while self.unanswered > 0 {
            let len = self.stream.read(&mut buffer)?;
            ensure!(len > 0, "the connection was closed");
            let unanswered = &mut self.unanswered;
            self.replies.take(&buffer[..len], || {
                *unanswered = unanswered.saturating_sub(1)
            })?;
        }
        Ok(())
    }
}

/// Two minutes: no reply is waited for so long.
const LATENCY_NS_MAX: u64 = 120_000_000_000;

/// What a load has shown.
pub(super) struct Measured {
    pub(super) latency_ns: Histogram<u64>,
    pub(super) requests: u64,
    pub(super) elapsed: Duration,
}

impl Measured {
    pub(super) fn new() -> Self {
        Self {
            // With bounds: one without would clamp all that is recorded to its first, tiny range.
            latency_ns: Histogram::new_with_bounds(1, LATENCY_NS_MAX, 3)
                .expect("these bounds are allowed"),
            requests: 0,
            elapsed: Duration::ZERO,
        }
    }

    pub(super) fn add(&mut self, other: &Measured) {
        // Of the same precision.
        let _ = self.latency_ns.add(&other.latency_ns);
        self.requests += other.requests;
        self.elapsed += other.elapsed;
    }

    pub(super) fn milliseconds(&self, percentile: f64) -> f64 {
        self.latency_ns.value_at_percentile(percentile) as f64 / 1e6
    }

    pub(super) fn max_ms(&self) -> f64 {
        self.latency_ns.max() as f64 / 1e6
    }
}

/// A load over some connections.
pub(super) struct Load<'a> {
    pub(super) address: SocketAddr,
    /// Requests per second; `None`: each connection sends the next when the last is answered.
    pub(super) rate: Option<u64>,
    pub(super) connections: usize,
    /// Appends a request, given a random number.
    pub(super) make: &'a dyn Fn(&mut Vec<u8>, u64),
    pub(super) seed: u64,
    pub(super) interrupt: &'a Interrupt,
}

struct Connection {
    stream: mio::net::TcpStream,
    /// When each request that is not answered was due.
    due: VecDeque<Instant>,
    out: Vec<u8>,
    written: usize,
    replies: Replies,
}

impl Load<'_> {
    /// Keeps it up for as long as `goes_on` says, which is asked now and then and told how long it has been.
    pub(super) fn run(
        &self,
        mut goes_on: impl FnMut(Duration) -> Result<bool>,
    ) -> Result<Measured> {
        const ASK_EVERY: Duration = Duration::from_millis(20);
        const LATE_MAX: Duration = Duration::from_secs(30);
        let mut poll = Poll::new()?;
        let mut events = Events::with_capacity(256);
        let mut connections = Vec::new();
        for token in 0..self.connections {
            let stream = connect(self.address)?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            let mut stream = mio::net::TcpStream::from_std(stream);
            poll.registry().register(
                &mut stream,
                Token(token),
                Interest::READABLE | Interest::WRITABLE,
            )?;
            connections.push(Connection {
                stream,
                due: VecDeque::new(),
                out: Vec::new(),
                written: 0,
                replies: Replies::default(),
            });
        }
        let mut measured = Measured::new();
        let mut random = self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let began = Instant::now();
        let mut asked = began;
        let interval = self
            .rate
            .map(|rate| Duration::from_nanos(1_000_000_000 / rate));
        let mut next = began;
        let mut turn = 0;
        let mut is_ending = false;
        loop {
            let now = Instant::now();
            if now - asked > ASK_EVERY {
                asked = now;
                self.interrupt.check()?;
                is_ending |= !goes_on(now - began)?;
            }
            if is_ending
                && connections
                    .iter()
                    .all(|connection| connection.due.is_empty())
            {
                break;
            }
            let mut make = |connection: &mut Connection, due: Instant| {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                (self.make)(&mut connection.out, random);
                connection.due.push_back(due);
            };
            match interval {
                Some(interval) if !is_ending => {
                    while next <= now {
                        let count = connections.len();
                        make(&mut connections[turn % count], next);
                        turn += 1;
                        next += interval;
                    }
                }
                None if !is_ending => {
                    for connection in &mut connections {
                        if connection.due.is_empty() {
                            make(connection, now);
                        }
                    }
                }
                _ => {}
            }
            for connection in &mut connections {
                connection.write()?;
            }
            let patience = match interval {
                Some(_) if !is_ending => {
                    // A poll waits for whole milliseconds.
                    std::thread::sleep(next.saturating_duration_since(Instant::now()));
                    Duration::ZERO
                }
                _ => Duration::from_millis(20),
            };
            poll.poll(&mut events, Some(patience))?;
            for event in &events {
                connections[event.token().0].read(&mut measured)?;
            }
            let oldest = connections
                .iter()
                .filter_map(|connection| connection.due.front());
            ensure!(
                oldest.min().is_none_or(|due| due.elapsed() < LATE_MAX),
                "no reply for {LATE_MAX:?}"
            );
        }
        measured.elapsed = began.elapsed();
        Ok(measured)
    }
}

impl Connection {
    fn write(&mut self) -> Result<()> {
        while self.written < self.out.len() {
            match self.stream.write(&self.out[self.written..]) {
                Ok(len) => self.written += len,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
        self.out.clear();
        self.written = 0;
        Ok(())
    }

    fn read(&mut self, measured: &mut Measured) -> Result<()> {
        let mut buffer = [0; 1 << 16];
        loop {
            let len = match self.stream.read(&mut buffer) {
                Ok(0) => bail!("the connection was closed"),
                Ok(len) => len,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            let now = Instant::now();
            let due = &mut self.due;
            self.replies.take(&buffer[..len], || {
                if let Some(due) = due.pop_front() {
                    measured.requests += 1;
                    measured
                        .latency_ns
                        .saturating_record((now - due).as_nanos() as u64);
                }
            })?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_are_kept_as_they_were() {
        let mut measured = Measured::new();
        for milliseconds in 1..=100u64 {
            measured
                .latency_ns
                .saturating_record(milliseconds * 1_000_000);
        }
        let mut all = Measured::new();
        all.add(&measured);
        assert!((all.max_ms() - 100.0).abs() < 1.0, "{}", all.max_ms());
        assert!((all.milliseconds(50.0) - 50.0).abs() < 1.0);
    }
}
