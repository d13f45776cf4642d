//! Hashes: fields packed, or a table.

use super::Object;
use crate::value::{Encoding, Kind};

/// A hash.
#[derive(Clone, Debug, Default)]
pub struct Hash {}

impl Object for Hash {
    const KIND: Kind = Kind::Hash;

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
