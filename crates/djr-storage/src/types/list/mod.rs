//! Lists: a deque of packed chunks.

use super::Object;
use crate::value::{Encoding, Kind};

/// A list.
#[derive(Clone, Debug, Default)]
pub struct List {}

impl Object for List {
    const KIND: Kind = Kind::List;

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
