//! Peers that send what they should not: the server stays alive, serves the others, and keeps its memory.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use djr_engine::Rng;
use djr_protocol::encode_command;
use djr_tests::comparison::seed;
use djr_tests::connection::Connection;
use djr_tests::ours::Ours;
use djr_tests::reply::Reply;

const PEERS: usize = 600;

#[test]
fn nothing_that_peers_send_harms_the_others() {
    let seed = seed();
    println!("seed {seed}");
    let mut rng = Rng::new(seed);
    let server = Ours::start(2);
    // Two, so that there is one with each worker.
    let mut well_behaved = [server.connect(), server.connect()];
    well_behaved[0].run("SET safe sound");
    for peer in 0..PEERS {
        let bytes = match peer % 4 {
            0 => random_bytes(&mut rng),
            1 => spoiled_commands(&mut rng),
            2 => headers(&mut rng),
            _ => inline(&mut rng),
        };
        let stream = TcpStream::connect(server.address()).expect("the server accepts");
        send_in_pieces(&stream, &bytes, &mut rng);
        // Some go at once, some read what they get, some say that they are done.
        match rng.below(3) {
            0 => {}
            1 => drain(&stream),
            _ => {
                // The server may have closed it already.
                let _ = stream.shutdown(Shutdown::Write);
                drain(&stream);
            }
        }
        if peer % 20 == 0 {
            for client in &mut well_behaved {
                assert_eq!(client.run("GET safe").text(), b"sound", "after peer {peer}");
            }
        }
    }
    for client in &mut well_behaved {
        assert_eq!(client.run("PING"), Reply::Line(b'+', b"PONG".to_vec()));
    }
}

/// What is announced is not reserved before it comes.
#[test]
fn announced_lengths_take_no_memory() {
    let server = Ours::start(1);
    let before = resident_bytes();
    let peers: Vec<_> = (0..200)
        .map(|peer| {
            let mut client = server.connect();
            let request: &[u8] = match peer % 3 {
                0 => b"*2\r\n$3\r\nGET\r\n$536870912\r\n",
                1 => b"*1000000\r\n$3\r\nDEL\r\n",
                _ => b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$500000000\r\nbeginning",
            };
            client.send_bytes(request);
            client
        })
        .collect();
    let mut other = server.connect();
    assert_eq!(other.run("PING").text(), b"PONG");
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 400 << 20, "{} MiB for nothing", grown >> 20);
    drop(peers);
    assert_eq!(other.run("PING").text(), b"PONG");
}

fn random_bytes(rng: &mut Rng) -> Vec<u8> {
    let length = rng.below(3000);
    (0..length).map(|_| rng.next() as u8).collect()
}

/// Commands, some bytes of which are others.
fn spoiled_commands(rng: &mut Rng) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..rng.below(20) + 1 {
        let value = vec![b'v'; rng.below(200) as usize];
        let lines: [&[&[u8]]; 6] = [
            &[b"SET", b"mine", &value],
            &[b"GET", b"mine"],
            &[b"MULTI"],
            &[b"EXEC"],
            &[b"HELLO", b"3"],
            &[b"INCRBY", b"counter", b"12"],
        ];
        encode_command(&mut bytes, lines[rng.below(6) as usize]);
    }
    for _ in 0..rng.below(4) {
        let at = rng.below(bytes.len() as u64) as usize;
        match rng.below(3) {
            0 => bytes[at] = rng.next() as u8,
            1 => bytes.insert(at, b"\r\n$*:+-0123456789"[rng.below(17) as usize]),
            _ if bytes.len() > 1 => drop(bytes.remove(at)),
            _ => {}
        }
    }
    bytes
}

/// Headers that announce anything.
fn headers(rng: &mut Rng) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..rng.below(10) + 1 {
        let kind = b"*$*$%~>_,(#|"[rng.below(12) as usize] as char;
        let number = match rng.below(6) {
            0 => i64::MAX,
            1 => i64::MIN,
            2 => 1_i64 << rng.below(40),
            3 => 0,
            _ => rng.below(20) as i64 - 3,
        };
        // The same number in another spelling, too.
        let zeros = "0".repeat(rng.below(3) as usize * 20);
        bytes.extend_from_slice(format!("{kind}{zeros}{number}\r\n").as_bytes());
    }
    bytes
}

fn inline(rng: &mut Rng) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..rng.below(2000) {
        bytes.push(b"GETST \"'\\x0\t\r\nkey="[rng.below(18) as usize]);
    }
    if rng.below(5) == 0 {
        bytes.extend(std::iter::repeat_n(b'x', 100_000));
    }
    bytes
}

fn send_in_pieces(mut stream: &TcpStream, bytes: &[u8], rng: &mut Rng) {
    let mut rest = bytes;
    while !rest.is_empty() {
        let length = (rng.below(rest.len() as u64) + 1) as usize;
        // The server may have closed the connection with good reason.
        if stream.write_all(&rest[..length]).is_err() {
            return;
        }
        rest = &rest[length..];
    }
}

/// Reads what there is, but does not wait for what may never come.
fn drain(mut stream: &TcpStream) {
    let patience = Some(Duration::from_millis(5));
    stream.set_read_timeout(patience).expect("a socket option");
    let mut buffer = [0; 4096];
    while matches!(stream.read(&mut buffer), Ok(count) if count > 0) {}
}

/// The memory that this process, and so the server, has.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kib.expect("a figure") * 1024
}

/// A connection is not harmed by what came before it on the same slot of the worker.
#[test]
fn a_new_connection_begins_anew() {
    let server = Ours::start(1);
    for _ in 0..50 {
        let mut client: Connection = server.connect();
        assert_eq!(
            client.run("CLIENT GETNAME"),
            Reply::Line(b'$', b"-1".to_vec())
        );
        client.run("CLIENT SETNAME somebody");
        client.run("SELECT 3");
        client.run("WATCH k");
        client.run("MULTI");
        // The beginning of a request stays behind.
        client.send_bytes(b"*2\r\n$3\r\nGET\r\n$10\r\nab");
    }
}
