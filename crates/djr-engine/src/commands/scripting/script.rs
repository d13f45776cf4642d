//! SCRIPT LOAD script, SCRIPT EXISTS sha1 …, SCRIPT FLUSH \[ASYNC | SYNC\], SCRIPT KILL, SCRIPT SHOW sha1, SCRIPT DEBUG, SCRIPT HELP

use super::super::prelude::*;
use crate::script::{Script, Sha, check_syntax};

const NO_SUCH_SCRIPT: CommandError = CommandError::text("NOSCRIPT No matching script.");
const FLUSH_MODE: CommandError =
    CommandError::text("ERR SCRIPT FLUSH only support SYNC|ASYNC option");
const DEBUG_MODE: CommandError = CommandError::text("ERR Use SCRIPT DEBUG YES/SYNC/NO");
const NO_DEBUGGER: CommandError =
    CommandError::text("ERR There is no script debugger in this server");

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "script",
    since: "2.6.0",
    group: Group::Scripting,
    summary: "Manages the scripts that the server knows.",
    complexity: "Depends on the subcommand",
    subcommands: &[&DEBUG, &EXISTS, &FLUSH, &HELP, &KILL, &LOAD, &SHOW],
    run: Run::Container,
    ..CommandSpec::DEFAULT
};

static DEBUG: CommandSpec = CommandSpec {
    name: "debug",
    since: "3.2.0",
    group: Group::Scripting,
    summary: "Refuses to debug scripts: there is no debugger.",
    syntax: &[
        Arg::one_of(
            "mode",
            &[
                Arg::token("yes", "YES"),
                Arg::token("sync", "SYNC"),
                Arg::token("no", "NO"),
            ],
        ),
        Arg::string("engine").optional(),
    ],
    flags: Flags::NO_SCRIPT,
    run: Run::Read(debug),
    ..CommandSpec::DEFAULT
};

static EXISTS: CommandSpec = CommandSpec {
    name: "exists",
    since: "2.6.0",
    group: Group::Scripting,
    summary: "Tells which of these scripts the server knows.",
    complexity: "O(N), N being the number of scripts asked for",
    syntax: &[Arg::string("sha1").multiple()],
    flags: Flags::NO_SCRIPT.with(Flags::STALE),
    tips: &[
        "request_policy:all_shards",
        "response_policy:agg_logical_and",
    ],
    run: Run::Read(exists),
    ..CommandSpec::DEFAULT
};

static FLUSH: CommandSpec = CommandSpec {
    name: "flush",
    since: "2.6.0",
    group: Group::Scripting,
    summary: "Forgets every script.",
    complexity: "O(N), N being the number of scripts",
    syntax: &[Arg::one_of(
        "flush-type",
        &[Arg::token("async", "ASYNC"), Arg::token("sync", "SYNC")],
    )
    .optional()],
    flags: Flags::NO_SCRIPT.with(Flags::STALE),
    tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
    run: Run::Read(flush),
    ..CommandSpec::DEFAULT
};

static HELP: CommandSpec = CommandSpec {
    name: "help",
    since: "5.0.0",
    group: Group::Scripting,
    summary: "Lists the subcommands.",
    flags: Flags::LOADING.with(Flags::STALE),
    run: Run::Read(help),
    ..CommandSpec::DEFAULT
};

static KILL: CommandSpec = CommandSpec {
    name: "kill",
    since: "2.6.0",
    group: Group::Scripting,
    summary: "Ends the script that runs, unless it has written.",
    flags: Flags::NO_SCRIPT.with(Flags::ALLOW_BUSY),
    tips: &["request_policy:all_shards", "response_policy:one_succeeded"],
    run: Run::Read(|context, _, reply| {
        context.engine.scripts.running().kill(false)?;
        reply.ok();
        Ok(())
    }),
    ..CommandSpec::DEFAULT
};

static LOAD: CommandSpec = CommandSpec {
    name: "load",
    since: "2.6.0",
    group: Group::Scripting,
    summary: "Makes a script known to the server and returns its SHA-1.",
    complexity: "O(N), N being the length of the script",
    syntax: &[Arg::string("script")],
    flags: Flags::NO_SCRIPT.with(Flags::STALE),
    tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
    run: Run::Read(load),
    ..CommandSpec::DEFAULT
};

static SHOW: CommandSpec = CommandSpec {
    name: "show",
    since: "8.0.0",
    group: Group::Scripting,
    summary: "Returns the text of a script.",
    syntax: &[Arg::string("sha1")],
    flags: Flags::NO_SCRIPT.with(Flags::STALE),
    run: Run::Read(show),
    ..CommandSpec::DEFAULT
};

fn debug(
    _: &mut ReadContext<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    if args.len() == 3 && args.is(2, "no") {
        reply.ok();
        return Ok(());
    }
    let on = args.is(2, "yes") || args.is(2, "sync");
    Err(if on && args.len() <= 4 {
        NO_DEBUGGER
    } else {
        DEBUG_MODE
    })
}

fn exists(
    context: &mut ReadContext<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    let names = args.from(2);
    reply.array(names.len());
    for name in names {
        let found = Sha::parse(name).and_then(|sha| context.engine.scripts.find(sha));
        reply.integer(found.is_some().into());
    }
    Ok(())
}

fn flush(
    context: &mut ReadContext<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    if args.len() > 3 || args.len() == 3 && !args.is(2, "sync") && !args.is(2, "async") {
        return Err(FLUSH_MODE);
    }
    context.engine.scripts.flush();
    reply.ok();
    Ok(())
}

fn load(
    context: &mut ReadContext<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    let text = args.get(2);
    let script = Script::new(Sha::of(text), text)?;
    let scripts = &context.engine.scripts;
    if scripts.find(script.sha).is_none() {
        check_syntax(text)?;
    }
    reply.bulk(&scripts.load(script).sha.hex());
    Ok(())
}

fn show(
    context: &mut ReadContext<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    let script = Sha::parse(args.get(2)).and_then(|sha| context.engine.scripts.find(sha));
    reply.bulk(&script.ok_or(NO_SUCH_SCRIPT)?.text);
    Ok(())
}

fn help(_: &mut ReadContext<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let lines = [
        "SCRIPT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "DEBUG (YES|SYNC|NO)",
        "    There is no debugger: only NO is accepted.",
        "EXISTS <sha1> [<sha1> ...]",
        "    Tell which of these scripts are cached.",
        "FLUSH [ASYNC|SYNC]",
        "    Forget every cached script.",
        "KILL",
        "    End the script that runs, unless it has written.",
        "LOAD <script>",
        "    Cache a script without running it.",
        "SHOW <sha1>",
        "    Return the text of a cached script.",
        "HELP",
        "    Print this help.",
    ];
    reply.array(lines.len());
    lines.iter().for_each(|line| reply.simple(line));
    Ok(())
}
