//! The real `djr-server`: how it starts, what it says, how it ends.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rstest::rstest;

/// A server of this test, with its data in a directory of its own and a Unix socket there. Killed when dropped.
struct Server {
    child: Child,
    log: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
    socket: PathBuf,
}

fn command(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_djr-server"));
    command
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    // Whoever runs the tests may have set some.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("DJR_") {
            command.env_remove(name);
        }
    }
    command
}

/// Runs a server that is to refuse. Returns its status, standard output and standard error.
fn refused(command: &mut Command) -> (ExitStatus, String, String) {
    let output = command.output().expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status, text(&output.stdout), text(&output.stderr))
}

impl Server {
    /// Starts a server with these arguments before those that put it into `dir`, and waits until it is ready.
    fn start(dir: &Path, args: &[&str]) -> Self {
        let mut command = command(dir);
        command.args(args);
        Self::spawn(dir, command)
    }

    fn spawn(dir: &Path, mut command: Command) -> Self {
        let socket = dir.join("socket");
        let mut child = command
            .args([
                "--port",
                "0",
                "--threads",
                "2",
                "--unixsocket",
                "socket",
                "--dir",
            ])
            .arg(dir)
            .spawn()
            .expect("it starts");
        let mut lines = BufReader::new(child.stdout.take().expect("is piped"));
        let log = Arc::new(Mutex::new(String::new()));
        loop {
            let mut line = String::new();
            let count = lines.read_line(&mut line).expect("is text");
            log.lock().expect("no panic").push_str(&line);
            assert!(
                count > 0,
                "ended before it was ready: {}",
                log.lock().expect("no panic")
            );
            if line.contains("Ready to accept connections") {
                break;
            }
        }
        let for_reader = log.clone();
        let reader = std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                for_reader
                    .lock()
                    .expect("no panic")
                    .push_str(&format!("{line}\n"));
            }
        });
        Self {
            child,
            log,
            reader: Some(reader),
            socket,
        }
    }

    fn connect(&self) -> Client {
        Client(BufReader::new(
            UnixStream::connect(&self.socket).expect("it listens"),
        ))
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).expect("it runs");
    }

    /// Waits for the end. Returns its status and all that it has logged.
    fn wait(mut self) -> (ExitStatus, String) {
        let status = self.child.wait().expect("it can be waited for");
        self.reader.take().expect("once").join().expect("no panic");
        let log = self.log.lock().expect("no panic").clone();
        (status, log)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A connection that speaks inline commands and gets replies as text.
struct Client(BufReader<UnixStream>);

impl Client {
    fn send(&mut self, line: &str) {
        self.0
            .get_mut()
            .write_all(format!("{line}\r\n").as_bytes())
            .expect("the server reads");
    }

    /// Sends a line, returns the reply: elements of arrays separated by spaces.
    fn call(&mut self, line: &str) -> String {
        self.send(line);
        self.reply().unwrap_or_else(|| "(closed)".into())
    }

    /// The next reply; `None` at the end of the connection.
    fn reply(&mut self) -> Option<String> {
        let mut line = String::new();
        if self.0.read_line(&mut line).unwrap_or_default() == 0 {
            return None;
        }
        let line = line.trim_end();
        let (kind, rest) = line.split_at(1);
        let number = || rest.parse::<usize>().unwrap_or_default();
        match kind {
            "$" if rest == "-1" => Some("(nil)".into()),
            "$" => {
                let mut bytes = vec![0; number() + 2];
                // Cut short: the server has closed the connection.
                self.0.read_exact(&mut bytes).ok()?;
                bytes.truncate(number());
                Some(String::from_utf8_lossy(&bytes).into_owned())
            }
            "*" => {
                let elements: Option<Vec<_>> = (0..number()).map(|_| self.reply()).collect();
                elements.map(|elements| elements.join(" "))
            }
            _ => Some(rest.to_owned()),
        }
    }
}

#[test]
fn it_starts_from_a_file_says_so_keeps_data_and_ends_on_shutdown() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(
        dir.path().join("my.conf"),
        "# mine\ntimeout 77\nreplica-read-only no\n",
    )
    .expect("a file");
    let server = Server::start(dir.path(), &["my.conf", "--appendfsync", "always"]);
    let mut client = server.connect();
    assert_eq!(client.call("CONFIG GET timeout"), "timeout 77");
    assert_eq!(client.call("CONFIG GET appendfsync"), "appendfsync always");
    let path = dir.path().canonicalize().expect("exists");
    assert_eq!(
        client.call("CONFIG GET dir"),
        format!("dir {}", path.display())
    );
    assert_eq!(client.call("SET k v"), "OK");
    assert_eq!(client.call("CONFIG SET appendfsync everysec"), "OK");
    assert_eq!(client.call("SET l w"), "OK");
    assert_eq!(client.call("CONFIG SET appendfsync always"), "OK");
    assert_eq!(client.call("SET m x"), "OK");
    client.send("SHUTDOWN");
    assert_eq!(client.reply(), None);
    let (status, log) = server.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    for part in [
        "Server initialized: ",
        &format!("data in {}", path.display()),
        "threads 2",
        "appendonly yes, fsync before each reply",
        "my.conf",
        "# 'replica-read-only' does nothing yet",
        "Ready to accept connections on ",
        "User requested shutdown...",
        "the append-only log is complete and durable",
    ] {
        assert!(log.contains(part), "'{part}' is missing in\n{log}");
    }
    assert!(!dir.path().join("socket").exists());

    let server = Server::start(dir.path(), &[]);
    let mut client = server.connect();
    assert_eq!(client.call("GET k"), "v");
    assert_eq!(client.call("GET l"), "w");
    assert_eq!(client.call("GET m"), "x");
}

#[test]
fn a_bad_line_prevents_the_start() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("bad.conf"), "port 1\nbogus 1\n").expect("a file");
    let (status, out, error) = refused(command(dir.path()).arg("bad.conf"));
    let expected = format!(
        "\n*** FATAL CONFIG FILE ERROR (DJR {}) ***\nReading the configuration file, at line 2\n\
         >>> 'bogus 1'\nBad directive or wrong number of arguments\n",
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(
        (status.code(), out.as_str(), error),
        (Some(1), "", expected)
    );
}

#[rstest]
#[case::nowhere(&["--port", "0"], "Configured to not listen anywhere, exiting.")]
#[case::address(&["--bind", "192.0.2.1"], "TCP listening socket 192.0.2.1:6379: bind: Cannot assign requested address")]
#[case::socket(&["--port", "0", "--unixsocket", "/nonexistent/s"], "Failed opening Unix socket /nonexistent/s: No such file")]
#[case::logfile(&["--logfile", "/nonexistent/l"], "Can't open the log file /nonexistent/l: No such file or directory")]
#[case::dir(&["--dir", "/nonexistent"], "No such file or directory")]
fn what_prevents_the_start_is_said_in_one_line(#[case] args: &[&str], #[case] text: &str) {
    let dir = tempfile::tempdir().expect("a directory");
    let (status, _, error) = refused(command(dir.path()).args(args));
    assert_eq!(status.code(), Some(1), "{error}");
    assert!(
        error.lines().last().is_some_and(|line| line.contains(text)),
        "{error}"
    );
}

#[test]
fn a_port_in_use_is_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let holder = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = holder.local_addr().expect("an address").port().to_string();
    let (status, _, error) = refused(command(dir.path()).args(["--port", &port]));
    let text = format!(
        "Could not create server TCP listening socket 127.0.0.1:{port}: bind: Address already in use\n"
    );
    assert!(error.ends_with(&text), "{error}");
    assert_eq!(status.code(), Some(1));
}

#[test]
fn a_damaged_log_prevents_the_start_until_it_is_repaired() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path(), &["--appendfsync", "always"]);
    let mut client = server.connect();
    assert_eq!(client.call("SET first damaged-value"), "OK");
    assert_eq!(client.call("SET second kept"), "OK");
    assert_eq!(client.call("SET third kept"), "OK");
    client.send("SHUTDOWN");
    assert_eq!(server.wait().0.code(), Some(0));
    let path = dir.path().join("appendonlydir/appendonly.aof.1.incr.aof");
    let mut bytes = std::fs::read(&path).expect("a log");
    let at = bytes
        .windows(13)
        .position(|window| window == b"damaged-value")
        .expect("the value");
    bytes[at] ^= 1;
    std::fs::write(&path, bytes).expect("a file");

    let (status, _, error) =
        refused(command(dir.path()).args(["--port", "0", "--unixsocket", "s"]));
    assert_eq!(status.code(), Some(1), "{error}");
    assert!(error.contains("--aof-repair"), "{error}");
    let server = Server::start(dir.path(), &["--aof-repair"]);
    let mut client = server.connect();
    assert_eq!(client.call("GET first"), "(nil)");
    assert_eq!(client.call("GET second"), "kept");
}

#[test]
fn standard_input_and_environment_are_read() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut command = command(dir.path());
    command
        .env("DJR_TIMEOUT", "3")
        .env("DJR_HZ", "30")
        .env("DJR_NONSENSE", "1")
        .arg("-");
    let input = dir.path().join("input");
    std::fs::write(&input, "hz 40\nslowlog-max-len 4\n").expect("a file");
    command.stdin(std::fs::File::open(&input).expect("a file"));
    let server = Server::spawn(dir.path(), command);
    let mut client = server.connect();
    assert_eq!(client.call("CONFIG GET timeout"), "timeout 3");
    assert_eq!(client.call("CONFIG GET hz"), "hz 40");
    assert_eq!(
        client.call("CONFIG GET slowlog-max-len"),
        "slowlog-max-len 4"
    );
    let log = server.log.lock().expect("no panic").clone();
    assert!(
        log.contains("environment variable DJR_NONSENSE names no parameter: ignored"),
        "{log}"
    );
}

#[test]
fn a_signal_ends_it_cleanly_and_its_files_go_with_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let args = [
        "--pidfile",
        "pid",
        "--logfile",
        "log",
        "--unixsocketperm",
        "700",
        "--loglevel",
        "verbose",
    ];
    let mut command = command(dir.path());
    let notify = dir.path().join("notify");
    let systemd = UnixDatagram::bind(&notify).expect("a socket");
    command
        .args(args)
        .args(["--supervised", "systemd"])
        .env("NOTIFY_SOCKET", &notify);
    command.args(["--port", "0", "--unixsocket", "socket"]);
    let mut child = command.spawn().expect("it starts");
    let mut told = [0; 256];
    let count = systemd.recv(&mut told).expect("a message");
    assert!(told[..count].ends_with(b"READY=1\n"));
    let pid = std::fs::read_to_string(dir.path().join("pid")).expect("the pid file");
    assert_eq!(pid, format!("{}\n", child.id()));
    let socket = std::fs::metadata(dir.path().join("socket")).expect("the socket");
    assert_eq!(socket.permissions().mode() & 0o777, 0o700);
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it runs");
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
    let log = std::fs::read_to_string(dir.path().join("log")).expect("the log file");
    assert!(
        log.contains(" # Received SIGTERM scheduling shutdown...\n"),
        "{log}"
    );
    assert!(
        log.contains(" * the append-only log is complete and durable\n"),
        "{log}"
    );
    assert!(!log.contains('\x1b'));
    assert!(!dir.path().join("pid").exists());
    assert!(!dir.path().join("socket").exists());
}

#[test]
fn ctrl_c_ends_it_with_all_clients_and_what_they_wrote() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path(), &[]);
    let mut client = server.connect();
    assert_eq!(client.call("SET k v"), "OK");
    server.signal(rustix::process::Signal::INT);
    assert_eq!(client.reply(), None);
    let (status, log) = server.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(
        log.contains("Received SIGINT scheduling shutdown..."),
        "{log}"
    );
    let server = Server::start(dir.path(), &[]);
    assert_eq!(server.connect().call("GET k"), "v");
}

#[test]
fn a_shutdown_that_could_not_save_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(
        dir.path(),
        &[
            "--appendonly",
            "no",
            "--dbfilename",
            "dump.rdb",
            "--save",
            "",
        ],
    );
    // Nothing can be renamed to the name of a directory.
    std::fs::create_dir(dir.path().join("dump.rdb")).expect("a directory");
    std::fs::write(dir.path().join("dump.rdb/file"), "").expect("a file");
    let mut client = server.connect();
    assert_eq!(
        client.call("SHUTDOWN SAVE"),
        "ERR Errors trying to SHUTDOWN. Check logs."
    );
    assert_eq!(client.call("PING"), "PONG");
    client.send("SHUTDOWN SAVE FORCE");
    assert_eq!(client.reply(), None);
    let (status, log) = server.wait();
    assert_eq!(status.code(), Some(0));
    assert!(
        log.contains("appendonly no: the data is in memory only"),
        "{log}"
    );
}

#[test]
fn passwords_can_be_set_and_taken_away() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path(), &[]);
    let mut first = server.connect();
    assert_eq!(first.call("CONFIG SET requirepass s3cret"), "OK");
    // Who was in stays in.
    assert_eq!(first.call("PING"), "PONG");
    let mut second = server.connect();
    assert_eq!(second.call("PING"), "NOAUTH Authentication required.");
    assert_eq!(
        second.call("AUTH wrong"),
        "WRONGPASS invalid username-password pair or user is disabled."
    );
    let mut third = server.connect();
    assert_eq!(third.call("AUTH s3cret"), "OK");
    assert_eq!(third.call("CONFIG GET requirepass"), "requirepass s3cret");
    assert_eq!(third.call("CONFIG SET requirepass ''"), "OK");
    assert_eq!(second.call("PING"), "PONG");
    ends_without_a_word_of_the_password(server);
}

/// Ends the server: its log must not have the password.
fn ends_without_a_word_of_the_password(server: Server) {
    server.connect().send("SHUTDOWN");
    let (_, log) = server.wait();
    assert!(log.contains("CONFIG SET requirepass (secret)"), "{log}");
    assert!(!log.contains("s3cret"), "{log}");
}

#[test]
fn config_set_changes_all_or_nothing_and_rewrite_keeps_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("my.conf");
    std::fs::write(&path, "# mine\ntimeout 77\n\nhz 20\n").expect("a file");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).expect("a mode");
    let server = Server::start(dir.path(), &["my.conf"]);
    let mut client = server.connect();
    let refusal = client.call("CONFIG SET timeout 5 maxclients 100000000");
    assert!(
        refusal
            .contains("The operating system is not able to handle the specified number of clients"),
        "{refusal}"
    );
    assert_eq!(client.call("CONFIG GET timeout"), "timeout 77");
    assert_eq!(
        client.call("CONFIG GET timeout appendonly"),
        "timeout 77 appendonly yes"
    );
    assert_eq!(client.call("CONFIG SET timeout 5 slowlog-max-len 9"), "OK");
    assert_eq!(client.call("CONFIG REWRITE"), "OK");
    let text = std::fs::read_to_string(&path).expect("the file");
    assert!(
        text.starts_with("# mine\ntimeout 5\n\nhz 20\n\n# Generated by CONFIG REWRITE\n"),
        "{text}"
    );
    let mode = std::fs::metadata(&path)
        .expect("the file")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o640);
    drop(server);
    let server = Server::start(dir.path(), &["my.conf"]);
    assert_eq!(
        server.connect().call("CONFIG GET timeout slowlog-max-len"),
        "timeout 5 slowlog-max-len 9"
    );
}

#[test]
fn limits_of_clients_can_be_changed() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path(), &[]);
    let mut client = server.connect();
    assert_eq!(client.call("CONFIG SET maxclients 1"), "OK");
    assert_eq!(
        server.connect().reply().as_deref(),
        Some("ERR max number of clients reached")
    );
    assert_eq!(
        client.call("CONFIG SET maxclients 10 client-query-buffer-limit 1mb"),
        "OK"
    );
    let mut greedy = server.connect();
    let request = [
        b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$3000000\r\n".to_vec(),
        vec![b'x'; 2_000_000],
    ]
    .concat();
    // The server may close before it has read everything.
    let _ = greedy.0.get_mut().write_all(&request);
    assert_eq!(greedy.reply(), None);
    assert_eq!(client.call("SET big x"), "OK");
    assert_eq!(client.call("CONFIG SET proto-max-bulk-len 1mb"), "OK");
    assert_eq!(
        client.call("SETRANGE big 2000000 x"),
        "ERR string exceeds maximum allowed size (proto-max-bulk-len)"
    );
    // A client that does not read its replies.
    assert_eq!(
        client.call(&format!("SET big {}", "x".repeat(60_000))),
        "OK"
    );
    assert_eq!(
        client.call("CONFIG SET client-output-buffer-limit 'normal 1mb 0 0'"),
        "OK"
    );
    let mut deaf = server.connect();
    let _ = deaf
        .0
        .get_mut()
        .write_all("GET big\r\n".repeat(200).as_bytes());
    let mut received = 0;
    while deaf.reply().is_some() {
        received += 1;
        assert!(received < 200, "all replies came");
    }
    assert_eq!(client.call("PING"), "PONG");
    assert_eq!(client.call("CONFIG SET timeout 1"), "OK");
    assert_eq!(server.connect().reply(), None);
}

#[rstest]
#[case("--version", "DJR server v=")]
#[case("--help", "Usage: djr-server [FILE]")]
#[case("--print-config", "# The configuration of DJR")]
fn it_tells_about_itself(#[case] option: &str, #[case] text: &str) {
    let dir = tempfile::tempdir().expect("a directory");
    let (status, out, error) = refused(command(dir.path()).arg(option));
    assert_eq!((status.code(), error.as_str()), (Some(0), ""));
    assert!(out.starts_with(text), "{out}");
}
