//! Against a real `djr-server`, if one has been built beside this program (`cargo build -p djr-server`).

#![allow(clippy::unwrap_used)]

mod support;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use support::{Outcome, run};

const OURS: &str = env!("CARGO_BIN_EXE_djr-cli");

/// A server that is stopped at the end of the test.
struct Server {
    child: Child,
    port: String,
    _dir: tempfile::TempDir,
}

impl Server {
    fn start() -> Option<Server> {
        let program = Path::new(OURS).with_file_name("djr-server");
        if !program.is_file() {
            eprintln!(
                "SKIPPED: no {} (cargo build -p djr-server)",
                program.display()
            );
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let port = support::free_port();
        let child = Command::new(program)
            .args(["--port", &port.to_string(), "--dir"])
            .arg(dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Server {
            child,
            port: port.to_string(),
            _dir: dir,
        };
        server.wait_until_ready();
        Some(server)
    }

    /// Until it listens and has loaded its data.
    fn wait_until_ready(&self) {
        for _ in 0..3000 {
            if self.cli(&["ping"], b"").stdout == b"PONG\n" {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("the server does not become ready");
    }

    fn cli(&self, args: &[&str], stdin: &[u8]) -> Outcome {
        run(OURS, &[&["-p", &self.port], args].concat(), &[], stdin)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn commands_reach_the_server() {
    let Some(server) = Server::start() else {
        return;
    };
    let cases: &[(&[&str], &[u8], &str, i32)] = &[
        (&["set", "greeting", "hello"], b"", "OK\n", 0),
        (&["get", "greeting"], b"", "hello\n", 0),
        (&["--no-raw", "get", "greeting"], b"", "\"hello\"\n", 0),
        (&["-n", "1", "ttl", "greeting"], b"", "-2\n", 0),
        (&["-x", "set", "page"], b"from a pipe\n", "OK\n", 0),
        (&["get", "page"], b"", "from a pipe\n\n", 0),
        (&["-r", "3", "incr", "ticks"], b"", "1\n2\n3\n", 0),
        (&["-e", "incr", "greeting"], b"", "", 1),
        (
            &["--no-raw"],
            b"select 2\nset k 1\nincr k\n",
            "OK\nOK\n(integer) 2\n",
            0,
        ),
        (
            &["-n", "2", "-3", "--json", "mget", "k", "l"],
            b"",
            "[\"2\",null]\n",
            0,
        ),
        (&[], b"multi\nincr k\nexec\n", "OK\nQUEUED\n1\n", 0),
    ];
    for (args, stdin, stdout, status) in cases {
        let outcome = server.cli(args, stdin);
        assert_eq!(
            String::from_utf8_lossy(&outcome.stdout),
            *stdout,
            "{args:?}: {outcome:?}"
        );
        assert_eq!(outcome.status, Some(*status), "{args:?}: {outcome:?}");
    }
    let help = server.cli(&[], b"help get\n");
    let text = String::from_utf8(help.stdout).unwrap();
    assert!(text.contains("GET key"), "{text}");
}
