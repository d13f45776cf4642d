//! Unions, intersections and differences of sorted sets, and storing such results.

use djr_storage::keyspace::Key;
use djr_storage::types::{Dictionary, Set, SortedSet};
use djr_storage::value::ValueRef;

use super::super::prelude::*;
use crate::notify::Notify;

/// A member and its score.
pub(in crate::commands) type Item = (Vec<u8>, f64);

/// What is combined.
#[derive(Clone, Copy)]
pub(super) enum Source<'a> {
    /// There is no such key.
    Nothing,
    SortedSet(&'a SortedSet),
    /// Each member counts as having the score 1.
    Set(&'a Set),
}

impl<'a> Source<'a> {
    pub(super) fn of(value: Option<ValueRef<'a>>) -> Result<Self, CommandError> {
        let Some(value) = value else {
            return Ok(Self::Nothing);
        };
        let sorted_set = value.as_object::<SortedSet>().map(Self::SortedSet);
        sorted_set
            .or_else(|| value.as_object::<Set>().map(Self::Set))
            .ok_or(CommandError::WrongType)
    }

    fn len(self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::SortedSet(set) => set.len(),
            Self::Set(set) => set.len(),
        }
    }

    fn score(self, member: &[u8]) -> Option<f64> {
        match self {
            Self::Nothing => None,
            Self::SortedSet(set) => set.score(member),
            Self::Set(set) => set.contains(member).then_some(1.0),
        }
    }

    /// Calls `visit` for each member, until it answers false.
    fn visit(self, mut visit: impl FnMut(&[u8], f64) -> bool) {
        let mut buffer = [0; INTEGER_TEXT_SIZE_MAX];
        match self {
            Self::Nothing => {}
            Self::SortedSet(set) => {
                for (member, score) in set.iter() {
                    if !visit(member.to_bytes(&mut buffer), score) {
                        return;
                    }
                }
            }
            Self::Set(set) => {
                for member in set.iter() {
                    if !visit(member.to_bytes(&mut buffer), 1.0) {
                        return;
                    }
                }
            }
        }
    }
}

/// What becomes of the scores of a member that is in several sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aggregate {
    Sum,
    Min,
    Max,
}

impl Aggregate {
    fn join(self, a: f64, b: f64) -> f64 {
        match self {
            Self::Sum => not_nan(a + b),
            Self::Min => {
                if b < a {
                    b
                } else {
                    a
                }
            }
            Self::Max => {
                if b > a {
                    b
                } else {
                    a
                }
            }
        }
    }
}

/// Infinities of both signs cancel each other, and infinity times 0 is 0, as in Redis.
fn not_nan(score: f64) -> f64 {
    if score.is_nan() { 0.0 } else { score }
}

/// Sources with their weights.
pub(super) type Weighted<'a> = Vec<(Source<'a>, f64)>;

/// Sums of doubles depend on the order, and Redis adds smaller sets first.
fn sort(sources: &mut Weighted<'_>) {
    sources.sort_by_key(|(source, _)| source.len());
}

/// The members of any source.
pub(super) fn union(mut sources: Weighted<'_>, aggregate: Aggregate) -> Vec<Item> {
    sort(&mut sources);
    let largest = sources.last().map_or(0, |(source, _)| source.len());
    let mut scores: Dictionary<f64> = Dictionary::with_capacity(largest);
    for (source, weight) in sources {
        source.visit(|member, score| {
            let score = not_nan(score * weight);
            scores.upsert(member, |present| {
                Some(present.map_or(score, |entry| aggregate.join(entry.payload(), score)))
            });
            true
        });
    }
    scores
        .iter()
        .map(|entry| (entry.member().to_vec(), entry.payload()))
        .collect()
}

/// The members of all sources.
pub(super) fn intersection(mut sources: Weighted<'_>, aggregate: Aggregate) -> Vec<Item> {
    sort(&mut sources);
    let mut items = Vec::new();
    visit_intersection(&sources, aggregate, |member, score| {
        items.push((member.to_vec(), score));
        true
    });
    items
}

/// How many members are in all sources; `limit` of them are enough.
pub(super) fn count_intersection(mut sources: Weighted<'_>, limit: usize) -> usize {
    sort(&mut sources);
    let mut count = 0;
    visit_intersection(&sources, Aggregate::Min, |_, _| {
        count += 1;
        count < limit
    });
    count
}

fn visit_intersection(
    sources: &Weighted<'_>,
    aggregate: Aggregate,
    mut visit: impl FnMut(&[u8], f64) -> bool,
) {
    let Some(((smallest, weight), others)) = sources.split_first() else {
        return;
    };
    smallest.visit(|member, score| {
        let mut sum = not_nan(score * weight);
        for (other, weight) in others {
            let Some(score) = other.score(member) else {
                return true;
            };
            sum = aggregate.join(sum, not_nan(score * weight));
        }
        visit(member, sum)
    });
}

/// The members of the first source that are in no other.
pub(super) fn difference(sources: Weighted<'_>) -> Vec<Item> {
    let mut items = Vec::new();
    let Some(((first, _), others)) = sources.split_first() else {
        return items;
    };
    first.visit(|member, score| {
        if others
            .iter()
            .all(|(other, _)| other.score(member).is_none())
        {
            items.push((member.to_vec(), score));
        }
        true
    });
    items
}

/// Stores these members as the value of a key, or removes the key if there are none, and answers how many there are.
pub(in crate::commands) fn store(
    context: &mut WriteContext<'_, '_>,
    key: Key<'_>,
    items: Vec<Item>,
    event: &'static str,
    reply: &mut Reply<'_>,
) -> Effect {
    reply.integer(items.len() as i64);
    if items.is_empty() {
        if !context.db().remove(key) {
            return Effect::None;
        }
        context.notify(Notify::GENERIC, "del", key.bytes);
        return Effect::Verbatim;
    }
    let limits = context.engine.settings.sorted_set_limits();
    context.set_value(key, SortedSet::from_members(items, &limits), Expire::Clear);
    context.notify(Notify::SORTED_SET, event, key.bytes);
    Effect::Verbatim
}
