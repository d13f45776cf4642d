//! From decoded requests to replies: what runs, and the order of things around it.

use std::sync::atomic::Ordering::Relaxed;

use djr_engine::command::{Command, KeyShape};
use djr_engine::spec::{Flags, Run};
use djr_engine::{Args, CommandError, Engine, Executor, Reply};
use djr_protocol::{Batch, Limits};

use super::Ahead;
use super::checks::check;
use super::permissions::{Permits, check_sort};
use super::{Replies, Session, SessionShell};
use crate::commands::{Context, ServerRun};
use crate::introspection::{Source, Stopwatch};
use crate::shared::Gate;
use crate::worker::{Connection, Core};

/// When a client's replies have got so long in a turn, others are served before its next request.
const REPLIES_PER_TURN: usize = 256 << 10;

/// The requests of one read. Used again from turn to turn.
#[derive(Default)]
pub(crate) struct Requests {
    pub(crate) batch: Batch,
}

impl Requests {
    /// Executes the requests in `input`, the first of which are prepared in `ahead`, one after the other; replies go to `out`. Returns how many were executed: fewer than
    /// there are, if the session ends or must wait.
    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of a worker that a command may need, lent one by one"
    )]
    pub(crate) fn execute(
        &mut self,
        input: &[u8],
        engine: &Engine,
        ahead: &mut Ahead<'_>,
        core: &mut Core,
        executor: &mut Executor,
        session: &mut Session,
        out: &mut Vec<u8>,
    ) -> usize {
        let (batch, count) = (&self.batch, self.batch.len());
        let source = Source { batch, input };
        let mut stopwatch = Stopwatch::new(core, input.len());
        let mut mark = Stopwatch::mark(core, out.len());
        if count > 1 {
            ahead.prefetch_structures(batch, input, engine);
        }
        session.identity.refresh(&core.shared.acl);
        let mut direct = core.gate == 0 && session.is_plain();
        let mut permits = Permits::unless(direct, core, session);
        let mut executed = count;
        core.begin_requests();
        let start = out.len();
        for index in 0..count {
            let out_len = out.len();
            let mut args = Args::new(batch.request(index, input));
            let prepared = ahead.advance(index, batch, input, engine);
            args = prepared.hashed(args);
            if let Some(command) = prepared.command
                && matches!(command.run, Run::Read(_) | Run::Write(_))
                && !command.careful
                && command.accepts(args.len())
                && (direct
                    || permits
                        .as_ref()
                        .is_some_and(|permits| permits.allow(command, &args)))
            {
                stopwatch.count(core, &session.info, source, command, (index, out_len));
                let now = core.now;
                let mut reply = Reply::new(out, session.version);
                let mut shell = SessionShell { session, core };
                if let Err(error) =
                    engine.execute(executor, command, &args, now, &mut shell, &mut reply)
                {
                    refuse(core, Some(command), &error, &mut reply, false);
                }
                if core.holds_pushes() {
                    core.release_pushes(session, out);
                }
            } else if core.gate == Gate::MEMORY
                && let Some(command) = prepared.command
                && execute_near_limit(
                    core,
                    executor,
                    session,
                    engine,
                    command,
                    (source, index),
                    &args,
                    &mut stopwatch,
                    out,
                )
            {
                direct = core.gate == 0 && session.is_plain();
                permits = Permits::unless(direct, core, session);
            } else {
                let command = prepared.command;
                execute_one(
                    core,
                    executor,
                    session,
                    engine,
                    command,
                    (source, index),
                    &args,
                    &mut stopwatch,
                    out,
                );
                if session.is_held() || session.close {
                    executed = index + usize::from(!session.postponed);
                    break;
                }
                direct = core.gate == 0 && session.is_plain();
                permits = Permits::unless(direct, core, session);
            }
            if out.len() > mark {
                if out.len() > core.output_len_max {
                    // Enough for its end to be sure: nothing of it is sent.
                    session.close = true;
                    session.overfull = true;
                    executed = index + 1;
                    break;
                }
                let lengths = (out_len, out.len());
                stopwatch.cut(core, &session.info, source, index, lengths);
                if out.len() - start > REPLIES_PER_TURN && index + 1 < count {
                    // The others come first now.
                    session.yielded = true;
                    executed = index + 1;
                    break;
                }
                mark = Stopwatch::mark(core, out.len());
            }
        }
        core.end_requests(session);
        stopwatch.stop(core, &session.info, source, out.len());
        if let Some(command) = stopwatch.last() {
            session.info.last_command.store(command.id as u32, Relaxed);
        }
        session.info.active_ms.store(core.now as u64, Relaxed);
        session.info.commands.store(
            session.info.commands.load(Relaxed) + executed as u64,
            Relaxed,
        );
        executed
    }
}

/// Executes a data command of a plain session while a limit of memory is near, and nothing else asks for a second look: only commands
/// that need memory pay for that. `false`: it has not, there is more to be looked at.
#[expect(
    clippy::too_many_arguments,
    reason = "the parts of a worker that a command may need, lent one by one"
)]
fn execute_near_limit(
    core: &mut Core,
    executor: &mut Executor,
    session: &mut Session,
    engine: &Engine,
    command: &'static Command,
    (source, index): (Source<'_>, usize),
    args: &Args<'_>,
    stopwatch: &mut Stopwatch,
    out: &mut Vec<u8>,
) -> bool {
    let is_plain = session.is_plain()
        && matches!(command.run, Run::Read(_) | Run::Write(_))
        && !command.careful
        && command.accepts(args.len());
    if !is_plain || !core.has_room(executor, session, command, args) {
        return false;
    }
    let place = (index, out.len());
    stopwatch.count(core, &session.info, source, command, place);
    let needs_room = command.flags.has(Flags::DENY_OOM);
    let (now, db, hash) = (core.now, session.db, args.hashed_key());
    let bytes = |hash| engine.keyspace.bytes_near(db, hash) as isize;
    let before = hash.filter(|_| needs_room).map(bytes);
    let mut reply = Reply::new(out, session.version);
    let mut shell = SessionShell { session, core };
    let result = engine.execute(executor, command, args, now, &mut shell, &mut reply);
    if let Err(error) = result {
        refuse(core, Some(command), &error, &mut reply, false);
    }
    if needs_room {
        let is_single = matches!(command.key_shape, KeyShape::One(_));
        let grown = hash.filter(|_| is_single).zip(before);
        core.charge(grown.map(|(hash, before)| bytes(hash) - before));
    }
    if core.holds_pushes() {
        core.release_pushes(session, out);
    }
    true
}

/// Executes a request of a session, or in a state of the server, that asks for a second look.
#[expect(
    clippy::too_many_arguments,
    reason = "the parts of a worker that a command may need, lent one by one"
)]
fn execute_one(
    core: &mut Core,
    executor: &mut Executor,
    session: &mut Session,
    engine: &Engine,
    command: Option<&'static Command>,
    place: (Source<'_>, usize),
    args: &Args<'_>,
    stopwatch: &mut Stopwatch,
    out: &mut Vec<u8>,
) {
    let start = out.len();
    let quiet = session.replies != Replies::On;
    session.identity.refresh(&core.shared.acl);
    execute_checked(
        core, executor, session, engine, command, place, args, stopwatch, out,
    );
    // It may have been ACL SETUSER.
    session.identity.refresh(&core.shared.acl);
    end_of_tracked(core, session, command);
    if session.replies != Replies::On && !session.postponed {
        if quiet && !is_confirmed_always(command) {
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
fn end_of_tracked(core: &mut Core, session: &mut Session, command: Option<&Command>) {
    let Some(tracked) = &mut session.tracked else {
        return;
    };
    // CLIENT CACHING is for one command, or for one transaction.
    let is_client = command.is_some_and(|command| command.full_name.starts_with("client|"));
    if session.multi.is_none() && !is_client {
        tracked.caching = false;
    }
    core.limit_tracking();
}

/// Whether `CLIENT REPLY` leaves a command's replies alone: they come among the messages.
fn is_confirmed_always(command: Option<&Command>) -> bool {
    command.is_some_and(|command| {
        command.flags.has(Flags::PUBSUB) && command.spec.name.ends_with("subscribe")
    })
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
    command: Option<&'static Command>,
    (source, index): (Source<'_>, usize),
    args: &Args<'_>,
    stopwatch: &mut Stopwatch,
    out: &mut Vec<u8>,
) {
    let mut reply = Reply::new(out, session.version);
    let command = match check(core, executor, session, engine, command, args) {
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
    if session.multi.is_none()
        && let Err(error) = check_sort(core, session, command, args)
    {
        refuse(core, Some(command), &error, &mut reply, false);
        return;
    }
    if let Some(multi) = &mut session.multi
        && !matches!(
            command.spec.name,
            "exec" | "discard" | "multi" | "watch" | "quit" | "reset"
        )
    {
        multi.queue.push(command, args);
        session.info.multi.store(multi.queue.len() as i32, Relaxed);
        reply.simple("QUEUED");
        return;
    }
    let place = (index, reply.len());
    stopwatch.count(core, &session.info, source, command, place);
    core.show_script(session, command, args);
    // Those that look at clients see themselves running.
    session.info.last_command.store(command.id as u32, Relaxed);
    let now = core.now;
    executor.reader = session
        .tracked
        .as_ref()
        .and_then(|tracked| tracked.reader());
    let result = match (command.run, core.shared.server_run(command)) {
        (Run::Shell, Some(ServerRun::TopLevel(run))) => {
            run(&mut Context { session, core }, executor, args, &mut reply)
        }
        (Run::Shell, Some(ServerRun::Waiting(run, _))) => {
            run(&mut Context { session, core }, args, &mut reply)
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
    if core.shared.gate.bits() & Gate::MEMORY != 0 && command.may_grow() {
        core.forget_room();
    }
    executor.reader = None;
    core.show_command(session, command, args);
    let was_told = std::mem::take(&mut executor.error_told);
    if let Err(error) = result {
        match was_told {
            true => {
                core.stats.commands[command.id].failed.add(1);
                reply.error(&error.to_string());
            }
            false => refuse(core, Some(command), &error, &mut reply, false),
        }
    }
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
    while !connection.session.close && !connection.session.is_held() {
        batch.clear();
        let limits = match connection.session.identity.is_authenticated() {
            true => shared.config.request_limits(),
            false => Limits::unauthenticated(),
        };
        let taken = connection.decoder.get_or_insert_default().decode_one(
            &connection.input,
            &limits,
            &mut batch,
        );
        let Some(request) = batch.iter(&connection.input).next() else {
            if taken.is_err() {
                connection.session.close = true;
            }
            break;
        };
        let args = Args::new(request);
        let source = Source {
            batch: &batch,
            input: &connection.input,
        };
        let (session, out) = (&mut connection.session, &mut connection.out);
        let command = shared.engine.prepare(&args).command;
        let opens_keyspace = command.is_some_and(|command| {
            matches!(shared.server_run(command), Some(ServerRun::TopLevel(_)))
        });
        if opens_keyspace {
            let mut reply = Reply::new(out, session.version);
            let busy = shared.engine.scripts.running().busy_error();
            refuse(core, None, &busy, &mut reply, true);
        } else {
            let mut stopwatch = Stopwatch::new(core, 0);
            execute_checked(
                core,
                executor,
                session,
                &shared.engine,
                command,
                (source, 0),
                &args,
                &mut stopwatch,
                out,
            );
            stopwatch.stop(core, &session.info, source, out.len());
        }
        let taken = taken.unwrap_or(connection.input.len());
        connection.input.drain(..taken);
    }
    if connection.session.close {
        connection.closing = true;
    }
}
