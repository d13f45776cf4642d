//! Walking over a range of ranks, from either end.

use std::iter::FusedIterator;
use std::ops::Range;

use super::Tree;
use super::node::Leaf;

/// Items of a range of ranks, in order: score and handle.
#[derive(Clone)]
pub(in super::super) struct Items<'a, H> {
    tree: &'a Tree<H>,
    /// What is left.
    ranks: Range<usize>,
    /// The leaf that the next item is in, and its place there; found by rank when it is needed.
    front: Option<(&'a Leaf<H>, usize)>,
    /// The leaf that the last item is in, and the place behind it there.
    back: Option<(&'a Leaf<H>, usize)>,
}

impl<'a, H: Copy> Items<'a, H> {
    /// The end of the range is not past the tree's.
    pub(super) fn new(tree: &'a Tree<H>, ranks: Range<usize>) -> Self {
        Self {
            tree,
            ranks,
            front: None,
            back: None,
        }
    }
}

impl<H: Copy> Iterator for Items<'_, H> {
    type Item = (f64, H);

    #[inline]
    fn next(&mut self) -> Option<(f64, H)> {
        let rank = self.ranks.next()?;
        let (leaf, at) = match self.front {
            Some((leaf, at)) if at < leaf.scores().len() => (leaf, at),
            _ => self.tree.leaf_of_rank(rank)?,
        };
        self.front = Some((leaf, at + 1));
        Some((leaf.scores()[at], leaf.handles()[at]))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.ranks.size_hint()
    }
}

impl<H: Copy> DoubleEndedIterator for Items<'_, H> {
    #[inline]
    fn next_back(&mut self) -> Option<(f64, H)> {
        let rank = self.ranks.next_back()?;
        let (leaf, at) = match self.back {
            Some((leaf, behind)) if behind > 0 => (leaf, behind - 1),
            _ => self.tree.leaf_of_rank(rank)?,
        };
        self.back = Some((leaf, at));
        Some((leaf.scores()[at], leaf.handles()[at]))
    }
}

impl<H: Copy> ExactSizeIterator for Items<'_, H> {}
impl<H: Copy> FusedIterator for Items<'_, H> {}
