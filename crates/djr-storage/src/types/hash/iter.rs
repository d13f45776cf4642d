//! Going through the fields of a hash.

use super::table::{Table, value_of};
use super::{Element, FieldValue, Form, Listpack, UnixMillis, packed, timed};

/// The live fields of a hash, each with its value and deadline.
pub struct Fields<'a> {
    walk: Walk<'a>,
    /// Fields that are past their deadline then are passed over.
    now: UnixMillis,
}

enum Walk<'a> {
    Packed(&'a Listpack, usize),
    Timed(&'a Listpack, usize),
    Table(Box<dyn Iterator<Item = (Element<'a>, FieldValue<'a>)> + 'a>),
}

impl<'a> Fields<'a> {
    #[inline]
    pub(super) fn new(form: &'a Form, now: UnixMillis) -> Self {
        let walk = match form {
            Form::Packed(listpack) => Walk::Packed(listpack, start(listpack)),
            Form::Timed(listpack) => Walk::Timed(listpack, timed::first_live(listpack, now).0),
            Form::Table(table) => Walk::Table(Box::new(elements(table))),
        };
        Self { walk, now }
    }

    /// Those past their deadline too.
    pub(super) fn all(form: &'a Form) -> Self {
        Self::new(form, UnixMillis::MIN)
    }
}

fn start(listpack: &Listpack) -> usize {
    listpack.first().unwrap_or(listpack.end())
}

fn elements(table: &Table) -> impl Iterator<Item = (Element<'_>, FieldValue<'_>)> {
    table
        .iter()
        .map(|entry| (Element::Bytes(entry.member()), value_of(entry)))
}

impl<'a> Iterator for Fields<'a> {
    type Item = (Element<'a>, FieldValue<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.walk {
            Walk::Packed(listpack, at) => {
                let (field, value, next) = packed::pair(listpack, *at)?;
                *at = next;
                Some((field, value))
            }
            Walk::Timed(listpack, at) => {
                let (field, value, next) = timed::triple(listpack, *at)?;
                *at = next;
                Some((field, value))
            }
            Walk::Table(fields) => {
                let now = self.now;
                fields.find(|(_, value)| value.is_live(now))
            }
        }
    }
}
