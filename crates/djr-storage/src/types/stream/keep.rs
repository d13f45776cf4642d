//! A stream as it was at a moment: see [`crate::types::kept`].
//!
//! Blocks go by their first id: those before the walk's id were read. A block that was not is put aside before it is changed or removed.
//! What is remembered of entries that are gone, and of groups and consumers all but what is pending, is written down at once. What is
//! pending goes by id again, group by group; the ids of each consumer are gathered on the way, as the format wants them once more.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use super::block::Block;
use super::entries::Entries;
use super::group::{Group, Pending};
use super::{Inner, StreamId};
use crate::rdb::{self, body};
use crate::types::kept::{self, ELEMENT_COST, Kept, Ticket};

/// What is kept of a stream.
#[derive(Debug)]
pub(super) struct Keep {
    /// None: this is what is left of a structure that was dropped.
    ticket: Option<Arc<Ticket>>,
    /// What comes between blocks and groups.
    figures: Vec<u8>,
    /// The groups that are not read yet; the first one may be half read.
    groups: VecDeque<KeptGroup>,
}

/// The blocks that are kept.
#[derive(Debug)]
pub(super) struct KeptBlocks {
    /// Blocks that begin before this id have been read.
    next: StreamId,
    /// Where the last one begins.
    last: StreamId,
    /// Blocks as they were before they were changed or removed.
    aside: BTreeMap<StreamId, Block>,
    /// Blocks that are new and yet begin before `last`: the last id was set back.
    new: BTreeSet<StreamId>,
}

impl KeptBlocks {
    fn wants(&self, first: StreamId) -> bool {
        (self.next..=self.last).contains(&first)
            && !self.aside.contains_key(&first)
            && !self.new.contains(&first)
    }

    /// Before an entry is added: to this block, or to a new one.
    #[cold]
    pub(super) fn before_append(&mut self, tail: Option<&Block>, id: StreamId) {
        match tail {
            Some(tail) => self.before_change(tail),
            None if id <= self.last => _ = self.new.insert(id),
            None => {}
        }
    }

    /// Before a block is changed.
    #[cold]
    pub(super) fn before_change(&mut self, block: &Block) {
        if self.wants(block.first()) {
            self.aside.insert(block.first(), block.clone());
        }
    }

    /// Takes a block that was removed.
    #[cold]
    pub(super) fn put_aside(&mut self, block: Block) {
        if self.wants(block.first()) {
            self.aside.insert(block.first(), block);
        }
    }
}

/// What is pending in a group and kept.
#[derive(Debug)]
pub(super) struct KeptPending {
    /// Up to which id it has been read.
    read: Option<StreamId>,
    /// What was changed before it was read, as it was; nothing if it was not pending.
    aside: BTreeMap<StreamId, Option<Pending>>,
}

impl KeptPending {
    /// After an entry has become pending, is so for somebody else, or no longer.
    #[cold]
    pub(super) fn changed(&mut self, id: StreamId, before: Option<Pending>) {
        if self.read.is_none_or(|read| id > read) {
            self.aside.entry(id).or_insert(before);
        }
    }
}

#[derive(Debug)]
struct KeptGroup {
    name: Box<[u8]>,
    /// The group, if it was removed.
    removed: Option<Box<Group>>,
    /// What comes before what is pending.
    head: Vec<u8>,
    /// By the consumers' index: what comes before what is pending for each, and that.
    consumers: BTreeMap<u32, (Vec<u8>, VecDeque<StreamId>)>,
    /// The consumers in the order of their names.
    order: VecDeque<u32>,
    /// All that is pending has been read.
    is_at_consumers: bool,
}

impl Inner {
    /// See [`Object::keep`](crate::types::Object::keep).
    pub(super) fn keep(&mut self, ticket: &Arc<Ticket>, out: &mut Vec<u8>) {
        body::begin_stream(out, self.entries.blocks());
        let mut figures = Vec::new();
        rdb::push_stream_figures(&mut figures, &self.entries, self.groups.len());
        let last = self.entries.tail.as_ref().map(Block::first);
        self.entries.keep.clear();
        if let Some(last) = last {
            self.entries.keep.set(KeptBlocks {
                next: StreamId::MIN,
                last,
                aside: BTreeMap::new(),
                new: BTreeSet::new(),
            });
        }
        let groups = self.groups.iter_mut();
        self.keep.set(Keep {
            ticket: Some(Arc::clone(ticket)),
            figures,
            groups: groups
                .map(|(name, group)| KeptGroup::new(name, group))
                .collect(),
        });
    }
}

impl KeptGroup {
    fn new(name: &[u8], group: &mut Group) -> Self {
        group.keep.set(KeptPending {
            read: None,
            aside: BTreeMap::new(),
        });
        let mut head = Vec::new();
        rdb::push_group_head(&mut head, name, group);
        let mut kept = Self {
            name: name.into(),
            removed: None,
            head,
            consumers: BTreeMap::new(),
            order: VecDeque::new(),
            is_at_consumers: false,
        };
        for (index, consumer) in group.indexed_consumers() {
            let mut head = Vec::new();
            rdb::push_consumer_head(&mut head, consumer);
            kept.consumers.insert(index, (head, VecDeque::new()));
            kept.order.push_back(index);
        }
        kept
    }

    /// Reads some more. Returns whether there is more of this group.
    fn walk(&mut self, living: Option<&mut Group>, end: usize, out: &mut Vec<u8>) -> bool {
        let mut cost = 0;
        if !self.is_at_consumers {
            out.append(&mut self.head);
            let group = self.removed.as_deref_mut().or(living);
            let more = group.is_some_and(|group| {
                group.walk_kept(end, out, |id, consumer| {
                    if let Some((_, ids)) = self.consumers.get_mut(&consumer) {
                        ids.push_back(id);
                    }
                })
            });
            if more {
                return true;
            }
            self.is_at_consumers = true;
            body::push_count(out, self.order.len() as u64);
        }
        while let Some(index) = self.order.front() {
            if out.len() + cost >= end {
                return true;
            }
            cost += ELEMENT_COST;
            if let Some((head, ids)) = self.consumers.get_mut(index) {
                out.append(head);
                let room = end.saturating_sub(out.len()) / size_of::<StreamId>() + 1;
                let some = ids.drain(..room.min(ids.len()));
                some.for_each(|id| rdb::push_pending_id(out, id));
                if !ids.is_empty() {
                    return true;
                }
            }
            self.order.pop_front();
        }
        false
    }
}

impl Group {
    /// Reads more of what was pending and tells for whom. Returns whether there is more.
    fn walk_kept(
        &mut self,
        end: usize,
        out: &mut Vec<u8>,
        mut told: impl FnMut(StreamId, u32),
    ) -> bool {
        let Some(mut keep) = self.keep.get_mut().map(|keep| KeptPending {
            read: keep.read,
            aside: std::mem::take(&mut keep.aside),
        }) else {
            return false;
        };
        let from = keep.read.map_or(Bound::Unbounded, Bound::Excluded);
        let mut living = self.all_pending((from, Bound::Unbounded)).peekable();
        loop {
            if out.len() >= end {
                break;
            }
            let aside = keep.aside.first_key_value().map(|(id, _)| *id);
            let alive = living.peek().map(|(id, _)| *id);
            let Some(id) = aside.into_iter().chain(alive).min() else {
                drop(living);
                self.keep.clear();
                return false;
            };
            let now = living
                .next_if(|(living, _)| *living == id)
                .map(|(_, pending)| *pending);
            let pending = match keep.aside.remove(&id) {
                Some(before) => before,
                None => now,
            };
            keep.read = Some(id);
            if let Some(pending) = pending {
                rdb::push_pending(out, id, &pending);
                told(id, pending.consumer.0);
            }
        }
        drop(living);
        self.keep.set(keep);
        true
    }
}

impl Keep {
    /// Takes a group that was removed.
    #[cold]
    pub(super) fn group_removed(&mut self, name: &[u8], group: Group) {
        let mut groups = self.groups.iter_mut();
        let kept = groups.find(|kept| *kept.name == *name && kept.removed.is_none());
        if let Some(kept) = kept
            && group.keep.is_some()
        {
            kept.removed = Some(Box::new(group));
        }
    }
}

impl Entries {
    /// Reads some more blocks. Returns whether there are more.
    fn walk_kept(&mut self, end: usize, out: &mut Vec<u8>) -> bool {
        while let Some(keep) = self.keep.get_mut() {
            let kept = keep.next..=keep.last;
            let aside = keep.aside.first_key_value().map(|(first, _)| *first);
            let mut sealed = self.sealed.range(kept.clone()).map(|(_, block)| block);
            let tail = self.tail.iter().filter(|tail| kept.contains(&tail.first()));
            let living = sealed
                .by_ref()
                .chain(tail)
                .find(|block| !keep.new.contains(&block.first()));
            let block = match (aside, living) {
                (None, None) => {
                    self.keep.clear();
                    return false;
                }
                (Some(aside), Some(living)) if living.first() < aside => living,
                (None, Some(living)) => living,
                (Some(aside), _) => &keep.aside[&aside],
            };
            if out.len() >= end {
                return true;
            }
            let first = block.first();
            rdb::push_stream_block(out, first, &block.to_listpack());
            keep.aside.remove(&first);
            match first.next() {
                Some(next) if next <= keep.last => keep.next = next,
                _ => {
                    self.keep.clear();
                    return false;
                }
            }
        }
        false
    }
}

impl Kept for Inner {
    fn walk(&mut self, budget: usize, out: &mut Vec<u8>) -> bool {
        let end = out.len() + budget;
        if self.is_at_elements() {
            // What follows is read in the next step: it is not elements.
            self.entries.walk_kept(end, out);
            return true;
        }
        let Some(keep) = self.keep.get_mut() else {
            return false;
        };
        out.append(&mut keep.figures);
        while let Some(group) = keep.groups.front_mut() {
            if out.len() >= end {
                return true;
            }
            if group.walk(self.groups.get_mut(&group.name), end, out) {
                return true;
            }
            keep.groups.pop_front();
        }
        self.keep.clear();
        false
    }

    fn is_at_elements(&self) -> bool {
        self.entries.keep.is_some()
    }

    fn ticket(&self) -> Option<&Arc<Ticket>> {
        self.keep.get()?.ticket.as_ref()
    }

    fn end_keep(&mut self) {
        self.keep.clear();
        self.entries.keep.clear();
        self.groups
            .values_mut()
            .for_each(|group| group.keep.clear());
    }
}

impl Drop for Inner {
    #[inline]
    fn drop(&mut self) {
        if let Some(ticket) = self.keep.get_mut().and_then(|keep| keep.ticket.take()) {
            let remains = Self {
                entries: std::mem::take(&mut self.entries),
                groups: std::mem::take(&mut self.groups),
                group_bytes: 0,
                keep: self.keep.take(),
            };
            kept::hand_over(&ticket, remains);
        }
    }
}
