//! What the server knows of a client between its requests.

mod ahead;
mod backup;
mod checks;
mod dispatch;
mod permissions;
mod shell;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use djr_engine::transaction::Queue;
use djr_protocol::RespVersion;
use djr_storage::aof::Offset;
use djr_storage::keyspace::{Access, WatchFlag};

use crate::acl::{Acl, Identity};
use crate::clients::ClientInfo;
use crate::pubsub::{Kind, Subscriptions};
use crate::tracking::Tracked;
use crate::worker::Wait;

pub(crate) use ahead::Ahead;
use backup::WantedBackup;
pub(crate) use dispatch::{Requests, execute_while_busy};
pub(crate) use shell::{Done, SessionShell, WorkerShell};

/// The logical state of one client. Its worker's alone; what others may see of it is in [`ClientInfo`].
pub(crate) struct Session {
    /// What the other workers see of this client.
    pub(crate) info: Arc<ClientInfo>,
    pub(crate) version: RespVersion,
    /// The selected db.
    pub(crate) db: u32,
    /// Its user.
    pub(crate) identity: Identity,
    /// Between MULTI and EXEC.
    pub(crate) multi: Option<Box<Multi>>,
    /// Keys under WATCH; `None` if there are none.
    pub(crate) watches: Option<Box<Watches>>,
    /// What becomes of its replies.
    pub(crate) replies: Replies,
    /// `CLIENT NO-TOUCH`.
    pub(crate) no_touch: bool,
    /// What it has subscribed to; `None` if nothing.
    pub(crate) subscriptions: Option<Box<Subscriptions>>,
    /// `CLIENT TRACKING`; `None` if it is off.
    pub(crate) tracked: Option<Box<Tracked>>,
    /// `MONITOR`.
    pub(crate) is_monitor: bool,
    /// The connection ends once the replies so far are out.
    pub(crate) close: bool,
    /// It ends at once, without them.
    pub(crate) dropped: bool,
    /// The same, because there are more of them than `client-output-buffer-limit` allows.
    pub(crate) overfull: bool,
    /// The request must wait: it and all behind it stay in the connection's input.
    pub(crate) postponed: bool,
    /// It has had its part of this turn: the requests that are left stay in the connection's input until the next.
    pub(crate) yielded: bool,
    /// Too many replies wait for the socket: what came stays in the connection's input until most of them are on their way.
    pub(crate) choked: bool,
    /// What SYNC is to send, or is about to: what came behind that is not executed.
    pub(crate) backup: WantedBackup,
    /// It waits for a key: what came behind that stays in the connection's input.
    pub(crate) wait: Option<Box<Wait>>,
    /// The end of the log after the last of its writes.
    pub(crate) written: Offset,
    /// The connection's place in its worker.
    pub(crate) slot: usize,
}

/// A transaction being put together.
#[derive(Default)]
pub(crate) struct Multi {
    pub(crate) queue: Queue,
    /// A command was refused: EXEC will be, too.
    pub(crate) refused: bool,
}

/// The keys that a client watches.
#[derive(Default)]
pub(crate) struct Watches {
    pub(crate) keys: Vec<Watch>,
    /// Set when one of them was changed.
    pub(crate) flag: WatchFlag,
}

/// A key under WATCH.
pub(crate) struct Watch {
    pub(crate) db: u32,
    pub(crate) key: Box<[u8]>,
    /// It was past its deadline already when WATCH came: its removal is no change.
    pub(crate) was_expired: bool,
}

/// `CLIENT REPLY`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Replies {
    On,
    Off,
    /// Off for the command that says so and the next one: counts down.
    Skip(u8),
}

impl Session {
    pub(crate) fn new(info: Arc<ClientInfo>, slot: usize, identity: Identity) -> Self {
        Self {
            info,
            version: RespVersion::V2,
            db: 0,
            identity,
            multi: None,
            watches: None,
            replies: Replies::On,
            no_touch: false,
            subscriptions: None,
            tracked: None,
            is_monitor: false,
            close: false,
            dropped: false,
            overfull: false,
            postponed: false,
            yielded: false,
            choked: false,
            backup: WantedBackup::default(),
            wait: None,
            written: 0,
            slot,
        }
    }

    /// Whether nothing more is executed for the time being.
    #[inline]
    pub(crate) fn is_held(&self) -> bool {
        self.postponed
            || self.yielded
            || self.choked
            || self.backup.is_coming()
            || self.wait.is_some()
    }

    /// Whether its data commands need no look at the session before they run.
    #[inline]
    pub(crate) fn is_plain(&self) -> bool {
        self.identity.is_free() && self.is_calm()
    }

    /// The same but for what its user may do, which is to be checked for each.
    #[inline]
    pub(crate) fn is_limited_only(&self) -> bool {
        self.identity.is_authenticated() && self.is_calm()
    }

    #[inline]
    fn is_calm(&self) -> bool {
        self.multi.is_none()
            && self.replies == Replies::On
            && !self.no_touch
            && self.subscriptions.is_none()
            && self.tracked.is_none()
            && !self.is_monitor
    }

    /// Whether it may hold more than a client that sends requests and reads replies.
    #[inline]
    pub(crate) fn is_heavy(&self) -> bool {
        self.multi.is_some()
            || self.watches.is_some()
            || self.subscriptions.is_some()
            || self.tracked.is_some()
    }

    /// Bytes of memory that it holds beside the queue of MULTI: watches, subscriptions, tracking. What other structures keep of these
    /// is counted with them.
    pub(crate) fn memory_bytes(&self) -> usize {
        /// Of a watch: its own and the keyspace's record of it.
        const WATCH_BYTES: usize = size_of::<Watch>() + 64;
        let watches = self.watches.iter().flat_map(|watches| &watches.keys);
        let watches: usize = watches.map(|watch| WATCH_BYTES + 2 * watch.key.len()).sum();
        let subscriptions = self.subscriptions.as_ref();
        let prefixes = self.tracked.as_ref().map_or(0, |tracked| {
            size_of::<Tracked>() + tracked.tracker.memory_bytes()
        });
        watches + subscriptions.map_or(0, |subscriptions| subscriptions.memory_bytes()) + prefixes
    }

    /// Becomes another user.
    pub(crate) fn log_in(&mut self, identity: Identity) {
        let name = String::from_utf8_lossy(identity.user().name()).into_owned();
        self.info.names.lock().change().user = name;
        *self.info.account.lock() = Some(identity.account().clone());
        self.identity = identity;
    }

    /// Whether it may only subscribe, unsubscribe and the like: in RESP2 a message could not be told from a reply.
    pub(crate) fn is_restricted(&self) -> bool {
        self.subscriptions.is_some() && self.version == RespVersion::V2
    }

    /// To be called when the subscriptions have changed.
    pub(crate) fn subscriptions_changed(&mut self) {
        let count = |kind| {
            let subscriptions = self.subscriptions.as_ref();
            subscriptions.map_or(0, |subscriptions| subscriptions.len(kind))
        };
        for (kind, shown) in Kind::ALL.into_iter().zip(&self.info.subscriptions) {
            shown.store(count(kind) as u32, Relaxed);
        }
        self.subscriptions
            .take_if(|subscriptions| subscriptions.is_empty());
    }

    /// `RESET`: as when the connection was new. The watches have been taken out of the keyspace before,
    /// and subscriptions and tracking have ended.
    pub(crate) fn reset(&mut self, acl: &Acl) {
        let info = self.info.clone();
        *info.names.lock() = Default::default();
        *info.account.lock() = None;
        info.multi.store(-1, Relaxed);
        info.resp3.store(false, Relaxed);
        info.no_evict.store(false, Relaxed);
        info.no_touch.store(false, Relaxed);
        let written = self.written;
        *self = Self::new(info, self.slot, acl.newcomer());
        self.written = written;
        self.select(0);
    }

    /// `SELECT`. The number has been checked.
    pub(crate) fn select(&mut self, db: u32) {
        self.db = db;
        self.info.db.store(db, Relaxed);
    }
}

/// Whether a watched key has changed, or has expired since.
pub(crate) fn watches_broken(watches: &Watches, access: &Access<'_>) -> bool {
    watches.flag.is_set()
        || watches.keys.iter().any(|watch| {
            let db = access.db(watch.db);
            !watch.was_expired && db.is_expired(db.key(&watch.key))
        })
}
