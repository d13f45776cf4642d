//! Random changes of lists under all limits, in the engine and in a real server: the replies, the elements and the encodings must
//! be the same.
//!
//! `DJR_SEED` repeats a run, `DJR_COMMANDS` sets its length. With `DJR_PEERS=dir` the servers in that directory are compared too.

use djr_engine::Rng;
use djr_engine::testkit::Bench;
use djr_tests::comparison::{line, number, seed};
use djr_tests::connection::Connection;
use djr_tests::random_commands::Words;
use djr_tests::reference::{Reference, binaries};
use djr_tests::reply::Reply;

/// How many commands are run in each real server.
const COMMANDS: usize = 20_000;
/// `list-max-listpack-size`.
const SIZES: [i64; 8] = [-2, -1, -3, -5, 1, 2, 5, 128];
const KEYS: [&str; 2] = ["l", "m"];

#[test]
fn lists_are_kept_as_in_real_servers() {
    let seed = seed();
    let commands = number("DJR_COMMANDS").map_or(COMMANDS, |count| count as usize);
    for binary in binaries() {
        let reference = Reference::start(&binary);
        println!("{}: seed {seed}", reference.version);
        for (round, size) in SIZES.into_iter().enumerate() {
            let mut lists = Lists {
                bench: Bench::new(),
                connection: reference.connect(),
                // Redis 7.0 had no other encoding than this.
                encodings: !reference.version.starts_with("redis 7.0"),
                rng: Rng::new(seed + round as u64),
                elements: KEYS.map(|_| Reply::Silence),
                history: Vec::new(),
                name: format!(
                    "{}, seed {seed}, list-max-listpack-size {size}",
                    reference.version
                ),
            };
            lists.start(size);
            for _ in 0..commands / SIZES.len() {
                lists.step();
            }
            // The log is replayed under the default.
            if size == -2 {
                lists.bench.check_log();
            }
        }
    }
}

struct Lists {
    bench: Bench,
    connection: Connection,
    encodings: bool,
    rng: Rng,
    /// What is in the lists now.
    elements: [Reply; KEYS.len()],
    history: Vec<Words>,
    name: String,
}

impl Lists {
    fn start(&mut self, size: i64) {
        let settings = &self.bench.engine.settings;
        settings.list_max_listpack_size.set(size as u64);
        let text = size.to_string();
        self.connection.call(&[b"FLUSHALL"]);
        self.connection.call(&[
            b"CONFIG",
            b"SET",
            b"list-max-listpack-size",
            text.as_bytes(),
        ]);
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.rng.below(bound)
    }

    fn one_of(&mut self, words: &[&str]) -> String {
        words[self.below(words.len() as u64) as usize].to_owned()
    }

    fn key(&mut self) -> String {
        let at = self.below(20).min(19) / 15;
        KEYS[at as usize].to_owned()
    }

    /// Few different ones of all sizes.
    fn element(&mut self) -> String {
        let len = match self.below(40) {
            0 => [4070, 4082, 4096, 4097, 8178, 8192, 8193][self.below(7) as usize],
            1 => self.below(10_000) as usize,
            2..6 => 400 + 500 * self.below(4) as usize,
            6..20 => 100,
            _ => return self.below(5).to_string(),
        };
        ["x", "y"][self.below(2) as usize].repeat(len)
    }

    /// An index that is there, and the element.
    ///
    /// Only such: otherwise real servers may change the encoding although they change nothing else, and we do not.
    fn present(&mut self, key: &str) -> Option<(i64, String)> {
        let at = KEYS.iter().position(|other| *other == key)?;
        let len = self.elements[at].items().len();
        if len == 0 {
            return None;
        }
        let index = self.below(2 * len as u64) as i64 - len as i64;
        let element = &self.elements[at].items()[index.rem_euclid(len as i64) as usize];
        Some((index, String::from_utf8_lossy(element.text()).into_owned()))
    }

    fn command(&mut self) -> Vec<String> {
        let end = |lists: &mut Self| lists.one_of(&["LEFT", "RIGHT"]);
        let key = self.key();
        match self.below(40) {
            0..14 => {
                let mut words = vec![self.one_of(&["LPUSH", "RPUSH"]), key];
                let count = match self.below(6) {
                    0 => 1 + self.below(40),
                    _ => 1 + self.below(3),
                };
                if self.below(3) == 0 {
                    words.extend(vec![self.element(); count as usize]);
                } else {
                    words.extend((0..count).map(|_| self.element()));
                }
                words
            }
            14..22 => {
                let mut words = vec![self.one_of(&["LPOP", "RPOP"]), key];
                if self.below(3) == 0 {
                    words.push(self.below(40).to_string());
                }
                words
            }
            22..34 => {
                let Some((index, pivot)) = self.present(&key) else {
                    return vec!["LLEN".into(), key];
                };
                let element = self.element();
                if self.below(3) == 0 {
                    vec!["LSET".into(), key, index.to_string(), element]
                } else {
                    let side = self.one_of(&["BEFORE", "AFTER"]);
                    vec!["LINSERT".into(), key, side, pivot, element]
                }
            }
            34..36 => {
                let count = self.below(7) as i64 - 3;
                vec!["LREM".into(), key, count.to_string(), self.element()]
            }
            36 => {
                let (start, stop) = (self.below(20) as i64, -1 - self.below(20) as i64);
                let words = ["LTRIM".into(), key, start.to_string(), stop.to_string()];
                words.to_vec()
            }
            37 => {
                let (from, to) = (end(self), end(self));
                vec!["LMOVE".into(), key, self.key(), from, to]
            }
            38 => {
                let (end, count) = (end(self), 1 + self.below(20));
                let count = count.to_string();
                vec!["LMPOP".into(), "1".into(), key, end, "COUNT".into(), count]
            }
            _ => {
                let index = self.below(200) as i64 - 100;
                vec!["LINDEX".into(), key, index.to_string()]
            }
        }
    }

    fn step(&mut self) {
        let words = self.command();
        self.both(words);
        for key in KEYS {
            if self.encodings {
                self.both(["OBJECT", "ENCODING", key].map(str::to_owned).to_vec());
            }
        }
        for (place, key) in KEYS.iter().enumerate() {
            let words = ["LRANGE", key, "0", "-1"];
            self.elements[place] = self.both(words.map(str::to_owned).to_vec());
        }
    }

    fn both(&mut self, words: Vec<String>) -> Reply {
        let words: Words = words.into_iter().map(String::into_bytes).collect();
        let slices: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        let ours = {
            let reply = self.bench.run(&slices);
            Reply::parse(&reply).expect("a whole reply").0
        };
        let theirs = self.connection.call(&slices);
        self.history.push(words);
        if ours != theirs {
            let start = self.history.len().saturating_sub(60);
            for words in &self.history[start..] {
                let mut text = line(words);
                text.truncate(150);
                println!("{text}");
            }
            panic!("{}\n  ours:   {ours}\n  theirs: {theirs}", self.name);
        }
        ours
    }
}
