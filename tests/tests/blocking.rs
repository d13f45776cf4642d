//! Clients that wait for keys, over TCP, on one worker and on several.

use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use djr_tests::connection::Connection;
use djr_tests::ours::Ours;
use djr_tests::reply::Reply;

/// Runs a test on a server of one worker and on one of three, where the clients of a test are spread over the workers.
fn on_servers(test: impl Fn(&Ours)) {
    for threads in [1, 3] {
        println!("{threads} workers");
        test(&Ours::start(threads));
    }
}

/// A field of INFO.
fn info(client: &mut Connection, field: &str) -> i64 {
    let reply = client.run("INFO");
    let text = String::from_utf8_lossy(reply.text()).into_owned();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.and_then(|value| value.parse().ok())
        .expect("a field of INFO")
}

/// Waits until so many clients wait.
fn await_blocked(client: &mut Connection, count: i64) {
    await_field(client, "blocked_clients", count);
}

fn await_field(client: &mut Connection, field: &str, value: i64) {
    let began = Instant::now();
    while info(client, field) != value {
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "{field} never gets {value}"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn await_length(client: &mut Connection, key: &str, length: i64) {
    let began = Instant::now();
    let command = format!("LLEN {key}");
    while client.run(&command).integer() != Some(length) {
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "{key} never has {length}"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Sends a command that waits, and returns when it does: the `count`th client that does.
fn wait_with(server: &Ours, watcher: &mut Connection, command: &str, count: i64) -> Connection {
    let mut client = server.connect();
    client.send_bytes(format!("{command}\r\n").as_bytes());
    await_blocked(watcher, count);
    client
}

fn pair(key: &str, element: &str) -> Reply {
    let bulk = |text: &str| Reply::Text(b'$', text.as_bytes().to_vec());
    Reply::Many(b'*', vec![bulk(key), bulk(element)])
}

/// The reply to a wait that was in vain.
fn nothing() -> Reply {
    Reply::Line(b'*', b"-1".to_vec())
}

#[test]
fn first_come_first_served() {
    on_servers(|server| {
        let mut pusher = server.connect();
        let mut waiters: Vec<_> = (1..=5)
            .map(|count| wait_with(server, &mut pusher, "BLPOP a b 0", count))
            .collect();
        assert_eq!(info(&mut pusher, "total_blocking_keys"), 2);
        pusher.run("RPUSH b 0 1 2 3");
        for (index, waiter) in waiters.iter_mut().take(4).enumerate() {
            assert_eq!(waiter.read(), pair("b", &index.to_string()));
        }
        assert_eq!(info(&mut pusher, "blocked_clients"), 1);
        pusher.run("RPUSH a 4");
        assert_eq!(waiters[4].read(), pair("a", "4"));
        assert_eq!(info(&mut pusher, "blocked_clients"), 0);
        assert_eq!(info(&mut pusher, "total_blocking_keys"), 0);
        assert_eq!(pusher.run("EXISTS a b").integer(), Some(0));
    });
}

#[test]
fn what_is_sent_behind_waits_its_turn() {
    on_servers(|server| {
        let mut pusher = server.connect();
        let mut waiter = server.connect();
        waiter.send_bytes(b"BLPOP k 0\r\nPING\r\nBLPOP k 0\r\nECHO end\r\nLLEN k\r\nPI");
        await_blocked(&mut pusher, 1);
        // The rest of the request that has begun comes while it waits.
        waiter.send_bytes(b"NG\r\n");
        pusher.run("RPUSH k 1");
        assert_eq!(waiter.read(), pair("k", "1"));
        assert_eq!(waiter.read().text(), b"PONG");
        await_blocked(&mut pusher, 1);
        pusher.run("RPUSH k 2 3");
        assert_eq!(waiter.read(), pair("k", "2"));
        assert_eq!(waiter.read().text(), b"end");
        assert_eq!(waiter.read().integer(), Some(1));
        assert_eq!(waiter.read().text(), b"PONG");
    });
}

#[test]
fn a_timeout_answers_null_and_goes_on() {
    on_servers(|server| {
        let mut client = server.connect();
        let began = Instant::now();
        client.send_bytes(
            b"BLPOP k 0.05\r\nPING\r\nHELLO 3\r\nBLPOP k 0.05\r\nBLMOVE a b LEFT LEFT 0.01\r\n",
        );
        assert_eq!(client.read(), nothing());
        assert!(began.elapsed() >= Duration::from_millis(50), "it waits");
        assert_eq!(client.read().text(), b"PONG");
        client.read();
        assert_eq!(client.read(), Reply::Line(b'_', Vec::new()));
        assert_eq!(client.read(), Reply::Line(b'_', Vec::new()));
        assert_eq!(info(&mut client, "total_blocking_keys"), 0);
        // It is out of the queue.
        client.run("RPUSH k 1");
        assert_eq!(client.run("LLEN k").integer(), Some(1));
    });
}

#[test]
fn timeouts_come_in_their_order() {
    on_servers(|server| {
        let mut watcher = server.connect();
        let mut late = wait_with(server, &mut watcher, "BLPOP k 0.3", 1);
        let mut soon = wait_with(server, &mut watcher, "BLPOP k 0.1", 2);
        let mut never = wait_with(server, &mut watcher, "BLPOP k 0", 3);
        assert_eq!(info(&mut watcher, "clients_in_timeout_table"), 2);
        assert_eq!(soon.read(), nothing());
        assert_eq!(info(&mut watcher, "blocked_clients"), 2);
        assert_eq!(late.read(), nothing());
        watcher.run("RPUSH k 1");
        assert_eq!(never.read(), pair("k", "1"));
    });
}

#[test]
fn client_unblock_ends_a_wait_from_anywhere() {
    on_servers(|server| {
        let mut watcher = server.connect();
        let mut client = server.connect();
        let id = client.run("CLIENT ID").integer().expect("a number");
        let other = watcher.run("CLIENT ID").integer().expect("a number");
        for (how, reply) in [
            ("", nothing()),
            ("TIMEOUT", nothing()),
            (
                "error",
                Reply::Line(
                    b'-',
                    b"UNBLOCKED client unblocked via CLIENT UNBLOCK".to_vec(),
                ),
            ),
        ] {
            client.send_bytes(b"BLPOP k 0\r\nPING\r\n");
            await_blocked(&mut watcher, 1);
            let unblocked = watcher.run(&format!("CLIENT UNBLOCK {id} {how}"));
            assert_eq!(unblocked.integer(), Some(1));
            assert_eq!(client.read(), reply);
            assert_eq!(client.read().text(), b"PONG");
        }
        for id in [id, other, 12345, -1] {
            let reply = watcher.run(&format!("CLIENT UNBLOCK {id}"));
            assert_eq!(reply.integer(), Some(0), "nobody waits");
        }
        let reply = watcher.run(&format!("CLIENT UNBLOCK {id} NOW"));
        assert_eq!(
            reply.text(),
            b"ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR"
        );
        // In a transaction, too, though that has keys open.
        client.send_bytes(b"BLPOP k 0\r\n");
        await_blocked(&mut watcher, 1);
        watcher
            .send_bytes(format!("MULTI\r\nSET k2 1\r\nCLIENT UNBLOCK {id}\r\nEXEC\r\n").as_bytes());
        let replies: Vec<_> = (0..4).map(|_| watcher.read()).collect();
        assert_eq!(replies[3].items()[1].integer(), Some(1));
        assert_eq!(client.read(), nothing());
    });
}

#[test]
fn client_list_shows_who_waits() {
    on_servers(|server| {
        let mut watcher = server.connect();
        let mut client = wait_with(server, &mut watcher, "CLIENT SETNAME x\r\nBLPOP k 0", 1);
        client.read();
        let list = watcher.run("CLIENT LIST");
        let list = String::from_utf8_lossy(list.text()).into_owned();
        let line = list
            .lines()
            .find(|line| line.contains(" name=x "))
            .expect("its line");
        assert!(
            line.contains(" flags=b ") && line.contains(" cmd=blpop "),
            "{line}"
        );
        watcher.run("RPUSH k 1");
        client.read();
        let list = watcher.run("CLIENT LIST");
        assert!(!String::from_utf8_lossy(list.text()).contains(" flags=b "));
    });
}

#[test]
fn who_is_killed_or_goes_is_served_no_more() {
    on_servers(|server| {
        let mut watcher = server.connect();
        let mut killed = server.connect();
        let id = killed.run("CLIENT ID").integer().expect("a number");
        killed.send_bytes(b"BLPOP k 0\r\n");
        await_blocked(&mut watcher, 1);
        let gone = wait_with(server, &mut watcher, "BLPOP k 0\r\nPING", 2);
        let mut stays = wait_with(server, &mut watcher, "BLPOP k 0", 3);
        watcher.run(&format!("CLIENT KILL ID {id}"));
        assert_eq!(killed.read(), Reply::Closed);
        drop(gone);
        await_blocked(&mut watcher, 1);
        watcher.run("RPUSH k 1");
        assert_eq!(stays.read(), pair("k", "1"));
        assert_eq!(watcher.run("LLEN k").integer(), Some(0));
        assert_eq!(info(&mut watcher, "returned_pops"), 0);
    });
}

/// As Redis: a client that has sent its last byte is not waited for.
#[test]
fn who_sends_nothing_more_waits_no_more() {
    on_servers(|server| {
        let mut watcher = server.connect();
        let mut client = wait_with(server, &mut watcher, "BLPOP k 0", 1);
        client
            .stream()
            .shutdown(Shutdown::Write)
            .expect("half a connection");
        assert_eq!(client.read(), Reply::Closed);
        await_blocked(&mut watcher, 0);
        // The end may come along with the request.
        let mut client = server.connect();
        client.send_bytes(b"PING\r\nBLPOP k 0\r\nPING\r\n");
        client
            .stream()
            .shutdown(Shutdown::Write)
            .expect("half a connection");
        assert_eq!(client.read().text(), b"PONG");
        assert_eq!(client.read(), Reply::Closed);
        await_blocked(&mut watcher, 0);
        assert_eq!(info(&mut watcher, "total_blocking_keys"), 0);
    });
}

#[test]
fn replies_that_are_switched_off_stay_away() {
    on_servers(|server| {
        let mut watcher = server.connect();
        let mut client = wait_with(
            server,
            &mut watcher,
            "CLIENT REPLY SKIP\r\nBLPOP k 0\r\nPING",
            1,
        );
        watcher.run("RPUSH k 1");
        assert_eq!(client.read().text(), b"PONG");
        assert_eq!(watcher.run("LLEN k").integer(), Some(0), "it was taken");
    });
}

#[test]
fn a_chain_of_waits_over_workers_ends_with_one_push() {
    on_servers(|server| {
        let mut pusher = server.connect();
        let mut waiters: Vec<_> = (0..6)
            .map(|step| {
                let command = format!("BLMOVE k{step} k{} LEFT RIGHT 0", step + 1);
                wait_with(server, &mut pusher, &command, step + 1)
            })
            .collect();
        pusher.run("RPUSH k0 x");
        for waiter in &mut waiters {
            assert_eq!(waiter.read().text(), b"x");
        }
        assert_eq!(pusher.run("LLEN k6").integer(), Some(1));
    });
}

/// Every element that is pushed arrives at exactly one of many clients, in whatever way they come and go.
#[test]
fn nothing_is_lost_and_nothing_comes_twice() {
    const CONSUMERS: usize = 6;
    const ELEMENTS: usize = 2000;
    on_servers(|server| {
        let received: Vec<Vec<usize>> = std::thread::scope(|scope| {
            let consumers: Vec<_> = (0..CONSUMERS)
                .map(|index| {
                    scope.spawn(move || {
                        let mut client = server.connect();
                        let command = match index % 3 {
                            0 => "BLPOP a b 0",
                            1 => "BLPOP b c a 0",
                            // Some come and go.
                            _ => "BLPOP c 0.002",
                        };
                        let mut received = Vec::new();
                        loop {
                            let reply = client.run(command);
                            let [_, element] = reply.items() else {
                                continue;
                            };
                            let text = String::from_utf8_lossy(element.text()).into_owned();
                            match text.parse() {
                                Ok(number) => received.push(number),
                                Err(_) => return received,
                            }
                        }
                    })
                })
                .collect();
            let mut pushers: Vec<_> = (0..3)
                .map(|part| {
                    scope.spawn(move || {
                        let mut client = server.connect();
                        for number in (part..ELEMENTS).step_by(3) {
                            let key = ["a", "b", "c"][number % 7 % 3];
                            match number % 5 {
                                0 => {
                                    client.send_bytes(
                                        format!("MULTI\r\nRPUSH {key} {number}\r\nEXEC\r\n")
                                            .as_bytes(),
                                    );
                                    (0..3).for_each(|_| drop(client.read()));
                                }
                                _ => drop(client.run(&format!("RPUSH {key} {number}"))),
                            }
                        }
                    })
                })
                .collect();
            pushers
                .drain(..)
                .for_each(|pusher| pusher.join().expect("a pusher"));
            let mut client = server.connect();
            for _ in 0..CONSUMERS {
                client.run("RPUSH a end");
                client.run("RPUSH c end");
            }
            consumers
                .into_iter()
                .map(|consumer| consumer.join().expect("a consumer"))
                .collect()
        });
        let mut all: Vec<usize> = received.concat();
        all.sort_unstable();
        assert_eq!(all, (0..ELEMENTS).collect::<Vec<_>>());
        let mut client = server.connect();
        await_blocked(&mut client, 0);
        assert_eq!(info(&mut client, "total_blocking_keys"), 0);
    });
}

/// Clients end their connection while they wait, and what is pushed then must not go with them.
#[test]
fn what_is_pushed_when_a_client_has_gone_stays() {
    on_servers(|server| {
        let mut pusher = server.connect();
        for round in 0..200 {
            let dying = wait_with(server, &mut pusher, "BLPOP k 0", 1);
            if round % 2 == 0 {
                dying.stream().shutdown(Shutdown::Both).expect("an end");
            }
            drop(dying);
            pusher.run(&format!("RPUSH k {round}"));
            await_length(&mut pusher, "k", 1);
            assert_eq!(pusher.run("LPOP k").text(), round.to_string().as_bytes());
            await_blocked(&mut pusher, 0);
        }
    });
}

/// The end of the connection comes while the worker is busy: the push is executed before it is seen.
#[test]
fn what_was_taken_for_a_dead_client_goes_back_and_to_the_next() {
    on_servers(|server| {
        let mut pusher = server.connect();
        let busy = "EVAL \"local t = 0 for i = 1, 3e6 do t = t + i end\" 0";
        for round in 0..10 {
            let dying = wait_with(server, &mut pusher, "BLPOP k 0", 1);
            let next =
                (round % 2 == 0).then(|| wait_with(server, &mut pusher, "BLPOP other k 0", 2));
            pusher.send_bytes(format!("{busy}\r\nRPUSH k 1 2 3\r\n").as_bytes());
            std::thread::sleep(Duration::from_millis(2));
            drop(dying);
            pusher.read();
            assert_eq!(pusher.read().integer(), Some(3));
            await_blocked(&mut pusher, 0);
            if let Some(mut next) = next {
                // In Redis it would get the second one.
                let element = next.read().items()[1].text().to_vec();
                assert!(element == b"1" || element == b"2");
            } else {
                await_length(&mut pusher, "k", 3);
                assert_eq!(pusher.run("LPOP k").text(), b"1");
                assert_eq!(pusher.run("LPOP k").text(), b"2");
            }
            await_length(&mut pusher, "k", if round % 2 == 0 { 2 } else { 1 });
            pusher.run("DEL k");
        }
        println!("{} returned", info(&mut pusher, "returned_pops"));
    });
}

/// Ends the other threads of a test, also when it fails.
struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A push and what it means for those who wait are one step for everyone else, whatever worker they are on.
#[test]
fn nobody_gets_between_a_push_and_who_waits() {
    on_servers(|server| {
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for command in ["LPOP k", "LLEN k", "EXISTS k"] {
                let stop = &stop;
                scope.spawn(move || {
                    let mut thief = server.connect();
                    while !stop.load(Ordering::Relaxed) {
                        let reply = thief.run(command);
                        let found = reply.integer() != Some(0) && reply.text() != b"-1";
                        assert!(!found, "{command}: {reply}");
                    }
                });
            }
            let _stops = StopOnDrop(&stop);
            let mut pusher = server.connect();
            for round in 0..300 {
                // The second one's keys are in other shards, which a push does not open.
                let command = ["BLPOP k 0", "BLPOP a b c d e k 0"][round % 2];
                let mut waiter = wait_with(server, &mut pusher, command, 1);
                match round % 3 {
                    0 => drop(pusher.run("RPUSH k x")),
                    1 => drop(pusher.run("EVAL return(redis.call('rpush','k','x')) 0")),
                    _ => {
                        pusher.send_bytes(b"MULTI\r\nRPUSH k x\r\nEXEC\r\n");
                        (0..3).for_each(|_| drop(pusher.read()));
                    }
                }
                assert_eq!(waiter.read(), pair("k", "x"));
            }
        });
    });
}

#[test]
fn replies_wait_for_the_disk_where_that_is_asked() {
    for threads in [1, 3] {
        let server = Ours::start_with(threads, &[("appendonly", "yes"), ("appendfsync", "always")]);
        let mut pusher = server.connect();
        for round in 0..30 {
            let mut waiter = wait_with(&server, &mut pusher, "BLPOP k 0\r\nBLPOP k 0", 1);
            pusher.send_bytes(b"RPUSH k 1\r\nRPUSH k 2\r\n");
            assert_eq!(waiter.read(), pair("k", "1"), "round {round}");
            assert_eq!(waiter.read(), pair("k", "2"));
            pusher.read();
            pusher.read();
        }
    }
}

#[test]
fn a_server_ends_while_clients_wait() {
    for threads in [1, 3] {
        let server = Ours::start(threads);
        let mut watcher = server.connect();
        let mut clients: Vec<_> = (1..=5)
            .map(|count| wait_with(&server, &mut watcher, "BLPOP k 0", count))
            .collect();
        drop(server);
        for client in &mut clients {
            assert_eq!(client.read(), Reply::Closed);
        }
    }
}

/// Time alone may bring what a reader of a group waits for: what another one has not acknowledged becomes old enough.
#[test]
fn claimed_as_soon_as_it_is_idle_for_long_enough() {
    on_servers(|server| {
        let mut other = server.connect();
        other.run("XGROUP CREATE s g $ MKSTREAM");
        // Pending before the wait begins.
        other.run("XADD s 1-1 f v");
        other.run("XREADGROUP GROUP g lost STREAMS s >");
        let wait = "XREADGROUP GROUP g c COUNT 1 BLOCK 0 CLAIM 300 STREAMS s >";
        let mut waiter = wait_with(server, &mut other, wait, 1);
        let reply = waiter.read().to_string();
        assert!(reply.contains("1-1"), "{reply}");
        other.run("XACK s g 1-1");
        // Delivered to another one while somebody waits.
        let mut waiter = wait_with(server, &mut other, wait, 1);
        other.run("MULTI");
        other.run("XADD s 2-1 f v");
        other.run("XREADGROUP GROUP g lost STREAMS s >");
        other.run("EXEC");
        assert_eq!(info(&mut other, "blocked_clients"), 1);
        let reply = waiter.read().to_string();
        assert!(reply.contains("2-1"), "{reply}");
        assert_eq!(
            other
                .run("XPENDING s g")
                .to_string()
                .matches("\"c\"")
                .count(),
            1
        );
        // Who ends such a wait otherwise leaves nothing behind.
        other.run("XACK s g 2-1");
        let mut waiter = wait_with(
            server,
            &mut other,
            "XREADGROUP GROUP g c BLOCK 50 CLAIM 20 STREAMS s >",
            1,
        );
        assert_eq!(waiter.read(), nothing());
        assert_eq!(waiter.run("PING").text(), b"PONG");
        let waiter = wait_with(server, &mut other, wait, 1);
        drop(waiter);
        await_blocked(&mut other, 0);
        other.run("XADD s 3-1 f v");
        assert_eq!(other.run("XLEN s").integer(), Some(3));
    });
}
