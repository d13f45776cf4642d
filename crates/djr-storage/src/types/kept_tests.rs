//! Structures of all types are kept, changed at random, dropped, replaced and copied while they are read: what is read is what there was.

use std::sync::Arc;

use proptest::prelude::*;

use super::hash::FieldExpire;
use super::kept::{Kept, Ticket, set_keep_above};
use super::list::{End, Side};
use super::stream::{Group, Pending, References, StreamId, Trim, TrimTo};
use super::*;
use crate::rdb::{Plain, Reader, VERSION_OF_FIELD_EXPIRY, ValueLimits, read_value, write_value};
use crate::value::{Value, ValueRef};

/// A change, to be understood by each type in its way.
type Change = (u8, u16, u16);

/// What is done beside changes.
#[derive(Clone, Debug)]
enum Step {
    Change(Change),
    Keep,
    Walk(usize),
    /// Nothing is left of it.
    Drop,
    /// A copy takes its place.
    Copy,
    /// It moves in memory.
    Move,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let change = (any::<u8>(), any::<u16>(), any::<u16>());
    proptest::collection::vec(
        prop_oneof![
            40 => change.prop_map(Step::Change),
            3 => Just(Step::Keep),
            6 => (1..600usize).prop_map(Step::Walk),
            1 => Just(Step::Drop),
            1 => Just(Step::Copy),
            1 => Just(Step::Move),
        ],
        1..300,
    )
}

struct Run {
    ticket: Arc<Ticket>,
    remains: Option<Box<dyn Kept>>,
    /// As it is written at once.
    expected: Vec<u8>,
    out: Vec<u8>,
}

fn written(value: ValueRef<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    write_value(&mut Plain(&mut out), value, UnixMillis::MIN);
    out
}

/// What a value's bytes mean: the commands that make it, in order if it has none of its own.
fn meaning(bytes: &[u8]) -> Vec<Vec<Vec<u8>>> {
    let mut reader = Reader::new(bytes);
    let kind = reader.byte().unwrap();
    let limits = ValueLimits::default();
    let value: Value = read_value(&mut reader, kind, VERSION_OF_FIELD_EXPIRY, &limits).unwrap();
    assert!(reader.rest().is_empty(), "something behind the value");
    let mut commands = Vec::new();
    value.as_ref().rewrite(b"", &mut |words| {
        let step = match words[0] {
            b"SADD" => 1,
            b"HSET" | b"ZADD" => 2,
            _ => words.len(),
        };
        for element in words[2..].chunks(step) {
            let element = element.iter().map(|word| word.to_vec());
            commands.push([words[0].to_vec()].into_iter().chain(element).collect());
        }
    });
    if !matches!(value.as_ref().kind(), Kind::List | Kind::Stream) {
        commands.sort();
    }
    commands
}

/// Those that are `ordered` are written to the same bytes however they are read.
fn run<T: Object + Default>(
    steps: Vec<Step>,
    as_value: fn(&T) -> ValueRef<'_>,
    ordered: bool,
    change: impl Fn(&mut T, Change),
) {
    set_keep_above(0);
    let mut object = T::default();
    let mut running: Option<Run> = None;
    let all = steps.into_iter().map(Some).chain([None]);
    for step in all {
        match step {
            Some(Step::Change(what)) => change(&mut object, what),
            // What has nothing left in it is gone from the keyspace: nobody keeps it.
            Some(Step::Keep) if running.is_none() && !object.is_vacant() => {
                let expected = written(as_value(&object));
                let (ticket, mut out) = (Ticket::new(0), Vec::new());
                if object.keep(&ticket, &mut out) {
                    running = Some(Run {
                        ticket,
                        remains: None,
                        expected,
                        out,
                    });
                }
            }
            Some(Step::Keep) => {}
            Some(Step::Walk(budget)) => walk(&mut object, &mut running, budget, ordered, 1),
            Some(Step::Drop) => object = T::default(),
            Some(Step::Copy) => object = object.clone(),
            Some(Step::Move) => object = *Box::new(std::mem::take(&mut object)),
            None => walk(&mut object, &mut running, 300, ordered, usize::MAX),
        }
    }
}

fn walk<T: Object>(
    object: &mut T,
    running: &mut Option<Run>,
    budget: usize,
    ordered: bool,
    times: usize,
) {
    for _ in 0..times {
        let Some(run) = running else { return };
        run.remains = run.remains.take().or_else(|| run.ticket.take_remains());
        let out = &mut run.out;
        let more = match &mut run.remains {
            Some(remains) => remains.walk(budget, out),
            None => object.kept().expect("it is kept").walk(budget, out),
        };
        if !more {
            if ordered {
                assert!(run.out == run.expected, "not the bytes that there were");
            } else {
                assert_eq!(meaning(&run.out), meaning(&run.expected));
            }
            *running = None;
        }
    }
}

fn text(number: u16) -> Vec<u8> {
    format!("element {number}").into_bytes()
}

/// Large ones are chunks by themselves.
fn element(number: u16) -> Vec<u8> {
    let len = match number % 23 {
        0 => 9000,
        1..4 => 1500,
        rest => rest.into(),
    };
    vec![b'a' + (number % 26) as u8; len]
}

fn change_list(list: &mut List, (what, a, b): Change) {
    let limits = ListLimits::default();
    let end = if a % 2 == 0 { End::Front } else { End::Back };
    let index = i64::from(a) % (list.len().max(1) as i64);
    match what % 16 {
        0..7 => {
            let elements: Vec<_> = (0..b % 40)
                .map(|nth| element(b.wrapping_add(nth)))
                .collect();
            list.push(end, elements.iter().map(Vec::as_slice), limits);
        }
        7..9 => list.drain(end, usize::from(b % 7), limits, |_| ()),
        9 => list.drain(end, usize::from(b % 400), limits, |_| ()),
        10..13 => _ = list.set(index, &element(b), limits),
        13 => {
            let side = if b % 2 == 0 {
                Side::Before
            } else {
                Side::After
            };
            _ = list.insert(side, &element(a), &element(b), limits);
        }
        14 => _ = list.remove_matching(&element(a), end, usize::from(b % 5), limits),
        _ if b % 4 == 0 => list.keep_range(usize::from(a % 50), list.len() / 2, limits),
        _ => {}
    }
}

fn change_set(set: &mut Set, (what, a, b): Change) {
    match what % 8 {
        0..4 => {
            (0..b % 60).for_each(|nth| _ = set.add(&text(a % 3000 + nth), SetLimits::default()));
        }
        4..7 => _ = set.remove(&text(a % 3000)),
        _ => (0..b % 200).for_each(|nth| _ = set.remove(&text(a % 3000 + nth))),
    }
}

fn change_hash(hash: &mut Hash, (what, a, b): Change) {
    let limits = HashLimits::default();
    let (field, value) = (text(a % 1000), element(b));
    match what % 10 {
        0..3 => (0..b % 40).for_each(|nth| {
            hash.set(&text(a % 1000 + nth), &value, FieldExpire::Keep, limits);
        }),
        3..5 => _ = hash.set(&field, &value, FieldExpire::Clear, limits),
        5 => _ = hash.set(&field, &value, FieldExpire::At(1000 + i64::from(b)), limits),
        6 => _ = hash.set_expire(&field, (b % 3 > 0).then_some(1000 + i64::from(b)), 0),
        7..9 => (0..b % 50).for_each(|nth| _ = hash.remove(&text(a % 1000 + nth), 0)),
        _ => _ = hash.expire_parts(1000 + i64::from(a % 3000), usize::from(b % 9), &mut |_| ()),
    }
}

fn change_sorted_set(set: &mut SortedSet, (what, a, b): Change) {
    let limits = SortedSetLimits::default();
    match what % 10 {
        0..4 => (0..b % 60).for_each(|nth| {
            set.insert(&text(a % 3000 + nth), f64::from(b % 100), &limits);
        }),
        4..6 => _ = set.insert(&text(a % 3000), f64::from(b), &limits),
        6..9 => _ = set.remove(&text(a % 3000)),
        _ => {
            let start = usize::from(a) % set.len().max(1);
            set.remove_range(start..start + usize::from(b % 300));
        }
    }
}

fn change_stream(stream: &mut Stream, (what, a, b): Change) {
    let limits = StreamLimits {
        node_max_entries: 6,
        ..StreamLimits::default()
    };
    let append = |stream: &mut Stream, count: u16| {
        for nth in 0..count {
            let Some(id) = Stream::id_after(stream.entries().last_id(), u64::from(a % 4000)) else {
                return;
            };
            let word = text(nth);
            stream.append(id, 1, |_| &word, &limits);
        }
    };
    let nth_id = |stream: &Stream, nth: u16| {
        let all = stream.entries().range(StreamId::MIN, StreamId::MAX);
        let ids: Vec<_> = all.map(|entry| entry.id()).collect();
        ids.get(usize::from(nth) % ids.len().max(1)).copied()
    };
    let group = text(b % 3);
    let consumer = text(a % 4);
    match what % 24 {
        0..6 => append(stream, b % 30),
        6..9 => {
            if let Some(id) = nth_id(stream, a) {
                stream.delete(id);
            }
        }
        9 => {
            let trim = Trim {
                to: TrimTo::MaxLen(stream.entries().len() * u64::from(b % 8) / 8),
                approximate: a % 3 == 0,
                limit: 0,
                references: References::Keep,
            };
            stream.trim(&trim);
        }
        10 => {
            // As XSETID: not below the last entry that lives.
            let least = stream.entries().last_live_id().unwrap_or(StreamId::MIN);
            stream.set_id(least.max(StreamId::new(u64::from(b % 100), 0)), None, None);
        }
        11 => {
            // The last ones go, so that ids may be given out once more.
            for _ in 0..b % 20 {
                if let Some(id) = stream.entries().last_live_id() {
                    stream.delete(id);
                }
            }
            let least = stream.entries().last_live_id().unwrap_or(StreamId::MIN);
            stream.set_id(least, None, None);
            append(stream, 3);
        }
        12..14 => _ = stream.add_group(&group, Group::new(StreamId::MIN, None)),
        14 if a % 4 == 0 => _ = stream.remove_group(&group),
        15..20 => {
            let ids: Vec<_> = (0..b % 20)
                .filter_map(|nth| nth_id(stream, a.wrapping_add(nth)))
                .collect();
            stream.update_group(&group, |_, group| {
                let (consumer, _) = group.add_consumer(&consumer, b.into());
                for id in ids {
                    group.assign(
                        id,
                        Pending {
                            consumer,
                            delivered_at: b.into(),
                            deliveries: u64::from(a),
                        },
                    );
                }
                group.last_id = StreamId::new(u64::from(a), 1);
            });
        }
        20..22 => {
            if let Some(id) = nth_id(stream, a) {
                stream.update_group(&group, |_, group| group.acknowledge(id));
                stream.drop_references(id);
            }
        }
        22 => _ = stream.update_group(&group, |_, group| group.remove_consumer(&consumer)),
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn lists(steps in steps()) {
        run(steps, |value| ValueRef::List(value), true, change_list);
    }

    #[test]
    fn sets(steps in steps()) {
        run(steps, |value| ValueRef::Set(value), false, change_set);
    }

    #[test]
    fn hashes(steps in steps()) {
        run(steps, |value| ValueRef::Hash(value), false, change_hash);
    }

    #[test]
    fn sorted_sets(steps in steps()) {
        run(steps, |value| ValueRef::SortedSet(value), false, change_sorted_set);
    }

    #[test]
    fn streams(steps in steps()) {
        run(steps, |value| ValueRef::Stream(value), true, change_stream);
    }
}

/// A structure that has hundreds of elements and is kept.
fn kept<T: Object + Default>(change: fn(&mut T, Change), what: Change) -> (T, Arc<Ticket>) {
    set_keep_above(0);
    let mut object = T::default();
    (0..100).for_each(|nth| change(&mut object, (what.0, what.1 + 7 * nth, what.2)));
    let ticket = Ticket::new(0);
    assert!(object.keep(&ticket, &mut Vec::new()), "it is not kept");
    (object, ticket)
}

/// Nobody wants it any more, before or after it is dropped: its end comes in both cases, once.
fn given_up<T: Object + Default>(change: fn(&mut T, Change), what: Change) {
    let (object, ticket) = kept(change, what);
    ticket.cancel();
    drop(object);
    assert!(ticket.take_remains().is_none(), "nobody wants the rest");

    let (object, ticket) = kept(change, what);
    drop(object);
    assert!(ticket.has_remains());
    ticket.cancel();
    assert!(ticket.take_remains().is_none(), "nobody wants the rest");

    let (object, ticket) = kept(change, what);
    drop(object);
    let mut remains = ticket.take_remains().expect("it was handed over");
    remains.walk(1, &mut Vec::new());
    drop(remains);
    assert!(ticket.take_remains().is_none(), "handed over twice");
}

#[test]
fn given_up_list() {
    given_up(change_list, (0, 0, 39));
}

#[test]
fn given_up_set() {
    given_up(change_set, (0, 0, 59));
}

#[test]
fn given_up_hash() {
    given_up(change_hash, (0, 0, 39));
}

#[test]
fn given_up_sorted_set() {
    given_up(change_sorted_set, (0, 0, 59));
}

#[test]
fn given_up_stream() {
    given_up(change_stream, (0, 0, 29));
}
