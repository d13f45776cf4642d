//! Random operations, the same ones on plain collections.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::types::Object;

type Words = Vec<Vec<u8>>;

#[derive(Clone, Debug)]
enum Op {
    Append {
        step: u64,
        same_ms: bool,
        words: Words,
    },
    Delete(usize),
    DeleteAny(u64),
    Trim {
        exact: bool,
        by_id: bool,
        goal: u64,
        limit: u64,
        references: References,
    },
    Range(u64, u64),
    Clone,
    AddGroup(u8, u64),
    RemoveGroup(u8),
    AddConsumer(u8, u8),
    RemoveConsumer(u8, u8),
    Assign {
        group: u8,
        consumer: u8,
        id: usize,
        at: i64,
    },
    Acknowledge(u8, usize),
    Since(u8, i64, usize),
    DropReferences(usize),
}

fn words() -> impl Strategy<Value = Words> {
    let word = prop_oneof![
        4 => prop::sample::select(vec!["f", "g", "1", "-70000", "", "value", "9223372036854775807"])
            .prop_map(|word| word.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..150),
    ];
    prop::collection::vec(word, 1..4).prop_map(|mut words| {
        if words.len() % 2 == 1 {
            words.push(words[0].clone());
        }
        words
    })
}

fn op() -> impl Strategy<Value = Op> {
    let references = prop::sample::select(vec![
        References::Keep,
        References::Delete,
        References::Acknowledged,
    ]);
    prop_oneof![
        20 => (1..40u64, any::<bool>(), words()).prop_map(|(step, same_ms, words)| Op::Append { step, same_ms, words }),
        5 => any::<usize>().prop_map(Op::Delete),
        1 => (0..2000u64).prop_map(Op::DeleteAny),
        2 => (any::<bool>(), any::<bool>(), 0..60u64, 0..20u64, references)
            .prop_map(|(exact, by_id, goal, limit, references)| Op::Trim { exact, by_id, goal, limit, references }),
        4 => (0..2000u64, 0..2000u64).prop_map(|(start, end)| Op::Range(start, end)),
        1 => Just(Op::Clone),
        1 => (0..3u8, 0..2000u64).prop_map(|(group, id)| Op::AddGroup(group, id)),
        1 => (0..3u8).prop_map(Op::RemoveGroup),
        2 => (0..3u8, 0..4u8).prop_map(|(group, consumer)| Op::AddConsumer(group, consumer)),
        1 => (0..3u8, 0..4u8).prop_map(|(group, consumer)| Op::RemoveConsumer(group, consumer)),
        10 => (0..3u8, 0..4u8, any::<usize>(), 0..50i64)
            .prop_map(|(group, consumer, id, at)| Op::Assign { group, consumer, id, at }),
        4 => (0..3u8, any::<usize>()).prop_map(|(group, id)| Op::Acknowledge(group, id)),
        1 => (0..3u8, 0..50i64, 0..5usize).prop_map(|(group, until, count)| Op::Since(group, until, count)),
        1 => any::<usize>().prop_map(Op::DropReferences),
    ]
}

/// A stream on plain collections.
#[derive(Clone, Debug, Default)]
struct Model {
    entries: BTreeMap<StreamId, Words>,
    last_id: StreamId,
    max_deleted_id: StreamId,
    added: u64,
    groups: BTreeMap<Vec<u8>, ModelGroup>,
}

#[derive(Clone, Debug, Default)]
struct ModelGroup {
    last_id: StreamId,
    consumers: Vec<Vec<u8>>,
    pending: BTreeMap<StreamId, (Vec<u8>, i64)>,
}

impl Model {
    fn nth(&self, index: usize) -> StreamId {
        let len = self.entries.len().max(1);
        self.entries
            .keys()
            .nth(index % len)
            .copied()
            .unwrap_or(StreamId::new(1, 1))
    }

    fn is_referenced(&self, id: StreamId) -> bool {
        let mut groups = self.groups.values();
        groups.any(|group| group.last_id < id || group.pending.contains_key(&id))
    }
}

fn name(number: u8) -> Vec<u8> {
    vec![b'a' + number]
}

fn run(ops: Vec<Op>, limits: StreamLimits) {
    let (mut stream, mut model) = (Stream::default(), Model::default());
    for op in ops {
        apply(op, &limits, &mut stream, &mut model);
        compare(&stream, &model);
    }
}

fn apply(op: Op, limits: &StreamLimits, stream: &mut Stream, model: &mut Model) {
    match op {
        Op::Append {
            step,
            same_ms,
            words,
        } => {
            let last = model.last_id;
            let id = if same_ms && last.ms > 0 {
                StreamId::new(last.ms, last.seq + step)
            } else {
                StreamId::new(last.ms + step, 0)
            };
            stream.append(id, words.len() / 2, |index| words[index].as_slice(), limits);
            model.entries.insert(id, words);
            model.last_id = id;
            model.added += 1;
        }
        Op::Delete(index) => delete(stream, model, model.nth(index)),
        Op::DeleteAny(ms) => delete(stream, model, StreamId::new(ms, ms % 3)),
        Op::Trim {
            exact,
            by_id,
            goal,
            limit,
            references,
        } => {
            let trim = Trim {
                to: if by_id {
                    TrimTo::MinId(model.nth(goal as usize))
                } else {
                    TrimTo::MaxLen(goal)
                },
                approximate: !exact,
                limit: if exact { 0 } else { limit },
                references,
            };
            check_trim(&trim, stream, model);
        }
        Op::Range(start, end) => {
            let (start, end) = (StreamId::new(start, start % 5), StreamId::new(end, end % 5));
            let expected: Vec<_> = if start <= end {
                model.entries.range(start..=end).collect()
            } else {
                Vec::new()
            };
            let forward: Vec<_> = stream.entries().range(start, end).map(owned).collect();
            assert!(
                forward
                    .iter()
                    .map(|(id, words)| (id, words))
                    .eq(expected.iter().copied())
            );
            let mut back: Vec<_> = stream.entries().range_back(start, end).map(owned).collect();
            back.reverse();
            assert_eq!(back, forward);
        }
        Op::Clone => *stream = stream.clone(),
        Op::AddGroup(group, id) => {
            let last_id = StreamId::new(id, 0);
            let added = stream.add_group(&name(group), Group::new(last_id, None));
            assert_eq!(added, !model.groups.contains_key(&name(group)));
            model.groups.entry(name(group)).or_insert(ModelGroup {
                last_id,
                ..ModelGroup::default()
            });
        }
        Op::RemoveGroup(group) => {
            assert_eq!(
                stream.remove_group(&name(group)),
                model.groups.remove(&name(group)).is_some()
            );
        }
        Op::AddConsumer(group, consumer) => {
            let added = stream.update_group(&name(group), |_, group| {
                group.add_consumer(&name(consumer), 7).1
            });
            let known = model.groups.get_mut(&name(group)).map(|group| {
                let known = group.consumers.contains(&name(consumer));
                if !known {
                    group.consumers.push(name(consumer));
                }
                !known
            });
            assert_eq!(added, known);
        }
        Op::RemoveConsumer(group, consumer) => {
            let removed = stream.update_group(&name(group), |_, group| {
                group.remove_consumer(&name(consumer))
            });
            if let Some(group) = model.groups.get_mut(&name(group)) {
                let known = group.consumers.contains(&name(consumer));
                let before = group.pending.len();
                group.consumers.retain(|other| *other != name(consumer));
                group
                    .pending
                    .retain(|_, (owner, _)| *owner != name(consumer));
                assert_eq!(removed, Some(known.then_some(before - group.pending.len())));
            }
        }
        Op::Assign {
            group,
            consumer,
            id,
            at,
        } => {
            let id = model.nth(id);
            stream.update_group(&name(group), |_, group| {
                let (consumer, _) = group.add_consumer(&name(consumer), at);
                group.assign(
                    id,
                    Pending {
                        consumer,
                        delivered_at: at,
                        deliveries: 1,
                    },
                );
            });
            if let Some(group) = model.groups.get_mut(&name(group)) {
                if !group.consumers.contains(&name(consumer)) {
                    group.consumers.push(name(consumer));
                }
                group.pending.insert(id, (name(consumer), at));
            }
        }
        Op::Acknowledge(group, id) => {
            let id = model.nth(id);
            let found = stream.update_group(&name(group), |_, group| group.acknowledge(id));
            let expected = model
                .groups
                .get_mut(&name(group))
                .map(|group| group.pending.remove(&id).is_some());
            assert_eq!(found, expected);
        }
        Op::Since(group, until, count) => {
            let found =
                stream.update_group(&name(group), |_, group| group.pending_since(until, count));
            let expected = model.groups.get(&name(group)).map(|group| {
                let mut ids: Vec<_> = group
                    .pending
                    .iter()
                    .map(|(id, (_, at))| (*at, *id))
                    .collect();
                ids.sort();
                ids.retain(|(at, _)| *at <= until);
                ids.into_iter().map(|(_, id)| id).take(count).collect()
            });
            assert_eq!(found, expected);
        }
        Op::DropReferences(id) => {
            let id = model.nth(id);
            assert_eq!(
                stream.drop_references(id),
                model
                    .groups
                    .values()
                    .any(|group| group.pending.contains_key(&id))
            );
            model.groups.values_mut().for_each(|group| {
                group.pending.remove(&id);
            });
        }
    }
}

fn delete(stream: &mut Stream, model: &mut Model, id: StreamId) {
    let there = model.entries.remove(&id).is_some();
    assert_eq!(stream.delete(id), there);
    if there {
        model.max_deleted_id = model.max_deleted_id.max(id);
    }
}

/// Which entries go is known of exact trimming; of the other kind only that none goes that may not.
fn check_trim(trim: &Trim, stream: &mut Stream, model: &mut Model) {
    let guarded = trim.references == References::Acknowledged && !model.groups.is_empty();
    let mut expected = model.entries.clone();
    let ids: Vec<StreamId> = expected.keys().copied().collect();
    for id in ids {
        let wanted = match trim.to {
            TrimTo::MaxLen(max) => expected.len() as u64 > max,
            TrimTo::MinId(min) => id < min,
        };
        if wanted && !(guarded && model.is_referenced(id)) {
            expected.remove(&id);
        }
    }
    let before = model.entries.len();
    let trimmed = stream.trim(trim);
    let left: Vec<StreamId> = stream
        .entries()
        .range(StreamId::MIN, StreamId::MAX)
        .map(|entry| entry.id())
        .collect();
    if trim.approximate {
        assert!(expected.keys().all(|id| left.contains(id)));
        assert!(trim.limit == 0 || trimmed.deleted <= trim.limit);
        // What it did can be said exactly.
        let to = match trim.to {
            TrimTo::MaxLen(_) => TrimTo::MaxLen(left.len() as u64),
            TrimTo::MinId(min) => TrimTo::MinId(trimmed.stopped_at.map_or(min, |id| id.min(min))),
        };
        let mut again = Stream::default();
        model.entries.iter().for_each(|(id, words)| {
            again.append(
                *id,
                words.len() / 2,
                |index| &words[index],
                &StreamLimits::default(),
            );
        });
        for (name, group) in stream.groups() {
            let mut before = Group::new(group.last_id, None);
            let (consumer, _) = before.add_consumer(b"c", 0);
            for id in model.groups[name].pending.keys() {
                before.assign(
                    *id,
                    Pending {
                        consumer,
                        delivered_at: 0,
                        deliveries: 1,
                    },
                );
            }
            again.add_group(name, before);
        }
        again.trim(&Trim {
            to,
            approximate: false,
            limit: 0,
            ..*trim
        });
        let exact: Vec<_> = again
            .entries()
            .range(StreamId::MIN, StreamId::MAX)
            .map(|entry| entry.id())
            .collect();
        assert_eq!(exact, left);
    } else {
        assert!(expected.keys().eq(&left));
    }
    let gone: Vec<StreamId> = model
        .entries
        .keys()
        .copied()
        .filter(|id| !left.contains(id))
        .collect();
    for id in &gone {
        model.entries.remove(id);
        if trim.references == References::Delete {
            model.groups.values_mut().for_each(|group| {
                group.pending.remove(id);
            });
        }
    }
    assert_eq!(trimmed.deleted as usize, before - left.len());
}

fn owned(entry: Entry<'_>) -> (StreamId, Words) {
    let words = entry.words();
    assert_eq!(words.len(), 2 * entry.pairs());
    let words = words
        .map(|word| word.to_bytes(&mut [0; 20]).to_vec())
        .collect();
    (entry.id(), words)
}

fn compare(stream: &Stream, model: &Model) {
    let entries = stream.entries();
    entries.check();
    assert_eq!(entries.len() as usize, model.entries.len());
    assert_eq!(
        entries.first_id(),
        model.entries.keys().next().copied().unwrap_or_default()
    );
    assert_eq!(
        entries.last_live_id(),
        model.entries.keys().next_back().copied()
    );
    assert_eq!(entries.last_id(), model.last_id);
    assert_eq!(entries.max_deleted_id(), model.max_deleted_id);
    assert_eq!(entries.added(), model.added);
    assert_eq!(
        entries.radix_nodes(),
        nodes_by_walk(&entries.block_ids().collect::<Vec<_>>())
    );
    assert!(
        stream
            .groups()
            .map(|(name, _)| name)
            .eq(model.groups.keys())
    );
    let mut bytes = 0;
    for (name, group) in stream.groups() {
        group.check();
        bytes += name.len() + group.memory_bytes();
        let expected = &model.groups[name];
        let pending = group
            .pending_range(StreamId::MIN..=StreamId::MAX)
            .map(|(id, pending)| {
                let consumer = group.consumer(pending.consumer).expect("a consumer");
                (id, (consumer.name().to_vec(), pending.delivered_at))
            });
        assert!(
            pending.eq(expected
                .pending
                .iter()
                .map(|(id, pending)| (*id, pending.clone())))
        );
        let mut consumers = expected.consumers.clone();
        consumers.sort();
        assert!(group.consumers().map(Consumer::name).eq(&consumers));
    }
    assert_eq!(stream.inner.group_bytes, bytes);
    assert!(stream.memory_bytes() >= bytes);
}

/// The same count by building the tree, prefix by prefix.
fn nodes_by_walk(ids: &[StreamId]) -> u64 {
    fn walk(keys: &[[u8; 16]], depth: usize) -> u64 {
        if depth == 16 {
            return 1;
        }
        let common = (depth..16)
            .take_while(|at| keys.iter().all(|key| key[*at] == keys[0][*at]))
            .count();
        if common > 0 {
            return 1 + walk(keys, depth + common);
        }
        1 + keys
            .chunk_by(|a, b| a[depth] == b[depth])
            .map(|way| walk(way, depth + 1))
            .sum::<u64>()
    }
    let keys: Vec<[u8; 16]> = ids
        .iter()
        .map(|id| (u128::from(id.ms) << 64 | u128::from(id.seq)).to_be_bytes())
        .collect();
    if keys.is_empty() { 1 } else { walk(&keys, 0) }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn is_like_plain_collections(ops in prop::collection::vec(op(), 1..200), size in 0..3usize) {
        let limits = [
            StreamLimits { node_max_bytes: 200, node_max_entries: 5 },
            StreamLimits { node_max_bytes: 0, node_max_entries: 40 },
            StreamLimits { node_max_bytes: 600, node_max_entries: 0 },
        ];
        run(ops, limits[size]);
    }
}

#[test]
fn the_object_is_small() {
    assert!(size_of::<Stream>() <= 32);
}
