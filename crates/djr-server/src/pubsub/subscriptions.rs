//! What one session has subscribed to.

use bytes::Bytes;
use indexmap::IndexSet;

use super::Kind;

/// The names that a session has subscribed to, by kind.
#[derive(Default)]
pub(crate) struct Subscriptions {
    kinds: [IndexSet<Bytes>; 3],
}

impl Subscriptions {
    /// How many names of a kind.
    pub(crate) fn len(&self, kind: Kind) -> usize {
        self.kinds[kind.index()].len()
    }

    /// Whether there are none at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.kinds.iter().all(IndexSet::is_empty)
    }

    /// What the confirmations of a kind count: channels and patterns together, shard channels by themselves.
    pub(crate) fn confirmed(&self, kind: Kind) -> usize {
        match kind {
            Kind::Shard => self.len(Kind::Shard),
            Kind::Channel | Kind::Pattern => self.len(Kind::Channel) + self.len(Kind::Pattern),
        }
    }

    /// Whether a name is among them.
    pub(crate) fn contains(&self, kind: Kind, name: &[u8]) -> bool {
        self.kinds[kind.index()].contains(name)
    }

    pub(super) fn insert(&mut self, kind: Kind, name: Bytes) {
        self.kinds[kind.index()].insert(name);
    }

    /// Whether it was there.
    pub(super) fn remove(&mut self, kind: Kind, name: &[u8]) -> bool {
        self.kinds[kind.index()].swap_remove(name)
    }

    /// All names of a kind.
    pub(crate) fn names(&self, kind: Kind) -> Vec<Bytes> {
        self.kinds[kind.index()].iter().cloned().collect()
    }
}
