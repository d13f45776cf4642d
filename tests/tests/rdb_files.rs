//! Files of real servers in DJR, and ours in theirs: `dump.rdb`, logs with a snapshot as base, an old AOF with a snapshot at its head.

use std::collections::BTreeMap;
use std::path::Path;

use djr_storage::keyspace::{Footprint, Keyspace, KeyspaceOptions};
use djr_storage::rdb::{
    EntryFacts, FileHeader, FileWriter, LoadOptions, LoadProgress, Loading, VERSION_OF_FIELD_EXPIRY,
};
use djr_tests::connection::Connection;
use djr_tests::ours::Ours;
use djr_tests::reference::{Reference, binaries};
use djr_tests::reply::Reply;

/// Fills every type in every form that a server keeps it in.
fn fill(connection: &mut Connection, fields_expire: bool) {
    let mut run = |line: String| {
        let words: Vec<Vec<u8>> = line
            .split(' ')
            .map(|word| word.as_bytes().to_vec())
            .collect();
        let words: Vec<&[u8]> = words.iter().map(|word| &word[..]).collect();
        let reply = connection.call(&words);
        assert!(
            !matches!(reply, Reply::Line(b'-', _)),
            "{}: {reply:?}",
            &line[..line.len().min(80)]
        );
    };
    let numbered = |prefix: &str, count: usize| -> String {
        (0..count).map(|nth| format!(" {prefix}{nth}")).collect()
    };
    let pairs = |count: usize, value: &str| -> String {
        (0..count)
            .map(|nth| format!(" field{nth} {value}{nth}"))
            .collect()
    };
    for integer in [
        "0",
        "-1",
        "12345",
        "70000",
        "-2147483649",
        "9223372036854775807",
    ] {
        run(format!("SET string:int:{integer} {integer}"));
    }
    run("SET string:embstr hello".into());
    run(format!(
        "SET string:raw {}",
        numbered("", 40).replace(' ', "")
    ));
    run(format!("SET string:compressed {}", "abc".repeat(3000)));
    run(format!("SET string:large {}", "x".repeat(100_000)));
    run("SET string:expires soon PXAT 4000000000123".into());
    run("SET string:expired gone PX 1".into());
    run(format!("RPUSH list:listpack{} 17 -1", numbered("e", 10)));
    run(format!(
        "RPUSH list:quicklist{}",
        numbered(&"element".repeat(20), 1000)
    ));
    run(format!(
        "RPUSH list:plain small {} small",
        "y".repeat(20_000)
    ));
    run("SADD set:intset16 1 2 3 -5".into());
    run("SADD set:intset64 1 2 3 9223372036854775807".into());
    run(format!("SADD set:listpack{} 5", numbered("m", 20)));
    run(format!(
        "SADD set:hashtable{} {}",
        numbered("m", 600),
        "z".repeat(300)
    ));
    run("ZADD zset:listpack 1 a 2.5 b -inf c inf d 17179869184.5 e".into());
    let members: String = (0..400)
        .map(|nth| format!(" {}.25 member{nth}", nth * 7 % 100))
        .collect();
    run(format!("ZADD zset:skiplist{members}"));
    run(format!("HSET hash:listpack{}", pairs(10, "v")));
    run(format!("HSET hash:hashtable{}", pairs(700, "value")));
    run("PEXPIREAT hash:hashtable 4000000000999".into());
    if fields_expire {
        run(format!("HSET hash:timed:small{}", pairs(6, "")));
        run("HPEXPIREAT hash:timed:small 4000000000123 FIELDS 2 field0 field3".into());
        run(format!("HSET hash:timed:large{}", pairs(600, "v")));
        run("HPEXPIREAT hash:timed:large 4000000000456 FIELDS 2 field1 field599".into());
    }
    for nth in 1..=250 {
        run(format!("XADD stream:long 5-{nth} a {nth} b text{nth}"));
    }
    run("XADD stream:long 9-1 other fields".into());
    run("XDEL stream:long 5-10 5-11".into());
    run("XGROUP CREATE stream:long group 5-3".into());
    run("XREADGROUP GROUP group alice COUNT 4 STREAMS stream:long >".into());
    run("XREADGROUP GROUP group bob COUNT 2 STREAMS stream:long >".into());
    run("XACK stream:long group 5-4".into());
    run("XGROUP CREATE stream:empty group $ MKSTREAM".into());
    run("SELECT 3".into());
    run("SET other db".into());
    run("SELECT 0".into());
    let code = b"#!lua name=lib\nredis.register_function('one', function() return 1 end)";
    let reply = connection.call(&[b"FUNCTION", b"LOAD", code]);
    assert!(!matches!(reply, Reply::Line(b'-', _)), "{reply:?}");
}

/// What a server has: per db and key everything that can be asked about it.
fn contents(connection: &mut Connection) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for db in [0, 3] {
        connection.run(&format!("SELECT {db}"));
        let Reply::Many(_, keys) = connection.run("KEYS *") else {
            panic!("an array of keys");
        };
        for key in keys {
            let Reply::Text(_, key) = key else {
                panic!("a key")
            };
            let name = format!("{db} {}", key.escape_ascii());
            let Reply::Line(_, kind) = connection.call(&[b"TYPE", &key]) else {
                panic!("a type");
            };
            let sorted = |reply: Reply| match reply {
                Reply::Many(kind, mut elements) => {
                    elements.sort_by_key(|element| format!("{element:?}"));
                    Reply::Many(kind, elements)
                }
                other => other,
            };
            let mut text = format!("{:?}", connection.call(&[b"PEXPIRETIME", &key]));
            let mut ask = |words: &[&[u8]], is_sorted: bool| {
                let reply = connection.call(words);
                let reply = if is_sorted { sorted(reply) } else { reply };
                text += &format!("\n{reply:?}");
            };
            match kind.as_slice() {
                b"string" => ask(&[b"GET", &key], false),
                b"list" => ask(&[b"LRANGE", &key, b"0", b"-1"], false),
                b"set" => ask(&[b"SMEMBERS", &key], true),
                b"zset" => ask(&[b"ZRANGE", &key, b"0", b"-1", b"WITHSCORES"], false),
                b"hash" => {
                    ask(&[b"HKEYS", &key], true);
                    ask(&[b"HVALS", &key], true);
                    if key.starts_with(b"hash:timed") {
                        ask(
                            &[
                                b"HPEXPIRETIME",
                                &key,
                                b"FIELDS",
                                b"5",
                                b"field0",
                                b"field1",
                                b"field2",
                                b"field3",
                                b"field599",
                            ],
                            false,
                        );
                    }
                }
                _ => {
                    ask(&[b"XRANGE", &key, b"-", b"+"], false);
                    ask(&[b"XPENDING", &key, b"group"], false);
                    ask(
                        &[b"XPENDING", &key, b"group", b"-", b"+", b"100", b"alice"],
                        false,
                    );
                    ask(&[b"XINFO", b"GROUPS", &key], false);
                    // Ids deleted, entries ever added, the last id.
                    if let Reply::Many(_, fields) = connection.call(&[b"XINFO", b"STREAM", &key]) {
                        let wanted = [
                            "length",
                            "last-generated-id",
                            "max-deleted-entry-id",
                            "entries-added",
                        ];
                        for pair in fields.chunks(2) {
                            if let [Reply::Text(_, name), value] = pair
                                && wanted.iter().any(|wanted| wanted.as_bytes() == &name[..])
                            {
                                text += &format!("\n{value:?}");
                            }
                        }
                    }
                }
            }
            // How long ago something was pending is not the same a moment later.
            let text = if key.starts_with(b"stream") {
                without_times(&text)
            } else {
                text
            };
            if !key.starts_with(b"string:expired") {
                all.insert(name, text);
            }
        }
    }
    connection.run("SELECT 0");
    all.insert(
        "functions".into(),
        format!("{:?}", connection.run("FCALL one 0")),
    );
    all
}

/// The idle times of pending entries, in the answer of XPENDING, are taken out.
fn without_times(text: &str) -> String {
    let lines = text.lines().enumerate();
    let kept: Vec<_> = lines
        .filter(|(nth, _)| *nth != 3)
        .map(|(_, line)| line)
        .collect();
    kept.join("\n")
}

fn same(theirs: &BTreeMap<String, String>, ours: &BTreeMap<String, String>, what: &str) {
    let keys = |all: &BTreeMap<String, String>| all.keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(theirs), keys(ours), "{what}");
    for (key, value) in theirs {
        let shown = |text: &String| text.chars().take(300).collect::<String>();
        assert!(
            value == &ours[key],
            "{what}, {key}: {} is not {}",
            shown(value),
            shown(&ours[key])
        );
    }
}

/// Copies a directory with one level of others in it.
fn copy(from: &Path) -> tempfile::TempDir {
    let to = tempfile::tempdir().expect("a temporary directory");
    let mut left = vec![(from.to_owned(), to.path().to_owned())];
    while let Some((from, to)) = left.pop() {
        std::fs::create_dir_all(&to).expect("a directory");
        for entry in std::fs::read_dir(from).expect("a directory") {
            let entry = entry.expect("an entry");
            let (from, to) = (entry.path(), to.join(entry.file_name()));
            if from.is_dir() {
                left.push((from, to));
            } else if from.is_file() {
                std::fs::copy(from, to).expect("it is copied");
            }
        }
    }
    to
}

/// Reads a file of theirs and writes one of ours.
fn rewritten(dump: &Path) -> Vec<u8> {
    let bytes = std::fs::read(dump).expect("the server has written it");
    let keyspace = Keyspace::new(KeyspaceOptions::default());
    let progress = LoadProgress::default();
    let options = LoadOptions {
        checksum: true,
        ..LoadOptions::default()
    };
    let loading = Loading::new(&bytes, &keyspace, options, &progress).expect("a file");
    std::thread::scope(|scope| {
        scope.spawn(|| loading.work());
        scope.spawn(|| loading.work());
    });
    let report = loading.finish().expect("a whole file");
    assert_eq!(report.end, bytes.len() as u64);
    let timed = (0..keyspace.dbs()).any(|db| keyspace.sub_expires_len(db) > 0);
    let mut header = FileHeader::default();
    if timed {
        header.version = VERSION_OF_FIELD_EXPIRY;
    }
    let mut file = FileWriter::new(Vec::new(), &header).expect("it fits");
    for code in &report.functions {
        file.function(code).expect("it fits");
    }
    let access = keyspace.open(Footprint::ALL, 0);
    for db in 0..keyspace.dbs() {
        if keyspace.is_empty(db) {
            continue;
        }
        file.select_db(db, keyspace.len(db) as u64, 0)
            .expect("it fits");
        access.db(db).for_each(|entry| {
            let facts = EntryFacts::expiring(entry.expire_at());
            file.entry(entry.key(), entry.value(), &facts, 0)
                .expect("it fits");
        });
    }
    file.finish().expect("it fits")
}

#[test]
fn snapshots_go_both_ways() {
    for binary in binaries() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut theirs = Reference::start_in(&binary, None, dir, &[]);
        let fields_expire = theirs.major() >= 8;
        let mut connection = theirs.connect();
        fill(&mut connection, fields_expire);
        theirs.call(&[b"SAVE"]);
        let wanted = contents(&mut connection);
        assert!(wanted.len() > 25);
        let dump = theirs.dir().join("dump.rdb");

        // A server without a log; one that makes its log from the snapshot; and that one once more, from its log.
        let home = tempfile::tempdir().expect("a temporary directory");
        std::fs::copy(&dump, home.path().join("dump.rdb")).expect("it is copied");
        let again = copy(home.path());
        let ours = Ours::start_in(2, home, &[("appendonly", "no")]);
        same(&wanted, &contents(&mut ours.connect()), &theirs.version);
        let info = ours.connect().run("INFO persistence");
        let Reply::Text(_, info) = info else {
            panic!("a text")
        };
        let info = String::from_utf8_lossy(&info).into_owned();
        assert!(
            info.contains(&format!(
                "rdb_last_load_keys_loaded:{}\r\n",
                wanted.len() - 1
            )),
            "{info}"
        );
        assert!(info.contains("rdb_last_load_keys_expired:"), "{info}");
        drop(ours);
        let path = again.path().to_owned();
        let ours = Ours::start_in(2, again, &[("appendonly", "yes")]);
        ours.connect().run("SET later x");
        let after = copy(&path);
        drop(ours);
        std::fs::remove_file(after.path().join("dump.rdb")).expect("the snapshot is still there");
        let ours = Ours::start_in(2, after, &[("appendonly", "yes")]);
        let mut found = contents(&mut ours.connect());
        assert!(
            found.remove("0 later").is_some(),
            "what was written since is there, too"
        );
        same(
            &wanted,
            &found,
            &format!("{}, from the log", theirs.version),
        );
        drop(ours);

        // Back again, if it knows version 11, that of Redis 7.2. Valkey has a form of its own for fields that expire, and refuses version 12.
        if theirs.version.starts_with("redis 7.0") {
            continue;
        }
        let home = tempfile::tempdir().expect("a temporary directory");
        if fields_expire && theirs.is_valkey() {
            connection.run("DEL hash:timed:small hash:timed:large");
            theirs.call(&[b"SAVE"]);
        }
        let wanted = contents(&mut connection);
        std::fs::write(home.path().join("dump.rdb"), rewritten(&dump)).expect("it is written");
        let back = Reference::start_in(&binary, None, home, &[]);
        same(
            &wanted,
            &contents(&mut back.connect()),
            &format!("{}, our file", theirs.version),
        );
    }
}

#[test]
fn logs_with_a_snapshot_as_base_are_loaded() {
    for binary in binaries() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let directives = ["--appendonly", "yes", "--aof-use-rdb-preamble", "yes"];
        let theirs = Reference::start_in(&binary, None, dir, &directives);
        let mut connection = theirs.connect();
        fill(&mut connection, theirs.major() >= 8);
        connection.run("BGREWRITEAOF");
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
        loop {
            let Reply::Text(_, info) = connection.run("INFO persistence") else {
                panic!("a text");
            };
            let info = String::from_utf8_lossy(&info).into_owned();
            if info.contains("aof_rewrite_in_progress:0")
                && info.contains("aof_rewrite_scheduled:0")
            {
                break;
            }
            assert!(std::time::Instant::now() < deadline, "{info}");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        connection.run("RPUSH list:listpack later");
        let wanted = contents(&mut connection);
        drop(connection);
        let files = copy(theirs.dir());
        let _ = std::fs::remove_file(files.path().join("dump.rdb"));

        // As Redis before version 7 had it: one file, a snapshot and then commands.
        let old = tempfile::tempdir().expect("a temporary directory");
        let part = |end: &str| {
            let names = std::fs::read_dir(files.path().join("appendonlydir")).expect("a directory");
            let mut paths: Vec<_> = names
                .map(|entry| entry.expect("an entry").path())
                .filter(|path| path.to_string_lossy().ends_with(end))
                .collect();
            paths.sort();
            std::fs::read(paths.pop().expect("there is one")).expect("it is read")
        };
        let bytes = [part(".base.rdb"), part(".incr.aof")].concat();
        std::fs::write(old.path().join("appendonly.aof"), bytes).expect("it is written");

        for (dir, what) in [(files, "files"), (old, "one old file")] {
            let ours = Ours::start_in(2, dir, &[("appendonly", "yes")]);
            let found = contents(&mut ours.connect());
            same(&wanted, &found, &format!("{}, {what}", theirs.version));
        }
    }
}

#[test]
fn a_damaged_snapshot_is_refused_by_name_offset_and_key() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let mut file = FileWriter::new(Vec::new(), &FileHeader::default()).expect("it fits");
    file.select_db(0, 1, 0).expect("it fits");
    file.raw_entry(b"bad", 11, b"\x03abc", &EntryFacts::default())
        .expect("it fits");
    let path = home.path().join("dump.rdb");
    std::fs::write(&path, file.finish().expect("it fits")).expect("it is written");
    let config = djr_server::Config::default()
        .with_free_port()
        .with_dir(home.path())
        .with_threads(1);
    let Err(error) = djr_server::Server::start(config) else {
        panic!("it starts");
    };
    let error = error.to_string();
    assert!(
        error.contains("dump.rdb can't be loaded: offset "),
        "{error}"
    );
    assert!(
        error.contains(", key 'bad': the value is cut off"),
        "{error}"
    );
    // Nothing that another start could take for a log.
    let again = djr_server::Config::default()
        .with_free_port()
        .with_dir(home.path())
        .with_threads(1);
    assert!(djr_server::Server::start(again).is_err());
}
