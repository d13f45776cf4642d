use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const LIMITS: SetLimits = SetLimits {
    max_intset_entries: 10,
    max_listpack_entries: 8,
    max_listpack_value: 12,
};

#[derive(Clone, Debug)]
enum Step {
    Add(u8),
    AddMany(u8, u8),
    Remove(u8),
    Pop(u64),
    Compact,
    Clone,
}

fn steps(numbers: u8) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (0..numbers).prop_map(Step::Add),
        1 => (0..numbers, 0..30u8).prop_map(|(first, count)| Step::AddMany(first, count)),
        4 => (0..numbers).prop_map(Step::Remove),
        3 => any::<u64>().prop_map(Step::Pop),
        1 => Just(Step::Compact),
        1 => Just(Step::Clone),
    ];
    proptest::collection::vec(step, 1..60)
}

/// Integers of all widths below 16, then short texts, texts that are nearly integers, and one that is too long to be packed.
fn text(number: u8) -> Vec<u8> {
    match number {
        0..8 => number.to_string().into_bytes(),
        8 => b"-32769".to_vec(),
        9 => b"40000".to_vec(),
        10 => b"2147483648".to_vec(),
        11 => i64::MIN.to_string().into_bytes(),
        12 => b"-1".to_vec(),
        13..16 => (i32::from(number) * 1000).to_string().into_bytes(),
        16 => b"007".to_vec(),
        17 => Vec::new(),
        18 => b"9223372036854775808".to_vec(),
        _ => format!("t{number}").into_bytes(),
    }
}

fn random(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed;
    move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[derive(Default)]
struct Pair {
    set: Set,
    model: BTreeSet<Vec<u8>>,
}

impl Pair {
    fn add(&mut self, member: Vec<u8>) {
        let is_new = self.set.add(&member, LIMITS);
        assert_eq!(is_new, self.model.insert(member));
    }

    fn apply(&mut self, step: &Step) {
        let before = self.set.encoding();
        match *step {
            Step::Add(number) => self.add(text(number)),
            Step::AddMany(first, count) => {
                self.set.prepare(&text(first), usize::from(count), LIMITS);
                for number in first..first.saturating_add(count) {
                    self.add(text(number));
                }
            }
            Step::Remove(number) => {
                let member = text(number);
                assert_eq!(self.set.remove(&member), self.model.remove(&member));
                assert_eq!(self.set.encoding(), before);
            }
            Step::Pop(bits) => match self.set.pop(bits) {
                Some(member) => assert!(self.model.remove(&member)),
                None => assert!(self.model.is_empty()),
            },
            Step::Compact => {
                self.set.compact(LIMITS);
                let integers = self.model.iter().all(|member| is_integer(member));
                let becomes = integers && self.model.len() <= LIMITS.max_intset_entries;
                let expected = if becomes { Encoding::Intset } else { before };
                assert_eq!(self.set.encoding(), expected);
            }
            Step::Clone => self.set = self.set.clone(),
        }
    }

    fn check(&self, seed: u64) {
        let (set, model) = (&self.set, &self.model);
        set.check_invariants();
        assert_eq!((set.len(), set.is_empty()), (model.len(), model.is_empty()));
        let all: Vec<Vec<u8>> = set.iter().map(Element::to_vec).collect();
        assert_eq!(all.len(), model.len());
        assert_eq!(&BTreeSet::from_iter(all), model);
        for number in 0..60 {
            let (member, expected) = (text(number), model.contains(&text(number)));
            assert_eq!(set.contains(&member), expected);
            assert_eq!(set.contains_element(Element::of(&member)), expected);
            assert_eq!(set.contains_element(Element::Bytes(&member)), expected);
        }
        match set.encoding() {
            Encoding::Intset => {
                assert!(model.iter().all(|member| is_integer(member)));
                assert!(model.len() <= LIMITS.max_intset_entries);
            }
            Encoding::Listpack => {
                assert!(model.len() <= LIMITS.max_listpack_entries);
                assert!(
                    model
                        .iter()
                        .all(|member| member.len() <= LIMITS.max_listpack_value)
                );
            }
            _ => {}
        }
        let (mut cursor, mut scanned) = (0, BTreeSet::new());
        loop {
            cursor = set.scan(cursor, 3, |member| {
                assert!(scanned.insert(member.to_vec()), "visited once");
            });
            if cursor == 0 {
                break;
            }
        }
        assert_eq!(&scanned, model);
        let len = model.len();
        for count in [0, 1, 2, len / 4, len / 2, len, len + 3] {
            let mut sample = BTreeSet::new();
            set.sample(count, random(seed), |member| {
                assert!(sample.insert(member.to_vec()), "different members");
            });
            assert_eq!(sample.len(), count.min(len));
            assert!(sample.is_subset(model));
            let mut drawn = 0;
            set.sample_repeating(count, random(seed), |member| {
                drawn += 1;
                assert!(model.contains(&member.to_vec()));
            });
            assert_eq!(drawn, if len == 0 { 0 } else { count });
        }
        self.check_rewrite();
    }

    fn check_rewrite(&self) {
        let mut again = BTreeSet::new();
        self.set.rewrite(b"k", &mut |words| {
            assert_eq!(words[..2], [b"SADD".as_slice(), b"k"]);
            assert!((3..=2 + REWRITE_PORTION).contains(&words.len()));
            again.extend(words[2..].iter().map(|member| member.to_vec()));
        });
        assert_eq!(again, self.model);
    }
}

fn is_integer(member: &[u8]) -> bool {
    matches!(Element::of(member), Element::Int(_))
}

proptest! {
    #[test]
    fn behaves_as_a_btree_set(integers in steps(16), any in steps(60), seed: u64) {
        for steps in [integers, any] {
            let mut pair = Pair::default();
            for step in &steps {
                pair.apply(step);
                pair.check(seed);
            }
        }
    }
}

#[test]
fn draws_every_member_about_equally_often() {
    let mut random = random(5);
    for form in [Set::new(), Set::packed(), Set::table(8)] {
        let mut set = form;
        for number in 0..8 {
            set.add(&text(number), LIMITS);
        }
        let mut counts = [0_u32; 8];
        for _ in 0..8000 {
            let member = set.random(random()).and_then(Element::as_integer).unwrap();
            counts[member as usize] += 1;
        }
        assert!(
            counts.iter().all(|count| (800..1200).contains(count)),
            "{counts:?}"
        );
    }
}

fn encoding_after(set: &mut Set, members: impl IntoIterator<Item = String>) -> Encoding {
    for member in members {
        set.add(member.as_bytes(), SetLimits::default());
    }
    set.encoding()
}

fn numbers(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|number| number.to_string())
}

#[test]
fn forms_change_where_redis_changes_them() {
    let text = || ["t".to_owned()];
    let mut set = Set::new();
    assert_eq!(encoding_after(&mut set, numbers(512)), Encoding::Intset);
    assert_eq!(encoding_after(&mut set, numbers(513)), Encoding::Hashtable);
    let mut set = Set::new();
    assert_eq!(encoding_after(&mut set, numbers(127)), Encoding::Intset);
    assert_eq!(encoding_after(&mut set, text()), Encoding::Listpack);
    assert_eq!(encoding_after(&mut set, numbers(128)), Encoding::Hashtable);
    let mut set = Set::new();
    encoding_after(&mut set, numbers(128));
    assert_eq!(encoding_after(&mut set, text()), Encoding::Hashtable);
    let mut set = Set::new();
    assert_eq!(
        encoding_after(&mut set, ["x".repeat(64)]),
        Encoding::Listpack
    );
    assert_eq!(
        encoding_after(&mut set, ["x".repeat(65)]),
        Encoding::Hashtable
    );
}

#[test]
fn integers_take_the_bytes_that_the_widest_needs() {
    let mut set = Intset::default();
    for (integer, width) in [
        (32767, 2),
        (-32768, 2),
        (32768, 4),
        (1, 4),
        (1 << 31, 8),
        (-1, 8),
    ] {
        assert!(set.add(integer) && !set.add(integer));
        assert_eq!(set.width(), width);
    }
    let all: Vec<i64> = set.iter().collect();
    assert_eq!(all, [-32768, -1, 1, 32767, 32768, 1 << 31]);
}

#[test]
fn gives_memory_back() {
    let mut set = Intset::default();
    (0..1000).for_each(|integer| assert!(set.add(integer)));
    assert!(set.memory_bytes() <= 2 * 1300);
    (0..990).for_each(|integer| assert!(set.remove(integer)));
    assert!(set.memory_bytes() <= 2 * 40, "{}", set.memory_bytes());
}
