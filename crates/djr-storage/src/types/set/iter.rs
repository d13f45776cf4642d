//! Going through the members of a set.

use super::{Element, Form, Intset};
use crate::types::listpack;

/// The members of a set: integers ascending, packed ones in the order in which they came, those of a table in that of their hashes.
pub struct Members<'a> {
    walk: Walk<'a>,
}

enum Walk<'a> {
    Integers(&'a Intset, usize),
    Packed(listpack::Iter<'a>),
    Table(Box<dyn Iterator<Item = &'a [u8]> + 'a>),
}

impl<'a> Members<'a> {
    #[inline]
    pub(super) fn new(form: &'a Form) -> Self {
        let walk = match form {
            Form::Integers(integers) => Walk::Integers(integers, 0),
            Form::Packed(listpack) => Walk::Packed(listpack.iter()),
            Form::Table(table) => Walk::Table(Box::new(table.iter().map(|entry| entry.member()))),
        };
        Self { walk }
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = Element<'a>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.walk {
            Walk::Integers(integers, index) => {
                let integer = integers.get(*index)?;
                *index += 1;
                Some(Element::Int(integer))
            }
            Walk::Packed(elements) => elements.next(),
            Walk::Table(members) => members.next().map(Element::Bytes),
        }
    }
}
