//! Sorted sets: members with scores, in the order of score and then member.
//!
//! | part | what |
//! |---|---|
//! | `packed` | small ones: a listpack, as Redis has it ("listpack") |
//! | `indexed` | big ones: a dictionary and a tree of the same members ("skiplist", as Redis calls its own) |
//! | `tree` | the B+tree with counts |
//! | `bounds` | ends of ranges of scores and of members |
//!
//! All ranges are ranges of ranks in the end ([`SortedSet::score_ranks`], [`SortedSet::member_ranks`]): O(log n) to find, known in size,
//! walked or removed from either end.

mod bounds;
mod indexed;
mod packed;
#[cfg(test)]
mod tests;
mod tree;

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use djr_protocol::format_double;

pub use bounds::{MemberBound, ScoreBound};

use super::kept::{Kept, Ticket, keep_above};
use super::limits::SortedSetLimits;
use super::listpack::{Element, Listpack};
use super::{Object, REWRITE_PORTION};
use crate::value::{Encoding, INTEGER_TEXT_SIZE_MAX, Kind};
use indexed::{Indexed, IndexedItem, IndexedItems};
use packed::{Packed, PackedItems};

/// A sorted set. Scores are never NaN; whoever calls has checked that.
#[derive(Clone)]
pub struct SortedSet(Form);

#[derive(Clone)]
enum Form {
    Packed(Packed),
    Indexed(Box<Indexed>),
}

/// What [`SortedSet::upsert`] met and did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Upsert {
    /// The member's score before.
    pub old: Option<f64>,
    /// The score that was decided on; none if it was decided to leave things as they are.
    pub new: Option<f64>,
}

impl Upsert {
    /// Whether the member is new.
    pub fn is_added(self) -> bool {
        self.old.is_none() && self.new.is_some()
    }

    /// Whether the member was there and has another score now.
    pub fn is_updated(self) -> bool {
        matches!((self.old, self.new), (Some(old), Some(new)) if old != new)
    }
}

impl Default for SortedSet {
    fn default() -> Self {
        Self(Form::Packed(Packed::default()))
    }
}

impl SortedSet {
    /// An empty sorted set.
    pub fn new() -> Self {
        Self::default()
    }

    /// The sorted set of these members and scores, which takes the listpack over as it is; gives it back if it is not, byte for byte, what
    /// adding them one by one would make (or a member is there twice).
    ///
    /// # Errors
    ///
    /// The listpack.
    pub fn from_listpack(listpack: Listpack, limits: &SortedSetLimits) -> Result<Self, Listpack> {
        match Packed::from_listpack(listpack, limits) {
            Ok(packed) => Ok(Self(Form::Packed(packed))),
            Err(listpack) => Err(listpack),
        }
    }

    /// A sorted set of these members, in any order; packed if it fits. Each is to be there once. (One that is not shows in a set that has
    /// fewer members, or in a listpack whose elements are not distinct, and is of no further use.)
    pub fn from_members<M: AsRef<[u8]>>(
        mut items: Vec<(M, f64)>,
        limits: &SortedSetLimits,
    ) -> Self {
        items.sort_unstable_by(|(a, a_score), (b, b_score)| {
            // Not the total order, which has -0 before 0.
            (a_score.partial_cmp(b_score).unwrap_or(Ordering::Equal))
                .then_with(|| a.as_ref().cmp(b.as_ref()))
        });
        let bytes: usize = items.iter().map(|item| item.0.as_ref().len()).sum();
        let fits = items.len() <= limits.max_listpack_entries
            && items
                .iter()
                .all(|item| item.0.as_ref().len() <= limits.max_listpack_value)
            && Listpack::new().may_grow_by(bytes.saturating_add(items.len() * 64));
        if fits {
            let mut packed = Packed::default();
            for (member, score) in &items {
                packed.push(member.as_ref(), *score);
            }
            packed.0.shrink_to_fit();
            return Self(Form::Packed(packed));
        }
        let pairs = items
            .iter()
            .map(|(member, score)| (member.as_ref(), *score));
        Self(Form::Indexed(Box::new(Indexed::from_ordered(
            items.len(),
            pairs,
        ))))
    }

    /// Makes ready for a request to add so many members, the first of which is so long: what won't fit by then is unpacked now, as
    /// in Redis, even if it turns out that they are fewer.
    pub fn prepare(&mut self, members: usize, first_len: usize, limits: &SortedSetLimits) {
        if let Form::Packed(packed) = &self.0 {
            let is_new = packed.len() == 0;
            if members > limits.max_listpack_entries
                || is_new && first_len > limits.max_listpack_value
            {
                self.unpack(members);
            }
        }
    }

    /// Number of members.
    pub fn len(&self) -> usize {
        match &self.0 {
            Form::Packed(packed) => packed.len(),
            Form::Indexed(indexed) => indexed.len(),
        }
    }

    /// Whether there are no members.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The score of a member.
    pub fn score(&self, member: &[u8]) -> Option<f64> {
        match &self.0 {
            Form::Packed(packed) => Some(packed.find(member)?.score),
            Form::Indexed(indexed) => indexed.score(member),
        }
    }

    /// Adds a member or gives it another score. Returns its score before.
    pub fn insert(&mut self, member: &[u8], score: f64, limits: &SortedSetLimits) -> Option<f64> {
        self.upsert(member, limits, |_| Some(score)).old
    }

    /// Looks the member up and lets `decide`, given its score if there is one, name its new score; `None` changes nothing.
    pub fn upsert(
        &mut self,
        member: &[u8],
        limits: &SortedSetLimits,
        decide: impl FnOnce(Option<f64>) -> Option<f64>,
    ) -> Upsert {
        let packed = match &mut self.0 {
            Form::Packed(packed) => packed,
            Form::Indexed(indexed) => {
                let (old, new) = indexed.upsert(member, decide);
                return Upsert { old, new };
            }
        };
        if let Some(found) = packed.find(member) {
            let (old, new) = (Some(found.score), decide(Some(found.score)));
            if let Some(new) = new.filter(|new| *new != found.score) {
                packed.set_score(&found, member, new);
            }
            return Upsert { old, new };
        }
        let new = decide(None);
        if let Some(score) = new {
            let fits = packed.len() < limits.max_listpack_entries
                && member.len() <= limits.max_listpack_value
                && packed.may_grow_by(member);
            if fits {
                packed.insert(member, score);
            } else {
                self.unpack(1).upsert(member, |_| Some(score));
            }
        }
        Upsert { old: None, new }
    }

    /// Goes over to the big form, with room for `more` members.
    fn unpack(&mut self, more: usize) -> &mut Indexed {
        if let Form::Packed(packed) = &self.0 {
            // A request's size is no promise.
            let capacity = packed.len() + more.min(packed.len() + 1024);
            let mut indexed = Indexed::with_capacity(capacity);
            let mut buffer = [0; INTEGER_TEXT_SIZE_MAX];
            for (member, score) in packed.range(0..packed.len()) {
                indexed.upsert(member.to_bytes(&mut buffer), |_| Some(score));
            }
            self.0 = Form::Indexed(Box::new(indexed));
        }
        match &mut self.0 {
            Form::Indexed(indexed) => indexed,
            // Never: it has just been unpacked.
            Form::Packed(_) => unreachable!("just unpacked"),
        }
    }

    /// Removes a member. Returns its score.
    pub fn remove(&mut self, member: &[u8]) -> Option<f64> {
        match &mut self.0 {
            Form::Packed(packed) => {
                let found = packed.find(member)?;
                packed.remove(&found);
                Some(found.score)
            }
            Form::Indexed(indexed) => indexed.remove(member),
        }
    }

    /// Removes the members of these ranks; those past the end are not there. Returns how many there were.
    pub fn remove_range(&mut self, ranks: Range<usize>) -> usize {
        let ranks = self.clamp(ranks);
        let count = ranks.len();
        if count > 0 {
            match &mut self.0 {
                Form::Packed(packed) => packed.remove_range(ranks),
                Form::Indexed(indexed) => indexed.remove_range(ranks),
            }
        }
        count
    }

    /// A member's rank, counted from the lowest (0), and its score.
    pub fn rank(&self, member: &[u8]) -> Option<(usize, f64)> {
        match &self.0 {
            Form::Packed(packed) => {
                let found = packed.find(member)?;
                Some((packed.rank(&found), found.score))
            }
            Form::Indexed(indexed) => indexed.rank(member),
        }
    }

    /// The ranks of the members whose scores are between these bounds.
    pub fn score_ranks(&self, min: ScoreBound, max: ScoreBound) -> Range<usize> {
        match &self.0 {
            Form::Packed(packed) => packed.score_ranks(min, max),
            Form::Indexed(indexed) => indexed.score_ranks(min, max),
        }
    }

    /// The ranks of the members between these bounds, if all have the same score (if not, some ranks).
    pub fn member_ranks(&self, min: MemberBound<'_>, max: MemberBound<'_>) -> Range<usize> {
        match &self.0 {
            Form::Packed(packed) => packed.member_ranks(min, max),
            Form::Indexed(indexed) => indexed.member_ranks(min, max),
        }
    }

    /// The same, found from the upper end: if scores differ, perhaps other ranks.
    pub fn member_ranks_back(&self, min: MemberBound<'_>, max: MemberBound<'_>) -> Range<usize> {
        match &self.0 {
            Form::Packed(packed) => packed.member_ranks_back(min, max),
            Form::Indexed(indexed) => indexed.member_ranks(min, max),
        }
    }

    /// The members of these ranks with their scores, in order; those past the end are not there.
    pub fn range(&self, ranks: Range<usize>) -> Members<'_> {
        let ranks = self.clamp(ranks);
        Members(match &self.0 {
            Form::Packed(packed) => Either::Packed(packed.range(ranks)),
            Form::Indexed(indexed) => Either::Indexed(indexed.range(ranks)),
        })
    }

    /// All members with their scores, in order.
    pub fn iter(&self) -> Members<'_> {
        self.range(0..self.len())
    }

    /// The member at a rank.
    pub fn get(&self, rank: usize) -> Option<(Element<'_>, f64)> {
        self.range(rank..rank.saturating_add(1)).next()
    }

    /// Hands about `count` members from the cursor on to `visit` and returns the cursor to go on with; 0 begins and ends. What is
    /// there from the first call to the last is visited once. A packed set is visited at once.
    pub fn scan(&self, cursor: u64, count: usize, mut visit: impl FnMut(&[u8], f64)) -> u64 {
        match &self.0 {
            Form::Packed(packed) => {
                let mut buffer = [0; INTEGER_TEXT_SIZE_MAX];
                for (member, score) in packed.range(0..packed.len()) {
                    visit(member.to_bytes(&mut buffer), score);
                }
                0
            }
            Form::Indexed(indexed) => indexed.scan(cursor, count, visit),
        }
    }

    /// The listpack of a packed set, as Redis would write it to a file.
    pub fn as_listpack(&self) -> Option<&Listpack> {
        match &self.0 {
            Form::Packed(packed) => Some(&packed.0),
            Form::Indexed(_) => None,
        }
    }

    fn clamp(&self, ranks: Range<usize>) -> Range<usize> {
        let end = ranks.end.min(self.len());
        ranks.start.min(end)..end
    }

    /// Panics if something does not hold.
    #[cfg(test)]
    fn check_invariants(&self) {
        if let Form::Indexed(indexed) = &self.0 {
            indexed.check_invariants();
        }
    }
}

/// Members and scores, in order, from either end.
pub struct Members<'a>(Either<'a>);

enum Either<'a> {
    Packed(PackedItems<'a>),
    Indexed(IndexedItems<'a>),
}

impl<'a> Iterator for Members<'a> {
    type Item = (Element<'a>, f64);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Either::Packed(items) => items.next(),
            Either::Indexed(items) => items.next().map(IndexedItem::into_pair),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match &self.0 {
            Either::Packed(items) => items.size_hint(),
            Either::Indexed(items) => items.size_hint(),
        }
    }
}

impl DoubleEndedIterator for Members<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Either::Packed(items) => items.next_back(),
            Either::Indexed(items) => items.next_back().map(IndexedItem::into_pair),
        }
    }
}

impl ExactSizeIterator for Members<'_> {}

impl std::fmt::Debug for SortedSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map()
            .entries(self.iter().map(|(member, score)| {
                let member = member.to_vec();
                (member.escape_ascii().to_string(), score)
            }))
            .finish()
    }
}

impl Object for SortedSet {
    fn prefetch(&self, member: Option<&[u8]>) -> Option<u64> {
        match &self.0 {
            Form::Packed(packed) => {
                packed.0.prefetch();
                None
            }
            Form::Indexed(indexed) => indexed.prefetch(member),
        }
    }

    fn prefetch_member(&self, hash: u64) {
        if let Form::Indexed(indexed) = &self.0 {
            indexed.prefetch_member(hash);
        }
    }

    const KIND: Kind = Kind::SortedSet;

    fn memory_bytes(&self) -> usize {
        match &self.0 {
            Form::Packed(packed) => packed.0.memory_bytes(),
            Form::Indexed(indexed) => indexed.memory_bytes(),
        }
    }

    fn relocate(&mut self, _from: u128, _budget: usize) -> u128 {
        match &mut self.0 {
            Form::Packed(packed) => packed.0.relocate(),
            Form::Indexed(indexed) if indexed.is_relocatable() => *indexed = indexed.clone(),
            Form::Indexed(_) => {}
        }
        0
    }

    fn is_vacant(&self) -> bool {
        self.is_empty()
    }

    fn keep(&mut self, ticket: &Arc<Ticket>, out: &mut Vec<u8>) -> bool {
        match &mut self.0 {
            Form::Indexed(indexed) if indexed.memory_bytes() > keep_above() => {
                indexed.keep(ticket, out);
                true
            }
            _ => false,
        }
    }

    fn kept(&mut self) -> Option<&mut dyn Kept> {
        match &mut self.0 {
            Form::Indexed(indexed) => indexed.kept(),
            Form::Packed(_) => None,
        }
    }

    fn rewrite(&self, key: &[u8], emit: &mut dyn FnMut(&[&[u8]])) {
        let mut items = self.iter();
        while items.len() > 0 {
            let portion: Vec<(Vec<u8>, Vec<u8>)> = items
                .by_ref()
                .take(REWRITE_PORTION)
                .map(|(member, score)| {
                    let mut text = Vec::new();
                    format_double(score, &mut text);
                    (text, member.to_vec())
                })
                .collect();
            let mut words: Vec<&[u8]> = vec![b"ZADD", key];
            words.extend(
                portion
                    .iter()
                    .flat_map(|(score, member)| [&score[..], &member[..]]),
            );
            emit(&words);
        }
    }

    fn encoding(&self) -> Encoding {
        match &self.0 {
            Form::Packed(_) => Encoding::Listpack,
            Form::Indexed(_) => Encoding::Skiplist,
        }
    }
}
