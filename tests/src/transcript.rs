//! Transcripts: files with commands for one or several connections, and the replies that real servers gave.
//!
//! ```text
//! # A comment.
//! ! requirepass secret              an option that the servers are started with
//!
//! @ unordered                       what to know about the next step (see below)
//! A> SET key "a value\r\n"          connection A sends this (quoting as in redis-cli; <1000*x> is a thousand x)
//! +OK                               the reply, in the spelling of `Reply`
//! A>> "*1\r\n$4\r\nPING\r\n"        connection A sends these very bytes
//! +PONG
//! A<                                connection A receives one more reply
//! closed
//! ```
//!
//! | `@` | meaning |
//! |---|---|
//! | `replies N` | N replies come, not one |
//! | `times N` | the request is sent N times at once; the file has the last of the replies only |
//! | `wait MS` | before the step |
//! | `unordered` | elements may come in any order |
//! | `about` | an integer may differ a little: it is a time that is left |
//! | `ignore A B` | what stands behind these names, in a map or an array of names and values, may differ |
//! | `kind` | only the kind of reply is compared |
//! | `keep A B` | of a text of `name=value` or `name:value` fields only these are compared |
//! | `compare redis>=8 valkey>=9` | only these servers answer so (`compare none`: none does), for a reason that a comment gives |
//!
//! `! compare …` does the latter for all steps of a file, and other servers are not asked. With `DJR_RECORD=1` the replies in the files are written anew, from the first
//! server that the step is compared with.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use djr_protocol::encode_command;

use crate::connection::Connection;
use crate::reply::Reply;

/// A transcript file.
pub struct Transcript {
    /// The file's name.
    pub name: String,
    /// The password that the servers ask for.
    pub password: Option<String>,
    parts: Vec<Part>,
}

enum Part {
    /// A comment, an empty line, an option: as it stands in the file.
    Other(String),
    Step(Step),
}

/// One request, or one more reply.
pub struct Step {
    /// Its lines in the file, without the replies.
    lines: String,
    number: usize,
    connection: String,
    bytes: Vec<u8>,
    replies: usize,
    times: usize,
    wait: Duration,
    unordered: bool,
    about: bool,
    ignore: Vec<String>,
    kind: bool,
    keep: Vec<String>,
    compare: Compare,
    recorded: Vec<String>,
}

/// Which real servers a reply is compared with.
#[derive(Clone, Default)]
enum Compare {
    #[default]
    All,
    /// Names, each with the least version.
    Only(Vec<(String, u32)>),
}

impl Compare {
    fn parse(words: &[&str]) -> Self {
        let named = words.iter().filter(|word| **word != "none");
        Compare::Only(
            named
                .map(|word| {
                    let (name, version) = word.split_once(">=").unwrap_or((word, "0"));
                    (name.to_owned(), version.parse().expect("a version"))
                })
                .collect(),
        )
    }

    /// Whether a server, such as `redis 8.0.6`, is among them.
    fn has(&self, server: &str, major: u32) -> bool {
        match self {
            Compare::All => true,
            Compare::Only(list) => list
                .iter()
                .any(|(name, least)| server.starts_with(name.as_str()) && major >= *least),
        }
    }
}

impl Transcript {
    /// Reads a file.
    ///
    /// # Panics
    /// If it is not written as it should be.
    pub fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).expect("a transcript");
        let mut transcript = Self {
            name: path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into(),
            password: None,
            parts: Vec::new(),
        };
        let mut default = Compare::All;
        let mut notes: Vec<&str> = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let number = index + 1;
            let place = format!("{}:{number}", transcript.name);
            if let Some(note) = line.strip_prefix("@ ") {
                notes.push(note);
            } else if let Some(option) = line.strip_prefix("! ") {
                let words: Vec<_> = option.split_whitespace().collect();
                match words[..] {
                    ["requirepass", password] => transcript.password = Some(password.into()),
                    ["compare", ref servers @ ..] => default = Compare::parse(servers),
                    _ => panic!("{place}: no such option"),
                }
                transcript.parts.push(Part::Other(line.into()));
            } else if line.is_empty() || line.starts_with("# ") {
                transcript.parts.push(Part::Other(line.into()));
            } else if let Some(step) = Step::parse(line, &notes, number, &default, &place) {
                notes.clear();
                transcript.parts.push(Part::Step(step));
            } else {
                match transcript.parts.last_mut() {
                    Some(Part::Step(step)) => step.recorded.push(line.into()),
                    _ => panic!("{place}: a reply to nothing"),
                }
            }
        }
        transcript
    }

    fn steps(&self) -> impl Iterator<Item = &Step> {
        self.parts.iter().filter_map(|part| match part {
            Part::Step(step) => Some(step),
            Part::Other(_) => None,
        })
    }

    /// Plays the file to a server. The replies to each step.
    pub fn play(&self, connect: &dyn Fn() -> Connection) -> Vec<Vec<Reply>> {
        let mut connections: BTreeMap<&str, Connection> = BTreeMap::new();
        self.steps()
            .map(|step| {
                std::thread::sleep(step.wait);
                let connection = connections
                    .entry(step.connection.as_str())
                    .or_insert_with(connect);
                connection.send_bytes(&step.bytes.repeat(step.times));
                let count = step.replies * step.times;
                let mut replies = Vec::new();
                while replies.len() < count {
                    replies.push(connection.read_or_silence());
                    if replies.last() == Some(&Reply::Silence) {
                        let line = step.lines.lines().last().unwrap_or_default();
                        eprintln!("{}:{}: silence after {line}", self.name, step.number);
                        break;
                    }
                }
                replies
            })
            .collect()
    }

    /// Whether a real server's replies are compared with any.
    pub fn is_compared_with(&self, server: &str, major: u32) -> bool {
        self.steps().any(|step| step.compare.has(server, major))
    }

    /// Every difference between our replies and those in the file.
    pub fn compare_with_record(&self, ours: &[Vec<Reply>], found: &mut Vec<String>) {
        for (step, ours) in self.steps().zip(ours) {
            let shown = step.shown(ours);
            if shown != step.recorded {
                let theirs = step.recorded.join("\n          ");
                self.report(
                    step,
                    "recorded",
                    &shown.join("\n          "),
                    &theirs,
                    found,
                );
            }
        }
    }

    /// Every difference between our replies and those of a real server.
    pub fn compare_with_server(
        &self,
        server: &str,
        major: u32,
        ours: &[Vec<Reply>],
        theirs: &[Vec<Reply>],
        found: &mut Vec<String>,
    ) {
        for ((step, ours), theirs) in self.steps().zip(ours).zip(theirs) {
            if !step.compare.has(server, major) {
                continue;
            }
            let differs = |(ours, theirs): &(&Reply, &Reply)| !step.same(ours, theirs);
            if let Some((ours, theirs)) = ours.iter().zip(theirs).find(differs) {
                let (ours, theirs) = (step.reduced(ours), step.reduced(theirs));
                self.report(step, server, &ours.to_string(), &theirs.to_string(), found);
            }
        }
    }

    fn report(&self, step: &Step, who: &str, ours: &str, theirs: &str, found: &mut Vec<String>) {
        let line = step.lines.lines().last().unwrap_or_default();
        found.push(format!(
            "{}:{}: {line}\n  ours:   {ours}\n  theirs: {theirs}   ({who})",
            self.name, step.number
        ));
    }

    /// The file with replies of real servers (name, major version, replies), or else ours.
    pub fn recorded(
        &self,
        servers: &[(String, u32, Vec<Vec<Reply>>)],
        ours: &[Vec<Reply>],
    ) -> String {
        let mut text = String::new();
        let mut index = 0;
        for part in &self.parts {
            match part {
                Part::Other(line) => writeln!(text, "{line}").expect("memory"),
                Part::Step(step) => {
                    let server = servers
                        .iter()
                        .find(|(name, major, _)| step.compare.has(name, *major));
                    let replies = server.map_or(ours, |(_, _, replies)| replies);
                    text += &step.lines;
                    for line in step.shown(&replies[index]) {
                        writeln!(text, "{line}").expect("memory");
                    }
                    index += 1;
                }
            }
        }
        text
    }
}

impl Step {
    fn parse(
        line: &str,
        notes: &[&str],
        number: usize,
        default: &Compare,
        place: &str,
    ) -> Option<Self> {
        let name = line
            .find(|c: char| !c.is_ascii_uppercase())
            .filter(|at| *at > 0)?;
        let (connection, rest) = line.split_at(name);
        let (bytes, replies) = if let Some(raw) = rest.strip_prefix(">> ") {
            (words(raw, place).concat(), 1)
        } else if let Some(line) = rest.strip_prefix("> ") {
            let words = words(line, place);
            let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
            let mut bytes = Vec::new();
            encode_command(&mut bytes, &words);
            (bytes, 1)
        } else if rest == "<" {
            (Vec::new(), 1)
        } else {
            return None;
        };
        let mut step = Self {
            lines: String::new(),
            number,
            connection: connection.into(),
            bytes,
            replies,
            times: 1,
            wait: Duration::ZERO,
            unordered: false,
            about: false,
            ignore: Vec::new(),
            kind: false,
            keep: Vec::new(),
            compare: default.clone(),
            recorded: Vec::new(),
        };
        for note in notes {
            writeln!(step.lines, "@ {note}").expect("memory");
            let words: Vec<_> = note.split_whitespace().collect();
            let number = || words[1].parse().expect("a number");
            match words[0] {
                "replies" => step.replies = number(),
                "times" => step.times = number(),
                "wait" => step.wait = Duration::from_millis(number() as u64),
                "unordered" => step.unordered = true,
                "about" => step.about = true,
                "ignore" => step.ignore = words[1..].iter().map(|word| word.to_string()).collect(),
                "kind" => step.kind = true,
                "keep" => step.keep = words[1..].iter().map(|word| word.to_string()).collect(),
                "compare" => step.compare = Compare::parse(&words[1..]),
                _ => panic!("{place}: no such note: {note}"),
            }
        }
        writeln!(step.lines, "{line}").expect("memory");
        Some(step)
    }

    /// The replies as the file has them.
    fn shown(&self, replies: &[Reply]) -> Vec<String> {
        let last = replies.len().saturating_sub(self.replies);
        replies[last..]
            .iter()
            .map(|reply| self.reduced(reply).to_string())
            .collect()
    }

    fn same(&self, ours: &Reply, theirs: &Reply) -> bool {
        if self.about
            && let (Some(ours), Some(theirs)) = (ours.integer(), theirs.integer())
        {
            // Times of a second and more stay; what says something of its own (0, -1, -2) must be equal.
            return ours == theirs
                || ours.min(theirs) > 0 && ours.abs_diff(theirs) <= 5000.max(theirs as u64 / 100);
        }
        self.reduced(ours) == self.reduced(theirs)
    }

    /// What counts of a reply.
    fn reduced(&self, reply: &Reply) -> Reply {
        let mut reply = if self.unordered {
            reply.sorted()
        } else {
            reply.clone()
        };
        if self.kind && !reply.is_error() {
            match &mut reply {
                Reply::Line(_, text) | Reply::Text(_, text) => *text = b"*".to_vec(),
                Reply::Many(_, items) => items.clear(),
                Reply::Closed | Reply::Silence => {}
            }
        }
        self.reduce(&mut reply);
        reply
    }

    fn reduce(&self, reply: &mut Reply) {
        match reply {
            Reply::Line(b':', text) if self.about && text.len() > 2 => {
                *text = b"*".to_vec();
            }
            Reply::Text(b'$' | b'=', text) if !self.keep.is_empty() => {
                let fields = text
                    .split(|byte| byte.is_ascii_whitespace())
                    .filter(|field| {
                        let name = field.split(|byte| matches!(byte, b'=' | b':')).next();
                        let name = String::from_utf8_lossy(name.unwrap_or_default());
                        self.keep.iter().any(|keep| *keep == name)
                    });
                *text = fields.collect::<Vec<_>>().join(&b' ');
            }
            Reply::Many(_, items) => {
                for index in 1..items.len() {
                    let name = String::from_utf8_lossy(items[index - 1].text());
                    if self.ignore.iter().any(|ignored| *ignored == name) {
                        items[index] = Reply::Line(b'+', b"*".to_vec());
                    }
                }
                items.iter_mut().for_each(|item| self.reduce(item));
            }
            _ => {}
        }
    }
}

/// Splits a line into words as redis-cli does, with `<N*c>` for N times c.
fn words(line: &str, place: &str) -> Vec<Vec<u8>> {
    let mut words = Vec::new();
    let mut rest = line.as_bytes();
    while let Some(first) = rest.first() {
        if first.is_ascii_whitespace() {
            rest = &rest[1..];
            continue;
        }
        let mut word = Vec::new();
        if *first == b'"' {
            let mut at = 1;
            loop {
                match rest
                    .get(at)
                    .unwrap_or_else(|| panic!("{place}: an open quote"))
                {
                    b'"' => break,
                    b'\\' => {
                        at += 1;
                        match rest[at] {
                            b'n' => word.push(b'\n'),
                            b'r' => word.push(b'\r'),
                            b't' => word.push(b'\t'),
                            b'x' => {
                                let digits = std::str::from_utf8(&rest[at + 1..at + 3]);
                                let byte = u8::from_str_radix(digits.expect("hex"), 16);
                                word.push(byte.expect("hex"));
                                at += 2;
                            }
                            other => word.push(other),
                        }
                    }
                    byte => word.push(*byte),
                }
                at += 1;
            }
            rest = &rest[at + 1..];
        } else {
            let end = rest
                .iter()
                .position(u8::is_ascii_whitespace)
                .unwrap_or(rest.len());
            let (plain, behind) = rest.split_at(end);
            rest = behind;
            word.extend_from_slice(&repeated(plain).unwrap_or_else(|| plain.to_vec()));
        }
        words.push(word);
    }
    words
}

fn repeated(word: &[u8]) -> Option<Vec<u8>> {
    let inner = word.strip_prefix(b"<")?.strip_suffix(b">")?;
    let star = inner.iter().position(|byte| *byte == b'*')?;
    let count: usize = std::str::from_utf8(&inner[..star]).ok()?.parse().ok()?;
    Some(inner[star + 1..].repeat(count))
}
