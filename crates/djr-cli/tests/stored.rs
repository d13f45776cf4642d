//! What Celery, kombu, Django and django-redis store, looked at with `inspect`, `celery` and `django`: in a real server, with
//! data that they have written (`fixtures/make.py`).

#![allow(clippy::unwrap_used)]

mod support;

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use support::{Outcome, run};

const OURS: &str = env!("CARGO_BIN_EXE_djr-cli");
const STORED: &[u8] = include_bytes!("fixtures/stored.resp");

/// A `redis-server` with the fixtures in it, which ends with the test.
struct Server {
    child: Child,
    port: String,
}

impl Server {
    /// `None` if there is no `redis-server`; that is said.
    fn start() -> Option<Server> {
        Server::start_program("redis-server".as_ref())
    }

    fn start_program(program: &std::path::Path) -> Option<Server> {
        let port = support::free_port().to_string();
        let started = Command::new(program)
            .args(["--port", &port, "--save", "", "--appendonly", "no"])
            .stdout(Stdio::null())
            .spawn();
        let Ok(child) = started else {
            let is_ci = std::env::var("CI").is_ok_and(|value| value == "true");
            assert!(!is_ci, "no redis-server, and CI=true");
            eprintln!("SKIPPED: no redis-server");
            return None;
        };
        let server = Server { child, port };
        for _ in 0..500 {
            if server.ask(&["ping"]).status == Some(0) {
                let loaded = run(OURS, &["-p", &server.port, "--pipe"], &[], STORED);
                assert_eq!(loaded.status, Some(0), "{loaded:?}");
                return Some(server);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("redis-server does not answer");
    }

    fn ask(&self, args: &[&str]) -> Outcome {
        run(OURS, &[&["-p", &self.port], args].concat(), &[], b"")
    }

    fn text(&self, args: &[&str]) -> String {
        let outcome = self.ask(args);
        assert_eq!(outcome.status, Some(0), "{args:?}: {outcome:?}");
        String::from_utf8(outcome.stdout).unwrap()
    }

    fn json(&self, args: &[&str]) -> serde_json::Value {
        serde_json::from_str(&self.text(&[args, &["--json"]].concat())).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn celery_at_a_glance() {
    let Some(server) = Server::start() else {
        return;
    };
    let queues = server.json(&["celery", "queues"]);
    let row = |name: &str| {
        let rows = queues["queues"].as_array().unwrap();
        rows.iter()
            .find(|row| row["queue"] == name)
            .unwrap()
            .clone()
    };
    assert_eq!(row("celery")["length"], 4);
    assert_eq!(
        row("celery")["by_priority"],
        serde_json::json!({"0": 3, "9": 1})
    );
    assert_eq!(row("images")["length"], 2);
    assert_eq!(row("images")["unacked"], 1);
    assert_eq!(row("images")["scheduled"], 1);
    assert_eq!(row("images")["next_eta"], "2030-01-01T00:00:00+00:00");
    let text = server.text(&["celery", "queues"]);
    assert!(text.starts_with("QUEUE "), "{text}");
    assert!(text.contains("0:3 9:1"), "{text}");

    let tasks = server.json(&["celery", "tasks", "celery"]);
    let names: Vec<_> = tasks
        .as_array()
        .unwrap()
        .iter()
        .map(|task| task["arguments"].as_str().unwrap())
        .collect();
    assert_eq!(names[0], "(0,) {'copy_to': 'office@example.com'}");
    assert_eq!(names.len(), 4);
    assert_eq!(
        server
            .json(&["celery", "tasks", "celery", "--limit", "2"])
            .as_array()
            .unwrap()
            .len(),
        2
    );
    let bodies: Vec<_> = server
        .json(&["celery", "tasks", "images"])
        .as_array()
        .unwrap()
        .iter()
        .map(|task| task["body"].clone())
        .collect();
    assert_eq!(bodies, ["base64 > pickle", "base64 > zlib > json"]);
    let unacked = server.json(&["celery", "unacked"]);
    assert_eq!(unacked[0]["task"], "shop.tasks.resize");
    let results = server.json(&["celery", "results"]);
    assert_eq!(results["total"], 3);
    assert!(
        server
            .text(&["celery", "results"])
            .contains("ValueError: [\"no such order: 7\"]")
    );
}

#[test]
fn django_at_a_glance() {
    let Some(server) = Server::start() else {
        return;
    };
    let keys = server.json(&["django", "keys"]);
    let groups = keys["groups"].as_array().unwrap();
    let site = groups
        .iter()
        .find(|group| group["prefix"] == "site" && group["version"] == 1)
        .unwrap();
    assert_eq!(site["keys"], 3);
    assert!(site["memory"].as_u64().unwrap() > 100);
    let sessions = server.json(&["django", "sessions"]);
    assert_eq!(sessions["total"], 1);
    assert_eq!(sessions["sessions"][0]["user"], "42");
    assert_eq!(
        sessions["sessions"][0]["session"],
        "abcdefghijklmnopqrstuvwxyz012345"
    );
    assert_eq!(
        sessions["sessions"][0]["data"]["cart"],
        serde_json::json!([1, 2, 3])
    );
}

#[test]
fn values_are_decoded() {
    let Some(server) = Server::start() else {
        return;
    };
    for (key, layers) in [
        ("site:1:page:1", &["pickle"][..]),
        ("dr:1:page:1", &["pickle"]),
        ("zlib:1:page:1", &["zlib", "pickle"]),
        ("lzma:1:page:1", &["xz", "pickle"]),
        ("gzip:1:page:1", &["gzip", "pickle"]),
        ("json:1:page:1", &["json"]),
        ("msgpack:1:page:1", &["msgpack"]),
    ] {
        let found = server.json(&["inspect", key]);
        let element = &found["elements"][0];
        assert_eq!(element["layers"], serde_json::json!(layers), "{key}");
        assert_eq!(element["value"]["name"], "Ünïcode", "{key}");
        assert_eq!(
            element["value"]["prices"],
            serde_json::json!([1, 2.5, null]),
            "{key}"
        );
    }
    let text = server.text(&["inspect", "site:1:when"]);
    assert!(
        text.contains("datetime.datetime(2030, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)"),
        "{text}"
    );
    assert!(text.contains("ttl       none"), "{text}");
    let text = server.text(&["inspect", "images", "--limit", "1"]);
    assert!(text.contains("body (base64 > "), "{text}");
    assert!(text.contains("… and 1 more"), "{text}");
    let missing = server.ask(&["inspect", "nosuchkey"]);
    assert_eq!(missing.status, Some(1));
    assert_eq!(missing.stderr, b"There is no key \"nosuchkey\"\n");
}

#[test]
fn walks_over_all_keys() {
    let Some(server) = Server::start() else {
        return;
    };
    let mut listed: Vec<String> = server
        .text(&["--scan"])
        .lines()
        .map(str::to_owned)
        .collect();
    let mut known: Vec<String> = server
        .text(&["keys", "*"])
        .lines()
        .map(str::to_owned)
        .collect();
    listed.sort();
    known.sort();
    assert_eq!(listed, known);
    // The same as redis-cli, where both take one step.
    for mode in ["--bigkeys", "--memkeys"] {
        let theirs = run("redis-cli", &["-p", &server.port, mode], &[], b"");
        let ours = server.ask(&[mode]);
        let lines = |outcome: &Outcome| {
            let text = String::from_utf8_lossy(&outcome.stdout).into_owned();
            // The order of types is that of newer ones; progress depends on the size of the steps.
            let mut lines: Vec<String> = text
                .lines()
                .map(|line| {
                    line.split_once("%] ")
                        .map_or(line, |(_, rest)| rest)
                        .to_owned()
                })
                .collect();
            lines.sort();
            lines
        };
        assert_eq!(lines(&ours), lines(&theirs), "{mode}");
        assert_eq!(ours.status, theirs.status);
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    assert_eq!(server.ask(&["--rdb", path]).status, Some(0));
    let snapshot = std::fs::read(path).unwrap();
    assert!(snapshot.starts_with(b"REDIS") && snapshot.len() > 1000);
}

/// What the server says of its commands, as redis-cli 8 and valkey-cli 9 show it on a terminal; older ones have a list of their own.
#[test]
fn help_is_that_of_redis_cli() {
    // Of older servers redis-cli writes alternatives in another way.
    let Some(program) = support::unpacked("valkey-server") else {
        return;
    };
    let server = Server::start_program(&program).unwrap();
    let questions =
        b"help get\nhelp @string\nhelp CLIENT kill\nhelp set\nhelp nosuchcommand\nhelp config\nhelp @generic\nhelp @server\nhelp @stream\nhelp @geo\nhelp @connection\n";
    let answer = |program: &std::ffi::OsStr| {
        let args = ["-p", &server.port];
        let outcome = run(program, &args, &[("FAKETTY", "1")], questions);
        let text = String::from_utf8(outcome.stdout).unwrap();
        // They print what is not there.
        text.replace(" \x1b[90m(null)\x1b[0m", " ")
    };
    let ours = answer(OURS.as_ref());
    assert!(
        ours.contains("\x1b[1mGET\x1b[0m \x1b[90mkey\x1b[0m"),
        "{ours}"
    );
    for name in ["redis-cli", "valkey-cli"] {
        if let Some(program) = support::unpacked(name) {
            assert_eq!(ours, answer(program.as_os_str()), "{name}");
        }
    }
    let piped = run(OURS, &["-p", &server.port], &[], b"help get\n");
    assert!(!piped.stdout.contains(&0x1b), "{piped:?}");
    let plain = run(
        OURS,
        &["-p", &server.port],
        &[("FAKETTY", "1"), ("NO_COLOR", "1")],
        b"help get\n",
    );
    assert!(!plain.stdout.contains(&0x1b), "{plain:?}");
}

#[test]
fn what_is_generated() {
    for (shell, word) in [
        ("bash", "complete -F"),
        ("zsh", "#compdef djr-cli"),
        ("fish", "complete -c djr-cli"),
    ] {
        let outcome = run(OURS, &["completions", shell], &[], b"");
        let text = String::from_utf8_lossy(&outcome.stdout).into_owned();
        assert!(text.contains(word) && text.contains("bigkeys"), "{shell}");
    }
    let page = run(OURS, &["man"], &[], b"");
    assert!(
        page.stdout.windows(9).any(|window| window == b".SH OPTIO"),
        "{page:?}"
    );
    let wrong = run(OURS, &["celery", "nope"], &[], b"");
    assert_eq!(
        (
            wrong.status,
            wrong.stderr.iter().filter(|byte| **byte == b'\n').count()
        ),
        (Some(1), 1)
    );
}
