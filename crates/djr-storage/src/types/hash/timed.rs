//! A listpack of triples: field, value, deadline (0: none), …, the earliest deadline first, fields without one last.
//!
//! A field that gets a deadline goes before those with the same one; a field that loses it goes to the end. So does Redis.

use super::{Element, FieldExpire, FieldValue, Listpack, UnixMillis, is_past};

/// Elements per field.
pub(super) const STEP: usize = 3;

/// The deadline of a field that has none.
const NEVER: Element<'static> = Element::Int(0);

/// One field, and where it is.
struct Triple<'a> {
    field: Element<'a>,
    value: FieldValue<'a>,
    value_at: usize,
    /// Where the next one begins, or the end.
    next: usize,
}

#[inline]
fn read(listpack: &Listpack, at: usize) -> Option<Triple<'_>> {
    let field = listpack.get(at)?;
    let value_at = listpack.next(at)?;
    let value = listpack.get(value_at)?;
    let deadline_at = listpack.next(value_at)?;
    let expire_at = match listpack.get(deadline_at)? {
        Element::Int(at) if at != 0 => Some(at),
        _ => None,
    };
    Some(Triple {
        field,
        value: FieldValue { value, expire_at },
        value_at,
        next: listpack.next(deadline_at).unwrap_or(listpack.end()),
    })
}

/// The triple at `at` without its places, and where the next one is.
#[inline]
pub(super) fn triple<'a>(
    listpack: &'a Listpack,
    at: usize,
) -> Option<(Element<'a>, FieldValue<'a>, usize)> {
    read(listpack, at).map(|triple| (triple.field, triple.value, triple.next))
}

pub(super) fn of_packed(pairs: &Listpack) -> Listpack {
    let mut triples = Listpack::new();
    for (index, element) in pairs.iter().enumerate() {
        triples.insert_element(triples.end(), element);
        if index % 2 == 1 {
            triples.insert_element(triples.end(), NEVER);
        }
    }
    triples
}

#[inline]
pub(super) fn get<'a>(listpack: &'a Listpack, field: &[u8]) -> Option<FieldValue<'a>> {
    let at = listpack.find(field, STEP)?;
    read(listpack, at).map(|triple| triple.value)
}

/// Whether the field is new.
pub(super) fn set(
    listpack: &mut Listpack,
    field: &[u8],
    value: &[u8],
    expire: FieldExpire,
) -> bool {
    let found = listpack
        .find(field, STEP)
        .and_then(|at| Some((at, read(listpack, at)?)))
        .map(|(at, triple)| (at, triple.value_at, triple.value.expire_at));
    let expire_at = match (expire, found) {
        (FieldExpire::At(deadline), _) => Some(deadline),
        (FieldExpire::Clear, Some((_, value_at, None)))
        | (FieldExpire::Keep, Some((_, value_at, _))) => {
            listpack.replace(value_at, value);
            return false;
        }
        (FieldExpire::Clear | FieldExpire::Keep, _) => None,
    };
    if let Some((at, ..)) = found {
        listpack.remove_range(at, STEP);
    }
    add(listpack, field, Element::of(value), expire_at);
    found.is_none()
}

/// Puts a field where its deadline belongs. There is none of this name.
fn add(listpack: &mut Listpack, field: &[u8], value: Element<'_>, expire_at: Option<UnixMillis>) {
    let at = match expire_at {
        Some(deadline) => place_for(listpack, deadline),
        None => listpack.end(),
    };
    // Back to front, each at the same place.
    listpack.insert_element(at, expire_at.map_or(NEVER, Element::Int));
    listpack.insert_element(at, value);
    listpack.insert(at, field);
}

/// Where a field with this deadline begins: behind all earlier ones.
fn place_for(listpack: &Listpack, deadline: UnixMillis) -> usize {
    let mut at = listpack.first().unwrap_or(listpack.end());
    while let Some(triple) = read(listpack, at) {
        match triple.value.expire_at {
            Some(earlier) if earlier < deadline => at = triple.next,
            _ => break,
        }
    }
    at
}

pub(super) fn remove(listpack: &mut Listpack, field: &[u8]) -> bool {
    let found = listpack.find(field, STEP);
    if let Some(at) = found {
        listpack.remove_range(at, STEP);
    }
    found.is_some()
}

/// Whether there is such a field.
pub(super) fn set_expire(
    listpack: &mut Listpack,
    field: &[u8],
    expire_at: Option<UnixMillis>,
) -> bool {
    let Some(at) = listpack.find(field, STEP) else {
        return false;
    };
    let Some(triple) = read(listpack, at) else {
        return false;
    };
    if triple.value.expire_at.is_none() && expire_at.is_none() {
        return true;
    }
    // An integer stays one: text would be read again, to the same end.
    let value = triple.value.value.to_vec();
    listpack.remove_range(at, STEP);
    add(listpack, field, Element::of(&value), expire_at);
    true
}

#[inline]
pub(super) fn next_expire(listpack: &Listpack) -> Option<UnixMillis> {
    read(listpack, listpack.first()?)?.value.expire_at
}

/// Where the first live field begins, and how many are before it.
pub(super) fn first_live(listpack: &Listpack, now: UnixMillis) -> (usize, usize) {
    let (mut at, mut count) = (listpack.first().unwrap_or(listpack.end()), 0);
    while let Some(triple) = read(listpack, at)
        && is_past(triple.value.expire_at, now)
    {
        at = triple.next;
        count += 1;
    }
    (at, count)
}

#[inline]
pub(super) fn expired(listpack: &Listpack, now: UnixMillis) -> usize {
    first_live(listpack, now).1
}

pub(super) fn remove_expired(
    listpack: &mut Listpack,
    now: UnixMillis,
    max: usize,
    removed: &mut dyn FnMut(&[u8]),
) -> usize {
    let count = expired(listpack, now).min(max);
    let names = listpack.iter().step_by(STEP).take(count);
    names.for_each(|field| removed(field.to_bytes(&mut [0; 20])));
    if let Some(first) = listpack.first() {
        listpack.remove_range(first, count * STEP);
    }
    count
}

pub(super) fn check_invariants(listpack: &Listpack) {
    assert!(listpack.len().is_multiple_of(STEP));
    let deadlines: Vec<_> = listpack
        .iter()
        .skip(2)
        .step_by(STEP)
        .map(|deadline| {
            deadline
                .as_integer()
                .filter(|&at| at != 0)
                .unwrap_or(i64::MAX)
        })
        .collect();
    assert!(deadlines.is_sorted(), "deadlines are in order");
}
