//! What all threads of a server share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::time::Instant;

use djr_engine::Engine;
use djr_engine::command::Command;
use djr_storage::aof::Log;
use parking_lot::Mutex;

use crate::acl::Acl;
use crate::clients::Clients;
use crate::commands::{Migrations, ServerRun};
use crate::config::Config;
use crate::introspection::{Distribution, Introspection, Totals};
use crate::loading::LoadState;
use crate::memory::Memory;
use crate::persistence::Persistence;
use crate::pubsub::Directory;
use crate::shutdown::Shutdown;
use crate::snapshots::Snapshots;
use crate::stats::WorkerStats;
use crate::tls::Tls;
use crate::tracking::Trackers;
use crate::worker::Mailbox;

/// Everything that is one per server.
pub(crate) struct Shared {
    pub(crate) engine: Engine,
    /// What runs each of the server's own commands, by [`Command::id`].
    pub(crate) server_commands: Vec<Option<ServerRun>>,
    pub(crate) config: Config,
    pub(crate) acl: Acl,
    pub(crate) tls: Tls,
    pub(crate) persistence: Persistence,
    pub(crate) snapshots: Snapshots,
    pub(crate) loading: LoadState,
    pub(crate) clients: Clients,
    pub(crate) pubsub: Directory,
    pub(crate) trackers: Trackers,
    pub(crate) migrations: Migrations,
    pub(crate) gate: Gate,
    pub(crate) introspection: Introspection,
    pub(crate) memory: Memory,
    pub(crate) workers: Vec<WorkerHandle>,
    pub(crate) started: Instant,
    /// 40 hexadecimal digits, new at each start.
    pub(crate) run_id: String,
    /// 40 hexadecimal digits that name the history of the data set.
    pub(crate) replication_id: Mutex<String>,
    pub(crate) shutdown: Shutdown,
    /// The port that is listened on; 0 for none.
    pub(crate) port: u16,
    /// `CLIENT PAUSE`: until when (milliseconds since 1970), and whether reads go on.
    pub(crate) pause_until_ms: AtomicI64,
    pub(crate) pause_writes_only: AtomicBool,
    /// Whether `DEBUG SET-ACTIVE-EXPIRE` has left the active expiry on.
    pub(crate) active_expire: AtomicBool,
    /// `DEBUG PAUSE-CRON`: nothing periodic is done.
    pub(crate) cron_paused: AtomicBool,
    /// The most clients there were at once, and bytes of keyspace, for INFO.
    pub(crate) peak_memory: AtomicU64,
}

/// How the other threads reach a worker.
pub(crate) struct WorkerHandle {
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) stats: Arc<WorkerStats>,
    /// Connections that it has been given and that have not ended: the next one goes where there are fewest.
    pub(crate) connections: AtomicU32,
    /// Which [`Persistence::generation`] it has seen: what it appends to.
    pub(crate) log_generation: AtomicU32,
}

/// Reasons for looking twice before a command runs. While no bit is set, plain sessions run their data commands at once.
#[derive(Default)]
pub(crate) struct Gate(AtomicU32);

// No two reasons share a bit.
const _: () = assert!(
    (Gate::LOADING
        + Gate::MISCONF
        + Gate::PAUSED
        + Gate::BUSY
        + Gate::MEMORY
        + Gate::SAVE_FAILED
        + Gate::MONITORED)
        .count_ones()
        == 7
);

impl Gate {
    /// The data set is being loaded.
    pub(crate) const LOADING: u32 = 1;
    /// The log has failed: writes are refused.
    pub(crate) const MISCONF: u32 = 2;
    /// `CLIENT PAUSE`.
    pub(crate) const PAUSED: u32 = 4;
    /// A script runs too long.
    pub(crate) const BUSY: u32 = 8;
    /// There is a limit of memory. A worker's own copy has it only in turns in which a limit is near.
    pub(crate) const MEMORY: u32 = 16;
    /// Snapshots fail: writes are refused.
    pub(crate) const SAVE_FAILED: u32 = 32;
    /// Somebody is shown every command.
    pub(crate) const MONITORED: u32 = 64;

    /// The bits that are set.
    #[inline]
    pub(crate) fn bits(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn set(&self, bit: u32) {
        self.0.fetch_or(bit, Ordering::SeqCst);
    }

    /// As [`set`](Self::set). `false`: it was set already.
    pub(crate) fn claim(&self, bit: u32) -> bool {
        self.0.fetch_or(bit, Ordering::SeqCst) & bit == 0
    }

    pub(crate) fn clear(&self, bit: u32) {
        self.0.fetch_and(!bit, Ordering::SeqCst);
    }
}

impl Shared {
    /// The function of one of the server's own commands.
    pub(crate) fn server_run(&self, command: &Command) -> Option<ServerRun> {
        self.server_commands.get(command.id).copied().flatten()
    }

    /// The append-only log, if there is one.
    pub(crate) fn log(&self) -> Option<Arc<Log>> {
        self.persistence.log()
    }

    /// How long the calls of a command took, by its id.
    pub(crate) fn distribution(&self, command: usize) -> Distribution {
        let mut sum = Distribution::default();
        let stats = self.workers.iter().map(|worker| &worker.stats.commands);
        let histograms = stats.filter_map(|commands| commands.get(command)?.counted());
        histograms.for_each(|histogram| sum.add(histogram));
        sum
    }

    /// What all workers have counted so far.
    pub(crate) fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for worker in &self.workers {
            let stats = &worker.stats;
            let calls = stats.commands.iter().map(|command| command.calls.get());
            totals.commands += calls.sum::<u64>();
            totals.bytes_in += stats.bytes_in.get();
            totals.bytes_out += stats.bytes_out.get();
        }
        totals
    }

    /// Changes of the data set since the start.
    pub(crate) fn changes(&self) -> u64 {
        let workers = self.workers.iter();
        workers.map(|worker| worker.stats.changes.get()).sum()
    }

    /// The `user` lines that a configuration file needs: none, where they are in a file of their own, or nothing is said that
    /// `requirepass` does not say.
    pub(crate) fn users_to_configure(&self) -> Vec<Vec<u8>> {
        if self.config.acl_file().is_some() || self.acl.is_plain(&self.config.password()) {
            return Vec::new();
        }
        self.acl.lines()
    }

    /// Gives the history of the data set another name.
    pub(crate) fn change_replication_id(&self) {
        *self.replication_id.lock() = crate::server::random_id();
    }

    /// Wakes every worker.
    pub(crate) fn wake_workers(&self) {
        self.workers.iter().for_each(|worker| worker.mailbox.wake());
    }
}
