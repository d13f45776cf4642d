//! What a session's user may do, and what follows when that changes: refusals are noted, subscribers and clients of users that
//! are no more are disconnected.

use std::sync::Arc;

use djr_engine::blocking::Waiter;
use djr_engine::command::{Command, KeyShape};
use djr_engine::spec::Flags;
use djr_engine::{Args, CommandError};

use super::Session;
use crate::acl::{Denied, Origin, Refusal, User};
use crate::clients::ClientInfo;
use crate::pubsub::{Kind, Subscriptions};
use crate::shared::Shared;
use crate::tls::TlsStream;
use crate::worker::{Core, Mail};

/// The rules of a session's user, while nothing else keeps its data commands from running at once.
pub(super) struct Permits {
    user: Arc<User>,
    db: u32,
    dbs: u32,
}

impl Permits {
    /// `None`: they are not needed, or there is more to be looked at.
    #[inline]
    pub(super) fn unless(free: bool, core: &Core, session: &Session) -> Option<Self> {
        (!free && core.gate == 0 && session.is_limited_only()).then(|| Self {
            user: session.identity.user().clone(),
            db: session.db,
            dbs: core.shared.config.databases(),
        })
    }

    /// Whether a data command may run. If not, that is still to be told and noted.
    #[inline]
    pub(super) fn allow(&self, command: &Command, args: &Args<'_>) -> bool {
        command.key_shape != KeyShape::Search
            && self.user.check(command, args, self.db, self.dbs).is_ok()
    }
}

/// Whether the session's user may run a command; a refusal is noted.
pub(super) fn check_user(
    core: &Core,
    session: &Session,
    command: &Command,
    args: &Args<'_>,
    origin: Origin,
) -> Result<(), Denied> {
    if session.identity.is_free() {
        return Ok(());
    }
    let shared = &core.shared;
    let user = session.identity.user();
    let result = user.check(command, args, session.db, shared.config.databases());
    if let Err(denied) = result {
        shared.note_denied(denied, user, command, args, origin, &session.info, core.now);
    }
    result
}

/// Whether the session's user may use SORT's patterns, if that is the command.
pub(super) fn check_sort(
    core: &Core,
    session: &Session,
    command: &Command,
    args: &Args<'_>,
) -> Result<(), CommandError> {
    if session.identity.is_free() || !matches!(command.spec.name, "sort" | "sort_ro") {
        return Ok(());
    }
    let (user, dbs) = (session.identity.user(), core.shared.config.databases());
    user.check_sort(command, args, session.db, dbs)
}

impl Denied {
    /// The error of a command that was refused.
    pub(crate) fn error(self, user: &User, command: &Command) -> CommandError {
        CommandError::format(format!("NOPERM {}", self.text(user, command)))
    }
}

impl Shared {
    /// Whether a client that has waited may still run its command: its user may have changed meanwhile.
    pub(super) fn check_waiter(&self, waiter: &Waiter, now_ms: i64) -> Result<(), CommandError> {
        // As any request: what has come about since it was parked holds for it too.
        if waiter.command.flags.has(Flags::WRITE) {
            self.check_writes()?;
        }
        if !self.acl.has_limits() {
            return Ok(());
        }
        let Some(client) = self.clients.get(waiter.address.client) else {
            return Ok(());
        };
        let account = client.account.lock().clone();
        let user = account.map_or_else(|| self.acl.default_user(), |account| account.user());
        let (command, args, dbs) = (waiter.command, waiter.args(), self.config.databases());
        user.check(command, &args, waiter.db(), dbs)
            .map_err(|denied| {
                let origin = Origin::TopLevel;
                self.note_denied(denied, &user, command, &args, origin, &client, now_ms);
                denied.error(&user, command)
            })
    }

    #[cold]
    #[expect(
        clippy::too_many_arguments,
        reason = "all that an entry of ACL LOG tells"
    )]
    fn note_denied(
        &self,
        denied: Denied,
        user: &User,
        command: &Command,
        args: &Args<'_>,
        origin: Origin,
        client: &ClientInfo,
        now_ms: i64,
    ) {
        let refusal = Refusal {
            reason: denied.reason(),
            origin,
            object: denied.object(command, args),
            username: user.name().to_vec(),
        };
        self.note_refusal(refusal, client, now_ms);
    }

    /// Notes for ACL LOG what was refused to a client.
    pub(crate) fn note_refusal(&self, refusal: Refusal, client: &ClientInfo, now_ms: i64) {
        let client = crate::commands::client_line(client, self.engine.registry, now_ms);
        let len_max = self.config.acl_log_len_max();
        self.acl.note(refusal, client, now_ms, len_max);
    }
}

impl Core {
    /// The client has shown a certificate: `tls-auth-clients-user` may make it the user that it names. Before its first request.
    pub(crate) fn log_in_by_certificate(&self, stream: &mut TlsStream, session: &mut Session) {
        let Some(certificate) = stream.take_new_certificate() else {
            return;
        };
        let shared = &self.shared;
        let names = crate::tls::names_in(&certificate, shared.config.tls_user_from());
        if let Some(identity) = names.iter().find_map(|name| shared.acl.trusted(name)) {
            session.log_in(identity);
        } else if let Some(name) = names.first() {
            tracing::debug!(
                "the certificate of {} names no user: {}",
                session.info.peer.remote(),
                String::from_utf8_lossy(name)
            );
            shared.acl.denied.certificate.add();
        }
    }

    /// After a change of users: disconnects the clients of those that are no more, and subscribers that may not be it any more.
    /// The session's own client ends once it has its reply.
    pub(crate) fn users_changed(&self, session: &mut Session, gone: &[Box<[u8]>]) {
        let shared = &self.shared;
        if !gone.is_empty() {
            for client in shared.clients.all() {
                if !client.is_any_of(gone) {
                    continue;
                }
                if client.id == session.info.id {
                    session.close = true;
                } else if shared.clients.remove(client.id) {
                    let worker = &shared.workers[client.worker];
                    worker.mailbox.send(Mail::Kill(client.id));
                }
            }
        }
        session.identity.refresh(&shared.acl);
        session.close |= session.has_lost_channels();
        for worker in &shared.workers {
            worker.mailbox.send(Mail::UsersChanged);
        }
    }
}

impl Session {
    /// Whether it has subscribed to something that its user may not see any more.
    pub(crate) fn has_lost_channels(&self) -> bool {
        let user = self.identity.user();
        let lost = |subscriptions: &Subscriptions| {
            Kind::ALL.into_iter().any(|kind| {
                let names = subscriptions.names(kind);
                let is_pattern = matches!(kind, Kind::Pattern);
                names
                    .iter()
                    .any(|name| !user.may_subscribe(name, is_pattern))
            })
        };
        self.subscriptions.as_deref().is_some_and(lost)
    }
}
