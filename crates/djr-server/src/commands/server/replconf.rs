//! REPLCONF: what a client that wants a backup says before SYNC.

use djr_engine::spec::{CommandSpec, Flags, Group, Run};
use djr_engine::{Args, CommandError, Reply};

use crate::commands::{Context, Result};
use crate::snapshots::BackupOf;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "replconf",
    since: "3.0.0",
    group: Group::Server,
    summary: "Says what SYNC is to send.",
    syntax: &[],
    ignores_more: true,
    flags: Flags::ADMIN
        .with(Flags::ALLOW_BUSY)
        .with(Flags::LOADING)
        .with(Flags::NO_SCRIPT)
        .with(Flags::STALE),
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

pub(super) fn run(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    if args.len().is_multiple_of(2) {
        return Err(CommandError::Syntax);
    }
    let backup = &mut context.session.backup;
    for at in (1..args.len()).step_by(2) {
        if args.is(at, "rdb-only") {
            backup.set_wanted(args.integer(at + 1)? == 1);
        } else if args.is(at, "rdb-filter-only") {
            backup.set_of(filter(args.get(at + 1))?);
        } else if !args.is(at, "capa") {
            return Err(unknown("Unrecognized REPLCONF option", args.get(at)));
        }
    }
    reply.simple("OK");
    Ok(())
}

/// What a list of parts has: of those that there are only functions can be had alone.
fn filter(words: &[u8]) -> std::result::Result<BackupOf, CommandError> {
    let mut of = BackupOf::Nothing;
    for word in words.split(u8::is_ascii_whitespace) {
        match word {
            b"" => {}
            b"functions" => of = BackupOf::Functions,
            _ => return Err(unknown("Unsupported rdb-filter-only option", word)),
        }
    }
    Ok(of)
}

fn unknown(what: &str, word: &[u8]) -> CommandError {
    CommandError::format(format!("ERR {what}: {}", String::from_utf8_lossy(word)))
}
