//! What each section of INFO says. A field is true, or it is absent.

use std::collections::BTreeMap;
use std::fmt::{Display, Write};
use std::sync::atomic::Ordering::Relaxed;

use djr_engine::stats::Counter;
use djr_storage::aof::{BaseFile, FsyncPolicy};

use crate::clock;
use crate::commands::Context;
use crate::process;
use crate::pubsub::Kind;
use crate::shared::{Gate, Shared};
use crate::snapshots::Job;
use crate::stats::WorkerStats;

/// The text being written.
pub(super) struct Report<'a> {
    text: String,
    pub(super) shared: &'a Shared,
}

impl<'a> Report<'a> {
    pub(super) fn new(context: &'a Context<'_>) -> Self {
        Self {
            text: String::with_capacity(4096),
            shared: &context.core.shared,
        }
    }

    pub(super) fn begin(&mut self, section: &str) {
        if !self.text.is_empty() {
            self.text.push_str("\r\n");
        }
        let (first, rest) = section.split_at(1);
        match section {
            "cpu" => self.line("# CPU"),
            _ => self.line(format_args!("# {}{rest}", first.to_uppercase())),
        }
    }

    pub(super) fn finish(self) -> String {
        self.text
    }

    pub(super) fn line(&mut self, line: impl Display) {
        let result = write!(self.text, "{line}\r\n");
        debug_assert!(result.is_ok(), "writing to a string does not fail");
    }

    pub(super) fn field(&mut self, name: &str, value: impl Display) {
        self.line(format_args!("{name}:{value}"));
    }

    pub(super) fn sum(&self, counter: impl Fn(&WorkerStats) -> &Counter) -> u64 {
        self.shared
            .workers
            .iter()
            .map(|worker| counter(&worker.stats).get())
            .sum()
    }
}

pub(super) fn server(report: &mut Report<'_>) {
    let shared = report.shared;
    let uptime = (clock::monotonic() - shared.started).as_secs();
    report.field("redis_version", crate::REDIS_VERSION);
    report.field("server_name", "djr");
    report.field("djr_version", env!("CARGO_PKG_VERSION"));
    report.field("redis_mode", "standalone");
    report.field("server_mode", "standalone");
    report.field("os", process::os());
    report.field("arch_bits", usize::BITS);
    report.field("multiplexing_api", "mio");
    report.field("monotonic_clock", "POSIX clock_gettime");
    report.field("process_id", std::process::id());
    report.field("run_id", &shared.run_id);
    report.field("tcp_port", shared.port);
    report.field("server_time_usec", clock::unix_micros());
    report.field("uptime_in_seconds", uptime);
    report.field("uptime_in_days", uptime / 86_400);
    report.field("hz", 10);
    report.field("configured_hz", shared.config.hz());
    report.field("io_threads_active", u8::from(shared.workers.len() > 1));
    report.field("worker_threads", shared.workers.len());
    if let Ok(path) = std::env::current_exe() {
        report.field("executable", path.display());
    }
    report.field("config_file", shared.config.file_name());
    listeners(report);
}

/// Where clients find the server, as Redis 7.2 tells it.
fn listeners(report: &mut Report<'_>) {
    let shared = report.shared;
    let config = &shared.config;
    let binds: Vec<_> = config
        .bind()
        .iter()
        .map(|address| format!("bind={address}"))
        .collect();
    let binds = binds.join(",");
    let mut listeners = Vec::new();
    if config.port().is_some() {
        listeners.push(format!("name=tcp,{binds},port={}", shared.port));
    }
    if let Some(path) = config.unix_socket() {
        listeners.push(format!("name=unix,bind={}", path.display()));
    }
    if let Some(port) = config.tls_port() {
        listeners.push(format!("name=tls,{binds},port={port}"));
    }
    for (number, listener) in listeners.iter().enumerate() {
        report.field(&format!("listener{number}"), listener);
    }
}

pub(super) fn clients(report: &mut Report<'_>) {
    let shared = report.shared;
    let clients = shared.clients.all();
    let watching = clients
        .iter()
        .filter(|client| client.watching.load(Relaxed) > 0);
    report.field("connected_clients", clients.len());
    report.field("cluster_connections", 0);
    report.field("maxclients", shared.config.maxclients());
    report.field(
        "client_recent_max_input_buffer",
        clients
            .iter()
            .map(|client| client.input_bytes.load(Relaxed))
            .max()
            .unwrap_or(0),
    );
    report.field(
        "client_recent_max_output_buffer",
        clients
            .iter()
            .map(|client| client.output_bytes.load(Relaxed))
            .max()
            .unwrap_or(0),
    );
    let waiters = clients
        .iter()
        .filter_map(|client| client.waiter.lock().clone());
    let with_timeout = waiters.clone().filter(|waiter| waiter.timeout.is_some());
    report.field("blocked_clients", waiters.clone().count());
    report.field("tracking_clients", shared.trackers.len());
    report.field(
        "pubsub_clients",
        clients
            .iter()
            .filter(|client| client.is_subscriber())
            .count(),
    );
    report.field("watching_clients", watching.clone().count());
    report.field(
        "total_watched_keys",
        watching
            .map(|client| client.watching.load(Relaxed) as usize)
            .sum::<usize>(),
    );
    let waits = shared.engine.keyspace.waits();
    let is_paused = shared.gate.bits() & Gate::PAUSED != 0;
    let left_ms = shared.pause_until_ms.load(Relaxed) - clock::unix_millis();
    let (reason, actions) = match (is_paused, shared.pause_writes_only.load(Relaxed)) {
        (false, _) => ("none", "none"),
        (true, true) => ("client_pause", "write"),
        (true, false) => ("client_pause", "all"),
    };
    report.field("paused_reason", reason);
    report.field("paused_actions", actions);
    let left_ms = if is_paused { left_ms.max(0) } else { 0 };
    report.field("paused_timeout_milliseconds", left_ms);
    report.field("clients_in_timeout_table", with_timeout.count());
    report.field("total_blocking_keys", waits.keys());
    report.field("total_blocking_keys_on_nokey", waits.keys_on_removal());
}

pub(super) fn persistence(report: &mut Report<'_>) {
    let shared = report.shared;
    let log = shared.log();
    let loading = shared.gate.bits() & Gate::LOADING != 0;
    report.field("loading", u8::from(loading));
    report.field("async_loading", 0);
    if loading {
        let progress = shared.loading.progress();
        report.field("loading_start_time", progress.started);
        report.field("loading_total_bytes", progress.total);
        report.field("loading_loaded_bytes", progress.loaded);
        report.field(
            "loading_loaded_perc",
            format_args!("{:.2}", progress.percent),
        );
        report.field("loading_eta_seconds", progress.eta_seconds);
    }
    snapshots(report);
    let (keys, expired) = shared.loading.last_file();
    report.field("rdb_last_load_keys_expired", expired);
    report.field("rdb_last_load_keys_loaded", keys);
    report.field("aof_enabled", u8::from(log.is_some()));
    rewrites(report);
    recovery(report);
    let failed = log.as_ref().is_some_and(|log| log.poisoned().is_some());
    report.field("aof_last_write_status", if failed { "err" } else { "ok" });
    if let Some(log) = log {
        let sizes = log.sizes();
        report.field("aof_current_size", sizes.current);
        report.field("aof_base_size", sizes.at_rewrite);
        report.field("aof_pending_rewrite", 0);
        report.field("aof_buffer_length", log.pending_bytes());
        report.field("aof_log_offset", log.end());
        report.field("aof_durable_offset", log.durable());
        report.field(
            "aof_fsync",
            match log.policy() {
                FsyncPolicy::Always => "always",
                FsyncPolicy::EverySec => "everysec",
                FsyncPolicy::No => "no",
            },
        );
    }
}

/// What the start found in the log. See docs/durability.md.
fn recovery(report: &mut Report<'_>) {
    let Some(found) = report.shared.persistence.report() else {
        return;
    };
    let base = match &found.base {
        BaseFile::None => "none",
        BaseFile::Aof(_) => "aof",
        BaseFile::Rdb(_) => "rdb",
    };
    let damaged: u64 = found.damaged.iter().map(|damage| damage.bytes).sum();
    let torn = found.torn.as_ref().map_or(0, |torn| torn.bytes);
    let mut aside = found
        .damaged
        .iter()
        .filter_map(|damage| damage.quarantine.as_ref());
    let aside = aside.next_back().map(|path| path.display().to_string());
    report.field("aof_recovery_base", base);
    report.field("aof_recovery_files", found.files);
    report.field("aof_recovery_commands", found.commands);
    report.field("aof_recovery_bytes", found.bytes);
    report.field("aof_recovery_unchecked_bytes", found.bytes_unchecked);
    report.field("aof_recovery_dropped_bytes", torn);
    report.field("aof_recovery_damaged_groups", found.damaged.len());
    report.field("aof_recovery_damaged_bytes", damaged);
    report.field("aof_recovery_quarantine_file", aside.unwrap_or_default());
}

/// There is no fork, so nothing is said about memory that one would copy.
fn snapshots(report: &mut Report<'_>) {
    let state = report.shared.snapshots.state();
    let saving = state.running(Job::Save);
    let busy = saving.or(state.running(Job::Rewrite)).is_some();
    let (keys, total) = match busy {
        true => (state.progress.keys(), state.progress.keys_total()),
        false => (0, 0),
    };
    let percent = keys as f64 * 100.0 / total.max(1) as f64;
    report.field("current_cow_peak", 0);
    report.field("current_cow_size", 0);
    report.field("current_cow_size_age", 0);
    report.field("current_fork_perc", format_args!("{percent:.2}"));
    report.field("current_save_keys_processed", keys);
    report.field("current_save_keys_total", total);
    let changes = state.changes(report.shared.changes());
    report.field("rdb_changes_since_last_save", changes);
    report.field("rdb_bgsave_in_progress", u8::from(saving.is_some()));
    report.field("rdb_last_save_time", state.last_save_ms / 1000);
    report.field("rdb_last_bgsave_status", status(state.save_ok));
    report.field("rdb_last_bgsave_time_sec", seconds(state.save_time));
    report.field("rdb_current_bgsave_time_sec", seconds(saving));
    report.field("rdb_saves", state.saves);
    report.field("rdb_last_cow_size", 0);
}

fn rewrites(report: &mut Report<'_>) {
    let state = report.shared.snapshots.state();
    let rewriting = state.running(Job::Rewrite);
    report.field("aof_rewrite_in_progress", u8::from(rewriting.is_some()));
    report.field("aof_rewrite_scheduled", u8::from(state.rewrite_scheduled));
    report.field("aof_last_rewrite_time_sec", seconds(state.rewrite_time));
    report.field("aof_current_rewrite_time_sec", seconds(rewriting));
    report.field("aof_last_bgrewrite_status", status(state.rewrite_ok));
    report.field("aof_rewrites", state.rewrites);
    report.field("aof_rewrites_consecutive_failures", state.rewrite_failures);
    report.field("aof_last_cow_size", 0);
}

fn status(ok: bool) -> &'static str {
    if ok { "ok" } else { "err" }
}

/// Whole seconds; -1: never.
fn seconds(time: Option<std::time::Duration>) -> i64 {
    time.map_or(-1, |time| time.as_secs() as i64)
}

pub(super) fn stats(report: &mut Report<'_>) {
    let totals = report.shared.totals();
    let rates = report.shared.introspection.rates.per_second();
    let kilobytes = |bytes: u64| format!("{:.2}", bytes as f64 / 1024.0);
    let expired =
        report.sum(|stats| &stats.lookups.expired) + report.sum(|stats| &stats.expired_active);
    let expired_fields = report.sum(|stats| &stats.lookups.expired_fields)
        + report.sum(|stats| &stats.expired_fields_active);
    report.field(
        "total_connections_received",
        report.sum(|stats| &stats.connections_received),
    );
    report.field("total_commands_processed", totals.commands);
    report.field("instantaneous_ops_per_sec", rates.commands);
    report.field("total_net_input_bytes", totals.bytes_in);
    report.field("total_net_output_bytes", totals.bytes_out);
    report.field("total_net_repl_input_bytes", 0);
    report.field("total_net_repl_output_bytes", 0);
    report.field("instantaneous_input_kbps", kilobytes(rates.bytes_in));
    report.field("instantaneous_output_kbps", kilobytes(rates.bytes_out));
    report.field("instantaneous_input_repl_kbps", kilobytes(0));
    report.field("instantaneous_output_repl_kbps", kilobytes(0));
    report.field(
        "rejected_connections",
        report.sum(|stats| &stats.connections_rejected),
    );
    report.field("sync_full", 0);
    report.field("sync_partial_ok", 0);
    report.field("sync_partial_err", 0);
    report.field("expired_keys", expired);
    report.field("expired_subkeys", expired_fields);
    report.field("evicted_keys", report.sum(|stats| &stats.lookups.evicted));
    report.field(
        "evicted_clients",
        report.sum(|stats| &stats.evicted_clients),
    );
    let (current, total) = report.shared.eviction_exceeded_ms(clock::unix_millis());
    report.field("total_eviction_exceeded_time", total);
    report.field("current_eviction_exceeded_time", current);
    report.field("active_defrag_hits", report.sum(|stats| &stats.defrag_hits));
    report.field(
        "active_defrag_misses",
        report.sum(|stats| &stats.defrag_misses),
    );
    report.field(
        "active_defrag_key_hits",
        report.sum(|stats| &stats.defrag_key_hits),
    );
    report.field(
        "active_defrag_key_misses",
        report.sum(|stats| &stats.defrag_key_misses),
    );
    report.field(
        "total_active_defrag_time",
        report.sum(|stats| &stats.defrag_micros) / 1000,
    );
    report.field("keyspace_hits", report.sum(|stats| &stats.lookups.hits));
    report.field("keyspace_misses", report.sum(|stats| &stats.lookups.misses));
    let pubsub = &report.shared.pubsub;
    report.field("pubsub_channels", pubsub.len(Kind::Channel));
    report.field("pubsub_patterns", pubsub.len(Kind::Pattern));
    report.field("pubsubshard_channels", pubsub.len(Kind::Shard));
    report.field("slave_expires_tracked_keys", 0);
    let tracking = report.shared.engine.keyspace.tracking();
    report.field("tracking_total_keys", tracking.keys());
    report.field("tracking_total_items", tracking.readings());
    report.field("tracking_total_prefixes", report.shared.trackers.prefixes());
    report.field("latest_fork_usec", 0);
    report.field("total_forks", 0);
    report.field("total_error_replies", report.sum(|stats| &stats.errors));
    let denied = &report.shared.acl.denied;
    for (field, counter) in [
        ("acl_access_denied_auth", &denied.auth),
        ("acl_access_denied_cmd", &denied.command),
        ("acl_access_denied_key", &denied.key),
        ("acl_access_denied_channel", &denied.channel),
        ("acl_access_denied_tls_cert", &denied.certificate),
        ("acl_access_denied_db", &denied.database),
    ] {
        report.field(field, counter.get());
    }
    report.field(
        "client_output_buffer_limit_disconnections",
        report.sum(|stats| &stats.limit_disconnections),
    );
    report.field("returned_pops", report.sum(|stats| &stats.returned_pops));
    report.field("total_reads_processed", report.sum(|stats| &stats.reads));
    report.field("total_writes_processed", report.sum(|stats| &stats.writes));
    report.field("eventloop_cycles", report.sum(|stats| &stats.turns));
}

pub(super) fn replication(report: &mut Report<'_>) {
    report.field("role", "master");
    report.field("connected_slaves", 0);
    report.field("master_failover_state", "no-failover");
    let id = report.shared.replication_id.lock().clone();
    report.field("master_replid", id);
    report.field(
        "master_repl_offset",
        report.shared.log().map_or(0, |log| log.end()),
    );
    report.field("master_replid2", "0".repeat(40));
    report.field("second_repl_offset", -1);
    report.field("repl_backlog_active", 0);
    report.field("repl_backlog_size", report.shared.config.backlog_size());
    report.field("repl_backlog_first_byte_offset", 0);
    report.field("repl_backlog_histlen", 0);
}

pub(super) fn cpu(report: &mut Report<'_>) {
    if let Some((user, system)) = process::cpu_seconds() {
        report.field("used_cpu_sys", format_args!("{system:.6}"));
        report.field("used_cpu_user", format_args!("{user:.6}"));
        // Nothing forks.
        report.field("used_cpu_sys_children", "0.000000");
        report.field("used_cpu_user_children", "0.000000");
    }
}

/// There are none; the section's title is what clients look for.
pub(super) fn modules(_: &mut Report<'_>) {}

pub(super) fn commandstats(report: &mut Report<'_>) {
    let shared = report.shared;
    for id in 0..shared.engine.registry.id_count() {
        let sum = |counter: fn(&crate::stats::CommandStats) -> &Counter| -> u64 {
            shared
                .workers
                .iter()
                .map(|worker| counter(&worker.stats.commands[id]).get())
                .sum()
        };
        let (calls, rejected) = (sum(|stats| &stats.calls), sum(|stats| &stats.rejected));
        let Some(command) = shared.engine.registry.by_id(id) else {
            continue;
        };
        if calls == 0 && rejected == 0 {
            continue;
        }
        let micros = sum(|stats| &stats.nanos) / 1000;
        report.line(format_args!(
            "cmdstat_{}:calls={calls},usec={micros},usec_per_call={:.2},rejected_calls={rejected},failed_calls={}",
            command.full_name,
            micros as f64 / calls.max(1) as f64,
            sum(|stats| &stats.failed),
        ));
    }
}

pub(super) fn latencystats(report: &mut Report<'_>) {
    let shared = report.shared;
    let percentiles = shared.config.latency_percentiles();
    for id in 0..shared.engine.registry.id_count() {
        let distribution = shared.distribution(id);
        let Some(command) = shared.engine.registry.by_id(id) else {
            continue;
        };
        if distribution.calls == 0 || percentiles.is_empty() {
            continue;
        }
        let values: Vec<_> = percentiles
            .iter()
            .map(|percent| {
                let micros = distribution.percentile(*percent) as f64 / 1000.0;
                format!("p{percent}={micros:.3}")
            })
            .collect();
        report.line(format_args!(
            "latency_percentiles_usec_{}:{}",
            command.full_name,
            values.join(",")
        ));
    }
}

pub(super) fn errorstats(report: &mut Report<'_>) {
    let mut codes: BTreeMap<String, u64> = BTreeMap::new();
    for worker in &report.shared.workers {
        for (code, count) in worker.stats.error_codes.lock().iter() {
            *codes.entry(code.clone()).or_default() += count;
        }
    }
    for (code, count) in codes {
        report.line(format_args!("errorstat_{code}:count={count}"));
    }
}

pub(super) fn cluster(report: &mut Report<'_>) {
    report.field("cluster_enabled", 0);
}

pub(super) fn keyspace(report: &mut Report<'_>) {
    let keyspace = &report.shared.engine.keyspace;
    for db in 0..keyspace.dbs() {
        let keys = keyspace.len(db);
        if keys > 0 {
            let expires = keyspace.expires_len(db);
            let sub_expires = keyspace.sub_expires_len(db);
            report.line(format_args!(
                "db{db}:keys={keys},expires={expires},avg_ttl=0,subexpiry={sub_expires}"
            ));
        }
    }
}

/// Bytes as people read them: `1.50M`.
pub(super) fn human(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["K", "M", "G", "T", "P"];
    if bytes < 1024 {
        return format!("{bytes}B");
    }
    let mut size = bytes as f64;
    let mut unit = "";
    for next in UNITS {
        if size < 1024.0 {
            break;
        }
        size /= 1024.0;
        unit = next;
    }
    format!("{size:.2}{unit}")
}

#[cfg(test)]
mod tests {
    use super::human;

    #[test]
    fn sizes_are_written_as_redis_writes_them() {
        assert_eq!(human(0), "0B");
        assert_eq!(human(1023), "1023B");
        assert_eq!(human(1536), "1.50K");
        assert_eq!(human(64 << 20), "64.00M");
    }
}
