//! Requests of a load: encoded once, and only the digits of their keys and numbers changed for each use.
//!
//! ```text
//! *2\r\n$3\r\nGET\r\n$16\r\nkey:000000001234\r\n   × pipeline
//!                           └ 12 digits, patched
//! ```

use std::sync::LazyLock;

/// One argument of a load's command.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Arg {
    Text(&'static str),
    /// 64 bytes.
    Value,
    /// This and 12 digits: a key (member, …) of the data set, one after the other while it is filled, at random under load. All that one
    /// command of the filling has are the same.
    Key(&'static str),
    /// This and 12 digits: a random number below the one that is given.
    Random(&'static str, u64),
    /// This and four digits: a random number below 9 000.
    Short(&'static str),
    /// As the last [`Short`](Arg::Short), and so much more.
    ShortPlus(&'static str, u64),
    /// This and the connection's number in 12 digits.
    Connection(&'static str),
    /// These, so many times.
    Repeat(usize, &'static [Arg]),
    /// This and the number of the repetition in 12 digits.
    Index(&'static str),
}

/// A command of a load: its arguments, its own name first.
pub(crate) type Command = &'static [Arg];

pub(crate) const VALUE: [u8; 64] = [b'x'; 64];
const DIGITS: usize = 12;
const SHORT_DIGITS: usize = 4;
const SHORT_BELOW: u64 = 9_000;

/// Where the numbers of requests come from.
pub(crate) struct Numbers {
    /// Keys are below it.
    keys: u64,
    /// The next key, if they come one after the other.
    sequential: Option<u64>,
    state: u64,
    last_short: u64,
}

impl Numbers {
    /// Uniformly random keys below `keys`.
    pub(crate) fn random(keys: u64, seed: u64) -> Self {
        assert!(keys > 0, "a load needs keys");
        Numbers {
            keys,
            sequential: None,
            state: seed,
            last_short: 0,
        }
    }

    /// One key after the other.
    pub(crate) fn sequential() -> Self {
        Numbers {
            sequential: Some(0),
            ..Numbers::random(1, 0)
        }
    }

    fn key(&mut self) -> u64 {
        match self.sequential {
            Some(next) => next,
            None => self.below(self.keys),
        }
    }

    /// All commands for one key are written.
    fn next_key(&mut self) {
        if let Some(next) = &mut self.sequential {
            *next += 1;
        }
    }

    fn below(&mut self, count: u64) -> u64 {
        // splitmix64, then scaled to the range by a multiplication instead of a division.
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        ((u128::from(z) * u128::from(count)) >> 64) as u64
    }
}

/// What is patched into the digits of a place.
#[derive(Clone, Copy)]
enum Patch {
    Key,
    Random(u64),
    Short,
    ShortPlus(u64),
    Connection,
    /// No digits: the next key's commands begin here.
    NextKey,
}

/// The bytes of one full pipeline.
pub(crate) struct Pipeline {
    bytes: Vec<u8>,
    /// Where digits begin, and which.
    patches: Vec<(usize, Patch)>,
    /// Requests in it.
    pub(crate) depth: usize,
}

impl Pipeline {
    /// The commands, over and over until there are so many requests.
    pub(crate) fn new(commands: &[Command], depth: usize) -> Self {
        let mut pipeline = Pipeline {
            bytes: Vec::new(),
            patches: Vec::new(),
            depth,
        };
        for (number, command) in commands.iter().cycle().take(depth).enumerate() {
            pipeline
                .bytes
                .extend(format!("*{}\r\n", arity(command)).bytes());
            pipeline.push(command, 0);
            if (number + 1).is_multiple_of(commands.len()) {
                pipeline.patches.push((0, Patch::NextKey));
            }
        }
        pipeline
    }

    fn push(&mut self, args: &[Arg], index: usize) {
        for arg in args {
            match *arg {
                Arg::Text(text) => self.push_bulk(text.as_bytes()),
                Arg::Value => self.push_bulk(&VALUE),
                Arg::Key(prefix) => self.push_digits(prefix, DIGITS, Patch::Key),
                Arg::Random(prefix, below) => {
                    self.push_digits(prefix, DIGITS, Patch::Random(below))
                }
                Arg::Short(prefix) => self.push_digits(prefix, SHORT_DIGITS, Patch::Short),
                Arg::ShortPlus(prefix, more) => {
                    self.push_digits(prefix, SHORT_DIGITS, Patch::ShortPlus(more));
                }
                Arg::Connection(prefix) => self.push_digits(prefix, DIGITS, Patch::Connection),
                Arg::Index(prefix) => self.push_bulk(format!("{prefix}{index:012}").as_bytes()),
                Arg::Repeat(times, args) => (0..times).for_each(|index| self.push(args, index)),
            }
        }
    }

    fn push_digits(&mut self, prefix: &str, digits: usize, patch: Patch) {
        self.push_bulk(format!("{prefix}{:0digits$}", 0).as_bytes());
        self.patches.push((self.bytes.len() - 2 - digits, patch));
    }

    fn push_bulk(&mut self, bytes: &[u8]) {
        self.bytes.extend(format!("${}\r\n", bytes.len()).bytes());
        self.bytes.extend(bytes);
        self.bytes.extend(b"\r\n");
    }

    /// Gives every request its next numbers and returns the bytes that this connection is to send.
    pub(crate) fn next(&mut self, numbers: &mut Numbers, connection: u64) -> &[u8] {
        for &(at, patch) in &self.patches {
            let (number, digits) = match patch {
                Patch::Key => (numbers.key(), DIGITS),
                Patch::Random(below) => (numbers.below(below), DIGITS),
                Patch::Short => {
                    numbers.last_short = numbers.below(SHORT_BELOW);
                    (numbers.last_short, SHORT_DIGITS)
                }
                Patch::ShortPlus(more) => (numbers.last_short + more, SHORT_DIGITS),
                Patch::Connection => (connection, DIGITS),
                Patch::NextKey => {
                    numbers.next_key();
                    continue;
                }
            };
            write_digits(&mut self.bytes[at..at + digits], number);
        }
        &self.bytes
    }
}

/// How many arguments a command has when it is written out.
fn arity(args: &[Arg]) -> usize {
    args.iter()
        .map(|arg| match arg {
            Arg::Repeat(times, args) => times * arity(args),
            _ => 1,
        })
        .sum()
}

/// `0000` to `9999`.
static FOUR_DIGITS: LazyLock<Vec<[u8; 4]>> = LazyLock::new(|| {
    (0..10_000_u16)
        .map(|n| [n / 1000, n / 100 % 10, n / 10 % 10, n % 10].map(|digit| b'0' + digit as u8))
        .collect()
});

/// Fills `out`, whose length is a multiple of four.
fn write_digits(out: &mut [u8], mut number: u64) {
    let table = &**FOUR_DIGITS;
    for four in out.rchunks_exact_mut(4) {
        four.copy_from_slice(&table[(number % 10_000) as usize]);
        number /= 10_000;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SET: Command = &[Arg::Text("SET"), Arg::Key("key:"), Arg::Value];

    fn text(pipeline: &mut Pipeline, numbers: &mut Numbers, connection: u64) -> String {
        String::from_utf8_lossy(pipeline.next(numbers, connection)).into_owned()
    }

    #[test]
    fn digits_are_decimal() {
        for number in [
            0,
            7,
            1234,
            99_999_999,
            100_000_000,
            123_456_789_012,
            999_999_999_999,
        ] {
            let mut out = [0; 12];
            write_digits(&mut out, number);
            assert_eq!(String::from_utf8_lossy(&out), format!("{number:012}"));
        }
    }

    #[test]
    fn pipeline_holds_well_formed_requests_with_successive_keys() {
        let value = "x".repeat(64);
        let one = |key| format!("*3\r\n$3\r\nSET\r\n$16\r\nkey:{key:012}\r\n$64\r\n{value}\r\n");
        let (mut pipeline, mut numbers) = (Pipeline::new(&[SET], 2), Numbers::sequential());
        assert_eq!(text(&mut pipeline, &mut numbers, 0), one(0) + &one(1));
        assert_eq!(text(&mut pipeline, &mut numbers, 0), one(2) + &one(3));
    }

    #[test]
    fn commands_for_one_key_come_together() {
        const DEL: Command = &[Arg::Text("DEL"), Arg::Key("key:")];
        let mut pipeline = Pipeline::new(&[SET, DEL], 4);
        let text = text(&mut pipeline, &mut Numbers::sequential(), 0);
        let keys = text.split("key:").skip(1).map(|rest| &rest[..12]);
        let expected = [
            "000000000000",
            "000000000000",
            "000000000001",
            "000000000001",
        ];
        assert_eq!(keys.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn arguments_are_repeated_and_numbered() {
        const HSET: Command = &[
            Arg::Text("HSET"),
            Arg::Connection("c"),
            Arg::Repeat(2, &[Arg::Index("f"), Arg::Text("v")]),
        ];
        let text = text(
            &mut Pipeline::new(&[HSET], 1),
            &mut Numbers::random(1, 1),
            7,
        );
        let args = "c000000000007\r\n$13\r\nf000000000000\r\n$1\r\nv\r\n$13\r\nf000000000001\r\n$1\r\nv\r\n";
        assert_eq!(text, format!("*6\r\n$4\r\nHSET\r\n$13\r\n{args}"));
    }

    #[test]
    fn a_range_ends_where_its_begin_says() {
        const RANGE: Command = &[Arg::Short("5"), Arg::ShortPlus("5", 9)];
        let (mut pipeline, mut numbers) = (Pipeline::new(&[RANGE], 1), Numbers::random(1, 1));
        for _ in 0..100 {
            let text = text(&mut pipeline, &mut numbers, 0);
            let ends = text.lines().filter(|line| line.len() == 5);
            let ends = ends
                .map(|line| line.parse::<u64>().expect("digits"))
                .collect::<Vec<_>>();
            assert_eq!(ends[1], ends[0] + 9);
            assert!((50_000..59_000).contains(&ends[0]), "{ends:?}");
        }
    }

    #[test]
    fn random_keys_cover_the_range_and_keep_inside() {
        let mut numbers = Numbers::random(10, 1);
        let mut seen = [0_u32; 10];
        for _ in 0..10_000 {
            seen[numbers.key() as usize] += 1;
        }
        assert!(
            seen.iter().all(|&count| (800..1200).contains(&count)),
            "{seen:?}"
        );
    }
}
