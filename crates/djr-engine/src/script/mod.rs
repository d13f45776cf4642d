//! Lua scripts: EVAL and its kin.
//!
//! - `cache`: the scripts that clients have sent, and which one is running: shared by all workers.
//! - `interpreter`: one worker's Lua, with what it compiled; `sandbox.lua` makes the globals that scripts see.
//! - `functions`: the libraries of functions, shared as the scripts are; `libraries`: one worker's part in them.
//! - `run`: one execution. Its `host::Host` is what `redis.call` and the others reach.
//! - `convert`: replies to Lua values and back. `api`: the table `redis`. `library`: `cjson`, `cmsgpack`, `struct`, `bit`.
//!
//! Where this differs from Redis, on purpose:
//! - What would let a script reach past Lua's checks or overflow a stack is an error: bytecode, patterns of more than 4000
//!   bytes (`pattern too complex`), more than 7600 results of `unpack`, results nested deeper than 7500.
//! - `math.random` begins anywhere in every run, the settings of `cjson` last for one run, `collectgarbage` can't stop the
//!   collector: no script sees what another one did.
//! - `redis.set_repl` changes nothing: what a script wrote is always logged as a whole. There is no debugger.
//! - What a library of functions keeps in its variables is kept by each worker for itself.
//! - A message lacks the line where one of the wrapped functions of the library failed in `return f(…)`: Lua has dropped
//!   the caller by then.
//!
//! **Invariants:** a script has the whole keyspace open from its first command to its last; what it wrote is one unit of the
//! log, also when it fails; nothing that one script does to its globals is seen by the next.

mod api;
mod cache;
mod convert;
#[cfg(test)]
mod differential_tests;
mod functions;
mod host;
mod interpreter;
mod libraries;
mod library;
mod number;
mod random;
mod run;
mod shebang;
#[cfg(test)]
mod tests;

use djr_storage::keyspace::{Access, UnixMillis};

use crate::engine::{Engine, Executor};
use crate::{Args, CommandError, Reply, Shell};

pub use cache::{Current, Running, Script, Scripts, Sha};
pub use functions::{Function, Functions, Libraries, Library};
pub use interpreter::Interpreter;
pub use shebang::Flags as ScriptFlags;

pub use cache::is_busy;
pub(crate) use interpreter::check_syntax;
pub(crate) use libraries::load_library;
pub(crate) use number::parse as parse_number;
pub(crate) use run::{eval, eval_ro, evalsha, evalsha_ro, fcall, fcall_ro};

/// The function behind a script command: the keyspace is open as a whole, effects go into the executor's unit.
pub type RunScript = fn(
    &Engine,
    &mut Executor,
    &mut Access<'_>,
    &Args<'_>,
    UnixMillis,
    &mut dyn Shell,
    &mut Reply<'_>,
) -> Result<(), CommandError>;
