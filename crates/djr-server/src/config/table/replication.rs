//! Replication.

use super::kinds::*;
use super::{Section, rows, special as specials};

const LATER: &str = "replication";

pub(super) const SECTION: Section = Section {
    title: "Replication",
    parameters: rows! {
        "replicaof" | "slaveof" = "", special(&specials::PRIMARY), Start,
            "The primary whose replica this server is.", .default_only("replication is not supported yet");
        "masterauth" | "primaryauth" = "", Text, Live, "The password for the primary.", .later(LATER), .secret();
        "masteruser" | "primaryuser" = "", Text, Live, "The user at the primary.", .later(LATER), .secret();
        "replica-serve-stale-data" | "slave-serve-stale-data" = "yes", YesNo, Live,
            "Serves reads while the primary is away.", .later(LATER);
        "replica-read-only" | "slave-read-only" = "yes", YesNo, Live, "A replica takes no writes.", .later(LATER);
        "replica-priority" | "slave-priority" = "100", integer(0, INT), Live,
            "Sentinels prefer replicas with a smaller number; 0 for never.", .later(LATER);
        "replica-announced" = "yes", YesNo, Live, "Sentinels tell about this replica.", .later(LATER);
        "replica-announce-ip" | "slave-announce-ip" = "", Text, Live, "The address told to the primary.", .later(LATER);
        "replica-announce-port" | "slave-announce-port" = "0", integer(0, 65535), Live,
            "The port told to the primary.", .later(LATER);
        "replica-ignore-maxmemory" | "slave-ignore-maxmemory" = "yes", YesNo, Live,
            "A replica leaves eviction to the primary.", .later(LATER);
        "replica-ignore-disk-write-errors" = "no", YesNo, Live,
            "A replica goes on although its disk fails.", .later(LATER);
        "replica-lazy-flush" | "slave-lazy-flush" = "yes", YesNo, Live,
            "Frees the old data set in the background.", .later(LATER);
        "replica-full-sync-buffer-limit" = "0", ANY_MEMORY, Live,
            "What a replica buffers while it loads.", .later(LATER);
        "repl-backlog-size" = "10mb", memory(1, LONG as u64), Live,
            "Bytes of the log kept for replicas that come back.", .later(LATER);
        "repl-backlog-ttl" = "3600", integer(0, LONG), Live, "Seconds for which they are kept.", .later(LATER);
        "repl-timeout" = "60", integer(1, INT), Live, "Seconds without a sign until a link is given up.", .later(LATER);
        "repl-ping-replica-period" | "repl-ping-slave-period" = "10", integer(1, INT), Live,
            "Seconds between signs.", .later(LATER);
        "repl-disable-tcp-nodelay" = "no", YesNo, Live, "Sends to replicas in larger packets.", .later(LATER);
        "repl-diskless-sync" = "yes", YesNo, Live, "Sends the data set without writing it to disk first.", .later(LATER);
        "repl-diskless-sync-delay" = "5", integer(0, INT), Live,
            "Seconds that it waits for more replicas.", .later(LATER);
        "repl-diskless-sync-max-replicas" = "0", integer(0, INT), Live,
            "Replicas for which it does not wait longer; 0 for any.", .later(LATER);
        "repl-diskless-load" = "disabled", Choice(&["disabled", "on-empty-db", "swapdb", "flush-before-load"]), Live,
            "Loads the data set without writing it to disk first.", .later(LATER);
        "repl-mptcp" = "no", YesNo, Start, "Multipath TCP to the primary.", .default_only("Multipath TCP is not supported");
        "dual-channel-replication-enabled" = "no", YesNo, Live,
            "Sends the data set over a connection of its own.", .later(LATER);
        "min-replicas-to-write" | "min-slaves-to-write" = "0", integer(0, INT), Live,
            "Writes are refused with fewer replicas.", .default_only("replication is not supported yet");
        "min-replicas-max-lag" | "min-slaves-max-lag" = "10", integer(0, INT), Live,
            "... than these that are so many seconds behind at most.", .later(LATER);
        "propagation-error-behavior" = "ignore", Choice(&["ignore", "panic", "panic-on-replicas"]), Live,
            "What a command of the primary that fails does.", .later(LATER);
    },
};
