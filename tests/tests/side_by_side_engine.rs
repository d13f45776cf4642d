//! Random command sequences, run in the engine and in a real server: the replies must be the same.
//!
//! `DJR_SEED` repeats a run, `DJR_COMMANDS` sets its length. With `DJR_PEERS=dir` the servers in that directory are compared too.

use std::collections::{BTreeMap, BTreeSet};

use djr_engine::Rng;
use djr_engine::testkit::{Bench, decode, registry, show};
use djr_protocol::{RespVersion, Value};
use djr_tests::random_commands::{Generator, Words};
use djr_tests::reference::{Reference, binaries};

/// How many commands are run in each real server.
const COMMANDS: usize = 20_000;

#[test]
fn the_engine_answers_as_real_servers_do() {
    let seed = seed();
    let commands = number("DJR_COMMANDS").map_or(COMMANDS, |count| count as usize);
    for binary in binaries() {
        for version in [RespVersion::V2, RespVersion::V3] {
            let reference = Reference::start(&binary);
            println!("{}: seed {seed}, {version:?}", reference.version);
            Comparison::new(reference, version).run(seed, commands / 2);
        }
    }
}

/// Patterns and keys of few letters, so that every kind of element meets every kind of byte.
#[test]
fn patterns_match_as_in_real_servers() {
    let seed = seed();
    for binary in binaries() {
        let mut reference = Reference::start(&binary);
        println!("{}: seed {seed}", reference.version);
        let mut bench = Bench::new();
        let mut rng = Rng::new(seed);
        let mut word = |letters: &[u8], len_max: u64| -> Vec<u8> {
            let len = rng.below(len_max + 1);
            (0..len)
                .map(|_| letters[rng.below(letters.len() as u64) as usize])
                .collect()
        };
        for _ in 0..300 {
            let key = word(b"abcA-]^\\[*\0", 5);
            bench.run(&[b"SET", &key, b"v"]);
            reference.call(&[b"SET", &key, b"v"]);
        }
        for _ in 0..3000 {
            let pattern = word(b"abc*?[]^-\\A\0", 9);
            let ours = decode(&bench.run(&[b"KEYS", &pattern]));
            let theirs = reference.call(&[b"KEYS", &pattern]);
            assert_eq!(
                sorted(&ours),
                sorted(&theirs),
                "{}, seed {seed}: KEYS \"{}\"",
                reference.version,
                pattern.escape_ascii()
            );
        }
    }
}

/// Sums of random decimals, which are exact to the last digit that is printed.
#[test]
fn sums_equal_those_of_real_servers() {
    let seed = seed();
    for binary in binaries() {
        let mut reference = Reference::start(&binary);
        println!("{}: seed {seed}", reference.version);
        let mut bench = Bench::new();
        let mut generator = Generator::new(registry(), seed, known_tokens(&mut reference));
        for index in 0..3000 {
            let increment = generator.double();
            if index % 3 == 0 {
                bench.run(&[b"DEL", b"sum"]);
                reference.call(&[b"DEL", b"sum"]);
            }
            let words: [&[u8]; 3] = [b"INCRBYFLOAT", b"sum", &increment];
            assert_eq!(
                show(&decode(&bench.run(&words))),
                show(&reference.call(&words)),
                "{}, seed {seed}: + {}",
                reference.version,
                increment.escape_ascii()
            );
        }
    }
}

fn seed() -> u64 {
    number("DJR_SEED").unwrap_or_else(|| {
        let now = std::time::UNIX_EPOCH.elapsed().expect("a clock");
        now.as_nanos() as u64
    })
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

struct Comparison {
    bench: Bench,
    reference: Reference,
    /// What has been run, for the report of a difference.
    history: Vec<(u32, Words)>,
    /// How many commands were refused.
    errors: usize,
}

impl Comparison {
    fn new(mut reference: Reference, version: RespVersion) -> Self {
        let mut bench = Bench::new();
        bench.version = version;
        if version == RespVersion::V3 {
            reference.call(&[b"HELLO", b"3"]);
        }
        Self {
            bench,
            reference,
            history: Vec::new(),
            errors: 0,
        }
    }

    fn run(&mut self, seed: u64, commands: usize) {
        let known = known_tokens(&mut self.reference);
        let mut generator = Generator::new(registry(), seed, known);
        for index in 0..commands {
            if generator.below(20) == 0 {
                let db = generator.below(3) as u32;
                self.bench.shell.db = db;
                self.reference.call(&[b"SELECT", db.to_string().as_bytes()]);
            }
            let (name, words) = generator.draw();
            if self.is_different_on_purpose(&name, &words) {
                continue;
            }
            self.step(&name, &words, seed);
            if index % 500 == 499 {
                self.compare_keys(seed);
            }
        }
        self.compare_keys(seed);
        self.bench.check_log();
        let (all, errors) = (self.history.len(), self.errors);
        println!(
            "{}: {all} commands, {errors} refused",
            self.reference.version
        );
        assert!(errors * 2 < all, "most commands do something");
        assert!(errors * 20 > all, "and some are wrong");
    }

    /// Runs one command on both sides.
    fn step(&mut self, name: &str, words: &Words, seed: u64) {
        self.history.push((self.bench.shell.db, words.clone()));
        if name == "dbsize" {
            // Real servers count a key past its deadline until somebody looks.
            let mut look: Vec<&[u8]> = vec![b"EXISTS"];
            look.extend(Generator::keys());
            self.reference.call(&look);
        }
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        self.bench.now = now_ms();
        let ours = decode(&self.bench.run(&words));
        let theirs = self.reference.call(&words);
        self.errors += usize::from(matches!(ours, Value::Error(_)));
        if !equal(name, &ours, &theirs) {
            self.report(&words, &ours, &theirs, seed);
        }
    }

    /// Looks at every key on both sides.
    fn compare_keys(&mut self, seed: u64) {
        for key in Generator::keys() {
            for command in ["get", "pexpiretime", "object|encoding"] {
                let mut words: Words = command
                    .split('|')
                    .map(|word| word.as_bytes().to_vec())
                    .collect();
                words.push(key.to_vec());
                if !self.is_different_on_purpose(command, &words) {
                    self.step(command, &words, seed);
                }
            }
        }
    }

    /// What real servers do in more than one way, or in another way since the one at hand was made.
    fn is_different_on_purpose(&self, name: &str, words: &Words) -> bool {
        match name {
            // "Prints this help" became "Print this help".
            "object|help" => self.reference.version.starts_with("redis 7.0"),
            // Redis shares small integers.
            "object|refcount" => true,
            // Valkey keeps more strings in one piece with their key.
            "object|encoding" => self.reference.is_valkey(),
            // Valkey looks at the time before it looks for the key.
            "getex" => self.reference.is_valkey() && words.len() > 3,
            // Cursors of Redis 7.0 are read more loosely.
            "scan" if words.get(1).is_some_and(|cursor| cursor != b"0") => true,
            // Valkey refuses the names of types that it does not know.
            "scan" => {
                self.reference.is_valkey()
                    && words.iter().any(|word| word.eq_ignore_ascii_case(b"TYPE"))
            }
            _ => false,
        }
    }

    fn report(&self, words: &[&[u8]], ours: &Value, theirs: &Value, seed: u64) -> ! {
        let line = |words: &[&[u8]]| {
            let words: Vec<_> = words
                .iter()
                .map(|word| format!("\"{}\"", word.escape_ascii()))
                .collect();
            words.join(" ")
        };
        let start = self.history.len().saturating_sub(40);
        for (db, words) in &self.history[start..] {
            let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
            println!("db {db}: {}", line(&words));
        }
        panic!(
            "{}, seed {seed}, {:?}: {}\n  ours:   {}\n  theirs: {}",
            self.reference.version,
            self.bench.version,
            line(words),
            show(ours),
            show(theirs)
        );
    }
}

fn now_ms() -> i64 {
    let now = std::time::UNIX_EPOCH.elapsed().expect("a clock");
    now.as_millis() as i64
}

/// Whether two replies say the same.
fn equal(name: &str, ours: &Value, theirs: &Value) -> bool {
    let close = |tolerance: i64| match (ours.as_integer(), theirs.as_integer()) {
        (Some(ours), Some(theirs)) => {
            // Negative figures have a meaning of their own.
            ours == theirs || (ours.min(theirs) >= 0 && ours.abs_diff(theirs) <= tolerance as u64)
        }
        _ => ours == theirs,
    };
    match name {
        // The two sides do not run in the same millisecond.
        "ttl" | "expiretime" => close(600),
        // Redis 8.0 says strange things after a RENAME.
        "object|idletime" => close(i64::MAX),
        "pttl" | "pexpiretime" => close(600_000),
        "keys" => sorted(ours) == sorted(theirs),
        "randomkey" => std::mem::discriminant(ours) == std::mem::discriminant(theirs),
        "scan" => match (ours.as_slice(), theirs.as_slice()) {
            (Some([our_cursor, our_keys]), Some([their_cursor, their_keys])) => {
                // A walk that is not at its end may have seen other keys.
                let both_ended = [our_cursor, their_cursor]
                    .iter()
                    .all(|cursor| cursor.as_bytes() == Some(b"0"));
                !both_ended || sorted(our_keys) == sorted(their_keys)
            }
            _ => ours == theirs,
        },
        _ => ours == theirs,
    }
}

fn sorted(value: &Value) -> Vec<String> {
    let mut shown: Vec<_> = match value.as_slice() {
        Some(values) => values.iter().map(show).collect(),
        None => vec![show(value)],
    };
    shown.sort();
    shown
}

/// The words of the options of every command that a server knows, as its COMMAND DOCS tells them.
fn known_tokens(reference: &mut Reference) -> BTreeMap<String, BTreeSet<String>> {
    let docs = reference.call(&[b"COMMAND", b"DOCS"]);
    let mut known = BTreeMap::new();
    for (name, doc) in pairs(&docs) {
        collect_command(&name, doc, &mut known);
    }
    known
}

fn collect_command(name: &str, doc: &Value, known: &mut BTreeMap<String, BTreeSet<String>>) {
    let tokens = known.entry(name.to_owned()).or_default();
    let mut subcommands = Vec::new();
    for (field, value) in pairs(doc) {
        match field.as_str() {
            "arguments" => collect_tokens(value, tokens),
            "subcommands" => subcommands = pairs(value),
            _ => {}
        }
    }
    for (name, doc) in subcommands {
        collect_command(&name, doc, known);
    }
}

fn collect_tokens(arguments: &Value, tokens: &mut BTreeSet<String>) {
    for argument in arguments.as_slice().unwrap_or_default() {
        for (field, value) in pairs(argument) {
            match field.as_str() {
                "token" => {
                    tokens.insert(show(value));
                }
                "arguments" => collect_tokens(value, tokens),
                _ => {}
            }
        }
    }
}

/// The pairs of a map, or of an array that stands for one.
fn pairs(value: &Value) -> Vec<(String, &Value)> {
    match value {
        Value::Map(pairs) => pairs
            .iter()
            .map(|(key, value)| (show(key), value))
            .collect(),
        _ => value
            .as_slice()
            .unwrap_or_default()
            .chunks_exact(2)
            .map(|pair| (show(&pair[0]), &pair[1]))
            .collect(),
    }
}
