//! Drawing fields at random. The random numbers are passed in.

use std::collections::HashSet;

use super::table::value_of;
use super::{Element, FieldValue, Form, Hash, UnixMillis, packed};

/// Draws from a table before it is looked for a live field one by one.
const ATTEMPTS: usize = 100;
/// Where a sample is more than this part of a table, all fields are listed and shuffled; below, draws are repeated until they differ.
const LIST_PART: usize = 3;

type Pair<'a> = (Element<'a>, FieldValue<'a>);

impl Hash {
    /// A live field, each with the same probability; none if there is none. `random` gives 64 random bits each time.
    pub fn random(&self, now: UnixMillis, random: &mut impl FnMut() -> u64) -> Option<Pair<'_>> {
        match &self.form {
            Form::Packed(listpack) => {
                let index = below(random(), self.total_len());
                let at = listpack.seek((index * packed::STEP) as i64)?;
                let (field, value, _) = packed::pair(listpack, at)?;
                Some((field, value))
            }
            Form::Timed(_) => {
                let live = self.len(now);
                let index = below(random(), live);
                self.iter(now).nth(index)
            }
            Form::Table(table) => (0..ATTEMPTS)
                .find_map(|_| {
                    let entry = table.random(random())?;
                    let value = value_of(entry);
                    value
                        .is_live(now)
                        .then_some((Element::Bytes(entry.member()), value))
                })
                .or_else(|| self.iter(now).next()),
        }
    }

    /// `count` draws of live fields, which may repeat; none if there is none.
    pub fn sample_repeating<'a>(
        &'a self,
        count: usize,
        now: UnixMillis,
        mut random: impl FnMut() -> u64,
        mut visit: impl FnMut(Pair<'a>),
    ) {
        if let Form::Table(_) = &self.form {
            (0..count).for_each(|_| {
                if let Some(pair) = self.random(now, &mut random) {
                    visit(pair);
                }
            });
            return;
        }
        let fields: Vec<Pair<'a>> = self.iter(now).collect();
        if !fields.is_empty() {
            (0..count).for_each(|_| visit(fields[below(random(), fields.len())]));
        }
    }

    /// `count` different live fields, or all where there are not so many.
    pub fn sample<'a>(
        &'a self,
        count: usize,
        now: UnixMillis,
        mut random: impl FnMut() -> u64,
        mut visit: impl FnMut(Pair<'a>),
    ) {
        let live = self.len(now);
        if count >= live {
            return self.iter(now).for_each(visit);
        }
        match &self.form {
            Form::Table(table) if count < live / LIST_PART => {
                let mut drawn = HashSet::with_capacity(count);
                let mut misses = 0;
                while drawn.len() < count && misses < ATTEMPTS * (count + 1) {
                    let Some(entry) = table.random(random()) else {
                        return;
                    };
                    let value = value_of(entry);
                    if value.is_live(now) && drawn.insert(entry.handle()) {
                        visit((Element::Bytes(entry.member()), value));
                    } else {
                        misses += 1;
                    }
                }
                // Bad luck, or nearly all are past their deadline: the rest in order.
                let missing = count - drawn.len();
                self.iter(now)
                    .filter(|(field, _)| match field {
                        Element::Bytes(name) => table
                            .handle_of(name)
                            .is_some_and(|handle| !drawn.contains(&handle)),
                        Element::Int(_) => false,
                    })
                    .take(missing)
                    .for_each(visit);
            }
            _ => {
                let mut fields: Vec<Pair<'a>> = self.iter(now).collect();
                for index in 0..count.min(fields.len()) {
                    let other = index + below(random(), fields.len() - index);
                    fields.swap(index, other);
                    visit(fields[index]);
                }
            }
        }
    }
}

/// A number below `limit`, from 64 random bits.
fn below(random: u64, limit: usize) -> usize {
    ((u128::from(random) * limit as u128) >> 64) as usize
}
