//! CONFIG side by side with the real servers: the same names, the same refusals.

use std::collections::BTreeSet;

use djr_protocol::Value;
use djr_server::{Config, Server};
use djr_tests::reference::{Connection, Reference, binaries};

/// A server of ours in this process, without TCP and without a log.
fn ours(dir: &std::path::Path) -> (Server, Connection) {
    let socket = dir.join("djr.socket");
    let mut config = Config::default()
        .with_dir(dir)
        .with_port(0)
        .with_threads(1)
        .with_append_only(false);
    let path = socket.to_str().expect("a path in UTF-8");
    config.set("unixsocket", path).expect("a path");
    let server = Server::start(config).expect("it starts");
    let connection = Connection::open(&socket).expect("it listens");
    (server, connection)
}

fn texts(reply: &Value) -> Vec<String> {
    let text = |value: &Value| {
        let bytes = value.as_bytes().unwrap_or_default();
        String::from_utf8_lossy(bytes).into_owned()
    };
    match reply {
        Value::Array(values) => values.iter().map(text).collect(),
        Value::Error(error) => vec![String::from_utf8_lossy(error).into_owned()],
        other => vec![text(other)],
    }
}

/// What a real server knows and we do not, and why. Nothing now.
const UNKNOWN: &[&str] = &[];

#[test]
fn every_parameter_of_a_real_server_is_known() {
    let dir = tempfile::tempdir().expect("a directory");
    let (_server, mut ours) = ours(dir.path());
    for binary in binaries() {
        let mut theirs = Reference::start(&binary);
        let names =
            |reply: &Value| -> BTreeSet<String> { texts(reply).into_iter().step_by(2).collect() };
        let theirs_names = names(&theirs.call(&[b"CONFIG", b"GET", b"*"]));
        let ours_names = names(&ours.call(&[b"CONFIG", b"GET", b"*"]));
        let missing: Vec<_> = theirs_names
            .difference(&ours_names)
            .filter(|name| !UNKNOWN.contains(&name.as_str()))
            .collect();
        assert!(missing.is_empty(), "{}: {missing:?}", theirs.version);
        assert!(
            theirs_names.len() > 150,
            "{}: {theirs_names:?}",
            theirs.version
        );
    }
}

/// Requests after which both must say the same. Values that differ by design are not among them.
const REQUESTS: &[&str] = &[
    "CONFIG SET timeout 5",
    "CONFIG GET timeout",
    "CONFIG GET TIMEOUT",
    "CONFIG GET nonexistent",
    "CONFIG GET hash-max-ziplist-entries",
    "CONFIG GET lua-time-limit",
    "CONFIG SET timeout abc",
    "CONFIG SET timeout -1",
    "CONFIG SET timeout 99999999999",
    "CONFIG SET timeout",
    "CONFIG SET timeout 1 hz",
    "CONFIG SET bogus 1",
    "CONFIG SET timeout 1 bogus 2",
    "CONFIG SET timeout 1 timeout 2",
    "CONFIG SET lua-time-limit 1 busy-reply-threshold 2",
    "CONFIG GET busy-reply-threshold",
    "CONFIG SET timeout 7 maxmemory 12qq",
    "CONFIG GET timeout",
    "CONFIG SET maxmemory -5",
    "CONFIG SET maxmemory 50%",
    "CONFIG SET maxmemory 1gb",
    "CONFIG GET maxmemory",
    "CONFIG SET maxmemory 0",
    "CONFIG SET maxmemory-policy foo",
    "CONFIG SET maxmemory-policy ALLKEYS-LFU",
    "CONFIG GET maxmemory-policy",
    "CONFIG SET appendfsync maybe",
    "CONFIG SET appendonly maybe",
    "CONFIG SET appendonly no",
    "CONFIG SET databases 5",
    "CONFIG SET dir /tmp",
    "CONFIG SET hz abc",
    "CONFIG SET hz 1000",
    "CONFIG GET hz",
    "CONFIG SET save x,y",
    "CONFIG SET save 60",
    "CONFIG SET save 3600,1,60,100",
    "CONFIG GET save",
    "CONFIG SET save ,",
    "CONFIG SET save 60,,1",
    "CONFIG SET save ''",
    "CONFIG GET save",
    "CONFIG SET client-output-buffer-limit normal,0,0",
    "CONFIG SET client-output-buffer-limit foo,1,1,1",
    "CONFIG SET client-output-buffer-limit normal,a,0,0",
    "CONFIG SET client-output-buffer-limit normal,1mb,512kb,5",
    "CONFIG GET client-output-buffer-limit",
    "CONFIG SET notify-keyspace-events KEA",
    "CONFIG GET notify-keyspace-events",
    "CONFIG SET notify-keyspace-events KE$gx",
    "CONFIG GET notify-keyspace-events",
    "CONFIG SET slowlog-log-slower-than -2",
    "CONFIG SET slowlog-max-len -1",
    "CONFIG SET proto-max-bulk-len 1",
    "CONFIG SET client-query-buffer-limit 1",
    "CONFIG SET oom-score-adj-values 1,2",
    "CONFIG SET oom-score-adj-values 1,2,99999",
    "CONFIG SET latency-tracking-info-percentiles 1,2,200",
    "CONFIG SET latency-tracking-info-percentiles x",
    "CONFIG SET latency-tracking-info-percentiles 50,99.95",
    "CONFIG GET latency-tracking-info-percentiles",
    "CONFIG SET shutdown-on-sigint nosave,save",
    "CONFIG SET shutdown-on-sigint save,force",
    "CONFIG GET shutdown-on-sigint",
    "CONFIG SET maxmemory-clients 5%",
    "CONFIG GET maxmemory-clients",
    "CONFIG SET maxmemory-clients 101%",
    "CONFIG SET list-max-listpack-size 99999999999999999999",
    "CONFIG SET list-max-listpack-size 5kb",
    "CONFIG SET unixsocketperm 777",
    "CONFIG SET activerehashing maybe",
    "CONFIG REWRITE",
    "CONFIG RESETSTAT",
    "CONFIG GET",
    "CONFIG FOO",
    "SHUTDOWN foo",
    "SHUTDOWN SAVE NOSAVE",
    "SHUTDOWN ABORT NOW",
    "SHUTDOWN ABORT",
];

#[test]
fn requests_are_answered_as_by_a_real_server() {
    for binary in binaries() {
        let dir = tempfile::tempdir().expect("a directory");
        let (_server, mut ours) = ours(dir.path());
        let mut theirs = Reference::start(&binary);
        println!("{}", theirs.version);
        let mut differences = Vec::new();
        for request in REQUESTS {
            // A comma stands for a space within a word, '' for an empty one.
            let words: Vec<_> = request
                .split(' ')
                .map(|word| word.replace(',', " ").replace("''", "").into_bytes())
                .collect();
            let words: Vec<_> = words.iter().map(Vec::as_slice).collect();
            let (our_reply, their_reply) = (texts(&ours.call(&words)), texts(&theirs.call(&words)));
            if our_reply != their_reply {
                differences.push(format!("{request}\n  {our_reply:?}\n  {their_reply:?}"));
            }
        }
        assert!(
            differences.is_empty(),
            "{}:\n{}",
            theirs.version,
            differences.join("\n")
        );
    }
}
