//! The server's own commands: what concerns sessions and the server, not the keyspace.

mod cluster;
mod connection;
mod generic;
mod pubsub;
mod server;
mod transactions;

use djr_engine::command::Command;
use djr_engine::registry::{Registry, RenameError};
use djr_engine::spec::CommandSpec;
use djr_engine::{Args, CommandError, Executor, Reply};

pub(crate) use connection::client_line;
pub(crate) use generic::{Migration, Migrations, WaitsForLog, answer_late, look_at_log};
pub use server::start_again;
pub(crate) use transactions::{discard_all, reset_watches, try_unwatch};

use crate::config::Config;
use crate::session::Session;
use crate::worker::Core;

/// What a command of the server works with.
pub(crate) struct Context<'a> {
    pub(crate) session: &'a mut Session,
    pub(crate) core: &'a mut Core,
}

type Result = std::result::Result<(), CommandError>;

/// The function that runs a command of the server.
#[derive(Clone, Copy)]
pub(crate) enum ServerRun {
    /// Runs anywhere, also inside a transaction or a script: must not open the keyspace.
    Plain(Plain),
    /// Runs on its own only, and may open the keyspace.
    TopLevel(fn(&mut Context<'_>, &mut Executor, &Args<'_>, &mut Reply<'_>) -> Result),
    /// May wait, on its own; the second function runs inside a transaction or a script.
    Waiting(Plain, Plain),
}

type Plain = fn(&mut Context<'_>, &Args<'_>, &mut Reply<'_>) -> Result;

/// A command (or subcommand) of the server and what runs it.
pub(crate) type Entry = (&'static CommandSpec, ServerRun);

/// The families of this crate: the commands, and what runs them and their subcommands.
static FAMILIES: &[(&[&CommandSpec], &[&[Entry]])] = &[
    (cluster::COMMANDS, cluster::RUNS),
    (connection::COMMANDS, connection::RUNS),
    (generic::COMMANDS, generic::RUNS),
    (pubsub::COMMANDS, pubsub::RUNS),
    (server::COMMANDS, server::RUNS),
    (transactions::COMMANDS, transactions::RUNS),
];

/// The registry of all commands, those of the engine included. One per process.
pub fn registry() -> &'static Registry {
    static REGISTRY: std::sync::OnceLock<&'static Registry> = std::sync::OnceLock::new();
    REGISTRY.get_or_init(|| {
        let mut families = djr_engine::commands::FAMILIES.to_vec();
        families.extend(FAMILIES.iter().map(|(commands, _)| *commands));
        Registry::leak(&families)
    })
}

/// The registry for a server of this configuration.
pub(crate) fn renamed_registry(
    config: &Config,
) -> std::result::Result<&'static Registry, RenameError> {
    match config.renames() {
        [] => Ok(registry()),
        renames => registry().leak_renamed(renames),
    }
}

/// What runs each command of the server, by [`Command::id`].
pub(crate) fn runs(registry: &Registry) -> Vec<Option<ServerRun>> {
    let mut runs = vec![None; registry.id_count()];
    let mut note = |command: &Command| {
        let found = FAMILIES
            .iter()
            .flat_map(|(_, runs)| runs.iter().copied().flatten())
            .find(|(spec, _)| std::ptr::eq(*spec, command.spec));
        runs[command.id] = found.map(|(_, run)| *run);
    };
    for command in registry.commands() {
        note(command);
        command.subcommands.iter().for_each(&mut note);
    }
    runs
}

/// The reply of a container's HELP: its subcommands, their arguments and what they do.
pub(crate) fn help(reply: &mut Reply<'_>, container: &CommandSpec) {
    let mut lines = vec![format!(
        "{} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        container.name.to_uppercase()
    )];
    for sub in container.subcommands {
        let syntax: Vec<_> = sub.syntax.iter().map(ToString::to_string).collect();
        lines.push(
            format!("{} {}", sub.name.to_uppercase(), syntax.join(" "))
                .trim_end()
                .to_owned(),
        );
        lines.push(format!("    {}", sub.summary));
    }
    reply.array(lines.len());
    lines.iter().for_each(|line| reply.simple(line));
}

#[cfg(test)]
mod tests {
    use super::*;
    use djr_engine::spec::Run;

    #[test]
    fn every_command_of_the_server_has_something_that_runs_it() {
        let registry = registry();
        let runs = runs(registry);
        for command in registry
            .commands()
            .iter()
            .flat_map(|command| std::iter::once(command).chain(&command.subcommands))
        {
            let is_ours = matches!(command.run, Run::Shell);
            assert_eq!(runs[command.id].is_some(), is_ours, "{}", command.full_name);
        }
    }
}
