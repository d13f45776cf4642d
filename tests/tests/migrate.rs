//! MIGRATE to and from real servers, and while its keys change; WAIT and WAITAOF where they wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use djr_tests::connection::Connection;
use djr_tests::ours::Ours;
use djr_tests::reference::{Reference, binaries};

/// Runs a command line, of words without spaces, `""` being the empty one. Returns the reply as transcripts spell it.
fn run(connection: &mut Connection, line: &str) -> String {
    connection.send_line(line);
    connection.read().to_string()
}

trait SendLine {
    fn send_line(&mut self, line: &str);
}

impl SendLine for Connection {
    fn send_line(&mut self, line: &str) {
        let words = line.split(' ').map(|word| match word {
            "\"\"" => &b""[..],
            word => word.as_bytes(),
        });
        self.send(&words.collect::<Vec<_>>());
    }
}

#[track_caller]
fn check(connection: &mut Connection, line: &str, expected: &str) {
    assert_eq!(run(connection, line), expected, "{line}");
}

const MAKE_KEYS: [&str; 6] = [
    "SET string text EX 1000",
    "RPUSH list a b c",
    "SADD set 1 2 3",
    "ZADD zset 1.5 a 2 b",
    "HSET hash a 1 b 2",
    "XADD stream 1-1 a b",
];

#[test]
fn keys_go_to_real_servers_and_come_back() {
    let ours = Ours::start(2);
    let mut here = ours.connect();
    for binary in binaries() {
        let server = Reference::start(&binary);
        // Before 7.2 servers do not read what we dump.
        if !server.is_valkey() && server.major() < 8 {
            continue;
        }
        let mut there = server.connect();
        let port = server.address().port();
        for line in MAKE_KEYS {
            run(&mut here, line);
        }
        let keys = "string list set zset hash stream";
        let before: Vec<_> = keys
            .split(' ')
            .map(|key| run(&mut here, &format!("DUMP {key}")))
            .collect();
        let go = format!("MIGRATE 127.0.0.1 {port} \"\" 3 5000 KEYS {keys} none");
        check(&mut here, &go, "+OK");
        check(&mut here, &format!("EXISTS {keys}"), ":0");
        check(&mut here, &go, "+NOKEY");
        check(&mut there, "SELECT 3", "+OK");
        check(&mut there, &format!("EXISTS {keys}"), ":6");
        check(&mut there, "TTL string", ":1000");
        // And back, where the server's own form of it can be read.
        let back = format!(
            "MIGRATE 127.0.0.1 {} \"\" 0 5000 KEYS {keys}",
            ours.address().port()
        );
        check(&mut there, &back, "+OK");
        let after: Vec<_> = keys
            .split(' ')
            .map(|key| run(&mut here, &format!("DUMP {key}")))
            .collect();
        assert_eq!(before, after, "{}", server.version);
        check(&mut here, "FLUSHALL", "+OK");
    }
}

#[test]
fn refusals_and_failures_are_told_and_lose_nothing() {
    let (from, to) = (Ours::start(2), Ours::start(1));
    let (mut here, mut there) = (from.connect(), to.connect());
    let port = to.address().port();
    run(&mut here, "MSET a 1 b 2 c 3");
    run(&mut there, "SET b taken");
    let to = |rest: &str| format!("MIGRATE 127.0.0.1 {port} {rest}");
    check(&mut here, &to("a 0 1000 COPY"), "+OK");
    check(&mut here, "EXISTS a", ":1");
    // Each key for itself: the one that is refused stays.
    let busy = "-ERR Target instance replied with error: BUSYKEY Target key name already exists.";
    check(&mut here, &to("\"\" 0 1000 KEYS b c"), busy);
    check(&mut here, "EXISTS a b c", ":2");
    check(&mut here, &to("\"\" 0 1000 REPLACE KEYS a b"), "+OK");
    check(&mut here, "DBSIZE", ":0");
    check(&mut there, "MGET a b c", r#"["1", "2", "3"]"#);
    run(&mut here, "SET a 1");
    check(
        &mut here,
        &to("a 99 1000"),
        "-ERR Target instance replied with error: ERR DB index is out of range",
    );
    let refused = run(&mut here, &to("a 0 1000 AUTH password"));
    assert!(
        refused.starts_with("-ERR Target instance replied with error: ERR AUTH"),
        "{refused}"
    );
    let refused = run(&mut here, &to("a 0 1000 AUTH2 user password"));
    assert!(
        refused.starts_with("-ERR Target instance replied with error: WRONGPASS"),
        "{refused}"
    );
    // A port that nobody listens on, and one where nobody answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let silent_port = silent.local_addr().expect("an address").port();
    let lost = {
        let gone = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        gone.local_addr().expect("an address").port()
    };
    check(
        &mut here,
        &format!("MIGRATE 127.0.0.1 {lost} a 0 1000"),
        "-IOERR error or timeout writing to target instance",
    );
    // Meanwhile others are served.
    here.send_line(&format!("MIGRATE 127.0.0.1 {silent_port} a 0 300"));
    let mut other = from.connect();
    check(&mut other, "GET a", "\"1\"");
    assert_eq!(
        here.read().to_string(),
        "-IOERR error or timeout reading from target instance"
    );
    check(&mut here, "GET a", "\"1\"");
    check(&mut here, "MULTI", "+OK");
    check(&mut here, &to("a 0 1000"), "+QUEUED");
    check(&mut here, "EXEC", "[-ERR This command is not allowed here]");
}

#[test]
fn a_key_that_changes_on_its_way_is_not_lost() {
    let (from, to) = (Ours::start(2), Ours::start(1));
    let port = to.address().port();
    let stop = Arc::new(AtomicBool::new(false));
    let address = from.address();
    // Each number is pushed once, and must be in one of the two lists in the end.
    let writer = std::thread::spawn({
        let stop = stop.clone();
        move || {
            let mut connection = Connection::open(address);
            let mut count = 0;
            while !stop.load(Ordering::Relaxed) {
                run(&mut connection, &format!("RPUSH k {count}"));
                count += 1;
                if count % 16 == 0 {
                    // Now and then the key is left alone for as long as a move takes.
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
            count
        }
    });
    let (mut here, mut there) = (from.connect(), to.connect());
    let mut moved = Vec::new();
    let mut successes = 0;
    // On a machine that has other work to do it takes many attempts, or many come before the first number.
    for attempt in 0..100_000 {
        if attempt >= 200 && successes >= 20 {
            break;
        }
        let reply = run(
            &mut here,
            &format!("MIGRATE 127.0.0.1 {port} k 0 5000 REPLACE"),
        );
        if reply == "+OK" {
            successes += 1;
            moved.extend(numbers(&mut there));
        } else {
            assert!(
                reply == "+NOKEY" || reply.contains("changes faster"),
                "{reply}"
            );
        }
    }
    stop.store(true, Ordering::Relaxed);
    let count: usize = writer.join().expect("the writer ends");
    moved.extend(numbers(&mut here));
    assert!(successes > 0, "not one was moved");
    assert_eq!(moved, (0..count).collect::<Vec<_>>());
}

/// Takes the list `k`.
fn numbers(connection: &mut Connection) -> Vec<usize> {
    let text = run(connection, "LRANGE k 0 -1");
    run(connection, "DEL k");
    let digits = text.split(|c: char| !c.is_ascii_digit());
    digits.filter_map(|number| number.parse().ok()).collect()
}

#[test]
fn waitaof_waits_for_the_log_and_wait_until_it_is_ended() {
    let ours = Ours::start_with(2, &[("appendfsync", "everysec")]);
    let mut client = ours.connect();
    check(&mut client, "SET k v", "+OK");
    check(&mut client, "WAITAOF 1 0 0", "[:1, :0]");
    check(&mut client, "WAITAOF 0 1 1", "[:1, :0]");
    let without = Ours::start_with(1, &[("appendonly", "no")]);
    check(
        &mut without.connect(),
        "WAITAOF 1 0 0",
        "-ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.",
    );
    check(&mut without.connect(), "WAITAOF 0 0 0", "[:0, :0]");
    // What comes behind it in the pipeline waits, too.
    let id = client.run("CLIENT ID").integer().expect("an id");
    client.send(&[b"WAIT", b"1", b"0"]);
    client.send(&[b"PING"]);
    std::thread::sleep(Duration::from_millis(50));
    let mut other = ours.connect();
    check(&mut other, "GET k", "\"v\"");
    check(&mut other, &format!("CLIENT UNBLOCK {id}"), ":1");
    assert_eq!(client.read().to_string(), ":0");
    assert_eq!(client.read().to_string(), "+PONG");
    client.send(&[b"WAIT", b"1", b"0"]);
    std::thread::sleep(Duration::from_millis(50));
    check(&mut other, &format!("CLIENT UNBLOCK {id} ERROR"), ":1");
    assert!(client.read().to_string().starts_with("-UNBLOCKED"));
}
