//! The configuration: what `redis.conf`, the command line, the environment and `CONFIG SET` say.
//!
//! - [`table`](self): one row per parameter, from which all else follows.
//! - `value`, `special`: how values are read and printed.
//! - `file`: the format of `redis.conf`; `sources`: files, command line and environment, and which of them counts.
//! - `live`: changes while the server runs. `rewrite`: `CONFIG REWRITE`.
//! - `settings`: what the server reads, under names of its own.
//! - `document`: `djr.conf` and `docs/configuration.md`, made from the table.
//!
//! Reading a value is a plain load: workers ask for them at every turn.

mod document;
mod error;
mod file;
mod live;
mod rewrite;
mod settings;
mod sources;
mod special;
mod table;
mod value;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

use djr_engine::registry::Rename;
use djr_storage::aof::FsyncPolicy;
use parking_lot::{Mutex, RwLock};

pub use document::{markdown, sample_file};
pub use error::ConfigError;
pub use sources::{Action, environment, from_command_line};

pub(crate) use live::{apply_all, change};
pub(crate) use rewrite::{rewrite, rewrite_all};
pub(crate) use settings::{DefragSettings, OutputLimit};
pub(crate) use special::plain;
pub(crate) use table::{Change, Id, Number};

use settings::{APPEND_FSYNC, APPEND_ONLY, DIR, FSYNC_POLICIES, OUTPUT_LIMITS, PORT, THREADS};
use special::Adds;
use table::{COUNT, Meaning, Words};
use value::Value;
pub(crate) use value::{Refusal, memory};

/// The configuration of a server. Made before the start, with [`Config::default`] and its setters or from a command line;
/// while the server runs, changed by `CONFIG SET`.
pub struct Config {
    slots: Box<[Slot; COUNT]>,
    /// As they were before anything was set: some depend on where the process was started.
    defaults: Vec<Value>,
    /// The users that `user` lines define: names and rules.
    users: Vec<Vec<Vec<u8>>>,
    /// What `rename-command` lines say.
    renames: Vec<Rename>,
    output_limits: [[AtomicU64; 3]; 3],
    /// The file that it was read from, with its full path.
    file: Option<PathBuf>,
    aof_repair: bool,
    free_port: bool,
    /// What was said that has no meaning here.
    remarks: Vec<String>,
    /// Held during `CONFIG SET` and `CONFIG REWRITE`.
    changing: Mutex<()>,
}

/// The value of one parameter: the one or the other, by its kind.
struct Slot {
    number: AtomicI64,
    text: RwLock<Arc<[u8]>>,
}

impl Default for Config {
    fn default() -> Self {
        let nothing = Value::text("");
        let defaults: Vec<_> = Id::all()
            .map(|id| {
                let parameter = id.parameter();
                let value = parameter
                    .kind
                    .parse(&[parameter.default.as_bytes()], &nothing);
                // Defaults are ours, and a test reads them all.
                value.unwrap_or_else(|refusal| panic!("default of '{}': {refusal}", parameter.name))
            })
            .collect();
        let config = Self {
            slots: Box::new(std::array::from_fn(|_| Slot {
                number: AtomicI64::new(0),
                text: RwLock::new([].into()),
            })),
            defaults,
            users: Vec::new(),
            renames: Vec::new(),
            output_limits: Default::default(),
            file: None,
            aof_repair: false,
            free_port: false,
            remarks: Vec::new(),
            changing: Mutex::new(()),
        };
        Id::all().for_each(|id| config.store(id, config.defaults[id.index()].clone()));
        config
    }
}

impl std::fmt::Debug for Config {
    /// What differs from the defaults, without secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut map = f.debug_map();
        for id in Id::all().filter(|id| !self.is_default(*id)) {
            let text = if id.parameter().secret {
                "(secret)".into()
            } else {
                self.print(id)
            };
            map.entry(&id.parameter().name, &String::from_utf8_lossy(&text));
        }
        map.finish()
    }
}

/// Before the start.
impl Config {
    /// Reads a command line as `redis-server` takes it, without the program's name: `[FILE] [--directive value …] …`.
    pub fn from_args<I>(args: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator<Item: AsRef<OsStr>>,
    {
        match from_command_line(args, [])? {
            Action::Run(config) => Ok(*config),
            other => Err(ConfigError::Argument {
                argument: format!("{other:?}").to_lowercase(),
                reason: "is no configuration".into(),
            }),
        }
    }

    /// Sets a parameter to what a line of a configuration file says.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), ConfigError> {
        let failed = |reason: Refusal| ConfigError::Parameter {
            name: name.to_owned(),
            reason: reason.into_owned(),
        };
        let words = file::split(value.as_bytes()).ok_or_else(|| failed(file::UNBALANCED.into()))?;
        let words: Vec<_> = words.iter().map(Vec::as_slice).collect();
        let id = Id::find(name.as_bytes()).ok_or_else(|| failed(file::BAD_DIRECTIVE.into()))?;
        self.set_words(id, &words, true).map_err(failed)
    }

    /// The data directory. It must exist.
    #[must_use]
    pub fn with_dir(self, dir: impl AsRef<Path>) -> Self {
        // Whether it exists is seen at the start.
        let dir = std::path::absolute(&dir).unwrap_or_else(|_| dir.as_ref().to_owned());
        self.with(DIR.0, Value::text(dir.as_os_str().as_bytes()))
    }

    /// The TCP port; 0 for none.
    #[must_use]
    pub fn with_port(self, port: u16) -> Self {
        self.with(PORT.0, Value::Number(i64::from(port)))
    }

    /// A TCP port that the system chooses, for tests: see [`Server::addresses`](crate::Server::addresses).
    #[must_use]
    pub fn with_free_port(mut self) -> Self {
        self.free_port = true;
        self
    }

    /// The number of worker threads, from 1 to 256.
    #[must_use]
    pub fn with_threads(self, threads: usize) -> Self {
        self.with(THREADS.0, Value::Number(threads.clamp(1, 256) as i64))
    }

    /// Whether there is an append-only log.
    #[must_use]
    pub fn with_append_only(self, on: bool) -> Self {
        self.with(APPEND_ONLY.0, Value::Number(i64::from(on)))
    }

    /// When the log is made durable.
    #[must_use]
    pub fn with_append_fsync(self, policy: FsyncPolicy) -> Self {
        let index = FSYNC_POLICIES.iter().position(|known| *known == policy);
        self.with(
            APPEND_FSYNC.0,
            Value::Number(index.unwrap_or_default() as i64),
        )
    }

    /// Whether a damaged log is repaired: what can't be read is put aside.
    #[must_use]
    pub fn with_aof_repair(mut self, repair: bool) -> Self {
        self.aof_repair = repair;
        self
    }

    fn with(self, id: Id, value: Value) -> Self {
        self.store(id, value);
        self
    }

    /// Sets a parameter to the words of a directive. `first`: it is the first of its source with this name.
    fn set_words(&self, id: Id, words: &[&[u8]], first: bool) -> Result<(), Refusal> {
        let value = self.parse(id, words, first)?;
        self.permit(id, &value)?;
        self.store(id, value);
        Ok(())
    }

    /// Whether a parameter may have this value here.
    fn permit(&self, id: Id, value: &Value) -> Result<(), Refusal> {
        match id.parameter().meaning {
            Meaning::DefaultOnly(why) if *value != self.defaults[id.index()] => Err(why.into()),
            _ => Ok(()),
        }
    }

    fn parse(&self, id: Id, words: &[&[u8]], first: bool) -> Result<Value, Refusal> {
        let kind = id.parameter().kind;
        let before = match kind {
            value::Kind::Special(special) if special.adds_up == Adds::Always || !first => {
                self.value(id)
            }
            _ => Value::text(""),
        };
        kind.parse(words, &before)
    }
}

/// Values by their place in the table.
impl Config {
    #[inline]
    pub(crate) fn number(&self, number: Number) -> i64 {
        self.slots[number.0.index()].number.load(Relaxed)
    }

    #[inline]
    fn is(&self, flag: Number) -> bool {
        self.number(flag) != 0
    }

    fn bytes(&self, words: Words) -> Arc<[u8]> {
        self.slots[words.0.index()].text.read().clone()
    }

    /// A path; one that is not full is meant in the data directory.
    fn path(&self, words: Words) -> Option<PathBuf> {
        let bytes = self.bytes(words);
        (!bytes.is_empty()).then(|| self.dir().join(OsStr::from_bytes(&bytes)))
    }

    fn string(&self, words: Words) -> String {
        String::from_utf8_lossy(&self.bytes(words)).into_owned()
    }

    fn value(&self, id: Id) -> Value {
        match &self.defaults[id.index()] {
            Value::Number(_) => Value::Number(self.slots[id.index()].number.load(Relaxed)),
            Value::Text(_) => Value::Text(self.slots[id.index()].text.read().clone()),
        }
    }

    /// As `CONFIG GET` shows it.
    pub(crate) fn print(&self, id: Id) -> Vec<u8> {
        id.parameter().kind.print(&self.value(id))
    }

    fn is_default(&self, id: Id) -> bool {
        self.value(id) == self.defaults[id.index()]
    }

    /// Puts a value in place, and what is derived from it.
    fn store(&self, id: Id, value: Value) {
        if id == OUTPUT_LIMITS.0 {
            let limits = special::output_limits(&value);
            for (atomics, limits) in self.output_limits.iter().zip(limits) {
                for (atomic, limit) in atomics.iter().zip(limits) {
                    atomic.store(limit, Relaxed);
                }
            }
        }
        let slot = &self.slots[id.index()];
        match value {
            Value::Number(number) => slot.number.store(number, Relaxed),
            Value::Text(text) => *slot.text.write() = text,
        }
    }

    /// What the operator should know: parameters that were set and do nothing, and the like. With `true` where something
    /// will work differently from what was asked for.
    pub(crate) fn remarks(&self) -> Vec<(bool, String)> {
        let mut remarks: Vec<_> = self
            .remarks
            .iter()
            .map(|remark| (false, remark.clone()))
            .collect();
        for id in Id::all().filter(|id| !self.is_default(*id)) {
            let name = id.parameter().name;
            match id.parameter().meaning {
                Meaning::Later(what) => {
                    remarks.push((true, format!("'{name}' does nothing yet: it needs {what}")))
                }
                Meaning::NoEffect(why) => {
                    remarks.push((false, format!("'{name}' has no effect: {why}")))
                }
                Meaning::Used | Meaning::DefaultOnly(_) => {}
            }
        }
        remarks
    }
}

#[cfg(test)]
mod tests;
