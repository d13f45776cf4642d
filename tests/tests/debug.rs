//! DEBUG DIGEST against Redis 7.0's, DEBUG RELOAD and LOADAOF under traffic.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use djr_tests::connection::Connection;
use djr_tests::ours::Ours;
use djr_tests::reference::{Reference, binaries};
use djr_tests::reply::Reply;

const DEBUG: (&str, &str) = ("enable-debug-command", "yes");

/// Commands that make values of all types, in the forms that files and digests could confuse.
fn data() -> Vec<String> {
    let numbered = |prefix: &str, count: usize| -> String {
        (0..count).map(|nth| format!(" {prefix}{nth}")).collect()
    };
    let pairs = |count: usize| -> String {
        (0..count)
            .map(|nth| format!(" f{nth} value{nth}"))
            .collect()
    };
    let scores: String = (0..300)
        .map(|nth| format!(" {}.1 m{nth}", nth * 7 % 100))
        .collect();
    let mut lines = vec![
        "SET int 12345".to_owned(),
        "SET text hello".to_owned(),
        format!("SET long {}", "abc".repeat(3000)),
        "SET expires soon PXAT 4000000000123".to_owned(),
        format!("RPUSH list 17 -1 x{}", numbered("e", 10)),
        format!("RPUSH quicklist{}", numbered(&"element".repeat(20), 500)),
        "SADD intset 1 2 3 -5 9223372036854775807".to_owned(),
        format!("SADD set{} 5", numbered("m", 20)),
        format!("SADD hashtable{} 7", numbered("m", 600)),
        "ZADD zset 1 a 2.5 b -inf c inf d 17179869184.5 e 0.1 f 1e300 g -0.0001 h 3e-7 i"
            .to_owned(),
        format!("ZADD skiplist{scores}"),
        format!("HSET hash{} 1 2", pairs(10)),
        format!("HSET bighash{}", pairs(700)),
        "PEXPIREAT bighash 4000000000999".to_owned(),
        "XADD stream 5-1 a 1 b two".to_owned(),
        "XADD stream 5-2 a 1 b two c 3".to_owned(),
        "XDEL stream 5-1".to_owned(),
        "XGROUP CREATE stream group 0".to_owned(),
        "SELECT 3".to_owned(),
        "SET other db".to_owned(),
        "SELECT 0".to_owned(),
    ];
    lines.extend((0..50).map(|nth| format!("XADD xlong 7-{} n {nth} t text{nth}", nth + 1)));
    lines
}

fn fill(connection: &mut Connection) {
    for line in data() {
        let reply = connection.run(&line);
        let shown = &line[..line.len().min(80)];
        assert!(!matches!(reply, Reply::Line(b'-', _)), "{shown}: {reply:?}");
    }
}

fn digest(connection: &mut Connection) -> String {
    match connection.run("DEBUG DIGEST") {
        Reply::Line(b'+', digest) => String::from_utf8(digest).expect("hexadecimal"),
        other => panic!("{other:?}"),
    }
}

/// The binary of a Redis 7.0, where one is installed.
fn redis_7_0() -> Option<std::path::PathBuf> {
    let is_it = |path: &Path| {
        let version = std::process::Command::new(path).arg("--version").output();
        version.is_ok_and(|output| {
            String::from_utf8_lossy(&output.stdout).contains("Redis server v=7.0")
        })
    };
    binaries().into_iter().find(|path| is_it(path))
}

#[test]
fn digests_are_those_of_redis() {
    let Some(binary) = redis_7_0() else {
        eprintln!("no Redis 7.0 here: nothing is compared");
        return;
    };
    let dir = tempfile::tempdir().expect("a directory");
    let theirs = Reference::start_in(&binary, None, dir, &["--enable-debug-command", "yes"]);
    let ours = Ours::start_with(2, &[DEBUG]);
    let (mut theirs, mut ours) = (theirs.connect(), ours.connect());
    assert_eq!(digest(&mut ours), digest(&mut theirs));
    fill(&mut theirs);
    fill(&mut ours);
    let Reply::Many(_, keys) = ours.run("KEYS *") else {
        panic!("keys");
    };
    for key in keys {
        let Reply::Text(_, key) = key else {
            panic!("a key");
        };
        let words: [&[u8]; 4] = [b"DEBUG", b"DIGEST-VALUE", &key, b"nokey"];
        let name = key.escape_ascii().to_string();
        assert_eq!(ours.call(&words), theirs.call(&words), "{name}");
    }
    assert_eq!(digest(&mut ours), digest(&mut theirs));
    for line in [
        "DEBUG RELOAD MERGE FOO",
        "DEBUG POPULATE x",
        "DEBUG POPULATE -1",
        "DEBUG POPULATE 1 k -2",
        "DEBUG POPULATE 1 k 1 1",
        "DEBUG DIGEST-VALUE",
        "DEBUG POPULATE 30",
        "DEBUG POPULATE 20 text 3",
        "DEBUG POPULATE 40 key 30",
        "GET key:35",
    ] {
        assert_eq!(ours.run(line), theirs.run(line), "{line}");
    }
    assert_eq!(digest(&mut ours), digest(&mut theirs));
}

#[test]
fn what_is_loaded_again_is_the_same() {
    let ours = Ours::start_with(2, &[DEBUG]);
    let mut client = ours.connect();
    fill(&mut client);
    let code = b"#!lua name=lib\nredis.register_function('one', function() return 1 end)";
    client.call(&[b"FUNCTION", b"LOAD", code]);
    let before = digest(&mut client);
    for line in ["DEBUG RELOAD", "DEBUG LOADAOF", "DEBUG RELOAD NOSAVE"] {
        assert_eq!(
            client.run(line),
            Reply::Line(b'+', b"OK".to_vec()),
            "{line}"
        );
        assert_eq!(digest(&mut client), before, "{line}");
        assert_eq!(client.run("FCALL one 0").integer(), Some(1), "{line}");
    }
    // The file is older: MERGE has it win, and the log hears of it.
    client.run("SET text changed");
    client.run("SET new key");
    assert!(matches!(
        client.run("DEBUG RELOAD NOFLUSH NOSAVE"),
        Reply::Line(b'-', _)
    ));
    client.run("DEBUG RELOAD NOFLUSH NOSAVE MERGE");
    let bulk = |text: &[u8]| Reply::Text(b'$', text.to_vec());
    assert_eq!(client.run("GET text"), bulk(b"hello"));
    assert_eq!(client.run("GET new"), bulk(b"key"));
    client.run("DEL new");
    assert_eq!(digest(&mut client), before);
    client.run("DEBUG LOADAOF");
    assert_eq!(digest(&mut client), before);
}

/// Others write all the time; what is acknowledged is there, whatever is loaded again meanwhile.
#[test]
fn nothing_is_lost_while_others_write() {
    let ours = Ours::start_with(3, &[DEBUG]);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let mut client = ours.connect();
                let stop = &stop;
                scope.spawn(move || {
                    let mut acknowledged = 0;
                    while !stop.load(Relaxed) {
                        let reply = client.run(&format!("INCR counter:{writer}"));
                        match reply.integer() {
                            Some(count) => {
                                acknowledged += 1;
                                assert_eq!(count, acknowledged);
                            }
                            None => {
                                let Reply::Line(b'-', text) = reply else {
                                    panic!("{reply:?}")
                                };
                                assert!(text.starts_with(b"LOADING"));
                            }
                        }
                    }
                    acknowledged
                })
            })
            .collect();
        let mut client = ours.connect();
        for round in 0..20 {
            let line = ["DEBUG RELOAD", "DEBUG LOADAOF"][round % 2];
            assert_eq!(
                client.run(line),
                Reply::Line(b'+', b"OK".to_vec()),
                "{line}"
            );
        }
        stop.store(true, Relaxed);
        for (writer, thread) in writers.into_iter().enumerate() {
            let acknowledged = thread.join().expect("no panic");
            let count = client.run(&format!("GET counter:{writer}"));
            let expected = match acknowledged {
                0 => continue,
                count => Reply::Text(b'$', count.to_string().into_bytes()),
            };
            assert_eq!(count, expected, "writer {writer}");
        }
    });
}

#[test]
fn a_damaged_file_changes_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("dump.rdb");
    let ours = Ours::start_in(2, dir, &[DEBUG]);
    let mut client = ours.connect();
    fill(&mut client);
    client.run("SAVE");
    let before = digest(&mut client);
    let whole = std::fs::read(&path).expect("the snapshot");
    for damage in [0, 5, whole.len() / 2, whole.len() - 3] {
        let mut bytes = whole.clone();
        bytes[damage] ^= 1;
        std::fs::write(&path, &bytes).expect("it is written");
        let reply = client.run("DEBUG RELOAD NOSAVE");
        assert!(matches!(reply, Reply::Line(b'-', _)), "{damage}: {reply:?}");
        assert_eq!(digest(&mut client), before);
    }
    std::fs::remove_file(&path).expect("it is removed");
    let reply = client.run("DEBUG RELOAD NOSAVE");
    assert!(matches!(reply, Reply::Line(b'-', _)), "{reply:?}");
    assert_eq!(digest(&mut client), before);
}
