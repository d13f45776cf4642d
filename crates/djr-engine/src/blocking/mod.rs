//! Commands that wait: BLPOP, BZPOPMIN, XREAD BLOCK and their kin.
//!
//! A blocking command is an ordinary [`Run::Write`](crate::spec::Run::Write). It tries; where there is nothing for it, it says so:
//!
//! ```text
//! let timeout = context.parse_timeout(args, args.len() - 1)?;
//! … for each key: if there is something, take it, context.undo(…), return its effect …
//! if !context.may_block() {            // inside MULTI or a script
//!     reply.null_array();
//!     return Ok(Effect::None);
//! }
//! context.block(keys, BlockedOn::List, timeout)
//! ```
//!
//! Then its client is parked: a [`Waiter`] with its request is registered with each of the keys, while they are still open.
//! When one of them changes, and before anyone else sees it, the same request is run again for the waiter, in order of arrival
//! (`serve`). If it has a result now, the reply is on its way and the wait is over; if not, it keeps its place.
//!
//! **Invariant:** a wait ends once: who takes it from `WAITING` (to serve it, or because of a timeout, CLIENT UNBLOCK or the end
//! of the connection) answers the client, and nobody else does.

mod serve;
#[cfg(test)]
mod tests;
mod timeout;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU8, Ordering};
use std::time::Duration;

use djr_protocol::RespVersion;
use djr_storage::keyspace::{Access, Registration, Ticket, UnixMillis};
use djr_storage::value::Kind;

use crate::command::Command;
use crate::engine::{Engine, Executor, Logged};
use crate::{Args, CommandError, Effect, OwnedRequest, Reply, Shell, WriteContext};

pub use serve::{Served, Undo};
pub use timeout::parse_millis;
pub(crate) use timeout::parse_seconds;

/// What a client waits for: which changes of its keys are worth a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockedOn {
    /// A list: BLPOP, BLMOVE, …
    List,
    /// A sorted set: BZPOPMIN, …
    SortedSet,
    /// A stream: XREAD.
    Stream,
    /// A consumer group of a stream: XREADGROUP. Without its key there is nothing to wait for: the client is told.
    ConsumerGroup,
    /// No key: the server answers (WAIT, WAITAOF, MIGRATE).
    Server,
    /// A string: there is no such command but in tests.
    #[cfg(any(test, feature = "testkit"))]
    String,
}

impl BlockedOn {
    /// Whether to try again now that the key holds this.
    fn wants(self, kind: Option<Kind>) -> bool {
        match self {
            Self::List => kind == Some(Kind::List),
            Self::SortedSet => kind == Some(Kind::SortedSet),
            Self::Stream => kind == Some(Kind::Stream),
            Self::ConsumerGroup => true,
            Self::Server => false,
            #[cfg(any(test, feature = "testkit"))]
            Self::String => kind == Some(Kind::String),
        }
    }
}

/// Whose wait it is: enough to find the client again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress {
    /// The client's id, never used twice.
    pub client: u64,
    /// The worker that serves it.
    pub worker: usize,
    /// Its place there.
    pub slot: usize,
}

/// The wait goes on.
const WAITING: u8 = 0;
/// Somebody runs the command for it, its keys being open.
const SERVING: u8 = 1;
/// It is over.
const ENDED: u8 = 2;

/// A client that waits: its command, to be run again, and where it registered.
pub struct Waiter {
    /// The command.
    pub command: &'static Command,
    /// Whose it is.
    pub address: ClientAddress,
    /// Until when, counted from its beginning; `None`: for ever.
    pub timeout: Option<Duration>,
    /// A number of the shell's own, of a wait [of the server](Self::of_server).
    pub note: u64,
    request: OwnedRequest,
    db: u32,
    version: RespVersion,
    on: BlockedOn,
    keys: Vec<Box<[u8]>>,
    footprint: djr_storage::keyspace::Footprint,
    ticket: Ticket,
    /// When its command is to be run again though no key has changed (Unix time in milliseconds; [`NEVER`]).
    again_at: AtomicI64,
    state: AtomicU8,
}

const NEVER: UnixMillis = UnixMillis::MAX;

impl Waiter {
    /// The request.
    pub fn args(&self) -> crate::Args<'_> {
        self.request.args()
    }

    /// The db that was selected when it came.
    pub fn db(&self) -> u32 {
        self.db
    }

    /// The keys that it waits for.
    pub fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.keys.iter().map(AsRef::as_ref)
    }

    /// A wait for something else than keys: its client is parked, and the shell [ends](Self::end) it.
    pub fn of_server(
        command: &'static Command,
        args: &Args<'_>,
        address: ClientAddress,
        version: RespVersion,
        timeout: Option<Duration>,
        note: u64,
    ) -> Arc<Self> {
        Arc::new(Self {
            command,
            address,
            timeout,
            note,
            request: OwnedRequest::new(args),
            db: 0,
            version,
            on: BlockedOn::Server,
            keys: Vec::new(),
            footprint: djr_storage::keyspace::Footprint::NONE,
            ticket: 0,
            again_at: AtomicI64::new(NEVER),
            state: AtomicU8::new(WAITING),
        })
    }

    /// When its command is to be run again by [`Engine::try_again`], though none of its keys has changed.
    pub fn again_at(&self) -> Option<UnixMillis> {
        Some(self.again_at.load(Ordering::Relaxed)).filter(|at| *at != NEVER)
    }

    /// The RESP version of the client.
    pub fn version(&self) -> RespVersion {
        self.version
    }

    /// Ends the wait from outside (timeout, CLIENT UNBLOCK, end of the connection). `false`: it had ended already, and its reply
    /// is on the way. Its registrations stay until [`Engine::end_wait`].
    pub fn end(&self) -> bool {
        loop {
            let took =
                self.state
                    .compare_exchange(WAITING, ENDED, Ordering::AcqRel, Ordering::Acquire);
            match took {
                Ok(_) => return true,
                Err(ENDED) => return false,
                // Another thread is about to know; it holds the locks that it needs.
                Err(_) => std::thread::yield_now(),
            }
        }
    }

    /// Whether it is over.
    pub fn has_ended(&self) -> bool {
        self.state.load(Ordering::Acquire) == ENDED
    }

    /// Takes it for serving. `false`: it has ended.
    fn claim(&self) -> bool {
        let result =
            self.state
                .compare_exchange(WAITING, SERVING, Ordering::AcqRel, Ordering::Acquire);
        result.is_ok()
    }

    /// After [`claim`](Self::claim): whether it is over.
    fn settle(&self, over: bool) {
        let state = if over { ENDED } else { WAITING };
        self.state.store(state, Ordering::Release);
    }
}

/// Whether a command may wait, and what it said about that.
#[derive(Default)]
pub(crate) struct Blocking {
    pub(crate) mode: Mode,
    request: Option<BlockRequest>,
    undo: VecDeque<OwnedRequest>,
    again_at: Option<UnixMillis>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mode {
    /// It runs inside a transaction or script, or for nobody.
    #[default]
    Never,
    /// It runs for its client.
    May,
    /// It runs again, for a waiter.
    Again,
}

struct BlockRequest {
    keys: Vec<Box<[u8]>>,
    on: BlockedOn,
    timeout: Option<Duration>,
    /// What is run again, if not the request itself.
    instead: Option<OwnedRequest>,
}

/// Proof that a command has said what it waits for. Only [`WriteContext::block`] makes one.
#[derive(Debug)]
pub struct Blocked(());

impl WriteContext<'_, '_> {
    /// Whether the command may wait. If not, it answers at once that there is nothing.
    pub fn may_block(&self) -> bool {
        self.blocking.mode != Mode::Never
    }

    /// Whether it runs again, for a client that waits: then a command that still finds nothing changes nothing.
    pub(crate) fn runs_again(&self) -> bool {
        self.blocking.mode == Mode::Again
    }

    /// Whether the command is run again, for a client that has waited: only then is [`undo`](Self::undo) of use.
    pub fn has_waited(&self) -> bool {
        self.blocking.mode == Mode::Again
    }

    /// Ends a command that found nothing: its client waits until one of the keys changes to something of the kind, and then the
    /// command is run again. Only where it [may](Self::may_block). Nothing may have been written to the reply; what has been changed
    /// nevertheless (`XREADGROUP` makes its consumer) is told by [`rewrite`](Self::rewrite) before.
    pub fn block<'a>(
        &mut self,
        keys: impl IntoIterator<Item = &'a [u8]>,
        on: BlockedOn,
        timeout: Option<Duration>,
    ) -> Result<Effect, CommandError> {
        debug_assert!(self.may_block(), "a command waits that may not");
        // For a waiter it is all said already.
        if self.blocking.mode == Mode::May {
            self.blocking.request = Some(BlockRequest {
                keys: keys.into_iter().map(Box::from).collect(),
                on,
                timeout,
                instead: None,
            });
        }
        Ok(Effect::Blocked(Blocked(())))
    }

    /// Says before [`block`](Self::block) that time alone may bring what is waited for: the command is run again at `at`.
    pub(crate) fn try_again_at(&mut self, at: UnixMillis) {
        self.blocking.again_at = Some(at);
    }

    /// As [`block`](Self::block), but what is run again is not the request but this: for `XREAD … $`, whose `$` means the last id
    /// at the time of the call.
    pub fn block_as<'a>(
        &mut self,
        instead: &[&[u8]],
        keys: impl IntoIterator<Item = &'a [u8]>,
        on: BlockedOn,
        timeout: Option<Duration>,
    ) -> Result<Effect, CommandError> {
        let effect = self.block(keys, on, timeout);
        if let Some(request) = &mut self.blocking.request {
            request.instead = Some(OwnedRequest::from_args(instead.iter().copied()));
        }
        effect
    }

    /// Says how to give back what this command took, if its reply can't be delivered: one command in its db (`LPUSH key element`
    /// for BLPOP). May be called several times: they are run in this order. Costs nothing where the client did not wait.
    pub fn undo(&mut self, args: &[&[u8]]) {
        if self.blocking.mode == Mode::Again {
            let request = OwnedRequest::from_args(args.iter().copied());
            self.blocking.undo.push_back(request);
        }
    }

    /// Argument `index` as a timeout in seconds, with decimals; `None`: for ever.
    pub fn parse_timeout(
        &self,
        args: &Args<'_>,
        index: usize,
    ) -> Result<Option<Duration>, CommandError> {
        parse_seconds(args.get(index), self.now)
    }

    /// Argument `index` as a timeout in milliseconds (`XREAD BLOCK`); `None`: for ever.
    pub fn parse_timeout_ms(
        &self,
        args: &Args<'_>,
        index: usize,
    ) -> Result<Option<Duration>, CommandError> {
        parse_millis(args.get(index), self.now)
    }
}

impl Blocking {
    /// Parks the client whose command has just said what it waits for; its keys are open.
    pub(crate) fn park(
        &mut self,
        access: &mut Access<'_>,
        command: &'static Command,
        args: &Args<'_>,
        db: u32,
        version: RespVersion,
        address: ClientAddress,
    ) -> Option<Arc<Waiter>> {
        let request = self.request.take()?;
        let again_at = self.again_at.take().unwrap_or(NEVER);
        let keyspace = access.keyspace();
        let waiter = Arc::new(Waiter {
            command,
            address,
            timeout: request.timeout,
            note: 0,
            request: request.instead.unwrap_or_else(|| OwnedRequest::new(args)),
            db,
            version,
            on: request.on,
            keys: request.keys,
            footprint: access.footprint(),
            ticket: keyspace.waits().ticket(),
            again_at: AtomicI64::new(again_at),
            state: AtomicU8::new(WAITING),
        });
        let mut view = access.db_mut(db);
        for key in &waiter.keys {
            let registration = Registration {
                waiter: waiter.clone(),
                on_removal: waiter.on == BlockedOn::ConsumerGroup,
            };
            view.wait(view.key(key), waiter.ticket, registration);
        }
        Some(waiter)
    }
}

impl Engine {
    /// Executes a command that may wait. If it is to, its client is parked before its keys are closed.
    pub(crate) fn execute_blocking(
        &self,
        executor: &mut Executor,
        command: &'static Command,
        args: &Args<'_>,
        now: UnixMillis,
        shell: &mut dyn Shell,
        reply: &mut Reply<'_>,
    ) -> Result<(), CommandError> {
        let db = shell.db();
        let access = self.open(self.footprint(command, db, args), now)?;
        let mut access = self.serve_first(executor, access, now, shell)?;
        access.set_touch(executor.touch);
        let address = shell.address();
        executor.blocking.mode = match address {
            Some(_) => Mode::May,
            None => Mode::Never,
        };
        let result = self.run(executor, &mut access, command, db, args, now, shell, reply);
        executor.blocking.mode = Mode::Never;
        if let (Ok(Logged::Blocked), Some(address)) = (&result, address) {
            let (blocking, version) = (&mut executor.blocking, reply.version());
            let waiter = blocking.park(&mut access, command, args, db, version, address);
            if let Some(waiter) = waiter {
                shell.parked(waiter);
            }
        }
        self.remember_reader(executor, &mut access, command, args);
        self.log_all(executor, &mut access, result, db, args, shell)
    }

    /// Has a waiter's command run again because its time [has come](Waiter::again_at), after those who came before it. Does nothing
    /// if the wait has ended.
    pub fn try_again(
        &self,
        executor: &mut Executor,
        waiter: &Waiter,
        now: UnixMillis,
        shell: &mut dyn Shell,
    ) {
        let Ok(mut access) = self.open(waiter.footprint, now) else {
            return;
        };
        if waiter.has_ended() {
            return;
        }
        let mut view = access.db_mut(waiter.db);
        for key in &waiter.keys {
            view.make_ready(view.key(key));
        }
        drop(access);
        self.serve(executor, waiter.footprint, now, shell);
    }

    /// Takes the registrations of a wait that has ended out of the keyspace. `false`: not now, a script keeps it; try again.
    pub fn end_wait(&self, waiter: &Waiter, now: UnixMillis) -> bool {
        const PATIENCE: Duration = Duration::from_millis(2);
        match self.keyspace.try_open(waiter.footprint, now, PATIENCE) {
            Some(mut access) => {
                remove_registrations(&mut access, waiter);
                true
            }
            None => false,
        }
    }
}

/// The waiter's keys are open.
fn remove_registrations(access: &mut Access<'_>, waiter: &Waiter) {
    let mut view = access.db_mut(waiter.db);
    for key in &waiter.keys {
        view.end_wait(view.key(key), waiter.ticket);
    }
}
