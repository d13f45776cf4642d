//! One worker's part in the libraries of functions: loading them into its interpreter, calling what they have registered.

use std::collections::HashMap;
use std::sync::Arc;

use mlua::{Function as LuaFunction, Lua, MultiValue, Table, Value, Variadic};

use super::Interpreter;
use super::convert::one_line;
use super::functions::{Function, Functions, Library, library_name};
use super::host::{self, ErrorReply, FUNCTION_SOURCE, Host, Place};
use super::interpreter::{ARGUMENTS_ON_STACK_MAX, Ended, Outcome, State, compile_as, failed, text};
use super::run::error_text;
use super::shebang::Flags;
use crate::{CommandError, Shell};

/// A library's text may run for so long.
const LOAD_MS_MAX: u64 = 500;

/// The libraries that an interpreter has loaded.
pub(super) struct LoadedLibraries {
    /// Their functions by number.
    callbacks: Table,
    load: LuaFunction,
    call: LuaFunction,
    /// The same, where there are many keys or arguments.
    call_many: LuaFunction,
    /// By the library's number: the number of its first function, and how many it has.
    by_id: HashMap<u64, (u64, usize)>,
    /// The number of the next function.
    next: u64,
    /// How often the libraries had changed when these were last in order.
    changes: u64,
}

impl LoadedLibraries {
    pub(super) fn new(
        callbacks: Table,
        load: LuaFunction,
        call: LuaFunction,
        call_many: LuaFunction,
    ) -> Self {
        Self {
            callbacks,
            load,
            call,
            call_many,
            by_id: HashMap::new(),
            next: 1,
            changes: 0,
        }
    }

    fn forget(&mut self, (first, count): (u64, usize)) {
        for number in first..first + count as u64 {
            // Setting a field that is there allocates nothing, so it can't fail.
            let _ = self.callbacks.raw_set(number, Value::Nil);
        }
    }
}

impl State {
    /// Runs a library's text. The functions that it has registered, and the number of the first one.
    fn load(
        &mut self,
        code: &[u8],
        shell: &mut dyn Shell,
    ) -> Result<(u64, Vec<Function>), CommandError> {
        let chunk = compile_as(&self.lua, code, FUNCTION_SOURCE, "function")?;
        let first = self.libraries.next;
        let mut host = Loading {
            shell,
            started_ms: None,
            is_late: false,
        };
        let outcome: mlua::Result<(bool, Value)> =
            host::enter(&mut host, || self.libraries.load.call((chunk, first)));
        let is_late = host.is_late;
        let refused = |text: &str| {
            let text = format!("ERR Error registering functions: {text}");
            CommandError::format(one_line(text.as_bytes()))
        };
        if is_late {
            self.calm();
            return Err(refused("ERR FUNCTION LOAD timeout"));
        }
        let (ok, result) = outcome.map_err(failed)?;
        let functions = match (ok, &result) {
            (true, Value::Table(list)) => functions(list).map_err(failed)?,
            _ => return Err(refused(&error_text(&result))),
        };
        self.libraries.next += functions.len() as u64;
        Ok((first, functions))
    }

    /// Forgets the libraries that are gone.
    fn forget_libraries(&mut self, functions: &Functions) {
        let libraries = &mut self.libraries;
        if libraries.changes == functions.changes() {
            return;
        }
        libraries.changes = functions.changes();
        let gone: Vec<_> = libraries
            .by_id
            .extract_if(|id, _| !functions.is_current(*id))
            .collect();
        gone.into_iter()
            .for_each(|(_, numbers)| libraries.forget(numbers));
    }
}

/// What a library has registered.
fn functions(list: &Table) -> mlua::Result<Vec<Function>> {
    let mut functions = Vec::new();
    for entry in list.sequence_values::<Table>() {
        let entry = entry?;
        let bytes = |text: mlua::String| text.as_bytes().to_vec();
        let mut flags = Flags::default();
        for flag in entry
            .raw_get::<Table>("flags")?
            .sequence_values::<mlua::String>()
        {
            // Which flags there are has been asked before.
            let _ = flags.set(&flag?.as_bytes());
        }
        functions.push(Function {
            name: bytes(entry.raw_get("function_name")?),
            description: entry
                .raw_get::<Option<mlua::String>>("description")?
                .map(bytes),
            flags,
        });
    }
    Ok(functions)
}

impl Interpreter {
    /// Calls a function of a library, whose random numbers begin at `seed`. The library has been [ready](Self::ready), the host
    /// has been entered.
    pub(super) fn call(
        &mut self,
        library: &Library,
        index: usize,
        keys: &[&[u8]],
        argv: &[&[u8]],
        seed: u64,
    ) -> Result<Outcome, CommandError> {
        let state = self.state()?;
        let (first, _) = state
            .libraries
            .by_id
            .get(&library.id)
            .copied()
            .unwrap_or_default();
        let number = first + index as u64;
        state.shared.random.set(seed);
        state.shared.cjson.reset();
        let result = state.call(number, keys, argv);
        result.map_err(failed)
    }

    /// Loads a library that another worker may have been sent.
    pub(super) fn ready(
        &mut self,
        functions: &Functions,
        library: &Library,
        shell: &mut dyn Shell,
    ) -> Result<(), CommandError> {
        let state = self.state()?;
        state.forget_libraries(functions);
        if state.libraries.by_id.contains_key(&library.id) {
            return Ok(());
        }
        let (first, functions) = state.load(&library.code, shell)?;
        let numbers = (first, functions.len());
        state.libraries.by_id.insert(library.id, numbers);
        if functions != library.functions {
            return Err(CommandError::text(
                "ERR the library registers other functions than when it was loaded",
            ));
        }
        Ok(())
    }
}

impl State {
    fn call(&mut self, number: u64, keys: &[&[u8]], argv: &[&[u8]]) -> mlua::Result<Outcome> {
        let (lua, libraries) = (&self.lua, &self.libraries);
        let ended: Ended = if keys.len() + argv.len() > ARGUMENTS_ON_STACK_MAX {
            let list =
                |values: &[&[u8]]| lua.create_sequence_from(values.iter().map(mlua::String::wrap));
            libraries
                .call_many
                .call((number, list(keys)?, list(argv)?))?
        } else {
            let all = keys.iter().chain(argv);
            let all = all
                .map(|bytes| text(lua, bytes))
                .collect::<mlua::Result<Variadic<_>>>()?;
            libraries.call.call((number, keys.len(), all))?
        };
        Ok(Outcome::new(ended))
    }
}

/// The library of this text, which is run for that; it is in no set yet.
pub(crate) fn load_library(
    interpreter: &mut Interpreter,
    functions: &Functions,
    code: &[u8],
    may_be_there: impl FnOnce(&[u8]) -> Result<(), CommandError>,
    shell: &mut dyn Shell,
) -> Result<Arc<Library>, CommandError> {
    let name = library_name(code)?;
    may_be_there(&name)?;
    let state = interpreter.state()?;
    state.forget_libraries(functions);
    let (first, registered) = state.load(code, shell)?;
    if registered.is_empty() {
        return Err(CommandError::text("ERR No functions registered"));
    }
    let id = functions.new_id();
    state.libraries.by_id.insert(id, (first, registered.len()));
    // If it is refused after all, the next look at the libraries forgets it.
    state.libraries.changes = u64::MAX;
    Ok(Arc::new(Library {
        name,
        code: code.to_vec(),
        functions: registered,
        id,
    }))
}

/// What the text of a library can ask of the engine.
struct Loading<'a> {
    shell: &'a mut dyn Shell,
    /// When the first interrupt came, by the shell's clock.
    started_ms: Option<u64>,
    is_late: bool,
}

impl Host for Loading<'_> {
    fn call(&mut self, _: &Lua, _: &MultiValue) -> mlua::Result<Result<Value, ErrorReply>> {
        Ok(Err(ErrorReply::api("ERR no script is running")))
    }

    fn may_call(&mut self, _: &MultiValue) -> Result<bool, ErrorReply> {
        Ok(false)
    }

    fn set_resp3(&mut self, _: bool) {}

    fn log(&mut self, level: u8, line: &[u8]) {
        self.shell.script_log(level, line);
    }

    fn must_end(&mut self, _: &dyn Fn() -> Place) -> bool {
        let now_ms = self.shell.clock_ms();
        let started_ms = *self.started_ms.get_or_insert(now_ms);
        self.is_late |= now_ms.saturating_sub(started_ms) > LOAD_MS_MAX;
        self.is_late
    }
}
