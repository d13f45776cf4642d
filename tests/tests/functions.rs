//! Functions across workers, restarts and compactions of the log; and those that run too long.

use std::path::Path;
use std::time::{Duration, Instant};

use djr_server::{Config, Server};
use djr_tests::connection::Connection;
use djr_tests::ours::Ours;

fn library(name: &str, body: &str) -> Vec<u8> {
    format!("#!lua name={name}\n{body}").into_bytes()
}

fn load(connection: &mut Connection, code: &[u8]) {
    let reply = connection.call(&[b"FUNCTION", b"LOAD", b"REPLACE", code]);
    assert!(!reply.is_error(), "{reply}");
}

#[test]
fn every_worker_has_every_function_as_it_is_now() {
    let server = Ours::start(3);
    let mut clients: Vec<_> = (0..6).map(|_| server.connect()).collect();
    for round in 0..30 {
        let who = round % clients.len();
        let body =
            format!("redis.register_function('f', function(k, a) return {round} + a[1] end)");
        load(&mut clients[who], &library("lib", &body));
        for client in &mut clients {
            assert_eq!(
                client.run("FCALL f 0 1000").to_string(),
                format!(":{}", round + 1000)
            );
        }
    }
    clients[1].run("FUNCTION DELETE lib");
    for client in &mut clients {
        assert_eq!(
            client.run("FCALL f 0 1").to_string(),
            "-ERR Function not found"
        );
    }
    // More arguments than fit the stack.
    load(
        &mut clients[2],
        &library(
            "n",
            "redis.register_function('n', function(k, a) return {#k, #a, a[#a]} end)",
        ),
    );
    for count in [0, 1, 2, 150, 199, 200, 5000] {
        let mut words: Vec<Vec<u8>> = ["FCALL", "n", &count.to_string()].map(Into::into).to_vec();
        words.extend((0..2 * count).map(|number| number.to_string().into_bytes()));
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        let last = if count == 0 {
            String::new()
        } else {
            format!(", \"{}\"", 2 * count - 1)
        };
        assert_eq!(
            clients[0].call(&words).to_string(),
            format!("[:{count}, :{count}{last}]")
        );
    }
}

fn start(dir: &Path) -> (Server, Connection) {
    let mut config = Config::default()
        .with_free_port()
        .with_dir(dir)
        .with_threads(2);
    let directives = [
        ("auto-aof-rewrite-min-size", "64kb"),
        ("auto-aof-rewrite-percentage", "100"),
    ];
    for (name, value) in directives {
        config.set(name, value).expect("a directive");
    }
    let server = Server::start(config).expect("the server starts");
    let connection = Connection::open(server.addresses()[0]);
    (server, connection)
}

#[test]
fn functions_are_there_after_a_restart_and_after_a_compaction() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (server, mut client) = start(dir.path());
    load(
        &mut client,
        &library(
            "gone",
            "redis.register_function('g', function() return 1 end)",
        ),
    );
    load(
        &mut client,
        &library(
            "lib",
            "redis.register_function('f', function() return 1 end)",
        ),
    );
    load(
        &mut client,
        &library(
            "lib",
            "redis.register_function('f', function() return 2 end)",
        ),
    );
    client.run("FUNCTION DELETE gone");
    client.run("MULTI");
    client.call(&[
        b"FUNCTION",
        b"LOAD",
        &library(
            "in_multi",
            "redis.register_function('m', function(k) return redis.call('incr', k[1]) end)",
        ),
    ]);
    client.run("FCALL m 1 counter");
    client.run("EXEC");
    drop((client, server));

    let (server, mut client) = start(dir.path());
    let check = |client: &mut Connection, counter: u32| {
        assert_eq!(client.run("FCALL f 0").to_string(), ":2");
        assert_eq!(
            client.run("FCALL g 0").to_string(),
            "-ERR Function not found"
        );
        assert_eq!(
            client.run("FCALL m 1 counter").to_string(),
            format!(":{counter}")
        );
    };
    check(&mut client, 2);
    // Enough to be compacted.
    for _ in 0..3000 {
        client.call(&[b"SET", b"large", &[b'x'; 100]]);
    }
    let patience = Instant::now() + Duration::from_secs(20);
    loop {
        let info = client.run("INFO persistence");
        let info = String::from_utf8_lossy(info.text()).into_owned();
        let base = info
            .lines()
            .find_map(|line| line.strip_prefix("aof_base_size:"));
        if base
            .and_then(|base| base.trim().parse::<u64>().ok())
            .is_some_and(|base| base > 0)
        {
            break;
        }
        assert!(Instant::now() < patience, "never compacted: {info}");
        std::thread::sleep(Duration::from_millis(20));
    }
    check(&mut client, 3);
    drop((client, server));
    let (_server, mut client) = start(dir.path());
    check(&mut client, 4);
    assert_eq!(client.run("FUNCTION FLUSH").to_string(), "+OK");
}

#[test]
fn a_library_that_never_ends_is_refused() {
    let server = Ours::start(2);
    let mut client = server.connect();
    let endless = library("lib", "local function f() return f() end f()");
    let reply = client.call(&[b"FUNCTION", b"LOAD", &endless]);
    assert_eq!(
        reply.to_string(),
        "-ERR Error registering functions: ERR FUNCTION LOAD timeout"
    );
    assert_eq!(client.run("FUNCTION LIST").to_string(), "[]");
    load(
        &mut client,
        &library(
            "lib",
            "redis.register_function('f', function() return 1 end)",
        ),
    );
    assert_eq!(client.run("FCALL f 0").to_string(), ":1");
}

#[test]
fn a_function_that_runs_too_long_can_be_killed() {
    let server = Ours::start_with(2, &[("busy-reply-threshold", "50")]);
    let (mut runner, mut other) = (server.connect(), server.connect());
    load(
        &mut runner,
        &library(
            "lib",
            "redis.register_function('endless', function() while true do end end)",
        ),
    );
    runner.send_bytes(b"FCALL endless 0 arg\r\n");
    let patience = Instant::now() + Duration::from_secs(20);
    let stats = loop {
        let stats = other.run("FUNCTION STATS").to_string();
        if stats.contains("\"endless\"") {
            break stats;
        }
        assert!(Instant::now() < patience, "{stats}");
    };
    let running = "\"running_script\", [\"name\", \"endless\", \"command\", [\"FCALL\", \"endless\", \"0\", \"arg\"]";
    assert!(stats.contains(running), "{stats}");
    let busy =
        "-BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE.";
    assert_eq!(other.run("GET k").to_string(), busy);
    assert_eq!(other.run("SCRIPT KILL").to_string(), busy);
    assert_eq!(other.run("FUNCTION KILL").to_string(), "+OK");
    let ended = runner.read().to_string();
    assert!(
        ended.starts_with(
            "-ERR Script killed by user with FUNCTION KILL. script: endless, on @user_function:2"
        ),
        "{ended}"
    );
    assert_eq!(other.run("GET k").to_string(), "$-1");
    let idle = other.run("FUNCTION KILL").to_string();
    assert_eq!(idle, "-NOTBUSY No scripts in execution right now.");
}
