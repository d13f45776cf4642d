//! Random histories over all data commands, with restarts at random moments: what the log makes of them is the data set that there was, down
//! to the last byte of every `DUMP`.
//!
//! Restarts are of two kinds: after a clean stop, and from a copy of the files of a server that has not been told, which are the files that
//! `kill -9` leaves. All servers live in this process, so that tables have one order.
//!
//! `DJR_SEED` repeats a run, `DJR_COMMANDS` sets its length.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use djr_engine::Rng;
use djr_engine::command::Command;
use djr_engine::registry::Registry;
use djr_engine::spec::{Arg, ArgKind, Group};
use djr_server::{Config, Server};
use djr_tests::comparison::{line, number, seed};
use djr_tests::connection::Connection;
use djr_tests::random_commands::{Generator, Words};
use djr_tests::reply::Reply;

/// How many commands are run in all.
const COMMANDS: u64 = 12_000;
/// How many there are between two restarts, at most.
const BETWEEN: u64 = 2_000;
const DBS: u32 = 3;
/// What expires within so many milliseconds may be gone after a restart.
const SOON: i64 = 60_000;

#[test]
fn replaying_the_log_makes_equal_dumps() {
    let seed = seed();
    let mut rng = Rng::new(!seed);
    let commands = number("DJR_COMMANDS").unwrap_or(COMMANDS);
    println!("seed {seed}");
    let registry = djr_server::registry();
    let mut generator = Generator::new(registry, seed, data_commands(registry));
    let mut dir = tempfile::tempdir().expect("a temporary directory");
    let (mut server, mut connection) = start(dir.path());
    load_function(&mut connection);
    let (mut done, mut history) = (0, Vec::new());
    let mut restarts = 0;
    while done < commands {
        let share = 1 + rng.below(BETWEEN);
        for _ in 0..share {
            step(&mut connection, &mut generator, &mut rng, &mut history);
        }
        done += share;
        restarts += 1;
        let before = dumps(&mut connection);
        if rng.below(2) == 0 {
            drop(connection);
            drop(server);
        } else {
            let copy = tempfile::tempdir().expect("a temporary directory");
            copy_files(dir.path(), copy.path());
            drop(connection);
            drop(server);
            dir = copy;
        }
        (server, connection) = start(dir.path());
        let after = dumps(&mut connection);
        for (key, (dump, deadline)) in &before {
            let now = dumps_of(&after, key);
            if now.as_ref() != Some(&(dump.clone(), *deadline))
                && !is_soon(&mut connection, key, *deadline)
            {
                let (db, name) = key;
                let name = name.escape_ascii().to_string();
                let about = history.iter().filter(|line: &&String| line.contains(&name));
                let about: Vec<_> = about.collect();
                let start = about.len().saturating_sub(40);
                about[start..].iter().for_each(|line| println!("{line}"));
                panic!(
                    "seed {seed}, db {db}, {name}:\n  before: {dump}, {deadline}\n  after:  {now:?}"
                );
            }
        }
        for key in after.keys() {
            assert!(
                before.contains_key(key),
                "seed {seed}: {key:?} has come back"
            );
        }
        history.clear();
    }
    println!("{done} commands, {restarts} restarts");
    drop(server);
}

type Dumps = BTreeMap<(u32, Vec<u8>), (Reply, i64)>;

fn dumps_of(dumps: &Dumps, key: &(u32, Vec<u8>)) -> Option<(Reply, i64)> {
    dumps.get(key).cloned()
}

/// Whether a key, or a field of it, expires so soon that it may be gone.
fn is_soon(connection: &mut Connection, (db, key): &(u32, Vec<u8>), deadline: i64) -> bool {
    let now = std::time::UNIX_EPOCH
        .elapsed()
        .expect("a clock")
        .as_millis() as i64;
    if deadline >= 0 && deadline < now + SOON {
        return true;
    }
    connection.run(&format!("SELECT {db}"));
    let fields: Vec<&[u8]> = Generator::fields().collect();
    let count = fields.len().to_string();
    let mut words: Vec<&[u8]> = vec![b"HPEXPIRETIME", key, b"FIELDS", count.as_bytes()];
    words.extend(fields);
    let times = connection.call(&words);
    let times = times.items().iter().filter_map(Reply::integer);
    times.into_iter().any(|time| time > 0 && time < now + SOON)
}

/// Every key with its dump and its deadline.
fn dumps(connection: &mut Connection) -> Dumps {
    let mut dumps = Dumps::new();
    for db in 0..DBS {
        connection.run(&format!("SELECT {db}"));
        for key in connection.run("KEYS *").items() {
            let dump = state(connection, key.text());
            let deadline = connection.call(&[b"PEXPIRETIME", key.text()]);
            if let Some(deadline) = deadline.integer().filter(|deadline| *deadline != -2) {
                dumps.insert((db, key.text().to_vec()), (dump, deadline));
            }
        }
    }
    connection.run("SELECT 0");
    dumps
}

/// The dump of a key. Of streams with consumers, everything but when these were last seen: that is not logged, neither here nor
/// in Redis, for a consumer that asks in vain would write to the log.
fn state(connection: &mut Connection, key: &[u8]) -> Reply {
    let dump = connection.call(&[b"DUMP", key]);
    if connection.call(&[b"TYPE", key]).text() != b"stream" {
        return dump;
    }
    let shown = connection.call(&[b"XINFO", b"STREAM", key, b"FULL", b"COUNT", b"0"]);
    let shown = shown.to_string();
    if !shown.contains("\"seen-time\"") {
        return dump;
    }
    let mut parts = shown.split("\"seen-time\", :");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        // Behind both times.
        let rest = part
            .split_once("\"active-time\", :")
            .map_or("", |(_, rest)| rest);
        text += rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '-');
    }
    Reply::Text(b'$', text.into_bytes())
}

/// Runs a command: by itself, in a transaction, in a script, or in a function.
fn step(
    connection: &mut Connection,
    generator: &mut Generator<'_>,
    rng: &mut Rng,
    history: &mut Vec<String>,
) {
    let mut run = |words: &Words| {
        let slices: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        let reply = connection.call(&slices);
        history.push(format!("{}   -> {reply}", line(words)));
    };
    let words = |line: &str| -> Words {
        line.split(' ')
            .map(|word| word.as_bytes().to_vec())
            .collect()
    };
    match rng.below(40) {
        0 => run(&words(&format!("SELECT {}", rng.below(u64::from(DBS))))),
        1 => {
            run(&words("MULTI"));
            for _ in 0..rng.below(4) {
                run(&generator.draw().1);
            }
            if let Some((_, waiting)) = generator.draw_waiting() {
                run(&waiting);
            }
            run(&words("EXEC"));
        }
        2..5 => {
            let mut script: Words = vec![
                b"EVAL".to_vec(),
                b"local r = redis.pcall(unpack(ARGV)) return type(r) == 'table' and r.err or 'ok'"
                    .to_vec(),
                b"0".to_vec(),
            ];
            script.extend(generator.draw().1);
            run(&script);
        }
        5..8 => {
            // The function comes with the log, too.
            let mut call: Words = vec![b"FCALL".to_vec(), b"run".to_vec(), b"0".to_vec()];
            call.extend(generator.draw().1);
            run(&call);
        }
        _ => run(&generator.draw().1),
    }
}

/// Loads the function that [`step`] calls.
fn load_function(connection: &mut Connection) {
    let code = b"#!lua name=lib\nredis.register_function('run', function(_, args) \
        local r = redis.pcall(unpack(args)) return type(r) == 'table' and r.err or 'ok' end)";
    let reply = connection.call(&[b"FUNCTION", b"LOAD", code]);
    assert_eq!(reply.text(), b"lib");
}

fn start(dir: &Path) -> (Server, Connection) {
    let mut config = Config::default()
        .with_free_port()
        .with_dir(dir)
        .with_threads(2);
    config.set("appendonly", "yes").expect("a directive");
    let server = Server::start(config).expect("the server starts");
    let connection = Connection::open(server.addresses()[0]);
    (server, connection)
}

fn copy_files(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            std::fs::create_dir_all(&target).expect("a new directory");
            copy_files(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("copied");
        }
    }
}

/// The commands that hold data, and the words of their options.
fn data_commands(registry: &Registry) -> BTreeMap<String, BTreeSet<String>> {
    const GROUPS: &[Group] = &[
        Group::Bitmap,
        Group::Generic,
        Group::Geo,
        Group::Hash,
        Group::HyperLogLog,
        Group::List,
        Group::Set,
        Group::SortedSet,
        Group::Stream,
        Group::String,
    ];
    let mut known = BTreeMap::new();
    let mut add = |command: &Command| {
        let mut tokens = BTreeSet::new();
        collect_tokens(command.spec.syntax, &mut tokens);
        known.insert(command.full_name.clone(), tokens);
    };
    for command in registry.commands() {
        if !GROUPS.contains(&command.spec.group)
            || matches!(
                command.spec.name,
                "migrate" | "wait" | "waitaof" | "pfselftest"
            )
        {
            continue;
        }
        add(command);
        command.subcommands.iter().for_each(&mut add);
    }
    known
}

fn collect_tokens(args: &[Arg], tokens: &mut BTreeSet<String>) {
    for arg in args {
        tokens.extend(arg.token.map(str::to_owned));
        if let ArgKind::OneOf(inner) | ArgKind::Block(inner) = arg.kind {
            collect_tokens(inner, tokens);
        }
    }
}
