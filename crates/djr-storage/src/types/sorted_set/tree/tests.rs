//! The tree against a sorted vector.

use proptest::prelude::*;

use super::node::{INNER_MAX, LEAF_MAX};
use super::*;

/// Members by handle.
struct Names(Vec<String>);

impl Members<u32> for Names {
    fn member(&self, handle: u32) -> &[u8] {
        self.0[handle as usize].as_bytes()
    }
}

fn names(count: usize) -> Names {
    // Neither in the order of the handles nor of one length.
    Names(
        (0..count)
            .map(|n| format!("{}", n * 7919 % 10_007))
            .collect(),
    )
}

/// Panics if anything is not as it must be. Returns leaves, inner nodes.
fn check(tree: &Tree<u32>, names: &Names) -> Gone {
    fn walk(
        node: &Node<u32>,
        height: &mut Option<usize>,
        depth: usize,
        seen: &mut Gone,
    ) -> (usize, (f64, u32)) {
        match node {
            Node::Leaf(leaf) => {
                assert!((1..=LEAF_MAX).contains(&leaf.scores().len()));
                assert_eq!(*height.get_or_insert(depth), depth, "leaves at one depth");
                seen.leaves += 1;
                (leaf.scores().len(), node.first())
            }
            Node::Inner(inner) => {
                assert!((1..=INNER_MAX).contains(&inner.scores().len()));
                seen.inners += 1;
                for at in 0..inner.scores().len() {
                    let (count, first) = walk(inner.child(at), height, depth + 1, seen);
                    assert_eq!(inner.counts()[at], count);
                    assert_eq!((inner.scores()[at], inner.handles()[at]), first);
                }
                (node.count(), node.first())
            }
        }
    }
    let mut seen = Gone::NONE;
    if let Some(root) = &tree.root {
        let (count, _) = walk(root, &mut None, 0, &mut seen);
        assert_eq!(count, tree.len());
        if let Node::Inner(inner) = root {
            assert!(inner.scores().len() > 1);
        }
    }
    assert_eq!((tree.leaves, tree.inners), (seen.leaves, seen.inners));
    let items: Vec<_> = tree.iter().collect();
    assert!(
        items
            .windows(2)
            .all(|pair| key(names, pair[0]) < key(names, pair[1])),
        "in order"
    );
    seen
}

fn key(names: &Names, (score, handle): (f64, u32)) -> (f64, &str) {
    (score, &names.0[handle as usize])
}

fn insert(tree: &mut Tree<u32>, names: &Names, score: f64, handle: u32) {
    tree.insert(score, handle, names.member(handle), names);
}

#[derive(Clone, Debug)]
enum Step {
    Insert(u32, i8),
    Remove(u32),
    Score(u32, i8),
    RemoveRange(usize, usize),
    Look(usize, usize, i8),
    Rebuild,
}

fn step(members: u32) -> impl Strategy<Value = Step> {
    prop_oneof![
        40 => (0..members, any::<i8>()).prop_map(|(m, s)| Step::Insert(m, s)),
        10 => (0..members).prop_map(Step::Remove),
        10 => (0..members, any::<i8>()).prop_map(|(m, s)| Step::Score(m, s)),
        1 => (0usize..2000, 0usize..300).prop_map(|(a, n)| Step::RemoveRange(a, n)),
        10 => (0usize..2000, 0usize..2000, any::<i8>()).prop_map(|(a, b, s)| Step::Look(a, b, s)),
        1 => Just(Step::Rebuild),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 60 }))]
    /// `spread` decides how many scores are equal: with 0 all are.
    #[test]
    fn is_a_sorted_vector(
        spread in 0i8..3,
        start in 0u32..3000,
        steps in prop::collection::vec(step(3500), 1..600),
    ) {
        let names = names(3500);
        let score_of = |score: i8| f64::from(match spread {
            0 => 0,
            1 => score / 32,
            _ => score,
        });
        let (mut tree, mut model) = (Tree::default(), Vec::<(f64, u32)>::new());
        let place = |model: &[(f64, u32)], item| {
            model.partition_point(|other| key(&names, *other) < key(&names, item))
        };
        for handle in 0..start {
            let score = score_of((handle % 251) as i8);
            insert(&mut tree, &names, score, handle);
            model.insert(place(&model, (score, handle)), (score, handle));
        }
        for step in steps {
            let find = |model: &[(f64, u32)], handle| model.iter().position(|item| item.1 == handle);
            match step {
                Step::Insert(handle, score) => {
                    if find(&model, handle).is_none() {
                        let item = (score_of(score), handle);
                        insert(&mut tree, &names, item.0, handle);
                        model.insert(place(&model, item), item);
                    }
                }
                Step::Remove(handle) => match find(&model, handle) {
                    Some(at) => {
                        let (score, _) = model.remove(at);
                        prop_assert_eq!(tree.remove(score, names.member(handle), &names), Some(handle));
                    }
                    None => prop_assert_eq!(tree.remove(1.0, names.member(handle), &names), None),
                },
                Step::Score(handle, score) => {
                    if let Some(at) = find(&model, handle) {
                        let (old, new) = (model[at].0, score_of(score));
                        let member = names.member(handle);
                        if !tree.set_score_in_place(old, member, new, &names) {
                            prop_assert_eq!(tree.remove(old, member, &names), Some(handle));
                            insert(&mut tree, &names, new, handle);
                        }
                        model.remove(at);
                        model.insert(place(&model, (new, handle)), (new, handle));
                    }
                }
                Step::RemoveRange(start, count) => {
                    tree.remove_range(start..start + count);
                    let end = (start + count).min(model.len());
                    model.drain(start.min(end)..end);
                }
                Step::Look(a, b, score) => {
                    let (a, b) = (a.min(b), a.max(b));
                    let end = b.min(model.len());
                    let expected = &model[a.min(end)..end];
                    prop_assert_eq!(tree.range(a..b).collect::<Vec<_>>(), expected);
                    let mut backward: Vec<_> = tree.range(a..b).rev().collect();
                    backward.reverse();
                    prop_assert_eq!(backward, expected);
                    prop_assert_eq!(tree.range(a..a + 1).next(), model.get(a).copied());
                    let score = score_of(score);
                    for above in [false, true] {
                        let rank = model.iter().filter(|item| item.0 < score || above && item.0 == score).count();
                        prop_assert_eq!(tree.rank(&AtScore { score, above }), rank);
                    }
                    if let Some((score, handle)) = model.get(a).copied() {
                        let (member, members) = (names.member(handle), &names);
                        for above in [false, true] {
                            let rank = tree.rank(&AtItem { score, member, above, members });
                            prop_assert_eq!(rank, a + usize::from(above));
                            if spread == 0 {
                                let rank = tree.rank(&AtMember { member, above, members });
                                prop_assert_eq!(rank, a + usize::from(above));
                            }
                        }
                    }
                }
                Step::Rebuild => tree = Tree::from_ordered(model.iter().copied()),
            }
        }
        check(&tree, &names);
        prop_assert_eq!(tree.iter().collect::<Vec<_>>(), model);
    }
}

#[test]
fn both_ends_meet() {
    let names = names(1000);
    let tree = Tree::from_ordered((0..1000).map(|n| (f64::from(n), n)));
    check(&tree, &names);
    let mut items = tree.range(100..900);
    let mut seen = Vec::new();
    while let Some((_, front)) = items.next() {
        seen.push(front);
        seen.extend(items.next_back().map(|(_, back)| back));
    }
    seen.sort_unstable();
    assert_eq!(seen, (100..900).collect::<Vec<_>>());
}

/// How full leaves are after insertions in this order.
fn fill(order: impl Iterator<Item = u32>) -> f64 {
    let names = Names(Vec::new());
    let mut tree = Tree::default();
    for score in order {
        tree.insert(f64::from(score), score, b"", &names);
    }
    let nodes = check_scores(&tree);
    tree.len() as f64 / (nodes * LEAF_MAX) as f64
}

fn check_scores(tree: &Tree<u32>) -> usize {
    let scores: Vec<_> = tree.iter().map(|item| item.0).collect();
    assert!(scores.windows(2).all(|pair| pair[0] < pair[1]));
    tree.leaves
}

#[test]
fn leaves_are_full_enough() {
    const COUNT: u32 = 30_000;
    let random = (0..COUNT).map(|n| n.wrapping_mul(0x9E37_79B1));
    assert!(fill(0..COUNT) > 0.97);
    assert!(fill((0..COUNT).rev()) > 0.97);
    assert!(fill(random) > 0.75);
    // Two rising runs, the second in the middle.
    assert!(
        fill(
            (0..COUNT)
                .chain(COUNT * 4..COUNT * 5)
                .chain(COUNT..COUNT * 2)
        ) > 0.7
    );
}

#[test]
fn shrinks_to_nothing() {
    let names = names(3000);
    let mut tree = Tree::default();
    for handle in 0..3000 {
        insert(&mut tree, &names, f64::from(handle % 10), handle);
    }
    let full = tree.memory_bytes();
    for handle in (0..3000).filter(|handle| handle % 10 != 3) {
        let member = names.member(handle);
        assert!(
            tree.remove(f64::from(handle % 10), member, &names)
                .is_some()
        );
    }
    check(&tree, &names);
    assert_eq!(tree.len(), 300);
    assert!(tree.memory_bytes() < full / 3);
    while tree.len() > 0 {
        tree.remove_range(0..7);
        check(&tree, &names);
    }
    assert_eq!(tree.memory_bytes(), 0);
    tree.remove_range(0..1);
    assert_eq!(tree.iter().next(), None);
}
