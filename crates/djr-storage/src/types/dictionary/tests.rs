use std::collections::{BTreeMap, BTreeSet, HashMap};

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::types::kept::{Kept, Ticket};

/// Bytes with a flag: a payload whose size varies.
struct Bytes;

impl Payload for Bytes {
    type Value<'a> = (&'a [u8], bool);
    const SIZE: Option<usize> = None;

    fn shape((bytes, flag): (&[u8], bool)) -> (usize, bool) {
        (bytes.len(), flag)
    }

    fn write((bytes, _): (&[u8], bool), out: &mut PayloadWriter<'_>) {
        out.put(bytes);
    }

    fn read(bytes: &[u8], flag: bool) -> (&[u8], bool) {
        (bytes, flag)
    }
}

#[derive(Clone, Debug)]
enum Step {
    Insert(u16, usize, bool),
    InsertNew(u16, usize),
    Remove(u16),
    RetainShorter(usize),
    Tidy(usize),
    Clone,
    Many(u16, u16),
    RemoveMany(u16, u16),
    Keep,
    WalkKept(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let length = prop_oneof![8 => 0..40usize, 1 => 0..700usize, 1 => Just(20_000usize)];
    let step = prop_oneof![
        8 => (0..300u16, length.clone(), any::<bool>()).prop_map(|(member, len, flag)| Step::Insert(member, len, flag)),
        3 => (0..300u16, length).prop_map(|(member, len)| Step::InsertNew(member, len)),
        6 => (0..300u16).prop_map(Step::Remove),
        1 => (0..600usize).prop_map(Step::RetainShorter),
        4 => (0..4usize).prop_map(Step::Tidy),
        1 => Just(Step::Clone),
        2 => (0..3000u16, 0..1500u16).prop_map(|(first, count)| Step::Many(first, count)),
        2 => Just(Step::Keep),
        6 => (1..200usize).prop_map(Step::WalkKept),
        2 => (0..3000u16, 0..2500u16).prop_map(|(first, count)| Step::RemoveMany(first, count)),
    ];
    proptest::collection::vec(step, 1..60)
}

/// Members of all lengths around those where the length of a length changes.
fn member(number: u16) -> Vec<u8> {
    let mut bytes = number.to_string().into_bytes();
    if number.is_multiple_of(7) {
        bytes.resize(bytes.len() + 120 + usize::from(number % 20), b'x');
    }
    if number == 14 {
        bytes.resize(20_000, b'y');
    }
    bytes
}

fn payload(number: u16, len: usize) -> Vec<u8> {
    vec![number as u8; len]
}

/// A member as a walk tells it here.
fn told(member: &[u8], payload: &[u8], flag: bool) -> Vec<u8> {
    [member, b" ", payload, &[u8::from(flag)]].concat()
}

type Model = BTreeMap<Vec<u8>, (Vec<u8>, bool)>;

/// A dictionary that is kept.
struct KeptRun {
    ticket: Arc<Ticket>,
    /// The dictionary, after it was dropped.
    remains: Option<Box<dyn Kept>>,
    /// What was there when it began to be kept.
    model: Model,
    /// What has been told of it.
    out: Vec<u8>,
}

struct Pair {
    dictionary: Dictionary<Bytes>,
    model: Model,
    /// The handle of each member, kept up as an index beside the dictionary would.
    handles: HashMap<Vec<u8>, Handle>,
    kept: Option<KeptRun>,
}

impl Pair {
    fn insert(&mut self, number: u16, len: usize, flag: bool) {
        let (member, payload) = (member(number), payload(number, len));
        let done = self.dictionary.insert(&member, (&payload, flag));
        let before = self.model.insert(member.clone(), (payload, flag));
        assert_eq!(done.is_inserted(), before.is_none());
        self.handles.insert(member, done.handle().unwrap());
    }

    fn remove(&mut self, number: u16) {
        let member = member(number);
        let removed = self.dictionary.remove_with(&member, |entry| {
            (entry.payload().0.to_vec(), entry.payload().1)
        });
        assert_eq!(removed, self.model.remove(&member));
        self.handles.remove(&member);
    }

    fn tidy(&mut self) {
        let handles = &mut self.handles;
        self.dictionary.tidy_step(|old, entry| {
            let former = handles.insert(entry.member().to_vec(), entry.handle());
            assert_eq!(former, Some(old));
        });
    }

    fn apply(&mut self, step: &Step) {
        match *step {
            Step::Insert(number, len, flag) => self.insert(number, len, flag),
            Step::InsertNew(number, len) => {
                let (member, payload) = (member(number), payload(number, len));
                let done = self.dictionary.insert_new(&member, (&payload, false));
                assert_eq!(done, !self.model.contains_key(&member));
                if done {
                    self.model.insert(member.clone(), (payload, false));
                    let handle = self.dictionary.get(&member).unwrap().handle();
                    self.handles.insert(member, handle);
                }
            }
            Step::Remove(number) => self.remove(number),
            Step::RetainShorter(len) => {
                self.dictionary
                    .retain(|entry| entry.payload().0.len() < len);
                self.model.retain(|_, (payload, _)| payload.len() < len);
                self.handles
                    .retain(|member, _| self.model.contains_key(member));
            }
            Step::Tidy(times) => (0..times).for_each(|_| self.tidy()),
            Step::Clone => {
                let clone = self.dictionary.clone();
                self.handles = clone
                    .iter()
                    .map(|entry| (entry.member().to_vec(), entry.handle()))
                    .collect();
                // What was kept of the former one is read where it has gone.
                self.dictionary = clone;
            }
            Step::Many(first, count) => {
                (first..first + count).for_each(|number| self.insert(number, 9, true));
            }
            Step::Keep => {
                if self.kept.is_none() {
                    let ticket = Ticket::new(0);
                    self.dictionary.keep(
                        &ticket,
                        |out, entry, _| {
                            let told = told(entry.member(), entry.payload().0, entry.payload().1);
                            out.extend_from_slice(&(told.len() as u32).to_le_bytes());
                            out.extend_from_slice(&told);
                        },
                        0,
                    );
                    self.kept = Some(KeptRun {
                        ticket,
                        remains: None,
                        model: self.model.clone(),
                        out: Vec::new(),
                    });
                }
            }
            Step::WalkKept(members) => _ = self.walk_kept(members),
            Step::RemoveMany(first, count) => {
                for number in first..first + count {
                    self.remove(number);
                    self.tidy();
                }
            }
        }
    }

    fn walk_kept(&mut self, members: usize) -> bool {
        let Some(run) = &mut self.kept else {
            return false;
        };
        if run.remains.is_none() {
            run.remains = run.ticket.take_remains();
        }
        let KeptRun {
            remains,
            model,
            out,
            ..
        } = run;
        let budget = members * 100;
        let more = match remains {
            Some(remains) => remains.walk(budget, out),
            None => self.dictionary.walk(budget, out),
        };
        if more {
            return true;
        }
        let mut expected: Vec<_> = model
            .iter()
            .map(|(member, (payload, flag))| told(member, payload, *flag))
            .collect();
        let (mut rest, mut found) = (&out[..], Vec::new());
        while let Some((len, behind)) = rest.split_first_chunk() {
            let (entry, behind) = behind.split_at(u32::from_le_bytes(*len) as usize);
            found.push(entry.to_vec());
            rest = behind;
        }
        found.sort();
        expected.sort();
        assert!(found == expected, "not what was there");
        self.kept = None;
        false
    }

    fn check(&self) {
        self.dictionary.check_invariants();
        assert_eq!(self.dictionary.len(), self.model.len());
        let all: Model = self
            .dictionary
            .iter()
            .map(|entry| {
                let (payload, flag) = entry.payload();
                (entry.member().to_vec(), (payload.to_vec(), flag))
            })
            .collect();
        assert!(all == self.model);
        for (member, &handle) in &self.handles {
            // SAFETY: kept up to date with every removal, replacement and move.
            let entry = unsafe { self.dictionary.at(handle) };
            assert_eq!(entry.member(), member);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 64 }))]
    #[test]
    fn behaves_like_a_map(steps in steps()) {
        let mut pair = Pair { dictionary: Dictionary::new(), model: Model::new(), handles: HashMap::new(), kept: None };
        for step in &steps {
            pair.apply(step);
            pair.check();
        }
        while pair.walk_kept(50) {}
    }

    /// What stays from the first call of a scan to the last is visited exactly once, whatever happens between the calls.
    #[test]
    fn a_scan_visits_what_stays_once(
        before in 0..3000u32, added in 0..3000u32, removed_every in 2..20u32, count in 1..100usize
    ) {
        let text = |number: u32| number.to_string().into_bytes();
        let mut dictionary = Dictionary::<()>::new();
        (0..before).for_each(|number| assert!(dictionary.insert_new(&text(number), ())));
        let (mut cursor, mut seen, mut calls) = (0, Vec::new(), 0);
        loop {
            cursor = dictionary.scan(cursor, count, |entry| seen.push(entry.member().to_vec()));
            calls += 1;
            if cursor == 0 { break }
            let share = |all: u32| (calls * 50).min(all);
            (before..before + share(added)).for_each(|number| { dictionary.insert(&text(number), ()); });
            for number in (0..share(before)).filter(|number| number % removed_every == 0) {
                dictionary.remove(&text(number));
                dictionary.tidy_step(|_, _| {});
            }
        }
        let once: BTreeSet<_> = seen.iter().cloned().collect();
        for number in (0..before).filter(|number| number % removed_every != 0) {
            prop_assert!(once.contains(&text(number)));
            prop_assert_eq!(seen.iter().filter(|&member| *member == text(number)).count(), 1);
        }
    }
}

#[test]
fn a_score_is_changed_where_it_is() {
    let mut dictionary = Dictionary::<f64>::new();
    let first = dictionary.insert(b"a", 1.5).handle();
    let sum = |present: Option<Entry<'_, f64>>| present.map(|entry| entry.payload() + 1.0);
    assert_eq!(
        dictionary.upsert(b"a", sum),
        Upserted::Replaced(first.unwrap())
    );
    assert_eq!(dictionary.get(b"a").map(|entry| entry.payload()), Some(2.5));
    assert_eq!(dictionary.upsert(b"b", sum), Upserted::Absent);
    assert!(!dictionary.contains(b"b"));
}

#[test]
fn small_dictionaries_are_small() {
    for (members, limit) in [(1, 1200), (10, 1400), (130, 6500), (1000, 36_000)] {
        let mut dictionary = Dictionary::<()>::with_capacity(members);
        for number in 0..members {
            dictionary.insert(format!("member:{number:06}").as_bytes(), ());
        }
        let bytes = dictionary.memory_bytes();
        assert!(bytes <= limit, "{members}: {bytes}");
    }
}

/// Removing most members gives memory back, in steps.
#[test]
fn memory_shrinks_with_the_members() {
    let mut dictionary = Dictionary::<()>::new();
    let text = |number: u32| format!("member:{number:06}").into_bytes();
    (0..50_000).for_each(|number| _ = dictionary.insert(&text(number), ()));
    let full = dictionary.memory_bytes();
    for number in (0..50_000).filter(|number| number % 16 != 0) {
        dictionary.remove(&text(number));
        dictionary.tidy_step(|_, _| {});
    }
    dictionary.check_invariants();
    assert!(dictionary.memory_bytes() < full / 5);
}

#[test]
fn every_member_is_drawn() {
    let mut dictionary = Dictionary::<()>::new();
    assert!(dictionary.random(1).is_none());
    (0..20u8).for_each(|number| _ = dictionary.insert(&[number], ()));
    let drawn: BTreeSet<_> = (0..1000)
        .filter_map(|bits: u64| dictionary.random(bits.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
        .map(|entry| entry.member().to_vec())
        .collect();
    assert_eq!(drawn.len(), 20);
}
