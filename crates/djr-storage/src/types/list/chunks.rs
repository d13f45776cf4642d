//! The chunks of a list, in order: a deque of segments of up to 64 chunks, so that even a list of a million chunks is never
//! moved as a whole, and whole segments are skipped on the way to an index.

use std::collections::VecDeque;

use super::End;
use super::keep::Keep;
use super::packed::Packed;
use crate::types::{kept, relocate_block};

/// Chunks per segment: 2 KiB of them.
const SEGMENT_LEN_MAX: usize = 64;

/// Some elements of a list.
#[derive(Clone, Debug)]
pub(super) enum Chunk {
    /// Small ones.
    Packed(Packed),
    /// A large one, alone.
    Plain(Plain),
}

/// A large element.
#[derive(Clone, Debug)]
pub(super) struct Plain {
    pub(super) bytes: Box<[u8]>,
    /// See [`Chunk::number`].
    pub(super) number: u32,
}

const _: () = assert!(size_of::<Chunk>() == 32);

impl Chunk {
    /// Number of elements.
    #[inline]
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Packed(packed) => packed.len(),
            Self::Plain(_) => 1,
        }
    }

    #[inline]
    fn memory_bytes(&self) -> usize {
        match self {
            Self::Packed(packed) => packed.memory_bytes(),
            Self::Plain(plain) => plain.bytes.len(),
        }
    }

    /// A large element.
    pub(super) fn plain(bytes: Box<[u8]>) -> Self {
        Self::Plain(Plain { bytes, number: 0 })
    }

    /// The chunk's number among those that are kept for a snapshot, from 1, if the chunk is one of them and as it was then, and its segment
    /// does not tell its numbers. Of no meaning if nothing is kept.
    pub(super) fn number(&mut self) -> &mut u32 {
        match self {
            Self::Packed(packed) => &mut packed.number,
            Self::Plain(plain) => &mut plain.number,
        }
    }

    fn relocate(&mut self) -> usize {
        match self {
            Self::Packed(packed) => packed.relocate(),
            Self::Plain(plain) => relocate_block(&mut plain.bytes),
        }
    }

    pub(super) fn packed(&self) -> Option<&Packed> {
        match self {
            Self::Packed(packed) => Some(packed),
            Self::Plain(_) => None,
        }
    }
}

/// Neighbouring chunks, at least one.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) chunks: Vec<Chunk>,
    /// Elements in them.
    len: usize,
    /// If not 0: the [number](Chunk::number) of the first chunk; the others have those behind it.
    pub(super) first_number: u32,
}

impl Segment {
    fn of(chunks: Vec<Chunk>) -> Self {
        let len = chunks.iter().map(Chunk::len).sum();
        Self {
            chunks,
            len,
            first_number: 0,
        }
    }

    fn memory_bytes(&self) -> usize {
        self.chunks.capacity() * size_of::<Chunk>()
    }
}

/// The place of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct At {
    pub(super) segment: usize,
    pub(super) chunk: usize,
}

/// All chunks of a list. None of them is without elements, except while one is being changed.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    pub(super) segments: VecDeque<Segment>,
    /// Elements.
    len: usize,
    chunks: usize,
    /// Bytes taken by the chunks, and by the segments' own vectors.
    bytes: usize,
    /// For a snapshot under way.
    pub(super) keep: kept::Slot<Keep>,
}

impl Chunks {
    pub(super) fn of_one(chunk: Chunk) -> Self {
        let mut chunks = Self::default();
        chunks.push(End::Back, chunk);
        chunks
    }

    /// Number of elements.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Number of chunks.
    #[inline]
    pub(super) fn count(&self) -> usize {
        self.chunks
    }

    /// Bytes taken from the allocator.
    #[inline]
    pub(super) fn memory_bytes(&self) -> usize {
        self.bytes + self.segments.capacity() * size_of::<Segment>()
    }

    /// Puts chunks into new memory, whole segments from the one with this number on, until `budget` bytes were copied. Returns the
    /// number of the segment to go on with, if there is one.
    pub(super) fn relocate(&mut self, from: usize, budget: usize) -> Option<usize> {
        let mut copied = 0;
        for (number, segment) in self.segments.iter_mut().enumerate().skip(from) {
            if copied >= budget {
                return Some(number);
            }
            copied += segment
                .chunks
                .iter_mut()
                .map(Chunk::relocate)
                .sum::<usize>();
        }
        None
    }

    /// The place of the chunk at one end.
    #[inline]
    pub(super) fn end(&self, end: End) -> Option<At> {
        match end {
            End::Front => self.segments.front().map(|_| At {
                segment: 0,
                chunk: 0,
            }),
            End::Back => self.segments.back().map(|last| At {
                segment: self.segments.len() - 1,
                chunk: last.chunks.len() - 1,
            }),
        }
    }

    #[inline]
    pub(super) fn get(&self, at: At) -> &Chunk {
        &self.segments[at.segment].chunks[at.chunk]
    }

    #[inline]
    pub(super) fn next(&self, at: At) -> Option<At> {
        if at.chunk + 1 < self.segments[at.segment].chunks.len() {
            return Some(At {
                chunk: at.chunk + 1,
                ..at
            });
        }
        (at.segment + 1 < self.segments.len()).then_some(At {
            segment: at.segment + 1,
            chunk: 0,
        })
    }

    #[inline]
    pub(super) fn prev(&self, at: At) -> Option<At> {
        if at.chunk > 0 {
            return Some(At {
                chunk: at.chunk - 1,
                ..at
            });
        }
        let segment = at.segment.checked_sub(1)?;
        Some(At {
            segment,
            chunk: self.segments[segment].chunks.len() - 1,
        })
    }

    /// Changes a packed chunk, or looks at a plain one. Should no element be left in it, [`Chunks::remove`] is to follow.
    #[inline]
    pub(super) fn edit<R>(&mut self, at: At, change: impl FnOnce(&mut Chunk) -> R) -> R {
        if self.keep.is_some() {
            self.before_edit(at);
        }
        let segment = &mut self.segments[at.segment];
        let chunk = &mut segment.chunks[at.chunk];
        let (len, bytes) = (chunk.len(), chunk.memory_bytes());
        let result = change(chunk);
        segment.len = segment.len - len + chunk.len();
        self.len = self.len - len + chunk.len();
        self.bytes = self.bytes - bytes + chunk.memory_bytes();
        result
    }

    /// Puts another chunk in the place of one.
    pub(super) fn replace(&mut self, at: At, chunk: Chunk) {
        if self.keep.is_some() {
            self.tell_numbers(at.segment);
        }
        let segment = &mut self.segments[at.segment];
        let (len, bytes) = (chunk.len(), chunk.memory_bytes());
        let old = std::mem::replace(&mut segment.chunks[at.chunk], chunk);
        segment.len = segment.len - old.len() + len;
        self.len = self.len - old.len() + len;
        self.bytes = self.bytes - old.memory_bytes() + bytes;
        if let Some(keep) = self.keep.get_mut() {
            keep.put_aside(old);
        }
    }

    /// Adds a chunk at one end.
    pub(super) fn push(&mut self, end: End, chunk: Chunk) {
        match (end, self.end(end)) {
            (End::Front, Some(first)) => self.insert_before(first, chunk),
            (End::Back, Some(last)) => self.insert_after(last, chunk),
            (_, None) => self.insert(
                At {
                    segment: 0,
                    chunk: 0,
                },
                chunk,
            ),
        };
    }

    /// Adds a chunk before the one at `at`; returns its place.
    pub(super) fn insert_before(&mut self, at: At, chunk: Chunk) -> At {
        self.insert(at, chunk)
    }

    /// Adds a chunk behind the one at `at`, whose place may change; returns that of the new one.
    pub(super) fn insert_after(&mut self, at: At, chunk: Chunk) -> At {
        self.insert(
            At {
                chunk: at.chunk + 1,
                ..at
            },
            chunk,
        )
    }

    fn insert(&mut self, mut at: At, chunk: Chunk) -> At {
        let len = chunk.len();
        self.len += len;
        self.chunks += 1;
        self.bytes += chunk.memory_bytes();
        if self.keep.is_some() {
            self.tell_numbers(at.segment);
        }
        match self.segments.get_mut(at.segment) {
            Some(segment) if segment.chunks.len() < SEGMENT_LEN_MAX => {
                let before = segment.memory_bytes();
                segment.chunks.insert(at.chunk, chunk);
                segment.len += len;
                self.bytes = self.bytes - before + segment.memory_bytes();
                return at;
            }
            // At its end or beginning a new one begins, which will be filled from there.
            Some(segment) if at.chunk == segment.chunks.len() => at.segment += 1,
            Some(_) if at.chunk == 0 => {}
            Some(segment) => {
                let before = segment.memory_bytes();
                let mut rest = segment.chunks.split_off(SEGMENT_LEN_MAX / 2);
                let place = if at.chunk <= segment.chunks.len() {
                    segment.chunks.insert(at.chunk, chunk);
                    at
                } else {
                    let place = at.chunk - segment.chunks.len();
                    rest.insert(place, chunk);
                    At {
                        segment: at.segment + 1,
                        chunk: place,
                    }
                };
                *segment = Segment::of(std::mem::take(&mut segment.chunks));
                let rest = Segment::of(rest);
                self.bytes = self.bytes - before + segment.memory_bytes() + rest.memory_bytes();
                self.segments.insert(at.segment + 1, rest);
                return place;
            }
            None => {}
        }
        let segment = Segment::of(vec![chunk]);
        self.bytes += segment.memory_bytes();
        self.segments.insert(at.segment, segment);
        At {
            segment: at.segment,
            chunk: 0,
        }
    }

    /// Removes a chunk; returns the place of the one behind it. Places before it remain.
    pub(super) fn remove(&mut self, at: At) -> Option<At> {
        if self.keep.is_some() {
            self.tell_numbers(at.segment);
        }
        let segment = &mut self.segments[at.segment];
        let chunk = segment.chunks.remove(at.chunk);
        segment.len -= chunk.len();
        self.len -= chunk.len();
        self.chunks -= 1;
        self.bytes -= chunk.memory_bytes();
        if let Some(keep) = self.keep.get_mut() {
            keep.put_aside(chunk);
        }
        let left = segment.chunks.len();
        if left == 0 {
            self.bytes -= segment.memory_bytes();
            self.segments.remove(at.segment);
            if self.segments.len() < self.segments.capacity() / 8 {
                self.segments.shrink_to(self.segments.len() * 2);
            }
            return (at.segment < self.segments.len()).then_some(At { chunk: 0, ..at });
        }
        self.join(at.segment);
        if at.chunk < self.segments[at.segment].chunks.len() {
            Some(at)
        } else {
            (at.segment + 1 < self.segments.len()).then_some(At {
                segment: at.segment + 1,
                chunk: 0,
            })
        }
    }

    /// Puts the next segment's chunks into this one, if both have few.
    fn join(&mut self, index: usize) {
        let len = |index| {
            let segment: Option<&Segment> = self.segments.get(index);
            segment.map_or(SEGMENT_LEN_MAX, |segment| segment.chunks.len())
        };
        if len(index) + len(index + 1) > SEGMENT_LEN_MAX / 2 {
            return;
        }
        if self.keep.is_some() {
            self.tell_numbers(index);
            self.tell_numbers(index + 1);
        }
        let Some(next) = self.segments.remove(index + 1) else {
            return;
        };
        let segment = &mut self.segments[index];
        let before = segment.memory_bytes() + next.memory_bytes();
        segment.chunks.extend(next.chunks);
        segment.len += next.len;
        self.bytes = self.bytes - before + segment.memory_bytes();
    }

    /// The chunk that has the element `index`, and the index of the element there. `None`: there is no such element.
    /// Walks from the nearer end.
    pub(super) fn locate(&self, index: usize) -> Option<(At, usize)> {
        if index >= self.len {
            return None;
        }
        let (segment, mut index) = if index <= self.len / 2 {
            let mut index = index;
            let mut segment = 0;
            while index >= self.segments[segment].len {
                index -= self.segments[segment].len;
                segment += 1;
            }
            (segment, index)
        } else {
            let mut begin = self.len;
            let mut segment = self.segments.len();
            while begin > index {
                segment -= 1;
                begin -= self.segments[segment].len;
            }
            (segment, index - begin)
        };
        let mut chunk = 0;
        let chunks = &self.segments[segment].chunks;
        while index >= chunks[chunk].len() {
            index -= chunks[chunk].len();
            chunk += 1;
        }
        Some((At { segment, chunk }, index))
    }

    /// The only chunk, taken out.
    pub(super) fn into_only(mut self) -> Option<Chunk> {
        if self.keep.is_some()
            && let Some(only) = self.end(End::Front)
        {
            self.before_edit(only);
        }
        match self.segments.pop_front() {
            Some(mut segment) if self.chunks == 1 => segment.chunks.pop(),
            _ => None,
        }
    }

    /// The chunks behind `at`.
    pub(super) fn behind(&self, at: At) -> ChunkIter<'_> {
        ChunkIter {
            current: self.segments[at.segment].chunks[at.chunk + 1..].iter(),
            segments: self.segments.range(at.segment + 1..),
        }
    }

    /// The chunks before `at`.
    pub(super) fn before(&self, at: At) -> ChunkIter<'_> {
        ChunkIter {
            current: self.segments[at.segment].chunks[..at.chunk].iter(),
            segments: self.segments.range(..at.segment),
        }
    }

    /// All chunks.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Chunk> {
        self.segments.iter().flat_map(|segment| &segment.chunks)
    }

    /// Whether all sums are right.
    #[cfg(test)]
    pub(super) fn check(&self) {
        let mut bytes = 0;
        for segment in &self.segments {
            assert!(!segment.chunks.is_empty() && segment.chunks.len() <= SEGMENT_LEN_MAX);
            assert_eq!(
                segment.len,
                segment.chunks.iter().map(Chunk::len).sum::<usize>()
            );
            bytes += segment.memory_bytes();
        }
        for chunk in self.iter() {
            assert!(chunk.len() > 0);
            bytes += chunk.memory_bytes();
        }
        assert_eq!(self.bytes, bytes);
        assert_eq!(self.chunks, self.iter().count());
        assert_eq!(self.len, self.iter().map(Chunk::len).sum::<usize>());
    }
}

impl Clone for Chunks {
    fn clone(&self) -> Self {
        // Segments as they are: none gets room that it may never need.
        let segments: VecDeque<_> = self
            .segments
            .iter()
            .map(|segment| Segment::of(segment.chunks.clone()))
            .collect();
        let chunks = segments.iter().flat_map(|segment| &segment.chunks);
        let of_chunks: usize = chunks.map(Chunk::memory_bytes).sum();
        Self {
            bytes: of_chunks + segments.iter().map(Segment::memory_bytes).sum::<usize>(),
            segments,
            len: self.len,
            chunks: self.chunks,
            keep: kept::Slot::EMPTY,
        }
    }
}

/// Some chunks, towards either end of the list.
#[derive(Clone, Debug, Default)]
pub(super) struct ChunkIter<'a> {
    /// Those of the segment that comes first.
    current: std::slice::Iter<'a, Chunk>,
    segments: std::collections::vec_deque::Iter<'a, Segment>,
}

impl<'a> ChunkIter<'a> {
    /// The next chunk in the direction away from `end`.
    #[inline]
    pub(super) fn next(&mut self, from: End) -> Option<&'a Chunk> {
        loop {
            let chunk = match from {
                End::Front => self.current.next(),
                End::Back => self.current.next_back(),
            };
            if chunk.is_some() {
                return chunk;
            }
            let segment = match from {
                End::Front => self.segments.next(),
                End::Back => self.segments.next_back(),
            };
            self.current = segment?.chunks.iter();
        }
    }
}
