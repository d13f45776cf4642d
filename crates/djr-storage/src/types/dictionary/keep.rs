//! Keeping the members as they are at a moment, while they change: for a snapshot of a large dictionary, which is read out in short steps.
//!
//! As with the keyspace itself: the walk goes by hash, so a member's hash tells whether it was visited. Before a member that was not is
//! changed or removed, it is put aside, written as the walk would have written it; its name is noted, so that the walk passes by what is
//! there instead. New members are noted too.

use std::collections::HashSet;

use super::{Dictionary, Entry, Payload, member_hash};
use crate::table::{Raw, Slot};

/// Writes a member and its payload. The number is what [`Dictionary::keep`] was given.
pub type WriteEntry<P> = fn(&mut Vec<u8>, Entry<'_, P>, i64);

/// What is kept.
pub(super) struct Keep<P: Payload> {
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
    /// Keeps the members as they are now, until [`walk_kept`](Self::walk_kept) has told them all. `write` writes one of them; `base` is for it.
    pub fn keep(&mut self, write: WriteEntry<P>, base: i64) {
        self.keep = Some(Box::new(Keep {
            write,
            base,
            cursor: 0,
            left: HashSet::new(),
            aside: Vec::new(),
        }));
    }

    /// Whether members are being kept.
    #[inline]
    pub fn is_kept(&self) -> bool {
        self.keep.is_some()
    }

    /// Writes some of the members that are [kept](Self::keep), about so many. Returns whether there are more; else nothing is kept any more.
    pub fn walk_kept(&mut self, members: usize, out: &mut Vec<u8>) -> bool {
        let Self { table, keep, .. } = self;
        let Some(kept) = keep else { return false };
        out.append(&mut kept.aside);
        let mut seen = 0;
        // Empty buckets count a little.
        for _ in 0..members.saturating_mul(4).max(1) {
            let Keep {
                write,
                base,
                cursor,
                left,
                ..
            } = &mut **kept;
            *cursor = table.scan(*cursor, &Self::rehash, |raw| {
                seen += 1;
                let entry = Self::entry_at(raw);
                // Whatever is noted is about to be visited.
                if left.is_empty() || !left.remove(entry.member()) {
                    write(out, entry, *base);
                }
            });
            if *cursor == 0 {
                *keep = None;
                return false;
            }
            if seen >= members {
                break;
            }
        }
        true
    }

    /// Forgets what is kept.
    pub fn end_keep(&mut self) {
        self.keep = None;
    }

    /// Before the member in a slot is changed or removed.
    #[inline]
    pub(super) fn before_change(&mut self, slot: Slot) {
        if let Some(keep) = &mut self.keep {
            keep.before_change(Self::entry_at(slot.raw()));
        }
    }

    /// After a member was added.
    #[inline]
    pub(super) fn added(&mut self, member: &[u8]) {
        if let Some(keep) = &mut self.keep {
            keep.added(member);
        }
    }

    fn entry_at<'a>(raw: Raw) -> Entry<'a, P> {
        // SAFETY: callers pass elements of the table, alive and unchanged as long as they use the entry.
        unsafe { Entry::new(super::block::base_of(raw)) }
    }
}
