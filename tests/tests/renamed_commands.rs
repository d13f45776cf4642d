//! `rename-command`: what clients can call, side by side with the real servers; and what the log keeps.

use djr_tests::killable::Killable;
use djr_tests::reference::{Reference, binaries};
use djr_tests::reply::Reply;

/// One after the other: names that have become free can be given again.
const RENAMES: &[(&str, &str)] = &[
    ("CONFIG", "b840fc02d524045429941cc15f59e41cb7be6c52"),
    ("flushall", ""),
    ("get", "Fetch"),
    ("set", "get"),
    ("fetch", "retrieve"),
    ("debug", "flushall"),
    ("eval", "EVALUATE"),
    ("function", "func"),
    ("blpop", "take"),
    ("multi", "begin-it"),
    ("spop", "s"),
];

const LINES: &[&str] = &[
    "set k v",
    "get k v",
    "GET k w EX",
    "retrieve k",
    "RETRIEVE",
    "fetch k",
    "flushall",
    "flushall jmap x y",
    "config get maxmemory",
    "b840fc02d524045429941cc15f59e41cb7be6c52 GET maxmemory",
    "B840FC02D524045429941CC15F59E41CB7BE6C52 GET maxmemory",
    "b840fc02d524045429941cc15f59e41cb7be6c52",
    "b840fc02d524045429941cc15f59e41cb7be6c52 nosuch",
    "b840fc02d524045429941cc15f59e41cb7be6c5 GET maxmemory",
    "b840fc02d524045429941cc15f59e41cb7be6c52| GET maxmemory",
    "evaluate return(redis.call('retrieve','k')) 0",
    "evaluate return(redis.pcall('set','k','v').err==nil) 0",
    "eval return(1) 0",
    "begin-it",
    "get k in",
    "set k in",
    "exec",
    "begin-it",
    "take list 0",
    "retrieve k",
    "exec",
    "discard",
    "multi",
    "command getkeys get k v",
    "command getkeys set k v",
    "command info get",
    "command info set",
    "command info fetch",
    "command info retrieve",
    "command info flushall",
    "command info b840fc02d524045429941cc15f59e41cb7be6c52|get",
    "command info config|get",
    "acl setuser default -set",
    "get k v",
    "acl setuser default +set -get",
    "retrieve k",
    "acl setuser default +@all",
    "acl setuser default -retrieve",
    "acl dryrun default get k v",
    "acl dryrun default set k v",
];

fn directives() -> impl Iterator<Item = &'static str> {
    let words = |(from, to): &(&'static str, &'static str)| ["--rename-command", *from, *to];
    RENAMES.iter().flat_map(words)
}

#[test]
fn clients_call_what_they_can_call_in_real_servers() {
    let words: Vec<&str> = directives().collect();
    for binary in binaries() {
        let dir = || tempfile::tempdir().expect("a directory");
        let theirs = Reference::start_in(&binary, None, dir(), &words);
        let data = dir();
        let ours = Killable::start(data.path(), &words);
        let (mut ours, mut their_client) = (ours.connect(), theirs.connect());
        for line in LINES {
            // Redis 8 knows the own name of the command that it has executed last.
            assert_eq!(ours.run("echo between"), their_client.run("echo between"));
            let (left, right) = (ours.run(line), their_client.run(line));
            let is_same = match line.split_whitespace().next() {
                // What is told about a command differs between versions; that there is one must not.
                Some("command") if line.contains("info") => is_command(&left) == is_command(&right),
                // Redis 7.0 says it in other words.
                _ if theirs.is_old() && right.text().starts_with(b"NOPERM") => left.is_error(),
                _ => left == right,
            };
            let version = &theirs.version;
            assert!(
                is_same,
                "{version}: {line}\n  ours:   {left}\n  theirs: {right}"
            );
        }
    }
}

fn is_command(info: &Reply) -> bool {
    !info.items()[0].items().is_empty()
}

#[test]
fn the_log_is_read_without_the_new_names() {
    let dir = tempfile::tempdir().expect("a directory");
    let words: Vec<&str> = directives().collect();
    let server = Killable::start(dir.path(), &words);
    let mut client = server.connect();
    let library = "#!lua name=lib\nredis.register_function('f',function()return(7)end)";
    let write: &[&[&[u8]]] = &[
        &[b"get", b"a", b"alone"],
        &[b"begin-it"],
        &[b"get", b"b", b"transaction"],
        &[b"incr", b"n"],
        &[b"exec"],
        &[b"evaluate", b"redis.call('get','c','script')", b"0"],
        &[b"func", b"load", library.as_bytes()],
        &[b"sadd", b"s", b"member"],
        &[b"s", b"s"],
        &[b"rpush", b"list", b"x", b"y"],
        &[b"take", b"list", b"0"],
    ];
    for words in write {
        let reply = client.call(words);
        assert!(!reply.is_error(), "{reply}");
    }
    // A request that is not one by one.
    client.send_bytes(b"get d inline\r\n");
    client.read();
    server.kill();
    let again = Killable::start(dir.path(), &[]);
    let mut client = again.connect();
    for (line, value) in [
        ("get a", "alone"),
        ("get b", "transaction"),
        ("get n", "1"),
        ("get c", "script"),
        ("get d", "inline"),
        ("fcall f 0", "7"),
        ("exists s", "0"),
        ("lindex list 0", "y"),
    ] {
        assert_eq!(client.run(line).text(), value.as_bytes(), "{line}");
    }
}
