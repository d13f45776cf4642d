//! FUNCTION LOAD \[REPLACE\] code, DELETE, DUMP, RESTORE, FLUSH, LIST, STATS, KILL, HELP: the libraries of functions

use std::sync::Arc;

use djr_storage::keyspace::UnixMillis;
use djr_storage::rdb::{RdbError, dump_functions, restore_functions};

use super::super::prelude::*;
use crate::engine::{Engine, Executor};
use crate::script::{Libraries, Library, RunScript, load_library};
use crate::{Shell, glob};

const NOT_FOUND: CommandError = CommandError::text("ERR Library not found");
const BAD_PAYLOAD: CommandError =
    CommandError::text("ERR DUMP payload version or checksum are wrong");
const NOT_A_FUNCTION: CommandError = CommandError::text("ERR given type is not a function");
const POLICY: CommandError = CommandError::text(
    "ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.",
);
const FLUSH_MODE: CommandError =
    CommandError::text("ERR FUNCTION FLUSH only supports SYNC|ASYNC option");

/// Changes of the libraries run as scripts do: with the whole keyspace open, so that no function runs meanwhile.
type KeyspaceAccess<'a> = djr_storage::keyspace::Access<'a>;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "function",
    since: "7.0.0",
    group: Group::Scripting,
    summary: "Manages the libraries of functions.",
    complexity: "Depends on the subcommand",
    subcommands: &[
        &DELETE, &DUMP, &FLUSH, &HELP, &KILL, &LIST, &LOAD, &RESTORE, &STATS,
    ],
    run: Run::Container,
    ..CommandSpec::DEFAULT
};

static DELETE: CommandSpec = CommandSpec {
    name: "delete",
    since: "7.0.0",
    group: Group::Scripting,
    summary: "Removes a library and its functions.",
    syntax: &[Arg::string("library-name")],
    flags: Flags::NO_SCRIPT.with(Flags::WRITE),
    tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
    run: Run::Script(delete as RunScript),
    ..CommandSpec::DEFAULT
};

static DUMP: CommandSpec = CommandSpec {
    name: "dump",
    since: "7.0.0",
    group: Group::Scripting,
    summary: "Returns all libraries in a form for FUNCTION RESTORE.",
    complexity: "O(N), N being the number of libraries",
    flags: Flags::NO_SCRIPT,
    run: Run::Read(|context, _, reply| {
        let libraries = context.engine.functions.libraries();
        let codes = libraries.iter().map(|library| library.code.as_slice());
        reply.bulk(&dump_functions(codes));
        Ok(())
    }),
    ..CommandSpec::DEFAULT
};

static RESTORE: CommandSpec = CommandSpec {
    name: "restore",
    summary: "Adds the libraries that FUNCTION DUMP has given.",
    complexity: "O(N), N being the number of libraries",
    syntax: &[
        Arg::string("serialized-value"),
        Arg::one_of(
            "policy",
            &[
                Arg::token("flush", "FLUSH"),
                Arg::token("append", "APPEND"),
                Arg::token("replace", "REPLACE"),
            ],
        )
        .optional(),
    ],
    flags: Flags::DENY_OOM.with(Flags::NO_SCRIPT).with(Flags::WRITE),
    run: Run::Script(restore as RunScript),
    ..DELETE
};

static FLUSH: CommandSpec = CommandSpec {
    name: "flush",
    summary: "Removes every library.",
    complexity: "O(N), N being the number of functions",
    syntax: &[Arg::one_of(
        "flush-type",
        &[Arg::token("async", "ASYNC"), Arg::token("sync", "SYNC")],
    )
    .optional()],
    run: Run::Script(flush as RunScript),
    ..DELETE
};

static HELP: CommandSpec = CommandSpec {
    name: "help",
    since: "7.0.0",
    group: Group::Scripting,
    summary: "Lists the subcommands.",
    flags: Flags::LOADING.with(Flags::STALE),
    run: Run::Read(help),
    ..CommandSpec::DEFAULT
};

static KILL: CommandSpec = CommandSpec {
    name: "kill",
    since: "7.0.0",
    group: Group::Scripting,
    summary: "Ends the function that runs, unless it has written.",
    flags: Flags::NO_SCRIPT.with(Flags::ALLOW_BUSY),
    tips: &["request_policy:all_shards", "response_policy:one_succeeded"],
    run: Run::Read(|context, _, reply| {
        context.engine.scripts.running().kill(true)?;
        reply.ok();
        Ok(())
    }),
    ..CommandSpec::DEFAULT
};

static LIST: CommandSpec = CommandSpec {
    name: "list",
    since: "7.0.0",
    group: Group::Scripting,
    summary: "Tells of the libraries and their functions.",
    complexity: "O(N), N being the number of functions",
    syntax: &[
        Arg::string("library-name-pattern")
            .after("LIBRARYNAME")
            .optional(),
        Arg::token("withcode", "WITHCODE").optional(),
    ],
    flags: Flags::NO_SCRIPT,
    tips: &["nondeterministic_output_order"],
    run: Run::Read(list),
    ..CommandSpec::DEFAULT
};

static LOAD: CommandSpec = CommandSpec {
    name: "load",
    summary: "Adds a library of functions and returns its name.",
    complexity: "O(1), considering compilation time is redundant",
    syntax: &[
        Arg::token("replace", "REPLACE").optional(),
        Arg::string("function-code"),
    ],
    flags: Flags::DENY_OOM.with(Flags::NO_SCRIPT).with(Flags::WRITE),
    run: Run::Script(load as RunScript),
    ..DELETE
};

static STATS: CommandSpec = CommandSpec {
    name: "stats",
    since: "7.0.0",
    group: Group::Scripting,
    summary: "Tells which function runs, and how many there are.",
    flags: Flags::ALLOW_BUSY.with(Flags::NO_SCRIPT),
    tips: &[
        "nondeterministic_output",
        "request_policy:all_shards",
        "response_policy:special",
    ],
    run: Run::Read(stats),
    ..CommandSpec::DEFAULT
};

/// What C takes for a text: the bytes before the first zero.
fn up_to_zero(text: &[u8]) -> &[u8] {
    text.split(|byte| *byte == 0).next().unwrap_or_default()
}

fn load(
    engine: &Engine,
    executor: &mut Executor,
    _: &mut KeyspaceAccess<'_>,
    args: &Args<'_>,
    _: UnixMillis,
    shell: &mut dyn Shell,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    let code = args.get(args.len() - 1);
    let mut replace = false;
    for index in 2..args.len() - 1 {
        if !args.is(index, "replace") {
            return Err(CommandError::format(format!(
                "ERR Unknown option given: {}",
                String::from_utf8_lossy(up_to_zero(args.get(index)))
            )));
        }
        replace = true;
    }
    let mut libraries = engine.functions.libraries();
    let may_be_there = |name: &[u8]| match libraries.get(name) {
        Some(_) if !replace => Err(already_exists(name)),
        _ => Ok(()),
    };
    let library = load_library(
        &mut executor.interpreter,
        &engine.functions,
        code,
        may_be_there,
        shell,
    )?;
    libraries.insert(library.clone())?;
    engine.functions.replace(libraries);
    executor
        .effects
        .push_request(engine.registry, shell.db(), args);
    reply.bulk(&library.name);
    Ok(())
}

fn restore(
    engine: &Engine,
    executor: &mut Executor,
    _: &mut KeyspaceAccess<'_>,
    args: &Args<'_>,
    _: UnixMillis,
    shell: &mut dyn Shell,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    if args.len() > 4 {
        return Err(wrong_number(args));
    }
    let (flush, replace) = (args.is(3, "flush"), args.is(3, "replace"));
    if args.len() == 4 && !flush && !replace && !args.is(3, "append") {
        return Err(POLICY);
    }
    let codes = restore_functions(args.get(2)).map_err(|error| match error {
        RdbError::Version(_) | RdbError::Checksum => BAD_PAYLOAD,
        _ => NOT_A_FUNCTION,
    })?;
    let mut libraries = match flush {
        true => Libraries::default(),
        false => engine.functions.libraries(),
    };
    for code in codes {
        let library = load_library(
            &mut executor.interpreter,
            &engine.functions,
            &code,
            |name| match libraries.get(name) {
                Some(_) if !replace => Err(CommandError::format(format!(
                    "ERR Library {} already exists",
                    String::from_utf8_lossy(name)
                ))),
                _ => Ok(()),
            },
            shell,
        )?;
        libraries.insert(library)?;
    }
    engine.functions.replace(libraries);
    executor
        .effects
        .push_request(engine.registry, shell.db(), args);
    reply.ok();
    Ok(())
}

fn already_exists(name: &[u8]) -> CommandError {
    CommandError::format(format!(
        "ERR Library '{}' already exists",
        String::from_utf8_lossy(name)
    ))
}

fn delete(
    engine: &Engine,
    executor: &mut Executor,
    _: &mut KeyspaceAccess<'_>,
    args: &Args<'_>,
    _: UnixMillis,
    shell: &mut dyn Shell,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    let mut libraries = engine.functions.libraries();
    if !libraries.remove(args.get(2)) {
        return Err(NOT_FOUND);
    }
    engine.functions.replace(libraries);
    executor
        .effects
        .push_request(engine.registry, shell.db(), args);
    reply.ok();
    Ok(())
}

fn flush(
    engine: &Engine,
    executor: &mut Executor,
    _: &mut KeyspaceAccess<'_>,
    args: &Args<'_>,
    _: UnixMillis,
    shell: &mut dyn Shell,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    if args.len() > 3 {
        return Err(wrong_number(args));
    }
    if args.len() == 3 && !args.is(2, "sync") && !args.is(2, "async") {
        return Err(FLUSH_MODE);
    }
    engine.functions.replace(Libraries::default());
    executor
        .effects
        .push_request(engine.registry, shell.db(), args);
    reply.ok();
    Ok(())
}

fn wrong_number(args: &Args<'_>) -> CommandError {
    CommandError::format(format!(
        "ERR unknown subcommand or wrong number of arguments for '{}'. Try FUNCTION HELP.",
        String::from_utf8_lossy(args.get(1))
    ))
}

fn list(
    context: &mut ReadContext<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    let mut pattern = None;
    let mut with_code = false;
    let mut index = 2;
    while index < args.len() {
        if !with_code && args.is(index, "withcode") {
            with_code = true;
        } else if pattern.is_none() && args.is(index, "libraryname") {
            index += 1;
            if index >= args.len() {
                return Err(CommandError::text(
                    "ERR library name argument was not given",
                ));
            }
            pattern = Some(args.get(index));
        } else {
            return Err(CommandError::format(format!(
                "ERR Unknown argument {}",
                String::from_utf8_lossy(up_to_zero(args.get(index)))
            )));
        }
        index += 1;
    }
    let libraries = context.engine.functions.libraries();
    let is_wanted = |library: &&Arc<Library>| {
        pattern.is_none_or(|pattern| glob::matches_ignoring_case(pattern, &library.name))
    };
    let wanted: Vec<_> = libraries.iter().filter(is_wanted).collect();
    reply.array(wanted.len());
    for library in wanted {
        write_library(library, with_code, reply);
    }
    Ok(())
}

fn write_library(library: &Library, with_code: bool, reply: &mut Reply<'_>) {
    reply.map(if with_code { 4 } else { 3 });
    reply.bulk(b"library_name");
    reply.bulk(&library.name);
    reply.bulk(b"engine");
    reply.bulk(b"LUA");
    reply.bulk(b"functions");
    reply.array(library.functions.len());
    for function in &library.functions {
        reply.map(3);
        reply.bulk(b"name");
        reply.bulk(&function.name);
        reply.bulk(b"description");
        match &function.description {
            Some(description) => reply.bulk(description),
            None => reply.null(),
        }
        reply.bulk(b"flags");
        reply.set(function.flags.names().count());
        function.flags.names().for_each(|name| reply.simple(name));
    }
    if with_code {
        reply.bulk(b"library_code");
        reply.bulk(&library.code);
    }
}

fn stats(
    context: &mut ReadContext<'_>,
    _: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    let (libraries, functions) = context.engine.functions.counts();
    reply.map(2);
    reply.bulk(b"running_script");
    match context.engine.scripts.running().current() {
        None => reply.null(),
        Some(current) => {
            reply.map(3);
            reply.bulk(b"name");
            reply.bulk(current.name.as_bytes());
            reply.bulk(b"command");
            reply.array(current.command.len());
            current.command.iter().for_each(|arg| reply.bulk(arg));
            reply.bulk(b"duration_ms");
            reply.integer((context.now - current.started_ms).max(0));
        }
    }
    reply.bulk(b"engines");
    reply.map(1);
    reply.bulk(b"LUA");
    reply.map(2);
    reply.bulk(b"libraries_count");
    reply.integer(libraries as i64);
    reply.bulk(b"functions_count");
    reply.integer(functions as i64);
    Ok(())
}

fn help(_: &mut ReadContext<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let lines = [
        "FUNCTION <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "DELETE <library-name>",
        "    Remove a library and its functions.",
        "DUMP",
        "    Return all libraries in a form for RESTORE.",
        "FLUSH [ASYNC|SYNC]",
        "    Remove every library.",
        "KILL",
        "    End the function that runs, unless it has written.",
        "LIST [LIBRARYNAME <pattern>] [WITHCODE]",
        "    Tell of the libraries and their functions.",
        "LOAD [REPLACE] <code>",
        "    Add a library.",
        "RESTORE <payload> [FLUSH|APPEND|REPLACE]",
        "    Add the libraries that DUMP has given.",
        "STATS",
        "    Tell which function runs, and how many there are.",
        "HELP",
        "    Print this help.",
    ];
    reply.array(lines.len());
    lines.iter().for_each(|line| reply.simple(line));
    Ok(())
}
