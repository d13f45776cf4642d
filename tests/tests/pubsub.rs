//! Publish and subscribe across workers: order, counts, subscribers that come, go, or do not read.

use std::time::{Duration, Instant};

use djr_tests::connection::Connection;
use djr_tests::ours::Ours;
use djr_tests::reply::Reply;

const WORKERS: usize = 3;

/// Subscribes and waits for the confirmations.
fn subscribe(connection: &mut Connection, line: &str) {
    let names = line.split_whitespace().count() - 1;
    connection.send_bytes(format!("{line}\r\n").as_bytes());
    for _ in 0..names {
        connection.read();
    }
}

fn message(channel: &str, text: &str) -> String {
    format!("[\"message\", \"{channel}\", \"{text}\"]")
}

#[test]
fn each_subscriber_gets_the_messages_of_each_publisher_in_order() {
    const PUBLISHERS: usize = 4;
    const SUBSCRIBERS: usize = 6;
    const MESSAGES: usize = 500;
    let server = Ours::start(WORKERS);
    let mut subscribers: Vec<_> = (0..SUBSCRIBERS).map(|_| server.connect()).collect();
    for (index, subscriber) in subscribers.iter_mut().enumerate() {
        match index % 2 {
            0 => subscribe(subscriber, "SUBSCRIBE other news"),
            _ => subscribe(subscriber, "PSUBSCRIBE n?ws"),
        }
    }
    std::thread::scope(|scope| {
        for publisher in 0..PUBLISHERS {
            let mut connection = server.connect();
            scope.spawn(move || {
                for first in (0..MESSAGES).step_by(50) {
                    for number in first..first + 50 {
                        connection.send(&[
                            b"PUBLISH",
                            b"news",
                            format!("{publisher}:{number}").as_bytes(),
                        ]);
                    }
                    for _ in 0..50 {
                        assert_eq!(connection.read().to_string(), format!(":{SUBSCRIBERS}"));
                    }
                }
            });
        }
        for subscriber in &mut subscribers {
            let mut next = [0; PUBLISHERS];
            for _ in 0..PUBLISHERS * MESSAGES {
                let text = subscriber.read().to_string();
                let payload = text.rsplit('"').nth(1).expect("a payload");
                let (publisher, number) = payload.split_once(':').expect("two numbers");
                let next = &mut next[publisher.parse::<usize>().expect("a number")];
                assert_eq!(number, next.to_string(), "{text}");
                *next += 1;
            }
        }
    });
}

#[test]
fn a_subscription_begins_and_ends_with_its_confirmation() {
    let server = Ours::start(WORKERS);
    // On every worker somebody listens all the time, so that messages are always on their way.
    let mut listeners: Vec<_> = (0..WORKERS).map(|_| server.connect()).collect();
    listeners
        .iter_mut()
        .for_each(|listener| subscribe(listener, "SUBSCRIBE news"));
    let mut publisher = server.connect();
    let mut late = server.connect();
    for round in 0..300 {
        let (before, during) = (format!("before {round}"), format!("during {round}"));
        publisher.call(&[b"PUBLISH", b"news", before.as_bytes()]);
        subscribe(&mut late, "SUBSCRIBE news");
        publisher.call(&[b"PUBLISH", b"news", during.as_bytes()]);
        assert_eq!(
            late.run("UNSUBSCRIBE").to_string(),
            message("news", &during)
        );
        assert_eq!(late.read().to_string(), "[\"unsubscribe\", \"news\", :0]");
        publisher.call(&[b"PUBLISH", b"news", b"after"]);
    }
    assert_eq!(late.run("PING").to_string(), "+PONG");
    let counts = publisher.run("PUBSUB NUMSUB news").to_string();
    assert_eq!(counts, "[\"news\", :3]");
}

#[test]
fn who_is_gone_is_not_counted() {
    let server = Ours::start(WORKERS);
    let mut admin = server.connect();
    let mut subscribers: Vec<_> = (0..2 * WORKERS).map(|_| server.connect()).collect();
    for subscriber in &mut subscribers {
        subscribe(subscriber, "SUBSCRIBE a b");
        subscribe(subscriber, "PSUBSCRIBE x*");
        subscribe(subscriber, "SSUBSCRIBE s");
    }
    let info = admin.info();
    for field in [
        "pubsub_channels:2",
        "pubsub_patterns:1",
        "pubsubshard_channels:1",
    ] {
        assert!(info.contains(field), "{field} in {info}");
    }
    admin.wait_for_info(&format!("pubsub_clients:{}", subscribers.len()));
    subscribers.truncate(3);
    admin.wait_for_info("pubsub_clients:3");
    assert_eq!(admin.run("PUBLISH a x").to_string(), ":3");
    assert_eq!(admin.run("PUBLISH xa x").to_string(), ":3");
    assert_eq!(admin.run("SPUBLISH s x").to_string(), ":3");
    assert_eq!(admin.run("CLIENT KILL TYPE pubsub").to_string(), ":3");
    admin.wait_for_info("pubsub_clients:0");
    admin.wait_for_info("pubsub_channels:0");
    assert_eq!(admin.run("PUBSUB NUMPAT").to_string(), ":0");
    assert_eq!(admin.run("PUBSUB CHANNELS").to_string(), "[]");
    assert_eq!(admin.run("PUBSUB SHARDCHANNELS").to_string(), "[]");
}

/// Publishes until the subscriber, which reads nothing, has been disconnected.
fn flood(server: &Ours, message: &[u8]) {
    let mut publisher = server.connect();
    let patience = Instant::now() + Duration::from_secs(20);
    while publisher.call(&[b"PUBLISH", b"news", message]).to_string() != ":0" {
        assert!(Instant::now() < patience, "the subscriber is still there");
    }
    let info = publisher.info();
    assert!(
        info.contains("client_output_buffer_limit_disconnections:1"),
        "{info}"
    );
    assert_eq!(publisher.run("PING").to_string(), "+PONG");
}

#[test]
fn a_subscriber_that_does_not_read_is_disconnected_at_the_hard_limit() {
    for threads in [1, 2] {
        let limit = ("client-output-buffer-limit", "pubsub 8mb 0 0");
        let server = Ours::start_with(threads, &[limit]);
        let mut subscriber = server.connect();
        subscribe(&mut subscriber, "SUBSCRIBE news");
        flood(&server, &[b'x'; 100_000]);
    }
}

#[test]
fn one_script_can_not_fill_the_memory_with_messages() {
    let limit = ("client-output-buffer-limit", "pubsub 1mb 0 0");
    let server = Ours::start_with(1, &[limit]);
    let mut subscriber = server.connect();
    subscribe(&mut subscriber, "SUBSCRIBE news");
    let mut publisher = server.connect();
    let script = "local m = string.rep('x', 100000) for i = 1, 1000 do redis.call('publish', 'news', m) end return 1";
    let reply = publisher.call(&[b"EVAL", script.as_bytes(), b"0"]);
    assert_eq!(reply.to_string(), ":1");
    assert_eq!(publisher.run("PUBLISH news x").to_string(), ":0");
}

#[test]
fn a_subscriber_that_stays_behind_is_disconnected_at_the_soft_limit() {
    let limit = ("client-output-buffer-limit", "pubsub 0 1mb 1");
    let server = Ours::start_with(2, &[limit]);
    let mut subscriber = server.connect();
    subscribe(&mut subscriber, "SUBSCRIBE news");
    let mut publisher = server.connect();
    // More than the sockets hold, and then nothing more: only the clock ends it.
    for _ in 0..200 {
        publisher.call(&[b"PUBLISH", b"news", &[b'x'; 100_000]]);
    }
    publisher.wait_for_info("client_output_buffer_limit_disconnections:1");
    assert_eq!(publisher.run("PUBLISH news x").to_string(), ":0");
}

#[test]
fn a_subscriber_that_reads_slowly_loses_nothing() {
    const MESSAGES: usize = 3000;
    let server = Ours::start(2);
    let mut subscriber = server.connect();
    subscribe(&mut subscriber, "SUBSCRIBE news");
    let mut publisher = server.connect();
    let padding = "x".repeat(5000);
    for number in 0..MESSAGES {
        publisher.send(&[
            b"PUBLISH",
            b"news",
            format!("{number} {padding}").as_bytes(),
        ]);
    }
    for number in 0..MESSAGES {
        let expected = format!("{number} {padding}");
        match subscriber.read() {
            Reply::Many(b'*', items) => {
                assert!(items[2].text() == expected.as_bytes(), "message {number}")
            }
            other => panic!("{other}"),
        }
    }
    for _ in 0..MESSAGES {
        assert_eq!(publisher.read().to_string(), ":1");
    }
}

#[test]
fn subscribers_may_be_silent_for_as_long_as_they_like() {
    let server = Ours::start_with(1, &[("timeout", "1")]);
    let mut subscriber = server.connect();
    subscribe(&mut subscriber, "SUBSCRIBE news");
    let mut idle = server.connect();
    idle.run("PING");
    // The one that has not subscribed to anything is disconnected.
    assert_eq!(idle.read(), Reply::Closed);
    let mut publisher = server.connect();
    assert_eq!(publisher.run("PUBLISH news x").to_string(), ":1");
    assert_eq!(subscriber.read().to_string(), message("news", "x"));
}

#[test]
fn durable_before_it_is_told() {
    let server = Ours::start_with(2, &[("appendonly", "yes"), ("appendfsync", "always")]);
    let mut subscriber = server.connect();
    subscribe(&mut subscriber, "SUBSCRIBE news");
    let mut writer = server.connect();
    for number in 0..50 {
        let line = format!("MULTI\r\nSET k {number}\r\nPUBLISH news {number}\r\nEXEC\r\n");
        writer.send_bytes(line.as_bytes());
        assert_eq!(
            subscriber.read().to_string(),
            message("news", &number.to_string())
        );
        for _ in 0..4 {
            writer.read();
        }
    }
}
