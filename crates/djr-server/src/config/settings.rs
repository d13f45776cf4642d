//! What the server reads of the configuration: the values under names and in types of their own.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use djr_engine::glob;
use djr_engine::registry::Rename;
use djr_protocol::Limits;
use djr_storage::aof::FsyncPolicy;
use djr_storage::keyspace::MemoryClass;
use djr_storage::value::parse_integer;

use super::Config;
use super::table::{Id, Number, Words};
use super::value::{Value, memory};
use crate::shutdown::StopSignal;
use crate::tls::{ClientCertificates, NameFrom, Settings};
use crate::worker::{Peer, Stream};

const ENABLE_DEBUG: Number = Number::of("enable-debug-command");
const MAXMEMORY: Number = Number::of("maxmemory");
const MAXMEMORY_POLICY: Number = Number::of("maxmemory-policy");
const EVICTION_TENACITY: Number = Number::of("maxmemory-eviction-tenacity");
const ACTIVE_DEFRAG: Number = Number::of("activedefrag");
const DEFRAG_IGNORE: Number = Number::of("active-defrag-ignore-bytes");
const DEFRAG_LOWER: Number = Number::of("active-defrag-threshold-lower");
const DEFRAG_UPPER: Number = Number::of("active-defrag-threshold-upper");
const DEFRAG_MIN: Number = Number::of("active-defrag-cycle-min");
const DEFRAG_MAX: Number = Number::of("active-defrag-cycle-max");
const DEFRAG_SLICE: Number = Number::of("active-defrag-cycle-us");
const MAXMEMORY_CLIENTS: Words = Words::of("maxmemory-clients");
const MEMORY_CLASSES: Words = Words::of("memory-class");
const RESERVE: Number = Number::of("maxmemory-reserve");
const RESERVE_KEYS: Words = Words::of("maxmemory-reserve-keys");
const HZ: Number = Number::of("hz");
const BACKLOG_SIZE: Number = Number::of("repl-backlog-size");
const METRICS_PORT: Number = Number::of("metrics-port");
const METRICS_BIND: Words = Words::of("metrics-bind");
const BIND: Words = Words::of("bind");
pub(super) const PORT: Number = Number::of("port");
const UNIX_SOCKET: Words = Words::of("unixsocket");
const UNIX_SOCKET_MODE: Number = Number::of("unixsocketperm");
const ACL_FILE: Words = Words::of("aclfile");
const ACL_LOG_LEN_MAX: Number = Number::of("acllog-max-len");
const ACL_PUBSUB_DEFAULT: Number = Number::of("acl-pubsub-default");
const TLS_PORT: Number = Number::of("tls-port");
const TLS_CERT_FILE: Words = Words::of("tls-cert-file");
const TLS_KEY_FILE: Words = Words::of("tls-key-file");
const TLS_KEY_FILE_PASS: Words = Words::of("tls-key-file-pass");
const TLS_CA_CERT_FILE: Words = Words::of("tls-ca-cert-file");
const TLS_CA_CERT_DIR: Words = Words::of("tls-ca-cert-dir");
const TLS_AUTH_CLIENTS: Number = Number::of("tls-auth-clients");
const TLS_AUTH_CLIENTS_USER: Number = Number::of("tls-auth-clients-user");
const TLS_AUTO_RELOAD_INTERVAL: Number = Number::of("tls-auto-reload-interval");
const TLS_PROTOCOLS: Words = Words::of("tls-protocols");
const TLS_CIPHERS: Words = Words::of("tls-ciphers");
const TLS_CIPHER_SUITES: Words = Words::of("tls-ciphersuites");
const TLS_PREFER_SERVER_CIPHERS: Number = Number::of("tls-prefer-server-ciphers");
const TLS_SESSION_CACHING: Number = Number::of("tls-session-caching");
const TLS_SESSION_CACHE_SIZE: Number = Number::of("tls-session-cache-size");
const TCP_BACKLOG: Number = Number::of("tcp-backlog");
const TIMEOUT: Number = Number::of("timeout");
const TCP_KEEPALIVE: Number = Number::of("tcp-keepalive");
const MAXCLIENTS: Number = Number::of("maxclients");
const NEW_CONNECTIONS: Number = Number::of("max-new-connections-per-cycle");
const NEW_TLS_CONNECTIONS: Number = Number::of("max-new-tls-connections-per-cycle");
const PROTECTED_MODE: Number = Number::of("protected-mode");
const PASSWORD: Words = Words::of("requirepass");
pub(super) const THREADS: Number = Number::of("threads");
const DATABASES: Number = Number::of("databases");
const PIDFILE: Words = Words::of("pidfile");
const SUPERVISED: Number = Number::of("supervised");
const LOGLEVEL: Number = Number::of("loglevel");
const LOG_FORMAT: Number = Number::of("log-format");
const LOG_TIMESTAMP_FORMAT: Number = Number::of("log-timestamp-format");
const LOGFILE: Words = Words::of("logfile");
const SHUTDOWN_ON_SIGINT: Words = Words::of("shutdown-on-sigint");
const SHUTDOWN_ON_SIGTERM: Words = Words::of("shutdown-on-sigterm");
const DAEMONIZE: Number = Number::of("daemonize");
const SYSLOG_ENABLED: Number = Number::of("syslog-enabled");
const SYSLOG_IDENT: Words = Words::of("syslog-ident");
const SYSLOG_FACILITY: Number = Number::of("syslog-facility");
const BULK_LEN_MAX: Number = Number::of("proto-max-bulk-len");
const QUERY_BUFFER_LIMIT: Number = Number::of("client-query-buffer-limit");
pub(super) const OUTPUT_LIMITS: Words = Words::of("client-output-buffer-limit");
pub(super) const DIR: Words = Words::of("dir");
pub(super) const APPEND_ONLY: Number = Number::of("appendonly");
const LATENCY_PERCENTILES: Number = Number::of("latency-tracking-info-percentiles");
pub(super) const APPEND_FSYNC: Number = Number::of("appendfsync");
const APPEND_DIR_NAME: Words = Words::of("appenddirname");
const APPEND_FILE_NAME: Words = Words::of("appendfilename");
const DB_FILE_NAME: Words = Words::of("dbfilename");
const RDB_CHECKSUM: Number = Number::of("rdbchecksum");
const REWRITE_PERCENTAGE: Number = Number::of("auto-aof-rewrite-percentage");
const REWRITE_MIN_SIZE: Number = Number::of("auto-aof-rewrite-min-size");
const SAVE: Words = Words::of("save");
const STOP_WRITES_ON_SAVE_ERROR: Number = Number::of("stop-writes-on-bgsave-error");
const RDB_COMPRESSION: Number = Number::of("rdbcompression");
const RDB_INCREMENTAL_FSYNC: Number = Number::of("rdb-save-incremental-fsync");
const AOF_INCREMENTAL_FSYNC: Number = Number::of("aof-rewrite-incremental-fsync");
const AOF_RDB_PREAMBLE: Number = Number::of("aof-use-rdb-preamble");
const LOAD_TRUNCATED: Number = Number::of("aof-load-truncated");
const KEY_LOAD_DELAY: Number = Number::of("key-load-delay");
const TIMESTAMPS: Number = Number::of("aof-timestamp-enabled");

/// In the order of the choices of `appendfsync`.
pub(super) const FSYNC_POLICIES: [FsyncPolicy; 3] =
    [FsyncPolicy::EverySec, FsyncPolicy::Always, FsyncPolicy::No];

/// When replies that wait for a client are too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OutputLimit {
    /// At so many bytes at once; 0: never.
    pub(crate) hard: u64,
    /// Above so many bytes for longer than `soft_ms`; 0: never.
    pub(crate) soft: u64,
    pub(crate) soft_ms: u64,
}

impl OutputLimit {
    /// Whether there is any.
    pub(crate) fn exists(&self) -> bool {
        self.hard > 0 || self.soft > 0
    }

    /// The hard limit, as good as none where there is none.
    pub(crate) fn hard_or_none(&self) -> usize {
        match self.hard {
            0 => usize::MAX,
            hard => usize::try_from(hard).unwrap_or(usize::MAX),
        }
    }

    /// Whether a client with so many bytes of replies waiting has too many. `above_since_ms` is when they came above the
    /// soft limit, 0 if they are not.
    pub(crate) fn is_exceeded(&self, bytes: u64, above_since_ms: &mut i64, now_ms: i64) -> bool {
        if self.hard > 0 && bytes >= self.hard {
            return true;
        }
        if self.soft == 0 || bytes < self.soft {
            *above_since_ms = 0;
            return false;
        }
        if *above_since_ms == 0 {
            *above_since_ms = now_ms;
        }
        now_ms.saturating_sub(*above_since_ms) > i64::try_from(self.soft_ms).unwrap_or(i64::MAX)
    }
}

/// How entries are moved together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DefragSettings {
    pub(crate) is_on: bool,
    /// Waste that is tolerated.
    pub(crate) ignored_bytes: usize,
    /// Percentages of waste at which it begins, and at which it takes the most time.
    pub(crate) lower: f64,
    pub(crate) upper: f64,
    /// The least and the greatest share of a worker's time.
    pub(crate) cycle_min: f64,
    pub(crate) cycle_max: f64,
    /// The time that it takes at once.
    pub(crate) slice: Duration,
}

impl Config {
    /// The value of a parameter as `CONFIG GET` shows it; `None` if there is no such parameter.
    pub fn get(&self, name: &str) -> Option<String> {
        Id::find(name.as_bytes()).map(|id| String::from_utf8_lossy(&self.print(id)).into_owned())
    }

    /// The data directory.
    pub fn dir(&self) -> PathBuf {
        OsStr::from_bytes(&self.bytes(DIR)).into()
    }

    /// The file that the configuration was read from, with its full path.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// The form of the log's lines, by its place in the choices of `log-format`.
    pub(crate) fn log_format(&self) -> u8 {
        self.number(LOG_FORMAT) as u8
    }

    /// The form of the times in the log, by its place in the choices of `log-timestamp-format`.
    pub(crate) fn log_timestamp_format(&self) -> u8 {
        self.number(LOG_TIMESTAMP_FORMAT) as u8
    }

    /// What `shutdown-on-sigterm` or `shutdown-on-sigint` says: words with a blank between them.
    pub(crate) fn shutdown_on(&self, signal: StopSignal) -> String {
        let parameter = match signal {
            StopSignal::Terminate => SHUTDOWN_ON_SIGTERM,
            StopSignal::Interrupt => SHUTDOWN_ON_SIGINT,
        };
        String::from_utf8_lossy(&self.print(parameter.0)).into_owned()
    }

    /// Where log lines go; `None`: to standard output.
    pub fn logfile(&self) -> Option<PathBuf> {
        self.path(LOGFILE)
    }

    /// How much is logged: 0 (debug) to 4 (nothing), in the order of the words of `loglevel`.
    pub fn loglevel(&self) -> u8 {
        self.number(LOGLEVEL) as u8
    }

    /// Whether the server is to run in the background.
    pub fn daemonize(&self) -> bool {
        // Who supervises it wants to see it.
        self.is(DAEMONIZE) && !self.tells_systemd()
    }

    /// The name in syslog and the number of the facility; `None`: nothing goes there.
    pub(crate) fn syslog(&self) -> Option<(String, u8)> {
        // The choices: user (1), then local0 (16) and those behind it.
        let facility = match self.number(SYSLOG_FACILITY) {
            0 => 1,
            local => 15 + local as u8,
        };
        self.is(SYSLOG_ENABLED)
            .then(|| (self.string(SYSLOG_IDENT), facility))
    }

    /// The addresses to listen on.
    pub(crate) fn bind(&self) -> Vec<String> {
        self.string(BIND)
            .split_ascii_whitespace()
            .map(str::to_owned)
            .collect()
    }

    /// `hz`, which changes nothing.
    pub(crate) fn hz(&self) -> i64 {
        self.number(HZ)
    }

    /// `repl-backlog-size`.
    pub(crate) fn backlog_size(&self) -> i64 {
        self.number(BACKLOG_SIZE)
    }

    /// The port of `/metrics`, if it is wanted.
    pub(crate) fn metrics_port(&self) -> Option<u16> {
        let port = u16::try_from(self.number(METRICS_PORT)).ok();
        port.filter(|port| *port != 0)
    }

    /// The addresses that it is on.
    pub(crate) fn metrics_bind(&self) -> Vec<String> {
        let addresses = self.string(METRICS_BIND);
        addresses
            .split_ascii_whitespace()
            .map(str::to_owned)
            .collect()
    }

    /// The port to listen on. `Some(0)`: any that is free; `None`: none.
    pub(crate) fn port(&self) -> Option<u16> {
        match self.number(PORT) {
            _ if self.free_port => Some(0),
            0 => None,
            port => u16::try_from(port).ok(),
        }
    }

    pub(crate) fn unix_socket(&self) -> Option<PathBuf> {
        self.path(UNIX_SOCKET)
    }

    /// The mode of the Unix socket's file; `None`: as the umask makes it.
    pub(crate) fn unix_socket_mode(&self) -> Option<u32> {
        u32::try_from(self.number(UNIX_SOCKET_MODE))
            .ok()
            .filter(|mode| *mode != 0)
    }

    pub(crate) fn tcp_backlog(&self) -> i32 {
        self.number(TCP_BACKLOG) as i32
    }

    pub(crate) fn threads(&self) -> usize {
        self.number(THREADS).max(1) as usize
    }

    pub(crate) fn databases(&self) -> u32 {
        self.number(DATABASES) as u32
    }

    pub(crate) fn pidfile(&self) -> Option<PathBuf> {
        self.path(PIDFILE)
    }

    /// Whether systemd is told that the server is ready, if it asks for it.
    pub(crate) fn tells_systemd(&self) -> bool {
        matches!(self.number(SUPERVISED), 1 | 2)
    }

    /// Whether this client may use DEBUG: `enable-debug-command`.
    pub(crate) fn allows_debug(&self, peer: &Peer) -> bool {
        match self.print(ENABLE_DEBUG.0).as_slice() {
            b"yes" => true,
            b"local" => peer.is_local(),
            _ => false,
        }
    }

    /// The path of the configuration file; empty if there is none.
    pub(crate) fn file_name(&self) -> String {
        let file = self.file.as_ref();
        file.map_or_else(String::new, |file| file.display().to_string())
    }

    /// `maxmemory`, in bytes; 0: no limit.
    pub(crate) fn maxmemory(&self) -> u64 {
        self.number(MAXMEMORY).max(0) as u64
    }

    /// `activedefrag` and its thresholds.
    pub(crate) fn defrag(&self) -> DefragSettings {
        let number = |number| self.number(number) as f64;
        DefragSettings {
            is_on: self.is(ACTIVE_DEFRAG),
            ignored_bytes: usize::try_from(self.number(DEFRAG_IGNORE)).unwrap_or(usize::MAX),
            lower: number(DEFRAG_LOWER),
            upper: number(DEFRAG_UPPER),
            cycle_min: number(DEFRAG_MIN) / 100.0,
            cycle_max: number(DEFRAG_MAX) / 100.0,
            slice: Duration::from_micros(self.number(DEFRAG_SLICE).max(0) as u64),
        }
    }

    /// `maxmemory-clients` in bytes; 0: no limit.
    pub(crate) fn maxmemory_clients(&self) -> u64 {
        let text = self.bytes(MAXMEMORY_CLIENTS);
        match text.strip_suffix(b"%") {
            Some(percent) => {
                let percent = parse_integer(percent).unwrap_or_default().clamp(0, 100);
                (u128::from(self.maxmemory()) * percent as u128 / 100) as u64
            }
            None => memory(&text).unwrap_or_default(),
        }
    }

    /// `memory-class`.
    pub(crate) fn memory_classes(&self) -> Vec<MemoryClass> {
        crate::memory::classes::parse(&self.bytes(MEMORY_CLASSES))
    }

    /// `maxmemory-eviction-tenacity`.
    pub(crate) fn eviction_tenacity(&self) -> i64 {
        self.number(EVICTION_TENACITY)
    }

    /// `maxmemory-reserve`.
    pub(crate) fn reserve_percent(&self) -> u32 {
        self.number(RESERVE).clamp(0, 100) as u32
    }

    /// Whether the reserve is for a key (`maxmemory-reserve-keys`).
    pub(crate) fn is_reserve_key(&self, key: &[u8]) -> bool {
        let patterns = self.bytes(RESERVE_KEYS);
        let mut patterns = patterns.split(|byte| *byte == b' ');
        patterns.any(|pattern| !pattern.is_empty() && glob::matches(pattern, key))
    }

    /// `maxmemory-policy`.
    pub(crate) fn maxmemory_policy(&self) -> String {
        String::from_utf8_lossy(&self.print(MAXMEMORY_POLICY.0)).into_owned()
    }

    pub(crate) fn append_only(&self) -> bool {
        self.is(APPEND_ONLY)
    }

    pub(crate) fn append_fsync(&self) -> FsyncPolicy {
        let index = self.number(APPEND_FSYNC) as usize;
        FSYNC_POLICIES
            .get(index)
            .copied()
            .unwrap_or(FsyncPolicy::Always)
    }

    pub(crate) fn append_dir_name(&self) -> String {
        self.string(APPEND_DIR_NAME)
    }

    pub(crate) fn append_file_name(&self) -> String {
        self.string(APPEND_FILE_NAME)
    }

    pub(crate) fn db_file_name(&self) -> String {
        self.string(DB_FILE_NAME)
    }

    pub(crate) fn rdb_checksum(&self) -> bool {
        self.is(RDB_CHECKSUM)
    }

    pub(crate) fn aof_repair(&self) -> bool {
        self.aof_repair
    }

    pub(crate) fn aof_load_truncated(&self) -> bool {
        self.is(LOAD_TRUNCATED)
    }

    /// Microseconds per key that loading is slowed down by.
    pub(crate) fn key_load_delay(&self) -> u64 {
        u64::try_from(self.number(KEY_LOAD_DELAY)).unwrap_or(0)
    }

    /// `save`: seconds and changes.
    pub(crate) fn save_points(&self) -> Vec<(u64, u64)> {
        let text = self.string(SAVE);
        let numbers: Vec<u64> = text
            .split_ascii_whitespace()
            .filter_map(|word| word.parse().ok())
            .collect();
        let (points, _) = numbers.as_chunks::<2>();
        points
            .iter()
            .map(|[seconds, changes]| (*seconds, *changes))
            .collect()
    }

    pub(crate) fn stops_writes_on_save_error(&self) -> bool {
        self.is(STOP_WRITES_ON_SAVE_ERROR)
    }

    pub(crate) fn rdb_compression(&self) -> bool {
        self.is(RDB_COMPRESSION)
    }

    pub(crate) fn rdb_incremental_fsync(&self) -> bool {
        self.is(RDB_INCREMENTAL_FSYNC)
    }

    pub(crate) fn aof_incremental_fsync(&self) -> bool {
        self.is(AOF_INCREMENTAL_FSYNC)
    }

    /// `aof-use-rdb-preamble`.
    pub(crate) fn aof_rdb_preamble(&self) -> bool {
        self.is(AOF_RDB_PREAMBLE)
    }

    pub(crate) fn aof_timestamps(&self) -> bool {
        self.is(TIMESTAMPS)
    }

    pub(crate) fn rewrite_percentage(&self) -> u64 {
        self.number(REWRITE_PERCENTAGE) as u64
    }

    pub(crate) fn rewrite_min_size(&self) -> u64 {
        self.number(REWRITE_MIN_SIZE) as u64
    }

    #[inline]
    pub(crate) fn request_limits(&self) -> Limits {
        Limits {
            bulk_len_max: self.number(BULK_LEN_MAX) as usize,
            ..Limits::default()
        }
    }

    /// How many bytes of requests that are not whole yet a client may have.
    #[inline]
    pub(crate) fn query_buffer_limit(&self) -> usize {
        self.number(QUERY_BUFFER_LIMIT) as usize
    }

    /// The password that clients must give; empty for none.
    pub(crate) fn password(&self) -> Arc<[u8]> {
        self.bytes(PASSWORD)
    }

    /// The port to listen on for TLS; `None`: none.
    pub(crate) fn tls_port(&self) -> Option<u16> {
        u16::try_from(self.number(TLS_PORT))
            .ok()
            .filter(|port| *port != 0)
    }

    /// What concerns TLS.
    pub(crate) fn tls(&self) -> Settings {
        Settings {
            certificate: self.path(TLS_CERT_FILE),
            key: self.path(TLS_KEY_FILE),
            has_key_password: !self.bytes(TLS_KEY_FILE_PASS).is_empty(),
            authorities: self.path(TLS_CA_CERT_FILE),
            authorities_dir: self.path(TLS_CA_CERT_DIR),
            clients: match self.number(TLS_AUTH_CLIENTS) {
                0 => ClientCertificates::Ignored,
                1 => ClientCertificates::Required,
                _ => ClientCertificates::Optional,
            },
            protocols: self.string(TLS_PROTOCOLS),
            ciphers: self.string(TLS_CIPHERS),
            cipher_suites: self.string(TLS_CIPHER_SUITES),
            prefers_own_order: self.is(TLS_PREFER_SERVER_CIPHERS),
            cached_sessions: match self.is(TLS_SESSION_CACHING) {
                true => self.number(TLS_SESSION_CACHE_SIZE) as usize,
                false => 0,
            },
        }
    }

    /// Which name in a client's certificate is that of its user.
    pub(crate) fn tls_user_from(&self) -> NameFrom {
        match self.number(TLS_AUTH_CLIENTS_USER) {
            0 => NameFrom::CommonName,
            1 => NameFrom::Uri,
            _ => NameFrom::Nothing,
        }
    }

    /// Seconds between looks at the certificates' files; 0: none are taken.
    pub(crate) fn tls_auto_reload_interval(&self) -> u64 {
        self.number(TLS_AUTO_RELOAD_INTERVAL) as u64
    }

    /// The file of users.
    pub(crate) fn acl_file(&self) -> Option<PathBuf> {
        self.path(ACL_FILE)
    }

    /// How many refusals ACL LOG keeps.
    pub(crate) fn acl_log_len_max(&self) -> usize {
        self.number(ACL_LOG_LEN_MAX) as usize
    }

    /// Whether new users may use all channels.
    pub(crate) fn gives_all_channels(&self) -> bool {
        self.number(ACL_PUBSUB_DEFAULT) == 0
    }

    /// The users that the configuration file defines: names and rules.
    pub(crate) fn users(&self) -> &[Vec<Vec<u8>>] {
        &self.users
    }

    /// Which commands have other names, or none.
    pub(crate) fn renames(&self) -> &[Rename] {
        &self.renames
    }

    /// The percentiles that `INFO latencystats` shows.
    pub(crate) fn latency_percentiles(&self) -> Vec<f64> {
        let text = self.print(LATENCY_PERCENTILES.0);
        let words = String::from_utf8_lossy(&text).into_owned();
        let numbers = words.split_whitespace().map(str::parse);
        numbers.filter_map(Result::ok).collect()
    }

    pub(crate) fn maxclients(&self) -> usize {
        self.number(MAXCLIENTS) as usize
    }

    /// How many new connections are taken from a listener before others are served.
    pub(crate) fn new_connections_max(&self, is_tls: bool) -> usize {
        let number = match is_tls {
            true => NEW_TLS_CONNECTIONS,
            false => NEW_CONNECTIONS,
        };
        self.number(number) as usize
    }

    /// The system can't serve more.
    pub(super) fn reduce_maxclients(&self, count: u64) {
        self.store(MAXCLIENTS.0, Value::Number(count as i64));
    }

    /// Whether only clients on this machine are served while the default user has no password.
    pub(crate) fn is_protected(&self) -> bool {
        self.is(PROTECTED_MODE)
    }

    /// When the replies that wait for a client are too many: a normal one, or one that has subscribed to something.
    pub(crate) fn output_limit(&self, is_subscriber: bool) -> OutputLimit {
        let [normal, _, subscriber] = &self.output_limits;
        let [hard, soft, seconds] = if is_subscriber { subscriber } else { normal };
        OutputLimit {
            hard: hard.load(Relaxed),
            soft: soft.load(Relaxed),
            soft_ms: seconds.load(Relaxed).saturating_mul(1000),
        }
    }

    /// After how many milliseconds without a request a client is disconnected; 0: never.
    pub(crate) fn timeout_ms(&self) -> u64 {
        self.number(TIMEOUT) as u64 * 1000
    }

    /// What is set on the socket of each client.
    pub(crate) fn configure_socket(&self, stream: &Stream) {
        let seconds = self.number(TCP_KEEPALIVE) as u64;
        if !matches!(stream, Stream::Unix(_)) && seconds > 0 {
            // As Redis: a first probe after so long, then three of them in the same time again.
            let keepalive = socket2::TcpKeepalive::new()
                .with_time(std::time::Duration::from_secs(seconds))
                .with_interval(std::time::Duration::from_secs((seconds / 3).max(1)))
                .with_retries(3);
            if let Err(error) = socket2::SockRef::from(stream).set_tcp_keepalive(&keepalive) {
                tracing::debug!("tcp-keepalive of a new connection: {error}");
            }
        }
    }
}
