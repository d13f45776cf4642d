//! Sets: integers in order, members packed in one block, or a dictionary.
//!
//! | form | encoding | for |
//! |---|---|---|
//! | integers | `intset` | not too many members that are all the text of 64-bit integers, ascending |
//! | packed | `listpack` | few short members, in the order in which they came |
//! | table | `hashtable` | the rest: a [`Dictionary`] |
//!
//! A set takes the next form when a member does not fit into its own, and remains so. When it does is as in Redis since 7.2.

mod intset;
mod iter;
mod sample;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use super::dictionary::{Dictionary, WriteEntry};
use super::kept::{Kept, Ticket, keep_above};
use super::limits::SetLimits;
use super::listpack::{Element, Listpack};
use super::{Object, REWRITE_PORTION};
use crate::rdb::body;
use crate::value::{Encoding, INTEGER_TEXT_SIZE_MAX, Kind};

pub use intset::Intset;
pub use iter::Members;

/// A set.
#[derive(Clone, Debug)]
pub struct Set {
    form: Form,
}

#[derive(Clone, Debug)]
enum Form {
    Integers(Intset),
    Packed(Listpack),
    Table(Box<Dictionary<()>>),
}

/// As many integers as Redis keeps in an intset, whatever the limit is.
const INTSET_ENTRIES_MAX: usize = 1 << 30;

fn max_integers(limits: SetLimits) -> usize {
    limits.max_intset_entries.min(INTSET_ENTRIES_MAX)
}

impl Default for Set {
    fn default() -> Self {
        Self {
            form: Form::Integers(Intset::default()),
        }
    }
}

impl Set {
    /// An empty set, of integers until another member comes.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty set whose members are packed, even if they are integers.
    pub fn packed() -> Self {
        Self {
            form: Form::Packed(Listpack::new()),
        }
    }

    /// An empty set that is a table, with room for so many members.
    pub fn table(members: usize) -> Self {
        Self {
            form: Form::Table(Box::new(Dictionary::with_capacity(members))),
        }
    }

    /// The packed set of these members, which takes the listpack over as it is; gives it back if it is not, byte for byte, what adding
    /// them one by one would make (or a member is there twice).
    ///
    /// # Errors
    ///
    /// The listpack.
    pub fn from_listpack(listpack: Listpack, limits: SetLimits) -> Result<Self, Listpack> {
        if listpack.len() <= limits.max_listpack_entries
            && listpack.is_canonical(limits.max_listpack_value)
            && listpack.are_distinct(1)
        {
            let form = Form::Packed(listpack);
            return Ok(Self { form });
        }
        Err(listpack)
    }

    /// Number of members.
    #[inline]
    pub fn len(&self) -> usize {
        match &self.form {
            Form::Integers(integers) => integers.len(),
            Form::Packed(listpack) => listpack.len(),
            Form::Table(table) => table.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The integers, if that is the form.
    pub fn as_intset(&self) -> Option<&Intset> {
        match &self.form {
            Form::Integers(integers) => Some(integers),
            _ => None,
        }
    }

    /// The packed members, if that is the form.
    pub fn as_listpack(&self) -> Option<&Listpack> {
        match &self.form {
            Form::Packed(listpack) => Some(listpack),
            _ => None,
        }
    }

    /// Whether there is such a member.
    #[inline]
    pub fn contains(&self, member: &[u8]) -> bool {
        match &self.form {
            Form::Integers(integers) => match Element::of(member) {
                Element::Int(integer) => integers.contains(integer),
                Element::Bytes(_) => false,
            },
            Form::Packed(listpack) => listpack.find(member, 1).is_some(),
            Form::Table(table) => table.contains(member),
        }
    }

    /// The same for a member of another set.
    #[inline]
    pub fn contains_element(&self, member: Element<'_>) -> bool {
        match (&self.form, member) {
            (Form::Integers(integers), Element::Int(integer)) => integers.contains(integer),
            (_, Element::Bytes(bytes)) => self.contains(bytes),
            _ => self.contains(member.to_bytes(&mut [0; INTEGER_TEXT_SIZE_MAX])),
        }
    }

    /// All members.
    pub fn iter(&self) -> Members<'_> {
        Members::new(&self.form)
    }

    /// Hands members from the cursor on to `visit` and returns the cursor to go on with; 0 begins, 0 is returned at the end. Integers and packed
    /// members are visited as a whole. A member that is there from the first call to the last is visited, once unless the form changes.
    pub fn scan<'a>(
        &'a self,
        cursor: u64,
        count: usize,
        mut visit: impl FnMut(Element<'a>),
    ) -> u64 {
        match &self.form {
            Form::Table(table) => table.scan(cursor, count, |entry| {
                visit(Element::Bytes(entry.member()));
            }),
            _ => {
                self.iter().for_each(visit);
                0
            }
        }
    }

    /// Prepares for adding `count` members, the first of which is `first`: chooses the form of an empty set, and makes a table if
    /// so many may not fit into any other. Some of them may be there already; Redis does not look either.
    pub fn prepare(&mut self, first: &[u8], count: usize, limits: SetLimits) {
        let is_integer = matches!(Element::of(first), Element::Int(_));
        if self.is_empty() {
            self.form = if is_integer && count <= limits.max_intset_entries {
                Form::Integers(Intset::default())
            } else if count <= limits.max_listpack_entries {
                Form::Packed(Listpack::new())
            } else {
                Form::Table(Box::new(Dictionary::with_capacity(count)))
            };
            return;
        }
        let too_many = match &self.form {
            Form::Integers(_) => count > limits.max_intset_entries,
            Form::Packed(_) => count > limits.max_listpack_entries,
            Form::Table(_) => false,
        };
        if too_many {
            self.make_table(count);
        }
    }

    /// Adds a member; whether it is new.
    #[inline]
    pub fn add(&mut self, member: &[u8], limits: SetLimits) -> bool {
        match &mut self.form {
            Form::Table(table) => {
                let is_new = table.insert_new(member, ());
                table.tidy_step(|_, _| {});
                is_new
            }
            Form::Integers(_) => self.add_to_integers(member, limits),
            Form::Packed(listpack) => {
                if listpack.find(member, 1).is_some() {
                    return false;
                }
                if listpack.len() < limits.max_listpack_entries
                    && member.len() <= limits.max_listpack_value
                    && listpack.may_grow_by(member.len())
                {
                    listpack.push_back(member);
                } else {
                    self.make_table(1);
                    self.add(member, limits);
                }
                true
            }
        }
    }

    /// The same for a member of another set.
    #[inline]
    pub fn add_element(&mut self, member: Element<'_>, limits: SetLimits) -> bool {
        self.add(member.to_bytes(&mut [0; INTEGER_TEXT_SIZE_MAX]), limits)
    }

    fn add_to_integers(&mut self, member: &[u8], limits: SetLimits) -> bool {
        let Form::Integers(integers) = &mut self.form else {
            return false;
        };
        if let Element::Int(integer) = Element::of(member) {
            let is_new = integers.add(integer);
            if is_new && integers.len() > max_integers(limits) {
                self.make_table(0);
            }
            return is_new;
        }
        let ends = [
            integers.get(0),
            integers.get(integers.len().wrapping_sub(1)),
        ];
        let longest = ends
            .into_iter()
            .flatten()
            .map(|end| Element::Int(end).len());
        let longest = longest.max().unwrap_or(0);
        if integers.len() < limits.max_listpack_entries
            && member.len().max(longest) <= limits.max_listpack_value
        {
            let mut listpack: Listpack = integers
                .iter()
                .map(|integer| Element::Int(integer).to_vec())
                .collect();
            if listpack.may_grow_by(member.len()) {
                listpack.push_back(member);
                self.form = Form::Packed(listpack);
                return true;
            }
        }
        self.make_table(1);
        self.add(member, limits)
    }

    /// Removes a member; whether there was one.
    #[inline]
    pub fn remove(&mut self, member: &[u8]) -> bool {
        match &mut self.form {
            Form::Integers(integers) => match Element::of(member) {
                Element::Int(integer) => integers.remove(integer),
                Element::Bytes(_) => false,
            },
            Form::Packed(listpack) => {
                let found = listpack.find(member, 1);
                if let Some(at) = found {
                    listpack.remove(at);
                }
                found.is_some()
            }
            Form::Table(table) => {
                let was_there = table.remove(member);
                table.tidy_step(|_, _| {});
                was_there
            }
        }
    }

    /// The same for a member of another set.
    pub fn remove_element(&mut self, member: Element<'_>) -> bool {
        self.remove(member.to_bytes(&mut [0; INTEGER_TEXT_SIZE_MAX]))
    }

    /// Makes integers of a packed set or a table if all members are, and not too many: Redis does so where it stores an intersection.
    pub fn compact(&mut self, limits: SetLimits) {
        if self.as_intset().is_some() || self.len() > max_integers(limits) {
            return;
        }
        let mut integers = Intset::default();
        for member in self.iter() {
            match member.as_integer() {
                Some(integer) => integers.add(integer),
                None => return,
            };
        }
        self.form = Form::Integers(integers);
    }

    /// Moves the members into a table, with room for so many more.
    fn make_table(&mut self, additional: usize) {
        if matches!(self.form, Form::Table(_)) {
            return;
        }
        let mut table = Dictionary::with_capacity(self.len().saturating_add(additional));
        for member in self.iter() {
            table.insert(member.to_bytes(&mut [0; INTEGER_TEXT_SIZE_MAX]), ());
        }
        self.form = Form::Table(Box::new(table));
    }

    /// Checks what must hold between two calls. Reads everything.
    ///
    /// # Panics
    /// If something does not hold.
    pub fn check_invariants(&self) {
        match &self.form {
            Form::Integers(integers) => integers.check_invariants(),
            Form::Packed(_) => {}
            Form::Table(table) => table.check_invariants(),
        }
    }
}

impl Object for Set {
    fn prefetch(&self, member: Option<&[u8]>) -> Option<u64> {
        match &self.form {
            Form::Integers(integers) => {
                integers.prefetch();
                None
            }
            Form::Packed(listpack) => {
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

    const KIND: Kind = Kind::Set;

    fn memory_bytes(&self) -> usize {
        match &self.form {
            Form::Integers(integers) => integers.memory_bytes(),
            Form::Packed(listpack) => listpack.memory_bytes(),
            Form::Table(table) => table.memory_bytes(),
        }
    }

    fn relocate(&mut self, _from: u128, _budget: usize) -> u128 {
        match &mut self.form {
            Form::Integers(integers) => integers.relocate(),
            Form::Packed(listpack) => listpack.relocate(),
            Form::Table(table) if table.is_relocatable() => *table = table.clone(),
            Form::Table(_) => {}
        }
        0
    }

    fn is_vacant(&self) -> bool {
        self.is_empty()
    }

    fn keep(&mut self, ticket: &Arc<Ticket>, out: &mut Vec<u8>) -> bool {
        match &mut self.form {
            Form::Table(table) if table.memory_bytes() > keep_above() => {
                body::begin_set(out, table.len());
                let write: WriteEntry<()> = |out, entry, _| body::push_member(out, entry.member());
                table.keep(ticket, write, 0);
                true
            }
            _ => false,
        }
    }

    fn kept(&mut self) -> Option<&mut dyn Kept> {
        match &mut self.form {
            Form::Table(table) if table.ticket().is_some() => Some(&mut **table),
            _ => None,
        }
    }

    fn encoding(&self) -> Encoding {
        match &self.form {
            Form::Integers(_) => Encoding::Intset,
            Form::Packed(_) => Encoding::Listpack,
            Form::Table(_) => Encoding::Hashtable,
        }
    }

    /// `SADD` with some members each.
    fn rewrite(&self, key: &[u8], emit: &mut dyn FnMut(&[&[u8]])) {
        let mut members = self.iter();
        loop {
            let portion: Vec<Vec<u8>> = members
                .by_ref()
                .take(REWRITE_PORTION)
                .map(Element::to_vec)
                .collect();
            if portion.is_empty() {
                return;
            }
            let mut words: Vec<&[u8]> = vec![b"SADD", key];
            words.extend(portion.iter().map(Vec::as_slice));
            emit(&words);
        }
    }
}
