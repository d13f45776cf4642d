//! What is asked of a whole listpack from outside before a type takes it as its own.

use super::entry::{self, Element, NewEntry};
use super::{HEADER_SIZE, Listpack};
use crate::types::dictionary::member_hash;
use crate::value::{INTEGER_TEXT_SIZE_MAX, parse_integer};

/// Up to so many elements are compared with the help of a table on the stack.
const ON_STACK: usize = 256;

impl Listpack {
    /// Whether every element is encoded as [`push_back`](Self::push_back) would do it, and has at most so many bytes: then it is, byte for
    /// byte, what adding its elements one by one would have made.
    pub fn is_canonical(&self, longest: usize) -> bool {
        let entries = &self.as_bytes()[..self.end()];
        let mut at = HEADER_SIZE;
        while let Some(rest) = entries.get(at..).filter(|rest| !rest.is_empty()) {
            let size = entry::size(rest);
            let Some(element) = entry::decode(rest) else {
                return false;
            };
            let is_shortest = match (rest[0], element) {
                // These have no shorter form.
                (0..=0x7f, _) | (0x80..=0xbf, Element::Bytes(_)) => true,
                _ => NewEntry::new(element).size() == size,
            };
            let is_as_it_should = match element {
                Element::Int(_) => longest >= INTEGER_TEXT_SIZE_MAX || element.len() <= longest,
                Element::Bytes(bytes) => bytes.len() <= longest && !is_integer(bytes),
            };
            if !is_shortest || !is_as_it_should {
                return false;
            }
            at += size;
        }
        true
    }

    /// Whether no two are the same among the first element and every `step`th after it. Of a canonical listpack.
    pub fn are_distinct(&self, step: usize) -> bool {
        let count = self.len().div_ceil(step);
        // Half full at most. A slot has the position of an element, or 0: no element begins there.
        let slots = (2 * count).next_power_of_two();
        let mut few = [0u32; 2 * ON_STACK];
        let mut many = Vec::new();
        let slots = match few.get_mut(..slots) {
            Some(slots) => slots,
            None => {
                many.resize(slots, 0);
                &mut many[..]
            }
        };
        let mask = slots.len() - 1;
        let mut elements = self.iter();
        loop {
            let position = elements.position();
            let Some(element) = elements.next() else {
                return true;
            };
            let hash = match element {
                Element::Int(integer) => member_hash(&integer.to_ne_bytes()),
                Element::Bytes(bytes) => member_hash(bytes),
            };
            let mut slot = hash as usize & mask;
            while slots[slot] != 0 {
                if self.get(slots[slot] as usize) == Some(element) {
                    return false;
                }
                slot = (slot + 1) & mask;
            }
            // A listpack's length has 32 bits.
            slots[slot] = position as u32;
            for _ in 1..step {
                elements.next();
            }
        }
    }
}

/// Whether this is the text of an integer: seldom, so the first byte is looked at first.
#[inline]
fn is_integer(bytes: &[u8]) -> bool {
    matches!(bytes.first(), Some(b'0'..=b'9' | b'-'))
        && bytes.len() <= INTEGER_TEXT_SIZE_MAX
        && parse_integer(bytes).is_some()
}
