//! What a running script can ask of the engine, and how its functions reach it.
//!
//! The functions that Lua holds live as long as the interpreter; what they work on lives as long as one script. So the
//! script's [`Host`] is put into a scoped thread-local for the time of the run: it is gone before what it borrows.

use std::borrow::Cow;

use mlua::{Lua, MultiValue, Value};

/// What a running script can ask of the engine.
pub(super) trait Host {
    /// Runs a command. Its reply as Lua has it, or the error.
    fn call(&mut self, lua: &Lua, args: &MultiValue) -> mlua::Result<Result<Value, ErrorReply>>;
    /// Whether the user may run a command with these arguments.
    fn may_call(&mut self, args: &MultiValue) -> Result<bool, ErrorReply>;
    /// RESP2 or RESP3, for the replies to come.
    fn set_resp3(&mut self, resp3: bool);
    /// Writes a line to the server's log.
    fn log(&mut self, level: u8, line: &[u8]);
    /// Called every some thousand instructions, with the place where the script is: whether it must end.
    fn must_end(&mut self, place: &dyn Fn() -> Place) -> bool;
}

scoped_tls_hkt::scoped_thread_local!(static mut HOST: for<'a> &'a mut (dyn Host + 'a));

/// Runs `body`; meanwhile [`with`] finds `host`.
pub(super) fn enter<R>(host: &mut dyn Host, body: impl FnOnce() -> R) -> R {
    HOST.set(host, body)
}

/// Gives `body` the host of the running script. Errors if no script runs, as in a chunk that builds the sandbox.
pub(super) fn with<R>(body: impl FnOnce(&mut dyn Host) -> R) -> mlua::Result<R> {
    if !HOST.is_set() {
        return Err(mlua::Error::runtime("no script is running"));
    }
    Ok(HOST.with(body))
}

/// An error as `redis.call` gives it: in the end the script sees a table with the field `err`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ErrorReply {
    /// Code and text.
    pub(super) text: Cow<'static, [u8]>,
    /// Whether it is a command's error, counted where it arose.
    pub(super) counted: bool,
}

impl ErrorReply {
    /// The field of the table that says that an error was counted where it arose.
    pub(super) const COUNTED: &'static str = "ignore_error_stats_update";

    /// An error of the API's own.
    pub(super) const fn api(text: &'static str) -> Self {
        Self {
            text: Cow::Borrowed(text.as_bytes()),
            counted: false,
        }
    }

    /// An error of the call of a command, whose text is known when compiling.
    pub(super) const fn api_counted(text: &'static str) -> Self {
        Self {
            text: Cow::Borrowed(text.as_bytes()),
            counted: true,
        }
    }

    /// A command's error.
    pub(super) fn command(text: impl Into<Vec<u8>>) -> Self {
        Self {
            text: Cow::Owned(text.into()),
            counted: true,
        }
    }

    /// The table that stands for it.
    pub(super) fn to_table(&self, lua: &Lua) -> mlua::Result<Value> {
        let table = lua.create_table_with_capacity(0, 2)?;
        table.raw_set("err", mlua::String::wrap(&self.text))?;
        if self.counted {
            table.raw_set(Self::COUNTED, true)?;
        }
        Ok(Value::Table(table))
    }
}

/// What a function of the host raises.
#[derive(Clone, Debug)]
pub(super) enum Raised {
    /// A table with the field `err`.
    Reply(ErrorReply),
    /// A string.
    Text(Vec<u8>),
}

impl std::fmt::Display for Raised {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (Self::Reply(ErrorReply {
            text: Cow::Owned(text),
            ..
        })
        | Self::Text(text)) = self
        else {
            let Self::Reply(reply) = self else {
                return Ok(());
            };
            return f.write_str(&String::from_utf8_lossy(&reply.text));
        };
        f.write_str(&String::from_utf8_lossy(text))
    }
}

impl std::error::Error for Raised {}

impl From<ErrorReply> for mlua::Error {
    fn from(reply: ErrorReply) -> Self {
        mlua::Error::external(Raised::Reply(reply))
    }
}

/// A string error that begins with the place of the call, as Lua's own functions raise it.
pub(super) fn error_at_call(lua: &Lua, text: impl Into<Vec<u8>>) -> mlua::Error {
    let mut located = lua
        .inspect_stack(1, |frame| Place::of(frame).prefix())
        .unwrap_or_default()
        .into_bytes();
    located.extend(text.into());
    mlua::Error::external(Raised::Text(located))
}

/// Lua's error for an argument that does not fit.
pub(super) fn bad_argument(lua: &Lua, index: usize, function: &str, why: &str) -> mlua::Error {
    error_at_call(
        lua,
        format!("bad argument #{index} to '{function}' ({why})"),
    )
}

/// The same, where the type is wrong.
pub(super) fn wrong_type(
    lua: &Lua,
    index: usize,
    function: &str,
    wanted: &str,
    got: Option<&Value>,
) -> mlua::Error {
    let got = got.map_or("no value", type_name);
    bad_argument(
        lua,
        index,
        function,
        &format!("{wanted} expected, got {got}"),
    )
}

/// What ends a script that was killed.
#[cold]
pub(super) fn killed() -> mlua::Error {
    ErrorReply::api("ERR Script killed by user with SCRIPT KILL...").into()
}

/// A type's name in Lua.
pub(super) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Integer(_) => "number",
        Value::LightUserData(_) | Value::Error(_) => "userdata",
        other => other.type_name(),
    }
}

/// What stands for an error that Lua caught: a table or a string for one of the host's, the value itself for all others.
pub(super) fn reveal(lua: &Lua, value: Value) -> mlua::Result<Value> {
    let Value::Error(error) = value else {
        return Ok(value);
    };
    match raised(&error) {
        Some(Raised::Reply(reply)) => reply.to_table(lua),
        Some(Raised::Text(text)) => Ok(Value::String(lua.create_string(text)?)),
        None => Ok(Value::String(lua.create_string(root(&error).to_string())?)),
    }
}

fn raised(error: &mlua::Error) -> Option<&Raised> {
    match root(error) {
        mlua::Error::ExternalError(error) => error.downcast_ref(),
        _ => None,
    }
}

fn root(error: &mlua::Error) -> &mlua::Error {
    match error {
        mlua::Error::CallbackError { cause, .. } => root(cause),
        other => other,
    }
}

/// Where a script was: the source as Lua names it, and the line, -1 if unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// `@user_script`, or the text of a chunk that the script compiled.
    pub(super) source: String,
    /// Its short form for messages.
    short: String,
    /// From 1.
    pub(super) line: i64,
    is_native: bool,
}

/// The source of the chunk that builds the sandbox.
pub(super) const SANDBOX_SOURCE: &str = "=sandbox";
/// The source of every script.
pub(super) const SCRIPT_SOURCE: &str = "@user_script";
/// The source of every library of functions.
pub(super) const FUNCTION_SOURCE: &str = "@user_function";

impl Place {
    /// A line of a source.
    pub(super) fn new(source: String, line: i64) -> Self {
        Self {
            short: source.trim_start_matches(['@', '=']).to_owned(),
            source,
            line,
            is_native: false,
        }
    }

    pub(super) fn of(frame: &mlua::Debug<'_>) -> Self {
        let source = frame.source();
        Self {
            source: source.source.unwrap_or_default().into_owned(),
            short: source.short_src.unwrap_or_default().into_owned(),
            line: frame
                .current_line()
                .and_then(|line| i64::try_from(line).ok())
                .unwrap_or(-1),
            is_native: source.what == "C",
        }
    }

    /// Where the error arose that a handler was called with, which called the present function.
    pub(super) fn of_error(lua: &Lua) -> Self {
        // 0 is the present function, 1 the handler, 2 what raised the error.
        let at = |level| lua.inspect_stack(level, Self::of);
        let mut place = at(2);
        for level in 3..12 {
            match &place {
                Some(inner) if inner.is_inner() => place = at(level),
                _ => break,
            }
        }
        // A script whose call was a tail call of one of the sandbox's functions has left the stack.
        place.unwrap_or_else(|| Self::new(SCRIPT_SOURCE.into(), 1))
    }

    /// Where the script is that a hook interrupted.
    pub(super) fn of_hook(lua: &Lua, frame: &mlua::Debug<'_>) -> Self {
        let mut place = Self::of(frame);
        for level in 1..12 {
            if !place.is_inner() {
                break;
            }
            match lua.inspect_stack(level, Self::of) {
                Some(outer) => place = outer,
                // A coroutine that runs nothing but the sandbox's code.
                None => return Self::new(SCRIPT_SOURCE.into(), 1),
            }
        }
        place
    }

    /// Not the script's own code.
    fn is_inner(&self) -> bool {
        self.is_native || self.source == SANDBOX_SOURCE || self.line < 0
    }

    /// What Lua puts before messages: nothing where the line is unknown.
    pub(super) fn prefix(&self) -> String {
        if self.line > 0 {
            format!("{}:{}: ", self.short, self.line)
        } else {
            String::new()
        }
    }
}
