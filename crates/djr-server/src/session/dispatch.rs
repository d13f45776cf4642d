//! From decoded requests to replies: the checks before a command runs, and the order of things around it.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use djr_engine::command::Command;
use djr_engine::registry::Resolved;
use djr_engine::script::BUSY;
use djr_engine::spec::{Flags, Run};
use djr_engine::{Args, CommandError, Engine, Executor, Prepared, Reply};
use djr_protocol::{Batch, Limits, Request};
use djr_storage::keyspace::Turn;

use super::{Replies, Session, SessionShell};
use crate::clock;
use crate::commands::{Context, ServerRun};
use crate::shared::Gate;
use crate::worker::{Connection, Core};

/// How far ahead of the running request others are prepared: their keys hashed, their buckets on the way to the cache.
/// A power of two.
const BUCKETS_AHEAD: usize = 32;
/// How far ahead the entries are on the way, which needs their buckets.
const ENTRIES_AHEAD: usize = 16;

/// The requests of one read, and what is known of them before they run. Used again from turn to turn.
#[derive(Default)]
pub(crate) struct Requests {
    pub(crate) batch: Batch,
}

/// The requests just ahead of the one that runs. Preparing them goes on between the commands, so that the memory works
/// while the commands do.
struct Ahead {
    ring: [Prepared; BUCKETS_AHEAD],
    /// Requests prepared so far, and those whose entries are on the way.
    buckets: usize,
    entries: usize,
}

impl Ahead {
    fn new() -> Self {
        let nothing = Prepared {
            command: Resolved::Unknown,
            key: None,
        };
        Self {
            ring: [nothing; BUCKETS_AHEAD],
            buckets: 0,
            entries: 0,
        }
    }

    /// What is known of request `index`, which runs now; prepares those behind it.
    #[inline]
    fn advance(
        &mut self,
        index: usize,
        batch: &Batch,
        input: &[u8],
        engine: &Engine,
        turn: Option<&Turn>,
        db: u32,
    ) -> Prepared {
        let count = batch.len();
        let Some(turn) = turn.filter(|_| count > 1) else {
            return engine.prepare(&Args::new(batch.request(index, input)));
        };
        while self.buckets < count.min(index + BUCKETS_AHEAD) {
            let prepared = engine.prepare(&Args::new(batch.request(self.buckets, input)));
            if let Some((_, hash)) = prepared.key {
                engine.keyspace.prefetch_bucket(turn, db, hash);
            }
            self.ring[self.buckets % BUCKETS_AHEAD] = prepared;
            self.buckets += 1;
        }
        while self.entries < count.min(index + ENTRIES_AHEAD) {
            if let Some((_, hash)) = self.ring[self.entries % BUCKETS_AHEAD].key {
                engine.keyspace.prefetch_entry(turn, db, hash);
            }
            self.entries += 1;
        }
        self.ring[index % BUCKETS_AHEAD]
    }
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
        engine: &Engine,
        core: &mut Core,
        executor: &mut Executor,
        session: &mut Session,
        out: &mut Vec<u8>,
    ) -> usize {
        let count = self.batch.len();
        let mut stopwatch = Stopwatch::new();
        let mut ahead = Ahead::new();
        for index in 0..count {
            let turn = core.turn.as_ref();
            let prepared = ahead.advance(index, &self.batch, input, engine, turn, session.db);
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
        stopwatch.stop(core);
        if stopwatch.command != usize::MAX {
            session.info.last_command.store(stopwatch.command, Relaxed);
        }
        session.info.active_ms.store(core.now as u64, Relaxed);
        session
            .info
            .commands
            .store(session.info.commands.load(Relaxed) + count as u64, Relaxed);
        count
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
        let now = core.now;
        let mut reply = Reply::new(out, session.version);
        let mut shell = SessionShell { session, core };
        if let Err(error) = engine.execute(executor, command, &args, now, &mut shell, &mut reply) {
            refuse(core, Some(command), &error, &mut reply, false);
        }
        if core.holds_pushes() {
            core.release_pushes(session, out);
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
    end_of_tracked(core, session, prepared.command);
    if session.replies != Replies::On && !session.postponed {
        if quiet && !is_confirmed_always(prepared.command) {
            out.truncate(start);
        }
        if let Replies::Skip(left) = session.replies {
            session.replies = if left <= 1 {
                Replies::On
            } else {
                Replies::Skip(left - 1)
            };
        }
    }
    if core.holds_pushes() {
        core.release_pushes(session, out);
    }
}

/// After a command of a client that tracks keys.
fn end_of_tracked(core: &mut Core, session: &mut Session, command: Resolved<'_>) {
    let Some(tracked) = &mut session.tracked else {
        return;
    };
    // CLIENT CACHING is for one command, or for one transaction.
    let is_client =
        matches!(command, Resolved::Command(command) if command.full_name.starts_with("client|"));
    if session.multi.is_none() && !is_client {
        tracked.caching = false;
    }
    core.limit_tracking();
}

/// Whether `CLIENT REPLY` leaves a command's replies alone: they come among the messages.
fn is_confirmed_always(command: Resolved<'_>) -> bool {
    matches!(command, Resolved::Command(command)
        if command.flags.has(Flags::PUBSUB) && command.spec.name.ends_with("subscribe"))
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
        Err((command, error)) if command.is_some_and(|command| command.spec.name == "exec") => {
            // EXEC has failed once and for all: the transaction is over.
            let text = error.to_string();
            let reason = match error {
                CommandError::Arity(_) => text.trim_start_matches("ERR "),
                _ => &text,
            };
            let error = CommandError::format(format!(
                "EXECABORT Transaction discarded because of: {reason}"
            ));
            refuse(core, command, &error, &mut reply, true);
            crate::commands::discard_all(&mut Context { session, core });
            return;
        }
        Err((None, _)) if args.is(0, "post") || args.is(0, "host:") => {
            // Somebody makes a browser speak to us. Whatever else comes from there must not be executed.
            tracing::warn!(
                "closed a connection that speaks HTTP: {}",
                session.info.peer.remote()
            );
            session.close = true;
            session.dropped = true;
            return;
        }
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
    // Those that look at clients see themselves running.
    session.info.last_command.store(command.id, Relaxed);
    let now = core.now;
    executor.reader = session
        .tracked
        .as_ref()
        .and_then(|tracked| tracked.reader());
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
    core.end_of_busy();
    executor.reader = None;
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
    // CONFIG SET may have taken the password away since.
    if !session.authenticated
        && !command.flags.has(Flags::NO_AUTH)
        && core.shared.config.needs_password()
    {
        return refused(CommandError::text("NOAUTH Authentication required."));
    }
    // MULTI and WATCH say themselves what is wrong, and the transaction goes on.
    let speaks_for_itself = matches!(command.spec.name, "multi" | "watch");
    if session.multi.is_some() && command.flags.has(Flags::NO_MULTI) && !speaks_for_itself {
        return refused(CommandError::text(
            "ERR Command not allowed inside a transaction",
        ));
    }
    check_log(core, command).map_err(|error| (Some(command), error))?;
    if session.is_restricted() && !is_allowed_to_subscribers(command) {
        return refused(CommandError::format(format!(
            "ERR Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context",
            command.full_name
        )));
    }
    check_activity(core, command).map_err(|error| (Some(command), error))?;
    Ok(command)
}

/// What a RESP2 client may send while it waits for messages.
fn is_allowed_to_subscribers(command: &Command) -> bool {
    matches!(
        command.spec.name,
        "ping"
            | "quit"
            | "reset"
            | "subscribe"
            | "unsubscribe"
            | "psubscribe"
            | "punsubscribe"
            | "ssubscribe"
            | "sunsubscribe"
    )
}

/// Whether the state of the server lets a command run.
pub(crate) fn check_state(core: &Core, command: &Command) -> Result<(), CommandError> {
    check_log(core, command)?;
    check_activity(core, command)
}

fn check_log(core: &Core, command: &Command) -> Result<(), CommandError> {
    if core.gate & Gate::MISCONF != 0 && command.flags.has(Flags::WRITE) {
        return Err(core.shared.persistence.misconf());
    }
    Ok(())
}

fn check_activity(core: &Core, command: &Command) -> Result<(), CommandError> {
    let gate = core.gate;
    if gate & Gate::LOADING != 0 && !command.flags.has(Flags::LOADING) {
        return Err(CommandError::text(
            "LOADING Redis is loading the dataset in memory",
        ));
    }
    if gate & Gate::BUSY != 0 && !command.flags.has(Flags::ALLOW_BUSY) {
        return Err(BUSY);
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

/// Executes the whole requests in a connection's input while a script of this worker keeps the keyspace: only commands
/// that need none of it get further than the check.
pub(crate) fn execute_while_busy(
    core: &mut Core,
    executor: &mut Executor,
    connection: &mut Connection,
) {
    let shared = core.shared.clone();
    let mut batch = Batch::new();
    while !connection.session.close && !connection.session.postponed {
        batch.clear();
        let limits = match connection.session.authenticated {
            true => shared.config.request_limits(),
            false => Limits::unauthenticated(),
        };
        let taken = connection
            .decoder
            .decode_one(&connection.input, &limits, &mut batch);
        let Some(request) = batch.iter(&connection.input).next() else {
            if taken.is_err() {
                connection.session.close = true;
            }
            break;
        };
        let args = Args::new(request);
        let (session, out) = (&mut connection.session, &mut connection.out);
        let resolved = shared.engine.registry.resolve(&args);
        let opens_keyspace = matches!(resolved, Resolved::Command(command)
            if matches!(shared.server_run(command), Some(ServerRun::TopLevel(_))));
        if opens_keyspace {
            let mut reply = Reply::new(out, session.version);
            refuse(core, None, &BUSY, &mut reply, true);
        } else {
            let mut stopwatch = Stopwatch::new();
            execute_checked(
                core,
                executor,
                session,
                &shared.engine,
                resolved,
                &args,
                &mut stopwatch,
                out,
            );
            stopwatch.stop(core);
        }
        let taken = taken.unwrap_or(connection.input.len());
        connection.input.drain(..taken);
    }
    if connection.session.close {
        connection.closing = true;
    }
}
