//! Streams: entries in packed blocks under a tree, and groups of consumers who share them.
//!
//! [`Entries`] are the blocks (`block.rs`, in the encoding of `element.rs`) and the walks over them (`range.rs`, `trim.rs`); a [`Group`]
//! is how far its consumers have come and what they have not acknowledged (`group.rs`, `lag.rs`).

mod block;
mod element;
mod entries;
mod group;
mod id;
mod keep;
mod lag;
mod nodes;
mod range;
mod rewrite;
#[cfg(test)]
mod tests;
mod trim;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use block::{Entry, Words};
pub use entries::{Entries, RestoredBlock};
pub use group::{Consumer, ConsumerIndex, Group, Pending};
pub use id::{ID_TEXT_SIZE_MAX, StreamId, parse_number};
pub use range::{Range, RangeBack};
pub use trim::{References, Trim, TrimTo, Trimmed};

use super::kept::{self, Kept, Ticket, keep_above};
pub use super::listpack::Element;
use super::{Object, StreamLimits};
use crate::value::{Encoding, Kind};
use keep::Keep;

/// A stream. A new one is empty and has no groups.
#[derive(Clone, Debug, Default)]
pub struct Stream {
    inner: Box<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    entries: Entries,
    groups: BTreeMap<Box<[u8]>, Group>,
    /// What the groups take from the allocator.
    group_bytes: usize,
    /// For a snapshot under way.
    keep: kept::Slot<Keep>,
}

impl Clone for Inner {
    /// A copy has no reserves, so it takes less.
    fn clone(&self) -> Self {
        let mut copy = Self {
            entries: self.entries.clone(),
            groups: self.groups.clone(),
            group_bytes: 0,
            keep: kept::Slot::EMPTY,
        };
        copy.entries.count_block_bytes();
        let groups = copy.groups.iter();
        copy.group_bytes = groups
            .map(|(name, group)| name.len() + group.memory_bytes())
            .sum();
        copy
    }
}

/// Bytes per group in the tree beside the group's own.
const GROUP_SLOT_BYTES: usize = (size_of::<Box<[u8]>>() + size_of::<Group>()) * 3 / 2;

impl Stream {
    /// Its entries.
    #[inline]
    pub fn entries(&self) -> &Entries {
        &self.inner.entries
    }

    /// The id that follows `last` at `now` where the client leaves it to the server: that time, or just above the last id.
    /// `None` if no greater id is possible.
    pub fn id_after(last: StreamId, now: u64) -> Option<StreamId> {
        if now > last.ms {
            Some(StreamId::new(now, 0))
        } else {
            last.next()
        }
    }

    /// Adds an entry of `pairs` fields and values; `word` gives field, value, field, value …. `id` is greater than
    /// [`Entries::last_id`], and all words together have at most [`Entries::ENTRY_SIZE_MAX`] bytes.
    #[inline]
    pub fn append<'w>(
        &mut self,
        id: StreamId,
        pairs: usize,
        word: impl Fn(usize) -> &'w [u8],
        limits: &StreamLimits,
    ) {
        self.inner.entries.append(id, pairs, word, limits);
    }

    /// Adds a block of entries that comes from a dump. Refused where its ids do not follow those that are there.
    pub fn append_block(&mut self, block: RestoredBlock) -> bool {
        self.inner.entries.append_block(block)
    }

    /// Forgets the deleted entries of the last block.
    pub fn forget_deleted_at_end(&mut self) {
        self.inner.entries.forget_deleted_at_end();
    }

    /// Deletes an entry and remembers that. Returns whether it was there.
    pub fn delete(&mut self, id: StreamId) -> bool {
        let deleted = self.inner.entries.delete(id);
        if deleted {
            self.inner.entries.note_deleted(id);
        }
        deleted
    }

    /// Changes what is remembered of entries that are gone: `last_id`, and if given how many were ever added and the greatest id that was deleted.
    pub fn set_id(
        &mut self,
        last_id: StreamId,
        added: Option<u64>,
        max_deleted_id: Option<StreamId>,
    ) {
        let entries = &mut self.inner.entries;
        entries.set_last_id(last_id);
        if let Some(added) = added {
            entries.set_added(added);
        }
        if let Some(id) = max_deleted_id {
            entries.set_max_deleted_id(id);
        }
    }

    /// The groups, in order of their names.
    pub fn groups(&self) -> impl ExactSizeIterator<Item = (&[u8], &Group)> {
        self.inner
            .groups
            .iter()
            .map(|(name, group)| (&**name, group))
    }

    /// The group of this name.
    pub fn group(&self, name: &[u8]) -> Option<&Group> {
        self.inner.groups.get(name)
    }

    /// Changes a group. The entries are there to look at.
    pub fn update_group<R>(
        &mut self,
        name: &[u8],
        change: impl FnOnce(&Entries, &mut Group) -> R,
    ) -> Option<R> {
        let inner = &mut *self.inner;
        let group = inner.groups.get_mut(name)?;
        let before = group.memory_bytes();
        let result = change(&inner.entries, group);
        inner.group_bytes += group.memory_bytes();
        inner.group_bytes -= before;
        Some(result)
    }

    /// Adds a group. Returns whether there was none of this name.
    pub fn add_group(&mut self, name: &[u8], group: Group) -> bool {
        if self.inner.groups.contains_key(name) {
            return false;
        }
        self.inner.group_bytes += group.memory_bytes() + name.len();
        self.inner.groups.insert(name.into(), group);
        true
    }

    /// Removes a group. Returns whether it was there.
    pub fn remove_group(&mut self, name: &[u8]) -> bool {
        let Some(group) = self.inner.groups.remove(name) else {
            return false;
        };
        self.inner.group_bytes -= group.memory_bytes() + name.len();
        if let Some(keep) = self.inner.keep.get_mut() {
            keep.group_removed(name, group);
        }
        true
    }

    /// Whether a group has this entry pending or has still to deliver it.
    pub fn is_referenced(&self, id: StreamId) -> bool {
        let mut groups = self.inner.groups.values();
        groups.any(|group| group.last_id < id || group.pending(id).is_some())
    }

    /// Whether a group has this entry pending.
    pub fn is_pending(&self, id: StreamId) -> bool {
        let mut groups = self.inner.groups.values();
        groups.any(|group| group.pending(id).is_some())
    }

    /// Takes an entry off the lists of all groups. Returns whether it was on one.
    pub fn drop_references(&mut self, id: StreamId) -> bool {
        let inner = &mut *self.inner;
        let mut dropped = false;
        for group in inner.groups.values_mut() {
            let before = group.memory_bytes();
            dropped |= group.acknowledge(id);
            inner.group_bytes += group.memory_bytes();
            inner.group_bytes -= before;
        }
        dropped
    }
}

impl Object for Stream {
    const KIND: Kind = Kind::Stream;

    fn memory_bytes(&self) -> usize {
        size_of::<Inner>()
            + self.inner.entries.memory_bytes()
            + self.inner.group_bytes
            + self.inner.groups.len() * GROUP_SLOT_BYTES
    }

    /// Groups and what they have pending stay where they are.
    fn relocate(&mut self, from: u128, budget: usize) -> u128 {
        let from = StreamId::new((from >> 64) as u64, from as u64);
        let next = self.inner.entries.relocate(from, budget);
        u128::from(next.ms) << 64 | u128::from(next.seq)
    }

    /// A stream without entries is still one: it has an id, and groups.
    fn is_vacant(&self) -> bool {
        false
    }

    fn keep(&mut self, ticket: &Arc<Ticket>, out: &mut Vec<u8>) -> bool {
        let is_large = self.memory_bytes() > keep_above();
        if is_large {
            self.inner.keep(ticket, out);
        }
        is_large
    }

    fn kept(&mut self) -> Option<&mut dyn Kept> {
        let is_kept = self.inner.keep.is_some();
        is_kept.then_some(&mut *self.inner as _)
    }

    fn encoding(&self) -> Encoding {
        Encoding::Stream
    }

    fn rewrite(&self, key: &[u8], emit: &mut dyn FnMut(&[&[u8]])) {
        self.rewrite_as_commands(key, emit);
    }
}
