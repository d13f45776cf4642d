//! A B+tree with counts: items of a score and a handle, in the order of score and then member.
//!
//! ```text
//!             Inner   per child: its first item, how many items are below it
//!            /     \
//!        Inner     Inner
//!       /  |  \      |
//!    Leaf Leaf Leaf Leaf    scores side by side, handles side by side
//! ```
//!
//! - The tree never owns a member: it keeps a handle for each and asks [`Members`] for the bytes, but only where scores are equal.
//! - Counts make ranks: the rank of a place and the item at a rank are found on one way down, O(log n). A range of scores, of members
//!   or of ranks is a pair of ranks, so its size is known before anything is visited.
//! - Nodes on the way of an insertion are given room from above, so there is no way back up. A full node first gives to a
//!   neighbour, and nodes filled in order stay full: 75 to 98 % of the items' places are used.
//! - After a removal thin nodes are joined with, or filled from, a neighbour. Nodes are never empty.
//! - An operation visits one node per level and changes at most two on each: nothing pays for a whole rebuild.

mod iter;
mod node;
mod probe;
#[cfg(test)]
mod tests;

use std::ops::Range;

pub(super) use iter::Items;
use node::{Edge, Gone, Inner, Leaf, Node};
pub(super) use probe::{AtItem, AtMember, AtScore, Members, Probe};

/// The ordered side of a sorted set. `H` is a handle of a member: small, copied freely.
#[derive(Clone)]
pub(super) struct Tree<H> {
    root: Option<Node<H>>,
    len: usize,
    leaves: usize,
    inners: usize,
}

impl<H> Default for Tree<H> {
    fn default() -> Self {
        Self {
            root: None,
            len: 0,
            leaves: 0,
            inners: 0,
        }
    }
}

impl<H: Copy> Tree<H> {
    /// Number of items.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Bytes of its nodes.
    pub(super) fn memory_bytes(&self) -> usize {
        self.leaves * size_of::<Leaf<H>>() + self.inners * size_of::<Inner<H>>()
    }

    /// The tree of items that are in order already.
    pub(super) fn from_ordered(items: impl IntoIterator<Item = (f64, H)>) -> Self {
        let mut tree = Self::default();
        let mut nodes: Vec<Node<H>> = Vec::new();
        for (score, handle) in items {
            tree.len += 1;
            match nodes.last_mut() {
                // Some room is left for what comes between.
                Some(Node::Leaf(leaf)) if leaf.scores().len() < node::LEAF_MAX / 8 * 7 => {
                    leaf.insert(leaf.scores().len(), score, handle);
                }
                _ => nodes.push(Node::Leaf(Box::new(Leaf::new(score, handle)))),
            }
        }
        tree.leaves = nodes.len();
        while nodes.len() > 1 {
            let mut parents: Vec<Node<H>> = Vec::with_capacity(nodes.len() / 32 + 1);
            for node in nodes {
                match parents.last_mut() {
                    Some(Node::Inner(inner)) if inner.scores().len() < node::INNER_MAX / 8 * 7 => {
                        inner.insert(inner.scores().len(), node);
                    }
                    _ => parents.push(Node::Inner(Box::new(Inner::new(node)))),
                }
            }
            tree.inners += parents.len();
            nodes = parents;
        }
        tree.root = nodes.pop();
        tree
    }

    /// Adds an item, whose member is not in the tree.
    pub(super) fn insert(
        &mut self,
        score: f64,
        handle: H,
        member: &[u8],
        members: &impl Members<H>,
    ) {
        debug_assert!(!score.is_nan());
        let probe = AtItem {
            score,
            member,
            above: false,
            members,
        };
        self.len += 1;
        let Some(mut node) = self.root.take() else {
            self.leaves = 1;
            self.root = Some(Node::Leaf(Box::new(Leaf::new(score, handle))));
            return;
        };
        if node.is_full() {
            self.inners += 1;
            node = Node::Inner(Box::new(Inner::new(node)));
        }
        let mut node = self.root.insert(node);
        let (mut is_first, mut is_last) = (true, true);
        loop {
            match node {
                Node::Leaf(leaf) => {
                    let at = probe.point(leaf.scores(), leaf.handles());
                    return leaf.insert(at, score, handle);
                }
                Node::Inner(inner) => {
                    let mut point = probe.point(inner.scores(), inner.handles());
                    let child = inner.child(point.saturating_sub(1));
                    if child.is_full() {
                        let last = inner.scores().len() - 1;
                        let edge = if is_first && point == 0 {
                            Edge::First
                        } else if is_last && point > last && child.ends_before(&probe) {
                            Edge::Last
                        } else {
                            Edge::None
                        };
                        let is_leaf = matches!(child, Node::Leaf(_));
                        if inner.make_room(point.saturating_sub(1), edge) {
                            self.leaves += usize::from(is_leaf);
                            self.inners += usize::from(!is_leaf);
                        }
                        point = probe.point(inner.scores(), inner.handles());
                    }
                    let at = point.saturating_sub(1);
                    is_first &= point == 0;
                    is_last &= at + 1 == inner.scores().len();
                    inner.added(at, (point == 0).then_some((score, handle)));
                    node = inner.child_mut(at);
                }
            }
        }
    }

    /// Removes the item of this score and member. Returns its handle, if it was there.
    pub(super) fn remove(
        &mut self,
        score: f64,
        member: &[u8],
        members: &impl Members<H>,
    ) -> Option<H> {
        let probe = AtItem {
            score,
            member,
            above: true,
            members,
        };
        let root = self.root.as_mut()?;
        let mut gone = Gone::NONE;
        let handle = remove_item(root, &probe, &mut gone)?;
        self.after_removal(1, gone);
        Some(handle)
    }

    /// Removes the items of these ranks; those past the end are not there.
    pub(super) fn remove_range(&mut self, ranks: Range<usize>) {
        let mut left = ranks.end.min(self.len).saturating_sub(ranks.start);
        while left > 0 {
            let Some(root) = self.root.as_mut() else {
                return;
            };
            let mut gone = Gone::NONE;
            let count = remove_run(root, ranks.start, left, &mut gone);
            self.after_removal(count, gone);
            left -= count;
        }
    }

    fn after_removal(&mut self, count: usize, gone: Gone) {
        self.len -= count;
        self.leaves -= gone.leaves;
        self.inners -= gone.inners;
        if self.len == 0 {
            *self = Self::default();
            return;
        }
        while let Some(Node::Inner(inner)) = &mut self.root
            && inner.scores().len() == 1
        {
            self.inners -= 1;
            let Some(Node::Inner(inner)) = self.root.take() else {
                return;
            };
            self.root = inner.into_only_child();
        }
    }

    /// Gives the item of this score and member another score, without moving it. Returns false, and does nothing, if it must
    /// move (or might have to).
    pub(super) fn set_score_in_place(
        &mut self,
        score: f64,
        member: &[u8],
        new_score: f64,
        members: &impl Members<H>,
    ) -> bool {
        let probe = AtItem {
            score,
            member,
            above: true,
            members,
        };
        let mut node = self.root.as_mut();
        // The score of the first item behind the leaf.
        let mut behind = None;
        while let Some(Node::Inner(inner)) = node {
            let at = probe
                .point(inner.scores(), inner.handles())
                .saturating_sub(1);
            behind = inner.scores().get(at + 1).copied().or(behind);
            node = Some(inner.child_mut(at));
        }
        let Some(Node::Leaf(leaf)) = node else {
            return false;
        };
        // The first one of a leaf is known above, and its left neighbour is elsewhere.
        let at = match probe.point(leaf.scores(), leaf.handles()) {
            0 | 1 => return false,
            point => point - 1,
        };
        let behind = leaf.scores().get(at + 1).copied().or(behind);
        let fits = leaf.scores()[at - 1] < new_score && behind.is_none_or(|next| new_score < next);
        let is_it = leaf.scores()[at] == score && members.member(leaf.handles()[at]) == member;
        if fits && is_it {
            leaf.set_score(at, new_score);
        }
        fits && is_it
    }

    /// The member of the item at `rank` has this handle from now on.
    pub(super) fn set_handle(&mut self, mut rank: usize, handle: H) {
        // It is known to every node that it is the first one of.
        let mut node = self.root.as_mut();
        while let Some(Node::Inner(inner)) = node {
            let (at, below) = inner.child_of_rank(rank);
            if below == 0 {
                inner.set_handle(at, handle);
            }
            rank = below;
            node = Some(inner.child_mut(at));
        }
        if let Some(Node::Leaf(leaf)) = node {
            leaf.set_handle(rank, handle);
        }
    }

    /// How many items come before the place.
    pub(super) fn rank(&self, probe: &impl Probe<H>) -> usize {
        let Some(mut node) = self.root.as_ref() else {
            return 0;
        };
        let mut rank = 0;
        loop {
            match node {
                Node::Leaf(leaf) => return rank + probe.point(leaf.scores(), leaf.handles()),
                Node::Inner(inner) => {
                    let at = probe
                        .point(inner.scores(), inner.handles())
                        .saturating_sub(1);
                    rank += inner.counts()[..at].iter().sum::<usize>();
                    node = inner.child(at);
                }
            }
        }
    }

    /// The items of these ranks, in order; those past the end are not there.
    pub(super) fn range(&self, ranks: Range<usize>) -> Items<'_, H> {
        Items::new(self, ranks.start.min(self.len)..ranks.end.min(self.len))
    }

    /// All items, in order.
    #[cfg(test)]
    pub(super) fn iter(&self) -> Items<'_, H> {
        self.range(0..self.len)
    }

    fn leaf_of_rank(&self, mut rank: usize) -> Option<(&Leaf<H>, usize)> {
        if rank >= self.len {
            return None;
        }
        let mut node = self.root.as_ref()?;
        loop {
            match node {
                Node::Leaf(leaf) => return Some((leaf, rank)),
                Node::Inner(inner) => {
                    let (at, below) = inner.child_of_rank(rank);
                    rank = below;
                    node = inner.child(at);
                }
            }
        }
    }
}

impl<H: Copy> Node<H> {
    /// Whether the place is behind all of this node.
    fn ends_before(&self, probe: &impl Probe<H>) -> bool {
        match self {
            Node::Leaf(leaf) => probe.point(leaf.scores(), leaf.handles()) == leaf.scores().len(),
            Node::Inner(inner) => {
                probe.point(inner.scores(), inner.handles()) == inner.scores().len()
            }
        }
    }
}

fn remove_item<H: Copy, M: Members<H>>(
    node: &mut Node<H>,
    probe: &AtItem<'_, M>,
    gone: &mut Gone,
) -> Option<H> {
    match node {
        Node::Leaf(leaf) => {
            let at = probe.point(leaf.scores(), leaf.handles()).checked_sub(1)?;
            let handle = leaf.handles()[at];
            let is_it =
                leaf.scores()[at] == probe.score && probe.members.member(handle) == probe.member;
            is_it.then(|| {
                leaf.remove(at, 1);
                handle
            })
        }
        Node::Inner(inner) => {
            let at = probe
                .point(inner.scores(), inner.handles())
                .checked_sub(1)?;
            let handle = remove_item(inner.child_mut(at), probe, gone)?;
            gone.add(inner.removed(at, 1));
            Some(handle)
        }
    }
}

/// Removes up to `count` items from this rank on, of one leaf. Returns how many.
fn remove_run<H: Copy>(node: &mut Node<H>, rank: usize, count: usize, gone: &mut Gone) -> usize {
    match node {
        Node::Leaf(leaf) => {
            let count = count.min(leaf.scores().len().saturating_sub(rank));
            leaf.remove(rank, count);
            count
        }
        Node::Inner(inner) => {
            let (at, below) = inner.child_of_rank(rank);
            let count = remove_run(inner.child_mut(at), below, count, gone);
            gone.add(inner.removed(at, count));
            count
        }
    }
}
