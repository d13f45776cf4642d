//! What public test suites of Redis-compatible servers do with a server's program: they start it with a file, wait for lines of its
//! log, read fields of INFO, set names that are old, and use DEBUG.
//!
//! Needs the program itself: `cargo build -p djr-server`.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use djr_tests::connection::Connection;
use djr_tests::killable::program;
use djr_tests::ports::free_port;
use djr_tests::reply::Reply;

/// Directives that such suites start every server with.
const BASE: &str = "\
# for tests
always-show-logo yes
notify-keyspace-events KEA
daemonize no
pidfile redis.pid
timeout 0
loglevel verbose
logfile ''
databases 16
latency-monitor-threshold 1
repl-diskless-sync-delay 0
save ''
rdbcompression yes
dbfilename dump.rdb
slave-serve-stale-data yes
appendonly no
appendfsync everysec
no-appendfsync-on-rewrite no
activerehashing yes
enable-protected-configs yes
enable-debug-command yes
enable-module-command yes
propagation-error-behavior panic
shutdown-on-sigterm force
hash-max-ziplist-entries 64
hash-max-ziplist-value 512
list-max-ziplist-size -2
zset-max-ziplist-entries 128
zset-max-ziplist-value 64
list-max-ziplist-entries 512
lua-time-limit 5000
slave-priority 100
";

/// A server started as suites start it: with a file, its output in two files.
struct Suite {
    dir: tempfile::TempDir,
    process: Child,
    address: SocketAddr,
}

impl Suite {
    /// Starts it with more lines in its file and more words behind it.
    fn start(lines: &str, words: &[&str]) -> Self {
        let address = free_port();
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().display();
        let text = format!(
            "{BASE}port {}\ndir {path}\nunixsocket {path}/socket\n{lines}",
            address.port()
        );
        std::fs::write(dir.path().join("redis.conf"), text).expect("a file");
        let process = spawn(dir.path(), words);
        let suite = Self {
            dir,
            process,
            address,
        };
        suite.wait_until_started(1);
        suite
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("stdout")).expect("the log")
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("redis.conf")
    }

    /// Waits for what suites look for: the process id, then "Server initialized", then for the nth time "Ready to accept".
    fn wait_until_started(&self, times: usize) {
        let deadline = Instant::now() + Duration::from_secs(60);
        let id = format!(" PID: {}", self.process.id());
        loop {
            let log = self.log();
            let initialized = log
                .split_once(&id)
                .is_some_and(|(_, after)| after.contains("Server initialized"));
            if initialized && log.matches("Ready to accept").count() >= times {
                return;
            }
            let error = std::fs::read_to_string(self.dir.path().join("stderr"));
            assert!(
                Instant::now() < deadline,
                "not started: {log}{}",
                error.unwrap_or_default()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn connect(&self) -> Connection {
        Connection::open(self.address)
    }
}

impl Drop for Suite {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn spawn(dir: &Path, words: &[&str]) -> Child {
    let append = |name: &str| {
        let mut options = File::options();
        let file = options.create(true).append(true).open(dir.join(name));
        Stdio::from(file.expect("a file"))
    };
    Command::new(program())
        .current_dir(dir)
        .arg(dir.join("redis.conf"))
        .args(words)
        .stdin(Stdio::null())
        .stdout(append("stdout"))
        .stderr(append("stderr"))
        .spawn()
        .expect("the program starts")
}

fn ok() -> Reply {
    Reply::Line(b'+', b"OK".to_vec())
}

fn text(reply: &Reply) -> String {
    match reply {
        Reply::Many(_, items) => {
            let items: Vec<_> = items.iter().map(text).collect();
            items.join(" ")
        }
        Reply::Text(_, bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Reply::Line(kind, bytes) => {
            format!("{}{}", char::from(*kind), String::from_utf8_lossy(bytes))
        }
        Reply::Closed => "closed".to_owned(),
        Reply::Silence => "silence".to_owned(),
    }
}

/// One field of INFO, found as suites find it: between two ends of lines.
fn info(client: &mut Connection, field: &str) -> Option<String> {
    let info = text(&client.run("INFO"));
    let start = format!("\r\n{field}:");
    let (_, after) = info.split_once(&start)?;
    after.split_once("\r\n").map(|(value, _)| value.to_owned())
}

#[test]
fn the_log_has_the_form_that_suites_read() {
    let suite = Suite::start("", &[]);
    let id = suite.process.id().to_string();
    for line in suite.log().lines() {
        // 4711:M 01 Mar 2026 09:30:00.123 * text
        let words: Vec<_> = line.splitn(7, ' ').collect();
        assert_eq!(words.len(), 7, "{line}");
        assert_eq!(words[0], format!("{id}:M"), "{line}");
        assert_eq!((words[3].len(), words[4].len()), (4, 12), "{line}");
        assert!([".", "-", "*", "#"].contains(&words[5]), "{line}");
    }
    let mut client = suite.connect();
    assert_eq!(client.run("DEBUG LOG a-line"), ok());
    assert!(suite.log().contains("DEBUG LOG: a-line"));
}

#[test]
fn a_port_that_is_busy_is_named_as_suites_expect_it() {
    let first = Suite::start("", &[]);
    let output = Command::new(program())
        .args(["--port", &first.address.port().to_string(), "--dir"])
        .arg(first.dir.path())
        .output()
        .expect("it runs");
    let log = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(log.contains("Failed listening on port"), "{log}");
    assert!(log.contains("already in use"), "{log}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn fields_of_info_that_suites_read_are_there() {
    let suite = Suite::start("", &[]);
    let mut client = suite.connect();
    assert_eq!(
        info(&mut client, "process_id"),
        Some(suite.process.id().to_string())
    );
    for (field, value) in [
        ("loading", "0"),
        ("async_loading", "0"),
        ("rdb_bgsave_in_progress", "0"),
        ("rdb_changes_since_last_save", "0"),
        ("aof_rewrite_in_progress", "0"),
        ("aof_rewrite_scheduled", "0"),
        ("aof_enabled", "0"),
        ("blocked_clients", "0"),
        ("lazyfree_pending_objects", "0"),
        ("connected_slaves", "0"),
        ("role", "master"),
        ("master_repl_offset", "0"),
        ("expired_keys", "0"),
        ("evicted_keys", "0"),
        ("tracking_clients", "0"),
        ("redis_mode", "standalone"),
    ] {
        assert_eq!(info(&mut client, field).as_deref(), Some(value), "{field}");
    }
    for field in [
        "used_memory",
        "used_memory_peak",
        "mem_clients_normal",
        "total_commands_processed",
        "keyspace_hits",
        "keyspace_misses",
        "connected_clients",
        "run_id",
        "master_replid",
        "rdb_last_bgsave_status",
        "aof_last_write_status",
        "uptime_in_seconds",
        "maxmemory",
        "sync_full",
    ] {
        // A field that is not counted yet is absent rather than wrong: these two are to come with replication and with the
        // accounting of clients.
        let later = ["mem_clients_normal", "sync_full"].contains(&field);
        assert!(info(&mut client, field).is_some() || later, "{field}");
    }
    let mut waiting = suite.connect();
    waiting.send(&[b"BLPOP", b"none", b"0"]);
    let deadline = Instant::now() + Duration::from_secs(20);
    while info(&mut client, "blocked_clients").as_deref() != Some("1") {
        assert!(Instant::now() < deadline, "nobody is blocked");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(client.run("SET k v"), ok());
    assert_eq!(
        info(&mut client, "rdb_changes_since_last_save").as_deref(),
        Some("1")
    );
}

#[test]
fn names_and_commands_that_suites_use_are_known() {
    let suite = Suite::start("", &[]);
    let mut client = suite.connect();
    for (line, reply) in [
        ("SELECT 9", "+OK"),
        ("FUNCTION FLUSH", "+OK"),
        ("FLUSHALL", "+OK"),
        (
            "CONFIG GET slave-serve-stale-data",
            "slave-serve-stale-data yes",
        ),
        (
            "CONFIG GET hash-max-ziplist-value",
            "hash-max-ziplist-value 512",
        ),
        ("CONFIG SET hash-max-ziplist-entries 10", "+OK"),
        (
            "CONFIG GET hash-max-listpack-entries",
            "hash-max-listpack-entries 10",
        ),
        ("CONFIG SET lua-time-limit 100", "+OK"),
        (
            "CONFIG GET busy-reply-threshold",
            "busy-reply-threshold 100",
        ),
        ("CONFIG SET slave-read-only yes", "+OK"),
        ("CONFIG SET zset-max-ziplist-value 32", "+OK"),
        ("CONFIG SET list-max-ziplist-size 4", "+OK"),
        (
            "CONFIG GET list-max-listpack-size",
            "list-max-listpack-size 4",
        ),
        ("CONFIG RESETSTAT", "+OK"),
        ("DEBUG SLEEP 0", "+OK"),
        ("DEBUG SET-ACTIVE-EXPIRE 0", "+OK"),
        ("DEBUG SET-ACTIVE-EXPIRE 1", "+OK"),
        ("DEBUG PAUSE-CRON 1", "+OK"),
        ("DEBUG PAUSE-CRON 0", "+OK"),
        ("DEBUG QUICKLIST-PACKED-THRESHOLD 100b", "+OK"),
        ("DEBUG REPLYBUFFER RESIZING 0", "+OK"),
        ("DEBUG SET-DISABLE-DENY-SCRIPTS 1", "+OK"),
        ("DEBUG DICT-RESIZING 0", "+OK"),
        ("DEBUG CHANGE-REPL-ID", "+OK"),
        (
            "DEBUG JMAP",
            "-ERR unknown subcommand or wrong number of arguments for 'JMAP'. Try DEBUG HELP.",
        ),
        ("PING", "+PONG"),
    ] {
        assert_eq!(text(&client.run(line)), reply, "{line}");
    }
    let script: &[u8] = b"return {server.call('ping'), redis.call('ping'), server == redis}";
    let reply = client.call(&[b"EVAL", script, b"0"]);
    assert_eq!(text(&reply), "+PONG +PONG :1");
}

#[test]
fn words_behind_the_file_may_be_quoted_or_empty() {
    let suite = Suite::start(
        "",
        &[
            "--requirepass",
            "a b\"c",
            "--save",
            "",
            "--masteruser",
            "",
            "--client-output-buffer-limit",
            "normal 0 0 0",
            "--hash-max-ziplist-entries",
            "7",
        ],
    );
    let mut client = suite.connect();
    assert_eq!(client.call(&[b"AUTH", b"a b\"c"]), ok());
    assert_eq!(text(&client.run("CONFIG GET save")), "save ");
    assert_eq!(
        text(&client.run("CONFIG GET hash-max-listpack-entries")),
        "hash-max-listpack-entries 7"
    );
    // What was given on the command line is rewritten into the file, as any other value.
    assert_eq!(client.run("CONFIG REWRITE"), ok());
    let file = std::fs::read_to_string(suite.file()).expect("the file");
    assert!(file.contains("requirepass \"a b\\\"c\""), "{file}");
    assert!(file.starts_with("# for tests\n"), "{file}");
}

#[test]
fn a_server_is_stopped_and_started_again_with_its_file() {
    let mut suite = Suite::start("appendonly yes\n", &[]);
    let mut client = suite.connect();
    assert_eq!(client.run("SET k v"), ok());
    let id = suite.process.id().to_string();
    let status = Command::new("kill").arg(&id).status().expect("kill");
    assert!(status.success());
    assert_eq!(suite.process.wait().expect("it ends").code(), Some(0));
    assert!(suite.log().contains("Received SIGTERM"), "{}", suite.log());
    assert!(suite.log().contains("now ready to exit"), "{}", suite.log());
    suite.process = spawn(suite.dir.path(), &[]);
    suite.wait_until_started(2);
    assert_eq!(text(&suite.connect().run("GET k")), "v");
}

#[test]
fn debug_restart_and_recover_start_the_same_program_again() {
    let suite = Suite::start("appendonly yes\n", &[]);
    for (times, line) in [(2, "DEBUG RESTART"), (3, "DEBUG CRASH-AND-RECOVER 10")] {
        let mut client = suite.connect();
        assert_eq!(client.call(&[b"SET", b"k", line.as_bytes()]), ok());
        assert_eq!(client.run(line), Reply::Closed, "{line}");
        suite.wait_until_started(times);
        assert_eq!(text(&suite.connect().run("GET k")), line);
    }
}

#[test]
fn debug_crashes_on_purpose() {
    use std::os::unix::process::ExitStatusExt;
    for (line, signal, said) in [
        ("DEBUG SEGFAULT", 11, "crashed by signal: 11"),
        ("DEBUG PANIC", 6, "Guru Meditation"),
        ("DEBUG ASSERT", 6, "=== ASSERTION FAILED ==="),
        ("DEBUG OOM", 6, "Out Of Memory"),
    ] {
        let mut suite = Suite::start("appendonly yes\n", &[]);
        assert_eq!(suite.connect().run(line), Reply::Closed, "{line}");
        let status = suite.process.wait().expect("it ends");
        assert_eq!(status.signal(), Some(signal), "{line}");
        assert!(suite.log().contains(said), "{}", suite.log());
    }
}
