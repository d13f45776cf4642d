//! Those who disturb.

use super::Args;
use crate::bench::scenarios::Client;
use anyhow::{Context, Result, ensure};
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with, sockopt};
use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// One way to disturb.
pub(super) struct Attack {
    pub(super) name: &'static str,
    /// What the server must have or be told before.
    pub(super) prepare: fn(&mut Client, &Args) -> Result<()>,
    /// Disturbs until it is over; says what it did.
    pub(super) run: fn(SocketAddr, &Args, &AtomicBool) -> Result<String>,
}

/// Bytes of the value that a slow reader asks for, and how often it asks in one go.
const LARGE: usize = 1 << 20;
const LARGE_TIMES: usize = 256;
/// Bytes that a header announces: the most that a server takes.
const ANNOUNCED: usize = 512 << 20;
/// Connections that are kept open for a moment before they are ended.
const OPEN_AT_ONCE: usize = 100;

impl Attack {
    pub(super) fn all() -> Vec<Self> {
        let nothing = |_: &mut Client, _: &Args| Ok(());
        let attack = |name, prepare, run| Self { name, prepare, run };
        vec![
            attack("reader", make_large, never_read),
            attack("header", nothing, announce_much),
            attack("slow-header", nothing, feed_slowly),
            attack("connections", nothing, connect_often),
            attack("script", set_threshold, loop_forever),
        ]
    }
}

/// The calling thread runs only when nobody else wants its core. Without chrt (util-linux) it doesn't.
pub(super) fn lower_priority() {
    let thread = rustix::thread::gettid().as_raw_nonzero().to_string();
    let _ = Command::new("chrt")
        .args(["--idle", "--pid", "0", &thread])
        .stderr(Stdio::null())
        .status();
}

fn wait(is_over: &AtomicBool, time: Duration) {
    let end = Instant::now() + time;
    while !is_over.load(Relaxed) && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn make_large(client: &mut Client, _: &Args) -> Result<()> {
    client.push(&[b"SET", b"large", &vec![b'v'; LARGE]]);
    client.flush(|_| {})
}

/// Asks for much, again and again, and reads nothing of it.
fn never_read(address: SocketAddr, _: &Args, is_over: &AtomicBool) -> Result<String> {
    let requests = "GET large\r\n".repeat(LARGE_TIMES);
    let mut streams = Vec::new();
    while !is_over.load(Relaxed) && streams.len() < 4 {
        let mut stream = TcpStream::connect(address)?;
        // The server may have had enough of it.
        let _ = stream.write_all(requests.as_bytes());
        streams.push(stream);
        wait(is_over, Duration::from_secs(1));
    }
    wait(is_over, Duration::from_secs(3600));
    Ok(format!(
        "{} connections asked for {LARGE_TIMES} MiB each",
        streams.len()
    ))
}

/// Announces the largest arguments and the longest requests, and sends no more.
fn announce_much(address: SocketAddr, _: &Args, is_over: &AtomicBool) -> Result<String> {
    let mut streams = Vec::new();
    for number in 0..200 {
        let mut stream = TcpStream::connect(address)?;
        match number % 2 {
            0 => write!(
                stream,
                "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n${ANNOUNCED}\r\nbegin"
            )?,
            _ => write!(stream, "*2147483647\r\n$3\r\nDEL\r\n$5\r\nbegin")?,
        }
        streams.push(stream);
    }
    wait(is_over, Duration::from_secs(3600));
    Ok("200 headers".into())
}

/// Announces the largest argument and sends it slowly.
fn feed_slowly(address: SocketAddr, args: &Args, is_over: &AtomicBool) -> Result<String> {
    let mut stream = TcpStream::connect(address)?;
    write!(stream, "*3\r\n$3\r\nSET\r\n$4\r\nlong\r\n${ANNOUNCED}\r\n")?;
    let piece = vec![b'v'; 64 << 10];
    let (begin, mut sent) = (Instant::now(), 0);
    while !is_over.load(Relaxed) && sent < ANNOUNCED {
        let due = begin + Duration::from_secs_f64(sent as f64 / (args.feed_mb.max(1) << 20) as f64);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        stream.write_all(&piece)?;
        sent += piece.len();
    }
    Ok(format!("{} of 512 MiB", sent >> 20))
}

/// Opens connections and ends them, without waiting for anything.
fn connect_often(address: SocketAddr, args: &Args, is_over: &AtomicBool) -> Result<String> {
    let begin = Instant::now();
    let (mut attempts, mut failed) = (0_u64, 0_u64);
    let mut open = VecDeque::new();
    while !is_over.load(Relaxed) {
        let due = begin + Duration::from_secs_f64(attempts as f64 / args.attempts.max(1) as f64);
        let early = due.saturating_duration_since(Instant::now());
        if early > Duration::from_millis(1) {
            std::thread::sleep(early);
        }
        attempts += 1;
        let socket = socket_with(
            AddressFamily::INET,
            SocketType::STREAM,
            SocketFlags::NONBLOCK | SocketFlags::CLOEXEC,
            None,
        )?;
        // It is reset at its end, and so leaves its port at once.
        sockopt::set_socket_linger(&socket, Some(Duration::ZERO))?;
        match connect(&socket, &address) {
            Ok(()) | Err(rustix::io::Errno::INPROGRESS) => open.push_back(socket),
            Err(_) => failed += 1,
        }
        if open.len() > OPEN_AT_ONCE {
            open.pop_front();
        }
    }
    let rate = attempts as f64 / begin.elapsed().as_secs_f64();
    let mut client = Client::connect(address)?;
    let received = client
        .figure("total_connections_received")
        .context("after the flood")?;
    Ok(format!(
        "{rate:.0} attempts/s, {failed} failed at once, the server has seen {received:.0} of {attempts}"
    ))
}

fn set_threshold(client: &mut Client, args: &Args) -> Result<()> {
    let after = args.busy_after.to_string();
    client.ask(&["CONFIG", "SET", "busy-reply-threshold", &after])?;
    Ok(())
}

/// A script that does not end, until it is killed at half-time.
fn loop_forever(address: SocketAddr, args: &Args, is_over: &AtomicBool) -> Result<String> {
    let mut script = TcpStream::connect(address)?;
    script.set_read_timeout(Some(Duration::from_secs(20)))?;
    script.write_all(b"*3\r\n$4\r\nEVAL\r\n$17\r\nwhile true do end\r\n$1\r\n0\r\n")?;
    wait(is_over, Duration::from_secs(args.seconds) / 2);
    let mut killer = Client::connect(address)?;
    let begin = Instant::now();
    killer.ask(&["SCRIPT", "KILL"])?;
    let mut reply = [0; 64];
    let len = script.read(&mut reply)?;
    let ended = begin.elapsed();
    ensure!(
        reply.starts_with(b"-"),
        "{}",
        String::from_utf8_lossy(&reply[..len])
    );
    wait(is_over, Duration::from_secs(3600));
    Ok(format!("killed within {:.1} ms", ended.as_secs_f64() * 1e3))
}
