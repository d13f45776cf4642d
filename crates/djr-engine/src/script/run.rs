//! One execution of a script.

use std::rc::Rc;
use std::sync::Arc;

use djr_protocol::{Batch, CommandEncoder, Limits, RequestDecoder};
use djr_storage::keyspace::{Access, UnixMillis};
use mlua::{Lua, MultiValue, Value};
use smallvec::SmallVec;

use super::cache::{Current, Sha};
use super::convert::{lua_to_reply, one_line, reply_to_lua, version};
use super::functions::Library;
use super::host::{self, ErrorReply, Host, Place};
use super::interpreter::{Compiled, Outcome};
use super::number;
use super::shebang::Flags;
use crate::command::Command;
use crate::engine::{Engine, Executor};
use crate::registry::Resolved;
use crate::shell::{Inside, Ran, ScriptFate};
use crate::spec::Flags as CommandFlags;
use crate::{Args, CommandError, Reply, Shell};

const NO_SCRIPT: CommandError = CommandError::text("NOSCRIPT No matching script. Please use EVAL.");
const NO_FUNCTION: CommandError = CommandError::text("ERR Function not found");
const BAD_NUMBER_OF_KEYS: CommandError = CommandError::text("ERR Bad number of keys provided");
const WRITE_FLAG_RO: CommandError =
    CommandError::text("ERR Can not execute a script with write flag using *_ro command.");
const READ_ONLY: ErrorReply =
    ErrorReply::api_counted("ERR Write commands are not allowed from read-only scripts.");
const NOT_ALLOWED: ErrorReply =
    ErrorReply::api_counted("ERR This Redis command is not allowed from script");
const UNKNOWN: ErrorReply = ErrorReply::api_counted("ERR Unknown Redis command called from script");
const WRONG_ARITY: ErrorReply =
    ErrorReply::api_counted("ERR Wrong number of args calling Redis command from script");
const NO_ARGUMENTS: ErrorReply =
    ErrorReply::api("ERR Please specify at least one argument for this redis lib call");
const WRONG_ARGUMENTS: ErrorReply =
    ErrorReply::api("ERR Lua redis lib command arguments must be strings or integers");
const NOT_A_COMMAND: ErrorReply =
    ErrorReply::api("ERR Invalid command passed to redis.acl_check_cmd()");

/// What buffers have above this is given back after the script.
const BUFFER_KEPT_BYTES: usize = 64 * 1024;

/// How a script is called.
#[derive(Clone, Copy)]
enum By {
    Text,
    Name,
    /// A function of a library, by its name.
    Function,
}

/// What is called.
enum Callee {
    Script(Rc<Compiled>),
    Function(Arc<Library>, usize),
}

impl Callee {
    /// What it declares about itself.
    fn flags(&self) -> Option<Flags> {
        match self {
            Callee::Script(compiled) => compiled.script.flags,
            Callee::Function(library, index) => {
                library.functions.get(*index).map(|function| function.flags)
            }
        }
    }

    /// Its name in error messages.
    fn name(&self) -> String {
        match self {
            Callee::Script(compiled) => compiled.script.sha.to_string(),
            Callee::Function(library, index) => {
                let function = library.functions.get(*index);
                let name = function.map(|function| function.name.as_slice());
                String::from_utf8_lossy(name.unwrap_or_default()).into_owned()
            }
        }
    }
}

macro_rules! entry_points {
    ($($(#[$doc:meta])* $name:ident: $by:ident, $read_only:literal;)*) => {$(
        $(#[$doc])*
        pub(crate) fn $name(
            engine: &Engine,
            executor: &mut Executor,
            access: &mut Access<'_>,
            args: &Args<'_>,
            now: UnixMillis,
            shell: &mut dyn Shell,
            reply: &mut Reply<'_>,
        ) -> Result<(), CommandError> {
            // The interpreter is taken out, so that what the script calls can have the executor.
            let mut interpreter = std::mem::take(&mut executor.interpreter);
            let call = Call { by: By::$by, read_only: $read_only, args };
            let result = call.run(&mut interpreter, engine, executor, access, now, shell, reply);
            executor.interpreter = interpreter;
            result
        }
    )*};
}

entry_points! {
    /// EVAL
    eval: Text, false;
    /// EVAL_RO
    eval_ro: Text, true;
    /// EVALSHA
    evalsha: Name, false;
    /// EVALSHA_RO
    evalsha_ro: Name, true;
    /// FCALL
    fcall: Function, false;
    /// FCALL_RO
    fcall_ro: Function, true;
}

/// `EVAL script numkeys key… arg…`
struct Call<'a> {
    by: By,
    read_only: bool,
    args: &'a Args<'a>,
}

impl Call<'_> {
    #[expect(
        clippy::too_many_arguments,
        reason = "what a command needs, lent one by one: a struct of these would be borrowed as a whole"
    )]
    fn run(
        &self,
        interpreter: &mut super::Interpreter,
        engine: &Engine,
        executor: &mut Executor,
        access: &mut Access<'_>,
        now: UnixMillis,
        shell: &mut dyn Shell,
        reply: &mut Reply<'_>,
    ) -> Result<(), CommandError> {
        // Redis looks at the length first, at the rest of the arguments next, and then for the script.
        if matches!(self.by, By::Name) && self.args.get(1).len() != 40 {
            return Err(NO_SCRIPT);
        }
        let function = match self.by {
            By::Function => {
                let found = engine.functions.find(self.args.get(1));
                Some(found.ok_or(NO_FUNCTION)?)
            }
            By::Text | By::Name => None,
        };
        let (keys, argv) = self.keys_and_arguments()?;
        let callee = match (self.by, function) {
            (By::Function, None) => return Err(NO_FUNCTION),
            (_, Some((library, index))) => {
                interpreter.ready(&engine.functions, &library, shell)?;
                Callee::Function(library, index)
            }
            (By::Text, None) => {
                Callee::Script(interpreter.by_text(&engine.scripts, self.args.get(1))?)
            }
            (By::Name, None) => match Sha::parse(self.args.get(1)) {
                Some(sha) => {
                    let compiled = interpreter.by_sha(&engine.scripts, sha)?;
                    Callee::Script(compiled.ok_or(NO_SCRIPT)?)
                }
                None => return Err(NO_SCRIPT),
            },
        };
        let flags = callee.flags();
        if self.read_only && flags.is_some_and(|flags| !flags.no_writes) {
            return Err(WRITE_FLAG_RO);
        }
        if let Some(flags) = &flags {
            shell.permit_script(flags)?;
        }
        let db = shell.db();
        let effects_before = executor.effects.len();
        let seed = executor.rng.next();
        let mut running = Run {
            callee: &callee,
            args: self.args,
            engine,
            executor,
            access,
            now,
            shell,
            read_only: self.read_only || flags.is_some_and(|flags| flags.no_writes),
            resp3: false,
            buffers: std::mem::take(&mut interpreter.buffers),
            effects_before,
            wrote: false,
            started_ms: None,
            busy: false,
            killed: None,
            told: false,
        };
        engine.scripts.running().begin();
        let outcome = host::enter(&mut running, || match &callee {
            Callee::Script(compiled) => interpreter.run(compiled, &keys, &argv, seed),
            Callee::Function(library, index) => {
                interpreter.call(library, *index, &keys, &argv, seed)
            }
        });
        engine.scripts.running().end();
        let (resp3, killed) = (running.resp3, running.killed.take());
        let told = running.told;
        interpreter.buffers = running.buffers;
        interpreter.buffers.shrink();
        let shell = running.shell;
        shell.select(db);
        let result = match (killed, outcome) {
            (Some(place), _) => {
                interpreter.calm();
                let text = match callee {
                    Callee::Script(_) => "ERR Script killed by user with SCRIPT KILL...",
                    Callee::Function(..) => "ERR Script killed by user with FUNCTION KILL.",
                };
                Err(at_place(text, &callee, &place))
            }
            (None, Err(error)) => Err(error),
            (None, Ok(Outcome::Returned(value))) => lua_to_reply(value, resp3, reply)
                .map_err(|error| CommandError::format(one_line(format!("ERR {error}").as_bytes()))),
            (None, Ok(Outcome::Failed(error, place))) => {
                executor.error_told = told && is_of_command(&error);
                Err(at_place(&error_text(&error), &callee, &place))
            }
        };
        interpreter.free_garbage();
        result
    }

    /// What follows the number of keys.
    fn keys_and_arguments(&self) -> Result<(Texts<'_>, Texts<'_>), CommandError> {
        let count = match self.by {
            By::Function => self.args.integer(2).map_err(|_| BAD_NUMBER_OF_KEYS)?,
            By::Text | By::Name => self.args.integer(2)?,
        };
        let Ok(count) = usize::try_from(count) else {
            return Err(CommandError::text("ERR Number of keys can't be negative"));
        };
        if count > self.args.len() - 3 {
            return Err(CommandError::text(
                "ERR Number of keys can't be greater than number of args",
            ));
        }
        let mut rest = self.args.from(3);
        let keys = rest.by_ref().take(count).collect();
        Ok((keys, rest.collect()))
    }
}

/// The error reply of a script: its text, the script's name, and where it was.
fn at_place(text: &str, callee: &Callee, place: &Place) -> CommandError {
    let text = format!(
        "{text} script: {}, on {}:{}.",
        callee.name(),
        place.source,
        place.line
    );
    CommandError::format(one_line(text.as_bytes()))
}

/// Whether what a script raised is the error of a command that it called.
fn is_of_command(error: &Value) -> bool {
    matches!(error, Value::Table(table)
        if matches!(table.raw_get(ErrorReply::COUNTED), Ok(Value::Boolean(true))))
}

/// The text of what a script raised: of a table its `err`, which begins with a code of its own.
pub(super) fn error_text(error: &Value) -> String {
    match error {
        Value::Table(table) => match table.raw_get::<Value>("err") {
            Ok(Value::String(text)) => text.to_string_lossy(),
            Ok(Value::Integer(integer)) => integer.to_string(),
            Ok(Value::Number(number)) => number::general(number, 14),
            _ => "ERR unknown error".into(),
        },
        other => format!("ERR {}", other.to_string().unwrap_or_default()),
    }
}

/// Keys or arguments of a script.
type Texts<'a> = SmallVec<[&'a [u8]; 8]>;

/// A script while it runs: the engine, as its functions reach it.
struct Run<'a, 'k> {
    callee: &'a Callee,
    args: &'a Args<'a>,
    engine: &'a Engine,
    executor: &'a mut Executor,
    access: &'a mut Access<'k>,
    now: UnixMillis,
    shell: &'a mut dyn Shell,
    read_only: bool,
    resp3: bool,
    buffers: Buffers,
    /// How many effects the unit had before this script, in a transaction.
    effects_before: usize,
    wrote: bool,
    /// When the first interrupt came, by the shell's clock.
    started_ms: Option<u64>,
    busy: bool,
    /// Where the script was when it was told to end.
    killed: Option<Place>,
    /// The last call has ended with an error that the shell was told of.
    told: bool,
}

/// Memory for the command that a script runs, used again by the next one.
#[derive(Default)]
pub(super) struct Buffers {
    request: Vec<u8>,
    batch: Batch,
    reply: Vec<u8>,
}

impl Buffers {
    /// Makes the request of these Lua values and returns a view of it.
    fn request(&mut self, args: &MultiValue) -> Result<Args<'_>, ErrorReply> {
        if args.is_empty() {
            return Err(NO_ARGUMENTS);
        }
        self.request.clear();
        let mut encoder = CommandEncoder::new(&mut self.request);
        for value in args {
            match value {
                Value::String(text) => encoder.arg(&text.as_bytes()),
                // Up to this Redis writes a double without a fraction as an integer.
                Value::Integer(integer) if integer.unsigned_abs() <= 1 << 62 => {
                    encoder.integer(*integer)
                }
                Value::Integer(integer) => encoder.double(*integer as f64),
                Value::Number(0.0) => encoder.integer(0),
                Value::Number(number) => encoder.double(*number),
                _ => return Err(WRONG_ARGUMENTS),
            };
        }
        encoder.finish();
        self.batch.clear();
        let decoded =
            RequestDecoder::new().decode_one(&self.request, &Limits::default(), &mut self.batch);
        match decoded {
            Ok(_) if self.batch.len() == 1 => Ok(Args::new(self.batch.request(0, &self.request))),
            Ok(_) => Err(WRONG_ARGUMENTS),
            Err(error) => Err(ErrorReply::command(format!("ERR {error}"))),
        }
    }

    /// Gives back what one large command has taken.
    fn shrink(&mut self) {
        self.request.shrink_to(BUFFER_KEPT_BYTES);
        self.reply.shrink_to(BUFFER_KEPT_BYTES);
    }
}

impl Run<'_, '_> {
    /// The command of a request, if a script may run it.
    fn resolve(&self, args: &Args<'_>) -> Result<&'static Command, ErrorReply> {
        let command = match self.engine.registry.resolve(args) {
            Resolved::Command(command) => command,
            Resolved::Unknown | Resolved::UnknownSubcommand => return Err(UNKNOWN),
        };
        if !command.accepts(args.len()) {
            return Err(WRONG_ARITY);
        }
        if command.flags.has(CommandFlags::NO_SCRIPT)
            && self.engine.settings.scripts_may_call_all.get() == 0
        {
            return Err(NOT_ALLOWED);
        }
        if self.read_only && command.may_replicate() {
            return Err(READ_ONLY);
        }
        Ok(command)
    }

    fn run(
        &mut self,
        lua: &Lua,
        args: &MultiValue,
        buffers: &mut Buffers,
    ) -> mlua::Result<Result<Value, ErrorReply>> {
        let mut output = std::mem::take(&mut buffers.reply);
        let result = self.run_request(buffers.request(args), &mut output);
        let reply = match result {
            Ok(()) => reply_to_lua(lua, &output),
            Err(error) => Ok(Err(error)),
        };
        buffers.reply = output;
        reply
    }

    /// Runs a command, whose reply goes into `output`.
    fn run_request(
        &mut self,
        args: Result<Args<'_>, ErrorReply>,
        output: &mut Vec<u8>,
    ) -> Result<(), ErrorReply> {
        self.told = false;
        let args = args?;
        let command = self.resolve(&args)?;
        output.clear();
        let mut reply = Reply::new(output, version(self.resp3));
        let inside = Inside::Script;
        let (mut since, mut refused) = (0, false);
        let result = match self.shell.permit_call(command, &args) {
            Ok(()) => {
                since = self.shell.begins(command, &args, inside);
                self.engine.run_inside(
                    self.executor,
                    self.access,
                    command,
                    &args,
                    self.now,
                    self.shell,
                    &mut reply,
                )
            }
            Err(error) => {
                refused = true;
                Err(error)
            }
        };
        self.shell.ran(&Ran {
            command,
            args: &args,
            inside,
            since,
            error: result.as_ref().err(),
            refused,
            error_told: false,
        });
        self.told = result.is_err();
        if !self.wrote && self.executor.effects.len() > self.effects_before {
            self.wrote = true;
            self.engine.scripts.running().set_wrote();
        }
        result.map_err(|error| ErrorReply::command(error.to_string()))
    }
}

impl Host for Run<'_, '_> {
    fn call(&mut self, lua: &Lua, args: &MultiValue) -> mlua::Result<Result<Value, ErrorReply>> {
        let mut buffers = std::mem::take(&mut self.buffers);
        let reply = self.run(lua, args, &mut buffers);
        self.buffers = buffers;
        reply
    }

    fn may_call(&mut self, args: &MultiValue) -> Result<bool, ErrorReply> {
        let args = self.buffers.request(args)?;
        match self.engine.registry.resolve(&args) {
            Resolved::Command(command) => Ok(self.shell.may_run(command, &args)),
            _ => Err(NOT_A_COMMAND),
        }
    }

    fn set_resp3(&mut self, resp3: bool) {
        self.resp3 = resp3;
    }

    fn log(&mut self, level: u8, line: &[u8]) {
        self.shell.script_log(level, line);
    }

    fn must_end(&mut self, place: &dyn Fn() -> Place) -> bool {
        if self.killed.is_some() {
            return true;
        }
        let threshold_ms = self.engine.settings.busy_reply_threshold_ms.get();
        if threshold_ms == 0 {
            return false;
        }
        let now_ms = self.shell.clock_ms();
        let started_ms = *self.started_ms.get_or_insert(now_ms);
        if !self.busy {
            if now_ms.saturating_sub(started_ms) < threshold_ms {
                return false;
            }
            self.busy = true;
            self.engine.scripts.running().set_busy(Current {
                name: self.callee.name(),
                command: self.args.from(0).map(<[u8]>::to_vec).collect(),
                started_ms: self.now,
                is_function: matches!(self.callee, Callee::Function(..)),
            });
        }
        let fate = self.shell.script_is_busy();
        if fate == ScriptFate::Kill || self.engine.scripts.running().is_killed() {
            self.killed = Some(place());
        }
        self.killed.is_some()
    }
}
