//! A listpack of pairs: field, value, field, value, … in the order in which the fields came.

use super::{Element, FieldValue, Listpack};

/// Elements per field.
pub(super) const STEP: usize = 2;

#[inline]
pub(super) fn get<'a>(listpack: &'a Listpack, field: &[u8]) -> Option<FieldValue<'a>> {
    let at = listpack.find(field, STEP)?;
    Some(FieldValue {
        value: listpack.get(listpack.next(at)?)?,
        expire_at: None,
    })
}

/// Whether Redis would let the listpack grow by field and value (and a deadline).
pub(super) fn has_room(listpack: &Listpack, field: &[u8], value: &[u8]) -> bool {
    /// The most that lengths and a deadline take.
    const OVERHEAD: usize = 32;
    listpack.may_grow_by(field.len() + value.len() + OVERHEAD)
}

/// Whether the field is new.
pub(super) fn set(listpack: &mut Listpack, field: &[u8], value: &[u8]) -> bool {
    let place = listpack.find(field, STEP).and_then(|at| listpack.next(at));
    match place {
        Some(at) => listpack.replace(at, value),
        None => {
            listpack.push_back(field);
            listpack.push_back(value);
        }
    }
    place.is_none()
}

pub(super) fn remove(listpack: &mut Listpack, field: &[u8]) -> bool {
    let found = listpack.find(field, STEP);
    if let Some(at) = found {
        listpack.remove_range(at, STEP);
    }
    found.is_some()
}

/// The pair at `at`, and where the next one is.
#[inline]
pub(super) fn pair<'a>(
    listpack: &'a Listpack,
    at: usize,
) -> Option<(Element<'a>, FieldValue<'a>, usize)> {
    let field = listpack.get(at)?;
    let value_at = listpack.next(at)?;
    let value = listpack.get(value_at)?;
    let next = listpack.next(value_at).unwrap_or(listpack.end());
    let expire_at = None;
    Some((field, FieldValue { value, expire_at }, next))
}
