//! Keys and their hashes, and the sets of shards that follow from them.

/// Milliseconds since 1970 (UTC), as every deadline and every `now` counts them.
pub type UnixMillis = i64;

/// The seeded hash of a key. It says which shard the key lives in and where in that shard's table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct KeyHash(pub(crate) u64);

/// A key with its hash, so that it is hashed once per command. Made by [`Keyspace::key`](super::Keyspace::key).
#[derive(Clone, Copy, Debug)]
pub struct Key<'a> {
    /// The key itself.
    pub bytes: &'a [u8],
    /// Its hash in this keyspace.
    pub hash: KeyHash,
}

/// The set of shards that a command needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Footprint(u64);

impl Footprint {
    /// No shard: for commands that look at no key.
    pub const NONE: Self = Self(0);
    /// Every shard. Shards that a keyspace does not have count for nothing.
    pub const ALL: Self = Self(u64::MAX);

    /// One shard.
    pub fn of(shard: u32) -> Self {
        Self(1 << (shard & 63))
    }

    /// The shards of either.
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The shards of both.
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether every shard of `other` is in here.
    pub const fn covers(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }

    /// Whether this shard is in here.
    pub fn contains(self, shard: u32) -> bool {
        self.covers(Self::of(shard))
    }

    /// Whether there is no shard in here.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many shards there are in here.
    pub const fn count(self) -> u32 {
        self.0.count_ones()
    }

    /// The shards in ascending order.
    pub fn shards(self) -> impl Iterator<Item = u32> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let shard = (left != 0).then(|| left.trailing_zeros())?;
            left &= left - 1;
            Some(shard)
        })
    }
}

impl FromIterator<Footprint> for Footprint {
    fn from_iter<I: IntoIterator<Item = Self>>(footprints: I) -> Self {
        footprints.into_iter().fold(Self::NONE, Self::union)
    }
}
