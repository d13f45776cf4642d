//! kill -9 of the real server, again and again, while clients write: every write that was acknowledged is there afterwards.
//!
//! Needs the program itself: `cargo build -p djr-server`.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use djr_engine::Rng;
use djr_tests::comparison::seed;
use djr_tests::connection::Connection;
use djr_tests::killable::Killable;

const ROUNDS: usize = 12;
const WRITERS: usize = 4;
/// Commands that a writer sends at once.
const PIPELINE: usize = 32;

#[test]
fn acknowledged_writes_survive_kill_9_everysec() {
    crash_again_and_again("everysec");
}

#[test]
fn acknowledged_writes_survive_kill_9_always() {
    crash_again_and_again("always");
}

/// A connection that a crash may end at any moment.
struct Writer {
    stream: TcpStream,
    replies: BufReader<TcpStream>,
}

/// What one writer knows: it sets `w<n>:<i>` to i, counts in `c<n>`, and moves `m<n>` on in transactions of two.
#[derive(Clone, Copy, Default)]
struct Progress {
    /// Requests that were sent, and those that were answered.
    sent: usize,
    acknowledged: usize,
}

fn crash_again_and_again(policy: &str) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let seed = seed();
    println!("{policy}: seed {seed}");
    let mut rng = Rng::new(seed);
    let mut progress = [Progress::default(); WRITERS];
    let mut written = 0;
    for round in 0..ROUNDS {
        let server = start(dir.path(), policy);
        check(
            &server,
            &mut progress,
            &format!("{policy}, seed {seed}, round {round}"),
        );
        let started = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for (index, progress) in progress.iter_mut().enumerate() {
                let (address, started) = (server.address(), &started);
                scope.spawn(move || write_until_the_end(address, index, progress, started));
            }
            // Not before all of them have had an answer; then at any moment.
            while started.load(Ordering::Acquire) < WRITERS {
                std::thread::sleep(Duration::from_millis(1));
            }
            std::thread::sleep(Duration::from_micros(rng.below(200_000)));
            server.kill();
        });
        let now: usize = progress.iter().map(|progress| progress.acknowledged).sum();
        assert!(
            now > written,
            "{policy}, round {round}: something was written"
        );
        written = now;
    }
    let server = start(dir.path(), policy);
    check(
        &server,
        &mut progress,
        &format!("{policy}, seed {seed}, at the end"),
    );
    println!("{policy}: {written} writes were acknowledged in {ROUNDS} rounds");
}

fn start(dir: &Path, policy: &str) -> Killable {
    Killable::start(dir, &["--threads", "2", "--appendfsync", policy])
}

fn write_until_the_end(
    address: SocketAddr,
    index: usize,
    progress: &mut Progress,
    started: &AtomicUsize,
) {
    let mut writer = Writer::open(address);
    let mut is_first = true;
    loop {
        let mut requests = Vec::new();
        for number in progress.sent..progress.sent + PIPELINE {
            request(index, number, &mut requests);
        }
        progress.sent += PIPELINE;
        let Ok(()) = writer.stream.write_all(&requests) else {
            break;
        };
        for _ in 0..PIPELINE {
            if !writer.read_answers() {
                break;
            }
            progress.acknowledged += 1;
        }
        if std::mem::take(&mut is_first) {
            started.fetch_add(1, Ordering::Release);
        }
        if progress.acknowledged < progress.sent {
            break;
        }
    }
}

/// Request `number` of a writer: five commands, the last of which answers last.
fn request(index: usize, number: usize, out: &mut Vec<u8>) {
    let lines = [
        format!("SET w{index}:{number} {number} EX 100000"),
        format!("INCR c{index}"),
        "MULTI".into(),
        format!("SET left{index} {number}"),
        format!("SET right{index} {number}"),
        "EXEC".into(),
    ];
    for line in lines {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        djr_protocol::encode_command(out, &words);
    }
}

impl Writer {
    fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the server listens");
        let replies = BufReader::new(stream.try_clone().expect("a second handle"));
        Self { stream, replies }
    }

    /// Reads the replies to one request. `false`: the connection has ended before the last of them.
    fn read_answers(&mut self) -> bool {
        // OK, the count, OK, QUEUED, QUEUED, and an array of two OKs.
        for expected in ["+OK", ":", "+OK", "+QUEUED", "+QUEUED", "*2", "+OK", "+OK"] {
            let mut line = String::new();
            match self.replies.read_line(&mut line) {
                Ok(_) if line.ends_with("\r\n") => {
                    assert!(line.starts_with(expected), "{line:?}, not {expected}");
                }
                // A reset, or the end.
                _ => return false,
            }
        }
        true
    }
}

/// Compares what the server has with what the writers know, and goes on from there.
fn check(server: &Killable, progress: &mut [Progress; WRITERS], place: &str) {
    let mut client: Connection = server.connect();
    for (index, progress) in progress.iter_mut().enumerate() {
        let number = |reply: djr_tests::reply::Reply| -> Option<usize> {
            String::from_utf8_lossy(reply.text()).parse().ok()
        };
        let counted = number(client.run(&format!("GET c{index}"))).unwrap_or(0);
        let (acknowledged, sent) = (progress.acknowledged, progress.sent);
        assert!(
            counted >= acknowledged,
            "{place}: writer {index}: {counted} of {acknowledged} acknowledged"
        );
        assert!(
            counted <= sent,
            "{place}: writer {index}: {counted}, but only {sent} sent"
        );
        // Every single one: in pipelines, so that it does not take long.
        let gets = (0..acknowledged).map(|number| format!("GET w{index}:{number}\r\n"));
        let ttl = format!("TTL w{index}:0\r\n");
        client.send_bytes(gets.collect::<String>().as_bytes());
        for expected in 0..acknowledged {
            assert_eq!(
                number(client.read()),
                Some(expected),
                "{place}: writer {index}"
            );
        }
        if acknowledged > 0 {
            client.send_bytes(ttl.as_bytes());
            let left = client.read().integer().unwrap_or(0);
            assert!(
                (90_000..=100_000).contains(&left),
                "{place}: {left} seconds left"
            );
        }
        // Both of a transaction, or none.
        let (left, right) = (
            number(client.run(&format!("GET left{index}"))),
            number(client.run(&format!("GET right{index}"))),
        );
        assert_eq!(left, right, "{place}: writer {index}: half a transaction");
        assert!(
            left.map_or(0, |left| left + 1) >= acknowledged,
            "{place}: writer {index}: {left:?}"
        );
        // What was sent but not acknowledged is there in part: start from where the count is.
        client.run(&format!("SET c{index} {sent}"));
        progress.acknowledged = sent;
        for number in acknowledged..sent {
            client.run(&format!("SET w{index}:{number} {number} EX 100000"));
        }
        if sent > 0 {
            client.run(&format!("MSET left{index} {0} right{index} {0}", sent - 1));
        }
    }
}
