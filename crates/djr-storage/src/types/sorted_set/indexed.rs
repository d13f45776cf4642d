//! Big sorted sets: a dictionary that knows each member's score, and a tree of the same members in order.

#![allow(unsafe_code)]
// Unsafe is: following the tree's handles without a look-up. Owning members twice would cost their memory twice; looking each up
// by its hash would cost a cache miss or two for each step of a range.

use std::ops::Range;
use std::sync::Arc;

use super::bounds::{MemberBound, ScoreBound};
use super::tree::{AtItem, AtMember, AtScore, Items, Members, Tree};
use crate::rdb::body;
use crate::types::dictionary::{Dictionary, Handle, Upserted, WriteEntry};
use crate::types::kept::{Kept, Ticket};
use crate::types::listpack::Element;

/// Members with scores, by name and in order.
///
/// **Invariant:** the tree's handles are those of the dictionary's members, each once, under the score that the dictionary has.
/// So a handle out of the tree is valid in the dictionary, between any two calls and, on every way through a call, until the
/// dictionary is changed.
#[derive(Default)]
pub(super) struct Indexed {
    dictionary: Dictionary<f64>,
    tree: Tree<Handle>,
}

/// The dictionary as the tree sees it.
struct Names<'a>(&'a Dictionary<f64>);

impl Members<Handle> for Names<'_> {
    #[inline]
    fn member(&self, handle: Handle) -> &[u8] {
        // SAFETY: only a tree asks, about its own handles, while the invariant of `Indexed` holds.
        unsafe { self.0.at(handle) }.member()
    }
}

impl Indexed {
    /// Has what leads to a member loaded into the cache.
    pub(super) fn prefetch(&self, member: Option<&[u8]>) -> Option<u64> {
        self.dictionary.prefetch(member)
    }

    pub(super) fn prefetch_member(&self, hash: u64) {
        self.dictionary.prefetch_member(hash);
    }

    pub(super) fn with_capacity(members: usize) -> Self {
        Self {
            dictionary: Dictionary::with_capacity(members),
            tree: Tree::default(),
        }
    }

    /// Of members in order, each once.
    pub(super) fn from_ordered<'a>(
        members: usize,
        items: impl Iterator<Item = (&'a [u8], f64)>,
    ) -> Self {
        let mut dictionary = Dictionary::with_capacity(members);
        let mut handles = Vec::with_capacity(members);
        for (member, score) in items {
            if let Upserted::Inserted(handle) = dictionary.insert(member, score) {
                handles.push((score, handle));
            }
        }
        Self {
            dictionary,
            tree: Tree::from_ordered(handles),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.tree.len()
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.dictionary.memory_bytes() + size_of::<Tree<Handle>>() + self.tree.memory_bytes()
    }

    /// See [`Object::keep`](crate::types::Object::keep). The members are told in no order: readers make one of their own.
    pub(super) fn keep(&mut self, ticket: &Arc<Ticket>, out: &mut Vec<u8>) {
        body::begin_sorted_set(out, self.len());
        let write: WriteEntry<f64> =
            |out, entry, _| body::push_scored(out, entry.member(), entry.payload());
        self.dictionary.keep(ticket, write, 0);
    }

    pub(super) fn kept(&mut self) -> Option<&mut dyn Kept> {
        let dictionary = &mut self.dictionary;
        dictionary.ticket().is_some().then_some(dictionary as _)
    }

    pub(super) fn is_relocatable(&self) -> bool {
        self.dictionary.is_relocatable()
    }

    pub(super) fn score(&self, member: &[u8]) -> Option<f64> {
        self.dictionary.get(member).map(|entry| entry.payload())
    }

    /// Lets `decide`, given the member's score if there is one, name its new score; `None` leaves it. Returns the old score.
    pub(super) fn upsert(
        &mut self,
        member: &[u8],
        decide: impl FnOnce(Option<f64>) -> Option<f64>,
    ) -> (Option<f64>, Option<f64>) {
        let (mut old, mut new) = (None, None);
        let Self { dictionary, tree } = self;
        let upserted = dictionary.upsert(member, |entry| {
            old = entry.map(|entry| entry.payload());
            new = decide(old);
            // An equal score stays, sign of zero included.
            new.filter(|new| old != Some(*new))
        });
        let names = Names(dictionary);
        match (upserted, old, new) {
            (Upserted::Inserted(handle), _, Some(new)) => tree.insert(new, handle, member, &names),
            (Upserted::Replaced(handle), Some(old), Some(new))
                if !tree.set_score_in_place(old, member, new, &names) =>
            {
                tree.remove(old, member, &names);
                tree.insert(new, handle, member, &names);
            }
            _ => {}
        }
        (old, new)
    }

    pub(super) fn remove(&mut self, member: &[u8]) -> Option<f64> {
        let score = self.score(member)?;
        self.tree.remove(score, member, &Names(&self.dictionary));
        self.dictionary.remove(member);
        self.tidy();
        Some(score)
    }

    pub(super) fn remove_range(&mut self, ranks: Range<usize>) {
        let handles: Vec<Handle> = self.tree.range(ranks.clone()).map(|item| item.1).collect();
        self.tree.remove_range(ranks);
        for handle in handles {
            // SAFETY: it was in the tree until now, and the dictionary has not moved or removed it since: tidying up, which moves
            // blocks, comes after the loop.
            unsafe { self.dictionary.remove_at(handle) };
        }
        self.tidy();
    }

    /// Goes on with giving back memory that removals have left in pieces.
    #[inline]
    fn tidy(&mut self) {
        let mut moves: Vec<Move> = Vec::new();
        self.dictionary.tidy_step(|old, entry| {
            moves.push(Move {
                old,
                new: entry.handle(),
                score: entry.payload(),
            });
        });
        if !moves.is_empty() {
            self.follow(moves);
        }
    }

    #[cold]
    fn follow(&mut self, mut moves: Vec<Move>) {
        moves.sort_unstable_by_key(|entry| entry.old);
        let members = &Moved {
            dictionary: &self.dictionary,
            moves: &moves,
        };
        // First all ranks, while the tree has old handles only: a block may have been moved to where another one was.
        let rank = |entry: &Move| {
            // SAFETY: the dictionary has just told this handle.
            let member = unsafe { self.dictionary.at(entry.new) }.member();
            self.tree.rank(&AtItem {
                score: entry.score,
                member,
                above: false,
                members,
            })
        };
        let ranks: Vec<usize> = moves.iter().map(rank).collect();
        for (entry, rank) in moves.iter().zip(ranks) {
            self.tree.set_handle(rank, entry.new);
        }
    }

    pub(super) fn rank(&self, member: &[u8]) -> Option<(usize, f64)> {
        let score = self.score(member)?;
        let probe = AtItem {
            score,
            member,
            above: false,
            members: &Names(&self.dictionary),
        };
        Some((self.tree.rank(&probe), score))
    }

    pub(super) fn score_ranks(&self, min: ScoreBound, max: ScoreBound) -> Range<usize> {
        let start = self.tree.rank(&AtScore {
            score: min.score,
            above: min.is_exclusive,
        });
        let end = self.tree.rank(&AtScore {
            score: max.score,
            above: !max.is_exclusive,
        });
        start..end.max(start)
    }

    pub(super) fn member_ranks(&self, min: MemberBound<'_>, max: MemberBound<'_>) -> Range<usize> {
        let rank = |member, above| {
            self.tree.rank(&AtMember {
                member,
                above,
                members: &Names(&self.dictionary),
            })
        };
        let start = match min {
            MemberBound::Lowest => 0,
            MemberBound::Highest => self.len(),
            MemberBound::Included(member) => rank(member, false),
            MemberBound::Excluded(member) => rank(member, true),
        };
        let end = match max {
            MemberBound::Lowest => 0,
            MemberBound::Highest => self.len(),
            MemberBound::Included(member) => rank(member, true),
            MemberBound::Excluded(member) => rank(member, false),
        };
        start..end.max(start)
    }

    pub(super) fn range(&self, ranks: Range<usize>) -> IndexedItems<'_> {
        IndexedItems {
            items: self.tree.range(ranks),
            names: Names(&self.dictionary),
        }
    }

    pub(super) fn scan(&self, cursor: u64, count: usize, mut visit: impl FnMut(&[u8], f64)) -> u64 {
        self.dictionary.scan(cursor, count, |entry| {
            visit(entry.member(), entry.payload());
        })
    }

    /// Panics if something does not hold. Reads everything.
    #[cfg(test)]
    pub(super) fn check_invariants(&self) {
        self.dictionary.check_invariants();
        assert_eq!(self.dictionary.len(), self.tree.len());
        let names = Names(&self.dictionary);
        let mut last = None;
        for (score, handle) in self.tree.iter() {
            let member = names.member(handle);
            let found = self.dictionary.get(member).map(|entry| entry.handle());
            assert_eq!(found, Some(handle));
            assert_eq!(self.score(member), Some(score));
            assert!(last.is_none_or(|last| last < (score, member)), "in order");
            last = Some((score, member));
        }
    }
}

/// Handles of the clone's members are others.
impl Clone for Indexed {
    fn clone(&self) -> Self {
        let items = self.range(0..self.len());
        Self::from_ordered(self.len(), items.map(|item| (item.member, item.score)))
    }
}

/// A block that the dictionary has moved.
struct Move {
    old: Handle,
    new: Handle,
    score: f64,
}

/// The dictionary as the tree sees it while it still has old handles of what has moved.
struct Moved<'a> {
    dictionary: &'a Dictionary<f64>,
    /// Ordered by the old handle.
    moves: &'a [Move],
}

impl Members<Handle> for Moved<'_> {
    fn member(&self, handle: Handle) -> &[u8] {
        let found = self.moves.binary_search_by_key(&handle, |entry| entry.old);
        let handle = found.map_or(handle, |at| self.moves[at].new);
        // SAFETY: the tree's handles are of members; those that have become invalid have just been replaced by their successors.
        unsafe { self.dictionary.at(handle) }.member()
    }
}

/// A member out of a big sorted set.
pub(super) struct IndexedItem<'a> {
    pub(super) member: &'a [u8],
    pub(super) score: f64,
}

impl<'a> IndexedItem<'a> {
    pub(super) fn into_pair(self) -> (Element<'a>, f64) {
        (Element::Bytes(self.member), self.score)
    }
}

/// Members and scores, from either end.
pub(super) struct IndexedItems<'a> {
    items: Items<'a, Handle>,
    names: Names<'a>,
}

impl<'a> IndexedItems<'a> {
    fn item(&self, (score, handle): (f64, Handle)) -> IndexedItem<'a> {
        let dictionary: &'a Dictionary<f64> = self.names.0;
        // SAFETY: a handle out of the tree of the same `Indexed`, which is borrowed for 'a.
        let member = unsafe { dictionary.at(handle) }.member();
        IndexedItem { member, score }
    }
}

impl<'a> Iterator for IndexedItems<'a> {
    type Item = IndexedItem<'a>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let item = self.items.next()?;
        Some(self.item(item))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.items.size_hint()
    }
}

impl DoubleEndedIterator for IndexedItems<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        let item = self.items.next_back()?;
        Some(self.item(item))
    }
}

impl ExactSizeIterator for IndexedItems<'_> {}
