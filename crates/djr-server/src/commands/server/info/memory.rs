//! INFO memory and INFO memoryclasses.

use std::fmt::Write;
use std::sync::atomic::Ordering::Relaxed;

use djr_storage::keyspace::MemoryClass;

use super::sections::{Report, human};
use crate::memory::Usage;
use crate::process;

pub(super) fn memory(report: &mut Report<'_>) {
    let shared = report.shared;
    let usage = Usage::now(shared);
    let both = |report: &mut Report<'_>, name: &str, bytes: u64| {
        report.field(name, bytes);
        report.field(&format!("{name}_human"), human(bytes));
    };
    both(report, "used_memory", usage.used);
    if let Some(rss) = usage.rss {
        both(report, "used_memory_rss", rss);
    }
    both(report, "used_memory_peak", usage.peak);
    report.field(
        "used_memory_peak_perc",
        format_args!("{:.2}%", percent(usage.used, usage.peak)),
    );
    report.field("used_memory_overhead", usage.overhead());
    report.field("used_memory_startup", usage.startup);
    report.field("used_memory_dataset", usage.dataset);
    report.field(
        "used_memory_dataset_perc",
        format_args!("{:.2}%", usage.dataset_percent()),
    );
    if let Some(total) = process::total_memory_bytes() {
        both(report, "total_system_memory", total);
    }
    let (libraries, functions) = shared.engine.functions.counts();
    both(report, "used_memory_scripts", usage.scripts);
    report.field("used_memory_scripts_eval", shared.engine.scripts.bytes());
    report.field("number_of_cached_scripts", shared.engine.scripts.len());
    report.field("number_of_functions", functions);
    report.field("number_of_libraries", libraries);
    report.field("used_memory_functions", shared.engine.functions.bytes());
    both(report, "maxmemory", shared.config.maxmemory());
    report.field("maxmemory_policy", shared.config.maxmemory_policy());
    let slabs = shared.slab_memory();
    let values = shared.value_memory();
    let allocated = (slabs.used + values.used) as u64;
    let active = (slabs.held + values.held) as u64;
    let resident = usage.rss.unwrap_or(active).max(active);
    report.field("allocator_allocated", allocated);
    report.field("allocator_active", active);
    report.field("allocator_resident", resident);
    report.field(
        "allocator_frag_ratio",
        format_args!("{:.2}", ratio(active, allocated)),
    );
    report.field("allocator_frag_bytes", active.saturating_sub(allocated));
    report.field(
        "allocator_rss_ratio",
        format_args!("{:.2}", ratio(resident, active)),
    );
    report.field("allocator_rss_bytes", resident - active);
    if let Some(rss) = usage.rss {
        report.field(
            "mem_fragmentation_ratio",
            format_args!("{:.2}", ratio(rss, usage.used)),
        );
        report.field("mem_fragmentation_bytes", rss as i64 - usage.used as i64);
    }
    report.field("mem_not_counted_for_evict", 0);
    report.field("mem_clients_slaves", 0);
    report.field("mem_clients_normal", usage.clients);
    report.field("mem_cluster_links", 0);
    let pending = shared.log().map_or(0, |log| log.pending_bytes());
    report.field("mem_aof_buffer", pending);
    report.field("mem_allocator", "djr-arena");
    let running = shared.workers.iter();
    let running = running.map(|worker| worker.stats.defrag_percent.load(Relaxed));
    report.field("active_defrag_running", running.max().unwrap_or_default());
    let (waiting, freed) = crate::disposal::counts();
    report.field("lazyfree_pending_objects", waiting);
    report.field("lazyfreed_objects", freed);
    let at_risk: Vec<_> = shared
        .broker_dbs_at_risk()
        .map(|db| db.to_string())
        .collect();
    report.field("broker_dbs_at_risk", at_risk.join(","));
}

/// A line for each memory class; the keys that belong to none are those of `default`.
pub(super) fn classes(report: &mut Report<'_>) {
    let shared = report.shared;
    let classes = shared.engine.keyspace.classes();
    for id in 0..classes.count() {
        let class = classes.get(id);
        let name = class.map_or("default", |class| &class.name);
        let evicted = report
            .sum(|stats| &stats.class_evicted[id.min(djr_storage::keyspace::CLASSES_MAX - 1)]);
        report.line(format_args!(
            "memory_class_{name}:{}maxmemory={},policy={},used_memory={},evicted_keys={evicted}",
            class.map_or_else(String::new, keys_of),
            class.map_or(0, |class| class.limit),
            classes.policy(id).name(),
            shared.engine.keyspace.class_bytes(id),
        ));
    }
}

/// Which keys a class is for: dbs and prefixes, with a `|` between two of them.
fn keys_of(class: &MemoryClass) -> String {
    let dbs: Vec<_> = class.dbs.iter().map(u32::to_string).collect();
    let prefixes: Vec<_> = class
        .prefixes
        .iter()
        .map(|prefix| prefix.escape_ascii().to_string())
        .collect();
    let mut text = String::new();
    for (name, list) in [("db", dbs), ("prefix", prefixes)] {
        if !list.is_empty() {
            let _ = write!(text, "{name}={},", list.join("|"));
        }
    }
    text
}

fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

fn percent(part: u64, whole: u64) -> f64 {
    ratio(part, whole) * 100.0
}
