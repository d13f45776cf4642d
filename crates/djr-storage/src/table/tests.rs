//! The table against a model, and under concurrent views. Elements are numbers disguised as
//! addresses: the table must not follow them.

use std::collections::{BTreeMap, BTreeSet};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use proptest::prelude::*;

use super::*;

fn raw(number: u64) -> Raw {
    let address = (number as usize + 1) * 8;
    Raw::new(NonNull::new(std::ptr::without_provenance_mut(address)).unwrap())
}

fn number(raw: Raw) -> u64 {
    raw.address() as u64 / 8 - 1
}

/// How keys get their hashes: well, or as badly as can be.
#[derive(Clone, Copy, Debug)]
enum Hashing {
    Random,
    /// All keys have one hash.
    Equal(u32),
    /// Some thousand hashes side by side.
    Clustered(u32),
    /// Only few, far apart.
    FewValues,
}

impl Hashing {
    fn hash(self, key: u64) -> u64 {
        let mixed = (key + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = (mixed ^ (mixed >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        let mixed = mixed ^ (mixed >> 32);
        let low = match self {
            Hashing::Random => mixed as u32,
            Hashing::Equal(hash) => hash,
            Hashing::Clustered(start) => start.saturating_add((mixed % 5000) as u32),
            Hashing::FewValues => (mixed % 7) as u32 * (u32::MAX / 6),
        };
        mixed & !0xffff_ffff | u64::from(low)
    }

    fn all() -> impl Strategy<Value = Hashing> {
        let ends = || prop_oneof![Just(0), Just(u32::MAX), Just(u32::MAX - 4000), any::<u32>()];
        prop_oneof![
            3 => Just(Hashing::Random),
            1 => ends().prop_map(Hashing::Equal),
            1 => ends().prop_map(Hashing::Clustered),
            1 => Just(Hashing::FewValues),
        ]
    }
}

/// A table of numbers. The block of key `k` is `k`, or `k + MOVED` after it was replaced.
struct Numbers {
    table: Table,
    hashing: Hashing,
}

const MOVED: u64 = 1 << 32;

impl Numbers {
    fn new(hashing: Hashing) -> Numbers {
        Numbers {
            table: Table::with_phase(hashing.hash(0) as u32),
            hashing,
        }
    }

    fn rehash(&self) -> impl Fn(Raw) -> u64 + use<> {
        let hashing = self.hashing;
        move |raw| hashing.hash(number(raw) % MOVED)
    }

    fn find(&self, key: u64) -> Option<Slot> {
        self.table
            .find(self.hashing.hash(key), |raw| number(raw) % MOVED == key)
    }

    /// Returns whether the key is new.
    fn insert(&mut self, key: u64) -> bool {
        let is_new = self.find(key).is_none();
        if is_new {
            let rehash = self.rehash();
            self.table.insert(self.hashing.hash(key), raw(key), &rehash);
        }
        is_new
    }

    fn remove(&mut self, key: u64) -> Option<Raw> {
        let rehash = self.rehash();
        self.table.remove(
            self.hashing.hash(key),
            |raw| number(raw) % MOVED == key,
            &rehash,
        )
    }

    fn scan_all(&self) -> Vec<u64> {
        let mut keys = Vec::new();
        let mut cursor = 0;
        loop {
            cursor = self
                .table
                .scan(cursor, &self.rehash(), |raw| keys.push(number(raw)));
            if cursor == 0 {
                return keys;
            }
        }
    }

    fn check(&self) {
        self.table.check_invariants(&self.rehash());
    }
}

#[derive(Clone, Debug)]
enum Op {
    Insert(std::ops::Range<u64>),
    Remove(std::ops::Range<u64>),
    RemoveEvery(u64),
    Find(u64),
    Replace(u64),
    Move,
    Step(u32),
    Reserve(usize),
    Fit,
    Random(u64),
    Clear,
}

fn ops(keys: u64) -> impl Strategy<Value = Vec<Op>> {
    let range = move |longest: u64| (0..keys, 0..longest).prop_map(|(from, len)| from..from + len);
    let op = prop_oneof![
        4 => range(keys).prop_map(Op::Insert),
        4 => range(3).prop_map(Op::Insert),
        2 => range(keys).prop_map(Op::Remove),
        4 => range(3).prop_map(Op::Remove),
        1 => (2..9u64).prop_map(Op::RemoveEvery),
        2 => (0..keys).prop_map(Op::Find),
        2 => (0..keys).prop_map(Op::Replace),
        1 => Just(Op::Move),
        2 => (0..20u32).prop_map(Op::Step),
        1 => (0..keys as usize).prop_map(Op::Reserve),
        1 => Just(Op::Fit),
        1 => any::<u64>().prop_map(Op::Random),
        1 => Just(Op::Clear),
    ];
    prop::collection::vec(op, 1..40)
}

/// Applies random operations to the table and to a map from key to block, and compares.
fn run_against_model(hashing: Hashing, ops: &[Op]) {
    let mut numbers = Numbers::new(hashing);
    let view = numbers.table.view();
    let mut model: BTreeMap<u64, Raw> = BTreeMap::new();
    for op in ops {
        match op {
            Op::Insert(keys) => {
                for key in keys.clone() {
                    assert_eq!(
                        numbers.insert(key),
                        model
                            .insert(key, model.get(&key).copied().unwrap_or(raw(key)))
                            .is_none()
                    );
                }
            }
            Op::Remove(keys) => keys
                .clone()
                .for_each(|key| assert_eq!(numbers.remove(key), model.remove(&key))),
            Op::RemoveEvery(n) => {
                for key in model
                    .keys()
                    .copied()
                    .filter(|key| key.is_multiple_of(*n))
                    .collect::<Vec<_>>()
                {
                    assert_eq!(numbers.remove(key), model.remove(&key));
                }
            }
            Op::Find(key) => assert_eq!(numbers.find(*key).map(Slot::raw), model.get(key).copied()),
            Op::Replace(key) => {
                if let Some(slot) = numbers.find(*key) {
                    let new = raw(*key + MOVED);
                    assert_eq!(
                        Some(numbers.table.replace(slot, new)),
                        model.insert(*key, new)
                    );
                }
            }
            Op::Move => {
                let (mut cursor, rehash) = (0, numbers.rehash());
                loop {
                    cursor = numbers.table.scan_replace(cursor, &rehash, |old| {
                        let key = number(old) % MOVED;
                        key.is_multiple_of(2).then(|| raw(key + MOVED))
                    });
                    if cursor == 0 {
                        break;
                    }
                }
                model
                    .iter_mut()
                    .filter(|(key, _)| key.is_multiple_of(2))
                    .for_each(|(key, old)| *old = raw(*key + MOVED));
            }
            Op::Step(buckets) => {
                numbers.table.resize_step(*buckets, &numbers.rehash());
            }
            Op::Reserve(elements) => numbers.table.reserve(*elements, &numbers.rehash()),
            Op::Fit => {
                numbers.table.fit(&numbers.rehash());
                numbers.table.prefetch_behind(0, 64);
            }
            Op::Random(seed) => {
                let found = numbers.table.random(*seed);
                assert_eq!(found.is_some(), !model.is_empty());
                assert!(
                    found.is_none_or(|found| model.get(&(number(found) % MOVED)) == Some(&found))
                );
            }
            Op::Clear => {
                let mut drained = BTreeSet::new();
                numbers.table.drain(|raw| assert!(drained.insert(raw)));
                assert!(
                    drained
                        .into_iter()
                        .eq(model.values().copied().collect::<BTreeSet<_>>())
                );
                model.clear();
            }
        }
        numbers.check();
        let guard = EpochGuard::pin();
        for key in [0, 1, 7] {
            if let Some(home) = view.prefetch(&guard, hashing.hash(key)) {
                home.prefetch_entry();
            }
        }
        assert_eq!(numbers.table.len(), model.len());
    }
    let expected: BTreeSet<Raw> = model.values().copied().collect();
    let all: Vec<Raw> = numbers.table.iter().collect();
    assert_eq!(all.len(), expected.len());
    assert_eq!(all.into_iter().collect::<BTreeSet<_>>(), expected);
    let scanned = numbers.scan_all();
    assert_eq!(scanned.len(), expected.len());
    assert_eq!(
        scanned.into_iter().map(raw).collect::<BTreeSet<_>>(),
        expected
    );
}

const CASES: u32 = if cfg!(miri) { 2 } else { 300 };

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn behaves_like_a_map(hashing in Hashing::all(), ops in ops(if cfg!(miri) { 40 } else { 700 })) {
        run_against_model(hashing, &ops);
    }

    /// Large enough that resizes are under way between operations and hashes need more than a tag.
    #[test]
    fn behaves_like_a_map_when_large(ops in ops(if cfg!(miri) { 400 } else { 12_000 }), start in any::<u32>()) {
        run_against_model(Hashing::Random, &ops[..ops.len().min(12)]);
        run_against_model(Hashing::Clustered(start), &ops[..ops.len().min(4)]);
    }

    /// What stays from the first call to the last is returned once, whatever else comes, goes and
    /// makes the table resize between them.
    #[test]
    fn scan_returns_what_stays_exactly_once(
        hashing in prop_oneof![4 => Just(Hashing::Random), 1 => Hashing::all()],
        stay in 1..400u64,
        before in 0..6000u64,
        changes in prop::collection::vec((any::<bool>(), 0..3000u64), 1..30),
    ) {
        let mut numbers = Numbers::new(hashing);
        let mut passing = stay..stay;
        (0..stay).for_each(|key| assert!(numbers.insert(key)));
        let mut grow = |numbers: &mut Numbers, grows: bool, by: u64| {
            // Keys that pass by are taken out in the order they came.
            for _ in 0..by {
                if grows {
                    numbers.insert(passing.end);
                    passing.end += 1;
                } else if !passing.is_empty() {
                    numbers.remove(passing.start);
                    passing.start += 1;
                }
            }
        };
        let before = if matches!(hashing, Hashing::Random) { before } else { before / 10 };
        grow(&mut numbers, true, before);
        let mut seen: BTreeMap<u64, u32> = BTreeMap::new();
        let mut cursor = 0;
        let turns = changes.len() as u64;
        for (turn, (grows, by)) in (1..).zip(changes) {
            let target = turn * (1 << 32) / turns;
            while cursor < target {
                let previous = cursor;
                cursor = numbers.table.scan(cursor, &numbers.rehash(), |raw| *seen.entry(number(raw)).or_default() += 1);
                if cursor == 0 {
                    break;
                }
                prop_assert!(cursor > previous);
            }
            if cursor == 0 {
                break;
            }
            grow(&mut numbers, grows, if matches!(hashing, Hashing::Random) { by } else { by / 30 });
            numbers.check();
        }
        prop_assert_eq!(cursor, 0);
        for key in 0..stay {
            prop_assert_eq!(seen.get(&key), Some(&1), "key {} of {}", key, stay);
        }
        prop_assert!(seen.values().all(|&times| times == 1));
    }
}

#[test]
fn room_that_was_reserved_in_vain_is_given_back() {
    let mut numbers = Numbers::new(Hashing::Random);
    numbers.table.reserve(100_000, &numbers.rehash());
    let roomy = numbers.table.memory_bytes();
    for key in 0..1000 {
        numbers.insert(key);
    }
    numbers.table.fit(&numbers.rehash());
    numbers.check();
    assert!(numbers.table.memory_bytes() * 50 < roomy);
    assert!((0..1000).all(|key| numbers.find(key).is_some()));
}

#[test]
fn the_load_stays_high_and_the_steps_small() {
    if cfg!(miri) {
        return;
    }
    let mut numbers = Numbers::new(Hashing::Random);
    let rehash = numbers.rehash();
    for key in 0..300_000u64 {
        // The keys are new: no look-up.
        numbers
            .table
            .insert(numbers.hashing.hash(key), raw(key), &rehash);
        let len = numbers.table.len();
        if len > 20_000 && !numbers.table.is_resizing() {
            let bytes = numbers.table.memory_bytes() as f64 / len as f64;
            assert!(
                (8.7..10.05).contains(&bytes),
                "{bytes} bytes per element at {len}"
            );
        }
    }
    numbers.check();
    for key in 0..300_000 {
        assert_eq!(numbers.remove(key), Some(raw(key)));
        let len = numbers.table.len();
        if len > 20_000 && !numbers.table.is_resizing() {
            let bytes = numbers.table.memory_bytes() as f64 / len as f64;
            assert!(bytes < 28.0, "{bytes} bytes per element at {len}");
        }
    }
    assert!(numbers.table.memory_bytes() < 2000);
}

#[test]
fn every_step_is_bounded() {
    let mut numbers = Numbers::new(Hashing::Random);
    let rehash = numbers.rehash();
    let mut consumed = 0;
    for key in 0..if cfg!(miri) { 3000 } else { 200_000 } {
        numbers
            .table
            .insert(numbers.hashing.hash(key), raw(key), &rehash);
        let now = numbers.table.consumed;
        assert!(now < consumed + 300, "{consumed} to {now} in one step");
        consumed = now;
    }
}

#[test]
fn hashes_are_asked_for_rarely() {
    if cfg!(miri) {
        return;
    }
    let mut numbers = Numbers::new(Hashing::Random);
    let calls = AtomicU64::new(0);
    let inner = numbers.rehash();
    let rehash = |raw| {
        calls.fetch_add(1, Ordering::Relaxed);
        inner(raw)
    };
    (0..500_000u64).for_each(|key| {
        numbers
            .table
            .insert(numbers.hashing.hash(key), raw(key), &rehash)
    });
    // At 1024 and at 16 384 buckets everything is asked once; nothing else is.
    let calls = calls.into_inner();
    assert!((100_000..150_000).contains(&calls), "{calls}");
}

#[test]
fn random_is_uniform() {
    if cfg!(miri) {
        return;
    }
    for keys in [1, 10, 3000] {
        let mut numbers = Numbers::new(Hashing::Random);
        (0..keys).for_each(|key| assert!(numbers.insert(key)));
        let draws = keys * 400;
        let mut counts = vec![0u64; keys as usize];
        (0..draws).for_each(|seed| {
            counts[number(numbers.table.random(seed * 77).unwrap()) as usize] += 1
        });
        // Chi-square: mean keys - 1, variance twice that; six sigma.
        let chi: f64 = counts
            .iter()
            .map(|&count| (count as f64 - 400.0).powi(2) / 400.0)
            .sum();
        let freedom = keys as f64 - 1.0;
        assert!(
            chi < freedom + 6.0 * (2.0 * freedom).sqrt() + 1.0,
            "{keys}: {chi}"
        );
    }
    assert_eq!(Table::new().random(1), None);
}

#[test]
fn thousands_of_equal_hashes_at_either_end_are_survived() {
    let keys = if cfg!(miri) { 100 } else { 3000 };
    for hash in [0, 12_345_678, u32::MAX] {
        let mut numbers = Numbers::new(Hashing::Equal(hash));
        (0..keys).for_each(|key| assert!(numbers.insert(key)));
        numbers.check();
        assert_eq!(numbers.scan_all().len() as u64, keys);
        assert!(
            numbers.table.memory_bytes() as u64 <= 1000 + keys * 64,
            "{}",
            numbers.table.memory_bytes()
        );
        (0..keys).for_each(|key| assert_eq!(numbers.remove(key), Some(raw(key))));
        numbers.check();
    }
}

#[test]
#[should_panic(expected = "used after a change")]
fn a_stale_slot_is_noticed() {
    let mut numbers = Numbers::new(Hashing::Random);
    numbers.insert(1);
    let slot = numbers.find(1).unwrap();
    numbers.remove(1);
    numbers.table.replace(slot, raw(2));
}

/// One owner changes the table in every way, others look through views all the time: for the
/// sanitizers, and for faults.
#[test]
fn views_survive_whatever_the_owner_does() {
    let rounds = if cfg!(miri) { 1 } else { 4 };
    let keys = if cfg!(miri) { 400 } else { 60_000 };
    let hashing = Hashing::Random;
    let mut numbers = Numbers::new(hashing);
    let views: Vec<_> = (0..2).map(|_| numbers.table.view()).collect();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for view in &views {
            scope.spawn(|| {
                let mut key = 0;
                while !is_over.load(Ordering::Relaxed) {
                    let guard = EpochGuard::pin();
                    for _ in 0..16 {
                        key = (key + 7) % keys;
                        if let Some(home) = view.prefetch(&guard, hashing.hash(key)) {
                            home.prefetch_entry();
                        }
                    }
                }
            });
        }
        for round in 0..rounds {
            (0..keys).for_each(|key| assert!(numbers.insert(key)));
            numbers.check();
            let left = (0..keys).filter(|key| key % 16 == round);
            (0..keys)
                .filter(|key| key % 16 != round)
                .for_each(|key| assert_eq!(numbers.remove(key), Some(raw(key))));
            assert_eq!(numbers.scan_all().len(), left.count());
            if round.is_multiple_of(2) {
                numbers.table.clear();
            } else {
                numbers = Numbers::new(hashing);
            }
        }
        is_over.store(true, Ordering::Relaxed);
    });
}
