//! What one session has subscribed to.

use bytes::Bytes;
use indexmap::IndexSet;

use super::Kind;

/// The names that a session has subscribed to, by kind.
#[derive(Default)]
pub(crate) struct Subscriptions {
    kinds: [IndexSet<Bytes>; 3],
    /// The names' lengths, together.
    name_bytes: usize,
}

impl Subscriptions {
    /// Bytes of memory that they take, with what the worker and the directory know of each.
    pub(crate) fn memory_bytes(&self) -> usize {
        /// Of a name: in the sets of the session, of the worker and of the directory.
        const NAME_BYTES: usize = 3 * (size_of::<Bytes>() + 2 * size_of::<usize>()) + 64;
        let names = self.kinds.iter().map(IndexSet::len).sum::<usize>();
        size_of::<Self>() + names * NAME_BYTES + self.name_bytes
    }

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
        let len = name.len();
        if self.kinds[kind.index()].insert(name) {
            self.name_bytes += len;
        }
    }

    /// Whether it was there.
    pub(super) fn remove(&mut self, kind: Kind, name: &[u8]) -> bool {
        let was_there = self.kinds[kind.index()].swap_remove(name);
        if was_there {
            self.name_bytes -= name.len();
        }
        was_there
    }

    /// All names of a kind.
    pub(crate) fn names(&self, kind: Kind) -> Vec<Bytes> {
        self.kinds[kind.index()].iter().cloned().collect()
    }
}
