//! The walk of the searches over all keys: what type each key has, how long it is and how much memory it takes, page by page.
//!
//! The server is never waited for: each write begins with the next step of the walk, and as soon as that is answered, the next
//! write goes out, while the questions behind it are still being answered.
//!
//! Keys that are called alike mostly have one type: after [`RUN_LEN`] of them in a row, the next one's length is asked for
//! without asking for its type before. A length above zero proves the type, for each type has a command of its own; anything
//! else is settled by `TYPE`. So a wrong guess costs a command, and a keyspace of mixed types has few of them.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use djr_client::{Client, Pipeline, Value};

use super::BulkError;
use super::scan::{Walker, receive};
use crate::format::quoted_text;
use crate::options::Settings;

/// So many keys of a name must have had one type before the next one's is guessed.
const RUN_LEN: u32 = 8;

/// So many beginnings of names are remembered.
const STEMS_MAX: usize = 4096;

/// A type of values, and how its size is asked for.
#[derive(Clone, Debug)]
pub(super) struct Kind {
    pub(super) name: String,
    /// The command for the size, and what it counts; none for the types of modules.
    pub(super) size: Option<(&'static str, &'static str)>,
}

/// In the order of the summary.
const KINDS: [(&str, &str, &str); 6] = [
    ("list", "LLEN", "items"),
    ("hash", "HLEN", "fields"),
    ("stream", "XLEN", "entries"),
    ("string", "STRLEN", "bytes"),
    ("set", "SCARD", "members"),
    ("zset", "ZCARD", "members"),
];

/// The types that are known, and those that turn up.
#[derive(Debug)]
pub(super) struct Kinds {
    pub(super) all: Vec<Kind>,
    by_name: HashMap<Vec<u8>, usize>,
}

impl Kinds {
    pub(super) fn new() -> Kinds {
        let mut kinds = Kinds {
            all: Vec::new(),
            by_name: HashMap::new(),
        };
        for (name, command, unit) in KINDS {
            kinds.add(name, Some((command, unit)));
        }
        kinds
    }

    fn add(&mut self, name: &str, size: Option<(&'static str, &'static str)>) -> usize {
        let index = self.all.len();
        self.all.push(Kind {
            name: name.to_owned(),
            size,
        });
        self.by_name.insert(name.as_bytes().to_vec(), index);
        index
    }

    /// The index of a type; `None` if the key is gone.
    fn of(&mut self, name: &[u8]) -> Option<usize> {
        if name == b"none" || name.is_empty() {
            return None;
        }
        if let Some(index) = self.by_name.get(name) {
            return Some(*index);
        }
        Some(self.add(&String::from_utf8_lossy(name), None))
    }

    /// The command for the size of a type.
    fn size_command(&self, index: usize) -> Option<&'static str> {
        let (command, _) = self.all.get(index)?.size?;
        Some(command)
    }
}

/// Which types keys with the same beginning had.
#[derive(Debug, Default)]
struct Guesses {
    /// By stem: the type of the last one, and how many before it had it, too.
    runs: HashMap<Vec<u8>, (usize, u32)>,
}

/// The beginning that a key shares with others of its sort: up to the first separator, or else up to the first digit.
fn stem(key: &[u8]) -> &[u8] {
    let is_separator = |byte: &u8| matches!(byte, b':' | b'/' | b'.' | b'-' | b'_' | b'|');
    let end = match key.iter().skip(1).position(is_separator) {
        Some(at) => at + 1,
        None => key
            .iter()
            .position(u8::is_ascii_digit)
            .unwrap_or(key.len().min(8)),
    };
    key.get(..end.min(64)).unwrap_or(key)
}

impl Guesses {
    fn guess(&self, key: &[u8]) -> Option<usize> {
        let (kind, run) = self.runs.get(stem(key))?;
        (*run >= RUN_LEN).then_some(*kind)
    }

    fn learn(&mut self, key: &[u8], kind: usize) {
        let stem = stem(key);
        if let Some((known, run)) = self.runs.get_mut(stem) {
            if *known == kind {
                *run = run.saturating_add(1);
            } else {
                (*known, *run) = (kind, 1);
            }
            return;
        }
        if self.runs.len() >= STEMS_MAX {
            self.runs.clear();
        }
        self.runs.insert(stem.to_vec(), (kind, 1));
    }

    fn forget(&mut self, key: &[u8]) {
        self.runs.remove(stem(key));
    }
}

/// What is wanted of each key, besides its type.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    /// Its length or number of elements.
    pub(super) size: bool,
    /// Its memory, and how many elements the server is to look at for that (`None`: as it likes).
    pub(super) memory: Option<Option<u64>>,
}

/// A key of a page, as far as it is known.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: Value,
    /// Index of the type; `None` if the key has gone meanwhile.
    pub(super) kind: Option<usize>,
    pub(super) size: u64,
    pub(super) memory: u64,
}

impl Entry {
    /// The bytes of the key.
    pub(super) fn name(&self) -> &[u8] {
        self.key.as_bytes().unwrap_or_default()
    }
}

#[derive(Debug, Default)]
struct Page {
    entries: Vec<Entry>,
    /// Questions without an answer, those included that are to be asked yet.
    open: usize,
}

/// What a reply that is still to come is about.
#[derive(Clone, Copy, Debug)]
enum Question {
    Step,
    /// Of page (counted from the first one) and entry.
    About(u64, usize, What),
}

#[derive(Clone, Copy, Debug)]
enum What {
    Type,
    Memory,
    /// The size of a key of this type, which is known or guessed.
    Size(usize, bool),
}

/// Asks about all keys.
#[derive(Debug)]
pub(super) struct Survey {
    walker: Walker,
    pub(super) kinds: Kinds,
    guesses: Guesses,
    wanted: Wanted,
    samples: Option<String>,
    pause: Duration,
    /// In the order of the walk, from number `first` on.
    pages: VecDeque<Page>,
    first: u64,
    /// Asked, in the order in which the answers will come.
    asked: VecDeque<Question>,
    /// To be asked with the next write.
    next: Vec<Question>,
    pipeline: Pipeline,
    is_begun: bool,
}

impl Survey {
    pub(super) fn new(settings: &Settings, wanted: Wanted) -> Survey {
        Survey {
            walker: Walker::new(&settings.walk, !settings.interval.is_zero()),
            kinds: Kinds::new(),
            guesses: Guesses::default(),
            samples: wanted.memory.flatten().map(|count| count.to_string()),
            wanted,
            pause: settings.interval,
            pages: VecDeque::new(),
            first: 0,
            asked: VecDeque::new(),
            next: Vec::new(),
            pipeline: Pipeline::new(),
            is_begun: false,
        }
    }

    /// The next page, in the order of the walk. `None` at the end. A page may be empty.
    pub(super) async fn next(
        &mut self,
        client: &mut Client,
    ) -> Result<Option<Vec<Entry>>, BulkError> {
        if !std::mem::replace(&mut self.is_begun, true) {
            self.send(client).await?;
        }
        loop {
            if self.pages.front().is_some_and(|page| page.open == 0) {
                self.first += 1;
                return Ok(self.pages.pop_front().map(|page| page.entries));
            }
            if self.asked.is_empty() && !self.send(client).await? {
                return Ok(None);
            }
            match self.asked.pop_front() {
                Some(Question::Step) => {
                    let keys = self.walker.take(client).await?;
                    self.begin_page(keys);
                    self.walker.pause(self.pause).await;
                    // Before the other answers are read: the server is never without work.
                    self.send(client).await?;
                }
                Some(Question::About(page, entry, what)) => {
                    self.hear(client, page, entry, what).await?;
                }
                None => {}
            }
        }
    }

    /// The cursor to go on with another time.
    pub(super) fn cursor(&self) -> String {
        self.walker.cursor()
    }

    /// Sends the next step and all open questions; whether there was anything.
    async fn send(&mut self, client: &mut Client) -> Result<bool, BulkError> {
        self.pipeline.clear();
        if self.walker.ask(&mut self.pipeline) {
            self.asked.push_back(Question::Step);
        }
        for question in std::mem::take(&mut self.next) {
            self.ask(question);
        }
        if self.pipeline.is_empty() {
            return Ok(false);
        }
        client.send_all(&self.pipeline).await?;
        Ok(true)
    }

    fn ask(&mut self, question: Question) {
        let Question::About(page, entry, what) = question else {
            return;
        };
        let Some(key) = self
            .pages
            .get((page - self.first) as usize)
            .and_then(|page| page.entries.get(entry))
            .map(Entry::name)
        else {
            return;
        };
        match what {
            What::Type => {
                self.pipeline.add(&[&b"TYPE"[..], key]);
            }
            What::Memory => {
                let mut words: Vec<&[u8]> = vec![b"MEMORY", b"USAGE", key];
                if let Some(samples) = &self.samples {
                    words.extend([&b"SAMPLES"[..], samples.as_bytes()]);
                }
                self.pipeline.add(&words);
            }
            What::Size(kind, _) => {
                let command = self.kinds.size_command(kind).unwrap_or("STRLEN");
                self.pipeline.add(&[command.as_bytes(), key]);
            }
        }
        self.asked.push_back(question);
    }

    /// Takes up a page, and what is to be asked about its keys.
    fn begin_page(&mut self, keys: Vec<Value>) {
        let number = self.first + self.pages.len() as u64;
        let before = self.next.len();
        for (index, key) in keys.iter().enumerate() {
            let mut ask = |what| self.next.push(Question::About(number, index, what));
            let guess = match self.wanted.size {
                true => self.guesses.guess(key.as_bytes().unwrap_or_default()),
                false => None,
            };
            if self.wanted.memory.is_some() {
                ask(What::Memory);
            }
            ask(match guess {
                Some(kind) => What::Size(kind, true),
                None => What::Type,
            });
        }
        let new_entry = |key| Entry {
            key,
            kind: None,
            size: 0,
            memory: 0,
        };
        self.pages.push_back(Page {
            entries: keys.into_iter().map(new_entry).collect(),
            open: self.next.len() - before,
        });
    }

    /// Reads an answer.
    async fn hear(
        &mut self,
        client: &mut Client,
        page_number: u64,
        index: usize,
        what: What,
    ) -> Result<(), BulkError> {
        let reply = match client.receive().await? {
            Value::Push(_) => {
                // Not an answer: that is still to come.
                self.asked
                    .push_front(Question::About(page_number, index, what));
                return Ok(());
            }
            reply => reply,
        };
        let Some(page) = self.pages.get_mut((page_number - self.first) as usize) else {
            return Ok(());
        };
        page.open = page.open.saturating_sub(1);
        let Some(entry) = page.entries.get_mut(index) else {
            return Ok(());
        };
        let mut more = None;
        match what {
            What::Type => {
                if let Value::Error(text) = &reply {
                    let text = String::from_utf8_lossy(text);
                    return Err(BulkError::Said(format!("Error: {text}")));
                }
                entry.kind = self.kinds.of(reply.as_bytes().unwrap_or_default());
                if let Some(kind) = entry.kind
                    && self.wanted.size
                {
                    let command = self.kinds.size_command(kind);
                    if command.is_some() {
                        self.guesses
                            .learn(entry.key.as_bytes().unwrap_or_default(), kind);
                        more = Some(What::Size(kind, false));
                    }
                }
            }
            What::Memory => entry.memory = number(&reply, "MEMORY USAGE", entry),
            What::Size(kind, true) => match reply.as_integer() {
                Some(size @ 1..) => {
                    entry.kind = Some(kind);
                    entry.size = size.unsigned_abs();
                }
                // Of another type, empty, or gone.
                Some(_) => more = Some(What::Type),
                None => {
                    self.guesses
                        .forget(entry.key.as_bytes().unwrap_or_default());
                    more = Some(What::Type);
                }
            },
            What::Size(kind, false) => {
                let command = self.kinds.size_command(kind).unwrap_or_default();
                entry.size = number(&reply, command, entry);
            }
        }
        if let Some(what) = more {
            page.open += 1;
            self.next.push(Question::About(page_number, index, what));
        }
        Ok(())
    }
}

/// A size. A key may have gone or changed its type meanwhile; that is said as redis-cli says it.
fn number(reply: &Value, command: &str, entry: &Entry) -> u64 {
    if let Value::Error(_) = reply {
        eprintln!(
            "Warning:  {command} on '{}' failed (may have changed type)",
            quoted_text(entry.name())
        );
    }
    reply
        .as_integer()
        .and_then(|size| size.try_into().ok())
        .unwrap_or(0)
}

/// How many keys the database has, for percentages.
pub(super) async fn database_len(client: &mut Client) -> Result<u64, BulkError> {
    let mut pipeline = Pipeline::new();
    pipeline.add(&["DBSIZE"]);
    client.send_all(&pipeline).await?;
    let len = receive(client).await?.as_integer();
    Ok(len.and_then(|len| len.try_into().ok()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("user:1:name", "user")]
    #[case(":1:page", ":1")]
    #[case("key000001", "key")]
    #[case("a", "a")]
    #[case("", "")]
    #[case("abcdefghijkl", "abcdefgh")]
    #[case("12", "")]
    fn keys_have_stems(#[case] key: &str, #[case] expected: &str) {
        assert_eq!(stem(key.as_bytes()), expected.as_bytes());
    }

    #[test]
    fn only_what_was_the_same_for_long_is_guessed() {
        let mut guesses = Guesses::default();
        for _ in 0..RUN_LEN - 1 {
            guesses.learn(b"user:1", 3);
        }
        assert_eq!(guesses.guess(b"user:2"), None);
        guesses.learn(b"user:3", 3);
        assert_eq!(guesses.guess(b"user:4"), Some(3));
        assert_eq!(guesses.guess(b"cart:4"), None);
        guesses.learn(b"user:5", 1);
        assert_eq!(guesses.guess(b"user:6"), None);
        guesses.forget(b"user:6");
        assert_eq!(guesses.guess(b"user:6"), None);
    }
}
