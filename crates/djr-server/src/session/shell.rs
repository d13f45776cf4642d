//! The session as the engine sees it.

use std::sync::Arc;

use djr_engine::blocking::{ClientAddress, Served, Waiter};
use djr_engine::command::Command;
use djr_engine::notify::{Event, Events};
use djr_engine::script::ScriptFlags;
use djr_engine::{Args, CommandError, EffectLog, Inside, Ran, Reply, ScriptFate, Shell};

use djr_storage::keyspace::Invalidation;

use super::Session;
use super::permissions::{check_sort, check_user};
use crate::acl::Origin;
use crate::clock;
use crate::commands::{Context, ServerRun};
use crate::shared::Shared;
use crate::worker::Core;

/// A session at work: lent to the engine while a command of this client runs.
pub(crate) struct SessionShell<'a> {
    pub(crate) session: &'a mut Session,
    pub(crate) core: &'a mut Core,
}

impl Shell for SessionShell<'_> {
    #[inline]
    fn db(&self) -> u32 {
        self.session.db
    }

    fn select(&mut self, db: u32) {
        self.session.select(db);
    }

    fn run(
        &mut self,
        command: &'static Command,
        args: &Args<'_>,
        reply: &mut Reply<'_>,
    ) -> Result<(), CommandError> {
        match self.core.shared.server_run(command) {
            Some(ServerRun::Plain(run) | ServerRun::Waiting(_, run)) => run(
                &mut Context {
                    session: self.session,
                    core: self.core,
                },
                args,
                reply,
            ),
            // They open the keyspace, which is open already.
            Some(ServerRun::TopLevel(_)) => {
                Err(CommandError::text("ERR This command is not allowed here"))
            }
            None => Err(CommandError::Arity(command.full_name.clone())),
        }
    }

    fn permit(&mut self, command: &'static Command, args: &Args<'_>) -> Result<(), CommandError> {
        let session = &mut *self.session;
        session.identity.refresh(&self.core.shared.acl);
        check_user(self.core, session, command, args, Origin::Multi)
            .map_err(|denied| denied.at_exec())?;
        check_sort(self.core, session, command, args)?;
        super::checks::check_state(self.core, command)
    }

    fn permit_call(
        &mut self,
        command: &'static Command,
        args: &Args<'_>,
    ) -> Result<(), CommandError> {
        let session = &mut *self.session;
        check_user(self.core, session, command, args, Origin::Script).map_err(|denied| {
            let text = denied.text(session.identity.user(), command);
            CommandError::format(format!("ERR ACL failure in script: {text}"))
        })?;
        self.core.permit_room(session.db, command, args)?;
        check_sort(self.core, session, command, args)?;
        super::checks::check_state(self.core, command)
    }

    fn permit_script(&mut self, flags: &ScriptFlags) -> Result<(), CommandError> {
        self.core
            .permit_script_room(flags.allow_oom || flags.no_writes)
    }

    fn permit_waiter(&mut self, waiter: &Waiter) -> Result<(), CommandError> {
        self.core.shared.check_waiter(waiter, self.core.now)
    }

    fn may_run(&mut self, command: &'static Command, args: &Args<'_>) -> bool {
        let dbs = self.core.shared.config.databases();
        let (identity, db) = (&self.session.identity, self.session.db);
        identity.is_free() || identity.user().check(command, args, db, dbs).is_ok()
    }

    fn address(&self) -> Option<ClientAddress> {
        Some(ClientAddress {
            client: self.session.info.id,
            worker: self.core.index,
            slot: self.session.slot,
        })
    }

    fn parked(&mut self, waiter: Arc<Waiter>) {
        self.core.park(self.session, waiter);
    }

    fn served(&mut self, served: Served) {
        self.core.served(served);
    }

    #[inline]
    fn log(&mut self) -> &mut dyn EffectLog {
        &mut self.core.log
    }

    fn clock_ms(&mut self) -> u64 {
        let since = clock::monotonic() - self.core.shared.started;
        since.as_millis() as u64
    }

    fn script_is_busy(&mut self) -> ScriptFate {
        self.core.serve_while_busy()
    }

    fn invalidate(&mut self, invalidation: Invalidation) {
        let by = self.session.info.id;
        self.core.invalidate(invalidation, Some(by));
    }

    fn begins(&mut self, command: &'static Command, args: &Args<'_>, _: Inside) -> u64 {
        self.core.show_script(self.session, command, args);
        self.core.nanos()
    }

    fn ran(&mut self, ran: &Ran<'_>) {
        self.core.count_inside(&self.session.info, ran);
        if !ran.refused {
            let (inside, command) = (ran.inside, ran.command);
            self.core
                .show_inside(self.session, inside, command, ran.args);
        }
    }

    fn notify(&mut self, event: Event<'_>) {
        self.core.notify(event);
    }

    fn script_log(&mut self, level: u8, line: &[u8]) {
        let line = String::from_utf8_lossy(line);
        match level {
            0 => tracing::trace!(target: "script", "{line}"),
            1 => tracing::debug!(target: "script", "{line}"),
            2 => tracing::info!(target: "script", "{line}"),
            _ => tracing::warn!(target: "script", "{line}"),
        }
    }
}

/// What a [`WorkerShell`] has gathered.
pub(crate) struct Done {
    /// The waits that have ended meanwhile.
    pub(crate) served: Vec<Served>,
    /// What is to be published.
    pub(crate) events: Events,
    /// What clients may have to be told.
    pub(crate) invalidations: Vec<Invalidation>,
}

/// At work for no session: gives back what could not be delivered, serves those who wait.
pub(crate) struct WorkerShell<'a> {
    shared: &'a Shared,
    log: &'a mut dyn EffectLog,
    db: u32,
    done: Done,
}

impl<'a> WorkerShell<'a> {
    pub(crate) fn new(shared: &'a Shared, log: &'a mut dyn EffectLog) -> Self {
        Self {
            shared,
            log,
            db: 0,
            done: Done {
                served: Vec::new(),
                events: Events::default(),
                invalidations: Vec::new(),
            },
        }
    }

    /// What is to be done now that the keyspace is closed: see [`Core::settle_shell`].
    pub(crate) fn done(self) -> Done {
        self.done
    }
}

impl Shell for WorkerShell<'_> {
    fn db(&self) -> u32 {
        self.db
    }

    fn select(&mut self, db: u32) {
        self.db = db;
    }

    fn run(
        &mut self,
        command: &'static Command,
        _: &Args<'_>,
        _: &mut Reply<'_>,
    ) -> Result<(), CommandError> {
        Err(CommandError::Arity(command.full_name.clone()))
    }

    fn permit(&mut self, _: &'static Command, _: &Args<'_>) -> Result<(), CommandError> {
        Ok(())
    }

    fn permit_waiter(&mut self, waiter: &Waiter) -> Result<(), CommandError> {
        self.shared.check_waiter(waiter, clock::unix_millis())
    }

    fn served(&mut self, served: Served) {
        self.done.served.push(served);
    }

    fn invalidate(&mut self, invalidation: Invalidation) {
        self.done.invalidations.push(invalidation);
    }

    fn notify(&mut self, event: Event<'_>) {
        self.done
            .events
            .push(event.db, event.class, event.name, event.key);
    }

    fn log(&mut self) -> &mut dyn EffectLog {
        self.log
    }
}
