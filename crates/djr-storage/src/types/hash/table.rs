//! A dictionary of fields, and the deadlines in order.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering::Relaxed};

use super::{Dictionary, Element, FieldExpire, FieldValue, UnixMillis, is_past};
use crate::rdb::body;
use crate::types::dictionary::{Entry, Handle, Payload, PayloadWriter, WriteEntry, member_hash};
use crate::types::kept::{Kept, Ticket};

/// What a field's block holds beside the field: the deadline, if there is one, and the value.
pub(super) struct ValueAndDeadline;

impl Payload for ValueAndDeadline {
    type Value<'a> = (&'a [u8], Option<UnixMillis>);
    const SIZE: Option<usize> = None;

    #[inline]
    fn shape((value, expire_at): (&[u8], Option<UnixMillis>)) -> (usize, bool) {
        let deadline = expire_at.map_or(0, |_| size_of::<UnixMillis>());
        (value.len() + deadline, expire_at.is_some())
    }

    #[inline]
    fn write((value, expire_at): (&[u8], Option<UnixMillis>), out: &mut PayloadWriter<'_>) {
        if let Some(at) = expire_at {
            out.put(&at.to_ne_bytes());
        }
        out.put(value);
    }

    #[inline]
    fn read(bytes: &[u8], has_deadline: bool) -> (&[u8], Option<UnixMillis>) {
        match bytes.split_first_chunk() {
            Some((deadline, value)) if has_deadline => {
                (value, Some(UnixMillis::from_ne_bytes(*deadline)))
            }
            _ => (bytes, None),
        }
    }
}

pub(super) type Field<'a> = Entry<'a, ValueAndDeadline>;

#[inline]
pub(super) fn value_of(field: Field<'_>) -> FieldValue<'_> {
    let (value, expire_at) = field.payload();
    FieldValue {
        value: Element::Bytes(value),
        expire_at,
    }
}

/// A hash of many or long fields.
#[derive(Clone, Debug)]
pub(super) struct Table {
    fields: Dictionary<ValueAndDeadline>,
    /// Deadline and hash of each field that has one. Fields of the same hash and deadline share one.
    deadlines: BTreeSet<(UnixMillis, u64)>,
    past: Past,
}

/// How many deadlines are before a moment: that of the last count, from which the next one goes on. So many fields that expire at
/// once are counted once, and not with every `HLEN` until they are removed.
#[derive(Debug, Default)]
struct Past {
    /// Deadlines before this are counted. Atomic only to be changed by who may only look; the shard's lock is held.
    before: AtomicI64,
    count: AtomicUsize,
}

impl Clone for Past {
    fn clone(&self) -> Self {
        Self {
            before: self.before.load(Relaxed).into(),
            count: self.count.load(Relaxed).into(),
        }
    }
}

impl Past {
    /// A deadline has been added, or removed.
    #[inline]
    fn note(&mut self, deadline: UnixMillis, added: bool) {
        if deadline < *self.before.get_mut() {
            let count = self.count.get_mut();
            *count = if added {
                *count + 1
            } else {
                count.saturating_sub(1)
            };
        }
    }
}

impl Table {
    /// Has what leads to a field loaded into the cache.
    pub(super) fn prefetch(&self, field: Option<&[u8]>) -> Option<u64> {
        self.fields.prefetch(field)
    }

    pub(super) fn prefetch_member(&self, hash: u64) {
        self.fields.prefetch_member(hash);
    }

    pub(super) fn with_capacity(fields: usize) -> Self {
        Self {
            fields: Dictionary::with_capacity(fields),
            deadlines: BTreeSet::new(),
            past: Past::default(),
        }
    }

    pub(super) fn is_relocatable(&self) -> bool {
        self.fields.is_relocatable()
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.fields.len()
    }

    pub(super) fn memory_bytes(&self) -> usize {
        /// What 16 bytes in a B-tree take, their share of unused room and inner nodes included.
        const DEADLINE_BYTES: usize = 26;
        self.fields.memory_bytes()
            + size_of_val(&self.deadlines)
            + self.deadlines.len() * DEADLINE_BYTES
    }

    /// See [`Object::keep`](crate::types::Object::keep).
    pub(super) fn keep(&mut self, ticket: &Arc<Ticket>, out: &mut Vec<u8>) {
        let fields = self.fields.len();
        let (write, earliest): (WriteEntry<ValueAndDeadline>, _) = match self.next_expire() {
            None => {
                body::begin_hash(out, fields);
                (
                    |out, entry, _| body::push_field(out, entry.member(), entry.payload().0),
                    0,
                )
            }
            Some(earliest) => {
                body::begin_timed_hash(out, earliest, fields);
                let write: WriteEntry<_> = |out, entry: Entry<'_, ValueAndDeadline>, earliest| {
                    let (value, expire_at) = entry.payload();
                    body::push_timed_field(out, (entry.member(), value), expire_at, earliest);
                };
                (write, earliest)
            }
        };
        self.fields.keep(ticket, write, earliest);
    }

    pub(super) fn kept(&mut self) -> Option<&mut dyn Kept> {
        let fields = &mut self.fields;
        fields.ticket().is_some().then_some(fields as _)
    }

    #[inline]
    pub(super) fn get(&self, field: &[u8]) -> Option<FieldValue<'_>> {
        self.fields.get(field).map(value_of)
    }

    /// Whether the field is new.
    pub(super) fn set(&mut self, field: &[u8], value: &[u8], expire: FieldExpire) -> bool {
        let (mut before, mut after) = (None, None);
        let done = self.fields.upsert(field, |present| {
            before = present.and_then(|entry| entry.payload().1);
            after = match expire {
                FieldExpire::Clear => None,
                FieldExpire::Keep => before,
                FieldExpire::At(at) => Some(at),
            };
            Some((value, after))
        });
        self.refile(field, before, after);
        self.fields.tidy_step(|_, _| {});
        done.is_inserted()
    }

    pub(super) fn remove(&mut self, field: &[u8]) -> bool {
        let removed = self.fields.remove_with(field, |entry| entry.payload().1);
        if let Some(before) = removed {
            self.refile(field, before, None);
        }
        self.fields.tidy_step(|_, _| {});
        removed.is_some()
    }

    /// Whether there is such a field.
    pub(super) fn set_expire(&mut self, field: &[u8], expire_at: Option<UnixMillis>) -> bool {
        let Some(entry) = self.fields.get(field) else {
            return false;
        };
        let (value, before) = entry.payload();
        if before != expire_at {
            let value = value.to_vec();
            self.fields.insert(field, (&value, expire_at));
            self.refile(field, before, expire_at);
            self.fields.tidy_step(|_, _| {});
        }
        true
    }

    /// The field had the deadline `before`, and has `after` now (or is gone).
    #[inline]
    fn refile(&mut self, field: &[u8], before: Option<UnixMillis>, after: Option<UnixMillis>) {
        if before == after {
            return;
        }
        let hash = member_hash(field);
        if let Some(at) = before
            && self.find_filed(at, hash).is_none()
            && self.deadlines.remove(&(at, hash))
        {
            self.past.note(at, false);
        }
        if let Some(at) = after
            && self.deadlines.insert((at, hash))
        {
            self.past.note(at, true);
        }
    }

    fn find_filed(&self, at: UnixMillis, hash: u64) -> Option<Field<'_>> {
        self.fields
            .find_hashed(hash, |entry| entry.payload().1 == Some(at))
    }

    #[inline]
    pub(super) fn next_expire(&self) -> Option<UnixMillis> {
        self.deadlines.first().map(|&(at, _)| at)
    }

    /// Number of fields past their deadline.
    #[inline]
    pub(super) fn expired(&self, now: UnixMillis) -> usize {
        if !is_past(self.next_expire(), now) {
            return 0;
        }
        let (before, count) = (&self.past.before, &self.past.count);
        let mut from = before.load(Relaxed);
        if from > now {
            // The clock has gone back.
            from = UnixMillis::MIN;
            count.store(0, Relaxed);
        }
        let more = self.deadlines.range((from, 0)..(now, 0)).count();
        before.store(now, Relaxed);
        count.fetch_add(more, Relaxed) + more
    }

    pub(super) fn remove_expired(
        &mut self,
        now: UnixMillis,
        max: usize,
        removed: &mut dyn FnMut(&[u8]),
    ) -> usize {
        let mut count = 0;
        while count < max
            && let Some(&(at, hash)) = self.deadlines.first()
            && is_past(Some(at), now)
        {
            let name = self
                .find_filed(at, hash)
                .map(|entry| entry.member().to_vec());
            match name {
                Some(name) => {
                    removed(&name);
                    self.remove(&name);
                    count += 1;
                }
                None => {
                    self.deadlines.pop_first();
                    self.past.note(at, false);
                }
            }
        }
        count
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Field<'_>> {
        self.fields.iter()
    }

    pub(super) fn scan<'a>(
        &'a self,
        cursor: u64,
        count: usize,
        mut visit: impl FnMut(&'a [u8], FieldValue<'a>),
    ) -> u64 {
        self.fields.scan(cursor, count, |entry| {
            visit(entry.member(), value_of(entry))
        })
    }

    pub(super) fn random(&self, bits: u64) -> Option<Field<'_>> {
        self.fields.random(bits)
    }

    pub(super) fn handle_of(&self, field: &[u8]) -> Option<Handle> {
        self.fields.get(field).map(Entry::handle)
    }

    pub(super) fn check_invariants(&self) {
        self.fields.check_invariants();
        let filed: BTreeSet<_> = self
            .fields
            .iter()
            .filter_map(|entry| Some((entry.payload().1?, member_hash(entry.member()))))
            .collect();
        assert!(filed == self.deadlines, "deadlines are those of the fields");
        let before = self.past.before.load(Relaxed);
        assert_eq!(
            self.deadlines.range(..(before, 0)).count(),
            self.past.count.load(Relaxed)
        );
    }
}
