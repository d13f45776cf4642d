//! Random command sequences, run in the engine and in a real server: the replies must be the same.
//!
//! `DJR_SEED` repeats a run, `DJR_COMMANDS` sets its length, `DJR_ONLY=z,geo,del` draws only commands that begin so. With `DJR_PEERS=dir` the servers in that directory are compared too.

use djr_engine::Rng;
use djr_engine::spec::Group;
use djr_engine::testkit::{Bench, registry};
use djr_protocol::RespVersion;
use djr_tests::comparison::{equal, is_different_on_purpose, known_tokens, line, number, seed};
use djr_tests::connection::Connection;
use djr_tests::random_commands::{Generator, Words};
use djr_tests::reference::{Reference, binaries};
use djr_tests::reply::Reply;

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

/// Nothing but streams, so that they live long, and small blocks, so that they have many.
#[test]
fn streams_are_as_in_real_servers() {
    let seed = seed();
    let commands = number("DJR_COMMANDS").map_or(COMMANDS, |count| count as usize);
    for binary in binaries() {
        for version in [RespVersion::V2, RespVersion::V3] {
            let reference = Reference::start(&binary);
            println!("{}: seed {seed}, {version:?}", reference.version);
            let mut comparison = Comparison::new(reference, version);
            let limit =
                comparison
                    .connection
                    .call(&[b"CONFIG", b"SET", b"stream-node-max-entries", b"4"]);
            assert!(!limit.is_error());
            comparison
                .bench
                .engine
                .settings
                .stream_node_max_entries
                .set(4);
            comparison.run_streams(seed, commands / 2);
        }
    }
}

/// Patterns and keys of few letters, so that every kind of element meets every kind of byte.
#[test]
fn patterns_match_as_in_real_servers() {
    let seed = seed();
    for binary in binaries() {
        let reference = Reference::start(&binary);
        let mut connection = reference.connect();
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
            connection.call(&[b"SET", &key, b"v"]);
        }
        for _ in 0..3000 {
            let pattern = word(b"abc*?[]^-\\A\0", 9);
            let ours = decode(&bench.run(&[b"KEYS", &pattern]));
            let theirs = connection.call(&[b"KEYS", &pattern]);
            assert_eq!(
                ours.sorted(),
                theirs.sorted(),
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
        let reference = Reference::start(&binary);
        let mut connection = reference.connect();
        println!("{}: seed {seed}", reference.version);
        let mut bench = Bench::new();
        let mut generator = Generator::new(registry(), seed, known_tokens(&mut connection));
        for index in 0..3000 {
            let increment = generator.double();
            if index % 3 == 0 {
                bench.run(&[b"DEL", b"sum"]);
                connection.call(&[b"DEL", b"sum"]);
            }
            let words: [&[u8]; 3] = [b"INCRBYFLOAT", b"sum", &increment];
            assert_eq!(
                decode(&bench.run(&words)),
                connection.call(&words),
                "{}, seed {seed}: + {}",
                reference.version,
                increment.escape_ascii()
            );
        }
    }
}

fn decode(bytes: &[u8]) -> Reply {
    let (reply, length) = Reply::parse(bytes).expect("a whole reply");
    assert_eq!(length, bytes.len(), "one reply");
    reply
}

struct Comparison {
    bench: Bench,
    reference: Reference,
    connection: Connection,
    /// What has been run, for the report of a difference.
    history: Vec<(u32, Words)>,
    /// How many commands were refused.
    errors: usize,
}

impl Comparison {
    fn new(reference: Reference, version: RespVersion) -> Self {
        let mut bench = Bench::new();
        bench.version = version;
        let mut connection = reference.connect();
        if version == RespVersion::V3 {
            connection.call(&[b"HELLO", b"3"]);
        }
        Self {
            bench,
            reference,
            connection,
            history: Vec::new(),
            errors: 0,
        }
    }

    fn run(&mut self, seed: u64, commands: usize) {
        let known = known_tokens(&mut self.connection);
        let mut generator = Generator::new(registry(), seed, known);
        for index in 0..commands {
            if generator.below(20) == 0 {
                let db = generator.below(3) as u32;
                self.bench.shell.db = db;
                self.connection
                    .call(&[b"SELECT", db.to_string().as_bytes()]);
            }
            let (name, words) = generator.draw();
            if is_different_on_purpose(&self.reference, &name, &words) {
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

    fn run_streams(&mut self, seed: u64, commands: usize) {
        let mut known = known_tokens(&mut self.connection);
        known.retain(|name, _| {
            let command = registry().by_full_name(name.as_bytes());
            command.is_some_and(|command| command.spec.group == Group::Stream)
        });
        let mut generator = Generator::new(registry(), seed, known);
        for index in 0..commands {
            let (name, mut words) = generator.draw();
            if generator.below(400) == 0 {
                words = vec![
                    b"DEL".to_vec(),
                    Generator::keys()
                        .nth(generator.below(3))
                        .unwrap_or_default()
                        .to_vec(),
                ];
            }
            if is_different_on_purpose(&self.reference, &name, &words) {
                continue;
            }
            self.step(&name, &words, seed);
            if index % 50 == 49 {
                for key in Generator::keys() {
                    let words = ["XINFO", "STREAM", "", "FULL", "COUNT", "0"];
                    let mut words: Words = words.map(|word| word.as_bytes().to_vec()).to_vec();
                    words[2] = key.to_vec();
                    if is_different_on_purpose(&self.reference, "xinfo|stream", &words) {
                        words.truncate(3);
                    }
                    self.step("xinfo|stream", &words, seed);
                }
            }
        }
        let (all, errors) = (self.history.len(), self.errors);
        println!(
            "{}: {all} commands, {errors} refused",
            self.reference.version
        );
        assert!(errors * 2 < all, "most commands do something");
    }

    /// Runs one command on both sides.
    fn step(&mut self, name: &str, words: &Words, seed: u64) {
        self.history.push((self.bench.shell.db, words.clone()));
        if name == "dbsize" {
            // Real servers count a key past its deadline until somebody looks.
            let mut look: Vec<&[u8]> = vec![b"EXISTS"];
            look.extend(Generator::keys());
            self.connection.call(&look);
        }
        let slices: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        self.bench.now = now_ms();
        let ours = decode(&self.bench.run(&slices));
        let theirs = self.connection.call(&slices);
        self.errors += usize::from(ours.is_error());
        if !equal(name, &ours, &theirs) {
            self.report(words, &ours, &theirs, seed);
        }
    }

    /// Looks at every key on both sides.
    fn compare_keys(&mut self, seed: u64) {
        for key in Generator::keys() {
            for command in [
                "type",
                "get",
                "lrange",
                "hgetall",
                "pexpiretime",
                "object|encoding",
                "hpexpiretime",
            ] {
                let mut words: Words = command
                    .split('|')
                    .map(|word| word.as_bytes().to_vec())
                    .collect();
                words.push(key.to_vec());
                if command == "lrange" {
                    words.extend([b"0".to_vec(), b"-1".to_vec()]);
                }
                if command == "hpexpiretime" {
                    if self.reference.major() < 8 {
                        continue;
                    }
                    let fields: Words = Generator::fields().map(<[u8]>::to_vec).collect();
                    words.extend([b"FIELDS".to_vec(), fields.len().to_string().into_bytes()]);
                    words.extend(fields);
                }
                if !is_different_on_purpose(&self.reference, command, &words) {
                    self.step(command, &words, seed);
                }
            }
        }
    }

    fn report(&self, words: &Words, ours: &Reply, theirs: &Reply, seed: u64) -> ! {
        // Those that name its key, whichever of its words that is; looking tells nothing.
        let is_about_it = |past: &Words| past[1..].iter().any(|word| words[1..].contains(word));
        let looks = |past: &Words| past[0] == b"get" || past[0] == b"type";
        let related: Vec<_> = self
            .history
            .iter()
            .filter(|(_, past)| is_about_it(past) && !looks(past))
            .collect();
        let start = related.len().saturating_sub(40);
        for (db, words) in &related[start..] {
            println!("db {db}: {}", line(words));
        }
        panic!(
            "{}, seed {seed}, {:?}: {}\n  ours:   {ours}\n  theirs: {theirs}",
            self.reference.version,
            self.bench.version,
            line(words),
        );
    }
}

fn now_ms() -> i64 {
    let now = std::time::UNIX_EPOCH.elapsed().expect("a clock");
    now.as_millis() as i64
}
