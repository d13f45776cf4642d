//! Random command lines from the declarations: mostly valid ones, and some that a server has to refuse.
//!
//! Few keys, so that commands meet; deadlines far away or long past, so that timing does not matter.

use std::collections::{BTreeMap, BTreeSet};

use djr_engine::Rng;
use djr_engine::command::Command;
use djr_engine::registry::Registry;
use djr_engine::spec::{Arg, ArgKind, Flags, Group};

/// A command line.
pub type Words = Vec<Vec<u8>>;

/// Makes random command lines.
pub struct Generator<'r> {
    rng: Rng,
    /// Every command and subcommand that may be drawn, with the words of its name.
    commands: Vec<(&'r Command, Words)>,
    /// Those that may wait.
    waiting: Vec<(&'r Command, Words)>,
    /// The words that announce options, by full name of the command: no other is used.
    tokens: BTreeMap<String, BTreeSet<String>>,
    /// Where the number is that says how many of the next argument there are.
    number_at: Option<usize>,
    /// About the greatest id of the streams so far.
    stream_ms: u64,
}

const KEYS: &[&str] = &["a", "b", "c", "d", "key:5", "key:6", "", "k\0\r\n\u{e9}"];

/// Keys that mostly hold values of the type of one family, so that its commands find some.
const TYPED_KEYS: &[(Group, &[&str])] = &[
    (Group::List, &["list:1", "list:2", "list:3"]),
    (Group::Set, &["set:1", "set:2", "set:3"]),
    (Group::Hash, &["hash:1", "hash:2", "hash:3"]),
    (Group::SortedSet, &["zset:1", "zset:2", "zset:3"]),
    (Group::Geo, &["zset:1", "zset:2", "zset:3"]),
    (Group::Stream, &["stream:1", "stream:2"]),
];

/// Fields of hashes: few, so that commands meet.
const FIELDS: &[&str] = &[
    "a",
    "b",
    "c",
    "f1",
    "f2",
    "f3",
    "1",
    "2",
    "-7",
    "01",
    "",
    "x y",
    "\0\r\n\u{ff}",
    "a field of more than sixty-four bytes, which a packed hash does not hold",
];

const MEMBERS: &[&str] = &[
    "a", "b", "c", "d", "e", "aa", "ab", "m", "x", "z", "1", "2", "10", "-7", "", "\u{e9}",
];

const STRINGS: &[&str] = &[
    "",
    "a",
    "abc",
    "abcabc",
    "0",
    "1",
    "12",
    "-5",
    "007",
    "3.5",
    "-0.1",
    "1e3",
    " 1",
    "1 ",
    "x y",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "0x10",
    "inf",
    "nan",
    "bcbcabcbacbca",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "\0\r\n\u{ff}",
];

const DOUBLES: &[&str] = &[
    "0",
    "-0",
    "1",
    "0.1",
    "0.2",
    "-0.3",
    "10.5",
    "3.0e3",
    "5e-324",
    "1e17",
    "1e-17",
    "1e19",
    "inf",
    "-inf",
    "nan",
    "1e5000",
    "1e-5000",
    "1e4931",
    "-1e4931",
    ".5",
    "5.",
    ".",
    "1e",
    "+3",
    " 1",
    "1 ",
    "0x1p3",
    "0x.8",
    "0x",
    "1e+2",
    "1.7976931348623157e308",
    "1e-4940",
    "123456789012345678901234567890",
    "infinity",
    "INF",
    "1,5",
    "--1",
    "1e1.5",
    "x",
];

const INTEGERS: &[&str] = &[
    "0",
    "1",
    "-1",
    "2",
    "3",
    "5",
    "10",
    "-3",
    "-10",
    "100",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "9223372036854775",
    "9223372036854776",
    "-9223372036854776",
    "99999999999999999999",
    "x",
    "",
    "1.5",
    " 1",
    "01",
    "+1",
    "-0",
];

/// Times that are refused, past, or too far away to matter.
const TIMES: &[&str] = &[
    "0",
    "-1",
    "-10",
    "x",
    "",
    "1.5",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "9223372036854775",
    "9223372036854776",
    "-9223372036854776",
    "99999999999999999999",
];

const PATTERNS: &[&str] = &[
    "*", "**", "?", "a", "[a-c]", "[^a]", "[c-a]*", "key:*", "k*[56]", "*5", "\\a", "[", "[^",
    "[a", "[a-", "[\\]a]", "a*?", "*:*", "", "[]a]", "k??*", "\\", "*\\", "[b\\", "[^a-",
];

/// Words that no command knows, and some that only other commands do.
const STRAY: &[&str] = &["foo", "", "NX", "XX", "GET", "0", "LT", "COUNT", "REPLACE"];

impl<'r> Generator<'r> {
    /// A generator that begins at `seed` and knows these commands, by full name, with the option words that `tokens` lists for them.
    pub fn new(
        registry: &'r Registry,
        seed: u64,
        tokens: BTreeMap<String, BTreeSet<String>>,
    ) -> Self {
        let mut commands = Vec::new();
        for command in registry.commands() {
            let name = command.spec.name.as_bytes().to_vec();
            if command.subcommands.is_empty() {
                commands.push((command, vec![name]));
            } else {
                for sub in &command.subcommands {
                    commands.push((sub, vec![name.clone(), sub.spec.name.as_bytes().to_vec()]));
                }
            }
        }
        commands.retain(|(command, _)| tokens.contains_key(&command.full_name));
        if let Ok(only) = std::env::var("DJR_ONLY") {
            commands.retain(|(command, _)| {
                only.split(',')
                    .any(|start| command.full_name.starts_with(start))
            });
        }
        let (waiting, commands): (Vec<_>, Vec<_>) = commands
            .into_iter()
            .partition(|(command, _)| command.spec.flags.has(Flags::BLOCKING));
        assert!(!commands.is_empty(), "there is nothing to draw from");
        Self {
            rng: Rng::new(seed),
            commands,
            waiting,
            tokens,
            number_at: None,
            stream_ms: 1,
        }
    }

    /// All keys that commands may name.
    pub fn keys() -> impl Iterator<Item = &'static [u8]> {
        let typed = TYPED_KEYS.iter().flat_map(|(_, keys)| *keys);
        let all: BTreeSet<_> = KEYS.iter().chain(typed).collect();
        all.into_iter().map(|key| key.as_bytes())
    }

    /// Fields that hashes may have.
    pub fn fields() -> impl Iterator<Item = &'static [u8]> {
        FIELDS.iter().map(|field| field.as_bytes())
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        self.rng.below(bound as u64) as usize
    }

    /// The full name of a command that never waits, and a request for it.
    pub fn draw(&mut self) -> (String, Words) {
        loop {
            let at = self.below(self.commands.len());
            let (command, words) = self.commands[at].clone();
            // Otherwise there would hardly ever be anything.
            if command.spec.name.starts_with("flush") && self.below(20) > 0 {
                continue;
            }
            return self.request(command, words);
        }
    }

    /// The full name of a command that may wait, and a request for it. To be run in a transaction, where it does not.
    pub fn draw_waiting(&mut self) -> Option<(String, Words)> {
        if self.waiting.is_empty() {
            return None;
        }
        let at = self.below(self.waiting.len());
        let (command, words) = self.waiting[at].clone();
        Some(self.request(command, words))
    }

    fn request(&mut self, command: &'r Command, mut words: Words) -> (String, Words) {
        let names = words.len();
        for word in &mut words {
            if self.below(4) == 0 {
                word.make_ascii_uppercase();
            }
        }
        self.number_at = None;
        self.args(command, command.spec.syntax, &mut words);
        if self.below(10) == 0 {
            self.spoil(names, &mut words);
        }
        (command.full_name.clone(), words)
    }

    fn args(&mut self, command: &Command, args: &[Arg], words: &mut Words) {
        for run in args.chunk_by(|one, next| one.optional == next.optional) {
            // Options may come in any order.
            let mut run = run.to_vec();
            while !run.is_empty() {
                let is_option = run[0].optional;
                let at = if is_option { self.below(run.len()) } else { 0 };
                let arg = run.remove(at);
                if !is_option || self.below(3) == 0 {
                    self.arg(command, &arg, words);
                }
            }
        }
    }

    fn arg(&mut self, command: &Command, arg: &Arg, words: &mut Words) {
        if let Some(token) = arg.token {
            // Nobody is there who would end the wait; and an id of the clock is another one on each side.
            if token == "BLOCK" || token == "*" {
                if token == "*" {
                    words.push(self.stream_id(command));
                }
                return;
            }
            if !self.tokens[&command.full_name].contains(token) {
                return;
            }
            let mut token = token.as_bytes().to_vec();
            if self.below(2) == 0 {
                token.make_ascii_lowercase();
            }
            words.push(token);
        }
        let times = if arg.multiple { 1 + self.below(3) } else { 1 };
        if arg.multiple
            && let Some(at) = self.number_at.take()
            && self.below(10) > 0
        {
            words[at] = times.to_string().into_bytes();
        }
        for _ in 0..times {
            self.value(command, arg, words);
        }
    }

    fn value(&mut self, command: &Command, arg: &Arg, words: &mut Words) {
        let word = match arg.kind {
            ArgKind::Token => return,
            ArgKind::Block(args) if arg.name == "streams" => {
                return self.streams(command, args, words);
            }
            ArgKind::Block(args) => {
                return args.iter().for_each(|arg| self.arg(command, arg, words));
            }
            ArgKind::OneOf(args) => {
                let at = self.below(args.len());
                return self.arg(command, &args[at], words);
            }
            ArgKind::Key(_) => self.key(command.spec.group),
            ArgKind::String | ArgKind::Integer | ArgKind::UnixTime
                if command.spec.group == Group::Stream =>
            {
                self.stream_word(command, arg.name)
            }
            ArgKind::String if command.spec.group == Group::List => self.element(),
            ArgKind::String if command.spec.group == Group::Set => self.set_member(),
            ArgKind::String => self.string(arg.name),
            ArgKind::Double => self.named_double(arg.name),
            ArgKind::Pattern => self.one_of(PATTERNS),
            ArgKind::Integer | ArgKind::UnixTime => self.integer(command, arg.name),
        };
        if matches!(arg.name, "numkeys" | "numfields") {
            self.number_at = Some(words.len());
        }
        words.push(word);
    }

    fn key(&mut self, group: Group) -> Vec<u8> {
        let typed = TYPED_KEYS.iter().find(|(it, _)| *it == group);
        match typed {
            Some((_, keys)) if self.below(8) > 0 => self.one_of(keys),
            None if group == Group::Generic && self.below(2) == 0 => {
                let at = self.below(TYPED_KEYS.len());
                self.one_of(TYPED_KEYS[at].1)
            }
            _ => self.one_of(KEYS),
        }
    }

    fn string(&mut self, name: &str) -> Vec<u8> {
        match name {
            "type" => self.one_of(&["string", "STRING", "list", "set", "hash", "zset"]),
            "field" if self.below(10) > 0 => self.one_of(FIELDS),
            // Few, so that they meet.
            "member" | "member1" | "member2" if self.below(8) > 0 => {
                let at = self.below(MEMBERS.len());
                MEMBERS[at].as_bytes().to_vec()
            }
            // Ends of ranges of ranks, scores and members.
            "start" | "stop" | "min" | "max" if self.below(8) > 0 => self.bound(),
            "encoding" if self.below(10) > 0 => {
                let signed = self.below(2);
                let bits = 1 + self.below(63 + signed);
                format!("{}{bits}", ["u", "i"][signed]).into_bytes()
            }
            _ if self.below(4) == 0 => self.below(2000).to_string().into_bytes(),
            _ => self.one_of(STRINGS),
        }
    }

    /// As many keys as ids.
    fn streams(&mut self, command: &Command, args: &[Arg], words: &mut Words) {
        let count = 1 + self.below(3);
        for arg in args {
            for _ in 0..count {
                self.value(command, arg, words);
            }
        }
    }

    /// An element of a list: few different ones, so that they are found, and some long ones, so that lists are kept in all ways.
    fn element(&mut self) -> Vec<u8> {
        match self.below(24) {
            0 => self.string("element"),
            1 => vec![b'x'; 100 + self.below(3000)],
            2 => vec![b'y'; 4000 + self.below(5000)],
            3 => (self.rng.next() as i64 >> self.below(64))
                .to_string()
                .into_bytes(),
            _ => self.one_of(&["1", "2", "a", "b", "abc"]),
        }
    }

    /// A member of a set: integers of all widths mostly, so that sets are kept in all ways.
    fn set_member(&mut self) -> Vec<u8> {
        match self.below(40) {
            0 => self.string("element"),
            1 => vec![b'x'; 60 + self.below(10)],
            2..5 => self.one_of(MEMBERS),
            5 => (self.rng.next() as i64 >> self.below(64))
                .to_string()
                .into_bytes(),
            _ => (self.below(20) as i64 - 4).to_string().into_bytes(),
        }
    }

    fn bound(&mut self) -> Vec<u8> {
        match self.below(8) {
            0..=3 => (self.below(30) as i64 - 12).to_string().into_bytes(),
            4 => self.one_of(&["-", "+", "-inf", "+inf", "(1", "(-inf", "0", "-1"]),
            5 => format!("({}", self.below(9) as i64 - 4).into_bytes(),
            _ => {
                let bracket = self.one_of(&["[", "("]);
                let member = self.one_of(MEMBERS);
                [bracket, member].concat()
            }
        }
    }

    /// A number of a size that makes sense for an argument of this name, mostly.
    fn named_double(&mut self, name: &str) -> Vec<u8> {
        let any = self.below(10) == 0;
        match name {
            // Few and small, so that scores and sums of them are equal now and then.
            "score" | "increment" if !any && self.below(4) > 0 => {
                let halves = self.below(21) as i32 - 10;
                (f64::from(halves) / 2.0).to_string().into_bytes()
            }
            "min" | "max" if !any => self.bound(),
            "longitude" if !any => self.coordinate(180.0),
            "latitude" if !any => self.coordinate(85.0),
            "radius" | "width" | "height" if !any => {
                let digits = self.below(8) as i32;
                let length = (self.below(1000) as f64 + 1.0) * 10_f64.powi(digits - 2);
                length.to_string().into_bytes()
            }
            // A wait would end only then.
            "timeout" if !any => b"0.01".to_vec(),
            _ => self.double(),
        }
    }

    /// Degrees: mostly near to each other, so that searches find something.
    fn coordinate(&mut self, max: f64) -> Vec<u8> {
        let part = self.rng.next() as f64 / u64::MAX as f64 * 2.0 - 1.0;
        let degrees = if self.below(3) == 0 {
            part * max
        } else {
            10.0 + part * 3.0
        };
        format!("{degrees:.5}").into_bytes()
    }

    fn stream_word(&mut self, command: &Command, name: &str) -> Vec<u8> {
        let any = self.below(30) == 0;
        match name {
            "id" if command.full_name == "xreadgroup" && self.below(3) > 0 => b">".to_vec(),
            "id" | "start" | "end" | "last-id" | "lastid" | "max-deleted-id" => {
                self.stream_id(command)
            }
            "threshold" if self.below(2) == 0 => self.stream_id(command),
            "threshold" | "count" | "entriesread" | "entries-added" if !any => {
                (self.below(16) as i64 - 1).to_string().into_bytes()
            }
            "group" => self.one_of(&["g", "g", "h", "", "i"]),
            "consumer" => self.one_of(&["c", "c", "d", "e", ""]),
            // Long ago or never, so that timing does not matter.
            "min-idle-time" if !any => self.one_of(&["0", "0", "0", "-1", "100000000000"]),
            "ms" if !any => self.one_of(&["0", "1000000", "-5", "99999999999999"]),
            "unix-time-milliseconds" if !any => {
                self.one_of(&["0", "1000000", "-5", "1600000000000"])
            }
            "min-idle-time" | "ms" | "unix-time-milliseconds" => self.one_of(&["x", "", "1.5"]),
            "field" => self.one_of(&["a", "a", "a", "b", "12", ""]),
            _ => self.string(name),
        }
    }

    /// The id of a stream's entry: of a new one for XADD, mostly, else of one that may be there.
    fn stream_id(&mut self, command: &Command) -> Vec<u8> {
        const ODD: &[&str] = &[
            "",
            "-",
            "+",
            "$",
            ">",
            "(",
            "(5",
            "(5-1",
            "5-",
            "-5",
            "x",
            "5-x",
            "5-5-5",
            "007",
            "5-007",
            " 5",
            "+5",
            "5--0",
            "5-*",
            "0-0",
            "0",
            "5-18446744073709551615",
            "18446744073709551616",
            "5\x005",
        ];
        let (new, odd) = (command.full_name == "xadd", self.below(12));
        if odd == 0 && self.below(300) == 0 {
            return b"18446744073709551615-18446744073709551615".to_vec();
        }
        if odd == 0 {
            return self.one_of(ODD);
        }
        let seq = self.below(4);
        if new {
            self.stream_ms += self.rng.below(2);
            return match odd {
                1 => format!("{}", self.stream_ms),
                2 => format!("{}-*", self.stream_ms),
                _ => format!("{}-{seq}", self.stream_ms),
            }
            .into_bytes();
        }
        let ms = self.stream_ms.saturating_sub(self.rng.below(20));
        match odd {
            1 => format!("{ms}"),
            2 => format!("({ms}-{seq}"),
            _ => format!("{ms}-{seq}"),
        }
        .into_bytes()
    }

    /// A decimal number, or nearly one.
    pub fn double(&mut self) -> Vec<u8> {
        match self.below(4) {
            0 => self.one_of(DOUBLES),
            1 => {
                let (whole, part) = (self.rng.next() as i32 % 1000, self.rng.next() as u16);
                format!("{whole}.{part}").into_bytes()
            }
            2 => {
                // Any digits at all.
                let (a, b) = (self.rng.next(), self.rng.next());
                let exponent = self.below(60) as i32 - 40;
                format!("{a}.{b}e{exponent}").into_bytes()
            }
            _ => format!("{:e}", f64::from_bits(self.rng.next())).into_bytes(),
        }
    }

    fn integer(&mut self, command: &Command, name: &str) -> Vec<u8> {
        let any = self.below(8) == 0;
        let of_fields = command.spec.group == Group::Hash;
        match name {
            // So many are drawn if it is negative.
            "count" if command.spec.name.contains("rand") => self.one_of(&[
                "0",
                "1",
                "2",
                "3",
                "10",
                "100",
                "-1",
                "-2",
                "-5",
                "-50",
                "x",
                "9223372036854775807",
            ]),
            // None, or all: else what is left differs from server to server.
            "count" if command.spec.name == "spop" => {
                self.one_of(&["0", "0", "0", "1000", "-1", "x"])
            }
            "cursor" if !any => b"0".to_vec(),
            "count" if !any && command.spec.group != Group::List => b"1000".to_vec(),
            // Not past the largest string, which would be made.
            "offset" if self.below(10) == 0 => {
                self.one_of(&["4294967296", "9223372036854775807", "-1", "x"])
            }
            // Of a field, in its own width.
            "offset" if self.below(4) == 0 => format!("#{}", self.below(9)).into_bytes(),
            "offset" => self.below(60).to_string().into_bytes(),
            "db" | "destination-db" | "index1" | "index2" => self.one_of(&[
                "0",
                "1",
                "2",
                "0",
                "1",
                "2",
                "0",
                "1",
                "2",
                "15",
                "16",
                "-1",
                "x",
                "9999999999",
                "",
            ]),
            "seconds" | "milliseconds" | "unix-time-seconds" | "unix-time-milliseconds" if any => {
                self.one_of(TIMES)
            }
            _ if any => self.one_of(INTEGERS),
            // Fields live up to 2^46 milliseconds.
            "seconds" if of_fields => self.between(1_000_000, 60_000_000_000),
            "milliseconds" if of_fields => self.between(1_000_000_000, 60_000_000_000_000),
            "unix-time-seconds" if of_fields => self.between(5_000_000_000, 75_000_000_000),
            "unix-time-milliseconds" if of_fields => {
                self.between(5_000_000_000_000, 75_000_000_000_000)
            }
            "bit" | "value" if command.spec.group == Group::Bitmap && self.below(4) > 0 => {
                self.below(2).to_string().into_bytes()
            }
            // So many possible deadlines that none is drawn twice.
            "seconds" => self.between(1_000_000, 1 << 40),
            "milliseconds" => self.between(1_000_000_000, 1 << 50),
            "unix-time-seconds" => self.between(5_000_000_000, 1 << 43),
            "unix-time-milliseconds" => self.between(5_000_000_000_000, 1 << 53),
            _ => (self.below(30) as i64 - 12).to_string().into_bytes(),
        }
    }

    fn between(&mut self, low: u64, high: u64) -> Vec<u8> {
        (low + self.rng.below(high - low)).to_string().into_bytes()
    }

    fn one_of(&mut self, choices: &[&str]) -> Vec<u8> {
        let at = self.below(choices.len());
        choices[at].as_bytes().to_vec()
    }

    /// Makes a request that is probably wrong. Its name stays.
    fn spoil(&mut self, names: usize, words: &mut Words) {
        let at = names + self.below(words.len() - names + 1);
        match self.below(4) {
            0 => words.insert(at, self.one_of(STRAY)),
            1 if words.len() > names => {
                words.pop();
            }
            2 if at < words.len() => words.push(words[at].clone()),
            _ if at < words.len() => {
                words.remove(at);
            }
            _ => words.push(self.one_of(STRAY)),
        }
    }
}
