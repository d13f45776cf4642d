//! Connections and servers that have ended leave no file descriptor behind. Alone in its process, whose descriptors it counts.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use djr_tests::ours::Ours;

#[test]
fn nothing_stays_open() {
    let at_first = descriptors();
    for _ in 0..3 {
        let server = Ours::start(2);
        let mut client = server.connect();
        client.run("SET k v");
        let with_server = descriptors();
        for round in 0..300 {
            let mut other = server.connect();
            match round % 5 {
                0 => drop(other.run("GET k")),
                1 => drop(other.run("QUIT")),
                2 => other.send_bytes(b"*1\r\n$x\r\n"),
                3 => other.send_bytes(b"SET k"),
                _ => drop(TcpStream::connect(server.address()).expect("accepted")),
            }
        }
        wait_for(with_server);
        assert_eq!(client.run("GET k").text(), b"v");
        drop(client);
        drop(server);
        wait_for(at_first);
    }
}

/// Waits until so many are open: the server sees the end of a connection soon, not at once.
fn wait_for(expected: usize) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while descriptors() != expected {
        assert!(
            Instant::now() < deadline,
            "{} open, not {expected}",
            descriptors()
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("Linux").count()
}
