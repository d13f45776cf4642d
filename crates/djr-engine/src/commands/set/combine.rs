//! Unions, intersections and differences of sets, and storing such results. Keys that are not there are `None`.

use djr_storage::types::SetLimits;

use super::prelude::*;

/// Hands on the members that all sets have, until `visit` answers false. `sets` is in order of size afterwards.
pub(super) fn visit_intersection<'a>(
    sets: &mut [&'a Set],
    mut visit: impl FnMut(Element<'a>) -> bool,
) {
    sets.sort_by_key(|set| set.len());
    let Some((smallest, others)) = sets.split_first() else {
        return;
    };
    for member in smallest.iter() {
        let is_everywhere = others.iter().all(|set| set.contains_element(member));
        if is_everywhere && !visit(member) {
            return;
        }
    }
}

/// The members that all sets have, kept as Redis keeps them.
pub(super) fn intersection(mut sets: Vec<&Set>, limits: SetLimits) -> Set {
    let smallest = sets.iter().min_by_key(|set| set.len());
    let mut result = match smallest {
        Some(set) if set.as_intset().is_some() => Set::new(),
        _ => Set::packed(),
    };
    visit_intersection(&mut sets, |member| {
        result.add_element(member, limits);
        true
    });
    result.compact(limits);
    result
}

/// What a union or a difference is put together in if it is to be answered: integers where all sets are, else a table, which finds quickly.
pub(super) fn scratch(sets: &[Option<&Set>]) -> Set {
    let mut present = sets.iter().flatten();
    if present.clone().all(|set| set.as_intset().is_some()) {
        return Set::new();
    }
    let largest = present.by_ref().map(|set| set.len()).max();
    Set::table(largest.unwrap_or(0))
}

/// Adds the members of all sets to `result`.
pub(super) fn union(sets: &[Option<&Set>], mut result: Set, limits: SetLimits) -> Set {
    for member in sets.iter().flatten().flat_map(|set| set.iter()) {
        result.add_element(member, limits);
    }
    result
}

/// Puts the members of the first set that are in no other into `result`, which is empty.
///
/// Either each member is looked for in the other sets, or all members of these are removed from a copy of the first. What takes fewer steps
/// is done; the former counts for half, because it stops where it finds one.
pub(super) fn difference(sets: &[Option<&Set>], mut result: Set, limits: SetLimits) -> Set {
    let Some((Some(first), others)) = sets.split_first() else {
        return result;
    };
    let mut others: Vec<&Set> = others.iter().flatten().copied().collect();
    if others.iter().any(|other| std::ptr::eq(*other, *first)) {
        return result;
    }
    let looked_up = first.len().saturating_mul(sets.len()) / 2;
    let removed: usize = first.len() + others.iter().map(|set| set.len()).sum::<usize>();
    if looked_up <= removed {
        // A large set is most likely to have a member.
        others.sort_by_key(|set| std::cmp::Reverse(set.len()));
        for member in first.iter() {
            if !others.iter().any(|set| set.contains_element(member)) {
                result.add_element(member, limits);
            }
        }
        return result;
    }
    for member in first.iter() {
        result.add_element(member, limits);
    }
    for other in others {
        for member in other.iter() {
            result.remove_element(member);
        }
        if result.is_empty() {
            break;
        }
    }
    result
}

/// Answers with all members of a set that was put together.
pub(super) fn reply_set(reply: &mut Reply<'_>, set: &Set) {
    reply.set(set.len());
    set.iter().for_each(|member| reply_member(reply, member));
}

/// Stores a set as the value of a key, or removes the key if it is empty, and answers how many members there are.
pub(super) fn store(
    context: &mut WriteContext<'_, '_>,
    key: Key<'_>,
    set: Set,
    event: &'static str,
    reply: &mut Reply<'_>,
) -> Effect {
    reply.integer(set.len() as i64);
    if set.is_empty() {
        if !context.db().remove(key) {
            return Effect::None;
        }
        context.notify(Notify::GENERIC, "del", key.bytes);
        return Effect::Verbatim;
    }
    context.set_value(key, set, Expire::Clear);
    context.notify(Notify::SET, event, key.bytes);
    Effect::Verbatim
}
