//! WAIT numreplicas timeout, WAITAOF numlocal numreplicas timeout

use std::sync::Arc;
use std::time::Duration;

use djr_engine::blocking::{ClientAddress, Waiter, parse_millis};
use djr_engine::registry::Resolved;
use djr_engine::spec::{Arg, CommandSpec, Flags, Group, Run};
use djr_engine::{Args, CommandError, Reply};
use djr_storage::aof::{FsyncPolicy, Offset};

use crate::commands::{Context, Result};
use crate::shared::Shared;

pub(super) static WAIT: CommandSpec = CommandSpec {
    name: "wait",
    since: "3.0.0",
    group: Group::Generic,
    summary: "Waits until replicas have what this client has written, and returns how many do.",
    syntax: &[Arg::integer("numreplicas"), Arg::integer("timeout")],
    flags: Flags::BLOCKING,
    acl: &["connection"],
    tips: &["request_policy:all_shards", "response_policy:agg_min"],
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

pub(super) static WAITAOF: CommandSpec = CommandSpec {
    name: "waitaof",
    since: "7.2.0",
    summary: "Waits until what this client has written is durable here and at replicas, and returns where it is.",
    syntax: &[
        Arg::integer("numlocal"),
        Arg::integer("numreplicas"),
        Arg::integer("timeout"),
    ],
    ..WAIT
};

/// How many replicas have everything up to an offset: there are no replicas.
const REPLICAS: i64 = 0;

pub(super) fn wait(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    let wanted = args.integer(1)?;
    let timeout = parse_millis(args.get(2), context.core.now)?;
    if REPLICAS >= wanted {
        reply.integer(REPLICAS);
        return Ok(());
    }
    if let Some(waiter) = waiter(context, args, reply, timeout, 0) {
        context.core.park(context.session, waiter);
    }
    Ok(())
}

/// Inside a transaction or a script nobody waits.
pub(super) fn wait_inside(
    context: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result {
    args.integer(1)?;
    parse_millis(args.get(2), context.core.now)?;
    reply.integer(REPLICAS);
    Ok(())
}

/// The arguments of WAITAOF.
struct Wanted {
    local: bool,
    replicas: i64,
    timeout: Option<Duration>,
}

/// What WAITAOF for the local log is told, also while it waits, where there is no log.
const NO_LOG: CommandError = CommandError::text(
    "ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.",
);

impl Wanted {
    fn parse(context: &Context<'_>, args: &Args<'_>) -> std::result::Result<Self, CommandError> {
        let local = args.integer(1)?;
        if !(0..=1).contains(&local) {
            return Err(CommandError::text(
                "ERR value is out of range, value must between 0 and 1",
            ));
        }
        let replicas = args.integer(2).ok().filter(|replicas| *replicas >= 0);
        let replicas = replicas.ok_or(CommandError::NotPositive)?;
        let timeout = parse_millis(args.get(3), context.core.now)?;
        if local == 1 && !context.core.shared.config.append_only() {
            return Err(NO_LOG);
        }
        Ok(Self {
            local: local == 1,
            replicas,
            timeout,
        })
    }
}

pub(super) fn waitaof(context: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    let wanted = Wanted::parse(context, args)?;
    let offset = context.core.written_by(context.session);
    let durable = is_durable(&context.core.shared, offset);
    if (durable || !wanted.local) && REPLICAS >= wanted.replicas {
        answer_waitaof(reply, durable);
        return Ok(());
    }
    if let Some(log) = context.core.shared.log()
        && log.policy() == FsyncPolicy::No
        && wanted.local
    {
        // Nobody else does.
        log.request_sync();
    }
    let Some(waiter) = waiter(context, args, reply, wanted.timeout, offset) else {
        return Ok(());
    };
    context.core.park(context.session, waiter.clone());
    context.core.waits.for_log.push(WaitsForLog {
        waiter,
        local: wanted.local,
        // There are none: only the timeout ends a wait for them.
        replicas: REPLICAS < wanted.replicas,
    });
    Ok(())
}

/// As Redis: what the transaction or script itself has written so far does not count.
pub(super) fn waitaof_inside(
    context: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result {
    Wanted::parse(context, args)?;
    let offset = context.core.written_by(context.session);
    answer_waitaof(reply, is_durable(&context.core.shared, offset));
    Ok(())
}

/// A wait for the log to be durable up to the offset in its note.
pub(crate) struct WaitsForLog {
    pub(crate) waiter: Arc<Waiter>,
    local: bool,
    replicas: bool,
}

/// Whether a wait for the log is over, and with which error. `None`: it goes on.
pub(crate) fn look_at_log(shared: &Shared, wait: &WaitsForLog) -> Option<Option<CommandError>> {
    if wait.local && !shared.config.append_only() {
        return Some(Some(NO_LOG));
    }
    let enough = !wait.replicas && is_durable(shared, wait.waiter.note);
    enough.then_some(None)
}

/// Whether the log is durable up to an offset. Without a log nothing is.
fn is_durable(shared: &Shared, offset: Offset) -> bool {
    let log = shared.log();
    log.is_some_and(|log| log.is_complete() && log.durable() >= offset)
}

/// WAITAOF's reply.
fn answer_waitaof(reply: &mut Reply<'_>, durable: bool) {
    reply.array(2);
    reply.integer(i64::from(durable));
    reply.integer(REPLICAS);
}

/// The wait of a session for something that the server does.
pub(super) fn waiter(
    context: &Context<'_>,
    args: &Args<'_>,
    reply: &Reply<'_>,
    timeout: Option<Duration>,
    note: u64,
) -> Option<Arc<Waiter>> {
    let Resolved::Command(command) = context.core.shared.engine.registry.resolve(args) else {
        return None;
    };
    let address = ClientAddress {
        client: context.session.info.id,
        worker: context.core.index,
        slot: context.session.slot,
    };
    let version = reply.version();
    Some(Waiter::of_server(
        command, args, address, version, timeout, note,
    ))
}

/// What a wait is answered whose time is over: how far it has come.
pub(crate) fn answer_late(shared: &Shared, waiter: &Waiter, reply: &mut Reply<'_>) {
    match waiter.command.spec.name {
        "wait" => reply.integer(REPLICAS),
        "waitaof" => answer_waitaof(reply, is_durable(shared, waiter.note)),
        // As Redis answers all of them, whatever the command answers where it does not wait.
        _ => reply.null_array(),
    }
}
