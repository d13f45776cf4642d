//! `check-aof` beside `redis-check-aof`: the same lines, exit codes and files afterwards; and what it tells of our own files.
//!
//! Needs the program itself: `cargo build -p djr-server`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use djr_tests::killable::{Killable, program};

/// Runs a tool in a directory; its lines and exit code. `[info]` lines are each tool's own.
fn run(mut tool: Command, dir: &Path, words: &[&str], answer: &str) -> (String, i32) {
    let mut child = tool
        .args(words)
        .current_dir(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the tool starts");
    // It may end without a question.
    let _ = child
        .stdin
        .take()
        .expect("its input")
        .write_all(answer.as_bytes());
    let output = child.wait_with_output().expect("it ends");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (text, output.status.code().expect("it is not killed"))
}

fn ours(dir: &Path, words: &[&str], answer: &str) -> (String, i32) {
    let mut tool = Command::new(program());
    tool.arg("check-aof");
    run(tool, dir, words, answer)
}

fn comparable(text: &str) -> String {
    text.lines()
        .filter(|line| !line.starts_with("[info]") && !line.starts_with("[additional info]"))
        .filter(|line| !line.contains("AUX FIELD") && !line.starts_with("Usage"))
        // Redis's tool goes on counting in the next file; ours counts the lines of each.
        .map(|line| match line.split_once(" ok_up_to_line=") {
            Some((before, after)) => {
                format!("{before}{}\n", after.trim_start_matches(char::is_numeric))
            }
            None => format!("{line}\n"),
        })
        .collect()
}

/// The names and bytes of a directory's files.
fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files: Vec<_> = std::fs::read_dir(dir)
        .expect("a directory")
        .map(|entry| entry.expect("an entry").path())
        .map(|path| {
            let bytes = std::fs::read(&path).expect("a file");
            (path.file_name().expect("a name").into(), bytes)
        })
        .collect();
    files.sort();
    files
}

const GOOD: &str = "#TS:1000\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*3\r\n$3\r\nset\r\n$1\r\nd\r\n$1\r\n1\r\n#TS:1005\r\n*1\r\n$5\r\nMULTI\r\n*3\r\n$3\r\nset\r\n$1\r\ne\r\n$1\r\n1\r\n*1\r\n$4\r\nEXEC\r\n#TS:1010\r\n*3\r\n$3\r\nset\r\n$1\r\nf\r\n$1\r\n1\r\n";

#[test]
fn lines_exit_codes_and_repairs_are_those_of_redis() {
    let theirs_exists = Command::new("redis-check-aof").output();
    if theirs_exists.is_err() {
        eprintln!("no redis-check-aof here: nothing is compared");
        return;
    }
    let manifest = "file a.1.base.aof seq 1 type b\nfile a.1.incr.aof seq 1 type i\nfile a.2.incr.aof seq 2 type i\n";
    let mut contents = vec![String::new(), GOOD.to_owned()];
    // Cut at every length: in the middle of each kind of line.
    contents.extend((1..GOOD.len()).map(|len| GOOD[..len].to_owned()));
    contents.push(GOOD.replace("*3\r\n$3\r\nset\r\n$1\r\ne", "*x\r\n$3\r\nset\r\n$1\r\ne"));
    contents.push(GOOD.replace("\r\ne\r\n$1", "\r\neX\r\n$1"));
    let cases: &[(&[&str], &str)] = &[
        (&["a.manifest"], ""),
        (&["a.2.incr.aof"], ""),
        (&["--fix", "a.manifest"], "n\n"),
        (&["--fix", "a.manifest"], "y\n"),
        (&["--fix", "a.2.incr.aof"], "Yes\n"),
        (&["--truncate-to-timestamp", "1005", "a.manifest"], ""),
        (&["--truncate-to-timestamp", "1", "a.2.incr.aof"], ""),
        (&["--truncate-to-timestamp", "x", "a.manifest"], ""),
        (&["nofile"], ""),
        (&["--foo", "a.manifest"], ""),
        (&["a", "b", "c", "d"], ""),
    ];
    for (nth, content) in contents.iter().enumerate() {
        for (words, answer) in cases {
            // The other words only once: they do not look at the file.
            let looks = words.contains(&"--fix") || words.last() != Some(&"nofile");
            if nth > 1 && (!looks || words.len() > 2 || words.contains(&"--foo")) {
                continue;
            }
            let prepare = || {
                let dir = tempfile::tempdir().expect("a directory");
                let write = |name: &str, text: &str| {
                    std::fs::write(dir.path().join(name), text).expect("it is written");
                };
                write("a.manifest", manifest);
                write("a.1.base.aof", "*3\r\n$3\r\nset\r\n$1\r\nb\r\n$1\r\n1\r\n");
                write("a.1.incr.aof", "*3\r\n$3\r\nset\r\n$1\r\nc\r\n$1\r\n1\r\n");
                write("a.2.incr.aof", content);
                dir
            };
            let (our_dir, their_dir) = (prepare(), prepare());
            let our = ours(our_dir.path(), words, answer);
            let their = run(
                Command::new("redis-check-aof"),
                their_dir.path(),
                words,
                answer,
            );
            let place = format!("{words:?} of {content:?}");
            // A comment that is cut off is not missed by Redis.
            let last_line = content.rsplit('\n').next().unwrap_or_default();
            if last_line.starts_with('#') {
                assert_eq!(their.1, 0, "{place}");
                continue;
            }
            assert_eq!(
                our.1, their.1,
                "{place}\nours: {}\ntheirs: {}",
                our.0, their.0
            );
            assert_eq!(files(our_dir.path()), files(their_dir.path()), "{place}");
            // Where a number is cut off Redis says nothing, or something about what was before.
            let is_plain = nth < 2 || nth >= contents.len() - 2;
            if is_plain {
                assert_eq!(comparable(&our.0), comparable(&their.0), "{place}");
            }
        }
    }
}

fn write_some(dir: &Path) {
    let server = Killable::start(dir, &["--appendfsync", "always"]);
    let mut client = server.connect();
    for nth in 0..20 {
        client.run(&format!("SET key:{nth} some-value-{nth}"));
    }
    client.run("SHUTDOWN NOSAVE");
    server.wait();
}

#[test]
fn damage_in_our_files_is_named_and_taken_out() {
    let dir = tempfile::tempdir().expect("a directory");
    write_some(dir.path());
    let log = dir.path().join("appendonlydir");
    let manifest = "appendonly.aof.manifest";
    let (text, code) = ours(&log, &[manifest], "");
    assert_eq!(code, 0, "{text}");
    assert!(
        text.contains("All AOF files and manifest are valid"),
        "{text}"
    );
    assert!(text.contains("[info] string: 20 commands"), "{text}");

    let path = log.join("appendonly.aof.1.incr.aof");
    let mut bytes = std::fs::read(&path).expect("the increment");
    let at = bytes
        .windows(12)
        .position(|window| window == b"some-value-7")
        .expect("the value");
    bytes[at] ^= 1;
    std::fs::write(&path, &bytes).expect("it is written");
    for file in [manifest, "appendonly.aof.1.incr.aof"] {
        let (text, code) = ours(&log, &[file], "");
        assert_eq!(code, 1, "{text}");
        assert!(text.contains("wrong checksum), keys: key:7"), "{text}");
        assert!(
            text.contains("is not valid. Use the --fix option"),
            "{text}"
        );
    }
    // The server says the same, and does not start.
    let refused = Killable::try_start(dir.path(), &[]).err().expect("damage");
    assert!(refused.contains("keys: key:7"), "{refused}");
    let (text, code) = ours(&log, &["--fix", manifest], "n\n");
    assert_eq!(code, 1, "{text}");
    assert_eq!(std::fs::read(&path).expect("the increment"), bytes);
    let (text, code) = ours(&log, &["--fix", manifest], "y\n");
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("taken out and kept in"), "{text}");
    let (text, code) = ours(&log, &[manifest], "");
    assert_eq!(code, 0, "{text}");
    let server = Killable::start(dir.path(), &[]);
    assert_eq!(server.connect().run("DBSIZE").integer(), Some(19));
}

/// Under the names of Redis's tools, too.
#[cfg(unix)]
#[test]
fn the_program_goes_by_its_name() {
    let dir = tempfile::tempdir().expect("a directory");
    write_some(dir.path());
    let link = dir.path().join("redis-check-aof");
    std::os::unix::fs::symlink(program(), &link).expect("a link");
    let log = dir.path().join("appendonlydir");
    let (text, code) = run(Command::new(&link), &log, &["appendonly.aof.manifest"], "");
    assert_eq!(code, 0, "{text}");
    let link = dir.path().join("redis-check-rdb");
    std::os::unix::fs::symlink(program(), &link).expect("a link");
    let (text, code) = run(Command::new(&link), &log, &["nofile"], "");
    assert_eq!(code, 1, "{text}");
}
