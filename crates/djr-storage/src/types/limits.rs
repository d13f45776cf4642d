//! Up to which size each type is kept in its compact form: Redis's parameters, as numbers that are passed along with each change.

/// `list-max-listpack-size`, `list-compress-depth`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListLimits {
    /// Positive: elements per chunk; -1 to -5: bytes per chunk (4, 8, 16, 32, 64 KiB).
    pub max_listpack_size: i64,
    /// Chunks at each end that are not compressed; 0: none is compressed.
    pub compress_depth: u32,
}

impl Default for ListLimits {
    fn default() -> Self {
        Self {
            max_listpack_size: -2,
            compress_depth: 0,
        }
    }
}

/// `hash-max-listpack-entries`, `hash-max-listpack-value`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashLimits {
    /// Fields.
    pub max_listpack_entries: usize,
    /// Bytes of a field or value.
    pub max_listpack_value: usize,
}

impl Default for HashLimits {
    fn default() -> Self {
        Self {
            max_listpack_entries: 512,
            max_listpack_value: 64,
        }
    }
}

/// `set-max-intset-entries`, `set-max-listpack-entries`, `set-max-listpack-value`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetLimits {
    /// Members, if all are integers.
    pub max_intset_entries: usize,
    /// Members.
    pub max_listpack_entries: usize,
    /// Bytes of a member.
    pub max_listpack_value: usize,
}

impl Default for SetLimits {
    fn default() -> Self {
        Self {
            max_intset_entries: 512,
            max_listpack_entries: 128,
            max_listpack_value: 64,
        }
    }
}

/// `zset-max-listpack-entries`, `zset-max-listpack-value`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SortedSetLimits {
    /// Members.
    pub max_listpack_entries: usize,
    /// Bytes of a member.
    pub max_listpack_value: usize,
}

impl Default for SortedSetLimits {
    fn default() -> Self {
        Self {
            max_listpack_entries: 128,
            max_listpack_value: 64,
        }
    }
}

/// `stream-node-max-bytes`, `stream-node-max-entries`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamLimits {
    /// Bytes of a block; 0: no limit.
    pub node_max_bytes: usize,
    /// Entries of a block; 0: no limit.
    pub node_max_entries: usize,
}

impl Default for StreamLimits {
    fn default() -> Self {
        Self {
            node_max_bytes: 4096,
            node_max_entries: 100,
        }
    }
}
