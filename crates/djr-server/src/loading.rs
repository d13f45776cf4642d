//! The data set on its way into memory: RDB files, loaded by all cores, and what is told of it meanwhile.

use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use djr_engine::Engine;
use djr_storage::disk::{Disk, OsDisk};
use djr_storage::rdb::{LoadError, LoadOptions, LoadProgress, LoadReport, Loading};

use crate::clock;
use crate::config::Config;

/// How often a long load is told of in the log.
pub(crate) const TELL_EVERY: Duration = Duration::from_secs(2);

/// How far the load is, for INFO.
pub(crate) struct LoadState {
    /// Since when (milliseconds since 1970); 0: nothing has been loaded yet.
    started_ms: AtomicI64,
    /// Of the RDB file.
    file: LoadProgress,
    /// Bytes of commands, and of them replayed.
    commands_total: AtomicU64,
    commands_loaded: AtomicU64,
    /// What the last whole RDB file had.
    keys: AtomicU64,
    expired: AtomicU64,
}

/// How far a load is, in numbers.
#[derive(Clone, Copy)]
pub(crate) struct Progress {
    /// Since when, in seconds since 1970.
    pub(crate) started: i64,
    pub(crate) total: u64,
    pub(crate) loaded: u64,
    /// 0 to 100.
    pub(crate) percent: f64,
    /// As long as it will take if it goes on like this.
    pub(crate) eta_seconds: i64,
}

impl Default for LoadState {
    fn default() -> Self {
        Self {
            started_ms: AtomicI64::new(0),
            file: LoadProgress {
                wait: Some(std::thread::sleep),
                ..LoadProgress::default()
            },
            commands_total: AtomicU64::new(0),
            commands_loaded: AtomicU64::new(0),
            keys: AtomicU64::new(0),
            expired: AtomicU64::new(0),
        }
    }
}

impl LoadState {
    pub(crate) fn begin(&self) {
        self.started_ms.store(clock::unix_millis(), Relaxed);
        let counters = [
            &self.file.total,
            &self.file.loaded,
            &self.commands_total,
            &self.commands_loaded,
        ];
        for counter in counters {
            counter.store(0, Relaxed);
        }
    }

    /// Told while commands are replayed.
    pub(crate) fn replayed(&self, loaded: u64, total: u64) {
        self.commands_total.store(total, Relaxed);
        self.commands_loaded.store(loaded, Relaxed);
    }

    pub(crate) fn progress(&self) -> Progress {
        let started = self.started_ms.load(Relaxed);
        let total = self.file.total.load(Relaxed) + self.commands_total.load(Relaxed);
        let loaded = self.file.loaded.load(Relaxed) + self.commands_loaded.load(Relaxed);
        let elapsed = (clock::unix_millis() - started).max(0) as f64 / 1000.0;
        let share = loaded as f64 / total.max(1) as f64;
        let eta = if loaded == 0 {
            1.0
        } else {
            elapsed * (total.saturating_sub(loaded)) as f64 / loaded as f64
        };
        Progress {
            started: started / 1000,
            total,
            loaded,
            percent: share * 100.0,
            eta_seconds: eta as i64,
        }
    }

    /// Keys of the last RDB file that was loaded, and keys that it had but whose deadline had passed.
    pub(crate) fn last_file(&self) -> (u64, u64) {
        (self.keys.load(Relaxed), self.expired.load(Relaxed))
    }

    /// Loads the RDB file at the head of `bytes` into the keyspace; its functions are in the report. `path` is for the log.
    ///
    /// The base of a log keeps keys past their deadline, for the commands behind it may refer to them.
    pub(crate) fn load(
        &self,
        engine: &Engine,
        config: &Config,
        path: &Path,
        bytes: &[u8],
        options: LoadOptions,
    ) -> Result<LoadReport, LoadError> {
        let began = clock::monotonic();
        for counter in [&self.file.keys, &self.file.expired, &self.file.empty] {
            counter.store(0, Relaxed);
        }
        self.file.loaded.store(0, Relaxed);
        self.file.delay_us.store(config.key_load_delay(), Relaxed);
        let loading = Loading::new(bytes, &engine.keyspace, options, &self.file)?;
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let working = AtomicUsize::new(threads);
        let teller = std::thread::current();
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    loading.work();
                    working.fetch_sub(1, Relaxed);
                    teller.unpark();
                });
            }
            let mut tell_at = began + TELL_EVERY;
            while working.load(Relaxed) > 0 {
                std::thread::park_timeout(TELL_EVERY / 8);
                self.file.delay_us.store(config.key_load_delay(), Relaxed);
                if clock::monotonic() >= tell_at {
                    tell_at += TELL_EVERY;
                    self.tell(path);
                }
            }
        });
        let report = loading.finish()?;
        self.keys.store(report.keys, Relaxed);
        self.expired.store(report.expired, Relaxed);
        tell_origin(path, &report);
        tracing::info!(
            "Done loading RDB, keys loaded: {}, keys expired: {}, empty keys skipped: {}.",
            report.keys,
            report.expired,
            report.empty
        );
        tracing::info!(
            "{}: {} bytes loaded by {threads} threads in {:.3} seconds",
            path.display(),
            report.end,
            (clock::monotonic() - began).as_secs_f64()
        );
        Ok(report)
    }

    /// Tells of the replay of commands.
    pub(crate) fn tell_replay(&self) {
        let Progress {
            total,
            loaded,
            percent,
            eta_seconds,
            ..
        } = self.progress();
        tracing::info!(
            "Loading the append-only log: {percent:.0} % ({} of {} MB), {eta_seconds} s left",
            loaded >> 20,
            total >> 20,
        );
    }

    fn tell(&self, path: &Path) {
        let Progress {
            total,
            loaded,
            percent,
            eta_seconds,
            ..
        } = self.progress();
        tracing::info!(
            "Loading {}: {percent:.0} % ({} of {} MB, {} keys), {eta_seconds} s left",
            path.display(),
            loaded >> 20,
            total >> 20,
            self.file.keys.load(Relaxed),
        );
    }
}

/// Who wrote the file, and when.
fn tell_origin(path: &Path, report: &LoadReport) {
    let field = |name| report.aux(name).map(String::from_utf8_lossy);
    let version = field("redis-ver").or_else(|| field("valkey-ver"));
    let age = field("ctime")
        .and_then(|seconds| seconds.parse::<i64>().ok())
        .map(|seconds| clock::unix_millis() / 1000 - seconds);
    tracing::info!(
        "{}: RDB version {}, produced by version {}, {} seconds old{}",
        path.display(),
        report.version,
        version.as_deref().unwrap_or("unknown"),
        age.unwrap_or(0).max(0),
        match field("aof-base").as_deref() {
            Some("1") => ", the base of a log",
            _ => "",
        }
    );
}

/// The path's file, if there is one. `Err` is a sentence for people.
pub(crate) fn contents(path: &Path) -> Result<Option<djr_storage::disk::Contents>, String> {
    match OsDisk.contents(path) {
        Ok(contents) => Ok(Some(contents)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{} can't be read: {error}", path.display())),
    }
}
