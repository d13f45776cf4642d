//! The scripts that clients have sent, shared by all workers; and which script is running, for those who wait for it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use parking_lot::{Mutex, RwLock};

use super::shebang::{self, Flags};
use crate::CommandError;

/// Scripts known only from EVAL are kept up to this number, the least recently used goes first (as in Redis 7.4 and later).
const EVAL_SCRIPTS_MAX: usize = 500;
/// What one cached script takes beside its text, for `INFO memory`; about right.
const SCRIPT_OVERHEAD_BYTES: usize = 200;

/// The SHA-1 of a script's text: its name.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sha([u8; 20]);

impl Sha {
    /// The name of a text.
    pub fn of(text: &[u8]) -> Self {
        use sha1::Digest as _;
        Self(sha1::Sha1::digest(text).into())
    }

    /// From 40 hexadecimal digits of any case.
    pub fn parse(hex: &[u8]) -> Option<Self> {
        let digit = |byte: u8| (byte as char).to_digit(16);
        let mut sha = [0; 20];
        if hex.len() != 2 * sha.len() {
            return None;
        }
        for (byte, pair) in sha.iter_mut().zip(hex.as_chunks::<2>().0) {
            *byte = (digit(pair[0])? << 4 | digit(pair[1])?) as u8;
        }
        Some(Self(sha))
    }

    /// As 40 hexadecimal digits in lower case.
    pub fn hex(&self) -> [u8; 40] {
        let mut hex = [0; 40];
        for (pair, byte) in hex.as_chunks_mut::<2>().0.iter_mut().zip(self.0) {
            *pair = [byte >> 4, byte & 15].map(|digit| b"0123456789abcdef"[usize::from(digit)]);
        }
        hex
    }
}

impl std::fmt::Display for Sha {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.hex()
            .iter()
            .try_for_each(|digit| write!(f, "{}", char::from(*digit)))
    }
}

/// One script. It is the same object for all workers for as long as it is in the cache.
pub struct Script {
    /// Its name.
    pub sha: Sha,
    /// Its text as it came.
    pub text: Box<[u8]>,
    /// What its first line declares; nothing, of a script without one.
    pub flags: Option<Flags>,
    /// Taken out of the cache: EVALSHA does not find it any more.
    dropped: AtomicBool,
    /// Sent with SCRIPT LOAD: stays until SCRIPT FLUSH.
    loaded: AtomicBool,
    /// The cache's count of additions when it was last used.
    used: AtomicU64,
}

impl Script {
    /// A script that is in no cache yet. Errors where its first line is wrong.
    pub fn new(sha: Sha, text: &[u8]) -> Result<Self, CommandError> {
        Ok(Self {
            sha,
            text: text.into(),
            flags: shebang::parse(text)?,
            dropped: AtomicBool::new(false),
            loaded: AtomicBool::new(false),
            used: AtomicU64::new(0),
        })
    }

    /// Whether it is still in the cache.
    pub fn is_cached(&self) -> bool {
        !self.dropped.load(Relaxed)
    }
}

/// The scripts that clients have sent, shared by all workers.
#[derive(Default)]
pub struct Scripts {
    cached: RwLock<HashMap<Sha, Arc<Script>>>,
    /// Grows with every script that is added.
    additions: AtomicU64,
    /// Grows whenever scripts are dropped, so that interpreters forget what they compiled of them.
    drops: AtomicU64,
    running: Running,
}

impl Scripts {
    /// The script of that name.
    pub fn find(&self, sha: Sha) -> Option<Arc<Script>> {
        self.cached.read().get(&sha).cloned()
    }

    /// Adds a script (its syntax has been checked), or returns the one that another worker added meanwhile.
    pub fn add(&self, script: Script) -> Arc<Script> {
        let now = self.additions.fetch_add(1, Relaxed) + 1;
        let mut cached = self.cached.write();
        let script = cached
            .entry(script.sha)
            .or_insert_with(|| Arc::new(script))
            .clone();
        script.used.store(now, Relaxed);
        let unloaded = |script: &&Arc<Script>| !script.loaded.load(Relaxed);
        if cached.len() > EVAL_SCRIPTS_MAX
            && cached.values().filter(unloaded).count() > EVAL_SCRIPTS_MAX
        {
            let oldest = cached
                .values()
                .filter(unloaded)
                .min_by_key(|script| script.used.load(Relaxed));
            if let Some(sha) = oldest.map(|script| script.sha)
                && let Some(oldest) = cached.remove(&sha)
            {
                oldest.dropped.store(true, Relaxed);
                self.drops.fetch_add(1, Relaxed);
            }
        }
        script
    }

    /// Adds a script that stays until [`flush`](Self::flush).
    pub fn load(&self, script: Script) -> Arc<Script> {
        let script = self.add(script);
        script.loaded.store(true, Relaxed);
        script
    }

    /// Notes that a script was used, so that it is not among the next to go.
    pub(super) fn touch(&self, script: &Script) {
        script.used.store(self.additions.load(Relaxed), Relaxed);
    }

    /// Forgets every script.
    pub fn flush(&self) {
        let dropped = std::mem::take(&mut *self.cached.write());
        dropped
            .values()
            .for_each(|script| script.dropped.store(true, Relaxed));
        self.drops.fetch_add(1, Relaxed);
    }

    /// How often scripts were dropped.
    pub(super) fn drops(&self) -> u64 {
        self.drops.load(Relaxed)
    }

    /// How many scripts are cached (`number_of_cached_scripts`).
    pub fn len(&self) -> usize {
        self.cached.read().len()
    }

    /// Whether none is cached.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// About how much memory the cached texts take (`used_memory_scripts_eval`), in bytes.
    pub fn bytes(&self) -> usize {
        self.cached
            .read()
            .values()
            .map(|script| script.text.len() + SCRIPT_OVERHEAD_BYTES)
            .sum()
    }

    /// The script that is running and for how long.
    pub fn running(&self) -> &Running {
        &self.running
    }
}

/// What everyone may know of the script that runs: scripts have the whole keyspace open, so it is one at a time.
#[derive(Default)]
pub struct Running {
    active: AtomicBool,
    busy: AtomicBool,
    wrote: AtomicBool,
    kill: AtomicBool,
    /// Known once it is busy: nobody can ask before.
    current: Mutex<Option<Current>>,
}

/// The script or function that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Current {
    /// The SHA-1 of a script, or the name of a function.
    pub name: String,
    /// The command that called it.
    pub command: Vec<Vec<u8>>,
    /// When it was called, in milliseconds since 1970.
    pub started_ms: i64,
    /// It is a function, to be ended with FUNCTION KILL.
    pub is_function: bool,
}

impl Running {
    /// What runs past `busy-reply-threshold`.
    pub fn current(&self) -> Option<Current> {
        self.current.lock().clone()
    }

    /// Whether a script runs past `busy-reply-threshold`. One relaxed load.
    #[inline]
    pub fn is_busy(&self) -> bool {
        self.busy.load(Relaxed)
    }

    /// What everyone is told while a script or a function runs too long.
    #[cold]
    pub fn busy_error(&self) -> CommandError {
        match &*self.current.lock() {
            Some(current) if current.is_function => BUSY_FUNCTION,
            _ => BUSY,
        }
    }

    /// Asks the script to end (`SCRIPT KILL`) or, with `function`, the function (`FUNCTION KILL`); refused where that would
    /// leave half of its writes.
    pub fn kill(&self, function: bool) -> Result<(), CommandError> {
        if !self.active.load(Relaxed) || !self.is_busy() {
            return Err(NOT_BUSY);
        }
        if self
            .current()
            .is_some_and(|current| current.is_function != function)
        {
            return Err(self.busy_error());
        }
        if self.wrote.load(Relaxed) {
            return Err(UNKILLABLE);
        }
        self.kill.store(true, Relaxed);
        Ok(())
    }

    pub(super) fn begin(&self) {
        self.kill.store(false, Relaxed);
        self.wrote.store(false, Relaxed);
        self.active.store(true, Relaxed);
    }

    pub(super) fn end(&self) {
        if self.busy.swap(false, Relaxed) {
            *self.current.lock() = None;
        }
        self.active.store(false, Relaxed);
    }

    pub(super) fn set_busy(&self, current: Current) {
        *self.current.lock() = Some(current);
        self.busy.store(true, Relaxed);
    }

    pub(super) fn set_wrote(&self) {
        self.wrote.store(true, Relaxed);
    }

    pub(super) fn is_killed(&self) -> bool {
        self.kill.load(Relaxed)
    }
}

/// What commands are answered while a script runs too long.
const BUSY: CommandError = CommandError::text(
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
);

/// Whether a command was refused because a script or function runs too long.
pub fn is_busy(error: &CommandError) -> bool {
    *error == BUSY || *error == BUSY_FUNCTION
}

const BUSY_FUNCTION: CommandError = CommandError::text(
    "BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE.",
);
const NOT_BUSY: CommandError = CommandError::text("NOTBUSY No scripts in execution right now.");
const UNKILLABLE: CommandError = CommandError::text(
    "UNKILLABLE Sorry the script already executed write commands against the dataset. You can either wait the script \
     termination or kill the server in a hard way using the SHUTDOWN NOSAVE command.",
);

#[cfg(test)]
mod tests {
    use super::*;

    fn script(text: &str) -> Script {
        Script::new(Sha::of(text.as_bytes()), text.as_bytes()).expect("a script")
    }

    #[test]
    fn names_are_hexadecimal_in_any_case() {
        let sha = Sha::of(b"return 1");
        assert_eq!(sha.to_string(), "e0e1f9fabfc9d4800c877a703b823ac0578ff8db");
        assert!(Sha::parse(b"E0E1f9fabfc9d4800c877a703b823ac0578ff8DB") == Some(sha));
        assert!(Sha::parse(b"e0e1f9fabfc9d4800c877a703b823ac0578ff8d").is_none());
        assert!(Sha::parse(b"x0e1f9fabfc9d4800c877a703b823ac0578ff8db").is_none());
    }

    #[test]
    fn the_least_recently_used_goes_unless_it_was_loaded() {
        let scripts = Scripts::default();
        let kept = scripts.load(script("return 'loaded'"));
        let first = scripts.add(script("return 0"));
        let second = scripts.add(script("return 1"));
        for number in 2..EVAL_SCRIPTS_MAX {
            scripts.add(script(&format!("return {number}")));
        }
        assert_eq!(scripts.len(), EVAL_SCRIPTS_MAX + 1);
        scripts.touch(&first);
        scripts.add(script("return 'one more'"));
        assert!(kept.is_cached());
        assert!(first.is_cached());
        assert!(!second.is_cached());
        assert!(scripts.find(second.sha).is_none());
        scripts.flush();
        assert!(scripts.is_empty());
        assert!(!kept.is_cached());
    }
}
