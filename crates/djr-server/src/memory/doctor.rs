//! `MEMORY DOCTOR`: what an administrator should know of the use of memory, in sentences.

use super::Usage;
use crate::shared::Shared;

/// Below so many bytes there is nothing to complain about.
const EMPTY: u64 = 5 << 20;

/// The report.
pub(crate) fn diagnose(shared: &Shared) -> String {
    let usage = Usage::now(shared);
    let mut findings: Vec<String> = Vec::new();
    let risk: Vec<_> = shared
        .broker_dbs_at_risk()
        .map(|db| db.to_string())
        .collect();
    if !risk.is_empty() {
        findings.push(format!(
            "Broker in reach of eviction: db {} is used as a message broker, and the policy of its keys evicts them. Give it a memory class \
             with the policy noeviction.",
            risk.join(", ")
        ));
    }
    if usage.used < EMPTY {
        findings.extend((findings.is_empty()).then(|| {
            "This instance is empty or uses very little memory: there is nothing to say about it yet.".into()
        }));
        return findings.join("\n");
    }
    if usage.peak > usage.used / 2 * 3 {
        findings.push(format!(
            "Peak memory: in the past {} bytes were used, more than 150% of the {} bytes used now. What the system shows for this process \
             may stay high until memory has been given back: see MEMORY PURGE and 'activedefrag'.",
            usage.peak, usage.used
        ));
    }
    if usage.arena_held > usage.arena_used / 10 * 14 {
        findings.push(format!(
            "High fragmentation: the entries' slabs hold {} bytes for {} bytes of entries. With 'activedefrag yes' they are moved together.",
            usage.arena_held, usage.arena_used
        ));
    }
    if let Some(rss) = usage.rss
        && rss > usage.used / 10 * 14
        && rss - usage.used > 10 << 20
    {
        findings.push(format!(
            "High overhead: the process holds {rss} bytes, {:.2} times of what is used. That is memory of the allocators, of threads' stacks \
             and of buffers.",
            rss as f64 / usage.used as f64
        ));
    }
    let (clients, count) = (usage.clients, shared.clients.len() as u64);
    if count > 0 && clients / count > 200 << 10 {
        findings.push(format!(
            "Big client buffers: {clients} bytes for {count} clients. A client that reads too slowly, or huge requests: see 'omem', 'qbuf' \
             and 'tot-mem' in CLIENT LIST, and 'maxmemory-clients'."
        ));
    }
    if shared.engine.scripts.len() > 1000 {
        findings.push(
            "Many scripts: more than 1000 are cached. Scripts that are put together anew for each call should take arguments instead."
                .into(),
        );
    }
    if findings.is_empty() {
        return "There are no memory problems in this instance.".into();
    }
    findings.join("\n")
}
