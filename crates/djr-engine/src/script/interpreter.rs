//! One worker's Lua interpreter: what scripts see, and what was compiled of them.

use std::borrow::Borrow;
use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::rc::Rc;
use std::sync::Arc;

use mlua::{
    ChunkMode, Either, Function, HookTriggers, Lua, LuaOptions, StdLib, Table, Value, Variadic,
    VmState,
};
use xxhash_rust::xxh3::Xxh3Builder;

use super::cache::{Script, Scripts, Sha};
use super::convert::one_line;
use super::host::{self, FUNCTION_SOURCE, Place, SANDBOX_SOURCE, SCRIPT_SOURCE};
use super::libraries::LoadedLibraries;
use super::random::Random;
use super::run::Buffers;
use super::{api, library, shebang};
use crate::CommandError;

/// After so many instructions a script is asked whether it must end: rarely enough to cost nothing beside Lua's own
/// counting, and within a millisecond.
const INTERRUPT_INSTRUCTIONS: u32 = 10_000;
/// More keys and arguments than this are handed over in tables.
pub(super) const ARGUMENTS_ON_STACK_MAX: usize = 200;
const SANDBOX: &str = include_str!("sandbox.lua");

/// What scripts may leave behind in an interpreter, in bytes.
const GARBAGE_MAX: usize = 16 << 20;

/// One worker's Lua interpreter, made when the first script runs.
#[derive(Default)]
pub struct Interpreter {
    state: Option<Box<State>>,
    pub(super) buffers: Buffers,
}

/// What the functions of the libraries keep between calls.
pub(super) struct Shared {
    pub(super) random: Random,
    pub(super) cjson: library::cjson::Settings,
}

pub(super) struct State {
    pub(super) lua: Lua,
    /// The compiled scripts by number.
    functions: Table,
    /// Sets KEYS and ARGV, calls a script, catches its error.
    run: Function,
    /// The same, where there are many keys or arguments.
    run_many: Function,
    pub(super) libraries: LoadedLibraries,
    pub(super) shared: Rc<Shared>,
    by_sha: HashMap<Sha, Rc<Compiled>>,
    /// The same by text, so that EVAL need not compute the SHA-1 of a script that it knows.
    by_text: HashSet<ByText, Xxh3Builder>,
    /// How many have ever been compiled.
    count: u64,
    /// What was in use when garbage was last collected as a whole, in bytes.
    live: usize,
    /// The cache's count of drops when these were last in order.
    drops: u64,
    /// Lua frees a chunk's name while it still reads the chunk, unless someone holds the same string.
    _names: [mlua::String; 3],
}

/// A script, ready to run in one interpreter.
pub(super) struct Compiled {
    pub(super) script: Arc<Script>,
    number: u64,
}

/// Found by its text.
struct ByText(Rc<Compiled>);

impl Borrow<[u8]> for ByText {
    fn borrow(&self) -> &[u8] {
        &self.0.script.text
    }
}

impl Hash for ByText {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.script.text.hash(state);
    }
}

impl PartialEq for ByText {
    fn eq(&self, other: &Self) -> bool {
        self.0.script.text == other.0.script.text
    }
}

impl Eq for ByText {}

/// What the sandbox says of a run: whether it went well, the result or the error, and where the error arose.
pub(super) type Ended = (bool, Value, Option<String>, Option<i64>);

/// How a script ended.
pub(super) enum Outcome {
    /// With this result.
    Returned(Value),
    /// With this error, which arose there.
    Failed(Value, Place),
}

impl Outcome {
    pub(super) fn new((ok, result, source, line): Ended) -> Self {
        if ok {
            Outcome::Returned(result)
        } else {
            let place = Place::new(source.unwrap_or_default(), line.unwrap_or(-1));
            Outcome::Failed(result, place)
        }
    }
}

impl Interpreter {
    pub(super) fn state(&mut self) -> Result<&mut State, CommandError> {
        if self.state.is_none() {
            let state = State::new().map_err(|error| {
                CommandError::format(format!("ERR the script interpreter can't start: {error}"))
            })?;
            self.state = Some(Box::new(state));
        }
        self.state
            .as_deref_mut()
            .ok_or(CommandError::text("ERR no script interpreter"))
    }

    /// The script of this text: from the cache, or compiled and added to it.
    pub(super) fn by_text(
        &mut self,
        scripts: &Scripts,
        text: &[u8],
    ) -> Result<Rc<Compiled>, CommandError> {
        let state = self.state()?;
        state.forget_dropped(scripts);
        if let Some(ByText(compiled)) = state.by_text.get(text) {
            scripts.touch(&compiled.script);
            return Ok(Rc::clone(compiled));
        }
        let sha = Sha::of(text);
        if let Some(compiled) = state.by_sha(scripts, sha)? {
            return Ok(compiled);
        }
        let script = Script::new(sha, text)?;
        let function = compile(&state.lua, text)?;
        state.keep(scripts.add(script), function)
    }

    /// The script of this name, if it is in the cache.
    pub(super) fn by_sha(
        &mut self,
        scripts: &Scripts,
        sha: Sha,
    ) -> Result<Option<Rc<Compiled>>, CommandError> {
        let state = self.state()?;
        state.forget_dropped(scripts);
        let compiled = state.by_sha(scripts, sha)?;
        if let Some(compiled) = &compiled {
            scripts.touch(&compiled.script);
        }
        Ok(compiled)
    }

    /// Runs a script, whose random numbers begin at `seed`. The host has been entered.
    pub(super) fn run(
        &mut self,
        compiled: &Compiled,
        keys: &[&[u8]],
        argv: &[&[u8]],
        seed: u64,
    ) -> Result<Outcome, CommandError> {
        let state = self.state()?;
        state.run(compiled, keys, argv, seed).map_err(failed)
    }

    /// What the interpreter has allocated (`used_memory_vm_eval`), in bytes.
    pub fn used_bytes(&self) -> usize {
        self.state
            .as_ref()
            .map_or(0, |state| state.lua.used_memory())
    }
}

impl State {
    fn new() -> mlua::Result<Self> {
        let libraries = StdLib::TABLE | StdLib::STRING | StdLib::MATH | StdLib::OS;
        // The default leaves Lua's own `pcall` in place, which a panic would not pass: nothing of ours panics.
        let lua = Lua::new_with(libraries, LuaOptions::new())?;
        let shared = Rc::new(Shared {
            random: Random::new(),
            cjson: Default::default(),
        });
        let host = api::host_table(&lua, &shared)?;
        let (globals, functions, run, run_many, callbacks, load, call, call_many) =
            lua.load(SANDBOX).set_name(SANDBOX_SOURCE).call(host)?;
        let globals: Table = globals;
        lua.set_globals(globals)?;
        watch_instructions(&lua, INTERRUPT_INSTRUCTIONS)?;
        Ok(Self {
            functions,
            run,
            run_many,
            libraries: LoadedLibraries::new(callbacks, load, call, call_many),
            shared,
            by_sha: HashMap::new(),
            count: 0,
            // Whoever finds texts that collide slows himself down: this is one worker's, and the cache is bounded.
            by_text: HashSet::default(),
            live: 0,
            drops: 0,
            _names: [
                lua.create_string(FUNCTION_SOURCE)?,
                lua.create_string(SCRIPT_SOURCE)?,
                lua.create_string("=(load)")?,
            ],
            lua,
        })
    }

    fn by_sha(
        &mut self,
        scripts: &Scripts,
        sha: Sha,
    ) -> Result<Option<Rc<Compiled>>, CommandError> {
        if let Some(compiled) = self.by_sha.get(&sha) {
            return Ok(Some(Rc::clone(compiled)));
        }
        let Some(script) = scripts.find(sha) else {
            return Ok(None);
        };
        let function = compile(&self.lua, &script.text)?;
        self.keep(script, function).map(Some)
    }

    fn keep(
        &mut self,
        script: Arc<Script>,
        function: Function,
    ) -> Result<Rc<Compiled>, CommandError> {
        self.count += 1;
        let compiled = Rc::new(Compiled {
            script,
            number: self.count,
        });
        self.functions
            .raw_set(self.count, function)
            .map_err(failed)?;
        self.by_sha
            .insert(compiled.script.sha, Rc::clone(&compiled));
        self.by_text.insert(ByText(Rc::clone(&compiled)));
        Ok(compiled)
    }

    fn forget_dropped(&mut self, scripts: &Scripts) {
        if self.drops == scripts.drops() {
            return;
        }
        self.drops = scripts.drops();
        self.by_text
            .retain(|ByText(compiled)| compiled.script.is_cached());
        for (_, dropped) in self
            .by_sha
            .extract_if(|_, compiled| !compiled.script.is_cached())
        {
            // Setting a field that is there allocates nothing, so it can't fail.
            let _ = self.functions.raw_set(dropped.number, Value::Nil);
        }
    }

    fn run(
        &mut self,
        compiled: &Compiled,
        keys: &[&[u8]],
        argv: &[&[u8]],
        seed: u64,
    ) -> mlua::Result<Outcome> {
        let lua = &self.lua;
        self.shared.random.set(seed);
        self.shared.cjson.reset();
        let many = keys.len() + argv.len() > ARGUMENTS_ON_STACK_MAX;
        let ended: Ended = if many {
            let list =
                |values: &[&[u8]]| lua.create_sequence_from(values.iter().map(mlua::String::wrap));
            self.run_many
                .call((compiled.number, list(keys)?, list(argv)?))?
        } else {
            let all = keys.iter().chain(argv);
            let all = all
                .map(|bytes| text(lua, bytes))
                .collect::<mlua::Result<Variadic<_>>>()?;
            self.run.call((compiled.number, keys.len(), all))?
        };
        Ok(Outcome::new(ended))
    }

    /// After a script was killed: the next one is asked as rarely as before.
    pub(super) fn calm(&mut self) {
        let _ = watch_instructions(&self.lua, INTERRUPT_INSTRUCTIONS);
    }
}

impl Interpreter {
    /// Gives back what a run has left behind, if that is much: Lua itself begins only when other scripts need as much again.
    pub(super) fn free_garbage(&mut self) {
        if let Some(state) = &mut self.state
            && state.lua.used_memory() > state.live + GARBAGE_MAX
        {
            // An error of a script's finalizer: there are none.
            let _ = state.lua.gc_collect();
            state.live = state.lua.used_memory();
        }
    }

    /// To be called after a run that was killed.
    pub(super) fn calm(&mut self) {
        if let Some(state) = &mut self.state {
            state.calm();
        }
    }
}

/// An error of the interpreter's own, which no script raised.
pub(super) fn failed(error: mlua::Error) -> CommandError {
    CommandError::format(one_line(format!("ERR {error}").as_bytes()))
}

/// A string as an argument of a Lua function. What is UTF-8 takes the shorter way through the binding.
pub(super) fn text<'a>(lua: &Lua, bytes: &'a [u8]) -> mlua::Result<Either<&'a str, mlua::String>> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(Either::Left(text)),
        Err(_) => lua.create_string(bytes).map(Either::Right),
    }
}

/// Asks the host every so many instructions whether the script must end. Once it must, every single instruction that it
/// still tries fails, so that no `pcall` keeps it alive.
fn watch_instructions(lua: &Lua, every: u32) -> mlua::Result<()> {
    let triggers = HookTriggers::new().every_nth_instruction(every);
    lua.set_global_hook(triggers, |lua, frame| {
        let must_end =
            host::with(|host| host.must_end(&|| Place::of_hook(lua, frame))).unwrap_or(false);
        if must_end {
            watch_instructions(lua, 1)?;
            return Err(host::killed());
        }
        Ok(VmState::Continue)
    })
}

/// Compiles a script; its error says where.
fn compile(lua: &Lua, text: &[u8]) -> Result<Function, CommandError> {
    compile_as(lua, text, SCRIPT_SOURCE, "script (new function)")
}

/// Compiles what the user calls by this name.
pub(super) fn compile_as(
    lua: &Lua,
    text: &[u8],
    source: &str,
    what: &str,
) -> Result<Function, CommandError> {
    let failure = |text: &str| CommandError::format(format!("ERR Error compiling {what}: {text}"));
    if text.first() == Some(&0x1b) {
        return Err(failure("attempt to load bytecode: only text is allowed"));
    }
    let chunk = lua
        .load(shebang::body(text))
        .set_name(source)
        .set_mode(ChunkMode::Text);
    chunk.into_function().map_err(|error| match error {
        mlua::Error::SyntaxError { message, .. } => failure(&message),
        other => failure(&other.to_string()),
    })
}

/// Whether a text is Lua, for SCRIPT LOAD, which runs nothing: asks an interpreter of its own.
pub(crate) fn check_syntax(text: &[u8]) -> Result<(), CommandError> {
    let lua = Lua::new_with(StdLib::NONE, LuaOptions::new());
    let lua = lua.map_err(|error| CommandError::format(format!("ERR {error}")))?;
    let _name = lua.create_string(SCRIPT_SOURCE);
    compile(&lua, text).map(|_| ())
}
