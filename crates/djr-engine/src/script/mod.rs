//! Lua scripts: EVAL and its kin.

use djr_storage::keyspace::{Access, UnixMillis};

use crate::engine::{Engine, Executor};
use crate::{Args, CommandError, Reply, Shell};

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

/// The scripts that clients have sent, shared by all workers.
#[derive(Default)]
pub struct Scripts {}

/// One worker's Lua interpreter, made when the first script runs.
#[derive(Default)]
pub struct Interpreter {}
