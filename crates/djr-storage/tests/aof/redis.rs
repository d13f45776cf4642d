//! A real redis-server loads what we wrote, and we load what it wrote. Skipped, loudly, where none is installed.

use crate::world::*;
use djr_storage::aof::{AofConfig, FsyncPolicy, Log, RecoveryMode};
use djr_storage::disk::{Disk, OsDisk};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

struct Redis {
    process: Child,
    connection: BufReader<TcpStream>,
}

impl Redis {
    /// Starts a server on a data directory. `None` if there is no redis-server of version 7 or later.
    fn start(dir: &Path, more: &[&str]) -> Option<Redis> {
        let version = Command::new("redis-server").arg("--version").output();
        let version = version
            .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
            .unwrap_or_default();
        let major = version
            .split("v=")
            .nth(1)
            .and_then(|rest| rest.split('.').next()?.parse::<u32>().ok());
        if major.is_none_or(|major| major < 7) {
            eprintln!(
                "SKIPPED: no redis-server 7 or later is installed, so nothing shows that Redis loads our files"
            );
            return None;
        }
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let mut process = Command::new("redis-server")
            .args([
                "--port",
                &port.to_string(),
                "--save",
                "",
                "--appendonly",
                "yes",
                "--aof-load-truncated",
                "yes",
            ])
            .args([
                "--aof-use-rdb-preamble",
                "no",
                "--logfile",
                "redis.log",
                "--dir",
            ])
            .arg(dir)
            .args(more)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        for _ in 0..1000 {
            if let Ok(connection) = TcpStream::connect(("127.0.0.1", port)) {
                let mut redis = Redis {
                    process,
                    connection: BufReader::new(connection),
                };
                if redis.call(&["PING"]) == "+PONG" {
                    return Some(redis);
                }
                process = redis.process_only();
            }
            if process.try_wait().unwrap().is_some() {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = process.kill();
        let _ = process.wait();
        panic!(
            "redis-server does not load this: {}",
            std::fs::read_to_string(dir.join("redis.log")).unwrap()
        );
    }

    /// Gives up the connection to a server that is still loading.
    fn process_only(mut self) -> Child {
        let placeholder = Command::new("true").spawn().unwrap();
        std::mem::replace(&mut self.process, placeholder)
    }

    /// Sends a command; returns the first line of the reply, or the bulk string.
    fn call(&mut self, args: &[&str]) -> String {
        let Ok(()) = self.connection.get_mut().write_all(&encoded(args)) else {
            return String::new();
        };
        let mut line = String::new();
        let _ = self.connection.read_line(&mut line);
        if line.starts_with('$') && line != "$-1\r\n" {
            line.clear();
            let _ = self.connection.read_line(&mut line);
        }
        line.trim_end().to_owned()
    }

    fn stop(mut self) {
        self.call(&["SHUTDOWN", "NOSAVE"]);
        let _ = self.process.wait();
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir_all(&target).unwrap();
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn disk() -> Arc<dyn Disk> {
    Arc::new(OsDisk)
}

fn open(config: &AofConfig) -> (Log, Vec<crate::world::Command>) {
    let (recovered, commands) = recover_all(&disk(), config, RecoveryMode::Refuse).unwrap();
    (
        Log::open(disk(), config.clone(), recovered.state, Box::new(|_| ())).unwrap(),
        commands,
    )
}

/// Appends groups of 1 to 4 sets of keys of their own, in dbs 0 and 1; returns how many.
fn write_some(log: &Log, from: usize, random: &mut Random) -> usize {
    let mut keys = from;
    for _ in 0..40 {
        for _ in 0..=random.below(3) {
            let value = vec![b'v'; random.below(200) as usize];
            let command = encoded(&[b"SET".as_slice(), format!("key{keys}").as_bytes(), &value]);
            log.append(0, &command);
            log.append(1, &command);
            keys += 1;
        }
        log.flush().unwrap();
        if log.policy() == FsyncPolicy::Always {
            log.sync().unwrap();
        }
    }
    keys
}

/// Redis finds so many keys in a copy of the directory, in both dbs.
fn redis_finds(dir: &Path, keys: usize, place: &str) -> bool {
    let home = tempfile::tempdir().unwrap();
    copy(dir, home.path());
    let Some(mut redis) = Redis::start(home.path(), &[]) else {
        return false;
    };
    for db in ["0", "1"] {
        redis.call(&["SELECT", db]);
        assert_eq!(
            redis.call(&["DBSIZE"]),
            format!(":{keys}"),
            "{place}, db {db}"
        );
    }
    redis.stop();
    true
}

#[test]
fn redis_loads_our_files_at_every_moment() {
    let mut random = Random(11);
    for (policy, step) in [
        (FsyncPolicy::EverySec, 0),
        (FsyncPolicy::Always, 8192),
        (FsyncPolicy::Always, 0),
    ] {
        let home = tempfile::tempdir().unwrap();
        let config = AofConfig {
            policy,
            preallocate_step: step,
            ..AofConfig::new(home.path())
        };
        let place = |moment: &str| format!("{policy:?}, step {step}, {moment}");
        let (log, _) = open(&config);
        if !redis_finds(home.path(), 0, &place("empty")) {
            return;
        }
        let mut keys = write_some(&log, 0, &mut random);
        redis_finds(home.path(), keys, &place("while it is written"));
        // The crash that leaves a torn tail: the last command is not whole.
        let torn = tempfile::tempdir().unwrap();
        copy(home.path(), torn.path());
        let path = incr(&AofConfig::new(torn.path()), 1);
        let bytes = std::fs::read(&path).unwrap();
        let last = bytes
            .windows(4)
            .rposition(|window| window == b"\nSET")
            .unwrap();
        std::fs::write(&path, &bytes[..last + 20]).unwrap();
        let torn_home = tempfile::tempdir().unwrap();
        copy(torn.path(), torn_home.path());
        let mut redis = Redis::start(torn_home.path(), &[]).unwrap();
        redis.call(&["SELECT", "1"]);
        assert_eq!(
            redis.call(&["DBSIZE"]),
            format!(":{}", keys - 1),
            "{}",
            place("torn")
        );
        redis.stop();

        let prepared = log.prepare_rewrite().unwrap();
        redis_finds(home.path(), keys, &place("rewrite prepared"));
        let mut rewrite = prepared.cut().unwrap();
        let at_cut = keys;
        keys = write_some(&log, keys, &mut random);
        redis_finds(home.path(), keys, &place("rewrite cut"));
        for db in [1, 0] {
            for key in 0..at_cut {
                rewrite
                    .write_command(db, &[b"SET", format!("key{key}").as_bytes(), b"v"])
                    .unwrap();
            }
        }
        rewrite.finish().unwrap();
        redis_finds(home.path(), keys, &place("rewrite finished"));
        keys = write_some(&log, keys, &mut random);
        redis_finds(home.path(), keys, &place("after the rewrite"));
        log.close().unwrap();
        redis_finds(home.path(), keys, &place("closed"));
    }
}

/// Names with blanks and quotes, in the manifest's quoting.
#[test]
fn redis_and_we_agree_on_strange_names() {
    let home = tempfile::tempdir().unwrap();
    let config = AofConfig {
        file_name: "my \"own\" file".to_owned(),
        ..AofConfig::new(home.path())
    };
    let (log, _) = open(&config);
    log.append(0, &encoded(&["SET", "a", "1"]));
    log.close().unwrap();
    let Some(mut redis) = Redis::start(home.path(), &["--appendfilename", "my \"own\" file"])
    else {
        return;
    };
    assert_eq!(redis.call(&["GET", "a"]), "1");
    assert_eq!(redis.call(&["SET", "b", "2"]), "+OK");
    redis.stop();
    let (_, commands) = open(&config);
    assert_eq!(commands.len(), 2);
}

/// To and fro between the two servers, with clean stops, kills, and rewrites by either.
#[test]
fn redis_and_we_take_turns_on_one_directory() {
    let home = tempfile::tempdir().unwrap();
    let config = AofConfig {
        policy: FsyncPolicy::Always,
        preallocate_step: 4096,
        ..AofConfig::new(home.path())
    };
    let mut random = Random(5);
    let mut keys = 0;
    for round in 0..4 {
        let (log, commands) = open(&config);
        let found: std::collections::BTreeSet<_> = commands
            .iter()
            .filter(|(db, _)| *db == 0)
            .map(|(_, args)| args[1].clone())
            .collect();
        assert_eq!(found.len(), keys, "round {round}");
        keys = write_some(&log, keys, &mut random);
        if round % 2 == 0 {
            log.close().unwrap();
        }
        drop(log);
        let Some(mut redis) = Redis::start(home.path(), &[]) else {
            return;
        };
        assert_eq!(redis.call(&["DBSIZE"]), format!(":{keys}"), "round {round}");
        for _ in 0..20 {
            assert_eq!(redis.call(&["SET", &format!("key{keys}"), "theirs"]), "+OK");
            keys += 1;
        }
        if round == 2 {
            redis.call(&["BGREWRITEAOF"]);
            let done = |redis: &mut Redis| {
                let name = std::fs::read_to_string(config.manifest_path()).unwrap();
                redis.call(&["PING"]);
                name.contains(".base.aof") && !name.contains("type h")
            };
            while !done(&mut redis) {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        redis.call(&["MULTI"]);
        redis.call(&["SET", &format!("key{keys}"), "theirs"]);
        redis.call(&["SET", &format!("key{keys}"), "again"]);
        redis.call(&["EXEC"]);
        keys += 1;
        redis.stop();
    }
}
