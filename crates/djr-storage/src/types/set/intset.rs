//! Integers in ascending order, all in as few bytes as the widest of them needs: 2, 4 or 8.
#![allow(
    clippy::useless_conversion,
    reason = "the same code for three widths, of which one is that of the result"
)]

use std::cmp::Ordering;

use crate::types::{prefetch_value, relocate_vec};

/// A sorted array of different integers. It widens as soon as one does not fit, and never narrows: as Redis's intset.
#[derive(Clone, Debug)]
pub enum Intset {
    /// Two bytes each.
    I16(Vec<i16>),
    /// Four bytes each.
    I32(Vec<i32>),
    /// Eight bytes each.
    I64(Vec<i64>),
}

/// Runs the same code for each width.
macro_rules! each_width {
    ($set:expr, $integers:ident => $body:expr) => {
        match $set {
            Intset::I16($integers) => $body,
            Intset::I32($integers) => $body,
            Intset::I64($integers) => $body,
        }
    };
}

impl Default for Intset {
    fn default() -> Self {
        Self::I16(Vec::new())
    }
}

impl Intset {
    /// Has the middle loaded into the cache, where a search begins.
    pub(super) fn prefetch(&self) {
        each_width!(self, integers => if let Some(middle) = integers.get(integers.len() / 2) {
            prefetch_value(middle);
        })
    }

    /// Number of integers.
    #[inline]
    pub fn len(&self) -> usize {
        each_width!(self, integers => integers.len())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of its block.
    pub fn memory_bytes(&self) -> usize {
        each_width!(self, integers => integers.capacity() * self.width())
    }

    /// Puts the integers into new memory.
    pub(crate) fn relocate(&mut self) {
        each_width!(self, integers => relocate_vec(integers));
    }

    /// Bytes of each integer: 2, 4 or 8.
    pub fn width(&self) -> usize {
        match self {
            Self::I16(_) => 2,
            Self::I32(_) => 4,
            Self::I64(_) => 8,
        }
    }

    /// The integer at an index.
    #[inline]
    pub fn get(&self, index: usize) -> Option<i64> {
        each_width!(self, integers => integers.get(index).map(|integer| i64::from(*integer)))
    }

    /// All integers, ascending.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = i64> {
        (0..self.len()).map(|index| self.get(index).unwrap_or_default())
    }

    /// As Redis keeps it: the width u32, the number of integers u32, then they, ascending; all little-endian.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(8 + self.len() * self.width());
        bytes.extend_from_slice(&(self.width() as u32).to_le_bytes());
        // There are at most 2^30 of them.
        bytes.extend_from_slice(&(self.len() as u32).to_le_bytes());
        each_width!(self, integers => {
            for integer in integers {
                bytes.extend_from_slice(&integer.to_le_bytes());
            }
        });
        bytes
    }

    /// Whether it has this integer.
    #[inline]
    pub fn contains(&self, integer: i64) -> bool {
        self.find(integer).is_ok()
    }

    /// Where the integer is, or would be.
    #[inline]
    fn find(&self, integer: i64) -> Result<usize, usize> {
        each_width!(self, integers => {
            // Ascending ones come in ascending order, often.
            match integers.last() {
                Some(last) if i64::from(*last) < integer => Err(integers.len()),
                _ => integers.binary_search_by(|probe| i64::from(*probe).cmp(&integer)),
            }
        })
    }

    /// Adds an integer; whether it is new.
    pub fn add(&mut self, integer: i64) -> bool {
        let Err(index) = self.find(integer) else {
            return false;
        };
        self.widen(integer);
        match self {
            Self::I16(integers) => insert(integers, index, integer as i16),
            Self::I32(integers) => insert(integers, index, integer as i32),
            Self::I64(integers) => insert(integers, index, integer),
        }
        true
    }

    /// Removes an integer; whether it was there.
    pub fn remove(&mut self, integer: i64) -> bool {
        let found = self.find(integer);
        if let Ok(index) = found {
            self.remove_index(index);
        }
        found.is_ok()
    }

    /// Removes the integer at an index.
    pub fn remove_index(&mut self, index: usize) -> Option<i64> {
        let integer = self.get(index)?;
        each_width!(self, integers => {
            integers.remove(index);
            if integers.capacity() / 2 > integers.len() + SPARE_MIN {
                integers.shrink_to(integers.len() + spare(integers.len()));
            }
        });
        Some(integer)
    }

    /// Makes room for the width of `integer`.
    fn widen(&mut self, integer: i64) {
        let fits = match self {
            Self::I16(_) => i16::try_from(integer).is_ok(),
            Self::I32(_) => i32::try_from(integer).is_ok(),
            Self::I64(_) => true,
        };
        if fits {
            return;
        }
        *self = match (&*self, i32::try_from(integer)) {
            (Self::I16(integers), Ok(_)) => {
                Self::I32(integers.iter().copied().map(i32::from).collect())
            }
            _ => Self::I64(self.iter().collect()),
        };
    }

    /// Checks what must hold between two calls.
    ///
    /// # Panics
    /// If something does not hold.
    pub fn check_invariants(&self) {
        let ascending = (1..self.len())
            .all(|index| self.get(index - 1).cmp(&self.get(index)) == Ordering::Less);
        assert!(ascending, "integers in order, each once");
    }
}

/// Room for so many more is made at least, and kept.
const SPARE_MIN: usize = 4;

fn spare(len: usize) -> usize {
    len / 4 + SPARE_MIN
}

/// Inserts, and grows by less than a vector does by itself.
fn insert<T>(integers: &mut Vec<T>, index: usize, integer: T) {
    if integers.len() == integers.capacity() {
        integers.reserve_exact(spare(integers.len()));
    }
    integers.insert(index, integer);
}
