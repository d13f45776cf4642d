//! Starting and stopping.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::thread::JoinHandle;

use djr_engine::{Engine, Executor};
use djr_storage::aof::FsyncPolicy;
use djr_storage::keyspace::{Keyspace, KeyspaceOptions};
use djr_storage::types::seed_member_hashes;

use crate::acl::Acl;
use crate::clients::Clients;
use crate::clock;
use crate::commands;
use crate::config::{self, Config};
use crate::error::{StartError, StopError};
use crate::listen::listen;
use crate::metrics::{self, MetricsServer};
use crate::persistence::Persistence;
use crate::pubsub::Directory;
use crate::shared::{Gate, Shared, WorkerHandle};
use crate::shutdown::{Shutdown, StopSignal};
use crate::snapshots::Snapshots;
use crate::stats::WorkerStats;
use crate::surroundings::{PidFile, tell_systemd};
use crate::worker::{Driver, Mailbox, Worker};

/// A load that takes no longer goes unnoticed.
const SHORT_LOAD: std::time::Duration = std::time::Duration::from_millis(300);

/// After this time it is tried again to switch the log on.
const SWITCH_RETRY: std::time::Duration = std::time::Duration::from_secs(5);

/// A running server. Dropping it stops it.
pub struct Server {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    control: Option<JoinHandle<()>>,
    /// `None` if it is not wanted.
    metrics: Option<MetricsServer>,
    addresses: Vec<SocketAddr>,
    /// `None` once the server has stopped.
    pid_file: Option<PidFile>,
}

/// Stops a server, from any thread.
#[derive(Clone)]
pub struct Stopper(Arc<Shared>);

impl Stopper {
    /// Asks the server to stop.
    pub fn stop(&self) {
        self.0.shutdown.request();
        self.0.wake_workers();
    }

    /// Stops the server as it is configured for this signal (`shutdown-on-sigterm`, `shutdown-on-sigint`). Takes as long as the last snapshot, if
    /// there is to be one. `false`: that could not be written, and the server goes on.
    pub fn stop_on(&self, signal: StopSignal) -> bool {
        self.0.end_on(signal)
    }

    /// Whether the program is to start again after the server has ended (`DEBUG RESTART`), and after what time.
    pub fn restart_after(&self) -> Option<std::time::Duration> {
        self.0.shutdown.restart_after()
    }

    /// Reads certificates and keys of TLS again, from their files. Where that fails the old ones stay, and the log says why.
    pub fn reload(&self) {
        if !self.0.tls.is_on() {
            return;
        }
        match self.0.tls.reload(&self.0.config.tls()) {
            Ok(()) => tracing::info!("TLS: certificates and keys have been read again"),
            Err(error) => tracing::warn!("TLS: the old certificates stay: {error}"),
        }
    }

    /// Whether the data set is still being recovered: nothing has been acknowledged to anyone.
    pub fn is_loading(&self) -> bool {
        self.0.gate.bits() & Gate::LOADING != 0
    }
}

impl Server {
    /// Listens, recovers the data set, and serves. Returns when everything is loaded; clients that come before are told so.
    pub fn start(config: Config) -> Result<Self, StartError> {
        Self::start_with(config, |_| {})
    }

    /// The same; passes on what stops the server before the data set is recovered, which may take long.
    pub fn start_with(
        config: Config,
        on_stopper: impl FnOnce(Stopper),
    ) -> Result<Self, StartError> {
        let dir = std::fs::canonicalize(config.dir()).map_err(|error| StartError::Dir {
            path: config.dir(),
            error,
        })?;
        tracing::info!(
            "DJR {} is starting, speaks Redis {}, PID: {}",
            env!("CARGO_PKG_VERSION"),
            crate::REDIS_VERSION,
            std::process::id()
        );
        for (loud, remark) in config.remarks() {
            if loud {
                tracing::warn!("{remark}");
            } else {
                tracing::info!("{remark}");
            }
        }
        let (listeners, addresses) = listen(&config)?;
        let metrics = metrics::bind(&config)
            .map_err(|(address, error)| StartError::Listen { address, error })?;
        let pid_file = PidFile::write(&config);
        let threads = config.threads();
        let drivers: Vec<Driver> = (0..threads)
            .map(|_| Driver::new())
            .collect::<Result<_, _>>()?;
        let registry = commands::renamed_registry(&config)?;
        let workers = drivers.iter().map(|driver| WorkerHandle {
            mailbox: Arc::new(Mailbox::new(driver.waker())),
            stats: Arc::new(WorkerStats::new(registry.id_count())),
            connections: AtomicU32::new(0),
            log_generation: AtomicU32::new(0),
        });
        // Once per process: a second server in it (tests, embedders) goes on with the first one's seed.
        seed_member_hashes((seed(), seed()));
        let shared = Arc::new(Shared {
            engine: Engine {
                keyspace: Keyspace::new(KeyspaceOptions {
                    dbs: config.databases(),
                    shards: shards_for(threads),
                    hash_seed: (seed(), seed()),
                }),
                registry,
                settings: Default::default(),
                scripts: Default::default(),
                functions: Default::default(),
            },
            server_commands: commands::runs(registry),
            persistence: Persistence::default(),
            snapshots: Snapshots::new(dir.clone()),
            loading: Default::default(),
            clients: Clients::default(),
            pubsub: Directory::new(),
            trackers: Default::default(),
            migrations: Default::default(),
            gate: Gate::default(),
            introspection: Default::default(),
            memory: Default::default(),
            workers: workers.collect(),
            started: clock::monotonic(),
            run_id: random_id(),
            replication_id: random_id().into(),
            shutdown: Shutdown::default(),
            port: addresses.first().map_or(0, SocketAddr::port),
            pause_until_ms: AtomicI64::new(0),
            pause_writes_only: AtomicBool::new(false),
            active_expire: AtomicBool::new(true),
            cron_paused: AtomicBool::new(false),
            peak_memory: AtomicU64::new(0),
            config,
            acl: Acl::new(commands::registry()),
            tls: Default::default(),
        });
        config::apply_all(&shared);
        let used = shared.used_memory();
        shared.memory.startup_bytes.store(used, Relaxed);
        let resident = crate::process::resident_bytes().unwrap_or_default() as usize;
        let resident = resident.saturating_sub(used);
        shared.memory.startup_resident.store(resident, Relaxed);
        load_users(&shared)?;
        if shared.config.tls_port().is_some() {
            let started = shared.tls.start(&shared.config.tls());
            started
                .map_err(|error| StartError::Tls(format!("Failed to configure TLS: {error}")))?;
        }
        shared.gate.set(Gate::LOADING);

        let mut server = Self {
            shared: shared.clone(),
            workers: Vec::new(),
            control: None,
            metrics: None,
            addresses,
            pid_file: Some(pid_file),
        };
        on_stopper(server.stopper());
        if !metrics.is_empty() {
            server.metrics = Some(MetricsServer::start(shared.clone(), metrics)?);
        }
        server.announce(&dir);
        // The first worker accepts for all of them.
        let mut listeners = Some(listeners);
        for (index, driver) in drivers.into_iter().enumerate() {
            let listeners = listeners.take().unwrap_or_default();
            let shared = shared.clone();
            let thread = std::thread::Builder::new().name(format!("djr-worker-{index}"));
            server.workers.push(thread.spawn(move || {
                wait_for_a_short_load(&shared);
                let mut executor = Executor::new(seed());
                executor.lookups = shared.workers[index].stats.lookups.clone();
                let _abort = AbortOnPanic;
                match Worker::new(shared.clone(), index, driver, listeners, executor) {
                    Ok(worker) => worker.run(),
                    Err(error) => {
                        tracing::error!("worker {index} could not start: {error}");
                        shared.shutdown.request();
                    }
                }
            })?);
        }
        shared.persistence.set_dir(dir);
        server.load()?;
        if let Some(log) = shared.log() {
            // CONFIG SET may have changed it meanwhile.
            log.set_policy(shared.config.append_fsync());
        }
        shared.gate.clear(Gate::LOADING);
        shared.wake_workers();
        crate::disposal::start();
        let for_control = shared.clone();
        let thread = std::thread::Builder::new().name("djr-control".into());
        server.control = Some(thread.spawn(move || control(&for_control))?);
        tracing::info!(
            "Ready to accept connections on {}",
            server.places().join(", ")
        );
        tell_systemd(
            &shared.config,
            "STATUS=Ready to accept connections\nREADY=1\n",
        );
        Ok(server)
    }

    /// Logs what this server is: once, for whoever reads the log first.
    fn announce(&self, dir: &Path) {
        let config = &self.shared.config;
        let durability = match (config.append_only(), config.append_fsync()) {
            (false, _) if config.save_points().is_empty() => {
                "appendonly no: the data is in memory only, and gone when the server ends".to_owned()
            }
            (false, _) => "appendonly no: the data is in snapshots, what changed since the last one is gone on a crash"
                .to_owned(),
            (true, FsyncPolicy::Always) => {
                "appendonly yes, fsync before each reply: nothing acknowledged is lost, not even on power failure".to_owned()
            }
            (true, FsyncPolicy::EverySec) => "appendonly yes, fsync every second: at most one second of writes is lost on \
                 power failure, nothing on a crash of the server"
                .to_owned(),
            (true, FsyncPolicy::No) => "appendonly yes, fsync when the system likes: some 30 seconds of writes may be lost on \
                 power failure, nothing on a crash of the server"
                .to_owned(),
        };
        tracing::info!(
            "Server initialized: {}; threads {}; data in {}; {durability}",
            self.places().join(", "),
            self.shared.workers.len(),
            dir.display(),
        );
        if let Some(file) = config.file() {
            tracing::info!("Configuration loaded from {}", file.display());
        }
    }

    /// Where clients find the server.
    fn places(&self) -> Vec<String> {
        let addresses = self.addresses.iter().map(SocketAddr::to_string);
        let socket = self.shared.config.unix_socket();
        addresses
            .chain(socket.map(|path| path.display().to_string()))
            .collect()
    }

    fn load(&self) -> Result<(), StartError> {
        let shared = &self.shared;
        shared.loading.begin();
        let began = clock::monotonic();
        if !shared.config.append_only() {
            let loaded = shared.persistence.load_snapshot(shared);
            if loaded.map_err(StartError::Recovery)? {
                tracing::info!(
                    "DB loaded from disk: {:.3} seconds",
                    (clock::monotonic() - began).as_secs_f64()
                );
            }
            return Ok(());
        }
        let loaded = shared.persistence.load(shared);
        loaded.map_err(StartError::Recovery)?;
        if let Some(report) = shared.persistence.report() {
            for line in report.to_string().lines() {
                tracing::info!("{line}");
            }
        }
        tracing::info!(
            "DB loaded from append only file: {:.3} seconds",
            (clock::monotonic() - began).as_secs_f64()
        );
        Ok(())
    }

    /// The addresses that are listened on. After [`Config::with_free_port`] the system has chosen the port.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Asks the server to stop. [`wait`](Self::wait) returns soon after.
    pub fn request_stop(&self) {
        self.stopper().stop();
    }

    /// A handle that stops the server from another thread (a signal handler, a test).
    pub fn stopper(&self) -> Stopper {
        Stopper(self.shared.clone())
    }

    /// Waits until the server has been asked to stop, and stops it. When this returns, everything acknowledged is durable,
    /// unless it is an error.
    pub fn wait(mut self) -> Result<(), StopError> {
        self.shared.shutdown.wait();
        self.finish()
    }

    /// As in Redis: a server with save points leaves a snapshot behind, unless it was told otherwise.
    fn save_at_the_end(&self) -> Result<(), StopError> {
        let shared = &self.shared;
        let wanted = match shared.shutdown.save() {
            Some(wanted) => wanted,
            None => !shared.config.save_points().is_empty(),
        };
        let is_loaded = shared.gate.bits() & Gate::LOADING == 0;
        if !wanted || !is_loaded {
            return Ok(());
        }
        tracing::info!("Saving the final RDB snapshot before exiting.");
        shared.snapshots.save_at_the_end(shared).map_err(|_| {
            tracing::error!(
                "Error trying to save the DB: what changed since the last snapshot is not in it"
            );
            StopError::Save
        })
    }

    fn finish(&mut self) -> Result<(), StopError> {
        let Some(pid_file) = self.pid_file.take() else {
            return Ok(());
        };
        tell_systemd(&self.shared.config, "STOPPING=1\n");
        self.request_stop();
        self.shared.snapshots.stop();
        if let Some(control) = &self.control {
            control.thread().unpark();
        }
        self.metrics = None;
        let mut result = Ok(());
        for thread in self.workers.drain(..).chain(self.control.take()) {
            if thread.join().is_err() {
                tracing::error!("a thread has ended by a panic");
                result = Err(StopError::Panic);
            }
        }
        crate::worker::give_back_undelivered(&self.shared);
        if let Err(error) = self.save_at_the_end() {
            result = Err(error);
        }
        let (well, closed) = self.shared.persistence.close();
        if !well {
            tracing::error!("the log's thread has ended by a panic");
            result = Err(StopError::Panic);
        }
        if let Err(error) = closed {
            tracing::error!("the append-only log could not be closed: {error}");
            result = Err(StopError::Log(error.to_string()));
        }
        if let Some(path) = self.shared.config.unix_socket()
            && let Err(error) = std::fs::remove_file(&path)
        {
            tracing::warn!("unix socket {}: {error}", path.display());
        }
        drop(pid_file);
        tracing::info!("DJR is now ready to exit, bye bye...");
        result
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // What went wrong is in the server's log.
        let _ = self.finish();
    }
}

/// The users of the configuration, or of the file of users.
fn load_users(shared: &Shared) -> Result<(), StartError> {
    let (lines, file) = (shared.config.users(), shared.config.acl_file());
    match file {
        Some(_) if !lines.is_empty() => Err(StartError::Users(
            "Configuring users both in the configuration file and in an ACL file ('aclfile') is not possible: which of them \
             counts could not be told. Define the users in one of the two places."
                .into(),
        )),
        Some(file) => match shared.acl.load(&file) {
            Ok(_) => Ok(()),
            Err(error) => Err(StartError::Users(error)),
        },
        None => shared.acl.define(lines).map_err(StartError::Users),
    }
}

/// Clients that come while a small data set is loaded just wait for it, as with Redis; only a long load is worth an error.
fn wait_for_a_short_load(shared: &Shared) {
    let began = clock::monotonic();
    while shared.gate.bits() & Gate::LOADING != 0
        && (clock::monotonic() - began) < SHORT_LOAD
        && !shared.shutdown.is_requested()
    {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

/// `tls-auto-reload-interval`.
fn reload_changed_certificates(shared: &Shared, looked: &mut std::time::Instant) {
    let interval = std::time::Duration::from_secs(shared.config.tls_auto_reload_interval());
    let now = clock::monotonic();
    if interval.is_zero() || now - *looked < interval {
        return;
    }
    *looked = now;
    match shared.tls.reload_if_changed(&shared.config.tls()) {
        Ok(true) => tracing::info!("TLS: the changed certificates have been read"),
        Ok(false) => {}
        Err(error) => tracing::warn!("TLS: the old certificates stay: {error}"),
    }
}

/// The thread for what is rare and slow.
fn control(shared: &Arc<Shared>) {
    let mut retry_at = clock::monotonic();
    let mut looked = clock::monotonic();
    while !shared.shutdown.is_requested() {
        std::thread::park_timeout(std::time::Duration::from_millis(200));
        if shared.cron_paused.load(Relaxed) {
            continue;
        }
        reload_changed_certificates(shared, &mut looked);
        if clock::monotonic() >= retry_at && !shared.persistence.follow_config(shared) {
            retry_at = clock::monotonic() + SWITCH_RETRY;
        }
        shared.snapshots.tick(shared);
        shared.watch_memory();
        djr_storage::table::tend_memory();
    }
}

/// Shards of the keyspace: so many that workers seldom meet, and no more, so that their heads stay in the cache.
fn shards_for(threads: usize) -> u32 {
    let shards = threads.saturating_mul(16).next_power_of_two();
    shards.clamp(16, 64) as u32
}

/// 40 random hexadecimal digits.
pub(crate) fn random_id() -> String {
    let digits = format!("{:016x}{:016x}{:016x}", seed(), seed(), seed());
    digits.chars().take(40).collect()
}

/// 64 random bits of the system.
fn seed() -> u64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    // The standard library seeds its hash maps from the system's random numbers.
    RandomState::new().build_hasher().finish()
}

/// A worker that has failed may hold shards, and its clients wait: nothing can go on. Whoever supervises the process starts it again, and what
/// was acknowledged is in the log.
struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!("a worker has failed (see standard error): the server ends");
            std::process::abort();
        }
    }
}
