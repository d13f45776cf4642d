//! Many clients at once, on several workers: totals are right, and what one worker does to another's clients arrives.

use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};

use djr_tests::connection::Connection;
use djr_tests::ours::Ours;
use djr_tests::reply::Reply;

const THREADS: usize = 8;
const ROUNDS: usize = 300;

/// Runs the same on several connections at once.
fn at_once(server: &Ours, run: impl Fn(usize, &mut Connection) + Sync) {
    std::thread::scope(|scope| {
        for index in 0..THREADS {
            let run = &run;
            scope.spawn(move || run(index, &mut server.connect()));
        }
    });
}

fn ok() -> Reply {
    Reply::Line(b'+', b"OK".to_vec())
}

#[test]
fn no_increment_is_lost() {
    let server = Ours::start(2);
    at_once(&server, |_, client| {
        for round in 0..ROUNDS / 10 {
            let pipeline = b"INCR counter\r\nINCRBY other 2\r\n".repeat(10);
            client.send_bytes(&pipeline);
            let mut last = 0;
            for _ in 0..10 {
                let counter = client.read().integer().expect("a number");
                assert!(counter > last, "round {round}: it only grows");
                last = counter;
                client.read();
            }
        }
    });
    let mut client = server.connect();
    assert_eq!(
        client.run("GET counter").text(),
        (THREADS * ROUNDS).to_string().as_bytes()
    );
    assert_eq!(
        client.run("GET other").text(),
        (2 * THREADS * ROUNDS).to_string().as_bytes()
    );
}

#[test]
fn nobody_sees_half_a_transaction() {
    let server = Ours::start(2);
    at_once(&server, |index, client| {
        for _ in 0..ROUNDS {
            if index % 2 == 0 {
                client.send_bytes(b"MULTI\r\nINCR a\r\nINCR b\r\nEXEC\r\n");
                let replies: Vec<_> = (0..4).map(|_| client.read()).collect();
                let items = replies[3].items();
                assert_eq!(items[0], items[1], "both count alike");
            } else {
                let reply = client.run("MGET a b");
                assert_eq!(reply.items()[0], reply.items()[1], "both or none");
            }
        }
    });
    let total = (THREADS / 2 * ROUNDS).to_string();
    assert_eq!(server.connect().run("GET a").text(), total.as_bytes());
}

/// The same for commands that write several keys on their own, and for keys that move.
#[test]
fn nobody_sees_half_a_command() {
    let server = Ours::start(2);
    server.connect().run("MSET left 0 right 0 here token");
    at_once(&server, |index, client| {
        for round in 0..ROUNDS {
            match index % 4 {
                0 => assert_eq!(
                    client.run(&format!("MSET left {round} right {round}")),
                    ok()
                ),
                1 => {
                    let reply = client.run("MGET left right");
                    assert_eq!(reply.items()[0], reply.items()[1]);
                }
                // One of them finds it; never is it in both places or in none.
                2 => drop(client.run(if round % 2 == 0 {
                    "RENAME here there"
                } else {
                    "RENAME there here"
                })),
                _ => assert_eq!(
                    client.run("EXISTS here there"),
                    Reply::Line(b':', b"1".to_vec())
                ),
            }
        }
    });
}

#[test]
fn optimistic_locking_loses_nothing() {
    let server = Ours::start(2);
    let conflicts = AtomicBool::new(false);
    at_once(&server, |_, client| {
        for _ in 0..ROUNDS / 10 {
            loop {
                client.run("WATCH balance");
                let value = client.run("GET balance");
                let value: u64 = String::from_utf8_lossy(value.text()).parse().unwrap_or(0);
                client.run("MULTI");
                client.run(&format!("SET balance {}", value + 1));
                match client.run("EXEC") {
                    Reply::Many(..) => break,
                    _ => conflicts.store(true, Ordering::Relaxed),
                }
            }
        }
    });
    let total = (THREADS * (ROUNDS / 10)).to_string();
    let mut client = server.connect();
    // GET of a key that is not there gives "-1" here, which is no number of ours.
    assert_eq!(client.run("GET balance").text(), total.as_bytes());
    assert!(conflicts.into_inner(), "they got into each other's way");
}

#[test]
fn a_client_can_end_those_of_other_workers() {
    let server = Ours::start(2);
    let mut killer = server.connect();
    for round in 0..20 {
        let mut victim = server.connect();
        let id = victim.run("CLIENT ID").integer().expect("an id");
        victim.run("WATCH k");
        assert_eq!(
            killer.run(&format!("CLIENT KILL ID {id}")).integer(),
            Some(1),
            "round {round}"
        );
        assert_eq!(victim.read(), Reply::Closed);
        assert_eq!(
            killer.run(&format!("CLIENT KILL ID {id}")).integer(),
            Some(0)
        );
    }
}

#[test]
fn a_pause_holds_back_all_workers() {
    let server = Ours::start(2);
    let mut admin = server.connect();
    let mut writers: Vec<_> = (0..4).map(|_| server.connect()).collect();
    for round in 0..10 {
        assert_eq!(admin.run("CLIENT PAUSE 60000 WRITE"), ok());
        for writer in &mut writers {
            // The reply to the read shows that the worker has seen both; it is before the pause's end.
            writer.send_bytes(b"GET n\r\nINCR n\r\nGET n\r\n");
            writer.read();
        }
        let before = admin.run("GET n");
        assert_eq!(
            before.text(),
            if round == 0 {
                "-1".into()
            } else {
                (round * 4).to_string()
            }
            .as_bytes()
        );
        assert_eq!(admin.run("CLIENT UNPAUSE"), ok());
        for writer in &mut writers {
            let counted = writer.read().integer().expect("a number");
            assert!((round * 4 + 1..=round * 4 + 4).contains(&counted));
            let seen = writer.read();
            let seen: i64 = std::str::from_utf8(seen.text()).unwrap().parse().unwrap();
            assert!((counted..=round * 4 + 4).contains(&seen));
        }
    }
}

#[test]
fn too_many_clients_are_told_so() {
    let server = Ours::start_with(2, &[("maxclients", "20")]);
    for _ in 0..3 {
        let mut clients: Vec<_> = (0..20).map(|_| server.connect()).collect();
        for client in &mut clients {
            assert_eq!(client.run("PING").text(), b"PONG");
        }
        for _ in 0..30 {
            let mut refused = server.connect();
            let reply = refused.read();
            assert_eq!(reply.text(), b"ERR max number of clients reached");
            assert_eq!(refused.read(), Reply::Closed);
        }
        for client in &mut clients {
            assert_eq!(client.run("PING").text(), b"PONG");
        }
        for client in &mut clients {
            client.run("QUIT");
            // Only then has the server forgotten it.
            assert_eq!(client.read(), Reply::Closed);
        }
    }
}

#[test]
fn who_does_not_read_is_cut_off() {
    let limits = [("client-output-buffer-limit", "normal 4mb 0 0")];
    let server = Ours::start_with(2, &limits);
    let mut other = server.connect();
    let value = vec![b'x'; 1 << 20];
    other.call(&[b"SET", b"big", &value]);
    let mut slow = server.connect();
    slow.send_bytes(&b"GET big\r\n".repeat(64));
    // Meanwhile the others are served, until what was not read is more than allowed.
    for _ in 0..200 {
        assert_eq!(other.run("PING").text(), b"PONG");
    }
    other.wait_for_info("connected_clients:1\r\n");
    let mut whole = 0;
    let mut bytes = 0;
    // Whatever had gone out before arrives; then it is over.
    let mut buffer = vec![0; 1 << 20];
    while let Ok(count @ 1..) = std::io::Read::read(&mut slow.stream(), &mut buffer) {
        bytes += count;
        whole = bytes / value.len();
    }
    assert!(whole < 64, "all of it came");
    let clients = other.run("INFO clients");
    let clients = String::from_utf8_lossy(clients.text()).into_owned();
    assert!(clients.contains("connected_clients:1\r\n"), "{clients}");
}

/// As a load balancer and a crashing client do it.
#[test]
fn connections_may_come_and_go() {
    let server = Ours::start(2);
    at_once(&server, |index, client| {
        for round in 0..ROUNDS / 3 {
            match (index + round) % 4 {
                0 => drop(TcpStream::connect(server.address()).expect("accepted")),
                1 => drop(server.connect().run("INCR visits")),
                2 => server.connect().send_bytes(b"INCR visits\r\nINCR"),
                _ => {
                    let mut short = server.connect();
                    short.run("WATCH visits");
                    short.run("MULTI");
                    short.run("INCR visits");
                }
            }
            assert_eq!(client.run("PING").text(), b"PONG");
        }
    });
    let mut client = server.connect();
    assert!(client.run("INCR visits").integer() > Some((THREADS * ROUNDS / 3 / 4) as i64));
}

/// `printf 'PING\r\n' | nc host port`: the peer has said everything, and waits for the answers.
#[test]
fn who_has_finished_still_gets_the_replies() {
    let server = Ours::start(2);
    let value = vec![b'x'; 1 << 20];
    server.connect().call(&[b"SET", b"big", &value]);
    for round in 0..50 {
        let mut client = server.connect();
        client.send_bytes(b"PING\r\nGET big\r\nECHO end\r\nGET unfin");
        // At different moments of the server's work.
        std::thread::sleep(std::time::Duration::from_micros(round * 20));
        let end = client.stream().shutdown(std::net::Shutdown::Write);
        end.expect("a connected socket");
        assert_eq!(client.read().text(), b"PONG");
        assert_eq!(client.read().text().len(), value.len());
        assert_eq!(client.read().text(), b"end");
        assert_eq!(client.read(), Reply::Closed);
    }
}

/// The worker finds a script and requests of other clients at the same time: they are read together, and served while it runs.
#[test]
fn who_comes_together_with_an_endless_script_is_answered() {
    let server = Ours::start_with(1, &[("busy-reply-threshold", "300")]);
    let (mut first, mut endless) = (server.connect(), server.connect());
    let (mut early, mut half, mut killer) = (server.connect(), server.connect(), server.connect());
    let clients = [&mut first, &mut endless, &mut early, &mut half, &mut killer];
    for client in clients {
        assert_eq!(client.run("PING").text(), b"PONG");
    }
    let pause = || std::thread::sleep(std::time::Duration::from_millis(20));
    // Keeps the worker while the others send, but not so long that it looks at them.
    let wait = "local t = redis.call('TIME') local s = t[1] * 1000000 + t[2] \
                repeat t = redis.call('TIME') until t[1] * 1000000 + t[2] - s > 150000 return 'done'";
    first.send(&[b"EVAL", wait.as_bytes(), b"0"]);
    pause();
    endless.send(&[b"EVAL", b"while true do end", b"0"]);
    pause();
    early.send_bytes(b"GET key\r\n");
    half.send_bytes(b"*2\r\n$4\r\nECHO\r\n$5\r\nhe");
    pause();
    killer.send_bytes(b"SCRIPT KILL\r\n");
    assert_eq!(first.read().text(), b"done");
    assert_eq!(killer.read().text(), b"OK");
    assert!(endless.read().to_string().contains("Script killed by user"));
    let busy = early.read().to_string();
    assert!(busy.starts_with("-BUSY"), "{busy}");
    // What came in two parts is one request.
    half.send_bytes(b"llo\r\n");
    assert_eq!(half.read().text(), b"hello");
    assert_eq!(half.run("PING").text(), b"PONG");
}
