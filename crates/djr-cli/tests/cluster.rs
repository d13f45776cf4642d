//! `-c` on a real cluster of two nodes: the same as redis-cli and valkey-cli, byte for byte, with keys that live elsewhere and
//! keys that are on the move.

#![allow(clippy::unwrap_used)]

mod support;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use support::{peers, run, unpacked};

const OURS: &str = env!("CARGO_BIN_EXE_djr-cli");

/// Slot 12182, which the second node has.
const THERE: &str = "foo";

/// Slot 5061, which the first node has.
const HERE: &str = "bar";

struct Node {
    child: Child,
    port: u16,
    _dir: tempfile::TempDir,
}

impl Node {
    fn start(program: &Path) -> Option<Node> {
        let dir = tempfile::tempdir().unwrap();
        let port = support::free_port();
        let child = Command::new(program)
            .args(["--port", &port.to_string(), "--cluster-enabled", "yes"])
            .args(["--save", "", "--dir"])
            .arg(dir.path())
            .stdout(Stdio::null())
            .spawn()
            .ok()?;
        let node = Node {
            child,
            port,
            _dir: dir,
        };
        node.wait_until(|node| node.ask(&["ping"]) == "PONG");
        Some(node)
    }

    fn ask(&self, args: &[&str]) -> String {
        let port = self.port.to_string();
        let outcome = run(OURS, &[&["-p", &port], args].concat(), &[], b"");
        String::from_utf8(outcome.stdout).unwrap().trim().to_owned()
    }

    fn wait_until(&self, condition: impl Fn(&Node) -> bool) {
        for _ in 0..1500 {
            if condition(self) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("the cluster does not become ready");
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Two nodes with half of the slots each; `None` if there is no server to make them of, which is said.
fn cluster() -> Option<[Node; 2]> {
    let program = unpacked("valkey-server").unwrap_or_else(|| "redis-server".into());
    let (Some(first), Some(second)) = (Node::start(&program), Node::start(&program)) else {
        let is_ci = std::env::var("CI").is_ok_and(|value| value == "true");
        assert!(!is_ci, "no server for a cluster, and CI=true");
        eprintln!("SKIPPED: no server for a cluster");
        return None;
    };
    first.ask(&["cluster", "addslotsrange", "0", "8191"]);
    second.ask(&["cluster", "addslotsrange", "8192", "16383"]);
    first.ask(&["cluster", "meet", "127.0.0.1", &second.port.to_string()]);
    for node in [&first, &second] {
        node.wait_until(|node| node.ask(&["cluster", "info"]).contains("cluster_state:ok"));
    }
    Some([first, second])
}

fn compare(node: &Node, args: &[&str], stdin: &[u8]) {
    let port = node.port.to_string();
    let args = [&["-p", &port], args].concat();
    for env in [&[][..], &[("FAKETTY", "1")]] {
        let ours = run(OURS, &args, env, stdin);
        for peer in peers() {
            let theirs = run(&peer, &args, env, stdin);
            let context = format!(
                "{} {args:?} {env:?} {}",
                peer.display(),
                stdin.escape_ascii()
            );
            assert_eq!(ours, theirs, "{context}");
        }
    }
}

#[test]
fn redirections_are_followed() {
    let Some([first, second]) = cluster() else {
        return;
    };
    let cases: &[(&[&str], &[u8])] = &[
        (&["-c", "set", THERE, "1"], b""),
        (&["-c", "set", HERE, "2"], b""),
        (&["-c", "get", THERE], b""),
        (&["get", THERE], b""),
        (&["-e", "get", THERE], b""),
        (&["-c", "-e", "get", THERE], b""),
        (&["-c", "--json", "get", THERE], b""),
        (&["-c", "-3", "hgetall", THERE], b""),
        (&["-c", "-r", "2", "get", THERE], b""),
        (&["-c", "mget", THERE, HERE], b""),
        (&["-c"], b"set foo 1\nset bar 2\nget foo\nget bar\n"),
        (&["-c"], b"multi\nset foo 1\nget foo\nexec\n"),
        (&["-c", "-3"], b"get foo\nget bar\n"),
        (&["-c", "--csv"], b"get foo\nget bar\n"),
        (&["-c", "--raw"], b"get foo\nget bar\n"),
        (&[], b"get foo\nget bar\n"),
    ];
    for (args, stdin) in cases {
        compare(&first, args, stdin);
    }
    // A slot on its way to the first node: what is not there any more is asked for with ASKING.
    let (to, from) = (
        first.ask(&["cluster", "myid"]),
        second.ask(&["cluster", "myid"]),
    );
    second.ask(&["del", THERE]);
    for (node, word, id) in [(&first, "importing", &from), (&second, "migrating", &to)] {
        assert_eq!(node.ask(&["cluster", "setslot", "12182", word, id]), "OK");
    }
    compare(&second, &["-c"], b"set foo 9\nget foo\nget bar\n");
    compare(&second, &["-c", "get", THERE], b"");
    assert_eq!(second.ask(&["-c", "get", THERE]), "9");
}
