//! The ends of ranges.

/// An end of a range of scores.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScoreBound {
    /// Not NaN; infinities are scores like others.
    pub score: f64,
    /// Whether members of just this score are outside.
    pub is_exclusive: bool,
}

impl ScoreBound {
    /// The bound that includes this score.
    pub const fn of(score: f64) -> Self {
        Self {
            score,
            is_exclusive: false,
        }
    }

    /// Whether a score is inside of this bound as the lower end.
    pub fn lets_up(self, score: f64) -> bool {
        if self.is_exclusive {
            score > self.score
        } else {
            score >= self.score
        }
    }

    /// Whether a score is inside of this bound as the upper end.
    pub fn lets_down(self, score: f64) -> bool {
        if self.is_exclusive {
            score < self.score
        } else {
            score <= self.score
        }
    }
}

/// An end of a range of members that have the same score, in the order of their bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberBound<'a> {
    /// Before all members: `-`.
    Lowest,
    /// Behind all members: `+`.
    Highest,
    /// `[member`
    Included(&'a [u8]),
    /// `(member`
    Excluded(&'a [u8]),
}

impl MemberBound<'_> {
    /// Whether a member is inside of this bound as the lower end.
    pub fn lets_up(self, member: &[u8]) -> bool {
        match self {
            Self::Lowest => true,
            Self::Highest => false,
            Self::Included(bound) => member >= bound,
            Self::Excluded(bound) => member > bound,
        }
    }

    /// Whether a member is inside of this bound as the upper end.
    pub fn lets_down(self, member: &[u8]) -> bool {
        match self {
            Self::Lowest => false,
            Self::Highest => true,
            Self::Included(bound) => member <= bound,
            Self::Excluded(bound) => member < bound,
        }
    }
}
