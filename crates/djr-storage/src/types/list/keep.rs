//! A list's chunks as they were at a moment: see [`crate::types::kept`].
//!
//! The chunks that there were have numbers, in order. Each segment knows that of its first chunk, until it is changed: then each of its
//! chunks gets its own, because they may go their separate ways. Before a chunk that was not read yet is changed it is put aside under
//! its number (a packed one is copied: some kilobytes; a plain one moves) and has none any more. New chunks have none.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::chunks::{At, Chunk, Chunks, Segment};
use super::packed::Packed;
use crate::rdb::body;
use crate::types::Listpack;
use crate::types::kept::{self, ELEMENT_COST, Kept, Ticket};

/// What is kept.
#[derive(Debug)]
pub(super) struct Keep {
    /// None: this is what is left of a structure that was dropped.
    ticket: Option<Arc<Ticket>>,
    /// The number of the chunk that is read next.
    next: u32,
    /// The greatest number.
    last: u32,
    /// By number: chunks as they were before they were changed or removed.
    aside: BTreeMap<u32, Chunk>,
    /// The segment in which the last chunk was found.
    found_in: usize,
}

impl Keep {
    /// Takes a chunk that has been removed, if it is to be read. Its segment has told its number.
    #[cold]
    pub(super) fn put_aside(&mut self, mut chunk: Chunk) {
        let number = *chunk.number();
        if number >= self.next {
            self.aside.insert(number, chunk);
        }
    }
}

impl Segment {
    /// Whether its chunks have this and the following numbers, and if not so, the place of the one that has.
    fn place_of(&mut self, number: u32) -> Option<usize> {
        if self.first_number == 0 {
            return self
                .chunks
                .iter_mut()
                .position(|chunk| *chunk.number() == number);
        }
        let place = number.checked_sub(self.first_number)? as usize;
        (place < self.chunks.len()).then_some(place)
    }
}

impl Chunks {
    /// Keeps the chunks as they are now. Looks at each segment. Appends the beginning of the list's body: type and number of chunks.
    pub(super) fn keep(&mut self, ticket: &Arc<Ticket>, out: &mut Vec<u8>) {
        let mut next = 1;
        for segment in &mut self.segments {
            segment.first_number = next;
            next += segment.chunks.len() as u32;
        }
        body::begin_list(out, self.count());
        self.keep.set(Keep {
            ticket: Some(Arc::clone(ticket)),
            next: 1,
            last: next - 1,
            aside: BTreeMap::new(),
            found_in: 0,
        });
    }

    /// Before a segment's chunks are rearranged: each gets its number. Only while something is kept.
    #[cold]
    pub(super) fn tell_numbers(&mut self, segment: usize) {
        let Some(segment) = self.segments.get_mut(segment) else {
            return;
        };
        let first = std::mem::take(&mut segment.first_number);
        if first == 0 {
            return;
        }
        for (chunk, number) in segment.chunks.iter_mut().zip(first..) {
            *chunk.number() = number;
        }
    }

    /// Before a packed chunk is changed. Only while something is kept.
    #[cold]
    pub(super) fn before_edit(&mut self, at: At) {
        self.tell_numbers(at.segment);
        let (Some(keep), Some(segment)) = (self.keep.get_mut(), self.segments.get_mut(at.segment))
        else {
            return;
        };
        if let Some(Chunk::Packed(packed)) = segment.chunks.get_mut(at.chunk) {
            let number = std::mem::take(&mut packed.number);
            if number >= keep.next {
                keep.aside.insert(number, Chunk::Packed(packed.clone()));
            }
        }
    }

    /// The chunk of this number, which was not put aside.
    fn find_number(&mut self, number: u32) -> Option<At> {
        let from = self.keep.get()?.found_in.min(self.segments.len());
        let mut segments = self.segments.iter_mut().enumerate();
        let found = segments
            .by_ref()
            .skip(from)
            .find_map(|(segment, chunks)| Some((segment, chunks.place_of(number)?)));
        let found = found.or_else(|| {
            let mut segments = self.segments.iter_mut().enumerate().take(from);
            segments.find_map(|(segment, chunks)| Some((segment, chunks.place_of(number)?)))
        });
        found.map(|(segment, chunk)| At { segment, chunk })
    }
}

impl Kept for Chunks {
    fn walk(&mut self, budget: usize, out: &mut Vec<u8>) -> bool {
        let mut cost = 0;
        let end = out.len() + budget;
        while let Some(keep) = self.keep.get_mut() {
            let number = keep.next;
            if number > keep.last {
                self.keep.clear();
                break;
            }
            if out.len() + cost >= end {
                return true;
            }
            cost += ELEMENT_COST;
            keep.next += 1;
            if let Some(chunk) = keep.aside.remove(&number) {
                push_chunk(out, &chunk);
                continue;
            }
            let found = self.find_number(number);
            debug_assert!(found.is_some(), "a chunk is neither there nor put aside");
            if let (Some(at), Some(keep)) = (found, self.keep.get_mut()) {
                keep.found_in = at.segment;
                push_chunk(out, self.get(at));
            }
        }
        false
    }

    fn ticket(&self) -> Option<&Arc<Ticket>> {
        self.keep.get()?.ticket.as_ref()
    }

    fn end_keep(&mut self) {
        self.keep.clear();
    }
}

fn push_chunk(out: &mut Vec<u8>, chunk: &Chunk) {
    match chunk {
        Chunk::Packed(packed) => body::push_packed_node(out, listpack_of(packed).as_bytes()),
        Chunk::Plain(plain) => body::push_plain_node(out, &plain.bytes),
    }
}

fn listpack_of(packed: &Packed) -> Listpack {
    Listpack::from_entries(packed.entries(), packed.len())
}

impl Drop for Chunks {
    #[inline]
    fn drop(&mut self) {
        if let Some(ticket) = self.keep.get_mut().and_then(|keep| keep.ticket.take()) {
            let mut remains = Self::default();
            std::mem::swap(&mut remains.segments, &mut self.segments);
            remains.keep = self.keep.take();
            kept::hand_over(&ticket, remains);
        }
    }
}
