//! What is looked for in the tree: a place in its order.

/// Gives the members behind the tree's handles. The tree asks only where scores are equal.
pub(in super::super) trait Members<H> {
    /// The member's bytes.
    fn member(&self, handle: H) -> &[u8];
}

/// A place in the order, between two neighbours.
pub(in super::super) trait Probe<H> {
    /// How many of these items come before the place. They are in order.
    fn point(&self, scores: &[f64], handles: &[H]) -> usize;
}

/// Before the first item whose score is at least (or, if `above`, greater than) `score`.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct AtScore {
    /// Not NaN.
    pub(in super::super) score: f64,
    /// Behind all items of this score.
    pub(in super::super) above: bool,
}

impl<H> Probe<H> for AtScore {
    #[inline]
    fn point(&self, scores: &[f64], _: &[H]) -> usize {
        if self.above {
            scores.partition_point(|score| *score <= self.score)
        } else {
            scores.partition_point(|score| *score < self.score)
        }
    }
}

/// Before the first item whose member is at least (or, if `above`, greater than) `member`, in a tree whose scores are all equal.
/// If they are not, it is some place, as in Redis.
pub(in super::super) struct AtMember<'a, M> {
    /// The member.
    pub(in super::super) member: &'a [u8],
    /// Behind this member.
    pub(in super::super) above: bool,
    /// Gives the members of the handles.
    pub(in super::super) members: &'a M,
}

impl<H: Copy, M: Members<H>> Probe<H> for AtMember<'_, M> {
    fn point(&self, _: &[f64], handles: &[H]) -> usize {
        handles.partition_point(|handle| {
            let member = self.members.member(*handle);
            if self.above {
                member <= self.member
            } else {
                member < self.member
            }
        })
    }
}

/// Before (or, if `above`, behind) the item of this score and member.
pub(in super::super) struct AtItem<'a, M> {
    /// Not NaN.
    pub(in super::super) score: f64,
    /// The member.
    pub(in super::super) member: &'a [u8],
    /// Behind this item.
    pub(in super::super) above: bool,
    /// Gives the members of the handles.
    pub(in super::super) members: &'a M,
}

impl<H: Copy, M: Members<H>> Probe<H> for AtItem<'_, M> {
    #[inline]
    fn point(&self, scores: &[f64], handles: &[H]) -> usize {
        // Scores first, and without a branch: members are elsewhere in memory, and most scores differ.
        let start = scores.partition_point(|score| *score < self.score);
        if scores.get(start).is_none_or(|score| *score != self.score) {
            return start;
        }
        let ties = scores[start..].partition_point(|score| *score <= self.score);
        let by_member = AtMember {
            member: self.member,
            above: self.above,
            members: self.members,
        };
        start + by_member.point(&[], &handles[start..start + ties])
    }
}
