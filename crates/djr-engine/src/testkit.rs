//! Runs scripts of commands against an engine in memory: `check("SET k v | GET k", "OK | v")`.

use std::sync::OnceLock;

use bytes::BytesMut;
use djr_protocol::{Limits, ReplyDecoder, RespVersion, Value};
use djr_storage::keyspace::{Keyspace, KeyspaceOptions, UnixMillis};

use crate::command::Command;
use crate::registry::{Registry, Resolved};
use crate::transaction::Queue;
use crate::{Args, CommandError, EffectLog, Engine, Executor, OwnedRequest, Reply, Shell};

/// All data commands.
pub(crate) fn registry() -> &'static Registry {
    static REGISTRY: OnceLock<&'static Registry> = OnceLock::new();
    REGISTRY.get_or_init(|| Registry::leak(crate::commands::FAMILIES))
}

/// An engine with one session, its log in memory, and a clock that only moves when told to.
pub(crate) struct Bench {
    pub(crate) engine: Engine,
    pub(crate) executor: Executor,
    pub(crate) shell: TestShell,
    pub(crate) now: UnixMillis,
    pub(crate) version: RespVersion,
    queue: Option<Queue>,
}

/// A session that permits everything and knows SELECT only.
#[derive(Default)]
pub(crate) struct TestShell {
    db: u32,
    pub(crate) log: MemoryLog,
}

/// Every batch, with its db.
#[derive(Default)]
pub(crate) struct MemoryLog(pub(crate) Vec<(u32, Vec<u8>)>);

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
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self {
            engine: Engine {
                keyspace: Keyspace::new(KeyspaceOptions::default()),
                registry: registry(),
                settings: Default::default(),
                scripts: Default::default(),
            },
            executor: Executor::new(1),
            shell: TestShell::default(),
            now: 1_700_000_000_000,
            version: RespVersion::V2,
            queue: None,
        }
    }

    /// Runs one command line and returns its reply as text. Beside the commands: `@wait MS` moves the clock, `SELECT n`,
    /// `MULTI` and `EXEC` (without WATCH), `@resp 3`.
    pub(crate) fn line(&mut self, line: &str) -> String {
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
        if name == b"exec" || self.queue.is_none() || reply != b"+QUEUED\r\n" {
            return show(&decode(&reply));
        }
        "QUEUED".into()
    }

    /// Runs one command and returns its reply in RESP.
    pub(crate) fn run(&mut self, words: &[&[u8]]) -> Vec<u8> {
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
        let args = match prepared.key {
            Some((index, hash)) => args.with_hash(index, hash),
            None => args,
        };
        let result = match prepared.command {
            Resolved::Command(command) if !command.accepts(args.len()) => {
                Err(CommandError::Arity(command.full_name.clone()))
            }
            Resolved::Command(command) => {
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
            unknown => Err(Engine::unknown_command(unknown, &args)),
        };
        if let Err(error) = result {
            reply.error(&error.to_string());
        }
        out
    }

    /// The log so far, as command lines; SELECTs are made where Redis would see them.
    pub(crate) fn log_text(&self) -> String {
        let mut lines = Vec::new();
        let mut db = 0;
        for (batch_db, batch) in &self.shell.log.0 {
            if *batch_db != db {
                db = *batch_db;
                lines.push(format!("SELECT {db}"));
            }
            let mut decoder = ReplyDecoder::new();
            let mut rest = BytesMut::from(batch.as_slice());
            let limits = Limits::default();
            while let Some(value) = decoder.decode(&mut rest, &limits).expect("the log is RESP") {
                let Value::Array(words) = value else {
                    panic!("not a command: {value:?}")
                };
                let words: Vec<_> = words.iter().map(show).collect();
                lines.push(words.join(" "));
            }
        }
        lines.join(" | ")
    }
}

fn decode(reply: &[u8]) -> Value {
    let mut rest = BytesMut::from(reply);
    match ReplyDecoder::new().decode(&mut rest, &Limits::default()) {
        Ok(Some(value)) if rest.is_empty() => value,
        other => panic!("not one reply: {:?}: {other:?}", String::from_utf8_lossy(reply)),
    }
}

/// A reply in one line: `(nil)`, text and numbers as they are, errors as their text, `[a b]`, `{k: v}`, `~{a}`, `#t`.
pub(crate) fn show(value: &Value) -> String {
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
fn split(line: &str) -> Vec<Vec<u8>> {
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
pub(crate) fn check(script: &str, replies: &str) {
    let mut bench = Bench::new();
    let got: Vec<_> = script.split(" | ").map(|line| bench.line(line)).collect();
    assert_eq!(got.join(" | "), replies, "after: {script}");
}

/// Runs the commands and compares what the log got. Then replays the log and compares the keyspaces.
#[track_caller]
pub(crate) fn check_effects(script: &str, log: &str) {
    let mut bench = Bench::new();
    script.split(" | ").for_each(|line| {
        bench.line(line);
    });
    assert_eq!(bench.log_text(), log, "after: {script}");
}
