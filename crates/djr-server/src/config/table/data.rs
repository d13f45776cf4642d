//! Memory, expiry, scripts, the encodings of values.

use super::kinds::*;
use super::{Section, live, rows, special as specials};

const LAZY: &str = "what is small is freed at once, what is large by a thread of its own, whatever it was removed by";
const DEFRAG: &str =
    "a large value is moved in parts of some 32 KiB, however many elements that is";

pub(super) const MEMORY: Section = Section {
    title: "Memory and expiry",
    parameters: rows! {
        "maxmemory" = "0", ANY_MEMORY, Live,
            "The memory that the data may take; 0 for any.", .apply(live::memory);
        "maxmemory-policy" = "noeviction",
            Choice(&[
                "volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl",
                "allkeys-lru", "allkeys-lfu", "allkeys-random", "noeviction",
            ]), Live,
            "What is removed when the memory is too little. Keys in a memory class have the policy of that.",
            .apply(live::memory);
        "maxmemory-samples" = "5", integer(1, 64), Live,
            "Keys looked at to find one to evict, at least.", .apply(live::access_clock);
        "maxmemory-eviction-tenacity" = "10", integer(0, 100), Live,
            "How long a command may wait for evictions: up to 10 by 50 microseconds each, then by 15 percent each, at 100 for ever.";
        "memory-class" = "", special(&specials::MEMORY_CLASSES), Live,
            "Keys of some dbs or prefixes with a limit and a policy of their own. One line each; 'name none' takes one away.",
            .apply(live::memory);
        "maxmemory-reserve" = "5", integer(0, 100), Live,
            "Percents of a limit above it that commands and transactions on the reserve's keys may still take: a broker's acknowledgements.";
        "maxmemory-reserve-keys" = "*unacked* *_kombu.binding.*", special(&specials::ANY_WORDS), Live,
            "Patterns of the keys that the reserve is for.";
        "lfu-log-factor" = "10", integer(0, INT), Live,
            "How slowly the counter of accesses saturates.", .apply(live::access_clock);
        "lfu-decay-time" = "1", integer(0, INT), Live,
            "Minutes after which the counter of accesses loses one; 0 for never.", .apply(live::access_clock);
        "active-expire-effort" = "1", integer(1, 10), Live,
            "How much time the removal of expired keys may take.", .later("a share of time that can be set");
        "activerehashing" = "yes", YesNo, Live,
            "Resizes tables in idle time.", .no_effect("it is always done, in small steps");
        "activedefrag" = "yes", YesNo, Live,
            "Moves entries together to give memory back.";
        "active-defrag-ignore-bytes" = "100mb", memory(1, LONG as u64), Live,
            "Waste that is tolerated.";
        "active-defrag-threshold-lower" = "10", integer(0, 1000), Live,
            "Percentage of waste at which it begins.";
        "active-defrag-threshold-upper" = "100", integer(0, 1000), Live,
            "Percentage of waste at which it takes the most time.";
        "active-defrag-cycle-min" = "1", integer(1, 99), Live,
            "The least share of each worker's time that it takes, in percent.";
        "active-defrag-cycle-max" = "25", integer(1, 99), Live,
            "The greatest share of each worker's time that it takes, in percent.";
        "active-defrag-cycle-us" = "500", integer(0, 100_000), Live,
            "The time that it takes at once, in microseconds; 50 to 800 of it are used.";
        "active-defrag-max-scan-fields" = "1000", integer(1, LONG), Live,
            "Values with more elements are treated piece by piece.", .no_effect(DEFRAG);
        "lazyfree-lazy-eviction" = "yes", YesNo, Live, "Evicted values are freed in the background.", .no_effect(LAZY);
        "lazyfree-lazy-expire" = "yes", YesNo, Live, "Expired values are freed in the background.", .no_effect(LAZY);
        "lazyfree-lazy-server-del" = "yes", YesNo, Live, "Overwritten values are freed in the background.", .no_effect(LAZY);
        "lazyfree-lazy-user-del" = "yes", YesNo, Live, "DEL is UNLINK.", .no_effect(LAZY);
        "lazyfree-lazy-user-flush" = "yes", YesNo, Live, "FLUSHALL and FLUSHDB are ASYNC unless they say SYNC.", .no_effect(LAZY);
    },
};

pub(super) const SCRIPTS: Section = Section {
    title: "Scripts",
    parameters: rows! {
        "busy-reply-threshold" | "lua-time-limit" = "5000", integer(0, LONG), Live,
            "Milliseconds after which others are told BUSY by a script that still runs; 0 for never.",
            .apply(live::busy_reply_threshold);
    },
};

pub(super) const ENCODINGS: Section = Section {
    title: "Encodings of small values",
    parameters: rows! {
        "hash-max-listpack-entries" | "hash-max-ziplist-entries" = "512", integer(0, LONG), Live,
            "Hashes of at most so many fields are kept packed.", .apply(live::encodings);
        "hash-max-listpack-value" | "hash-max-ziplist-value" = "64", LONG_MEMORY, Live,
            "... if no field or value has more bytes than this.", .apply(live::encodings);
        "list-max-listpack-size" | "list-max-ziplist-size" = "-2", integer(-INT - 1, INT), Live,
            "The size of a list's chunks: a number of elements, or -1 to -5 for 4, 8, 16, 32, 64 KiB.", .apply(live::encodings);
        "list-compress-depth" = "0", integer(0, INT), Live,
            "Accepted and told, without effect: lists are read in place, so no chunk of one is kept compressed. Replies, encodings and DUMP are the same for any number.", .apply(live::encodings);
        "set-max-intset-entries" = "512", integer(0, LONG), Live,
            "Sets of at most so many integers are kept as an array.", .apply(live::encodings);
        "set-max-listpack-entries" = "128", integer(0, LONG), Live,
            "Sets of at most so many members are kept packed.", .apply(live::encodings);
        "set-max-listpack-value" = "64", integer(0, LONG), Live,
            "... if no member has more bytes than this.", .apply(live::encodings);
        "zset-max-listpack-entries" | "zset-max-ziplist-entries" = "128", integer(0, LONG), Live,
            "Sorted sets of at most so many members are kept packed.", .apply(live::encodings);
        "zset-max-listpack-value" | "zset-max-ziplist-value" = "64", LONG_MEMORY, Live,
            "... if no member has more bytes than this.", .apply(live::encodings);
        "stream-node-max-bytes" = "4096", LONG_MEMORY, Live,
            "The size of a stream's blocks; 0 for any.", .apply(live::encodings);
        "stream-node-max-entries" = "100", integer(0, LONG), Live,
            "The number of entries in a stream's block; 0 for any.", .apply(live::encodings);
        "hll-sparse-max-bytes" = "3000", LONG_MEMORY, Live,
            "HyperLogLogs of at most so many bytes are kept sparse.", .apply(live::encodings);
    },
};
