//! CLIENT UNBLOCK client-id [TIMEOUT | ERROR]

use djr_engine::spec::{Arg, CommandSpec, Flags, Group, Run};
use djr_engine::{Args, CommandError, Reply};

use crate::commands::{Context, Result};
use crate::worker::Ended;

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "unblock",
    since: "5.0.0",
    group: Group::Connection,
    summary: "Ends the waiting of a client that a blocking command keeps, as if its time were over or with an error.",
    syntax: &[
        Arg::integer("client-id"),
        Arg::one_of(
            "unblock-type",
            &[
                Arg::token("timeout", "TIMEOUT"),
                Arg::token("error", "ERROR"),
            ],
        )
        .optional(),
    ],
    flags: Flags::ADMIN
        .with(Flags::LOADING)
        .with(Flags::NO_SCRIPT)
        .with(Flags::STALE),
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

const UNBLOCKED: CommandError = CommandError::text("UNBLOCKED client unblocked via CLIENT UNBLOCK");

pub(super) fn run(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    let error = match args.len() {
        3 => None,
        4 if args.is(3, "timeout") => None,
        4 if args.is(3, "error") => Some(UNBLOCKED),
        4 => {
            return Err(CommandError::text(
                "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR",
            ));
        }
        _ => {
            return Err(CommandError::text(
                "ERR unknown subcommand or wrong number of arguments for 'UNBLOCK'. Try CLIENT HELP.",
            ));
        }
    };
    let id = args.integer(2)?;
    let client = u64::try_from(id)
        .ok()
        .and_then(|id| context.core.shared.clients.get(id));
    let waiter = client.and_then(|client| client.waiter.lock().clone());
    match waiter {
        Some(waiter) if waiter.end() => {
            let ended = Ended::with(&context.core.shared, waiter, error);
            context.core.answer(ended);
            reply.integer(1);
        }
        _ => reply.integer(0),
    }
    Ok(())
}
