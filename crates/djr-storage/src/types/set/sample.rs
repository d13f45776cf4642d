//! Drawing members at random. The random numbers are passed in.

use std::collections::HashSet;

use super::{Element, Form, Set};

/// Where a sample is more than this part of a table, all members are listed and shuffled; below, draws are repeated until they differ.
const LIST_PART: usize = 3;
/// Draws for each wanted member of a sample, before the rest is taken in order.
const ATTEMPTS: usize = 100;

impl Set {
    /// A member, each with the same probability, given random bits; none if there is none.
    pub fn random(&self, bits: u64) -> Option<Element<'_>> {
        match &self.form {
            Form::Integers(integers) => integers.get(below(bits, integers.len())).map(Element::Int),
            Form::Packed(listpack) => {
                let index = below(bits, listpack.len());
                listpack.get(listpack.seek(index as i64)?)
            }
            Form::Table(table) => Some(Element::Bytes(table.random(bits)?.member())),
        }
    }

    /// Removes a member, each with the same probability, given random bits, and returns it; none if there is none.
    pub fn pop(&mut self, bits: u64) -> Option<Vec<u8>> {
        match &mut self.form {
            Form::Integers(integers) => {
                let index = below(bits, integers.len());
                Some(Element::Int(integers.remove_index(index)?).to_vec())
            }
            Form::Packed(listpack) => {
                let index = below(bits, listpack.len());
                let at = listpack.seek(index as i64)?;
                let member = listpack.get(at)?.to_vec();
                listpack.remove(at);
                Some(member)
            }
            Form::Table(table) => {
                let member = table.random(bits)?.member().to_vec();
                table.remove(&member);
                table.tidy_step(|_, _| {});
                Some(member)
            }
        }
    }

    /// `count` draws of members, which may repeat; none if there is none. `random` gives 64 random bits each time.
    pub fn sample_repeating<'a>(
        &'a self,
        count: usize,
        mut random: impl FnMut() -> u64,
        mut visit: impl FnMut(Element<'a>),
    ) {
        if matches!(self.form, Form::Packed(_)) {
            let members: Vec<Element<'a>> = self.iter().collect();
            if !members.is_empty() {
                (0..count).for_each(|_| visit(members[below(random(), members.len())]));
            }
            return;
        }
        for _ in 0..count {
            match self.random(random()) {
                Some(member) => visit(member),
                None => return,
            }
        }
    }

    /// `count` different members, or all where there are not so many.
    pub fn sample<'a>(
        &'a self,
        count: usize,
        mut random: impl FnMut() -> u64,
        mut visit: impl FnMut(Element<'a>),
    ) {
        let len = self.len();
        if count >= len {
            return self.iter().for_each(visit);
        }
        match &self.form {
            Form::Table(table) if count < len / LIST_PART => {
                let mut drawn = HashSet::with_capacity(count);
                let mut draws = 0;
                while drawn.len() < count && draws < ATTEMPTS * count {
                    draws += 1;
                    let Some(entry) = table.random(random()) else {
                        return;
                    };
                    if drawn.insert(entry.handle()) {
                        visit(Element::Bytes(entry.member()));
                    }
                }
                let missing = count - drawn.len();
                table
                    .iter()
                    .filter(|entry| !drawn.contains(&entry.handle()))
                    .take(missing)
                    .for_each(|entry| visit(Element::Bytes(entry.member())));
            }
            _ => {
                let mut members: Vec<Element<'a>> = self.iter().collect();
                for index in 0..count {
                    let other = index + below(random(), members.len() - index);
                    members.swap(index, other);
                    visit(members[index]);
                }
            }
        }
    }
}

/// A number below `limit`, from 64 random bits; 0 if that is 0.
fn below(random: u64, limit: usize) -> usize {
    ((u128::from(random) * limit as u128) >> 64) as usize
}
