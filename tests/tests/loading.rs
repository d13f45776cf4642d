//! What clients are told while the data set is loaded, from a snapshot and from a log.
//!
//! Needs the program itself: `cargo build -p djr-server`.

use std::path::Path;
use std::time::Duration;

use djr_tests::connection::Connection;
use djr_tests::killable::Killable;
use djr_tests::reply::Reply;

const KEYS: usize = 20_000;

fn field(info: &str, name: &str) -> Option<f64> {
    let line = info
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.and_then(|value| value.trim().parse().ok())
}

fn info(client: &mut Connection) -> String {
    match client.run("INFO persistence") {
        Reply::Text(_, text) => String::from_utf8(text).expect("text"),
        other => panic!("{other:?}"),
    }
}

/// Writes keys and stops; what is there then is loaded slowly by the next start.
fn prepare(dir: &Path, directives: &[&str]) {
    let server = Killable::start(dir, directives);
    let mut client = server.connect();
    for from in (0..KEYS).step_by(500) {
        let pairs: String = (from..from + 500)
            .map(|nth| format!(" key:{nth} value-{nth}"))
            .collect();
        client.run(&format!("MSET{pairs}"));
        for nth in from..from + 500 {
            client.send(&[b"INCR", format!("counter:{nth}").as_bytes()]);
        }
        for _ in 0..500 {
            client.read();
        }
    }
    client.run("SHUTDOWN");
    server.wait();
}

fn watch(dir: &Path, directives: &[&str], progress: &str) {
    let mut words = directives.to_vec();
    words.extend(["--key-load-delay", "200"]);
    let server = Killable::start_loading(dir, &words);
    let mut client = server.connect();
    let mut seen = Vec::new();
    let mut told_loading = false;
    loop {
        let text = info(&mut client);
        if field(&text, "loading") == Some(0.0) {
            break;
        }
        let number = |name: &str| field(&text, name).unwrap_or_else(|| panic!("{name}: {text}"));
        assert!(number("loading_start_time") > 1_600_000_000.0, "{text}");
        assert!(number("loading_eta_seconds") >= 0.0, "{text}");
        let (loaded, total) = (
            number("loading_loaded_bytes"),
            number("loading_total_bytes"),
        );
        assert!(loaded <= total, "{text}");
        assert!(
            (0.0..=100.0).contains(&number("loading_loaded_perc")),
            "{text}"
        );
        seen.push(loaded);
        // What needs the data is refused in Redis's words; what does not, is served.
        for line in [
            "GET key:1",
            "DBSIZE",
            "SET a b",
            "KEYS *",
            "EVAL 'return 1' 0",
        ] {
            let reply = client.run(line);
            if let Reply::Line(b'-', text) = &reply {
                let expected = "LOADING Redis is loading the dataset in memory";
                assert_eq!(String::from_utf8_lossy(text), expected, "{line}");
                told_loading = true;
            }
        }
        for line in [
            "CONFIG GET maxmemory",
            "CLIENT ID",
            "HELLO 2",
            "SELECT 0",
            "COMMAND COUNT",
        ] {
            let reply = client.run(line);
            assert!(!matches!(reply, Reply::Line(b'-', _)), "{line}: {reply:?}");
        }
        if seen.len() > 60 {
            client.run("CONFIG SET key-load-delay 0");
        }
        std::thread::sleep(Duration::from_millis(30));
    }
    assert!(told_loading, "it was loaded before anybody looked");
    seen.dedup();
    assert!(seen.len() > 3, "the progress moves: {seen:?}");
    assert!(seen.is_sorted(), "the progress rises: {seen:?}");
    assert_eq!(client.run("DBSIZE").integer(), Some(2 * KEYS as i64));
    assert_eq!(
        client.run("GET key:1"),
        Reply::Text(b'$', b"value-1".to_vec())
    );
    let log = std::fs::read_to_string(dir.with_extension("log")).expect("the server's log");
    assert!(log.contains(progress), "{log}");
}

#[test]
fn of_a_snapshot() {
    let dir = tempfile::tempdir().expect("a directory");
    let directives = ["--appendonly", "no", "--save", "3600 1"];
    prepare(dir.path(), &directives);
    watch(
        dir.path(),
        &directives,
        "Done loading RDB, keys loaded: 40000",
    );
}

#[test]
fn of_a_log() {
    let dir = tempfile::tempdir().expect("a directory");
    prepare(dir.path(), &[]);
    watch(dir.path(), &[], "AOF: 20040 commands in");
}
