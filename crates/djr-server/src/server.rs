//! Starting and stopping.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64};
use std::thread::JoinHandle;

use djr_engine::{Engine, Executor};
use djr_storage::aof::AofConfig;
use djr_storage::keyspace::{Keyspace, KeyspaceOptions};
use mio::net::{TcpListener, UnixListener};

use crate::clients::Clients;
use crate::clock;
use crate::commands;
use crate::config::Config;
use crate::persistence::Persistence;
use crate::shared::{Gate, Shared, Shutdown, WorkerHandle};
use crate::stats::WorkerStats;
use crate::worker::{Driver, Listener, Mailbox, Worker};

/// A running server. Dropping it stops it.
pub struct Server {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    log_thread: Option<JoinHandle<()>>,
    control: Option<JoinHandle<()>>,
    addresses: Vec<SocketAddr>,
    finished: bool,
}

/// Why a server could not start. `Display` is a sentence for people.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// An address can't be listened on.
    #[error("could not listen on {address}: {error}")]
    Listen {
        /// Which.
        address: String,
        /// Why.
        error: io::Error,
    },
    /// The system refused something that every server needs.
    #[error("could not start: {0}")]
    System(#[from] io::Error),
    /// The data directory is not usable.
    #[error("the data directory {path} is not usable: {error}")]
    Dir {
        /// Which.
        path: String,
        /// Why.
        error: io::Error,
    },
    /// The data set could not be recovered.
    #[error("{0}")]
    Recovery(String),
}

impl Server {
    /// Listens, recovers the data set, and serves. Returns when everything is loaded; clients that come before are told so.
    pub fn start(config: Config) -> Result<Self, StartError> {
        let dir = std::fs::canonicalize(&config.dir).map_err(|error| StartError::Dir {
            path: config.dir.display().to_string(),
            error,
        })?;
        let (listeners, addresses) = listen(&config)?;
        let threads = config.threads.max(1);
        let drivers: Vec<Driver> = (0..threads)
            .map(|_| Driver::new())
            .collect::<Result<_, _>>()?;
        let registry = commands::registry();
        let workers = drivers.iter().map(|driver| WorkerHandle {
            mailbox: Arc::new(Mailbox::new(driver.waker())),
            stats: Arc::new(WorkerStats::new(registry.id_count())),
            connections: AtomicU32::new(0),
        });
        let shared = Arc::new(Shared {
            engine: Engine {
                keyspace: Keyspace::new(KeyspaceOptions {
                    dbs: config.databases,
                    hash_seed: (seed(), seed()),
                    ..KeyspaceOptions::default()
                }),
                registry,
                settings: Default::default(),
                scripts: Default::default(),
            },
            server_commands: commands::runs(registry),
            persistence: Persistence::default(),
            clients: Clients::default(),
            gate: Gate::default(),
            workers: workers.collect(),
            started: clock::monotonic(),
            started_ms: clock::unix_millis(),
            run_id: (0..3)
                .map(|_| format!("{:016x}", seed()))
                .collect::<String>()[..40]
                .to_owned(),
            shutdown: Shutdown::default(),
            port: addresses.first().map_or(0, SocketAddr::port),
            pause_until_ms: AtomicI64::new(0),
            pause_writes_only: AtomicBool::new(false),
            active_expire: AtomicBool::new(true),
            peak_memory: AtomicU64::new(0),
            config,
        });
        shared.gate.set(Gate::LOADING);

        let mut server = Self {
            shared: shared.clone(),
            workers: Vec::new(),
            log_thread: None,
            control: None,
            addresses,
            finished: false,
        };
        // The first worker accepts for all of them.
        let mut listeners = Some(listeners);
        for (index, driver) in drivers.into_iter().enumerate() {
            let listeners = listeners.take().unwrap_or_default();
            let shared = shared.clone();
            let thread = std::thread::Builder::new().name(format!("djr-worker-{index}"));
            server.workers.push(thread.spawn(move || {
                let mut executor = Executor::new(seed());
                executor.lookups = shared.workers[index].stats.lookups.clone();
                match Worker::new(shared.clone(), index, driver, listeners, executor) {
                    Ok(worker) => worker.run(),
                    Err(error) => {
                        tracing::error!("worker {index} could not start: {error}");
                        shared.shutdown.request();
                    }
                }
            })?);
        }
        server.load(dir)?;
        shared.gate.clear(Gate::LOADING);
        shared.wake_workers();
        let for_control = shared.clone();
        let thread = std::thread::Builder::new().name("djr-control".into());
        server.control = Some(thread.spawn(move || control(&for_control))?);
        Ok(server)
    }

    fn load(&mut self, dir: std::path::PathBuf) -> Result<(), StartError> {
        let shared = &self.shared;
        if !shared.config.append_only {
            return Ok(());
        }
        let config = AofConfig {
            policy: shared.config.append_fsync,
            ..AofConfig::new(dir)
        };
        let mailboxes: Vec<_> = shared
            .workers
            .iter()
            .map(|worker| worker.mailbox.clone())
            .collect();
        let wake = Box::new(move |_| mailboxes.iter().for_each(|mailbox| mailbox.wake()));
        let began = clock::monotonic();
        let report = shared
            .persistence
            .load(&shared.engine, config, shared.config.aof_repair, true, wake)
            .map_err(StartError::Recovery)?;
        for line in report.to_string().lines() {
            tracing::info!("{line}");
        }
        tracing::info!(
            "DB loaded from append only file: {:.3} seconds",
            (clock::monotonic() - began).as_secs_f64()
        );
        let for_log = shared.clone();
        let thread = std::thread::Builder::new().name("djr-log".into());
        self.log_thread = Some(thread.spawn(move || for_log.persistence.run(&for_log))?);
        Ok(())
    }

    /// The addresses that are listened on. With port 0 in the configuration the system has chosen one.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Asks the server to stop. [`wait`](Self::wait) returns soon after.
    pub fn request_stop(&self) {
        self.shared.shutdown.request();
        self.shared.wake_workers();
    }

    /// A handle that stops the server from another thread (a signal handler, a test).
    pub fn stopper(&self) -> impl Fn() + Send + Sync + 'static {
        let shared = self.shared.clone();
        move || {
            shared.shutdown.request();
            shared.wake_workers();
        }
    }

    /// Waits until the server has been asked to stop, and stops it.
    pub fn wait(mut self) {
        self.shared.shutdown.wait();
        self.finish();
    }

    /// Ends everything, once.
    fn finish(&mut self) {
        if std::mem::replace(&mut self.finished, true) {
            return;
        }
        self.request_stop();
        for thread in self.workers.drain(..).chain(self.control.take()) {
            if thread.join().is_err() {
                tracing::error!("a thread has ended by a panic");
            }
        }
        if let Some(log) = self.shared.log() {
            log.stop();
            if let Some(thread) = self.log_thread.take()
                && thread.join().is_err()
            {
                tracing::error!("the log's thread has ended by a panic");
            }
            match log.close() {
                Ok(()) => tracing::info!("the append-only log is complete and durable"),
                Err(error) => tracing::error!("the append-only log could not be closed: {error}"),
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.finish();
    }
}

/// The thread for what is rare and slow.
fn control(shared: &Shared) {
    while !shared.shutdown.is_requested() {
        std::thread::park_timeout(std::time::Duration::from_millis(200));
        shared.persistence.compact_if_due(shared, 100, 64 << 20);
    }
}

/// 64 random bits of the system.
fn seed() -> u64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    // The standard library seeds its hash maps from the system's random numbers.
    RandomState::new().build_hasher().finish()
}

fn listen(config: &Config) -> Result<(Vec<Listener>, Vec<SocketAddr>), StartError> {
    let mut listeners = Vec::new();
    let mut addresses = Vec::new();
    for host in &config.bind {
        // Redis: a leading '-' means that it is no error if the address does not exist.
        let (host, may_be_absent) = match host.strip_prefix('-') {
            Some(host) => (host, true),
            None => (host.as_str(), false),
        };
        let host = if host == "*" { "0.0.0.0" } else { host };
        let failed = |error| StartError::Listen {
            address: format!("{host}:{}", config.port),
            error,
        };
        let resolved = (host, config.port).to_socket_addrs().map_err(failed)?;
        for address in resolved {
            match listen_tcp(address) {
                Ok(listener) => {
                    addresses.push(listener.local_addr()?);
                    listeners.push(Listener::Tcp(listener));
                }
                Err(error) if may_be_absent && error.kind() == io::ErrorKind::AddrNotAvailable => {}
                Err(error) => return Err(failed(error)),
            }
        }
    }
    if let Some(path) = &config.unix_socket {
        let failed = |error| StartError::Listen {
            address: path.clone(),
            error,
        };
        // A socket that an earlier server left behind is in the way.
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let listener = UnixListener::bind(path).map_err(failed)?;
        listeners.push(Listener::Unix {
            listener,
            path: path.clone(),
        });
    }
    Ok((listeners, addresses))
}

fn listen_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(511)?;
    socket.set_nonblocking(true)?;
    Ok(TcpListener::from_std(socket.into()))
}
