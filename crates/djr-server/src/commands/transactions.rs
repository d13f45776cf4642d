//! MULTI, EXEC, DISCARD, WATCH key [key ...], UNWATCH

use std::sync::atomic::Ordering::Relaxed;

use djr_engine::engine::log_expiry;
use djr_engine::spec::{Access, Arg, CommandSpec, Flags, Group, Run};
use djr_engine::{Args, CommandError, Engine, Executor, Reply};
use djr_storage::keyspace::{Footprint, UnixMillis};

use super::{Context, Entry, Result, ServerRun};
use crate::session::{SessionShell, Watch, Watches};

/// How long the end of a watch waits for a shard that others use.
const PATIENCE: std::time::Duration = std::time::Duration::from_millis(2);

const FLAGS: Flags = Flags::NO_SCRIPT
    .with(Flags::LOADING)
    .with(Flags::STALE)
    .with(Flags::ALLOW_BUSY);

static MULTI: CommandSpec = CommandSpec {
    name: "multi",
    since: "1.2.0",
    group: Group::Transactions,
    summary: "Begins a transaction: the commands that follow are queued.",
    flags: FLAGS.with(Flags::FAST).with(Flags::NO_MULTI),
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

static EXEC: CommandSpec = CommandSpec {
    name: "exec",
    summary: "Executes the queued commands as one unit.",
    complexity: "Depends on the commands in the transaction",
    flags: Flags::NO_SCRIPT
        .with(Flags::LOADING)
        .with(Flags::STALE)
        .with(Flags::SKIP_SLOWLOG),
    ..MULTI
};

static DISCARD: CommandSpec = CommandSpec {
    name: "discard",
    since: "2.0.0",
    summary: "Forgets the queued commands.",
    complexity: "O(N) in the number of queued commands",
    flags: FLAGS.with(Flags::FAST),
    ..MULTI
};

static WATCH: CommandSpec = CommandSpec {
    name: "watch",
    since: "2.2.0",
    summary: "Makes the next EXEC fail if one of these keys changes before it.",
    complexity: "O(1) for every key",
    syntax: &[Arg::key("key", Access::RO).multiple()],
    flags: FLAGS.with(Flags::FAST).with(Flags::NO_MULTI),
    ..MULTI
};

static UNWATCH: CommandSpec = CommandSpec {
    name: "unwatch",
    since: "2.2.0",
    summary: "Forgets the keys that are watched.",
    flags: FLAGS.with(Flags::FAST),
    ..MULTI
};

pub(super) static COMMANDS: &[&CommandSpec] = &[&MULTI, &EXEC, &DISCARD, &WATCH, &UNWATCH];

pub(super) static RUNS: &[&[Entry]] = &[&[
    (&MULTI, ServerRun::Plain(multi)),
    (&EXEC, ServerRun::TopLevel(exec)),
    (&DISCARD, ServerRun::TopLevel(discard)),
    (&WATCH, ServerRun::TopLevel(watch)),
    (&UNWATCH, ServerRun::Plain(unwatch)),
]];

fn multi(context: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    if context.session.multi.is_some() {
        return Err(CommandError::text("ERR MULTI calls can not be nested"));
    }
    context.session.multi = Some(Box::default());
    context.session.info.multi.store(0, Relaxed);
    reply.ok();
    Ok(())
}

fn exec(
    context: &mut Context<'_>,
    executor: &mut Executor,
    _: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result {
    let Some(multi) = context.session.multi.take() else {
        return Err(CommandError::text("ERR EXEC without MULTI"));
    };
    let shared = context.core.shared.clone();
    let engine = &shared.engine;
    let now = context.core.now;
    let watches = context.session.watches.take();
    context.session.info.watching.store(0, Relaxed);
    if multi.refused {
        context.session.info.multi.store(-1, Relaxed);
        if let Some(watches) = watches {
            context.core.forget_watches(*watches);
        }
        return Err(CommandError::text(
            "EXECABORT Transaction discarded because of previous errors.",
        ));
    }
    let footprint = footprint(engine, watches.as_deref());
    let mut shell = SessionShell {
        session: context.session,
        core: context.core,
    };
    let result = engine.execute_transaction(
        executor,
        &multi.queue,
        footprint,
        &mut |access| {
            let is_broken = |watches| crate::session::watches_broken(watches, access);
            !watches.as_deref().is_some_and(is_broken)
        },
        now,
        &mut shell,
        reply,
    );
    // Commands inside still see the client in its transaction.
    context.session.info.multi.store(-1, Relaxed);
    // Not before: a change between the end of the watch and the transaction must be seen.
    if let Some(watches) = watches {
        context.core.forget_watches(*watches);
    }
    result
}

fn discard(
    context: &mut Context<'_>,
    _: &mut Executor,
    _: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result {
    if context.session.multi.is_none() {
        return Err(CommandError::text("ERR DISCARD without MULTI"));
    }
    discard_all(context);
    reply.ok();
    Ok(())
}

/// Ends a transaction and all watches, if there are any.
pub(crate) fn discard_all(context: &mut Context<'_>) {
    context.session.multi = None;
    context.session.info.multi.store(-1, Relaxed);
    reset_watches(context);
}

fn watch(
    context: &mut Context<'_>,
    executor: &mut Executor,
    args: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result {
    if context.session.multi.is_some() {
        return Err(CommandError::text("ERR WATCH inside MULTI is not allowed"));
    }
    let shared = context.core.shared.clone();
    let keyspace = &shared.engine.keyspace;
    let wanted = shared.engine.settings.notify();
    let session = &mut *context.session;
    let watches = session.watches.get_or_insert_default();
    for bytes in args.from(1) {
        let known = |watch: &Watch| watch.db == session.db && *watch.key == *bytes;
        if watches.keys.iter().any(known) {
            continue;
        }
        let key = keyspace.key(bytes);
        let footprint = keyspace.footprint(key.hash);
        let mut access = shared.engine.open(footprint, context.core.now)?;
        let was_expired = access.db(session.db).is_expired(key);
        access.db_mut(session.db).watch(key, &watches.flag);
        access.take_expired(&mut |db, expired| {
            log_expiry(&mut context.core.log, db, expired);
            executor.events.push_expired(wanted, db, expired);
        });
        watches.keys.push(Watch {
            db: session.db,
            key: bytes.into(),
            was_expired,
        });
    }
    session
        .info
        .watching
        .store(watches.keys.len() as u32, Relaxed);
    executor.events.deliver(|event| context.core.notify(event));
    reply.ok();
    Ok(())
}

/// Inside a transaction there is nothing left to forget: EXEC has ended the watches.
fn unwatch(context: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    reset_watches(context);
    reply.ok();
    Ok(())
}

/// Ends all watches of a session.
pub(crate) fn reset_watches(context: &mut Context<'_>) {
    let session = &mut *context.session;
    session.info.watching.store(0, Relaxed);
    if let Some(watches) = session.watches.take() {
        context.core.forget_watches(*watches);
    }
}

/// Takes watches out of the keyspace. `false`: some are left, for a script keeps the keyspace.
pub(crate) fn try_unwatch(engine: &Engine, watches: &mut Watches, now: UnixMillis) -> bool {
    let Watches { keys, flag } = watches;
    keys.retain(|watch| {
        let key = engine.keyspace.key(&watch.key);
        let footprint = engine.keyspace.footprint(key.hash);
        match engine.keyspace.try_open(footprint, now, PATIENCE) {
            Some(mut access) => {
                access.db_mut(watch.db).unwatch(key, flag);
                false
            }
            None => true,
        }
    });
    keys.is_empty()
}

fn footprint(engine: &Engine, watches: Option<&Watches>) -> Footprint {
    let keys = watches.iter().flat_map(|watches| &watches.keys);
    keys.fold(Footprint::NONE, |sum, watch| {
        let key = engine.keyspace.key(&watch.key);
        sum.union(engine.keyspace.footprint(key.hash))
    })
}
