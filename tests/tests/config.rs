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

/// Parameters whose default or values differ, and why.
const DIFFERENT: &[(&str, &str)] = &[
    ("aclfile", "as the tests start them"),
    ("activedefrag", "theirs need a special allocator"),
    ("appendonly", "on here, and as the tests start them"),
    ("bind", "as the tests start them"),
    (
        "cluster-announce-human-nodename",
        "not looked at before there is a cluster",
    ),
    (
        "cluster-link-sendbuf-limit",
        "a number that is too large has another text",
    ),
    ("dir", "as the tests start them"),
    ("io-threads", "the number of workers, fixed at the start"),
    (
        "locale-collate",
        "depends on the system, and has no effect here",
    ),
    ("maxclients", "depends on the system"),
    (
        "maxmemory-clients",
        "a number that is too large has another text",
    ),
    (
        "min-replicas-to-write",
        "refused until there is replication",
    ),
    ("min-slaves-to-write", "refused until there is replication"),
    ("port", "as the tests start them"),
    ("rdma-bind", "RDMA: the text is ours"),
    ("rdma-port", "RDMA: the text is ours"),
    (
        "repl-backlog-size",
        "not rounded up before there is replication",
    ),
    (
        "replica-full-sync-buffer-limit",
        "a number that is too large has another text",
    ),
    ("requirepass", "would end the comparison"),
    ("save", "as the tests start them"),
    ("tls-cluster", "refused until there is a cluster"),
    (
        "tls-replication",
        "accepted, though there is no replication yet",
    ),
    ("tls-port", "fixed at the start"),
    ("unixsocket", "as the tests start them"),
];

/// What most parameters can't be set to.
const VALUES: &[&[u8]] = &[
    b"",
    b"abc",
    b"-1",
    b"-5",
    b"0",
    b"1",
    b"yes",
    b"NO",
    b"maybe",
    b"99999999999999999999",
    b"1.5",
    b"5kb",
    b"10%",
    b"200%",
    b"a b",
    b"1 2 3",
    b"foo:1",
    b"\xff",
];

/// For each parameter: its default, what it says to each value, and what it is then.
fn answers(connection: &mut dyn FnMut(&[&[u8]]) -> Value, name: &str) -> Vec<Vec<String>> {
    let name = name.as_bytes();
    let before = texts(&connection(&[b"CONFIG", b"GET", name]));
    let mut answers = vec![before.clone()];
    for value in VALUES {
        answers.push(texts(&connection(&[b"CONFIG", b"SET", name, value])));
        answers.push(texts(&connection(&[b"CONFIG", b"GET", name])));
    }
    if let Some(value) = before.get(1) {
        connection(&[b"CONFIG", b"SET", name, value.as_bytes()]);
    }
    answers
}

/// Servers differ among themselves: each answer must be that of one of them.
#[test]
fn defaults_and_refusals_are_those_of_a_real_server() {
    let mut theirs: Vec<_> = binaries()
        .iter()
        .map(|binary| Reference::start(binary))
        .collect();
    if theirs.is_empty() {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let (_server, mut ours) = ours(dir.path());
    let mut names = BTreeSet::new();
    for server in &mut theirs {
        let reply = server.call(&[b"CONFIG", b"GET", b"*"]);
        names.extend(texts(&reply).into_iter().step_by(2));
    }
    let mut differences = Vec::new();
    for name in names {
        if DIFFERENT.iter().any(|(known, _)| *known == name) {
            continue;
        }
        let of_theirs: Vec<_> = theirs
            .iter_mut()
            .map(|server| answers(&mut |words| server.call(words), &name))
            .collect();
        let of_ours = answers(&mut |words| ours.call(words), &name);
        for (index, answer) in of_ours.iter().enumerate() {
            if of_theirs.iter().all(|theirs| theirs[index] != *answer) {
                let value = VALUES.get(index.saturating_sub(1) / 2);
                let value =
                    value.map_or_else(String::new, |value| value.escape_ascii().to_string());
                let last = of_theirs.last().map(|theirs| &theirs[index]);
                differences.push(format!("{name} '{value}': {answer:?}, theirs {last:?}"));
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
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
