//! From decoded requests to replies: the checks before a command runs, and the order of things around it.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use djr_engine::command::Command;
use djr_engine::registry::Resolved;
use djr_engine::spec::{Flags, Run};
use djr_engine::{Args, CommandError, Engine, Executor, Prepared, Reply};
use djr_protocol::{Batch, Request};

use super::{Replies, Session, SessionShell};
use crate::clock;
use crate::commands::{Context, ServerRun};
use crate::shared::Gate;
use crate::worker::Core;

/// So many requests are prepared (hashed, prefetched) before the first of them runs. Enough to hide the memory's latency,
/// few enough that what was prefetched is still in the first cache.
const PREPARE_MAX: usize = 128;

/// The requests of one read, and what is known of them before they run. Used again from turn to turn.
#[derive(Default)]
pub(crate) struct Requests {
    pub(crate) batch: Batch,
    prepared: Vec<Prepared>,
}

/// Attributes time to commands: one look at the clock per run of equal commands, not per command.
struct Stopwatch {
    since: Instant,
    command: usize,
    calls: u64,
}

impl Stopwatch {
    fn new() -> Self {
        Self {
            since: clock::monotonic(),
            command: usize::MAX,
            calls: 0,
        }
    }

    #[inline]
    fn count(&mut self, core: &Core, command: usize) {
        if command != self.command {
            self.stop(core);
            self.command = command;
        }
        self.calls += 1;
    }

    fn stop(&mut self, core: &Core) {
        if self.calls > 0 {
            let now = clock::monotonic();
            let stats = &core.stats.commands[self.command];
            stats.calls.add(self.calls);
            stats.nanos.add((now - self.since).as_nanos() as u64);
            self.since = now;
            self.calls = 0;
        }
    }
}

impl Requests {
    /// Executes the requests in `input` one after the other; replies go to `out`. Returns how many were executed: fewer than
    /// there are, if the session ends or must wait.
    pub(crate) fn execute(
        &mut self,
        input: &[u8],
        core: &mut Core,
        executor: &mut Executor,
        session: &mut Session,
        out: &mut Vec<u8>,
    ) -> usize {
        let shared = core.shared.clone();
        let engine = &shared.engine;
        let count = self.batch.len();
        let mut stopwatch = Stopwatch::new();
        let mut done = 0;
        while done < count {
            let end = count.min(done + PREPARE_MAX);
            self.prepare(input, engine, core, session.db, done..end);
            for index in done..end {
                let prepared = self.prepared[index - done];
                let request = self.batch.request(index, input);
                execute_one(
                    core,
                    executor,
                    session,
                    engine,
                    request,
                    prepared,
                    &mut stopwatch,
                    out,
                );
                if session.postponed || session.close {
                    stopwatch.stop(core);
                    return index + usize::from(!session.postponed);
                }
            }
            done = end;
        }
        stopwatch.stop(core);
        session.info.active_ms.store(core.now as u64, Relaxed);
        session
            .info
            .commands
            .store(session.info.commands.load(Relaxed) + count as u64, Relaxed);
        count
    }

    fn prepare(
        &mut self,
        input: &[u8],
        engine: &Engine,
        core: &Core,
        db: u32,
        range: std::ops::Range<usize>,
    ) {
        self.prepared.clear();
        if range.len() == 1 {
            self.prepared
                .push(engine.prepare(&Args::new(self.batch.request(range.start, input))));
            return;
        }
        let Some(turn) = &core.turn else { return };
        let keyspace = &engine.keyspace;
        for index in range {
            let prepared = engine.prepare(&Args::new(self.batch.request(index, input)));
            if let Some((_, hash)) = prepared.key {
                keyspace.prefetch_bucket(turn, db, hash);
            }
            self.prepared.push(prepared);
        }
        for (_, hash) in self.prepared.iter().filter_map(|prepared| prepared.key) {
            keyspace.prefetch_entry(turn, db, hash);
        }
    }
}

#[expect(
    clippy::too_many_arguments,
    reason = "the parts of a worker that a command may need, lent one by one"
)]
#[inline]
fn execute_one(
    core: &mut Core,
    executor: &mut Executor,
    session: &mut Session,
    engine: &Engine,
    request: Request<'_>,
    prepared: Prepared,
    stopwatch: &mut Stopwatch,
    out: &mut Vec<u8>,
) {
    let mut args = Args::new(request);
    if let Some((index, hash)) = prepared.key {
        args = args.with_hash(index, hash);
    }
    if let Resolved::Command(command) = prepared.command
        && core.gate == 0
        && session.is_plain()
        && command.accepts(args.len())
        && matches!(command.spec.run, Run::Read(_) | Run::Write(_))
    {
        stopwatch.count(core, command.id);
        session.info.last_command.store(command.id, Relaxed);
        let now = core.now;
        let mut reply = Reply::new(out, session.version);
        let mut shell = SessionShell { session, core };
        if let Err(error) = engine.execute(executor, command, &args, now, &mut shell, &mut reply) {
            refuse(core, Some(command), &error, &mut reply, false);
        }
        return;
    }
    let start = out.len();
    let quiet = session.replies != Replies::On;
    execute_checked(
        core,
        executor,
        session,
        engine,
        prepared.command,
        &args,
        stopwatch,
        out,
    );
    if quiet && session.replies != Replies::On {
        out.truncate(start);
        if let Replies::Skip(left) = session.replies {
            session.replies = if left <= 1 {
                Replies::On
            } else {
                Replies::Skip(left - 1)
            };
        }
    }
}

/// The long way: every check that Redis makes, in its order.
#[expect(
    clippy::too_many_arguments,
    reason = "the parts of a worker that a command may need, lent one by one"
)]
fn execute_checked(
    core: &mut Core,
    executor: &mut Executor,
    session: &mut Session,
    engine: &Engine,
    resolved: Resolved<'static>,
    args: &Args<'_>,
    stopwatch: &mut Stopwatch,
    out: &mut Vec<u8>,
) {
    let mut reply = Reply::new(out, session.version);
    let command = match check(core, session, resolved, args) {
        Ok(command) => command,
        Err((command, error)) => {
            refuse(core, command, &error, &mut reply, true);
            if let Some(multi) = &mut session.multi {
                multi.refused = true;
            }
            return;
        }
    };
    if core.must_pause(session, command) {
        session.postponed = true;
        return;
    }
    if let Some(multi) = &mut session.multi
        && !matches!(
            command.spec.name,
            "exec" | "discard" | "multi" | "watch" | "quit" | "reset"
        )
    {
        multi.queue.push(command, args);
        session.info.multi.store(multi.queue.len() as i64, Relaxed);
        reply.simple("QUEUED");
        return;
    }
    stopwatch.count(core, command.id);
    session.info.last_command.store(command.id, Relaxed);
    let now = core.now;
    let result = match (command.spec.run, core.shared.server_run(command)) {
        (Run::Shell, Some(ServerRun::TopLevel(run))) => {
            run(&mut Context { session, core }, executor, args, &mut reply)
        }
        _ => {
            let no_touch = session.no_touch;
            let mut shell = SessionShell { session, core };
            executor.touch = !no_touch;
            let result = engine.execute(executor, command, args, now, &mut shell, &mut reply);
            executor.touch = true;
            result
        }
    };
    if let Err(error) = result {
        refuse(core, Some(command), &error, &mut reply, false);
    }
}

/// A command that may run, or why not and (if it exists) which it was.
fn check(
    core: &Core,
    session: &Session,
    resolved: Resolved<'static>,
    args: &Args<'_>,
) -> Result<&'static Command, (Option<&'static Command>, CommandError)> {
    let Resolved::Command(command) = resolved else {
        return Err((None, Engine::unknown_command(resolved, args)));
    };
    let refused = |error| Err((Some(command), error));
    if !command.accepts(args.len()) {
        return refused(CommandError::Arity(command.full_name.clone()));
    }
    if !session.authenticated && !command.flags.has(Flags::NO_AUTH) {
        return refused(CommandError::text("NOAUTH Authentication required."));
    }
    if session.multi.is_some() && command.flags.has(Flags::NO_MULTI) {
        return refused(CommandError::text(
            "ERR Command not allowed inside a transaction",
        ));
    }
    check_state(core, command).map_err(|error| (Some(command), error))?;
    Ok(command)
}

/// Whether the state of the server lets a command run.
pub(crate) fn check_state(core: &Core, command: &Command) -> Result<(), CommandError> {
    let gate = core.gate;
    if gate & Gate::MISCONF != 0 && command.flags.has(Flags::WRITE) {
        return Err(core.shared.persistence.misconf());
    }
    if gate & Gate::LOADING != 0 && !command.flags.has(Flags::LOADING) {
        return Err(CommandError::text(
            "LOADING Redis is loading the dataset in memory",
        ));
    }
    if gate & Gate::BUSY != 0 && !command.flags.has(Flags::ALLOW_BUSY) {
        return Err(CommandError::text(
            "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
        ));
    }
    Ok(())
}

#[cold]
fn refuse(
    core: &Core,
    command: Option<&Command>,
    error: &CommandError,
    reply: &mut Reply<'_>,
    before_running: bool,
) {
    let text = error.to_string();
    core.stats.count_error(&text);
    if let Some(command) = command {
        let stats = &core.stats.commands[command.id];
        if before_running {
            stats.rejected.add(1)
        } else {
            stats.failed.add(1)
        }
    }
    reply.error(&text);
}
