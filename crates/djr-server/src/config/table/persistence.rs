//! The append-only log and snapshots.

use super::kinds::*;
use super::{Section, live, rows, special as specials};

pub(super) const SECTION: Section = Section {
    title: "The append-only log",
    parameters: rows! {
        "dir" = "./", special(&specials::DIRECTORY), Protected,
            "The directory of the data.";
        "appendonly" = "yes", YesNo, Live,
            "Writes each change into a log, from which the data is recovered.";
        "appendfsync" = "everysec", Choice(&["everysec", "always", "no"]), Live,
            "When the log is made durable: each second, before each reply, or when the system likes.",
            .apply(live::appendfsync);
        "appenddirname" = "appendonlydir", special(&specials::APPEND_DIR_NAME), Start,
            "The directory of the log's files, in 'dir'.";
        "appendfilename" = "appendonly.aof", special(&specials::APPEND_FILE_NAME), Start,
            "What the names of the log's files begin with.";
        "auto-aof-rewrite-percentage" = "100", integer(0, INT), Live,
            "The log is compacted when it has grown by so many percent; 0 for never.";
        "auto-aof-rewrite-min-size" = "64mb", LONG_MEMORY, Live,
            "The log is compacted only if it is larger than this.";
        "aof-load-truncated" = "yes", YesNo, Live,
            "Starts although the log's end is torn, as a crash leaves it, without what is torn.";
        "aof-timestamp-enabled" = "no", YesNo, Live,
            "Writes the time into the log, so that check-aof can cut it at a moment.", .apply(live::aof_timestamps);
        "aof-use-rdb-preamble" = "yes", YesNo, Live,
            "The base of the log is an RDB file; else it is made of commands.";
        "aof-rewrite-incremental-fsync" = "yes", YesNo, Live,
            "Makes the new base durable piece by piece, if it is an RDB file.";
        "no-appendfsync-on-rewrite" = "no", YesNo, Live,
            "The log is not made durable during a rewrite.", .no_effect("it always is");
        "aof-disable-auto-gc" = "no", YesNo, Live,
            "Keeps the files that a rewrite has replaced.", .no_effect("they are removed");
    },
};

pub(super) const SNAPSHOTS: Section = Section {
    title: "Snapshots",
    parameters: rows! {
        "save" = "3600 1 300 100 60 10000", special(&specials::SAVE), Live,
            "When a snapshot is made: after so many seconds with at least so many changes.", .apply(live::save_points);
        "dbfilename" = "dump.rdb", special(&specials::DB_FILE_NAME), Protected,
            "The name of the snapshot's file, in 'dir'. Loaded at the start if there is no log.";
        "stop-writes-on-bgsave-error" = "yes", YesNo, Live,
            "Refuses writes while snapshots fail.", .apply(live::save_points);
        "rdbcompression" = "yes", YesNo, Live,
            "Compresses strings in snapshots, DUMP and MIGRATE.", .apply(live::encodings);
        "rdbchecksum" = "yes", YesNo, Start,
            "Snapshots end with a checksum, which is verified when they are loaded.";
        "rdb-save-incremental-fsync" = "yes", YesNo, Live,
            "Makes a snapshot durable piece by piece.";
        "rdb-version-check" = "strict", Choice(&["strict", "relaxed"]), Live,
            "Refuses snapshots of newer versions.", .no_effect("what nobody knows is never guessed at");
        "rdb-del-sync-files" = "no", YesNo, Live,
            "Removes the snapshots that replication has made.", .later("replication");
        "sanitize-dump-payload" = "no", Choice(&["no", "yes", "clients"]), Live,
            "Looks into what RESTORE is given.", .no_effect("it is always checked in full");
    },
};
