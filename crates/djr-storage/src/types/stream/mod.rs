//! Streams: a tree of packed blocks.

use super::Object;
use crate::value::{Encoding, Kind};

/// A stream.
#[derive(Clone, Debug, Default)]
pub struct Stream {}

impl Object for Stream {
    const KIND: Kind = Kind::Stream;

    fn memory_bytes(&self) -> usize {
        0
    }

    fn is_vacant(&self) -> bool {
        true
    }

    fn encoding(&self) -> Encoding {
        Encoding::Stream
    }
}
