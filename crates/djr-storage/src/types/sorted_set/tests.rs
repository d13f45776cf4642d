//! Sorted sets of either form against a model.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// Score by member.
type Model = BTreeMap<Vec<u8>, f64>;

fn ordered(model: &Model) -> Vec<(Vec<u8>, f64)> {
    let mut items: Vec<_> = model
        .iter()
        .map(|(member, score)| (member.clone(), *score))
        .collect();
    items.sort_by(|a, b| (a.1.partial_cmp(&b.1).expect("no NaN")).then_with(|| a.0.cmp(&b.0)));
    items
}

fn collect<'a>(items: impl Iterator<Item = (Element<'a>, f64)>) -> Vec<(Vec<u8>, f64)> {
    items
        .map(|(member, score)| (member.to_vec(), score))
        .collect()
}

#[derive(Clone, Debug)]
enum Step {
    Insert(Vec<u8>, f64),
    Add(Vec<u8>, f64),
    InsertMany(u16, u16),
    Remove(Vec<u8>),
    RemoveRange(usize, usize),
    Scores(f64, bool, f64, bool),
    Members(Vec<u8>, bool, Vec<u8>, bool),
    Clone,
    Rebuild,
}

fn member() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => (0u16..300).prop_map(|n| n.to_string().into_bytes()),
        2 => (0u16..300).prop_map(|n| format!("m{n}").into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 0..12),
    ]
}

fn score() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => (-5i8..5).prop_map(f64::from),
        1 => (-500i16..500).prop_map(|n| f64::from(n) / 8.0),
        1 => prop_oneof![Just(f64::INFINITY), Just(f64::NEG_INFINITY), Just(1e300), Just(0.1), Just(4e18), Just(1.5e-7)],
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        20 => (member(), score()).prop_map(|(m, s)| Step::Insert(m, s)),
        4 => (member(), score()).prop_map(|(m, s)| Step::Add(m, s)),
        1 => (0u16..1000, 1u16..400).prop_map(|(a, n)| Step::InsertMany(a, n)),
        8 => member().prop_map(Step::Remove),
        2 => (0usize..50, 0usize..300).prop_map(|(a, n)| Step::RemoveRange(a, n)),
        4 => (score(), any::<bool>(), score(), any::<bool>()).prop_map(|(a, x, b, y)| Step::Scores(a, x, b, y)),
        4 => (member(), any::<bool>(), member(), any::<bool>()).prop_map(|(a, x, b, y)| Step::Members(a, x, b, y)),
        1 => Just(Step::Clone),
        1 => Just(Step::Rebuild),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 150 }))]
    #[test]
    fn is_the_model(entries in prop_oneof![Just(0usize), Just(5), Just(128)], one_score: bool, steps in prop::collection::vec(step(), 1..120)) {
        let limits = SortedSetLimits { max_listpack_entries: entries, max_listpack_value: 8 };
        let (mut set, mut model) = (SortedSet::new(), Model::new());
        let score_of = |score: f64| if one_score { 1.0 } else { score };
        for step in steps {
            let before = ordered(&model);
            match step {
                Step::Insert(member, score) => {
                    let score = score_of(score);
                    prop_assert_eq!(set.insert(&member, score, &limits), model.insert(member, score));
                }
                Step::Add(member, more) => {
                    let old = model.get(&member).copied();
                    let upsert = set.upsert(&member, &limits, |score| {
                        score.map(|score| score_of(score + more)).filter(|sum| !sum.is_nan())
                    });
                    prop_assert_eq!(upsert.old, old);
                    if let Some(new) = upsert.new {
                        model.insert(member, new);
                    }
                }
                Step::InsertMany(from, count) => {
                    for number in from..from + count {
                        let (member, score) = (format!("x{number}").into_bytes(), score_of(f64::from(number % 7)));
                        set.insert(&member, score, &limits);
                        model.insert(member, score);
                    }
                }
                Step::Remove(member) => prop_assert_eq!(set.remove(&member), model.remove(&member)),
                Step::RemoveRange(start, count) => {
                    let gone: Vec<_> = before.iter().skip(start).take(count).collect();
                    prop_assert_eq!(set.remove_range(start..start + count), gone.len());
                    for (member, _) in gone {
                        model.remove(member);
                    }
                }
                Step::Scores(a, x, b, y) => {
                    let (min, max) = (ScoreBound { score: a, is_exclusive: x }, ScoreBound { score: b, is_exclusive: y });
                    let expected: Vec<_> = before.iter().filter(|item| min.lets_up(item.1) && max.lets_down(item.1)).cloned().collect();
                    let ranks = set.score_ranks(min, max);
                    prop_assert_eq!(ranks.len(), expected.len());
                    prop_assert_eq!(collect(set.range(ranks.clone())), expected.clone());
                    let mut backward = collect(set.range(ranks).rev());
                    backward.reverse();
                    prop_assert_eq!(backward, expected);
                }
                Step::Members(a, x, b, y) if one_score => {
                    let bound = |member, open| if open { MemberBound::Excluded(member) } else { MemberBound::Included(member) };
                    let mins = [bound(&a[..], x), MemberBound::Lowest, MemberBound::Highest];
                    let maxes = [bound(&b[..], y), MemberBound::Lowest, MemberBound::Highest];
                    for (min, max) in mins.iter().flat_map(|min| maxes.iter().map(move |max| (*min, *max))) {
                        let expected: Vec<_> = before.iter().filter(|item| min.lets_up(&item.0) && max.lets_down(&item.0)).cloned().collect();
                        prop_assert_eq!(collect(set.range(set.member_ranks_back(min, max))), expected.clone());
                        prop_assert_eq!(collect(set.range(set.member_ranks(min, max))), expected);
                    }
                }
                Step::Members(..) => {}
                Step::Clone => set = set.clone(),
                Step::Rebuild => set = SortedSet::from_members(before, &limits),
            }
            prop_assert_eq!(set.len(), model.len());
        }
        set.check_invariants();
        let all = ordered(&model);
        prop_assert_eq!(collect(set.iter()), all.clone());
        for (rank, (member, score)) in all.iter().enumerate() {
            prop_assert_eq!(set.rank(member), Some((rank, *score)));
            prop_assert_eq!(set.score(member), Some(*score));
        }
        let (mut seen, mut cursor) = (Vec::new(), 0);
        loop {
            cursor = set.scan(cursor, 10, |member, score| seen.push((member.to_vec(), score)));
            if cursor == 0 {
                break;
            }
        }
        seen.sort_by(|a, b| (a.1.partial_cmp(&b.1).expect("no NaN")).then_with(|| a.0.cmp(&b.0)));
        prop_assert_eq!(seen, all);
    }
}

/// Many members, most removed again one by one: memory is tidied up behind the tree's back, and the tree follows.
#[test]
fn follows_what_the_dictionary_moves() {
    let limits = SortedSetLimits::default();
    for scores in [1, 7, 100_000] {
        let mut set = SortedSet::new();
        let count: u32 = if cfg!(miri) { 1500 } else { 40_000 };
        let member = |n: u32| format!("member:{n:>width$}", width = (n % 40) as usize);
        for n in 0..count {
            set.insert(member(n).as_bytes(), f64::from(n % scores), &limits);
        }
        let full = set.memory_bytes();
        for n in (0..count).filter(|n| n % 16 != 5) {
            assert!(set.remove(member(n).as_bytes()).is_some());
        }
        set.check_invariants();
        for _ in 0..3 {
            for n in (0..count).filter(|n| n % 16 == 5) {
                set.insert(member(n).as_bytes(), f64::from(n % scores + 1), &limits);
            }
            assert_eq!(set.remove_range(3..5), 2);
            set.check_invariants();
        }
        assert!(
            cfg!(miri) || set.memory_bytes() < full / 3,
            "{} of {full}",
            set.memory_bytes()
        );
    }
}

#[test]
fn unpacks_where_redis_does() {
    let limits = SortedSetLimits {
        max_listpack_entries: 3,
        max_listpack_value: 5,
    };
    let mut set = SortedSet::new();
    for member in ["a", "b", "12345"] {
        set.insert(member.as_bytes(), 1.0, &limits);
    }
    assert_eq!(set.encoding(), Encoding::Listpack);
    let mut long = set.clone();
    long.remove(b"a");
    long.insert(b"123456", 1.0, &limits);
    assert_eq!(long.encoding(), Encoding::Skiplist);
    set.insert(b"d", 1.0, &limits);
    assert_eq!(set.encoding(), Encoding::Skiplist);
    assert_eq!(collect(set.iter()).len(), 4);
    set.remove_range(0..4);
    assert!(set.is_vacant());

    let mut set = SortedSet::new();
    set.prepare(4, 1, &limits);
    assert_eq!(set.encoding(), Encoding::Skiplist);
}

#[test]
fn packs_scores_as_redis_does() {
    let limits = SortedSetLimits::default();
    let mut set = SortedSet::new();
    for (member, score) in [
        ("z", -0.0),
        ("i", 3.0),
        ("f", 2.5),
        ("e", 1e20),
        ("h", 4e18),
    ] {
        set.insert(member.as_bytes(), score, &limits);
    }
    let elements: Vec<_> = set.as_listpack().into_iter().flatten().collect();
    let text = |text: &'static str| Element::Bytes(text.as_bytes());
    assert_eq!(
        elements,
        [
            text("z"),
            Element::Int(0),
            text("f"),
            text("2.5"),
            text("i"),
            Element::Int(3),
            text("h"),
            Element::Int(4_000_000_000_000_000_000),
            text("e"),
            text("1e+20"),
        ]
    );
}
