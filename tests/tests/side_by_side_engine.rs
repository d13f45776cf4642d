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

/// The same elements make the same bytes and the same counts, from the first element to the dense form.
#[test]
fn hyperloglogs_equal_those_of_real_servers() {
    let seed = seed();
    for binary in binaries() {
        let reference = Reference::start(&binary);
        let mut connection = reference.connect();
        println!("{}: seed {seed}", reference.version);
        let mut bench = Bench::new();
        let mut rng = Rng::new(seed);
        let mut call = |words: &[&[u8]]| {
            let ours = decode(&bench.run(words));
            let theirs = connection.call(words);
            let command = line(&words.iter().map(|word| word.to_vec()).collect());
            assert_eq!(
                ours, theirs,
                "{}, seed {seed}: {command}",
                reference.version
            );
        };
        for round in 0..8 {
            call(&[b"FLUSHALL"]);
            // Elements are drawn from more and more, so that some repeat.
            for step in 0..1500_u64 {
                let key = format!("key:{}", rng.below(3));
                let elements: Vec<Vec<u8>> = (0..rng.below(1 + round))
                    .map(|_| rng.below(5000 << round).to_string().into_bytes())
                    .collect();
                let mut words: Vec<&[u8]> = vec![b"PFADD", key.as_bytes()];
                words.extend(elements.iter().map(Vec::as_slice));
                call(&words);
                match step % 10 {
                    0 => call(&[b"PFCOUNT", key.as_bytes()]),
                    1 => call(&[b"PFCOUNT", b"key:0", b"key:1", b"key:2"]),
                    2 if step % 150 == 2 => {
                        call(&[b"PFMERGE", b"merged", b"key:0", b"key:1", b"key:2"]);
                        call(&[b"PFMERGE", key.as_bytes(), b"merged"]);
                        call(&[b"GET", b"merged"]);
                    }
                    3 if step % 350 == 3 => call(&[b"DEL", key.as_bytes()]),
                    _ => {}
                }
                call(&[b"GET", key.as_bytes()]);
            }
        }
    }
}

/// Values travel from a real server into the engine and from there into another one, and are the same: small and large ones, in every
/// encoding that the server has for them.
#[test]
fn payloads_are_exchanged_with_real_servers() {
    let seed = seed();
    let servers: Vec<_> = binaries()
        .iter()
        .map(|path| Reference::start(path))
        .collect();
    for source in &servers {
        println!("{}: seed {seed}", source.version);
        let mut rng = Rng::new(seed);
        let mut theirs = source.connect();
        let mut bench = Bench::new();
        bench.now = now_ms();
        for round in 0..60 {
            let kind = round % 5;
            make_value(&mut theirs, &mut rng, kind);
            let payload = theirs.call(&[b"DUMP", b"value"]);
            let reply = bench.run(&[b"RESTORE", b"value", b"0", payload.text(), b"REPLACE"]);
            let about = format!("{}, seed {seed}, round {round}", source.version);
            assert_eq!(reply, b"+OK\r\n", "{about}");
            let ours = decode(&bench.run(&[b"DUMP", b"value"]));
            for sink in &servers {
                // It reads its own versions only, and those are older than ours.
                if sink.version.starts_with("redis 7.0") {
                    continue;
                }
                // Neither reads the other's hashes whose fields expire.
                if ours.text().first().is_some_and(|kind| *kind > 23) && sink.is_valkey() {
                    continue;
                }
                let mut other = sink.connect();
                let words: [&[u8]; 5] = [b"RESTORE", b"value", b"0", ours.text(), b"REPLACE"];
                let about = format!("{about}, to {}", sink.version);
                assert_eq!(other.call(&words).text(), b"OK", "{about}");
                assert_eq!(
                    contents(&mut other, kind),
                    contents(&mut theirs, kind),
                    "{about}"
                );
            }
            // Any byte may be wrong.
            let mut damaged = ours.text().to_vec();
            let at = rng.below(damaged.len() as u64) as usize;
            damaged[at] ^= 1 << rng.below(8);
            let words: [&[u8]; 4] = [b"RESTORE", b"damaged", b"0", &damaged];
            assert_eq!(decode(&bench.run(&words)), theirs.call(&words), "{about}");
        }
    }
}

/// Makes a value of some kind under the key `value`, of a random size.
fn make_value(server: &mut Connection, rng: &mut Rng, kind: usize) {
    let size = [1, 5, 100, 700][rng.below(4) as usize];
    let mut word = |index: u64| -> Vec<u8> {
        match rng.below(4) {
            0 => index.to_string().into_bytes(),
            1 => format!("-{index}").into_bytes(),
            2 => format!("{index}:")
                .repeat(1 + rng.below(40) as usize)
                .into_bytes(),
            _ => [index.to_string().as_bytes(), &rng.next().to_le_bytes()].concat(),
        }
    };
    server.call(&[b"DEL", b"value"]);
    let name: &[u8] = [&b"SET"[..], b"RPUSH", b"ZADD", b"HSET", b"SADD"][kind];
    let mut words: Vec<Vec<u8>> = vec![name.to_vec(), b"value".to_vec()];
    for index in 0..size {
        match kind {
            0 if index > 0 => break,
            2 => {
                words.push(format!("{}.5e{}", word(index).len(), index % 9).into_bytes());
                words.push(word(index));
            }
            3 => words.extend([word(index), word(index)]),
            _ => words.push(word(index)),
        }
    }
    let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
    let reply = server.call(&words);
    assert!(!reply.is_error(), "{reply}");
    if kind == 3 && size % 2 == 1 {
        // Unknown to the oldest.
        let at = (now_ms() + 1_000_000).to_string();
        for field in words[2..].iter().step_by(6) {
            server.call(&[
                b"HPEXPIREAT",
                b"value",
                at.as_bytes(),
                b"FIELDS",
                b"1",
                field,
            ]);
        }
    }
}

/// What is under the key `value`.
fn contents(server: &mut Connection, kind: usize) -> String {
    let words: &[&[u8]] = match kind {
        0 => &[b"GET", b"value"],
        1 => &[b"LRANGE", b"value", b"0", b"-1"],
        2 => &[b"ZRANGE", b"value", b"0", b"-1", b"WITHSCORES"],
        3 => &[b"HGETALL", b"value"],
        _ => &[b"SMEMBERS", b"value"],
    };
    let reply = server.call(words);
    if kind == 4 {
        return reply.sorted().to_string();
    }
    if kind < 3 {
        return reply.to_string();
    }
    let mut fields: Vec<String> = reply
        .items()
        .chunks(2)
        .map(|pair| {
            let words: [&[u8]; 5] = [b"HPEXPIRETIME", b"value", b"FIELDS", b"1", pair[0].text()];
            let deadline = server.call(&words);
            let deadline = deadline.items().first().and_then(Reply::integer);
            let deadline = deadline.filter(|at| *at != -1);
            format!("{} {} {deadline:?}", pair[0], pair[1])
        })
        .collect();
    fields.sort();
    fields.join("\n")
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
    /// What has been run, in which db, and the beginning of what came of it: for the report of a difference.
    history: Vec<(u32, Words, String)>,
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
        // So that dumps can be compared.
        bench.engine.settings.rdb_compression.set(0);
        connection.call(&[b"CONFIG", b"SET", b"rdbcompression", b"no"]);
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
            if index % 20 == 19
                && let Some((name, words)) = generator.draw_waiting()
                && !is_different_on_purpose(&self.reference, &name, &words)
            {
                self.step_in_transaction(&name, &words, seed);
            }
            if index % 500 == 499 {
                self.compare_keys(seed);
            }
        }
        self.compare_keys(seed);
        self.bench.check_log();
        self.bench.check_rewrite();
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
                    let words = vec![b"DUMP".to_vec(), key.to_vec()];
                    if !is_different_on_purpose(&self.reference, "dump", &words) {
                        self.step("dump", &words, seed);
                    }
                }
            }
        }
        let (all, errors) = (self.history.len(), self.errors);
        println!(
            "{}: {all} commands, {errors} refused",
            self.reference.version
        );
        // Redis 7.0 lacks many commands.
        let is_old = self.reference.version.starts_with("redis 7.0");
        assert!(is_old || errors * 3 < all * 2, "commands do something");
    }

    /// Runs one command on both sides.
    fn step(&mut self, name: &str, words: &Words, seed: u64) {
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
        self.note(words, &ours);
        self.errors += usize::from(ours.is_error());
        if !equal(&self.reference, name, &ours, &theirs) {
            self.report(words, &ours, &theirs, seed);
        }
        if matches!(name, "sort" | "sort_ro" | "linsert" | "lset")
            && let Some(key) = slices.get(1)
        {
            self.pack_again(key);
        }
    }

    fn note(&mut self, words: &Words, reply: &Reply) {
        let mut shown = reply.to_string();
        shown.truncate(shown.floor_char_boundary(1000));
        let db = self.bench.shell.db;
        self.history.push((db, words.clone(), shown));
    }

    /// Real servers unpack a sorted set that is sorted, and a list that LINSERT or LSET would make too large, and leave it so even
    /// if there is no place for the element; ours stay as they were. What is saved and loaded is packed.
    fn pack_again(&mut self, key: &[u8]) {
        let encoding: [&[u8]; 3] = [b"OBJECT", b"ENCODING", key];
        let ours = decode(&self.bench.run(&encoding));
        let kind = self.connection.call(&[b"TYPE", key]);
        if !matches!(kind.text(), b"zset" | b"list")
            || self.reference.is_old() && kind.text() == b"list"
            || ours.text() != b"listpack"
            || self.connection.call(&encoding) == ours
        {
            return;
        }
        let payload = self.connection.call(&[b"DUMP", key]);
        let expire = self.connection.call(&[b"PEXPIRETIME", key]);
        // For RESTORE, 0 is none.
        let expire = expire.integer().map_or(0, |at| at.max(0)).to_string();
        self.connection.call(&[
            b"RESTORE",
            key,
            expire.as_bytes(),
            payload.text(),
            b"REPLACE",
            b"ABSTTL",
        ]);
    }

    /// The same for a command that may wait: not in a transaction.
    fn step_in_transaction(&mut self, name: &str, words: &Words, seed: u64) {
        let slices: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        self.bench.now = now_ms();
        self.bench.line("MULTI");
        self.connection.call(&[b"MULTI"]);
        let mut ours = decode(&self.bench.run(&slices));
        let mut theirs = self.connection.call(&slices);
        if !ours.is_error() {
            ours = decode(&self.bench.run(&[b"EXEC"]));
            theirs = self.connection.call(&[b"EXEC"]);
        } else {
            self.bench.run(&[b"EXEC"]);
            self.connection.call(&[b"DISCARD"]);
        }
        self.note(words, &ours);
        let same = match (ours.items(), theirs.items()) {
            ([ours], [theirs]) => equal(&self.reference, name, ours, theirs),
            _ => ours == theirs,
        };
        if !same {
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
                "dump",
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
        // Those that name its key, whichever of its words that is, or move whole dbs; looking tells nothing.
        let is_about_it = |past: &Words| {
            let whole_dbs = [&b"swapdb"[..], b"flushdb", b"flushall"];
            whole_dbs.contains(&past[0].to_ascii_lowercase().as_slice())
                || past[1..].iter().any(|word| words[1..].contains(word))
        };
        let looks = |past: &Words| {
            past[0] == b"get"
                || past[0] == b"type"
                || past[0] == b"object" && past[1] == b"encoding"
        };
        let related: Vec<_> = self
            .history
            .iter()
            .filter(|(_, past, _)| is_about_it(past) && !looks(past))
            .collect();
        let start = related
            .len()
            .saturating_sub(number("DJR_HISTORY").unwrap_or(40) as usize);
        for (db, words, reply) in &related[start..] {
            println!("db {db}: {}   -> {reply}", line(words));
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
