//! Sets: integers packed, members packed, or a table.

use super::Object;
use crate::value::{Encoding, Kind};

/// A set.
#[derive(Clone, Debug, Default)]
pub struct Set {}

impl Object for Set {
    const KIND: Kind = Kind::Set;

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
