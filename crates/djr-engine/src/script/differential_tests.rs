//! Hundreds of scripts: our answers are those that were recorded from a real server (`cases.txt`), and those that a real
//! server gives now, if there is one.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use crate::testkit::{Bench, split};

struct Case {
    /// The line, as in the file.
    line: &'static str,
    commands: Vec<Vec<Vec<u8>>>,
    recorded: &'static str,
    /// Redis 7.0 answers otherwise, or crashes.
    newer: bool,
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut lines = include_str!("cases.txt").lines();
    while let Some(line) = lines.next() {
        if line.is_empty() || line.starts_with("# ") {
            continue;
        }
        let recorded = lines.next().and_then(|line| line.strip_prefix("    = "));
        let script = line.strip_prefix('~').unwrap_or(line);
        let commands = match script.strip_prefix('!') {
            Some(commands) => commands.split(" | ").map(split).collect(),
            None => vec![vec![
                b"EVAL".to_vec(),
                script.replace('⏎', "\n").into_bytes(),
                b"0".to_vec(),
            ]],
        };
        cases.push(Case {
            line,
            commands,
            recorded: recorded.unwrap_or_else(|| panic!("no answer after {line}")),
            newer: line.starts_with('~'),
        });
    }
    cases
}

fn ours(case: &Case) -> String {
    let mut bench = Bench::new();
    let answers: Vec<_> = case
        .commands
        .iter()
        .map(|words| {
            let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
            bench.run(&words).escape_ascii().to_string()
        })
        .collect();
    answers.join(" | ")
}

#[track_caller]
fn compare(cases: &[Case], theirs: impl Fn(&Case) -> String) {
    let mut differences = Vec::new();
    for case in cases {
        let (ours, theirs) = (ours(case), theirs(case));
        if ours != theirs {
            differences.push(format!("{}\n  ours   {ours}\n  theirs {theirs}", case.line));
        }
    }
    assert!(
        differences.is_empty(),
        "{} of {} differ:\n{}",
        differences.len(),
        cases.len(),
        differences.join("\n")
    );
}

#[test]
fn answers_as_recorded() {
    compare(&cases(), |case| case.recorded.to_owned());
}

/// Runs against `redis-server`, or what the variable `DJR_TEST_REDIS_SERVER` names.
#[test]
fn answers_like_a_running_server() {
    let Some(server) = Server::start() else {
        assert!(
            std::env::var_os("CI").is_none(),
            "no redis-server to compare scripts with"
        );
        eprintln!("NOT COMPARED: there is no redis-server to compare scripts with");
        return;
    };
    let mut cases = cases();
    cases.retain(|case| !case.newer || server.major >= 8);
    compare(&cases, |case| server.ask(&case.commands));
}

struct Server {
    child: Child,
    port: u16,
    major: u32,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    fn start() -> Option<Self> {
        let program =
            std::env::var("DJR_TEST_REDIS_SERVER").unwrap_or_else(|_| "redis-server".into());
        // A port that was free just now.
        let port = std::net::TcpListener::bind(("127.0.0.1", 0))
            .ok()?
            .local_addr()
            .ok()?
            .port();
        let child = Command::new(program)
            .args([
                "--port",
                &port.to_string(),
                "--save",
                "",
                "--daemonize",
                "no",
            ])
            .current_dir(std::env::temp_dir())
            .stdout(Stdio::null())
            .spawn()
            .ok()?;
        let mut server = Self {
            child,
            port,
            major: 0,
        };
        for _ in 0..500 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                let info = server.ask(&[vec![b"INFO".to_vec(), b"server".to_vec()]]);
                let version = info.split("redis_version:").nth(1).expect("a version");
                server.major = version
                    .split('.')
                    .next()
                    .and_then(|major| major.parse().ok())
                    .expect("a number");
                return Some(server);
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        panic!("redis-server does not answer on port {port}");
    }

    /// The answers to commands that find an empty server, as one text.
    fn ask(&self, commands: &[Vec<Vec<u8>>]) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("the server listens");
        let mut send = |words: &[&[u8]]| {
            let mut request = Vec::new();
            djr_protocol::encode_command(&mut request, words);
            // What comes before the echo is the answer.
            djr_protocol::encode_command(&mut request, &[b"ECHO", b"-- end of the answer --"]);
            stream.write_all(&request).expect("the server reads");
            let end = b"$23\r\n-- end of the answer --\r\n";
            let (mut answer, mut buffer) = (Vec::new(), [0; 65536]);
            while !answer.ends_with(end) {
                match stream.read(&mut buffer).expect("the server answers") {
                    0 => panic!(
                        "the server closed the connection after {:?}",
                        words.concat().escape_ascii()
                    ),
                    count => answer.extend_from_slice(&buffer[..count]),
                }
            }
            answer[..answer.len() - end.len()]
                .escape_ascii()
                .to_string()
        };
        send(&[b"FLUSHALL"]);
        send(&[b"SCRIPT", b"FLUSH"]);
        let answers: Vec<_> = commands
            .iter()
            .map(|words| send(&words.iter().map(Vec::as_slice).collect::<Vec<_>>()))
            .collect();
        answers.join(" | ")
    }
}
