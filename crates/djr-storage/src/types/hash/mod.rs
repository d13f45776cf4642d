//! Hashes: fields packed in one block, or a dictionary.
//!
//! | form | encoding | for |
//! |---|---|---|
//! | packed | `listpack` | few short fields: field, value, field, value, … in the order in which they came |
//! | timed | `listpackex` | the same with deadlines: field, value, deadline, …, the earliest first, those without one last |
//! | table | `hashtable` | the rest: a [`Dictionary`], and beside it the deadlines in order |
//!
//! A hash becomes *timed* with its first deadline and a *table* when it gets too many fields or too long ones, and remains so.
//! So it is in Redis 8, down to the order in which the packed forms list their fields.
//!
//! **Deadlines.** As a key, a field lives on in the millisecond of its deadline. Behind that it is not there, for reading and for
//! writing, which are given `now`; only [`Object::expire_parts`] and what is meant to keep account of it still see it.
//! Nothing tells the log when a field past its deadline is overwritten, so what is logged must not depend on whether it was there.

mod iter;
mod packed;
mod sample;
mod table;
#[cfg(test)]
mod tests;
mod timed;

use std::sync::Arc;

use super::dictionary::Dictionary;
use super::kept::{Kept, Ticket, keep_above};
use super::limits::HashLimits;
use super::listpack::{Element, Listpack};
use super::{Object, REWRITE_PORTION};
use crate::keyspace::UnixMillis;
use crate::value::{Encoding, INTEGER_TEXT_SIZE_MAX, Kind};

pub use iter::Fields;
use table::Table;

/// A hash.
#[derive(Clone, Debug)]
pub struct Hash {
    form: Form,
}

#[derive(Clone, Debug)]
enum Form {
    Packed(Listpack),
    Timed(Listpack),
    Table(Box<Table>),
}

/// A field's value and deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldValue<'a> {
    /// The value.
    pub value: Element<'a>,
    /// When the field ceases to exist, if it does.
    pub expire_at: Option<UnixMillis>,
}

impl FieldValue<'_> {
    fn is_live(&self, now: UnixMillis) -> bool {
        !is_past(self.expire_at, now)
    }
}

/// What becomes of a field's deadline when it gets a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldExpire {
    /// It goes (`HSET`).
    Clear,
    /// It stays, if there is one (`HINCRBY`, `KEEPTTL`).
    Keep,
    /// It is set.
    At(UnixMillis),
}

/// As for keys: a field still lives in the millisecond of its deadline.
fn is_past(expire_at: Option<UnixMillis>, now: UnixMillis) -> bool {
    expire_at.is_some_and(|at| at < now)
}

impl Default for Hash {
    fn default() -> Self {
        Self {
            form: Form::Packed(Listpack::new()),
        }
    }
}

impl Hash {
    /// An empty hash.
    pub fn new() -> Self {
        Self::default()
    }

    /// The hash of these fields and values, which takes the listpack over as it is; gives it back if it is not, byte for byte, what
    /// setting them one by one would make (or a field is there twice).
    ///
    /// # Errors
    ///
    /// The listpack.
    pub fn from_listpack(listpack: Listpack, limits: HashLimits) -> Result<Self, Listpack> {
        let elements = listpack.len();
        if elements.is_multiple_of(packed::STEP)
            && elements / packed::STEP <= limits.max_listpack_entries
            && listpack.is_canonical(limits.max_listpack_value)
            && listpack.are_distinct(packed::STEP)
        {
            let form = Form::Packed(listpack);
            return Ok(Self { form });
        }
        Err(listpack)
    }

    /// The fields and values, if that is the form: packed, without deadlines.
    pub fn as_listpack(&self) -> Option<&Listpack> {
        match &self.form {
            Form::Packed(listpack) => Some(listpack),
            _ => None,
        }
    }

    /// Number of fields, those included whose deadline has passed and that are still there.
    #[inline]
    pub fn total_len(&self) -> usize {
        match &self.form {
            Form::Packed(listpack) => listpack.len() / packed::STEP,
            Form::Timed(listpack) => listpack.len() / timed::STEP,
            Form::Table(table) => table.len(),
        }
    }

    /// Number of live fields.
    #[inline]
    pub fn len(&self, now: UnixMillis) -> usize {
        let expired = match &self.form {
            Form::Packed(_) => 0,
            Form::Timed(listpack) => timed::expired(listpack, now),
            Form::Table(table) => table.expired(now),
        };
        self.total_len() - expired
    }

    /// Whether there is no live field.
    pub fn is_empty(&self, now: UnixMillis) -> bool {
        self.len(now) == 0
    }

    /// A live field.
    #[inline]
    pub fn get(&self, field: &[u8], now: UnixMillis) -> Option<FieldValue<'_>> {
        self.get_any(field).filter(|found| found.is_live(now))
    }

    /// A field, be it past its deadline.
    #[inline]
    fn get_any(&self, field: &[u8]) -> Option<FieldValue<'_>> {
        match &self.form {
            Form::Packed(listpack) => packed::get(listpack, field),
            Form::Timed(listpack) => timed::get(listpack, field),
            Form::Table(table) => table.get(field),
        }
    }

    /// Whether there is such a live field.
    #[inline]
    pub fn contains(&self, field: &[u8], now: UnixMillis) -> bool {
        self.get(field, now).is_some()
    }

    /// All live fields.
    pub fn iter(&self, now: UnixMillis) -> Fields<'_> {
        Fields::new(&self.form, now)
    }

    /// Hands live fields from the cursor on to `visit` and returns the cursor to go on with; 0 begins, 0 is returned at the end. The packed forms
    /// are visited as a whole. A field that is there from the first call to the last is visited, once unless the form changes.
    pub fn scan<'a>(
        &'a self,
        cursor: u64,
        count: usize,
        now: UnixMillis,
        mut visit: impl FnMut(Element<'a>, FieldValue<'a>),
    ) -> u64 {
        match &self.form {
            Form::Table(table) => table.scan(cursor, count, |field, value| {
                if value.is_live(now) {
                    visit(Element::Bytes(field), value);
                }
            }),
            _ => {
                self.iter(now)
                    .for_each(|(field, value)| visit(field, value));
                0
            }
        }
    }

    /// Prepares for setting so many fields, the longest of which (or of whose values) has so many bytes: if that is more than
    /// the limits allow for a packed hash, the fields there are move into a table now and not one by one.
    pub fn prepare(&mut self, fields: usize, longest: usize, limits: HashLimits) {
        if fields > limits.max_listpack_entries || longest > limits.max_listpack_value {
            self.make_table(fields);
        }
    }

    /// Sets a field; whether it is new.
    pub fn put(
        &mut self,
        field: &[u8],
        value: &[u8],
        expire: FieldExpire,
        now: UnixMillis,
        limits: HashLimits,
    ) -> bool {
        self.remove_if_expired(field, now);
        self.set(field, value, expire, limits)
    }

    /// [`put`](Self::put) where all fields count as live: for making a hash out of what was saved.
    pub fn set(
        &mut self,
        field: &[u8],
        value: &[u8],
        expire: FieldExpire,
        limits: HashLimits,
    ) -> bool {
        if let (FieldExpire::At(_), Form::Packed(listpack)) = (expire, &mut self.form) {
            self.form = Form::Timed(timed::of_packed(listpack));
        }
        let fits =
            field.len() <= limits.max_listpack_value && value.len() <= limits.max_listpack_value;
        let (is_new, room_left) = match &mut self.form {
            Form::Table(table) => return table.set(field, value, expire),
            Form::Packed(listpack) if fits && packed::has_room(listpack, field, value) => {
                let is_new = packed::set(listpack, field, value);
                (
                    is_new,
                    listpack.len() <= limits.max_listpack_entries.saturating_mul(packed::STEP),
                )
            }
            Form::Timed(listpack) if fits && packed::has_room(listpack, field, value) => {
                let is_new = timed::set(listpack, field, value, expire);
                (
                    is_new,
                    listpack.len() <= limits.max_listpack_entries.saturating_mul(timed::STEP),
                )
            }
            Form::Packed(_) | Form::Timed(_) => {
                self.make_table(1);
                return self.set(field, value, expire, limits);
            }
        };
        if is_new && !room_left {
            self.make_table(0);
        }
        is_new
    }

    /// Removes a field; whether there was one.
    pub fn remove(&mut self, field: &[u8], now: UnixMillis) -> bool {
        !self.remove_if_expired(field, now) && self.remove_any(field)
    }

    /// Removes a field if its deadline has passed; whether it had. For whoever has to know before it writes to the field.
    #[inline]
    pub fn remove_if_expired(&mut self, field: &[u8], now: UnixMillis) -> bool {
        is_past(self.next_expire(), now)
            && self.get_any(field).is_some_and(|found| !found.is_live(now))
            && self.remove_any(field)
    }

    fn remove_any(&mut self, field: &[u8]) -> bool {
        match &mut self.form {
            Form::Packed(listpack) => packed::remove(listpack, field),
            Form::Timed(listpack) => timed::remove(listpack, field),
            Form::Table(table) => table.remove(field),
        }
    }

    /// Prepares for deadlines, as the commands that may set one do in Redis even where in the end they set none.
    pub fn expect_deadlines(&mut self) {
        if let Form::Packed(listpack) = &self.form {
            self.form = Form::Timed(timed::of_packed(listpack));
        }
    }

    /// Gives a field another deadline, or none; whether there is such a field.
    pub fn set_expire(
        &mut self,
        field: &[u8],
        expire_at: Option<UnixMillis>,
        now: UnixMillis,
    ) -> bool {
        if self.remove_if_expired(field, now) {
            return false;
        }
        if let (Form::Packed(listpack), Some(_)) = (&mut self.form, expire_at) {
            if listpack.find(field, packed::STEP).is_none() {
                return false;
            }
            self.form = Form::Timed(timed::of_packed(listpack));
        }
        match &mut self.form {
            Form::Packed(listpack) => listpack.find(field, packed::STEP).is_some(),
            Form::Timed(listpack) => timed::set_expire(listpack, field, expire_at),
            Form::Table(table) => table.set_expire(field, expire_at),
        }
    }

    /// Moves the fields into a table, with room for so many more, if they are packed.
    fn make_table(&mut self, additional: usize) {
        if matches!(self.form, Form::Table(_)) {
            return;
        }
        let room = self.total_len().saturating_add(additional);
        let mut table = Box::new(Table::with_capacity(room));
        for (field, FieldValue { value, expire_at }) in Fields::all(&self.form) {
            table.set(
                field.to_bytes(&mut [0; INTEGER_TEXT_SIZE_MAX]),
                value.to_bytes(&mut [0; INTEGER_TEXT_SIZE_MAX]),
                expire_at.map_or(FieldExpire::Clear, FieldExpire::At),
            );
        }
        self.form = Form::Table(table);
    }

    /// Checks what must hold between two calls. Reads everything.
    ///
    /// # Panics
    /// If something does not hold.
    pub fn check_invariants(&self) {
        match &self.form {
            Form::Packed(listpack) => assert!(listpack.len().is_multiple_of(packed::STEP)),
            Form::Timed(listpack) => timed::check_invariants(listpack),
            Form::Table(table) => table.check_invariants(),
        }
    }
}

impl Object for Hash {
    fn prefetch(&self, member: Option<&[u8]>) -> Option<u64> {
        match &self.form {
            Form::Packed(listpack) | Form::Timed(listpack) => {
                listpack.prefetch();
                None
            }
            Form::Table(table) => table.prefetch(member),
        }
    }

    fn prefetch_member(&self, hash: u64) {
        if let Form::Table(table) = &self.form {
            table.prefetch_member(hash);
        }
    }

    const KIND: Kind = Kind::Hash;

    fn memory_bytes(&self) -> usize {
        match &self.form {
            Form::Packed(listpack) | Form::Timed(listpack) => listpack.memory_bytes(),
            Form::Table(table) => table.memory_bytes(),
        }
    }

    fn relocate(&mut self, _from: u128, _budget: usize) -> u128 {
        match &mut self.form {
            Form::Packed(listpack) | Form::Timed(listpack) => listpack.relocate(),
            Form::Table(table) if table.is_relocatable() => *table = table.clone(),
            Form::Table(_) => {}
        }
        0
    }

    fn is_vacant(&self) -> bool {
        match &self.form {
            Form::Packed(listpack) | Form::Timed(listpack) => listpack.is_empty(),
            Form::Table(table) => table.len() == 0,
        }
    }

    fn keep(&mut self, ticket: &Arc<Ticket>, out: &mut Vec<u8>) -> bool {
        match &mut self.form {
            Form::Table(table) if table.memory_bytes() > keep_above() => {
                table.keep(ticket, out);
                true
            }
            _ => false,
        }
    }

    fn kept(&mut self) -> Option<&mut dyn Kept> {
        match &mut self.form {
            Form::Table(table) => table.kept(),
            _ => None,
        }
    }

    fn encoding(&self) -> Encoding {
        match &self.form {
            Form::Packed(_) => Encoding::Listpack,
            Form::Timed(_) => Encoding::ListpackEx,
            Form::Table(_) => Encoding::Hashtable,
        }
    }

    fn next_expire(&self) -> Option<UnixMillis> {
        match &self.form {
            Form::Packed(_) => None,
            Form::Timed(listpack) => timed::next_expire(listpack),
            Form::Table(table) => table.next_expire(),
        }
    }
    fn expire_parts(
        &mut self,
        now: UnixMillis,
        limit: usize,
        on_expired: &mut dyn FnMut(&[u8]),
    ) -> usize {
        match &mut self.form {
            Form::Packed(_) => 0,
            Form::Timed(listpack) => timed::remove_expired(listpack, now, limit, on_expired),
            Form::Table(table) => table.remove_expired(now, limit, on_expired),
        }
    }

    /// `HSET` with some fields each, then `HPEXPIREAT`. Replayed, they list the fields of a packed hash in the same order.
    fn rewrite(&self, key: &[u8], emit: &mut dyn FnMut(&[&[u8]])) {
        let mut fields = Fields::all(&self.form).peekable();
        let mut timed: Vec<(Vec<u8>, UnixMillis)> = Vec::new();
        while fields.peek().is_some() {
            let mut words: Vec<Vec<u8>> = vec![b"HSET".to_vec(), key.to_vec()];
            for (field, FieldValue { value, expire_at }) in fields.by_ref().take(REWRITE_PORTION) {
                if let Some(at) = expire_at {
                    timed.push((field.to_vec(), at));
                }
                words.extend([field.to_vec(), value.to_vec()]);
            }
            let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
            emit(&words);
            if matches!(self.form, Form::Table(_)) {
                emit_deadlines(key, &mut timed, emit);
            }
        }
        // A field goes before those with the same deadline, so the last one is named first.
        timed.reverse();
        emit_deadlines(key, &mut timed, emit);
    }
}

fn emit_deadlines(
    key: &[u8],
    timed: &mut Vec<(Vec<u8>, UnixMillis)>,
    emit: &mut dyn FnMut(&[&[u8]]),
) {
    for (field, at) in timed.drain(..) {
        let at = at.to_string();
        emit(&[b"HPEXPIREAT", key, at.as_bytes(), b"FIELDS", b"1", &field]);
    }
}
