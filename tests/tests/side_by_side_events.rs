//! Random command sequences, run in the engine and in a real Redis that publishes every keyspace event: the events are the same,
//! in the same order. What has expired is left out: nobody says when a server notices.
//!
//! `DJR_SEED` repeats a run, `DJR_COMMANDS` sets its length.

use djr_engine::Notify;
use djr_engine::testkit::{Bench, registry};
use djr_tests::comparison::{is_different_on_purpose, known_tokens, line, number, seed};
use djr_tests::connection::Connection;
use djr_tests::random_commands::Generator;
use djr_tests::reference::{Reference, binaries};

/// How many commands are run in each real server.
const COMMANDS: usize = 6_000;
/// Published after each command, so that its events are known to be all there.
const MARK: &[u8] = b"__keyevent@mark";

#[test]
fn events_equal_those_of_real_servers() {
    let seed = seed();
    let commands = number("DJR_COMMANDS").map_or(COMMANDS, |count| count as usize);
    for binary in binaries() {
        let reference = Reference::start(&binary);
        // Valkey tells of a deadline in the past as of a key that has expired.
        if reference.is_valkey() {
            continue;
        }
        println!("{}: seed {seed}", reference.version);
        compare(&reference, seed, commands);
    }
}

fn compare(reference: &Reference, seed: u64, commands: usize) {
    let (mut connection, mut subscriber) = (reference.connect(), reference.connect());
    connection.call(&[b"CONFIG", b"SET", b"notify-keyspace-events", b"EAnm"]);
    subscriber.call(&[b"PSUBSCRIBE", b"__keyevent@*"]);
    let mut bench = Bench::new();
    let wanted = Notify::parse(b"EAnm").expect("known letters");
    let settings = &bench.engine.settings;
    settings.notify_keyspace_events.set(wanted.bits());
    let mut generator = Generator::new(registry(), seed, known_tokens(&mut connection));
    let (mut history, mut events) = (Vec::new(), 0);
    for _ in 0..commands {
        if generator.below(20) == 0 {
            let db = generator.below(3) as u32;
            bench.shell.db = db;
            connection.call(&[b"SELECT", db.to_string().as_bytes()]);
        }
        let (name, words) = generator.draw();
        if is_different_on_purpose(reference, &name, &words) {
            continue;
        }
        history.push(line(&words));
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        let now = std::time::UNIX_EPOCH.elapsed().expect("a clock");
        bench.now = now.as_millis() as i64;
        bench.run(&words);
        connection.call(&words);
        let told = bench.shell.events.drain(..);
        let mut ours: Vec<_> = told.filter_map(|event| told_event(&event)).collect();
        let mut theirs = published(&mut connection, &mut subscriber);
        if name == "sort" || name == "sort_ro" {
            // The elements of sets are in no order, and so are the keys looked for because of them.
            ours.sort();
            theirs.sort();
        }
        events += ours.len();
        if ours != theirs {
            let start = history.len().saturating_sub(40);
            history[start..].iter().for_each(|line| println!("{line}"));
            panic!(
                "{}, seed {seed}: {}\n  ours:   {ours:?}\n  theirs: {theirs:?}",
                reference.version,
                line_of(&words)
            );
        }
    }
    println!(
        "{}: {commands} commands, {events} events",
        reference.version
    );
    assert!(events * 20 > commands, "there are events to compare");
}

fn line_of(words: &[&[u8]]) -> String {
    let words = words.iter().map(|word| word.escape_ascii().to_string());
    words.collect::<Vec<_>>().join(" ")
}

/// `db event key`, unless it is about expiry.
fn told_event(event: &str) -> Option<String> {
    let mut words = event.splitn(4, ' ');
    let (db, _class, name, key) = (words.next()?, words.next()?, words.next()?, words.next()?);
    (!is_expiry(name)).then(|| format!("{db} {name} {key}"))
}

fn is_expiry(name: &str) -> bool {
    matches!(name, "expired" | "hexpired")
}

/// What a server has published since the last mark.
fn published(connection: &mut Connection, subscriber: &mut Connection) -> Vec<String> {
    connection.call(&[b"PUBLISH", MARK, b""]);
    let mut events = Vec::new();
    loop {
        let message = subscriber.read();
        let [_, _, channel, key] = message.items() else {
            panic!("no message: {message}")
        };
        if channel.text() == MARK {
            return events;
        }
        let channel = String::from_utf8_lossy(channel.text()).into_owned();
        let channel = channel.trim_start_matches("__keyevent@");
        let (db, name) = channel.split_once("__:").expect("a channel of events");
        if !is_expiry(name) {
            events.push(format!("{db} {name} {}", key.text().escape_ascii()));
        }
    }
}
