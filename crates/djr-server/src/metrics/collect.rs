//! What is told, from what the workers have counted.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;

use djr_engine::stats::Counter;

use super::exposition::Exposition;
use super::exposition::Kind::{Counter as Rising, Gauge, Histogram};
use crate::clock;
use crate::introspection::{Distribution, Kind};
use crate::memory::Usage;
use crate::process;
use crate::pubsub::Kind as Channels;
use crate::shared::{Gate, Shared};
use crate::snapshots::Job;
use crate::stats::{CommandStats, WorkerStats};

/// The upper bounds of the latency histograms: microseconds, from one on a doubling scale to more than eight seconds.
const BOUNDS_MICROS: [u64; 24] = {
    let mut bounds = [1; 24];
    let mut index = 1;
    while index < bounds.len() {
        bounds[index] = bounds[index - 1] * 2;
        index += 1;
    }
    bounds
};

/// Everything, in the text format.
pub(super) fn all(shared: &Shared) -> String {
    let mut out = Exposition::default();
    server(&mut out, shared);
    clients(&mut out, shared);
    commands(&mut out, shared);
    latencies(&mut out, shared);
    keyspace(&mut out, shared);
    memory(&mut out, shared);
    persistence(&mut out, shared);
    out.finish()
}

fn sum(shared: &Shared, counter: impl Fn(&WorkerStats) -> &Counter) -> u64 {
    let workers = shared.workers.iter();
    workers.map(|worker| counter(&worker.stats).get()).sum()
}

fn server(out: &mut Exposition, shared: &Shared) {
    out.metric("build_info", Gauge, "Versions, as labels; always 1.");
    let versions = [
        ("version", env!("CARGO_PKG_VERSION")),
        ("redis_version", crate::REDIS_VERSION),
    ];
    out.sample(&versions, 1);
    let uptime = (clock::monotonic() - shared.started).as_secs_f64();
    out.one("uptime_seconds", Gauge, "Seconds since the start.", uptime);
    let loading = shared.gate.bits() & Gate::LOADING != 0;
    let help = "1 while the data set is being loaded.";
    out.one("loading", Gauge, help, u8::from(loading));
    let workers = shared.workers.len();
    out.one("workers", Gauge, "Worker threads.", workers);
    if let Some((user, system)) = process::cpu_seconds() {
        out.metric("cpu_seconds_total", Rising, "CPU time of the process.");
        out.sample(&[("mode", "user")], user);
        out.sample(&[("mode", "system")], system);
    }
    let log = &shared.introspection.command_log;
    let help = "Commands noted by SLOWLOG and COMMANDLOG.";
    out.metric("noted_commands_total", Rising, help);
    for (name, kind) in [
        ("slow", Kind::Slow),
        ("large-request", Kind::LargeRequest),
        ("large-reply", Kind::LargeReply),
    ] {
        out.sample(&[("kind", name)], log.total(kind));
    }
}

fn clients(out: &mut Exposition, shared: &Shared) {
    let clients = shared.clients.all();
    let count = |is_meant: &dyn Fn(&crate::clients::ClientInfo) -> bool| {
        clients.iter().filter(|client| is_meant(client)).count()
    };
    for (name, help, value) in [
        ("connected_clients", "Clients.", clients.len()),
        (
            "clients_max",
            "As many clients may be connected (maxclients).",
            shared.config.maxclients(),
        ),
        (
            "blocked_clients",
            "Clients that wait for a key.",
            count(&|client| client.waiter.lock().is_some()),
        ),
        (
            "pubsub_clients",
            "Clients that have subscribed to something.",
            count(&|client| client.is_subscriber()),
        ),
        (
            "tracking_clients",
            "Clients that track keys.",
            shared.trackers.len(),
        ),
        (
            "watching_clients",
            "Clients that watch keys.",
            count(&|client| client.watching.load(Relaxed) > 0),
        ),
        (
            "pubsub_channels",
            "Channels with subscribers.",
            shared.pubsub.len(Channels::Channel),
        ),
        (
            "pubsub_patterns",
            "Patterns with subscribers.",
            shared.pubsub.len(Channels::Pattern),
        ),
    ] {
        out.one(name, Gauge, help, value);
    }
    for (name, help, counter) in [
        (
            "connections_received_total",
            "Connections accepted.",
            (|stats| &stats.connections_received) as fn(&WorkerStats) -> &Counter,
        ),
        (
            "connections_rejected_total",
            "Connections refused at once.",
            |stats| &stats.connections_rejected,
        ),
        (
            "limit_disconnections_total",
            "Connections closed because a buffer grew past its limit.",
            |stats| &stats.limit_disconnections,
        ),
        (
            "evicted_clients_total",
            "Clients closed for want of memory.",
            |stats| &stats.evicted_clients,
        ),
        (
            "net_input_bytes_total",
            "Bytes read from clients.",
            |stats| &stats.bytes_in,
        ),
        (
            "net_output_bytes_total",
            "Bytes written to clients.",
            |stats| &stats.bytes_out,
        ),
    ] {
        out.one(name, Rising, help, sum(shared, counter));
    }
}

fn commands(out: &mut Exposition, shared: &Shared) {
    let registry = shared.engine.registry;
    let of = |id: usize, counter: fn(&CommandStats) -> &Counter| -> u64 {
        let workers = shared.workers.iter();
        let stats = workers.filter_map(|worker| worker.stats.commands.get(id));
        stats.map(|stats| counter(stats).get()).sum()
    };
    for (name, help, counter) in [
        (
            "commands_total",
            "Calls of each command.",
            (|stats| &stats.calls) as fn(&CommandStats) -> &Counter,
        ),
        (
            "commands_rejected_total",
            "Commands refused before they ran.",
            |stats| &stats.rejected,
        ),
        (
            "commands_failed_total",
            "Commands that answered with an error.",
            |stats| &stats.failed,
        ),
        (
            "commands_seconds_total",
            "Time spent in each command.",
            |stats| &stats.nanos,
        ),
    ] {
        out.metric(name, Rising, help);
        for id in 0..registry.id_count() {
            let value = of(id, counter);
            if let Some(command) = registry.by_id(id).filter(|_| value > 0) {
                let labels = [("command", command.full_name.as_str())];
                match name {
                    "commands_seconds_total" => out.sample(&labels, value as f64 / 1e9),
                    _ => out.sample(&labels, value),
                }
            }
        }
    }
    out.metric("errors_total", Rising, "Error replies by their code.");
    let mut codes: BTreeMap<String, u64> = BTreeMap::new();
    for worker in &shared.workers {
        for (code, count) in worker.stats.error_codes.lock().iter() {
            *codes.entry(code.clone()).or_default() += count;
        }
    }
    for (code, count) in codes {
        out.sample(&[("code", &code)], count);
    }
}

fn latencies(out: &mut Exposition, shared: &Shared) {
    let registry = shared.engine.registry;
    let mut families: BTreeMap<&'static str, Distribution> = BTreeMap::new();
    for id in 0..registry.id_count() {
        let Some(command) = registry.by_id(id) else {
            continue;
        };
        for worker in &shared.workers {
            if let Some(histogram) = worker.stats.commands[id].counted() {
                let family = families.entry(command.spec.group.name()).or_default();
                family.add(histogram);
            }
        }
    }
    let help = "How long commands take, by family; of pipelined short ones the mean of the run.";
    out.metric("command_seconds", Histogram, help);
    for (family, distribution) in families {
        for micros in BOUNDS_MICROS {
            let bound = format!("{}", micros as f64 / 1e6);
            let count = distribution.up_to(micros * 1000);
            out.sample_of("_bucket", &[("family", family), ("le", &bound)], count);
        }
        let all = distribution.calls;
        out.sample_of("_bucket", &[("family", family), ("le", "+Inf")], all);
        let seconds = distribution.nanos as f64 / 1e9;
        out.sample_of("_sum", &[("family", family)], seconds);
        out.sample_of("_count", &[("family", family)], all);
    }
}

fn keyspace(out: &mut Exposition, shared: &Shared) {
    let keyspace = &shared.engine.keyspace;
    let full: Vec<_> = (0..keyspace.dbs())
        .filter(|db| keyspace.len(*db) > 0)
        .map(|db| (db, db.to_string()))
        .collect();
    out.metric("db_keys", Gauge, "Keys of each db that has any.");
    for (db, name) in &full {
        out.sample(&[("db", name)], keyspace.len(*db));
    }
    out.metric("db_expiring_keys", Gauge, "Keys with a time to live.");
    for (db, name) in &full {
        out.sample(&[("db", name)], keyspace.expires_len(*db));
    }
    let expired =
        sum(shared, |stats| &stats.lookups.expired) + sum(shared, |stats| &stats.expired_active);
    let fields = sum(shared, |stats| &stats.lookups.expired_fields)
        + sum(shared, |stats| &stats.expired_fields_active);
    for (name, help, value) in [
        (
            "keyspace_hits_total",
            "Keys that reading commands found.",
            sum(shared, |stats| &stats.lookups.hits),
        ),
        (
            "keyspace_misses_total",
            "Keys that they did not find.",
            sum(shared, |stats| &stats.lookups.misses),
        ),
        ("expired_keys_total", "Keys that have expired.", expired),
        (
            "expired_fields_total",
            "Fields of hashes that have expired.",
            fields,
        ),
        (
            "evicted_keys_total",
            "Keys removed for want of memory.",
            sum(shared, |stats| &stats.lookups.evicted),
        ),
    ] {
        out.one(name, Rising, help, value);
    }
}

fn memory(out: &mut Exposition, shared: &Shared) {
    let usage = Usage::now(shared);
    for (name, help, value) in [
        (
            "memory_used_bytes",
            "Memory that counts towards maxmemory.",
            usage.used,
        ),
        ("memory_peak_bytes", "The most there ever was.", usage.peak),
        (
            "memory_dataset_bytes",
            "Memory of keys and values.",
            usage.dataset,
        ),
        (
            "memory_max_bytes",
            "The limit (maxmemory); 0 for none.",
            shared.config.maxmemory(),
        ),
    ] {
        out.one(name, Gauge, help, value);
    }
    if let Some(rss) = usage.rss {
        let help = "Memory of the process in RAM.";
        out.one("memory_rss_bytes", Gauge, help, rss);
    }
    let classes = shared.engine.keyspace.classes();
    let named: Vec<_> = (0..classes.count())
        .map(|id| (id, classes.get(id)))
        .map(|(id, class)| (id, class.map_or("default", |class| &*class.name), class))
        .collect();
    let help = "Memory of each memory class.";
    out.metric("memory_class_used_bytes", Gauge, help);
    for (id, name, _) in &named {
        let bytes = shared.engine.keyspace.class_bytes(*id);
        out.sample(&[("class", name)], bytes);
    }
    let help = "The limit of each memory class; 0 for none.";
    out.metric("memory_class_max_bytes", Gauge, help);
    for (_, name, class) in &named {
        out.sample(&[("class", name)], class.map_or(0, |class| class.limit));
    }
    let help = "Keys of each memory class removed for want of memory.";
    out.metric("memory_class_evicted_keys_total", Rising, help);
    for (id, name, _) in &named {
        let evicted: u64 = shared
            .workers
            .iter()
            .filter_map(|worker| worker.stats.class_evicted.get(*id))
            .map(Counter::get)
            .sum();
        out.sample(&[("class", name)], evicted);
    }
}

fn persistence(out: &mut Exposition, shared: &Shared) {
    let (saving, rewriting, save_ok, rewrite_ok, changes, last_save) = {
        let state = shared.snapshots.state();
        (
            state.running(Job::Save).is_some(),
            state.running(Job::Rewrite).is_some(),
            state.save_ok,
            state.rewrite_ok,
            state.changes(shared.changes()),
            state.last_save_ms as f64 / 1000.0,
        )
    };
    let log = shared.log();
    let log_ok = log.as_ref().is_none_or(|log| log.poisoned().is_none());
    for (name, help, value) in [
        (
            "rdb_save_in_progress",
            "1 while a snapshot is written.",
            saving,
        ),
        (
            "rdb_last_save_ok",
            "1 if the last snapshot was written.",
            save_ok,
        ),
        (
            "aof_rewrite_in_progress",
            "1 while the log is rewritten.",
            rewriting,
        ),
        (
            "aof_last_rewrite_ok",
            "1 if the last rewrite of the log worked.",
            rewrite_ok,
        ),
        ("aof_enabled", "1 if there is a log.", log.is_some()),
        (
            "aof_last_write_ok",
            "0 once the log has failed: writes are refused then.",
            log_ok,
        ),
    ] {
        out.one(name, Gauge, help, u8::from(value));
    }
    let help = "Changes since the last snapshot.";
    out.one("rdb_changes_since_last_save", Gauge, help, changes);
    let help = "When the last snapshot was written, in seconds since 1970.";
    out.one("rdb_last_save_timestamp_seconds", Gauge, help, last_save);
    let Some(log) = log else { return };
    let sizes = log.sizes();
    for (name, help, value) in [
        ("aof_size_bytes", "Size of the log's files.", sizes.current),
        (
            "aof_base_size_bytes",
            "Its size after the last rewrite.",
            sizes.at_rewrite,
        ),
        (
            "aof_offset_bytes",
            "The log's end: the replication offset.",
            log.end(),
        ),
        (
            "aof_durable_offset_bytes",
            "Up to here the log is on the disk.",
            log.durable(),
        ),
    ] {
        out.one(name, Gauge, help, value);
    }
}
