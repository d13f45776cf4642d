//! Runs scripts of commands against an engine in memory: `check("SET k v | GET k", "OK | v")`.
//!
//! Other crates' tests get it through the feature `testkit`.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use bytes::BytesMut;
use djr_protocol::{Limits, ReplyDecoder, RespVersion, Value};
use djr_storage::keyspace::{Footprint, Keyspace, KeyspaceOptions, UnixMillis};
use djr_storage::types::Object;
use djr_storage::value::{Encoding, Kind, StringRef, ValueRef};

use crate::blocking::{ClientAddress, Served, Waiter};
use crate::command::Command;
use crate::notify::{Event, Notify};
use crate::registry::Registry;
use crate::transaction::Queue;
use crate::{
    Args, CommandError, EffectLog, Engine, Executor, OwnedRequest, Reply, ScriptFate, Shell,
};

/// All data commands.
pub fn registry() -> &'static Registry {
    static REGISTRY: OnceLock<&'static Registry> = OnceLock::new();
    REGISTRY.get_or_init(|| Registry::leak(crate::commands::FAMILIES))
}

/// An engine with one session, its log in memory, and a clock that only moves when told to.
pub struct Bench {
    /// The engine, empty at first.
    pub engine: Arc<Engine>,
    /// What its one worker has.
    pub executor: Executor,
    /// The session.
    pub shell: TestShell,
    /// The time of the next command.
    pub now: UnixMillis,
    /// What replies are written in.
    pub version: RespVersion,
    queue: Option<Queue>,
}

/// A session that permits everything and knows SELECT only.
#[derive(Default)]
pub struct TestShell {
    /// The selected db.
    pub db: u32,
    /// What was logged.
    pub log: MemoryLog,
    /// The keyspace events so far, as `db class event key`; only those that `notify-keyspace-events` wants.
    pub events: Vec<String>,
    /// The lines of `redis.log`.
    pub script_lines: Vec<(u8, String)>,
    /// What becomes of a busy script, by how often it has asked; without it the clock stands still.
    pub busy: Option<Box<dyn FnMut(u32) -> ScriptFate>>,
    /// Which of its clients speaks.
    pub client: u64,
    waiting: BTreeMap<u64, Arc<Waiter>>,
    served: BTreeMap<u64, Served>,
    clock_ms: u64,
    asked: u32,
}

/// Every batch, with its db.
#[derive(Default)]
pub struct MemoryLog(pub Vec<(u32, Vec<u8>)>);

impl EffectLog for MemoryLog {
    fn append(&mut self, db: u32, parts: &[&[u8]]) {
        self.0.push((db, parts.concat()));
    }
}

impl Shell for TestShell {
    fn db(&self) -> u32 {
        self.db
    }
    fn select(&mut self, db: u32) {
        self.db = db;
    }
    fn run(
        &mut self,
        command: &'static Command,
        _: &Args<'_>,
        _: &mut Reply<'_>,
    ) -> Result<(), CommandError> {
        Err(CommandError::format(format!(
            "ERR '{}' needs a server",
            command.full_name
        )))
    }
    fn permit(&mut self, _: &'static Command, _: &Args<'_>) -> Result<(), CommandError> {
        Ok(())
    }
    fn log(&mut self) -> &mut dyn EffectLog {
        &mut self.log
    }
    fn address(&self) -> Option<ClientAddress> {
        Some(ClientAddress {
            client: self.client,
            worker: 0,
            slot: 0,
        })
    }
    fn parked(&mut self, waiter: Arc<Waiter>) {
        self.waiting.insert(self.client, waiter);
    }
    fn served(&mut self, served: Served) {
        let client = served.waiter.address.client;
        self.waiting.remove(&client);
        self.served.insert(client, served);
    }
    fn notify(&mut self, event: Event<'_>) {
        self.events.push(format!(
            "{} {} {} {}",
            event.db,
            event.class,
            event.name,
            event.key.escape_ascii()
        ));
    }
    fn script_log(&mut self, level: u8, line: &[u8]) {
        self.script_lines
            .push((level, line.escape_ascii().to_string()));
    }
    fn clock_ms(&mut self) -> u64 {
        self.clock_ms += u64::from(self.busy.is_some());
        self.clock_ms
    }
    fn script_is_busy(&mut self) -> ScriptFate {
        self.asked += 1;
        let asked = self.asked;
        self.busy
            .as_mut()
            .map_or(ScriptFate::Continue, |busy| busy(asked))
    }
}

/// A key as a comparison of keyspaces sees it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyState {
    db: u32,
    key: String,
    value: String,
    expire_at: Option<UnixMillis>,
    /// None where the log does not tell it: an integer that INCRBYFLOAT made is logged as a plain SET.
    pub encoding: Option<&'static str>,
}

impl Default for Bench {
    fn default() -> Self {
        Self::new()
    }
}

impl Bench {
    /// An empty engine. Its clock stands at a round number of seconds.
    pub fn new() -> Self {
        Self::of(Arc::new(Engine {
            keyspace: Keyspace::new(KeyspaceOptions::default()),
            registry: registry(),
            settings: Default::default(),
            scripts: Default::default(),
            functions: Default::default(),
        }))
    }

    /// One more worker and session of an engine.
    pub fn of(engine: Arc<Engine>) -> Self {
        Self {
            engine,
            executor: Executor::new(1),
            shell: TestShell::default(),
            now: 1_700_000_000_000,
            version: RespVersion::V2,
            queue: None,
        }
    }

    /// Runs one command line and returns its reply as text. Beside the commands: `@wait MS` moves the clock, `SELECT n`,
    /// `MULTI` and `EXEC` (without WATCH), `@resp 3`.
    ///
    /// A blocking command that finds nothing answers `(waits)`. `@client N` speaks for another client; `@reply` is what came of
    /// its wait, `(waits)` as long as it goes on; `@gone` ends its connection, the reply undelivered.
    pub fn line(&mut self, line: &str) -> String {
        let words = split(line);
        let name = words[0].to_ascii_lowercase();
        let number = |index: usize| -> i64 {
            String::from_utf8_lossy(&words[index])
                .parse()
                .expect("a number")
        };
        match name.as_slice() {
            b"@wait" => {
                self.now += number(1);
                return "ok".into();
            }
            b"@resp" => {
                self.version = if number(1) == 3 {
                    RespVersion::V3
                } else {
                    RespVersion::V2
                };
                return "ok".into();
            }
            b"@client" => {
                self.shell.client = number(1) as u64;
                return "ok".into();
            }
            b"@reply" => return self.waited(),
            b"@gone" => return self.gone(),
            b"select" => {
                self.shell.db = number(1) as u32;
                return "OK".into();
            }
            b"multi" => {
                self.queue = Some(Queue::default());
                return "OK".into();
            }
            _ => {}
        }
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        let reply = self.run(&words);
        if reply.is_empty() {
            return self.waited();
        }
        if name == b"exec" || self.queue.is_none() || reply != b"+QUEUED\r\n" {
            return show(&decode(&reply));
        }
        "QUEUED".into()
    }

    fn waited(&mut self) -> String {
        let client = self.shell.client;
        match self.shell.served.remove(&client) {
            Some(served) => show(&decode(&served.reply)),
            None if self.shell.waiting.contains_key(&client) => "(waits)".into(),
            None => "(does not wait)".into(),
        }
    }

    fn gone(&mut self) -> String {
        let client = self.shell.client;
        if let Some(waiter) = self.shell.waiting.remove(&client) {
            assert!(waiter.end(), "it waits");
            assert!(self.engine.end_wait(&waiter, self.now), "nobody is busy");
        }
        if let Some(mut served) = self.shell.served.remove(&client) {
            let (executor, shell) = (&mut self.executor, &mut self.shell);
            let refused = self
                .engine
                .give_back(executor, &mut served.undo, self.now, shell);
            assert_eq!(refused, 0, "what was taken goes back");
        }
        "ok".into()
    }

    /// Runs one command and returns its reply in RESP; nothing, if the client waits now.
    pub fn run(&mut self, words: &[&[u8]]) -> Vec<u8> {
        let request = OwnedRequest::from_args(words.iter().copied());
        let args = request.args();
        let mut out = Vec::new();
        let mut reply = Reply::new(&mut out, self.version);
        if words[0].eq_ignore_ascii_case(b"exec")
            && let Some(queue) = self.queue.take()
        {
            let (engine, executor) = (&self.engine, &mut self.executor);
            let footprint = djr_storage::keyspace::Footprint::NONE;
            engine
                .execute_transaction(
                    executor,
                    &queue,
                    footprint,
                    &mut |_| true,
                    self.now,
                    &mut self.shell,
                    &mut reply,
                )
                .expect("EXEC runs");
            return out;
        }
        let prepared = self.engine.prepare(&args);
        let args = prepared.hashed(args);
        let result = match prepared.command {
            Some(command) if !command.accepts(args.len()) => {
                Err(CommandError::Arity(command.full_name.clone()))
            }
            Some(command) => {
                if let Some(queue) = &mut self.queue {
                    queue.push(command, &args);
                    reply.simple("QUEUED");
                    return out;
                }
                self.engine.execute(
                    &mut self.executor,
                    command,
                    &args,
                    self.now,
                    &mut self.shell,
                    &mut reply,
                )
            }
            None => Err(self.engine.unknown_command(&args)),
        };
        if let Err(error) = result {
            reply.error(&error.to_string());
        }
        out
    }

    /// The log so far: the db of each batch and the words of its commands.
    pub fn log(&self) -> Vec<(u32, Vec<Vec<Vec<u8>>>)> {
        let words = |value| match value {
            Value::Array(words) => words
                .iter()
                .map(|word| word.as_bytes().expect("a word").to_vec())
                .collect(),
            value => panic!("not a command: {value:?}"),
        };
        let commands = |batch: &[u8]| {
            let mut rest = BytesMut::from(batch);
            let mut decoder = ReplyDecoder::new();
            std::iter::from_fn(|| {
                (!rest.is_empty()).then(|| {
                    let value = decoder.decode(&mut rest, &Limits::default());
                    words(value.expect("the log is RESP").expect("a whole command"))
                })
            })
            .collect()
        };
        let batches = self.shell.log.0.iter();
        batches.map(|(db, batch)| (*db, commands(batch))).collect()
    }

    /// The log so far, as command lines; SELECTs are made where Redis would see them.
    pub fn log_text(&self) -> String {
        let mut lines = Vec::new();
        let mut db = 0;
        for (batch_db, batch) in self.log() {
            if batch_db != db {
                db = batch_db;
                lines.push(format!("SELECT {db}"));
            }
            for words in batch {
                let words: Vec<_> = words
                    .iter()
                    .map(|word| String::from_utf8_lossy(word).into_owned())
                    .collect();
                lines.push(words.join(" "));
            }
        }
        lines.join(" | ")
    }

    /// Every key that lives at `now`, sorted.
    pub fn contents(&self, now: UnixMillis) -> Vec<KeyState> {
        let access = self.engine.keyspace.open(Footprint::ALL, now);
        let mut keys = Vec::new();
        for db in 0..self.engine.keyspace.dbs() {
            access.db(db).for_each(|entry| {
                let string = entry.as_string();
                keys.push(KeyState {
                    db,
                    key: entry.key().escape_ascii().to_string(),
                    value: shown_value(entry.value()),
                    expire_at: entry.expire_at(),
                    encoding: match string.and_then(StringRef::as_integer) {
                        Some(_) => None,
                        // Prepared for deadlines or not is nothing that is logged.
                        None => match entry.value() {
                            ValueRef::Hash(hash)
                                if hash.encoding() == Encoding::ListpackEx
                                    && hash.next_expire().is_none() =>
                            {
                                Some(Encoding::Listpack.name())
                            }
                            _ => Some(entry.encoding().name()),
                        },
                    },
                });
            });
        }
        keys.sort();
        keys
    }

    /// A fresh engine with the log applied to it, as recovery does: at a time before every deadline, so that a key lives until
    /// the log says otherwise.
    pub fn replayed(&self) -> Self {
        let mut bench = Self::new();
        bench.now = 0;
        for (db, batch) in self.log() {
            bench.shell.db = db;
            for words in batch {
                let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
                match words[0] {
                    b"MULTI" | b"EXEC" => {}
                    b"select" => {
                        let text = String::from_utf8_lossy(words[1]);
                        bench.shell.db = text.parse().expect("a db");
                    }
                    _ => {
                        let reply = bench.run(&words);
                        assert!(!reply.starts_with(b"-"), "{}", show(&decode(&reply)));
                    }
                }
            }
            assert_eq!(
                bench.shell.db, db,
                "a batch ends in the db that it began in"
            );
        }
        bench
    }

    /// A fresh engine with the same keys, made by the commands that a rewrite of the log would write.
    pub fn rewritten(&self) -> Self {
        let mut bench = Self::new();
        bench.now = 0;
        let access = self.engine.keyspace.open(Footprint::ALL, self.now);
        for db in 0..self.engine.keyspace.dbs() {
            bench.shell.db = db;
            access.db(db).for_each(|entry| {
                entry.rewrite(&mut |words| {
                    let reply = bench.run(words);
                    let line = || words.iter().map(|word| word.escape_ascii().to_string());
                    assert!(
                        !reply.starts_with(b"-"),
                        "rewritten: {:?}: {}",
                        line().collect::<Vec<_>>(),
                        show(&decode(&reply))
                    );
                });
            });
        }
        bench
    }

    /// Panics if a rewrite of the log would not keep the keyspace as it is. How values are kept may differ.
    #[track_caller]
    pub fn check_rewrite(&self) {
        let contents = |bench: &Self| {
            let mut keys = bench.contents(self.now);
            keys.iter_mut().for_each(|key| key.encoding = None);
            keys
        };
        assert_eq!(
            contents(&self.rewritten()),
            contents(self),
            "rewritten and original keyspace after: {}",
            self.log_text()
        );
    }

    /// Panics if the log, applied to an empty engine, does not make the same keyspace.
    #[track_caller]
    pub fn check_log(&self) {
        assert_eq!(
            self.replayed().contents(self.now),
            self.contents(self.now),
            "replayed and original keyspace after: {}",
            self.log_text()
        );
    }
}

/// A value in the form in which the log would be rewritten: the same for equal values, so the elements of sets and hashes, which
/// are in no order, are sorted.
fn shown_value(value: ValueRef<'_>) -> String {
    let (mut elements, mut others) = (Vec::new(), Vec::new());
    let elements_len = match value.kind() {
        Kind::Set => 1,
        Kind::Hash => 2,
        _ => 0,
    };
    value.rewrite(b"", &mut |words| {
        let words: Vec<_> = words
            .iter()
            .map(|word| word.escape_ascii().to_string())
            .collect();
        match words[0].as_str() {
            "SADD" | "HSET" => {
                let chunks = words[2..].chunks(elements_len);
                elements.extend(chunks.map(|chunk| chunk.join(" ")));
            }
            // The deadline of fields: each for itself.
            "HPEXPIREAT" => {
                let fields = words[5..].iter();
                others.extend(fields.map(|field| format!("{field} until {}", words[2])));
            }
            _ => others.push(words.join(" ")),
        }
    });
    elements.sort();
    if elements_len > 0 {
        others.sort();
    }
    elements.extend(others);
    elements.join(", ")
}

/// A reply of [`Bench::run`] as a value.
pub fn decode(reply: &[u8]) -> Value {
    let mut rest = BytesMut::from(reply);
    match ReplyDecoder::new().decode(&mut rest, &Limits::default()) {
        Ok(Some(value)) if rest.is_empty() => value,
        other => panic!(
            "not one reply: {:?}: {other:?}",
            String::from_utf8_lossy(reply)
        ),
    }
}

/// A reply in one line: `(nil)`, text and numbers as they are, errors as their text, `[a b]`, `{k: v}`, `~{a}`, `#t`.
pub fn show(value: &Value) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let list = |values: &[Value]| values.iter().map(show).collect::<Vec<_>>().join(" ");
    match value {
        Value::Null | Value::NullArray => "(nil)".into(),
        Value::Simple(bytes)
        | Value::Error(bytes)
        | Value::Bulk(bytes)
        | Value::BigNumber(bytes) => text(bytes),
        Value::Integer(integer) => integer.to_string(),
        Value::Double(double) => format!(",{double}"),
        Value::Boolean(value) => if *value { "#t" } else { "#f" }.into(),
        Value::Verbatim { text: bytes, .. } => text(bytes),
        Value::Array(values) => format!("[{}]", list(values)),
        Value::Set(values) => format!("~[{}]", list(values)),
        Value::Push(values) => format!(">[{}]", list(values)),
        Value::Map(pairs) => {
            let pairs: Vec<_> = pairs
                .iter()
                .map(|(key, value)| format!("{}: {}", show(key), show(value)))
                .collect();
            format!("{{{}}}", pairs.join(" "))
        }
        other => format!("{other:?}"),
    }
}

/// Words of a line; `"…"` keeps spaces and bars together and knows `\n`, `\xHH`, `\"`.
pub(crate) fn split(line: &str) -> Vec<Vec<u8>> {
    let mut words = Vec::new();
    let mut bytes = line.trim().bytes().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b' ' => continue,
            b'"' => {
                let mut word = Vec::new();
                while let Some(byte) = bytes.next().filter(|byte| *byte != b'"') {
                    word.push(match byte {
                        b'\\' => match bytes.next().expect("an escape") {
                            b'n' => b'\n',
                            b'r' => b'\r',
                            b'x' => {
                                let mut digit = || {
                                    (bytes.next().expect("a digit") as char)
                                        .to_digit(16)
                                        .expect("hex") as u8
                                };
                                digit() << 4 | digit()
                            }
                            other => other,
                        },
                        other => other,
                    });
                }
                words.push(word);
            }
            first => {
                let mut word = vec![first];
                while let Some(byte) = bytes.next_if(|byte| *byte != b' ') {
                    word.push(byte);
                }
                words.push(word);
            }
        }
    }
    words
}

/// Runs the commands (separated by `|`) on a fresh engine and compares their replies.
#[track_caller]
pub fn check(script: &str, replies: &str) {
    check_on(Bench::new(), script, replies);
}

/// The same where `proto-max-bulk-len` is `len`.
#[track_caller]
pub fn check_with_string_len_max(len: u64, script: &str, replies: &str) {
    let bench = Bench::new();
    bench.engine.settings.string_len_max.set(len);
    check_on(bench, script, replies);
}

#[track_caller]
fn check_on(mut bench: Bench, script: &str, replies: &str) {
    let got: Vec<_> = script.split(" | ").map(|line| bench.line(line)).collect();
    assert_eq!(got.join(" | "), replies, "after: {script}");
    bench.check_log();
    bench.check_rewrite();
}

/// Runs the commands and compares what the log got. Then replays the log and compares the keyspaces.
#[track_caller]
pub fn check_effects(script: &str, log: &str) {
    let mut bench = Bench::new();
    script.split(" | ").for_each(|line| {
        bench.line(line);
    });
    assert_eq!(bench.log_text(), log, "after: {script}");
    bench.check_log();
}

/// Runs the commands with all keyspace events wanted, and compares the events: `set a, del b`; `1:` before those of another db
/// than 0.
#[track_caller]
pub fn check_events(script: &str, events: &str) {
    let mut bench = Bench::new();
    let all = Notify::parse(b"KEAnm").expect("known letters");
    bench.engine.settings.notify_keyspace_events.set(all.bits());
    script.split(" | ").for_each(|line| {
        bench.line(line);
    });
    let shown: Vec<_> = bench
        .shell
        .events
        .iter()
        .map(|event| {
            let mut words = event.splitn(4, ' ');
            let (db, _class) = (words.next().unwrap_or_default(), words.next());
            let rest: Vec<_> = words.collect();
            match db {
                "0" => rest.join(" "),
                db => format!("{db}:{}", rest.join(" ")),
            }
        })
        .collect();
    assert_eq!(shown.join(", "), events, "after: {script}");
}
