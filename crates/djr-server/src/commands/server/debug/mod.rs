//! DEBUG subcommand [argument …]: for tests, and for comparing servers. Behind `enable-debug-command`.
//!
//! A file a group of subcommands; each tells its own in a table of [`Sub`]s.

mod crash;
mod digest;
mod inside;
mod populate;
mod reload;
mod replies;
mod switches;
mod timing;
mod values;

pub use crash::start_again;

use djr_engine::spec::{Arg, CommandSpec, Flags, Group, Run};
use djr_engine::{Args, CommandError, Executor, Reply};

use crate::commands::{Context, Result};

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "debug",
    since: "1.0.0",
    group: Group::Server,
    summary: "For tests and debugging.",
    syntax: &[Arg::string("subcommand")],
    ignores_more: true,
    flags: Flags::ADMIN
        .with(Flags::LOADING)
        .with(Flags::NO_SCRIPT)
        .with(Flags::STALE),
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

/// A subcommand.
struct Sub {
    /// In lower case.
    name: &'static str,
    /// Its arguments, as HELP shows them.
    syntax: &'static str,
    /// What it does, as HELP shows it.
    summary: &'static str,
    /// How many words the whole command may have, `DEBUG` and the name included.
    words: std::ops::RangeInclusive<usize>,
    run: fn(&mut Context<'_>, &mut Executor, &Args<'_>, &mut Reply<'_>) -> Result,
}

/// All subcommands, by file.
static SUBS: &[&[Sub]] = &[
    crash::SUBS,
    digest::SUBS,
    inside::SUBS,
    populate::SUBS,
    reload::SUBS,
    replies::SUBS,
    switches::SUBS,
    timing::SUBS,
    values::SUBS,
];

pub(super) fn run(
    context: &mut Context<'_>,
    executor: &mut Executor,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result {
    if !context
        .core
        .shared
        .config
        .allows_debug(&context.session.info.peer)
    {
        return Err(CommandError::text(
            "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can run it \
             from a local connection, otherwise you need to set this option in the configuration file, and then \
             restart the server.",
        ));
    }
    if args.is(1, "help") && args.len() == 2 {
        help(reply);
        return Ok(());
    }
    let mut subs = SUBS.iter().copied().flatten();
    match subs.find(|sub| args.is(1, sub.name) && sub.words.contains(&args.len())) {
        Some(sub) => (sub.run)(context, executor, args, reply),
        None => Err(unknown(args)),
    }
}

fn unknown(args: &Args<'_>) -> CommandError {
    let name = args.get(1);
    let name = String::from_utf8_lossy(name.get(..NAME_SHOWN_MAX).unwrap_or(name));
    CommandError::format(format!(
        "ERR unknown subcommand or wrong number of arguments for '{name}'. Try DEBUG HELP."
    ))
}

/// As much of an unknown name is shown.
const NAME_SHOWN_MAX: usize = 128;

fn help(reply: &mut Reply<'_>) {
    let mut subs: Vec<_> = SUBS.iter().copied().flatten().collect();
    subs.sort_by_key(|sub| sub.name);
    let mut lines =
        vec!["DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:".to_owned()];
    for sub in subs {
        let line = format!("{} {}", sub.name.to_uppercase(), sub.syntax);
        lines.push(line.trim_end().to_owned());
        lines.push(format!("    {}", sub.summary));
    }
    lines.push("HELP".to_owned());
    lines.push("    Print this help.".to_owned());
    reply.array(lines.len());
    lines.iter().for_each(|line| reply.simple(line));
}

/// Whether a word is 0, as `atoi` reads it: what is no number is 0.
fn is_zero(word: &[u8]) -> bool {
    djr_storage::value::parse_integer(word).unwrap_or_default() == 0
}
