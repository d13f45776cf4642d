//! Lists against a deque of byte strings, in all forms and under all limits.

use std::collections::VecDeque;

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

type Model = VecDeque<Vec<u8>>;

#[derive(Clone, Debug)]
enum Change {
    Push(End, Vec<Vec<u8>>),
    PushElement(End, Vec<u8>),
    Drain(End, usize),
    Rotate(End, End),
    Set(Index, Vec<u8>),
    Insert(Side, Index, Vec<u8>),
    RemoveMatching(Index, End, usize),
    KeepRange(Index, Index),
    Limits(ListLimits),
    Reload,
}

/// Few different small ones, so that they are found again; some that fill a good part of a chunk; some large ones.
fn element() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => (0u8..6).prop_map(|number| number.to_string().into_bytes()),
        4 => (0usize..100, 0u8..3).prop_map(|(len, byte)| vec![b'a' + byte; len]),
        3 => (300usize..3000, 0u8..2).prop_map(|(len, byte)| vec![b'x' + byte; len]),
        1 => prop::sample::select(vec![4080usize, 4089, 4096, 4097, 8170, 8185, 8192, 8193, 9000])
            .prop_map(|len| vec![b'z'; len]),
        1 => any::<i64>().prop_map(|number| number.to_string().into_bytes()),
    ]
}

fn limits() -> impl Strategy<Value = ListLimits> {
    prop::sample::select(vec![-1i64, -2, -2, -3, -7, 0, 1, 2, 3, 5, 16, 200]).prop_map(|size| {
        ListLimits {
            max_listpack_size: size,
            compress_depth: 0,
        }
    })
}

fn end() -> impl Strategy<Value = End> {
    prop::sample::select(vec![End::Front, End::Back])
}

fn change() -> impl Strategy<Value = Change> {
    let side = prop::sample::select(vec![Side::Before, Side::After]);
    let many = || {
        prop_oneof![
            3 => prop::collection::vec(element(), 1..4),
            1 => prop::collection::vec(element(), 1..60),
            1 => (element(), 1usize..600).prop_map(|(element, count)| vec![element.clone(); count.min(60_000 / (element.len() + 1))]),
        ]
    };
    prop_oneof![
        8 => (end(), many()).prop_map(|(end, elements)| Change::Push(end, elements)),
        3 => (end(), element()).prop_map(|(end, element)| Change::PushElement(end, element)),
        6 => (end(), prop_oneof![0usize..4, 0usize..300]).prop_map(|(end, count)| Change::Drain(end, count)),
        3 => (end(), end()).prop_map(|(from, to)| Change::Rotate(from, to)),
        4 => (any::<Index>(), element()).prop_map(|(at, element)| Change::Set(at, element)),
        8 => (side, any::<Index>(), element()).prop_map(|(side, at, element)| Change::Insert(side, at, element)),
        3 => (any::<Index>(), end(), prop_oneof![1usize..4, Just(usize::MAX)])
            .prop_map(|(at, end, count)| Change::RemoveMatching(at, end, count)),
        1 => (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Change::KeepRange(from, to)),
        1 => limits().prop_map(Change::Limits),
        1 => Just(Change::Reload),
    ]
}

fn apply(change: &Change, list: &mut List, model: &mut Model, limits: &mut ListLimits) {
    match change {
        Change::Push(end, elements) => {
            list.push(*end, elements.iter().map(Vec::as_slice), *limits);
            for element in elements {
                match end {
                    End::Front => model.push_front(element.clone()),
                    End::Back => model.push_back(element.clone()),
                }
            }
        }
        Change::PushElement(end, element) => {
            list.push_element(*end, Element::of(element), *limits);
            match end {
                End::Front => model.push_front(element.clone()),
                End::Back => model.push_back(element.clone()),
            }
        }
        Change::Drain(end, count) => {
            let mut drained = Vec::new();
            list.drain(*end, *count, *limits, |element| {
                drained.push(element.to_vec());
            });
            let expected: Vec<_> = (0..*count)
                .map_while(|_| match end {
                    End::Front => model.pop_front(),
                    End::Back => model.pop_back(),
                })
                .collect();
            assert_eq!(drained, expected);
        }
        Change::Rotate(from, to) => {
            let mut rotated = None;
            list.rotate(*from, *to, *limits, |element| {
                rotated = Some(element.to_vec());
            });
            let expected = match from {
                End::Front => model.pop_front(),
                End::Back => model.pop_back(),
            };
            assert_eq!(rotated, expected);
            match (to, expected) {
                (End::Front, Some(element)) => model.push_front(element),
                (End::Back, Some(element)) => model.push_back(element),
                (_, None) => {}
            }
        }
        Change::Set(at, element) if !model.is_empty() => {
            let index = at.index(model.len() * 2) as i64 - model.len() as i64;
            assert!(list.set(index, element, *limits));
            let index = index.rem_euclid(model.len() as i64) as usize;
            model[index] = element.clone();
        }
        Change::Insert(side, at, element) if !model.is_empty() => {
            let pivot = model[at.index(model.len())].clone();
            let index = model.iter().position(|other| *other == pivot).unwrap();
            assert!(list.insert(*side, &pivot, element, *limits));
            model.insert(index + usize::from(*side == Side::After), element.clone());
        }
        Change::RemoveMatching(at, from, count) if !model.is_empty() => {
            let needle = model[at.index(model.len())].clone();
            let removed = list.remove_matching(&needle, *from, *count, *limits);
            let mut left = *count;
            let mut keep: Vec<bool> = vec![true; model.len()];
            let mut visit = |index: usize| {
                if left > 0 && model[index] == needle {
                    keep[index] = false;
                    left -= 1;
                }
            };
            match from {
                End::Front => (0..model.len()).for_each(&mut visit),
                End::Back => (0..model.len()).rev().for_each(&mut visit),
            }
            assert_eq!(removed, count - left);
            let mut keep = keep.into_iter();
            model.retain(|_| keep.next().unwrap());
        }
        Change::KeepRange(from, to) => {
            let (from, to) = (from.index(model.len() + 1), to.index(model.len() + 1));
            if to < from {
                return; // too destructive to come often
            }
            list.keep_range(from, to - from, *limits);
            *model = model.drain(from..to).collect();
        }
        Change::Set(..) | Change::Insert(..) | Change::RemoveMatching(..) => {
            assert!(!list.set(0, b"", *limits));
            assert!(!list.insert(Side::Before, b"", b"", *limits));
            assert_eq!(list.remove_matching(b"", End::Front, 1, *limits), 0);
        }
        Change::Limits(other) => *limits = *other,
        Change::Reload => {
            let mut copy = List::new();
            for node in list.nodes() {
                copy.push_node(node);
            }
            copy.settle(*limits);
            *list = copy;
        }
    }
}

fn check(list: &List) {
    let mut bytes = 0;
    match &list.form {
        Form::One(packed) => bytes += packed.memory_bytes(),
        Form::Many(quicklist) => {
            quicklist.chunks.check();
            bytes += size_of::<Quicklist>() + quicklist.chunks.memory_bytes();
        }
    }
    assert_eq!(list.memory_bytes(), bytes);
    let mut count = 0;
    for node in list.nodes() {
        if let Node::Packed(listpack) = node {
            count += listpack.len();
            let copy = Listpack::from_bytes(listpack.as_bytes().to_vec());
            assert_eq!(copy, Ok(listpack));
        } else {
            count += 1;
        }
    }
    assert_eq!(count, list.len());
}

fn check_against(list: &List, model: &Model) {
    assert_eq!(list.len(), model.len());
    assert_eq!(list.is_vacant(), model.is_empty());
    assert!(list.iter().map(Element::to_vec).eq(model.iter().cloned()));
    assert!(
        list.iter_rev()
            .map(Element::to_vec)
            .eq(model.iter().rev().cloned())
    );
    let first = list.peek(End::Front).map(Element::to_vec);
    assert_eq!(first.as_ref(), model.front());
    let last = list.peek(End::Back).map(Element::to_vec);
    assert_eq!(last.as_ref(), model.back());
}

fn check_access(list: &List, model: &Model) {
    let len = model.len();
    for index in (0..len).step_by(1 + len / 50) {
        let element = list.get(index as i64).map(Element::to_vec);
        assert_eq!(element.as_ref(), model.get(index));
        let element = list.get(index as i64 - len as i64).map(Element::to_vec);
        assert_eq!(element.as_ref(), model.get(index));
        let some: Vec<_> = list.iter_from(index).take(5).map(Element::to_vec).collect();
        assert!(some.iter().eq(model.range(index..len.min(index + 5))));
        let some: Vec<_> = list
            .iter_rev_from(index)
            .take(5)
            .map(Element::to_vec)
            .collect();
        let from = (index + 1).saturating_sub(5);
        assert!(some.iter().eq(model.range(from..=index).rev()));
    }
    for index in [len as i64, -(len as i64) - 1, i64::MAX, i64::MIN] {
        assert_eq!(list.get(index), None);
    }
    assert_eq!(list.iter_from(len).next(), None);
    assert_eq!(list.iter_rev_from(len).next(), None);
}

proptest! {
    #[test]
    fn behaves_like_a_deque(
        changes in prop::collection::vec(change(), 0..60),
        limits in limits(),
    ) {
        let mut list = List::new();
        let mut model = Model::new();
        let mut limits = limits;
        for change in &changes {
            apply(change, &mut list, &mut model, &mut limits);
            check(&list);
            check_against(&list, &model);
        }
        check_access(&list, &model);
        let copy = list.clone();
        prop_assert!(copy == list);
        check(&copy);
        prop_assert!(copy.memory_bytes() <= list.memory_bytes());
        let mut rewritten = Model::new();
        list.rewrite(b"key", &mut |words| {
            assert_eq!(words[..2], [&b"RPUSH"[..], b"key"]);
            assert!(words.len() > 2 && words.len() <= 2 + REWRITE_PORTION);
            rewritten.extend(words[2..].iter().map(|word| word.to_vec()));
        });
        prop_assert_eq!(rewritten, model);
    }
}

/// Many chunks of one element: segments are divided and joined.
#[test]
fn many_chunks() {
    let limits = ListLimits {
        max_listpack_size: 1,
        compress_depth: 0,
    };
    let mut list = List::new();
    let mut model = Model::new();
    let mut random = 1u64;
    let mut next = |below: usize| {
        random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        (random >> 33) as usize % below
    };
    for round in 0..4000 {
        let number = round.to_string().into_bytes();
        let growing = (round / 1000) % 2 == 0;
        match next(if growing { 5 } else { 9 }) {
            0 => list.push(End::Front, [number.as_slice()].into_iter(), limits),
            1 => list.push(End::Back, [number.as_slice()].into_iter(), limits),
            2..5 if !model.is_empty() => {
                let index = next(model.len());
                let side = [Side::Before, Side::After][next(2)];
                assert!(list.insert(side, &model[index], &number, limits));
                let index = index + usize::from(side == Side::After);
                model.insert(index, number);
                continue;
            }
            _ if !model.is_empty() => {
                let index = next(model.len());
                let gone = model.remove(index).unwrap();
                assert_eq!(list.remove_matching(&gone, End::Back, 1, limits), 1);
                continue;
            }
            _ => continue,
        }
        if list.peek(End::Front).unwrap().eq_bytes(&number) {
            model.push_front(number);
        } else {
            model.push_back(number);
        }
        check(&list);
    }
    check(&list);
    check_against(&list, &model);
    check_access(&list, &model);
}

/// Where Redis 7.2 changes the form: pushes by the bytes of the elements alone, removals at half of the limit.
#[test]
fn forms_change_where_redis_changes_them() {
    let limits = ListLimits::default();
    let mut list = List::new();
    let element = [b'x'; 100];
    for pushed in 1..=87 {
        list.push(End::Back, [&element[..]].into_iter(), limits);
        let size = 7 + (pushed - 1) * 103 + 100;
        let expected = match size {
            ..=8192 => Encoding::Listpack,
            _ => Encoding::Quicklist,
        };
        assert_eq!(list.encoding(), expected, "{pushed}");
    }
    let mut left = list.len();
    while list.encoding() == Encoding::Quicklist {
        list.drain(End::Front, 1, limits, |_| {});
        left -= 1;
    }
    assert_eq!(left, 87 - 79); // the second chunk was alone then

    let mut list = List::new();
    list.push(End::Back, std::iter::repeat_n(&element[..], 80), limits);
    list.push(End::Back, [&[b'y'; 3000][..]].into_iter(), limits);
    assert_eq!(list.encoding(), Encoding::Quicklist);
    list.drain(End::Back, 1, limits, |_| {});
    assert_eq!(list.encoding(), Encoding::Quicklist);
    list.keep_range(0, 40, limits);
    assert_eq!(list.encoding(), Encoding::Quicklist);
    list.keep_range(0, 39, limits);
    assert_eq!(list.encoding(), Encoding::Listpack);
}

/// What is to be put where there is no place for it changes nothing, though Redis has made room for it by then: it is not logged.
#[test]
fn keeps_its_form_where_nothing_is_put() {
    let (limits, large) = (ListLimits::default(), [b'y'; 5000]);
    let mut list = List::new();
    list.push(End::Back, [&large[..], b"1"].into_iter(), limits);
    assert!(!list.insert(Side::After, b"2", &large, limits));
    assert!(!list.set(2, &large, limits));
    assert_eq!(list.encoding(), Encoding::Listpack);
}

#[test]
fn takes_little_room() {
    assert!(size_of::<List>() <= 32);
    assert_eq!(size_of::<Chunk>(), 32);
    let limits = ListLimits::default();
    let mut list = List::new();
    for number in 0..100_000 {
        let text = format!("element:{number:012}");
        list.push(End::Back, [text.as_bytes()].into_iter(), limits);
    }
    assert!(
        list.memory_bytes() < 100_000 * 22 * 103 / 100,
        "{}",
        list.memory_bytes()
    );
    // Every other element removed: the chunks are merged.
    for number in 0..100_000 {
        list.set(
            number,
            [&b"remove"[..], b"keep this one, please"][number as usize % 2],
            limits,
        );
    }
    assert_eq!(
        list.remove_matching(b"remove", End::Front, usize::MAX, limits),
        50_000
    );
    check(&list);
    assert!(
        list.memory_bytes() < 50_000 * 23 * 3 / 2,
        "{}",
        list.memory_bytes()
    );
}

/// A chunk whose small elements are replaced by larger ones does not grow forever.
#[test]
fn replaced_elements_divide_their_chunk() {
    let limits = ListLimits::default();
    let mut list = List::new();
    list.push(End::Back, std::iter::repeat_n(&b"0"[..], 20_000), limits);
    for index in 0..20_000 {
        assert!(list.set(index, &[b'x'; 1000], limits));
    }
    check(&list);
    for node in list.nodes() {
        let Node::Packed(listpack) = node else {
            panic!("no large elements");
        };
        assert!(listpack.byte_len() < 5 * 8192);
    }
}
