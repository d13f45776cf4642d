//! A dictionary's members as they were at a moment: see [`crate::types::kept`].
//!
//! As with the keyspace itself: the walk goes by hash, so a member's hash tells whether it was visited. Before a member that was not is
//! changed or removed, it is put aside, written as the walk would have written it; its name is noted, so that the walk passes by what is
//! there instead. New members are noted too.

use std::collections::HashSet;
use std::sync::Arc;

use super::{Dictionary, Entry, Payload, member_hash};
use crate::table::{Raw, Slot};
use crate::types::kept::{self, ELEMENT_COST, Kept, Ticket};

/// Writes a member and its payload. The number is what `Dictionary::keep` was given.
pub type WriteEntry<P> = fn(&mut Vec<u8>, Entry<'_, P>, i64);

/// What is kept.
pub(super) struct Keep<P: Payload> {
    /// None: this is what is left of a structure that was dropped.
    ticket: Option<Arc<Ticket>>,
    write: WriteEntry<P>,
    base: i64,
    /// Hashes before this one have been visited.
    cursor: u64,
    /// Members not visited that were changed or added.
    left: HashSet<Box<[u8]>>,
    /// Members as they were before.
    aside: Vec<u8>,
}

impl<P: Payload> Keep<P> {
    #[cold]
    fn before_change(&mut self, entry: Entry<'_, P>) {
        let member = entry.member();
        if self.is_visited(member) || !self.left.insert(member.into()) {
            return;
        }
        (self.write)(&mut self.aside, entry, self.base);
    }

    #[cold]
    fn added(&mut self, member: &[u8]) {
        if !self.is_visited(member) {
            self.left.insert(member.into());
        }
    }

    fn is_visited(&self, member: &[u8]) -> bool {
        u64::from(member_hash(member) as u32) < self.cursor
    }
}

impl<P: Payload> Dictionary<P> {
    /// Keeps the members as they are now, until [`Kept::walk`] has told them all. `write` writes one of them; `base` is for it.
    pub(in crate::types) fn keep(&mut self, ticket: &Arc<Ticket>, write: WriteEntry<P>, base: i64) {
        self.keep.set(Keep {
            ticket: Some(Arc::clone(ticket)),
            write,
            base,
            cursor: 0,
            left: HashSet::new(),
            aside: Vec::new(),
        });
    }

    /// Before the member in a slot is changed or removed.
    #[inline]
    pub(super) fn before_change(&mut self, slot: Slot) {
        if let Some(keep) = self.keep.get_mut() {
            keep.before_change(Self::entry_at(slot.raw()));
        }
    }

    /// After a member was added.
    #[inline]
    pub(super) fn added(&mut self, member: &[u8]) {
        if let Some(keep) = self.keep.get_mut() {
            keep.added(member);
        }
    }

    fn entry_at<'a>(raw: Raw) -> Entry<'a, P> {
        // SAFETY: callers pass elements of the table, alive and unchanged as long as they use the entry.
        unsafe { Entry::new(super::block::base_of(raw)) }
    }
}

impl<P: Payload> Kept for Dictionary<P> {
    fn walk(&mut self, budget: usize, out: &mut Vec<u8>) -> bool {
        /// A bucket, be it empty.
        const BUCKET_COST: usize = 32;
        let Self { table, keep, .. } = self;
        let Some(kept) = keep.get_mut() else {
            return false;
        };
        let end = out.len() + kept.aside.len() + budget;
        out.append(&mut kept.aside);
        let mut cost = 0;
        while out.len() + cost < end {
            let Keep {
                write,
                base,
                cursor,
                left,
                ..
            } = kept;
            cost += BUCKET_COST;
            *cursor = table.scan(*cursor, &Self::rehash, |raw| {
                cost += ELEMENT_COST;
                let entry = Self::entry_at(raw);
                // Whatever is noted is about to be visited.
                if left.is_empty() || !left.remove(entry.member()) {
                    write(out, entry, *base);
                }
            });
            if *cursor == 0 {
                keep.clear();
                return false;
            }
        }
        true
    }

    fn ticket(&self) -> Option<&Arc<Ticket>> {
        self.keep.get()?.ticket.as_ref()
    }

    fn end_keep(&mut self) {
        self.keep.clear();
    }
}

impl<P: Payload> Drop for Dictionary<P> {
    #[inline]
    fn drop(&mut self) {
        if let Some(ticket) = self.keep.get_mut().and_then(|keep| keep.ticket.take()) {
            let mut remains = Self::of_table(std::mem::take(&mut self.table));
            std::mem::swap(&mut remains.region, &mut self.region);
            remains.tidied = self.tidied;
            remains.keep = self.keep.take();
            kept::hand_over(&ticket, remains);
        }
    }
}
