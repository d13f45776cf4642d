//! The prompt on a real terminal, which `script(1)` makes.

#![allow(clippy::unwrap_used)]

mod support;

use support::{FakeServer, has_terminal, run};

const OURS: &str = env!("CARGO_BIN_EXE_djr-cli");

#[test]
fn answers_and_remembers_everything_but_passwords() {
    if !has_terminal() {
        return;
    }
    let server = FakeServer::start(b"*2\r\n:1\r\n$1\r\na\r\n", true);
    let home = tempfile::tempdir().unwrap();
    let line = format!("{OURS} -n 2 -p {}", server.port);
    let outcome = run(
        "script",
        &["-qec", &line, "/dev/null"],
        &[("HOME", home.path().to_str().unwrap()), ("TERM", "xterm")],
        b"lrange k 0 -1\rauth hunter2\rselect 3\rmulti\rget \"open\rmore\"\rquit\r",
    );
    let screen = String::from_utf8_lossy(&outcome.stdout).into_owned();
    assert_eq!(outcome.status, Some(0), "{screen}");
    for expected in [
        "1) (integer) 1\r\n2) \"a\"\r\n",
        "[2]> ",
        "[3]> ",
        "[3](TX)> ",
    ] {
        assert!(screen.contains(expected), "{expected:?} is not in {screen}");
    }
    assert_eq!(
        server.take_log(),
        [
            "SELECT 2",
            "lrange k 0 -1",
            "auth hunter2",
            "select 3",
            "multi",
            "get open\\nmore"
        ]
    );
    let history = std::fs::read_to_string(home.path().join(".djrcli_history")).unwrap();
    assert!(history.contains("lrange k 0 -1\n"), "{history}");
    assert!(!history.contains("hunter2"), "{history}");
}

#[test]
fn a_server_that_is_not_there_is_told_and_the_prompt_stays() {
    if !has_terminal() {
        return;
    }
    let line = format!("{OURS} -p 1");
    let env = [("DJRCLI_HISTFILE", "/dev/null"), ("TERM", "xterm")];
    let outcome = run(
        "script",
        &["-qec", &line, "/dev/null"],
        &env,
        b"get k\rquit\r",
    );
    let screen = String::from_utf8_lossy(&outcome.stdout).into_owned();
    let refused = "Could not connect to Redis at 127.0.0.1:1: Connection refused";
    assert_eq!(screen.matches(refused).count(), 2, "{screen}");
    assert!(screen.contains("not connected> "), "{screen}");
    assert_eq!(outcome.status, Some(0), "{screen}");
}
