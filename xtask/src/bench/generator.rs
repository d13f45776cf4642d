//! The load generator: one thread, many connections, each with one pipeline under way at a time.
//!
//! It must be much cheaper than the servers: requests are encoded beforehand ([`Pipeline`]), replies
//! only compared and counted ([`Replies`]), the clock is read once per pipeline.

use super::interrupt::Interrupt;
use super::loads::Step;
use super::reply::{Expected, Replies};
use super::request::{Command, Numbers, Pipeline};
use super::stream::{Opening, Stream};
use super::usage::CpuUsage;
use anyhow::{Context, Result, bail, ensure};
use hdrhistogram::Histogram;
use mio::{Events, Poll, Token};
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// What to send, and for how long.
pub(crate) struct Load {
    /// Each is sent when the one before has been answered. With more than one, what is counted is whole rounds.
    pub(crate) steps: &'static [Step],
    pub(crate) reply: Expected,
    pub(crate) keys: u64,
    /// Requests in a pipeline, if there is one step.
    pub(crate) pipeline: usize,
    /// Connections that read what is published in [`CHANNEL`], besides those that send.
    pub(crate) subscribers: usize,
    pub(crate) connections: usize,
    pub(crate) warm_up: Duration,
    pub(crate) window: Duration,
    pub(crate) seed: u64,
    pub(crate) opening: Opening,
}

/// What happened in the measured window.
pub(crate) struct Measurement {
    pub(crate) requests: u64,
    pub(crate) elapsed: Duration,
    pub(crate) server: CpuUsage,
    /// The generator's own.
    pub(crate) generator: CpuUsage,
    /// Nanoseconds from handing a pipeline to the kernel to having its last reply.
    pub(crate) latency_ns: Histogram<u64>,
}

/// What subscribers are subscribed to.
pub(crate) const CHANNEL: &str = "news";

struct Connection {
    stream: Stream,
    number: u64,
    /// The step under way.
    step: usize,
    /// Replies still to come of the pipeline under way.
    outstanding: usize,
    sent_at: Instant,
    /// Requests which the socket did not take.
    unsent: Vec<u8>,
    /// The beginning of a reply.
    partial: Vec<u8>,
    /// It only reads.
    subscribes: bool,
}

/// How long a server may say nothing at all.
const SILENCE_MAX: Duration = Duration::from_secs(20);
const READ_BUFFER: usize = 256 * 1024;

impl Load {
    /// Runs the load against the server at `address`, whose process is `pid`.
    pub(crate) fn run(
        &self,
        address: SocketAddr,
        pid: u32,
        interrupt: &Interrupt,
    ) -> Result<Measurement> {
        let mut run = Run {
            replies: Replies::new(self.reply),
            pipelines: match self.steps {
                [only] => vec![Pipeline::new(only, self.pipeline)],
                steps => {
                    let pipeline = |step: &Step| Pipeline::new(step, step.len());
                    steps.iter().map(pipeline).collect()
                }
            },
            numbers: Numbers::random(self.keys, self.seed),
            input: vec![0; READ_BUFFER],
            replies_seen: 0,
            latency_ns: Histogram::new_with_bounds(1, 60_000_000_000, 3)?,
            sending: true,
        };
        let mut poll = Poll::new()?;
        let mut events = Events::with_capacity(self.connections.max(16));
        let mut connections = Vec::with_capacity(self.connections);
        for index in 0..self.connections + self.subscribers {
            let mut stream = Stream::open(address, &self.opening)?;
            let subscribes = index >= self.connections;
            if subscribes {
                stream.write_all(format!("SUBSCRIBE {CHANNEL}\r\n").as_bytes())?;
            }
            stream.register(poll.registry(), Token(index))?;
            connections.push(Connection {
                stream,
                number: index as u64,
                step: 0,
                subscribes,
                outstanding: 0,
                sent_at: Instant::now(),
                unsent: Vec::new(),
                partial: Vec::new(),
            });
        }
        for connection in connections.iter_mut().take(self.connections) {
            run.send(connection, Instant::now())?;
        }

        run.turn_until(
            Instant::now() + self.warm_up,
            &mut poll,
            &mut events,
            &mut connections,
            interrupt,
        )?;
        run.replies_seen = 0;
        run.latency_ns.clear();
        let own = std::process::id();
        let (server, generator, begin) = (CpuUsage::of(pid)?, CpuUsage::of(own)?, Instant::now());
        run.turn_until(
            begin + self.window,
            &mut poll,
            &mut events,
            &mut connections,
            interrupt,
        )?;
        let elapsed = begin.elapsed();
        let server = CpuUsage::of(pid)?.since(server);
        let measurement = Measurement {
            requests: run.replies_seen / run.replies_per_request(),
            elapsed,
            server,
            generator: CpuUsage::of(own)?.since(generator),
            latency_ns: run.latency_ns.clone(),
        };

        // Let the server finish, so that the next load does not pay for it.
        run.sending = false;
        let deadline = Instant::now() + SILENCE_MAX;
        while connections
            .iter()
            .any(|connection| connection.outstanding > 0)
        {
            ensure!(
                Instant::now() < deadline,
                "the server left requests without a reply"
            );
            run.turn(&mut poll, &mut events, &mut connections, interrupt)?;
        }
        Ok(measurement)
    }
}

struct Run {
    replies: Replies,
    /// One for each step.
    pipelines: Vec<Pipeline>,
    numbers: Numbers,
    input: Vec<u8>,
    replies_seen: u64,
    latency_ns: Histogram<u64>,
    sending: bool,
}

impl Run {
    /// Replies to what is counted as one request.
    fn replies_per_request(&self) -> u64 {
        match &self.pipelines[..] {
            [_] => 1,
            steps => steps.iter().map(|step| step.depth as u64).sum(),
        }
    }

    fn turn_until(
        &mut self,
        end: Instant,
        poll: &mut Poll,
        events: &mut Events,
        connections: &mut [Connection],
        interrupt: &Interrupt,
    ) -> Result<()> {
        let mut last_reply = (self.replies_seen, Instant::now());
        loop {
            let now = self.turn(poll, events, connections, interrupt)?;
            if now >= end {
                return Ok(());
            }
            if self.replies_seen != last_reply.0 {
                last_reply = (self.replies_seen, now);
            }
            ensure!(
                now - last_reply.1 < SILENCE_MAX,
                "the server has stopped replying"
            );
        }
    }

    /// Waits for sockets and serves them; returns the time.
    fn turn(
        &mut self,
        poll: &mut Poll,
        events: &mut Events,
        connections: &mut [Connection],
        interrupt: &Interrupt,
    ) -> Result<Instant> {
        interrupt.check()?;
        match poll.poll(events, Some(Duration::from_millis(50))) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            other => other?,
        }
        let mut now = Instant::now();
        for event in events.iter() {
            let Some(connection) = connections.get_mut(event.token().0) else {
                continue;
            };
            if event.is_writable() {
                connection.stream.flush()?;
            }
            if event.is_writable() && !connection.unsent.is_empty() {
                let unsent = std::mem::take(&mut connection.unsent);
                connection.write(&unsent)?;
            }
            if event.is_readable() || event.is_error() {
                now = self.read(connection)?;
            }
        }
        Ok(now)
    }

    /// Reads all there is. When the pipeline is complete, its latency is recorded and the next one sent.
    fn read(&mut self, connection: &mut Connection) -> Result<Instant> {
        loop {
            let kept = connection.partial.len();
            self.input[..kept].copy_from_slice(&connection.partial);
            let len = match connection.stream.read(&mut self.input[kept..]) {
                Ok(0) => bail!("the server closed a connection"),
                Ok(len) => len,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Instant::now()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error).context("cannot read from the server"),
            };
            let filled = kept + len;
            if connection.subscribes {
                if filled < self.input.len() {
                    return Ok(Instant::now());
                }
                continue;
            }
            let (used, count) = self.replies.count(&self.input[..filled])?;
            connection.partial.clear();
            connection
                .partial
                .extend_from_slice(&self.input[used..filled]);
            ensure!(
                connection.partial.len() < READ_BUFFER / 2,
                "a reply is too long for the load generator"
            );
            ensure!(
                count <= connection.outstanding,
                "the server sent more replies than requests"
            );
            connection.outstanding -= count;
            self.replies_seen += count as u64;
            let now = Instant::now();
            if connection.outstanding == 0 {
                self.latency_ns
                    .saturating_record((now - connection.sent_at).as_nanos() as u64);
                connection.step = (connection.step + 1) % self.pipelines.len();
                // A round that was begun is ended: others may wait for what it brings.
                if self.sending || connection.step != 0 {
                    self.send(connection, now)?;
                }
            }
            // Edge-triggered: a read that does not fill the buffer has emptied the socket, and else the next one says so.
            if filled < self.input.len() && connection.stream.is_emptied_by_short_reads() {
                return Ok(now);
            }
        }
    }

    fn send(&mut self, connection: &mut Connection, now: Instant) -> Result<()> {
        let pipeline = &mut self.pipelines[connection.step];
        connection.outstanding = pipeline.depth;
        connection.sent_at = now;
        connection.write(pipeline.next(&mut self.numbers, connection.number))
    }
}

impl Connection {
    /// Writes, and keeps what the socket does not take.
    fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            match self.stream.write(bytes) {
                Ok(len) => bytes = &bytes[len..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.unsent.extend_from_slice(bytes);
                    break;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error).context("cannot write to the server"),
            }
        }
        Ok(())
    }
}

/// Gives the server its keys `0..keys`: one connection, long pipelines.
pub(crate) fn fill(
    address: SocketAddr,
    commands: &[Command],
    keys: u64,
    interrupt: &Interrupt,
) -> Result<()> {
    const DEPTH: u64 = 1_000;
    let mut stream = std::net::TcpStream::connect(address).context("cannot connect")?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(SILENCE_MAX))?;
    let replies = Replies::new(Expected::Any);
    let mut numbers = Numbers::sequential();
    let mut input = vec![0; READ_BUFFER];
    let mut filled = 0;
    let pipeline_of = |keys: u64| Pipeline::new(commands, keys as usize * commands.len());
    let mut pipeline = pipeline_of(DEPTH.min(keys));
    while filled < keys {
        interrupt.check()?;
        let now = DEPTH.min(keys - filled);
        let depth = now as usize * commands.len();
        // The same pipeline serves until the last, shorter one.
        if pipeline.depth != depth {
            pipeline = pipeline_of(now);
        }
        stream.write_all(pipeline.next(&mut numbers, 0))?;
        let (mut outstanding, mut kept) = (depth, 0);
        while outstanding > 0 {
            let len = stream
                .read(&mut input[kept..])
                .context("no reply while filling")?;
            ensure!(
                len > 0,
                "the server closed the connection while it was being filled"
            );
            let (used, count) = replies.count(&input[..kept + len])?;
            input.copy_within(used..kept + len, 0);
            kept = kept + len - used;
            outstanding = outstanding.saturating_sub(count);
        }
        filled += now;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::null;
    use super::super::request::Arg;
    use super::*;
    use std::net::{Ipv4Addr, TcpListener};

    const SET: Command = &[Arg::Text("SET"), Arg::Key("key:"), Arg::Value];

    /// A null server with this reply, until the test process ends.
    fn null_server(reply: &[u8]) -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("bound");
        drop(listener);
        let args = null::Args {
            port: address.port(),
            reply: null::escape(reply),
        };
        std::thread::spawn(move || null::run(&args));
        while std::net::TcpStream::connect(address).is_err() {
            std::thread::yield_now();
        }
        address
    }

    fn load(reply: Expected, pipeline: usize) -> Load {
        Load {
            steps: &[&[SET]],
            reply,
            keys: 1_000,
            pipeline,
            subscribers: 0,
            connections: 7,
            warm_up: Duration::from_millis(5),
            window: Duration::from_millis(20),
            seed: 1,
            opening: Opening::default(),
        }
    }

    #[test]
    fn requests_and_latencies_are_counted() {
        let address = null_server(&Expected::Value.bytes().expect("a canned reply"));
        // At the last depth neither requests nor replies fit into the sockets' buffers at once.
        for pipeline in [1, 100, 150_000] {
            let measured = load(Expected::Value, pipeline)
                .run(address, std::process::id(), &Interrupt::never())
                .unwrap_or_else(|error| panic!("pipeline {pipeline}: {error:#}"));
            assert!(measured.requests > 0, "pipeline {pipeline}");
            let recorded = measured.latency_ns.len() * pipeline as u64;
            // Pipelines under way at either end of the window are in one count and not in the other.
            assert!(
                recorded.abs_diff(measured.requests) <= 7 * pipeline as u64,
                "pipeline {pipeline}"
            );
        }
    }

    #[test]
    fn a_wrong_reply_stops_the_load() {
        let address = null_server(b"-LOADING wait\r\n");
        let outcome =
            load(Expected::Value, 16).run(address, std::process::id(), &Interrupt::never());
        assert_eq!(
            outcome.err().map(|error| error.to_string()).as_deref(),
            Some("unexpected reply: -LOADING wait")
        );
    }

    #[test]
    fn filling_ends_for_any_number_of_keys() {
        let address = null_server(b"+OK\r\n");
        for keys in [1, 999, 1_000, 2_500] {
            fill(address, &[SET], keys, &Interrupt::never())
                .unwrap_or_else(|error| panic!("{keys} keys: {error:#}"));
        }
    }
}
