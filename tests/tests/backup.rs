//! Backups over a connection: what `redis-cli --rdb` and `--functions-rdb` ask for.

use djr_tests::connection::Connection;
use djr_tests::ours::Ours;

/// The file that SYNC sends after these words.
fn backup(server: &Ours, words: &[&str]) -> Vec<u8> {
    let mut connection = server.connect();
    for words in words {
        assert_eq!(connection.run(&format!("REPLCONF {words}")).text(), b"OK");
    }
    assert!(connection.run("SYNC more").is_error());
    connection.send_bytes(b"SYNC\r\n");
    read_file(&mut connection)
}

/// The length in a line, and so many bytes: a bulk string without a line's end. Then the connection ends.
fn read_file(connection: &mut Connection) -> Vec<u8> {
    let all = connection.read_to_end();
    let end = all.iter().position(|byte| *byte == b'\n').expect("a line");
    let line = std::str::from_utf8(&all[..end]).expect("text").trim();
    let len: usize = line
        .strip_prefix('$')
        .expect("a length")
        .parse()
        .expect("a number");
    assert_eq!(all.len(), end + 1 + len);
    all[end + 1..].to_vec()
}

fn load(dir: &std::path::Path, file: &[u8]) -> djr_server::Server {
    std::fs::write(dir.join("dump.rdb"), file).expect("a file");
    let config = djr_server::Config::from_args(["--save", ""]).expect("they are right");
    let config = config
        .with_dir(dir)
        .with_free_port()
        .with_append_only(false);
    djr_server::Server::start(config).expect("it loads the file")
}

#[test]
fn a_backup_is_the_state_of_one_moment() {
    let server = Ours::start(2);
    let mut client = server.connect();
    let library = b"#!lua name=lib\nredis.register_function('f', function() return 1 end)";
    assert_eq!(client.call(&[b"FUNCTION", b"LOAD", library]).text(), b"lib");
    for key in 0..2000 {
        let value = "v".repeat(2000);
        client.run(&format!("SET key:{key} {value}{key}"));
    }
    client.run("RPUSH list a b c");
    // Others write meanwhile, pairs that belong together.
    let stop = std::sync::atomic::AtomicBool::new(false);
    let files = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut writer = server.connect();
            for number in 0.. {
                if stop.load(std::sync::atomic::Ordering::Relaxed) {
                    break;
                }
                writer.run(&format!("MSET pair:1 {number} pair:2 {number}"));
            }
        });
        let files = [
            backup(&server, &["rdb-only 1"]),
            backup(&server, &["capa eof", "rdb-only 1"]),
        ];
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        files
    });
    for file in files {
        let dir = tempfile::tempdir().expect("a directory");
        let loaded = load(dir.path(), &file);
        let mut copy = Connection::open(loaded.addresses()[0]);
        assert_eq!(copy.run("LRANGE list 0 -1").items().len(), 3);
        assert_eq!(copy.run("FCALL f 0").text(), b"1");
        for key in [0, 1, 777, 1999] {
            let (copied, original) = (
                format!("GET key:{key}"),
                client.run(&format!("GET key:{key}")),
            );
            assert_eq!(copy.run(&copied), original);
        }
        assert_eq!(copy.run("GET pair:1"), copy.run("GET pair:2"));
    }
    let only_functions = backup(&server, &["rdb-only 1", "rdb-filter-only functions"]);
    assert!(only_functions.len() < 1000);
    let dir = tempfile::tempdir().expect("a directory");
    let loaded = load(dir.path(), &only_functions);
    let mut copy = Connection::open(loaded.addresses()[0]);
    assert_eq!(copy.run("DBSIZE").text(), b"0");
    assert_eq!(copy.run("FCALL f 0").text(), b"1");
}

/// A client that reads slowly gets its file all the same, with little memory of the server's; one that goes is forgotten.
#[test]
fn a_large_backup_waits_for_its_reader() {
    let server = Ours::start(1);
    let mut client = server.connect();
    client.call(&[
        b"CONFIG",
        b"SET",
        b"client-output-buffer-limit",
        b"normal 8mb 0 0",
    ]);
    client.run("CONFIG SET rdbcompression no");
    let value = vec![b'v'; 1 << 20];
    for key in 0..40 {
        client.call(&[b"SET", format!("key:{key}").as_bytes(), &value]);
    }
    let (mut slow, mut gone) = (server.connect(), server.connect());
    for connection in [&mut slow, &mut gone] {
        connection.run("REPLCONF rdb-only 1");
        connection.send_bytes(b"SYNC\r\n");
    }
    std::thread::sleep(std::time::Duration::from_millis(300));
    drop(gone);
    assert_eq!(client.run("PING").text(), b"PONG");
    let file = read_file(&mut slow);
    assert!(file.len() > 40 << 20);
    assert!(file.starts_with(b"REDIS00"));
    // The one that went has been forgotten, too.
    client.wait_for_info("connected_clients:1\r\n");
}

/// Each takes a file as large as the data until it has been read: there are not many at once.
#[test]
fn unread_backups_are_few() {
    let server = Ours::start(2);
    let mut client = server.connect();
    client.run("CONFIG SET rdbcompression no");
    let value = vec![b'v'; 20 << 20];
    client.call(&[b"SET", b"key", &value]);
    let ask = |connection: &mut Connection| {
        connection.run("REPLCONF rdb-only 1");
        connection.send_bytes(b"SYNC\r\n");
    };
    let mut unread: Vec<Connection> = (0..4).map(|_| server.connect()).collect();
    unread.iter_mut().for_each(ask);
    let mut more = server.connect();
    ask(&mut more);
    let error = more.read();
    let text = String::from_utf8_lossy(error.text()).into_owned();
    assert_eq!(
        text,
        "ERR Unable to make a backup: there are too many at once"
    );
    // One that has been read, or was given up, makes room.
    assert!(read_file(&mut unread[0]).len() > 20 << 20);
    drop(unread);
    client.wait_for_info("connected_clients:2\r\n");
    ask(&mut more);
    assert!(read_file(&mut more).len() > 20 << 20);
}

#[test]
fn replicas_get_none() {
    let server = Ours::start(1);
    let mut client = server.connect();
    let error = |client: &mut Connection, line: &str| {
        let reply = client.run(line);
        assert!(reply.is_error(), "{line}");
        String::from_utf8_lossy(reply.text()).into_owned()
    };
    assert!(error(&mut client, "SYNC").starts_with("ERR There are no replicas"));
    let text = error(&mut client, "REPLCONF listening-port 1");
    assert_eq!(text, "ERR Unrecognized REPLCONF option: listening-port");
    let text = error(&mut client, "REPLCONF rdb-filter-only keys");
    assert_eq!(text, "ERR Unsupported rdb-filter-only option: keys");
    assert_eq!(error(&mut client, "REPLCONF rdb-only"), "ERR syntax error");
    client.run("REPLCONF rdb-filter-only functions");
    assert!(error(&mut client, "SYNC").starts_with("ERR There are no replicas"));
    client.run("REPLCONF rdb-only 1");
    client.run("RESET");
    assert!(error(&mut client, "SYNC").starts_with("ERR There are no replicas"));
}
