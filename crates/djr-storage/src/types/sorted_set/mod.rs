//! Sorted sets: packed, or a table and a tree.

pub mod tree;

use super::Object;
use crate::value::{Encoding, Kind};

/// A sorted set.
#[derive(Clone, Debug, Default)]
pub struct SortedSet {}

impl Object for SortedSet {
    const KIND: Kind = Kind::SortedSet;

    fn memory_bytes(&self) -> usize {
        0
    }

    fn is_vacant(&self) -> bool {
        true
    }

    fn encoding(&self) -> Encoding {
        Encoding::Listpack
    }
}
