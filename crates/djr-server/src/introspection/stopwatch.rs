//! The time that each command takes, for a fraction of a look at the clock per command.
//!
//! Reading a clock costs as much as a GET, so it is read per **run**: requests of the same command, one after the other, that are short as a
//! rule ([`Command::timed_with`]). Everything else is a run of its own, and so exact. As long as a run takes less than what
//! SLOWLOG asks for, none of its requests was slow, which is all that must be known. If it takes longer, it is noted as a whole, and for
//! a second each request is timed by itself. The same holds where somebody wants to hear of shorter times or sizes than a run
//! can have ([`Thresholds`](super::Thresholds)).

use std::time::Instant;

use djr_engine::command::Command;
use djr_engine::spec::Flags;
use djr_engine::{Args, Inside, Ran};
use djr_protocol::Batch;

use super::thresholds::{RUN_REPLY_MAX, RUN_REQUEST_MAX};
use super::{Entry, Event, Kind, shown_args};
use crate::clients::ClientInfo;
use crate::clock;
use crate::worker::Core;

/// Equal to no [`Command::timed_with`]: whatever comes next begins a run.
const NONE: usize = usize::MAX - 1;

/// Requests that are executed together.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) batch: &'a Batch,
    pub(crate) input: &'a [u8],
}

impl<'a> Source<'a> {
    /// The arguments of a request.
    #[inline]
    pub(crate) fn args(self, index: usize) -> Args<'a> {
        Args::new(self.batch.request(index, self.input))
    }
}

/// Attributes time to the commands of a batch.
pub(crate) struct Stopwatch {
    since: Instant,
    /// What continues the run.
    timed_with: usize,
    command: Option<&'static Command>,
    calls: u64,
    /// The index of the run's first request.
    first: usize,
    /// Bytes of replies before the run.
    out_len: usize,
    /// Every request is a run of its own.
    is_exact: bool,
}

impl Stopwatch {
    /// Begins with requests of so many bytes.
    pub(crate) fn new(core: &Core, request_len: usize) -> Self {
        Self {
            since: clock::monotonic(),
            timed_with: NONE,
            command: None,
            calls: 0,
            first: 0,
            out_len: 0,
            is_exact: core.thresholds.is_exact || request_len > RUN_REQUEST_MAX,
        }
    }

    /// The command that was counted last.
    pub(crate) fn last(&self) -> Option<&'static Command> {
        self.command
    }

    /// A request is about to run. `out_len`: the bytes of replies so far.
    #[inline]
    pub(crate) fn count(
        &mut self,
        core: &mut Core,
        client: &ClientInfo,
        source: Source<'_>,
        command: &'static Command,
        (index, out_len): (usize, usize),
    ) {
        if command.timed_with != self.timed_with {
            self.stop(core, client, source, out_len);
            self.timed_with = match command.timed_with {
                usize::MAX => NONE,
                _ if self.is_exact || core.thresholds.is_exact => NONE,
                timed_with => timed_with,
            };
            self.command = Some(command);
            self.first = index;
            self.out_len = out_len;
        }
        self.calls += 1;
    }

    /// The run is over: its time is attributed.
    pub(crate) fn stop(
        &mut self,
        core: &mut Core,
        client: &ClientInfo,
        source: Source<'_>,
        out_len: usize,
    ) {
        let Some(command) = self.command else { return };
        if self.calls == 0 {
            return;
        }
        let now = clock::monotonic();
        let nanos = (now - self.since).as_nanos() as u64;
        core.count_calls(command, self.calls, nanos);
        let reply_len = out_len.saturating_sub(self.out_len);
        if nanos >= core.thresholds.look_nanos
            || reply_len > core.thresholds.reply_len
            || core.thresholds.is_exact
            || self.is_exact
        {
            let args = source.args(self.first);
            let run = Measured {
                calls: self.calls,
                nanos,
                reply_len,
            };
            core.note_measured(client, command, &args, run);
        }
        self.since = now;
        self.calls = 0;
        self.timed_with = NONE;
    }

    /// The replies have grown past [`mark`](Self::mark): the run ends with the request that made them so.
    #[cold]
    pub(crate) fn cut(
        &mut self,
        core: &mut Core,
        client: &ClientInfo,
        source: Source<'_>,
        index: usize,
        (before, after): (usize, usize),
    ) {
        if self.calls > 1 {
            // What the others of the run have replied is not this one's.
            self.out_len = after;
            if let Some(command) = self.command
                && after.saturating_sub(before) > core.thresholds.reply_len
            {
                let reply = Measured {
                    calls: 1,
                    nanos: 0,
                    reply_len: after - before,
                };
                core.note_measured(client, command, &source.args(index), reply);
            }
        }
        self.stop(core, client, source, after);
    }

    /// How long the replies may get, being so long now, before a run must end.
    #[inline]
    pub(crate) fn mark(core: &Core, out_len: usize) -> usize {
        core.output_len_max.min(out_len + RUN_REPLY_MAX)
    }
}

/// What a run has taken.
pub(crate) struct Measured {
    calls: u64,
    nanos: u64,
    reply_len: usize,
}

impl Core {
    /// Counts calls that have taken so long together.
    #[inline]
    fn count_calls(&self, command: &Command, calls: u64, nanos: u64) {
        let stats = &self.stats.commands[command.id];
        stats.calls.add(calls);
        stats.nanos.add(nanos);
        if self.thresholds.is_tracking {
            stats.histogram().add(nanos, calls);
        }
    }

    /// Notes what was slow or large.
    #[cold]
    fn note_measured(
        &mut self,
        client: &ClientInfo,
        command: &'static Command,
        args: &Args<'_>,
        measured: Measured,
    ) {
        let Measured {
            calls,
            nanos,
            reply_len,
        } = measured;
        if nanos >= self.thresholds.event_nanos {
            let event = match command.flags.has(Flags::FAST) {
                true => Event::FastCommand,
                false => Event::Command,
            };
            self.note_event(event, nanos);
        }
        let request_len = args.raw().map_or(0, <[u8]>::len);
        // One that waits has not run yet.
        let is_parked = command.blocks && client.waiter.lock().is_some();
        let is_slow = nanos >= self.thresholds.slow_nanos && !is_parked;
        if is_slow && calls > 1 {
            self.thresholds.suspect(self.now);
        }
        for (kind, is_meant, value) in [
            (Kind::Slow, is_slow, nanos / 1000),
            (
                Kind::LargeRequest,
                request_len > self.thresholds.request_len,
                request_len as u64,
            ),
            (
                Kind::LargeReply,
                reply_len > self.thresholds.reply_len,
                reply_len as u64,
            ),
        ] {
            if is_meant && !command.flags.has(Flags::SKIP_SLOWLOG) {
                let entry = Entry {
                    id: 0,
                    at: self.now / 1000,
                    value,
                    args: shown_args(command, args, calls - 1),
                    peer: client.peer.remote(),
                    name: client.names.lock().get().name.clone(),
                };
                let shared = &self.shared;
                let log = &shared.introspection.command_log;
                log.push(kind, entry, &shared.config);
            }
        }
    }

    /// Notes that something took long, if that is wanted.
    #[inline]
    pub(crate) fn note_event(&self, event: Event, nanos: u64) {
        if nanos >= self.thresholds.event_nanos {
            let latency = &self.shared.introspection.latency;
            latency.add(event, self.now / 1000, nanos);
        }
    }

    /// A time to measure from, if such events are wanted at all.
    #[inline]
    pub(crate) fn event_begins(&self) -> Option<Instant> {
        (self.thresholds.event_nanos != u64::MAX).then(clock::monotonic)
    }

    /// What began then has ended.
    #[inline]
    pub(crate) fn event_ends(&self, event: Event, since: Option<Instant>) {
        if let Some(since) = since {
            self.note_event(event, (clock::monotonic() - since).as_nanos() as u64);
        }
    }

    /// Nanoseconds since the start.
    pub(crate) fn nanos(&self) -> u64 {
        (clock::monotonic() - self.shared.started).as_nanos() as u64
    }

    /// A command inside of a transaction or a script has run.
    pub(crate) fn count_inside(&mut self, client: &ClientInfo, ran: &Ran<'_>) {
        let stats = &self.stats.commands[ran.command.id];
        if let Some(error) = ran.error {
            if !ran.error_told {
                self.stats.count_error(&error.to_string());
            }
            match ran.refused {
                true => stats.rejected.add(1),
                false => stats.failed.add(1),
            }
        }
        if ran.refused {
            return;
        }
        let nanos = self.nanos().saturating_sub(ran.since);
        self.count_calls(ran.command, 1, nanos);
        if ran.inside == Inside::Transaction
            && (nanos >= self.thresholds.look_nanos || self.thresholds.is_exact)
        {
            let run = Measured {
                calls: 1,
                nanos,
                reply_len: 0,
            };
            self.note_measured(client, ran.command, ran.args, run);
        }
    }
}
