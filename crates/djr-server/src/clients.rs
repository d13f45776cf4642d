//! The directory of all clients: what `CLIENT LIST` and `CLIENT KILL` see across workers.

use std::collections::BTreeMap;
use std::sync::atomic::{
    AtomicBool, AtomicI32, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed,
};
use std::sync::{Arc, LazyLock};

use djr_engine::blocking::Waiter;
use parking_lot::Mutex;

use crate::acl::Account;
use crate::tracking::Tracker;
use crate::worker::Peer;

/// What every worker may see of a client. Its own worker writes it, with plain stores.
pub(crate) struct ClientInfo {
    /// Never used twice.
    pub(crate) id: u64,
    /// The worker that serves it.
    pub(crate) worker: usize,
    /// The number of its connection there.
    pub(crate) slot: usize,
    pub(crate) fd: i32,
    pub(crate) peer: Peer,
    /// When it came, in milliseconds since 1970.
    pub(crate) created_ms: i64,
    /// When it last sent something, in milliseconds since 1970.
    pub(crate) active_ms: AtomicU64,
    pub(crate) db: AtomicU32,
    /// The id of the last command's declaration ([`djr_engine::command::Command::id`]); `u32::MAX` if none yet.
    pub(crate) last_command: AtomicU32,
    /// Commands so far.
    pub(crate) commands: AtomicU64,
    /// Bytes read and written so far.
    pub(crate) bytes_in: AtomicU64,
    pub(crate) bytes_out: AtomicU64,
    /// Bytes of requests that are not whole yet, and of replies not written yet.
    pub(crate) input_bytes: AtomicUsize,
    pub(crate) output_bytes: AtomicUsize,
    /// When it was weighed last: bytes that it takes in all, those of its queued transaction, and the sizes of its buffers.
    pub(crate) memory: AtomicUsize,
    pub(crate) input_capacity: AtomicUsize,
    pub(crate) output_capacity: AtomicUsize,
    pub(crate) multi_bytes: AtomicUsize,
    /// Commands queued by MULTI; -1 outside of it, as CLIENT LIST shows it.
    pub(crate) multi: AtomicI32,
    pub(crate) watching: AtomicU32,
    /// Channels, patterns and shard channels that it has subscribed to.
    pub(crate) subscriptions: [AtomicU32; 3],
    pub(crate) resp3: AtomicBool,
    /// `CLIENT TRACKING`.
    pub(crate) tracker: Mutex<Option<Arc<Tracker>>>,
    pub(crate) no_evict: AtomicBool,
    pub(crate) no_touch: AtomicBool,
    /// `CLIENT CAPA REDIRECT`.
    pub(crate) follows_redirects: AtomicBool,
    /// It is shown every command.
    pub(crate) is_monitor: AtomicBool,
    /// Its user; `None`: the one that connections begin as.
    pub(crate) account: Mutex<Option<Arc<Account>>>,
    /// The wait that it is in.
    pub(crate) waiter: Mutex<Option<Arc<Waiter>>>,
    pub(crate) names: Mutex<SaidNames>,
}

impl ClientInfo {
    /// Whether it is logged in as one of these users.
    pub(crate) fn is_any_of(&self, names: &[Box<[u8]>]) -> bool {
        let account = self.account.lock().clone();
        account.is_some_and(|account| names.contains(&account.user().name().into()))
    }

    /// Whether it has subscribed to anything.
    pub(crate) fn is_subscriber(&self) -> bool {
        self.subscriptions
            .iter()
            .any(|count| count.load(Relaxed) > 0)
    }
}

/// What a client has said about itself. Many say nothing, and take no memory for that.
#[derive(Default)]
pub(crate) struct SaidNames(Option<Box<Names>>);

impl SaidNames {
    pub(crate) fn get(&self) -> &Names {
        static UNSAID: LazyLock<Names> = LazyLock::new(Names::default);
        self.0.as_deref().unwrap_or(&UNSAID)
    }

    pub(crate) fn change(&mut self) -> &mut Names {
        self.0.get_or_insert_default()
    }
}

/// The names themselves.
#[derive(Clone)]
pub(crate) struct Names {
    /// `CLIENT SETNAME`.
    pub(crate) name: String,
    /// `CLIENT SETINFO`.
    pub(crate) lib_name: String,
    pub(crate) lib_version: String,
    /// The ACL user.
    pub(crate) user: String,
}

impl Default for Names {
    fn default() -> Self {
        Self {
            name: String::new(),
            lib_name: String::new(),
            lib_version: String::new(),
            user: "default".into(),
        }
    }
}

/// All clients, by id.
#[derive(Default)]
pub(crate) struct Clients {
    by_id: Mutex<BTreeMap<u64, Arc<ClientInfo>>>,
    next_id: AtomicU64,
    count: AtomicUsize,
}

impl Clients {
    /// The number of clients.
    pub(crate) fn len(&self) -> usize {
        self.count.load(Relaxed)
    }

    /// Adds a client; its id is new.
    pub(crate) fn add(
        &self,
        (worker, slot): (usize, usize),
        fd: i32,
        peer: Peer,
        now_ms: i64,
    ) -> Arc<ClientInfo> {
        let id = self.next_id.fetch_add(1, Relaxed) + 1;
        let info = Arc::new(ClientInfo {
            id,
            worker,
            slot,
            fd,
            peer,
            created_ms: now_ms,
            active_ms: AtomicU64::new(now_ms as u64),
            db: AtomicU32::new(0),
            last_command: AtomicU32::new(u32::MAX),
            commands: AtomicU64::new(0),
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
            input_bytes: AtomicUsize::new(0),
            output_bytes: AtomicUsize::new(0),
            memory: AtomicUsize::new(0),
            input_capacity: AtomicUsize::new(0),
            output_capacity: AtomicUsize::new(0),
            multi_bytes: AtomicUsize::new(0),
            multi: AtomicI32::new(-1),
            watching: AtomicU32::new(0),
            subscriptions: Default::default(),
            resp3: AtomicBool::new(false),
            tracker: Mutex::default(),
            no_evict: AtomicBool::new(false),
            no_touch: AtomicBool::new(false),
            follows_redirects: AtomicBool::new(false),
            is_monitor: AtomicBool::new(false),
            account: Mutex::default(),
            waiter: Mutex::default(),
            names: Mutex::default(),
        });
        self.by_id.lock().insert(id, info.clone());
        self.count.fetch_add(1, Relaxed);
        info
    }

    /// Removes a client that has gone, or is to go. Whether it was there.
    pub(crate) fn remove(&self, id: u64) -> bool {
        let was_there = self.by_id.lock().remove(&id).is_some();
        if was_there {
            self.count.fetch_sub(1, Relaxed);
        }
        was_there
    }

    /// A client by its id.
    pub(crate) fn get(&self, id: u64) -> Option<Arc<ClientInfo>> {
        self.by_id.lock().get(&id).cloned()
    }

    /// All clients, oldest first.
    pub(crate) fn all(&self) -> Vec<Arc<ClientInfo>> {
        self.by_id.lock().values().cloned().collect()
    }
}
