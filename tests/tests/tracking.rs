//! Client-side caching: what a transcript can't show, as it needs the numbers of clients, other settings, or many at once.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use djr_tests::connection::Connection;
use djr_tests::ours::Ours;
use djr_tests::reply::Reply;

fn resp3(server: &Ours) -> Connection {
    let mut connection = server.connect();
    connection.run("HELLO 3");
    connection
}

fn id(connection: &mut Connection) -> i64 {
    connection.run("CLIENT ID").integer().expect("a number")
}

fn invalidate(keys: &str) -> String {
    format!(">[\"invalidate\", {keys}]")
}

#[test]
fn invalidations_go_where_they_are_redirected_to() {
    for threads in [1, 3] {
        let server = Ours::start(threads);
        let (mut reader, mut listener, mut writer) =
            (server.connect(), server.connect(), server.connect());
        let target = id(&mut listener);
        // RESP2: nothing, until it waits for messages, whichever.
        let on = format!("CLIENT TRACKING ON REDIRECT {target}");
        assert_eq!(reader.run(&on).to_string(), "+OK");
        assert_eq!(
            reader.run("CLIENT GETREDIR").to_string(),
            format!(":{target}")
        );
        reader.run("GET k");
        writer.run("SET k 1");
        assert_eq!(listener.run("PING").to_string(), "+PONG");
        listener.run("SUBSCRIBE __redis__:invalidate");
        reader.run("GET k");
        writer.run("SET k 2");
        let message = "[\"message\", \"__redis__:invalidate\", [\"k\"]]";
        assert_eq!(listener.read().to_string(), message);
        reader.run("GET k");
        // Its own, too, and at once.
        reader.run("SET k 3");
        assert_eq!(listener.read().to_string(), message);
        writer.run("FLUSHALL");
        let null = "[\"message\", \"__redis__:invalidate\", $-1]";
        assert_eq!(listener.read().to_string(), null);
        // RESP3: as pushes.
        listener.run("RESET");
        listener.run("HELLO 3");
        reader.run("GET k");
        writer.run("SET k 4");
        assert_eq!(listener.read().to_string(), invalidate("[\"k\"]"));
        let redirected = reader.run("CLIENT TRACKINGINFO").to_string();
        assert_eq!(
            redirected,
            format!("[\"flags\", [\"on\"], \"redirect\", :{target}, \"prefixes\", []]")
        );
    }
}

#[test]
fn a_client_is_told_when_the_one_it_redirects_to_is_gone() {
    let server = Ours::start(3);
    let (mut reader, mut listener, mut writer) =
        (resp3(&server), server.connect(), server.connect());
    let target = id(&mut listener);
    reader.run(&format!("CLIENT TRACKING ON REDIRECT {target}"));
    reader.run("GET k");
    drop(listener);
    let patience = Instant::now() + Duration::from_secs(10);
    while !writer
        .run(&format!("CLIENT LIST ID {target}"))
        .text()
        .is_empty()
    {
        assert!(Instant::now() < patience, "the listener never goes");
    }
    writer.run("SET k 1");
    let broken = format!(">[\"tracking-redir-broken\", :{target}]");
    assert_eq!(reader.read().to_string(), broken);
    let flags = reader.run("CLIENT TRACKINGINFO").to_string();
    assert!(flags.contains("\"broken_redirect\""), "{flags}");
    let line = reader.run("CLIENT INFO");
    let line = String::from_utf8_lossy(line.text()).into_owned();
    assert!(line.contains("flags=tR"), "{line}");
    assert!(line.contains(&format!("redir={target}")), "{line}");
    // Anew: as if nothing had been.
    reader.run("CLIENT TRACKING ON");
    reader.run("GET k");
    writer.run("SET k 2");
    assert_eq!(reader.read().to_string(), invalidate("[\"k\"]"));
}

#[test]
fn keys_are_forgotten_when_there_are_too_many() {
    let server = Ours::start_with(2, &[("tracking-table-max-keys", "10")]);
    let (mut reader, mut other) = (resp3(&server), server.connect());
    reader.run("CLIENT TRACKING ON");
    let mut told = 0;
    for number in 0..50 {
        reader.send(&[b"GET", format!("key:{number}").as_bytes()]);
        // A key that is forgotten is told as if it had changed.
        while reader.read() != Reply::Line(b'_', Vec::new()) {
            told += 1;
        }
    }
    reader.send(&[b"PING"]);
    while reader.read().to_string() != "+PONG" {
        told += 1;
    }
    assert_eq!(told, 40);
    let info = other.run("INFO stats");
    let info = String::from_utf8_lossy(info.text()).into_owned();
    assert!(info.contains("tracking_total_keys:10\r\n"), "{info}");
    // Who lowers the limit while the server runs sees to it, too; and so does who leaves.
    other.run("CONFIG SET tracking-table-max-keys 4");
    (0..6).for_each(|_| assert!(reader.read().to_string().starts_with(">[\"invalidate\"")));
    drop(reader);
    let patience = Instant::now() + Duration::from_secs(10);
    while !String::from_utf8_lossy(other.run("INFO stats").text()).contains("tracking_total_keys:0")
    {
        assert!(Instant::now() < patience, "nobody forgets");
    }
}

#[test]
fn what_is_in_a_cache_is_right_once_all_is_quiet() {
    const KEYS: u64 = 8;
    const ROUNDS: usize = 2000;
    let server = Ours::start(3);
    let values = std::thread::scope(|scope| {
        for writer in 0..3_u64 {
            let mut connection = server.connect();
            scope.spawn(move || {
                let mut rng = djr_engine::Rng::new(writer);
                for _ in 0..ROUNDS {
                    connection.run(&format!("INCR k{}", rng.below(KEYS)));
                }
            });
        }
        let readers: Vec<_> = (0..3_u64)
            .map(|reader| {
                let mut connection = resp3(&server);
                scope.spawn(move || {
                    let mut rng = djr_engine::Rng::new(reader + 10);
                    let mut cache: HashMap<String, Reply> = HashMap::new();
                    connection.run("CLIENT TRACKING ON");
                    for _ in 0..ROUNDS {
                        let key = format!("k{}", rng.below(KEYS));
                        connection.send(&[b"GET", key.as_bytes()]);
                        let value = read_into(&mut connection, &mut cache);
                        cache.insert(key, value);
                    }
                    (connection, cache)
                })
            })
            .collect();
        let joined = readers
            .into_iter()
            .map(|reader| reader.join().expect("a reader"));
        joined.collect::<Vec<_>>()
    });
    let mut checker = server.connect();
    for (mut connection, mut cache) in values {
        // What is still on its way comes before this reply.
        checker.run("PING");
        std::thread::sleep(Duration::from_millis(50));
        connection.send(&[b"PING"]);
        read_into(&mut connection, &mut cache);
        for (key, cached) in &cache {
            let now = checker.run(&format!("GET {key}"));
            assert_eq!(cached.text(), now.text(), "{key}");
        }
    }
}

/// Reads a reply; drops from the cache what was said to have changed before it.
fn read_into(connection: &mut Connection, cache: &mut HashMap<String, Reply>) -> Reply {
    loop {
        match connection.read() {
            Reply::Many(b'>', items) => {
                let Some(Reply::Many(_, keys)) = items.get(1) else {
                    panic!("keys");
                };
                for key in keys {
                    cache.remove(&String::from_utf8_lossy(key.text()).into_owned());
                }
            }
            reply => return reply,
        }
    }
}

#[test]
fn a_broadcast_tells_of_a_turn_at_once() {
    let server = Ours::start(3);
    let mut writer = server.connect();
    let mut listeners: Vec<_> = (0..3).map(|_| resp3(&server)).collect();
    for listener in &mut listeners {
        assert_eq!(
            listener
                .run("CLIENT TRACKING ON BCAST PREFIX a PREFIX b")
                .to_string(),
            "+OK"
        );
    }
    writer.send_bytes(b"SET a2 1\r\nSET b1 1\r\nSET c 1\r\nSET a1 1\r\nSET a2 1\r\n");
    (0..5).for_each(|_| assert_eq!(writer.read().to_string(), "+OK"));
    for listener in &mut listeners {
        assert_eq!(listener.read().to_string(), invalidate("[\"a1\", \"a2\"]"));
        assert_eq!(listener.read().to_string(), invalidate("[\"b1\"]"));
        let line = listener.run("CLIENT INFO");
        let line = String::from_utf8_lossy(line.text()).into_owned();
        assert!(line.contains("flags=tB"), "{line}");
    }
}
