//! Small sorted sets: one listpack of member, score, member, score, … in order. The bytes are Redis's.

use std::ops::Range;

use djr_protocol::format_double;

use super::bounds::{MemberBound, ScoreBound};
use crate::types::SortedSetLimits;
use crate::types::listpack::{Element, Iter, IterRev, Listpack};
use crate::value::INTEGER_TEXT_SIZE_MAX;

/// As many bytes as the text of a score may have.
const SCORE_TEXT_SIZE_MAX: usize = 32;

/// Pairs of member and score in a listpack.
#[derive(Clone, Default)]
pub(super) struct Packed(pub(super) Listpack);

/// Where a member is.
pub(super) struct Found {
    /// Position of the member's element.
    at: usize,
    pub(super) score: f64,
}

/// The score in an element that this module, or Redis, wrote. Anything else counts as 0.
pub(super) fn score_of(element: Element<'_>) -> f64 {
    match element {
        Element::Int(integer) => integer as f64,
        Element::Bytes(text) => std::str::from_utf8(text)
            .ok()
            .and_then(|text| text.parse().ok())
            .unwrap_or_default(),
    }
}

/// Calls `f` with the element of a score: an integer if it is one (0 for -0, as Redis has it), else its text.
fn with_score_element<R>(score: f64, f: impl FnOnce(Element<'_>) -> R) -> R {
    const INTEGER_MAX: f64 = (i64::MAX / 2) as f64;
    if score.abs() <= INTEGER_MAX && score.fract() == 0.0 {
        return f(Element::Int(score as i64));
    }
    let mut text = Vec::with_capacity(24);
    format_double(score, &mut text);
    f(Element::of(&text))
}

/// Whether these are pairs of members and scores, the lowest first, with scores as this module writes them.
fn is_in_order(listpack: &Listpack, longest: usize) -> bool {
    let (mut buffer, mut other) = ([0; INTEGER_TEXT_SIZE_MAX], [0; INTEGER_TEXT_SIZE_MAX]);
    let mut last: Option<(Element<'_>, f64)> = None;
    let mut elements = listpack.iter();
    while let (Some(member), Some(element)) = (elements.next(), elements.next()) {
        let score = score_of(element);
        let is_above = last.is_none_or(|(below, low)| {
            low < score || low == score && below.to_bytes(&mut buffer) < member.to_bytes(&mut other)
        });
        if !is_above || !is_score_element(element, score) || member.len() > longest {
            return false;
        }
        last = Some((member, score));
    }
    true
}

/// Whether adding an element for this score would add this one.
fn is_score_element(element: Element<'_>, score: f64) -> bool {
    match element {
        // Larger ones lose digits on the way.
        Element::Int(integer) => integer.unsigned_abs() <= 1 << 53,
        Element::Bytes(_) => !score.is_nan() && with_score_element(score, |other| other == element),
    }
}

impl Packed {
    /// See [`SortedSet::from_listpack`](super::SortedSet::from_listpack).
    pub(super) fn from_listpack(
        listpack: Listpack,
        limits: &SortedSetLimits,
    ) -> Result<Self, Listpack> {
        let is_packed = listpack.len().is_multiple_of(2)
            && listpack.len() / 2 <= limits.max_listpack_entries
            // Scores are as long as they are.
            && listpack.is_canonical(limits.max_listpack_value.max(SCORE_TEXT_SIZE_MAX))
            && is_in_order(&listpack, limits.max_listpack_value)
            && listpack.are_distinct(2);
        if is_packed {
            return Ok(Self(listpack));
        }
        Err(listpack)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len() / 2
    }

    pub(super) fn find(&self, member: &[u8]) -> Option<Found> {
        let at = self.0.find(member, 2)?;
        let score = score_of(self.0.get(self.0.next(at)?)?);
        Some(Found { at, score })
    }

    /// Whether Redis would still pack it with a member of this size more.
    pub(super) fn may_grow_by(&self, member: &[u8]) -> bool {
        self.0.may_grow_by(member.len() + 64)
    }

    /// Adds a member that is not there.
    pub(super) fn insert(&mut self, member: &[u8], score: f64) {
        let mut iter = self.0.iter();
        let mut buffer = [0; INTEGER_TEXT_SIZE_MAX];
        let at = loop {
            let at = iter.position();
            let (Some(other), Some(other_score)) = (iter.next(), iter.next()) else {
                break at;
            };
            let other_score = score_of(other_score);
            if other_score > score || other_score == score && other.to_bytes(&mut buffer) > member {
                break at;
            }
        };
        with_score_element(score, |score| self.0.insert_element(at, score));
        self.0.insert(at, member);
    }

    pub(super) fn remove(&mut self, found: &Found) {
        self.0.remove_range(found.at, 2);
    }

    /// Gives a member another score.
    pub(super) fn set_score(&mut self, found: &Found, member: &[u8], score: f64) {
        self.remove(found);
        self.insert(member, score);
    }

    /// Adds a member behind all others.
    pub(super) fn push(&mut self, member: &[u8], score: f64) {
        self.0.push_back(member);
        with_score_element(score, |score| self.0.insert_element(self.0.end(), score));
    }

    pub(super) fn rank(&self, found: &Found) -> usize {
        let mut iter = self.0.iter();
        let mut elements = 0;
        while iter.position() < found.at && iter.next().is_some() {
            elements += 1;
        }
        elements / 2
    }

    pub(super) fn remove_range(&mut self, ranks: Range<usize>) {
        if let Some(at) = self.seek(ranks.start) {
            self.0.remove_range(at, 2 * ranks.len());
        }
    }

    fn seek(&self, rank: usize) -> Option<usize> {
        self.0.seek(i64::try_from(rank.checked_mul(2)?).ok()?)
    }

    pub(super) fn score_ranks(&self, min: ScoreBound, max: ScoreBound) -> Range<usize> {
        let all = || self.range(0..self.len()).map(|(_, score)| score);
        let start = all().take_while(|score| !min.lets_up(*score)).count();
        let inside = all().skip(start).take_while(|score| max.lets_down(*score));
        start..start + inside.count()
    }

    /// From the first member inside of the lower bound up to the first one outside of the upper bound, even if scores differ.
    pub(super) fn member_ranks(&self, min: MemberBound<'_>, max: MemberBound<'_>) -> Range<usize> {
        if !self.may_have(min, max) {
            return 0..0;
        }
        let mut buffer = [0; INTEGER_TEXT_SIZE_MAX];
        let all = || self.range(0..self.len()).map(|(member, _)| member);
        let mut below = |member: Element<'_>| !min.lets_up(member.to_bytes(&mut buffer));
        let start = all().take_while(|member| below(*member)).count();
        let mut inside = |member: Element<'_>| max.lets_down(member.to_bytes(&mut buffer));
        let count = all()
            .skip(start)
            .take_while(|member| inside(*member))
            .count();
        start..start + count
    }

    /// Whether the last member is inside of the lower bound and the first one inside of the upper bound. Redis does not look
    /// further if not.
    fn may_have(&self, min: MemberBound<'_>, max: MemberBound<'_>) -> bool {
        let mut buffer = [0; INTEGER_TEXT_SIZE_MAX];
        let mut all = self.range(0..self.len()).map(|(member, _)| member);
        let Some(first) = all.next() else {
            return false;
        };
        max.lets_down(first.to_bytes(&mut buffer)) && {
            let last = all.next_back().unwrap_or(first);
            min.lets_up(last.to_bytes(&mut buffer))
        }
    }

    /// From the last member inside of the upper bound back to the last one outside of the lower bound. The same members as forwards,
    /// if all scores are equal.
    pub(super) fn member_ranks_back(
        &self,
        min: MemberBound<'_>,
        max: MemberBound<'_>,
    ) -> Range<usize> {
        if !self.may_have(min, max) {
            return 0..0;
        }
        let mut buffer = [0; INTEGER_TEXT_SIZE_MAX];
        let all = || self.range(0..self.len()).rev().map(|(member, _)| member);
        let mut above = |member: Element<'_>| !max.lets_down(member.to_bytes(&mut buffer));
        let skipped = all().take_while(|member| above(*member)).count();
        let mut inside = |member: Element<'_>| min.lets_up(member.to_bytes(&mut buffer));
        let count = all()
            .skip(skipped)
            .take_while(|member| inside(*member))
            .count();
        let end = self.len() - skipped;
        end - count..end
    }

    pub(super) fn range(&self, ranks: Range<usize>) -> PackedItems<'_> {
        let seek = |rank| self.seek(rank).unwrap_or(self.0.end());
        PackedItems {
            front: self.0.iter_from(seek(ranks.start)),
            back: self.0.iter_rev_before(seek(ranks.end)),
            left: ranks.len(),
        }
    }
}

/// Members and scores, from either end.
#[derive(Clone)]
pub(super) struct PackedItems<'a> {
    front: Iter<'a>,
    back: IterRev<'a>,
    left: usize,
}

impl<'a> Iterator for PackedItems<'a> {
    type Item = (Element<'a>, f64);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let (member, score) = (self.front.next()?, self.front.next()?);
        Some((member, score_of(score)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl DoubleEndedIterator for PackedItems<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let (score, member) = (self.back.next()?, self.back.next()?);
        Some((member, score_of(score)))
    }
}

impl ExactSizeIterator for PackedItems<'_> {}
