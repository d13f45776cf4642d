//! The nodes of the tree: what they hold, and how items and children move between neighbours.

/// Items of a leaf: 63 of 16 bytes and the length fill 1 KiB.
pub(super) const LEAF_MAX: usize = 63;
/// Children of an inner node.
pub(super) const INNER_MAX: usize = 48;

/// A run of items in order, never empty.
#[derive(Clone)]
pub(super) struct Leaf<H> {
    len: usize,
    scores: [f64; LEAF_MAX],
    handles: [H; LEAF_MAX],
}

/// Children, never none; all are leaves or all are inner nodes of the same height.
#[derive(Clone)]
pub(super) struct Inner<H> {
    len: usize,
    /// The first item below each child.
    scores: [f64; INNER_MAX],
    handles: [H; INNER_MAX],
    /// How many items are below each child.
    counts: [usize; INNER_MAX],
    children: [Option<Node<H>>; INNER_MAX],
}

#[derive(Clone)]
pub(super) enum Node<H> {
    Leaf(Box<Leaf<H>>),
    Inner(Box<Inner<H>>),
}

/// Puts `value` at `at` of the first `len`, which move up.
fn insert_at<T: Copy>(array: &mut [T], len: usize, at: usize, value: T) {
    array.copy_within(at..len, at + 1);
    array[at] = value;
}

/// Moves `count` from the end of the `left_len` in `left` to the front of the `right_len` in `right`.
fn move_right<T: Copy>(
    left: &mut [T],
    left_len: usize,
    right: &mut [T],
    right_len: usize,
    count: usize,
) {
    right.copy_within(..right_len, count);
    right[..count].copy_from_slice(&left[left_len - count..left_len]);
}

/// Moves `count` from the front of the `right_len` in `right` to the end of the `left_len` in `left`.
fn move_left<T: Copy>(
    left: &mut [T],
    left_len: usize,
    right: &mut [T],
    right_len: usize,
    count: usize,
) {
    left[left_len..left_len + count].copy_from_slice(&right[..count]);
    right.copy_within(count..right_len, 0);
}

impl<H: Copy> Leaf<H> {
    pub(super) fn new(score: f64, handle: H) -> Self {
        Self {
            len: 1,
            scores: [score; LEAF_MAX],
            handles: [handle; LEAF_MAX],
        }
    }

    pub(super) fn scores(&self) -> &[f64] {
        &self.scores[..self.len]
    }

    pub(super) fn handles(&self) -> &[H] {
        &self.handles[..self.len]
    }

    pub(super) fn set_score(&mut self, at: usize, score: f64) {
        self.scores[at] = score;
    }

    pub(super) fn set_handle(&mut self, at: usize, handle: H) {
        self.handles[at] = handle;
    }

    /// There must be room.
    pub(super) fn insert(&mut self, at: usize, score: f64, handle: H) {
        insert_at(&mut self.scores, self.len, at, score);
        insert_at(&mut self.handles, self.len, at, handle);
        self.len += 1;
    }

    pub(super) fn remove(&mut self, at: usize, count: usize) {
        self.scores.copy_within(at + count..self.len, at);
        self.handles.copy_within(at + count..self.len, at);
        self.len -= count;
    }

    fn move_right(&mut self, right: &mut Self, count: usize) {
        move_right(
            &mut self.scores,
            self.len,
            &mut right.scores,
            right.len,
            count,
        );
        move_right(
            &mut self.handles,
            self.len,
            &mut right.handles,
            right.len,
            count,
        );
        self.len -= count;
        right.len += count;
    }

    fn move_left(&mut self, right: &mut Self, count: usize) {
        move_left(
            &mut self.scores,
            self.len,
            &mut right.scores,
            right.len,
            count,
        );
        move_left(
            &mut self.handles,
            self.len,
            &mut right.handles,
            right.len,
            count,
        );
        self.len += count;
        right.len -= count;
    }

    /// Cuts off the items from `at` on.
    fn split(&mut self, at: usize) -> Self {
        let mut right = Self::new(0.0, self.handles[0]);
        right.len = 0;
        self.move_right(&mut right, self.len - at);
        right
    }
}

impl<H: Copy> Inner<H> {
    pub(super) fn new(child: Node<H>) -> Self {
        let (score, handle) = child.first();
        let mut inner = Self {
            len: 0,
            scores: [score; INNER_MAX],
            handles: [handle; INNER_MAX],
            counts: [0; INNER_MAX],
            children: [const { None }; INNER_MAX],
        };
        inner.insert(0, child);
        inner
    }

    pub(super) fn scores(&self) -> &[f64] {
        &self.scores[..self.len]
    }

    pub(super) fn handles(&self) -> &[H] {
        &self.handles[..self.len]
    }

    pub(super) fn counts(&self) -> &[usize] {
        &self.counts[..self.len]
    }

    pub(super) fn child(&self, at: usize) -> &Node<H> {
        // Always there: `at` is below the length.
        self.children[at].as_ref().expect("below the length")
    }

    pub(super) fn child_mut(&mut self, at: usize) -> &mut Node<H> {
        // Always there: `at` is below the length.
        self.children[at].as_mut().expect("below the length")
    }

    pub(super) fn set_handle(&mut self, at: usize, handle: H) {
        self.handles[at] = handle;
    }

    /// The child that item `rank` of this node is below, and its rank there.
    pub(super) fn child_of_rank(&self, mut rank: usize) -> (usize, usize) {
        let last = self.len - 1;
        for (at, count) in self.counts[..last].iter().enumerate() {
            if rank < *count {
                return (at, rank);
            }
            rank -= count;
        }
        (last, rank)
    }

    /// There must be room.
    pub(super) fn insert(&mut self, at: usize, child: Node<H>) {
        let (score, handle) = child.first();
        insert_at(&mut self.scores, self.len, at, score);
        insert_at(&mut self.handles, self.len, at, handle);
        insert_at(&mut self.counts, self.len, at, child.count());
        self.children[at..=self.len].rotate_right(1);
        self.children[at] = Some(child);
        self.len += 1;
    }

    fn remove(&mut self, at: usize) {
        self.scores.copy_within(at + 1..self.len, at);
        self.handles.copy_within(at + 1..self.len, at);
        self.counts.copy_within(at + 1..self.len, at);
        self.children[at] = None;
        self.children[at..self.len].rotate_left(1);
        self.len -= 1;
    }

    pub(super) fn into_only_child(mut self) -> Option<Node<H>> {
        self.children[0].take()
    }

    /// An item was added below child `at`, the new first one if it is before the old first.
    pub(super) fn added(&mut self, at: usize, first: Option<(f64, H)>) {
        self.counts[at] += 1;
        if let Some((score, handle)) = first {
            self.scores[at] = score;
            self.handles[at] = handle;
        }
    }

    /// `count` items below child `at` were removed. Returns how many nodes have gone with them.
    pub(super) fn removed(&mut self, at: usize, count: usize) -> Gone {
        self.counts[at] -= count;
        let child = self.child(at);
        if self.counts[at] == 0 {
            let gone = Gone::of(child);
            self.remove(at);
            return gone;
        }
        let is_thin = child.len() < child.len_max() / 4;
        (self.scores[at], self.handles[at]) = child.first();
        if is_thin && self.len > 1 {
            return self.fill(at);
        }
        Gone::NONE
    }

    fn refresh(&mut self, at: usize) {
        let child = self.child(at);
        let (score, handle) = child.first();
        let count = child.count();
        self.scores[at] = score;
        self.handles[at] = handle;
        self.counts[at] = count;
    }

    /// Joins a thin child with a neighbour, or takes some of the neighbour's.
    #[cold]
    fn fill(&mut self, at: usize) -> Gone {
        let left = at.saturating_sub(1);
        let (a, b) = self.pair_mut(left);
        let (sum, max) = (a.len() + b.len(), a.len_max());
        if sum <= max - max / 8 {
            a.move_left(b, b.len());
            let gone = Gone::of(b);
            self.refresh(left);
            self.remove(left + 1);
            return gone;
        }
        balance(a, b);
        self.refresh(left);
        self.refresh(left + 1);
        Gone::NONE
    }

    fn pair_mut(&mut self, left: usize) -> (&mut Node<H>, &mut Node<H>) {
        let (a, b) = self.children.split_at_mut(left + 1);
        // Always there: both are below the length.
        let a = a[left].as_mut().expect("below the length");
        // As above.
        (a, b[0].as_mut().expect("below the length"))
    }

    /// Makes room in the full child `at`: in a neighbour, or by splitting it, for which there must be room here. Returns whether
    /// there is a node more.
    #[cold]
    pub(super) fn make_room(&mut self, at: usize, edge: Edge) -> bool {
        let max = self.child(at).len_max();
        let cut = match edge {
            // In order, as times and counters come: full nodes stay behind.
            Edge::Last => max - 1,
            Edge::First => 1,
            Edge::None => {
                let room = |at: usize| {
                    let child = self.children.get(at).and_then(Option::as_ref);
                    child.map_or(0, |child| max - child.len())
                };
                let (before, behind) = (if at > 0 { room(at - 1) } else { 0 }, room(at + 1));
                if before.max(behind) > max / 8 {
                    let left = if before > behind { at - 1 } else { at };
                    let (a, b) = self.pair_mut(left);
                    balance(a, b);
                    self.refresh(left);
                    self.refresh(left + 1);
                    return false;
                }
                max / 2
            }
        };
        let right = self.child_mut(at).split(cut);
        self.refresh(at);
        self.insert(at + 1, right);
        true
    }

    fn move_right(&mut self, right: &mut Self, count: usize) {
        let (from, to) = (self.len, right.len);
        move_right(&mut self.scores, from, &mut right.scores, to, count);
        move_right(&mut self.handles, from, &mut right.handles, to, count);
        move_right(&mut self.counts, from, &mut right.counts, to, count);
        right.children[..to + count].rotate_right(count);
        right.children[..count].swap_with_slice(&mut self.children[from - count..from]);
        self.len -= count;
        right.len += count;
    }

    fn move_left(&mut self, right: &mut Self, count: usize) {
        let (to, from) = (self.len, right.len);
        move_left(&mut self.scores, to, &mut right.scores, from, count);
        move_left(&mut self.handles, to, &mut right.handles, from, count);
        move_left(&mut self.counts, to, &mut right.counts, from, count);
        self.children[to..to + count].swap_with_slice(&mut right.children[..count]);
        right.children[..from].rotate_left(count);
        self.len += count;
        right.len -= count;
    }

    fn split(&mut self, at: usize) -> Self {
        let mut right = Self {
            len: 0,
            scores: [0.0; INNER_MAX],
            handles: [self.handles[0]; INNER_MAX],
            counts: [0; INNER_MAX],
            children: [const { None }; INNER_MAX],
        };
        self.move_right(&mut right, self.len - at);
        right
    }
}

/// Whether an insertion is at an end of the whole tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Edge {
    None,
    First,
    Last,
}

/// Nodes that are no longer there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gone {
    pub(super) leaves: usize,
    pub(super) inners: usize,
}

impl Gone {
    pub(super) const NONE: Self = Self {
        leaves: 0,
        inners: 0,
    };

    pub(super) fn add(&mut self, other: Self) {
        self.leaves += other.leaves;
        self.inners += other.inners;
    }

    /// This one node; what was below it has been counted already.
    pub(super) fn of<H>(node: &Node<H>) -> Self {
        let is_leaf = matches!(node, Node::Leaf(_));
        Self {
            leaves: is_leaf.into(),
            inners: (!is_leaf).into(),
        }
    }
}

/// Moves items or children until both have as many.
fn balance<H: Copy>(left: &mut Node<H>, right: &mut Node<H>) {
    let (a, b) = (left.len(), right.len());
    if a > b {
        left.move_right(right, (a - b) / 2);
    } else {
        left.move_left(right, (b - a) / 2);
    }
}

impl<H: Copy> Node<H> {
    pub(super) fn len(&self) -> usize {
        match self {
            Node::Leaf(leaf) => leaf.len,
            Node::Inner(inner) => inner.len,
        }
    }

    pub(super) fn len_max(&self) -> usize {
        match self {
            Node::Leaf(_) => LEAF_MAX,
            Node::Inner(_) => INNER_MAX,
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.len() == self.len_max()
    }

    /// How many items are below.
    pub(super) fn count(&self) -> usize {
        match self {
            Node::Leaf(leaf) => leaf.len,
            Node::Inner(inner) => inner.counts().iter().sum(),
        }
    }

    pub(super) fn first(&self) -> (f64, H) {
        match self {
            Node::Leaf(leaf) => (leaf.scores[0], leaf.handles[0]),
            Node::Inner(inner) => (inner.scores[0], inner.handles[0]),
        }
    }

    fn move_right(&mut self, right: &mut Self, count: usize) {
        match (self, right) {
            (Node::Leaf(left), Node::Leaf(right)) => left.move_right(right, count),
            (Node::Inner(left), Node::Inner(right)) => left.move_right(right, count),
            // Never: all leaves are at the same depth.
            _ => unreachable!("neighbours have the same height"),
        }
    }

    fn move_left(&mut self, right: &mut Self, count: usize) {
        match (self, right) {
            (Node::Leaf(left), Node::Leaf(right)) => left.move_left(right, count),
            (Node::Inner(left), Node::Inner(right)) => left.move_left(right, count),
            // Never: all leaves are at the same depth.
            _ => unreachable!("neighbours have the same height"),
        }
    }

    fn split(&mut self, at: usize) -> Self {
        match self {
            Node::Leaf(leaf) => Node::Leaf(Box::new(leaf.split(at))),
            Node::Inner(inner) => Node::Inner(Box::new(inner.split(at))),
        }
    }
}
