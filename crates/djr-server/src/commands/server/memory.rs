//! MEMORY DOCTOR | MALLOC-STATS | PURGE | STATS | USAGE | HELP

use std::fmt::Write;

use djr_engine::spec::{Access, Arg, CommandSpec, Flags, Group, Run};
use djr_engine::{Args, CommandError, Reply};

use crate::commands::{Context, Entry, Result, ServerRun};
use crate::memory::{Usage, diagnose};

pub(super) static SPEC: CommandSpec = CommandSpec {
    name: "memory",
    since: "4.0.0",
    group: Group::Server,
    summary: "About memory.",
    flags: Flags::NONE,
    subcommands: &[&DOCTOR, &HELP, &MALLOC_STATS, &PURGE, &STATS, &USAGE],
    ..CommandSpec::DEFAULT
};

const SPECIAL_TIPS: &[&str] = &[
    "nondeterministic_output",
    "request_policy:all_shards",
    "response_policy:special",
];

static DOCTOR: CommandSpec = CommandSpec {
    name: "doctor",
    since: "4.0.0",
    group: Group::Server,
    summary: "Tells what is wrong with the use of memory.",
    tips: SPECIAL_TIPS,
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

static MALLOC_STATS: CommandSpec = CommandSpec {
    name: "malloc-stats",
    since: "4.0.0",
    group: Group::Server,
    summary: "Tells what the allocators hold.",
    flags: Flags::LOADING,
    tips: SPECIAL_TIPS,
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

static PURGE: CommandSpec = CommandSpec {
    name: "purge",
    since: "4.0.0",
    group: Group::Server,
    summary: "Gives memory that is not used back to the system.",
    flags: Flags::LOADING,
    tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

static STATS: CommandSpec = CommandSpec {
    name: "stats",
    since: "4.0.0",
    group: Group::Server,
    summary: "Tells what memory is used for.",
    tips: SPECIAL_TIPS,
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

static USAGE: CommandSpec = CommandSpec {
    name: "usage",
    since: "4.0.0",
    group: Group::Server,
    summary: "Returns the bytes that a key and its value take.",
    complexity: "O(1): nothing is estimated, so SAMPLES changes nothing",
    syntax: &[
        Arg::key("key", Access::RO),
        Arg::integer("count").after("SAMPLES").optional(),
    ],
    flags: Flags::READONLY,
    run: Run::Read(|context, args, reply| {
        let mut index = 3;
        while index < args.len() {
            if !args.is(index, "samples") || index + 1 >= args.len() {
                return Err(CommandError::Syntax);
            }
            if args.integer(index + 1)? < 0 {
                return Err(CommandError::Syntax);
            }
            index += 2;
        }
        // Neither a hit nor a miss, as in Redis.
        match context.db.peek(context.key(args, 2)) {
            Some(entry) => reply.integer((entry.memory_bytes() + SLOT_SIZE) as i64),
            None => reply.null(),
        }
        Ok(())
    }),
    ..CommandSpec::DEFAULT
};

/// What an entry takes in its table.
const SLOT_SIZE: usize = 8;

static HELP: CommandSpec = CommandSpec {
    name: "help",
    since: "4.0.0",
    group: Group::Server,
    summary: "Tells about the subcommands.",
    flags: Flags::LOADING.with(Flags::STALE),
    run: Run::Shell,
    ..CommandSpec::DEFAULT
};

pub(super) static RUNS: &[Entry] = &[
    (&DOCTOR, ServerRun::Plain(doctor)),
    (&MALLOC_STATS, ServerRun::Plain(malloc_stats)),
    (&PURGE, ServerRun::Plain(purge)),
    (&STATS, ServerRun::Plain(stats)),
    (
        &HELP,
        ServerRun::Plain(|_, _, reply| {
            reply.array(HELP_LINES.len());
            HELP_LINES.iter().for_each(|line| reply.simple(line));
            Ok(())
        }),
    ),
];

/// As Redis and Valkey answer it.
const HELP_LINES: &[&str] = &[
    "MEMORY <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "DOCTOR",
    "    Return memory problems reports.",
    "MALLOC-STATS",
    "    Return internal statistics report from the memory allocator.",
    "PURGE",
    "    Attempt to purge dirty pages for reclamation by the allocator.",
    "STATS",
    "    Return information about the memory usage of the server.",
    "USAGE <key> [SAMPLES <count>]",
    "    Return memory in bytes used by <key> and its value. Nested values are",
    "    sampled up to <count> times (default: 5, 0 means sample all).",
    "HELP",
    "    Prints this help.",
];

fn doctor(context: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    reply.verbatim("txt", diagnose(&context.core.shared).as_bytes());
    Ok(())
}

fn malloc_stats(context: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    let usage = Usage::now(&context.core.shared);
    let pool = djr_storage::memory::pool_bytes();
    let mut text = String::new();
    for (what, bytes) in [
        ("entries and structures in use", usage.dataset),
        ("of these in the entries' slabs", usage.arena_used),
        ("slabs lent to shards", usage.arena_held),
        ("slabs of the process, lent", pool.lent as u64),
        (
            "slabs of the process, free, with memory behind them",
            pool.idle as u64,
        ),
        ("tables and expiry indexes", usage.indexes),
        ("clients", usage.clients),
        ("scripts and functions", usage.scripts),
    ] {
        let result = writeln!(text, "{what}: {bytes} bytes");
        debug_assert!(result.is_ok(), "writing to a string does not fail");
    }
    reply.verbatim("txt", text.as_bytes());
    Ok(())
}

fn purge(_: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    djr_storage::memory::tend_chunks(usize::MAX);
    djr_storage::memory::release_idle(usize::MAX);
    djr_storage::memory::give_back();
    reply.ok();
    Ok(())
}

/// A figure of MEMORY STATS.
enum Figure {
    Bytes(u64),
    Ratio(f64),
    /// Bytes that may be negative.
    Difference(i64),
    /// A db's table, its expiry index included.
    Db(u64),
}

fn stats(context: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result {
    use Figure::{Bytes, Db, Difference, Ratio};
    let shared = &context.core.shared;
    let usage = Usage::now(shared);
    let keyspace = &shared.engine.keyspace;
    let keys: usize = (0..keyspace.dbs()).map(|db| keyspace.len(db)).sum();
    let ratio = |part: u64, whole: u64| part as f64 / whole.max(1) as f64;
    let since_start = usage.used.saturating_sub(usage.startup);
    let log = shared.log().map_or(0, |log| log.pending_bytes());
    let (slabs, values) = (shared.slab_memory(), shared.value_memory());
    let allocated = (slabs.used + values.used) as u64;
    let active = (slabs.held + values.held) as u64;
    let resident = usage.rss.unwrap_or(active).max(active);
    let mut figures: Vec<(String, Figure)> = vec![
        ("peak.allocated".into(), Bytes(usage.peak)),
        ("total.allocated".into(), Bytes(usage.used)),
        ("startup.allocated".into(), Bytes(usage.startup)),
        ("replication.backlog".into(), Bytes(0)),
        ("clients.slaves".into(), Bytes(0)),
        ("clients.normal".into(), Bytes(usage.clients)),
        ("cluster.links".into(), Bytes(0)),
        ("aof.buffer".into(), Bytes(log)),
        (
            "lua.caches".into(),
            Bytes(shared.engine.scripts.bytes() as u64),
        ),
        (
            "functions.caches".into(),
            Bytes(shared.engine.functions.bytes() as u64),
        ),
    ];
    for db in (0..keyspace.dbs()).filter(|db| !keyspace.is_empty(*db)) {
        let index = keyspace.index_bytes(db) as u64;
        figures.push((format!("db.{db}"), Db(index)));
    }
    figures.extend([
        ("overhead.total".into(), Bytes(usage.overhead())),
        ("keys.count".into(), Bytes(keys as u64)),
        (
            "keys.bytes-per-key".into(),
            Bytes(since_start / keys.max(1) as u64),
        ),
        ("dataset.bytes".into(), Bytes(usage.dataset)),
        ("dataset.percentage".into(), Ratio(usage.dataset_percent())),
        (
            "peak.percentage".into(),
            Ratio(ratio(usage.used, usage.peak) * 100.0),
        ),
        ("allocator.allocated".into(), Bytes(allocated)),
        ("allocator.active".into(), Bytes(active)),
        ("allocator.resident".into(), Bytes(resident)),
        (
            "allocator-fragmentation.ratio".into(),
            Ratio(ratio(active, allocated)),
        ),
        (
            "allocator-fragmentation.bytes".into(),
            Bytes(active.saturating_sub(allocated)),
        ),
        ("allocator-rss.ratio".into(), Ratio(ratio(resident, active))),
        ("allocator-rss.bytes".into(), Bytes(resident - active)),
    ]);
    if let Some(rss) = usage.rss {
        figures.push(("fragmentation".into(), Ratio(ratio(rss, usage.used))));
        figures.push((
            "fragmentation.bytes".into(),
            Difference(rss as i64 - usage.used as i64),
        ));
    }
    reply.map(figures.len());
    for (name, figure) in figures {
        reply.bulk(name.as_bytes());
        match figure {
            Bytes(bytes) => reply.integer(bytes as i64),
            Difference(bytes) => reply.integer(bytes),
            Ratio(ratio) => reply.double(ratio),
            Db(bytes) => {
                reply.map(1);
                reply.bulk(b"overhead.hashtable.main");
                reply.integer(bytes as i64);
            }
        }
    }
    Ok(())
}
