//! The process, its log, limits, monitoring, the system around it.

use super::kinds::*;
use super::{Section, live, rows, special as specials};
use crate::logging;

pub(super) const SECTION: Section = Section {
    title: "General",
    parameters: rows! {
        "threads" | "io-threads" = "auto", special(&specials::THREADS), Start,
            "Worker threads. Each serves its connections and executes their commands.";
        "databases" = "16", integer(1, INT), Start,
            "The number of dbs.";
        "pidfile" = "", Text, Start,
            "A file that holds the process id while the server runs; empty for none.";
        "daemonize" = "no", YesNo, Start,
            "Runs in the background: the server starts itself anew, without a terminal.";
        "supervised" = "no", Choice(&["upstart", "systemd", "auto", "no"]), Start,
            "Tells systemd when the server is ready; auto does so where systemd asks for it.";
        "shutdown-timeout" = "10", integer(0, INT), Live,
            "Seconds that a shutdown waits for replicas.", .later("replication");
        "shutdown-on-sigint" = "default", special(&specials::SHUTDOWN_OPTIONS), Live,
            "What Ctrl-C does about a last snapshot: as SHUTDOWN with these words. The log is complete in any case.";
        "shutdown-on-sigterm" = "default", special(&specials::SHUTDOWN_OPTIONS), Live,
            "The same for SIGTERM.";
        "hz" = "10", special(&specials::HZ), Live,
            "How often periodic work is done, per second.", .no_effect("each worker sees for itself when work is due");
        "dynamic-hz" = "yes", YesNo, Live,
            "Periodic work follows the number of clients.", .no_effect("each worker sees for itself when work is due");
        "io-threads-do-reads" = "no", YesNo, Start,
            "I/O threads read, too.", .no_effect("workers read, execute and write");
        "prefetch-batch-max-size" = "16", integer(0, 128), Live,
            "How many keys are prefetched at once.", .no_effect("all keys of what a client has sent are prefetched");
        "enable-debug-command" = "no", Choice(&["no", "yes", "local"]), Start,
            "Who may use DEBUG: nobody, everyone, clients on this machine.";
        "enable-module-command" = "no", Choice(&["no", "yes", "local"]), Start,
            "Who may use MODULE.", .no_effect("modules are not supported");
        "enable-protected-configs" = "no", Choice(&["no", "yes", "local"]), Start,
            "Who may change protected parameters with CONFIG SET.", .no_effect("'dir' and 'dbfilename' are fixed at the start");
        "extended-redis-compatibility" = "no", YesNo, Live,
            "Valkey: names itself Redis.", .no_effect("it always does");
        "availability-zone" = "", Text, Live,
            "The zone that HELLO and INFO name.", .later("HELLO's field of that name");
        "import-mode" = "no", YesNo, Live,
            "Keys do not expire while data is imported.", .later("CLIENT IMPORT-SOURCE");
    },
};

pub(super) const LOGGING: Section = Section {
    title: "Logging",
    parameters: rows! {
        "loglevel" = "notice", Choice(&["debug", "verbose", "notice", "warning", "nothing"]), Live,
            "How much is logged.", .apply(live::loglevel);
        "logfile" = "", Text, Start,
            "The file to log into, opened anew for each line so that it can be rotated; empty for standard output.";
        "log-format" = "legacy", Choice(logging::FORMATS), Live,
            "The form of the log's lines: as Redis writes them, or for programs.", .apply(live::log_format);
        "log-timestamp-format" = "legacy", Choice(logging::TIMESTAMP_FORMATS), Live,
            "The form of the times in the log; they are local.", .apply(live::log_format);
        "hide-user-data-from-log" = "yes", YesNo, Live,
            "No keys and values in the log.", .no_effect("there never are any");
        "syslog-enabled" = "no", YesNo, Start,
            "Logs to syslog, too.";
        "syslog-ident" = "redis", Text, Start,
            "The name in syslog.";
        "syslog-facility" = "local0",
            Choice(&["user", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"]), Start,
            "The facility of syslog.";
        "crash-log-enabled" = "yes", YesNo, Live,
            "Logs a report when the server crashes.", .no_effect("a panic always says where it was");
        "crash-memcheck-enabled" = "yes", YesNo, Live,
            "Tests the memory after a crash.", .no_effect("memory is not tested");
        "always-show-logo" = "no", YesNo, Start,
            "Shows the logo at the start.", .no_effect("there is none");
        "ignore-warnings" = "", Text, Live,
            "Warnings that do not prevent the start.", .no_effect("no warning prevents it");
    },
};

pub(super) const LIMITS: Section = Section {
    title: "Limits of clients",
    parameters: rows! {
        "proto-max-bulk-len" = "512mb", memory(1 << 20, LONG as u64), Live,
            "The longest argument, and the longest string that a command may make.", .apply(live::string_len_max);
        "client-query-buffer-limit" = "1gb", memory(1 << 20, LONG as u64), Live,
            "How much of a request that is not whole yet is kept, in bytes.";
        "client-output-buffer-limit" = "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60",
            special(&specials::OUTPUT_LIMITS), Live,
            "How many bytes of replies may wait for a client that does not read them.";
        "maxmemory-clients" = "0", special(&specials::MEMORY_OR_PERCENT), Live,
            "Memory that all clients together may take, in bytes or percent of maxmemory: above it the largest are closed; 0 for any.";
        "tracking-table-max-keys" = "1000000", integer(0, LONG), Live,
            "Keys remembered for client-side caching; 0 for any number.";
    },
};

pub(super) const MONITORING: Section = Section {
    title: "Monitoring and events",
    parameters: rows! {
        "notify-keyspace-events" = "", special(&specials::EVENT_CLASSES), Live,
            "The keyspace events that are published.", .apply(live::notify_keyspace_events);
        "slowlog-log-slower-than" | "commandlog-execution-slower-than" = "10000", integer(-1, LONG), Live,
            "Commands that take more microseconds are noted by SLOWLOG; -1 for none.";
        "slowlog-max-len" | "commandlog-slow-execution-max-len" = "128", integer(0, LONG), Live,
            "How many of them are kept.";
        "commandlog-request-larger-than" = "1048576", integer(-1, LONG), Live,
            "Requests of more bytes are noted by COMMANDLOG; -1 for none.";
        "commandlog-large-request-max-len" = "128", integer(0, LONG), Live,
            "How many of them are kept.";
        "commandlog-reply-larger-than" = "1048576", integer(-1, LONG), Live,
            "Replies of more bytes are noted by COMMANDLOG; -1 for none.";
        "commandlog-large-reply-max-len" = "128", integer(0, LONG), Live,
            "How many of them are kept.";
        "latency-monitor-threshold" = "0", integer(0, LONG), Live,
            "Events that take more milliseconds are noted by LATENCY; 0 for none.";
        "latency-tracking" = "yes", YesNo, Live,
            "Keeps the distribution of each command's latency.";
        "latency-tracking-info-percentiles" = "50 99 99.9", special(&specials::PERCENTILES), Live,
            "The percentiles that INFO latencystats shows.";
        "metrics-port" = "0", integer(0, 65535), Start,
            "The port of /metrics (for Prometheus), /healthz and /readyz over HTTP; 0 for none.";
        "metrics-bind" = "127.0.0.1 -::1", special(&specials::ADDRESSES), Start,
            "The addresses of that port. There is no password: whoever reaches it reads it.";
    },
};

pub(super) const SYSTEM: Section = Section {
    title: "The system around",
    parameters: rows! {
        "server-cpulist" | "server_cpulist" = "", Text, Start,
            "Processors for the workers.", .no_effect("use taskset or systemd's CPUAffinity");
        "bio-cpulist" | "bio_cpulist" = "", Text, Start,
            "Processors for background threads.", .no_effect("use taskset or systemd's CPUAffinity");
        "aof-rewrite-cpulist" | "aof_rewrite_cpulist" = "", Text, Start,
            "Processors for rewrites.", .no_effect("nothing forks");
        "bgsave-cpulist" | "bgsave_cpulist" = "", Text, Start,
            "Processors for snapshots.", .no_effect("nothing forks");
        "oom-score-adj" = "no", Choice(&["no", "yes", "relative", "absolute"]), Live,
            "Tells the kernel whom to kill first.", .no_effect("use systemd's OOMScoreAdjust");
        "oom-score-adj-values" = "0 200 800", special(&specials::OOM_SCORES), Live,
            "The scores for that.", .no_effect("use systemd's OOMScoreAdjust");
        "disable-thp" = "yes", YesNo, Start,
            "Switches transparent huge pages off.", .no_effect("they do no harm where nothing forks");
        "jemalloc-bg-thread" = "yes", YesNo, Live,
            "A thread that gives memory back.", .no_effect("jemalloc is not used");
        "set-proc-title" = "yes", YesNo, Start,
            "Changes the process's title.", .no_effect("the title stays");
        "proc-title-template" = "{title} {listen-addr} {server-mode}", special(&specials::TITLE_TEMPLATE), Live,
            "The form of that title.", .no_effect("the title stays");
        "locale-collate" = "", Text, Live,
            "The locale that SORT ALPHA compares by.", .no_effect("strings are compared byte by byte");
        "hash-seed" = "", Text, Start,
            "Makes hashes, and so the order of SCAN, the same in each run.", .no_effect("the seed is random, against flooding");
        "key-load-delay" = "0", integer(-INT, INT), Live,
            "Slows the loading down by so many microseconds per key or command, for tests.", .hidden();
        "rdb-key-save-delay" = "0", integer(-INT, INT), Live,
            "Slows snapshots down, for tests.", .hidden(), .no_effect("snapshots are never slowed down");
        "loading-process-events-interval-bytes" = "2097152", integer(1024, INT), Live,
            "How often clients are served while loading.", .hidden(), .no_effect("workers serve all the time");
        "set-disable-deny-scripts" = "no", YesNo, Live,
            "Lets scripts call everything, for tests.", .hidden(), .no_effect("scripts are never let out");
    },
};
