//! `CONFIG SET appendonly yes|no` on a server that clients write to: what was acknowledged once the log is whole is there after
//! kill -9, whatever was written while it was being switched.
//!
//! Needs the program itself: `cargo build -p djr-server`.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use djr_tests::connection::Connection;
use djr_tests::killable::Killable;
use djr_tests::reply::Reply;

const WRITERS: usize = 3;

#[test]
fn what_is_acknowledged_after_the_switch_survives() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let dir = dir.path().join("data");
    std::fs::create_dir(&dir).expect("a directory");
    let mut known = [0; WRITERS];
    for policy in ["everysec", "always"] {
        // An earlier log, of which only a part may be read if the switch does not go through.
        let words = ["--appendonly", "no", "--appendfsync", policy, "--threads"];
        let server = Killable::start(&dir, &[&words[..], &["2"]].concat());
        let mut admin = server.connect();
        for (index, value) in known.iter().enumerate() {
            let reply = admin.run(&format!("SET c{index} {value}"));
            assert_eq!(reply.text(), b"OK");
            admin.run(&format!("DEL l{index}"));
            for number in 0..value % 100 {
                admin.run(&format!("RPUSH l{index} {number}"));
            }
        }
        let stop = AtomicBool::new(false);
        let acknowledged: [AtomicU64; WRITERS] = known.map(AtomicU64::new);
        std::thread::scope(|scope| {
            for (index, acknowledged) in acknowledged.iter().enumerate() {
                let (server, stop) = (&server, &stop);
                let mut client = server.connect();
                scope.spawn(move || write(&mut client, index, acknowledged, stop));
            }
            for round in 0..6 {
                admin.run("CONFIG SET appendonly yes");
                if round % 2 == 0 {
                    wait_until_whole(&mut admin);
                }
                admin.run("CONFIG SET appendonly no");
                wait_for(&mut admin, "aof_enabled:0");
            }
            admin.run("CONFIG SET appendonly yes");
            wait_until_whole(&mut admin);
            std::thread::sleep(Duration::from_millis(30));
            stop.store(true, Ordering::Release);
        });
        known = acknowledged.map(AtomicU64::into_inner);
        server.kill();
        drop(server);
        let server = Killable::start(&dir, &["--appendonly", "yes"]);
        let mut admin = server.connect();
        for (index, value) in known.iter().enumerate() {
            for key in [format!("c{index}"), format!("d{index}")] {
                let reply = admin.run(&format!("GET {key}"));
                assert_eq!(
                    String::from_utf8_lossy(reply.text()),
                    value.to_string(),
                    "{policy} {key}"
                );
            }
            let len = admin.run(&format!("LLEN l{index}")).integer();
            assert_eq!(len, Some((value % 100) as i64), "{policy}");
        }
        server.kill();
    }
}

/// Counts in two keys that must agree, and in the length of a list.
fn write(client: &mut Connection, index: usize, acknowledged: &AtomicU64, stop: &AtomicBool) {
    let mut number = acknowledged.load(Ordering::Relaxed);
    while !stop.load(Ordering::Acquire) {
        number += 1;
        client.run("MULTI");
        client.run(&format!("INCR c{index}"));
        client.run(&format!("SET d{index} {number}"));
        if number.is_multiple_of(100) {
            client.run(&format!("DEL l{index}"));
        } else {
            client.run(&format!("RPUSH l{index} {number}"));
        }
        assert!(
            matches!(client.run("EXEC"), Reply::Many(b'*', _)),
            "nobody is sent away by the switch"
        );
        acknowledged.store(number, Ordering::Relaxed);
    }
}

fn wait_until_whole(admin: &mut Connection) {
    wait_for(admin, "aof_enabled:1");
    assert_eq!(
        format!("{:?}", admin.run("WAITAOF 1 0 20000")),
        format!("{:?}", {
            // As a reply looks that says so.
            admin.run("EVAL return{1,0} 0")
        })
    );
}

fn wait_for(admin: &mut Connection, line: &str) {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let info = admin.run("INFO persistence");
        if String::from_utf8_lossy(info.text()).contains(line) {
            return;
        }
        assert!(Instant::now() < deadline, "INFO does not say {line}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
