//! What workers count. Each writes its own; INFO adds them up.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicUsize};

use djr_engine::stats::Counter;
use djr_storage::keyspace::CLASSES_MAX;

use crate::introspection::Histogram;

/// The counters of one worker.
pub(crate) struct WorkerStats {
    /// By [`djr_engine::command::Command::id`].
    pub(crate) commands: Box<[CommandStats]>,
    pub(crate) connections_received: Counter,
    pub(crate) connections_rejected: Counter,
    pub(crate) bytes_in: Counter,
    pub(crate) bytes_out: Counter,
    /// Keys removed by the active expiry.
    pub(crate) expired_active: Counter,
    /// Fields of hashes removed by the active expiry.
    pub(crate) expired_fields_active: Counter,
    /// Changes of the data set. Not reset: snapshots go by it.
    pub(crate) changes: std::sync::Arc<Counter>,
    /// Error replies.
    pub(crate) errors: Counter,
    pub(crate) reads: Counter,
    pub(crate) writes: Counter,
    pub(crate) turns: Counter,
    /// Connections closed because their output buffer or query buffer grew past its limit.
    pub(crate) limit_disconnections: Counter,
    /// Clients closed because all of them took more than `maxmemory-clients`.
    pub(crate) evicted_clients: Counter,
    /// What the defragmentation has moved, and what it has left where it was; the same of keys.
    pub(crate) defrag_hits: Counter,
    pub(crate) defrag_misses: Counter,
    pub(crate) defrag_key_hits: Counter,
    pub(crate) defrag_key_misses: Counter,
    /// The time that it took, in microseconds.
    pub(crate) defrag_micros: Counter,
    /// The percentage of the worker's time that it takes now.
    pub(crate) defrag_percent: AtomicU32,
    /// Keys evicted, by memory class.
    pub(crate) class_evicted: [Counter; CLASSES_MAX],
    /// Bytes of memory that the worker's clients take.
    pub(crate) client_bytes: AtomicUsize,
    /// Elements given back that had been taken for clients which were gone before they could be told.
    pub(crate) returned_pops: Counter,
    pub(crate) lookups: std::sync::Arc<djr_engine::stats::Lookups>,
    /// Error replies by their code (the first word).
    pub(crate) error_codes: parking_lot::Mutex<std::collections::BTreeMap<String, u64>>,
}

/// What is counted of each command.
#[derive(Default)]
pub(crate) struct CommandStats {
    pub(crate) calls: Counter,
    pub(crate) nanos: Counter,
    /// Refused before they ran.
    pub(crate) rejected: Counter,
    /// Answered with an error.
    pub(crate) failed: Counter,
    /// How long the calls took. Made when it is first needed: most commands are never called.
    histogram: OnceLock<Histogram>,
}

impl CommandStats {
    /// To be added to by the worker that these are of.
    #[inline]
    pub(crate) fn histogram(&self) -> &Histogram {
        self.histogram.get_or_init(Histogram::default)
    }

    /// For all others: `None` if nothing has been counted.
    pub(crate) fn counted(&self) -> Option<&Histogram> {
        self.histogram.get()
    }
}

impl WorkerStats {
    /// Counts a read that brought so many bytes.
    pub(crate) fn count_read(&self, bytes: usize) {
        self.reads.add(1);
        self.bytes_in.add(bytes as u64);
    }

    pub(crate) fn new(commands: usize) -> Self {
        Self {
            commands: (0..commands).map(|_| CommandStats::default()).collect(),
            connections_received: Counter::default(),
            connections_rejected: Counter::default(),
            bytes_in: Counter::default(),
            bytes_out: Counter::default(),
            expired_active: Counter::default(),
            expired_fields_active: Counter::default(),
            changes: Default::default(),
            errors: Counter::default(),
            reads: Counter::default(),
            writes: Counter::default(),
            turns: Counter::default(),
            limit_disconnections: Counter::default(),
            evicted_clients: Counter::default(),
            defrag_hits: Counter::default(),
            defrag_misses: Counter::default(),
            defrag_key_hits: Counter::default(),
            defrag_key_misses: Counter::default(),
            defrag_micros: Counter::default(),
            defrag_percent: AtomicU32::new(0),
            class_evicted: Default::default(),
            client_bytes: AtomicUsize::new(0),
            returned_pops: Counter::default(),
            lookups: Default::default(),
            error_codes: Default::default(),
        }
    }

    /// `CONFIG RESETSTAT`. Counts of other threads under way may survive.
    pub(crate) fn reset(&self) {
        for command in &self.commands {
            let counters = [
                &command.calls,
                &command.nanos,
                &command.rejected,
                &command.failed,
            ];
            counters.into_iter().for_each(Counter::reset);
            if let Some(histogram) = command.counted() {
                histogram.reset();
            }
        }
        let counters = [
            &self.connections_received,
            &self.connections_rejected,
            &self.bytes_in,
            &self.bytes_out,
            &self.expired_active,
            &self.expired_fields_active,
            &self.errors,
            &self.returned_pops,
            &self.reads,
            &self.writes,
            &self.turns,
            &self.limit_disconnections,
            &self.lookups.hits,
            &self.lookups.misses,
            &self.lookups.expired,
            &self.lookups.expired_fields,
            &self.lookups.evicted,
            &self.evicted_clients,
            &self.defrag_hits,
            &self.defrag_misses,
            &self.defrag_key_hits,
            &self.defrag_key_misses,
            &self.defrag_micros,
        ];
        counters.into_iter().for_each(Counter::reset);
        self.class_evicted.iter().for_each(Counter::reset);
        self.error_codes.lock().clear();
    }

    /// Counts an error reply by its code.
    #[cold]
    pub(crate) fn count_error(&self, text: &str) {
        self.errors.add(1);
        let code = text.split(' ').next().unwrap_or_default();
        let mut codes = self.error_codes.lock();
        // Redis keeps so many, lest scripts make up new ones without end.
        if codes.len() < 128 || codes.contains_key(code) {
            *codes.entry(code.to_owned()).or_default() += 1;
        }
    }
}
