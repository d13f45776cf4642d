//! What CONFIG changes at run time and commands look at.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use djr_storage::types::{HashLimits, ListLimits, SetLimits, SortedSetLimits, StreamLimits};

use crate::notify::Notify;

/// One setting. Reading it is a plain load.
#[derive(Debug)]
pub struct Setting(AtomicU64);

impl Setting {
    const fn new(value: u64) -> Self {
        Self(AtomicU64::new(value))
    }

    /// Its value now.
    #[inline]
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }

    /// Its value as a size.
    #[inline]
    fn size(&self) -> usize {
        usize::try_from(self.get()).unwrap_or(usize::MAX)
    }

    /// Changes it for everyone.
    pub fn set(&self, value: u64) {
        self.0.store(value, Relaxed);
    }
}

/// The settings of the engine, with the defaults of Redis.
#[derive(Debug)]
pub struct Settings {
    /// `proto-max-bulk-len`: the longest string that a command may make, in bytes.
    pub string_len_max: Setting,
    /// `busy-reply-threshold`: how long a script may keep others waiting before they are told, in milliseconds; 0: for ever.
    pub busy_reply_threshold_ms: Setting,
    /// `maxmemory-samples`: at least so many keys are looked at to find one to evict.
    pub maxmemory_samples: Setting,
    /// `DEBUG SET-DISABLE-DENY-SCRIPTS`: 1 if scripts may call what they may not.
    pub scripts_may_call_all: Setting,
    /// `DEBUG SET-SKIP-CHECKSUM-VALIDATION`: 1 if RESTORE does not look at checksums.
    pub skips_checksums: Setting,
    /// `notify-keyspace-events`, as [`Notify::bits`].
    pub notify_keyspace_events: Setting,
    /// `list-max-listpack-size`, an `i64`.
    pub list_max_listpack_size: Setting,
    /// `list-compress-depth`.
    pub list_compress_depth: Setting,
    /// `hash-max-listpack-entries`.
    pub hash_max_listpack_entries: Setting,
    /// `hash-max-listpack-value`.
    pub hash_max_listpack_value: Setting,
    /// `set-max-intset-entries`.
    pub set_max_intset_entries: Setting,
    /// `set-max-listpack-entries`.
    pub set_max_listpack_entries: Setting,
    /// `set-max-listpack-value`.
    pub set_max_listpack_value: Setting,
    /// `zset-max-listpack-entries`.
    pub zset_max_listpack_entries: Setting,
    /// `zset-max-listpack-value`.
    pub zset_max_listpack_value: Setting,
    /// `stream-node-max-bytes`.
    pub stream_node_max_bytes: Setting,
    /// `stream-node-max-entries`.
    pub stream_node_max_entries: Setting,
    /// `hll-sparse-max-bytes`: up to how many bytes a HyperLogLog is kept in its sparse form.
    pub hll_sparse_max_bytes: Setting,
    /// `rdbcompression`: 1 or 0. Here for DUMP and MIGRATE.
    pub rdb_compression: Setting,
}

impl Default for Settings {
    fn default() -> Self {
        let (list, hash, set) = (
            ListLimits::default(),
            HashLimits::default(),
            SetLimits::default(),
        );
        let (sorted_set, stream) = (SortedSetLimits::default(), StreamLimits::default());
        let size = |size: usize| Setting::new(size as u64);
        Self {
            string_len_max: Setting::new(512 << 20),
            busy_reply_threshold_ms: Setting::new(5000),
            maxmemory_samples: Setting::new(5),
            scripts_may_call_all: Setting::new(0),
            skips_checksums: Setting::new(0),
            notify_keyspace_events: Setting::new(0),
            list_max_listpack_size: Setting::new(list.max_listpack_size as u64),
            list_compress_depth: Setting::new(list.compress_depth.into()),
            hash_max_listpack_entries: size(hash.max_listpack_entries),
            hash_max_listpack_value: size(hash.max_listpack_value),
            set_max_intset_entries: size(set.max_intset_entries),
            set_max_listpack_entries: size(set.max_listpack_entries),
            set_max_listpack_value: size(set.max_listpack_value),
            zset_max_listpack_entries: size(sorted_set.max_listpack_entries),
            zset_max_listpack_value: size(sorted_set.max_listpack_value),
            stream_node_max_bytes: size(stream.node_max_bytes),
            stream_node_max_entries: size(stream.node_max_entries),
            hll_sparse_max_bytes: Setting::new(3000),
            rdb_compression: Setting::new(1),
        }
    }
}

impl Settings {
    /// The limits of all types, for values that come whole.
    pub fn value_limits(&self) -> djr_storage::rdb::ValueLimits {
        djr_storage::rdb::ValueLimits {
            list: self.list_limits(),
            hash: self.hash_limits(),
            set: self.set_limits(),
            sorted_set: self.sorted_set_limits(),
            stream: self.stream_limits(),
        }
    }

    /// The events that are wanted.
    #[inline]
    pub fn notify(&self) -> Notify {
        Notify::from_bits(self.notify_keyspace_events.get())
    }

    /// The limits of lists now.
    pub fn list_limits(&self) -> ListLimits {
        ListLimits {
            max_listpack_size: self.list_max_listpack_size.get() as i64,
            compress_depth: u32::try_from(self.list_compress_depth.get()).unwrap_or(u32::MAX),
        }
    }

    /// The limits of hashes now.
    pub fn hash_limits(&self) -> HashLimits {
        HashLimits {
            max_listpack_entries: self.hash_max_listpack_entries.size(),
            max_listpack_value: self.hash_max_listpack_value.size(),
        }
    }

    /// The limits of sets now.
    pub fn set_limits(&self) -> SetLimits {
        SetLimits {
            max_intset_entries: self.set_max_intset_entries.size(),
            max_listpack_entries: self.set_max_listpack_entries.size(),
            max_listpack_value: self.set_max_listpack_value.size(),
        }
    }

    /// The limits of sorted sets now.
    pub fn sorted_set_limits(&self) -> SortedSetLimits {
        SortedSetLimits {
            max_listpack_entries: self.zset_max_listpack_entries.size(),
            max_listpack_value: self.zset_max_listpack_value.size(),
        }
    }

    /// The limits of streams now.
    pub fn stream_limits(&self) -> StreamLimits {
        StreamLimits {
            node_max_bytes: self.stream_node_max_bytes.size(),
            node_max_entries: self.stream_node_max_entries.size(),
        }
    }
}
