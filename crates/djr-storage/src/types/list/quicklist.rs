//! Changes to a list of several chunks. Which chunk takes an element, and when chunks are divided and merged, is as in
//! Redis, so that a list goes back to one chunk when it does there.

use super::chunks::{At, Chunk, Chunks};
use super::packed::Packed;
use super::{End, Side};
use crate::types::ListLimits;
use crate::types::listpack::{Element, Needle};

/// How many chunks a list has at least when neighbours are merged because elements were removed, which Redis does
/// not do: a list about to get short keeps Redis's chunks.
const SPARSE_CHUNKS_MIN: usize = 8;

/// Elements in several chunks (or in one that is larger than a list of one chunk may be).
#[derive(Clone, Debug)]
pub(super) struct Quicklist {
    pub(super) chunks: Chunks,
}

impl Quicklist {
    pub(super) fn of(packed: Packed) -> Self {
        Self {
            chunks: match packed.len() {
                0 => Chunks::default(),
                _ => Chunks::of_one(Chunk::Packed(packed)),
            },
        }
    }

    /// Whether the chunk at `at` takes another element of `len` bytes.
    #[inline]
    fn allows_insert(&self, at: Option<At>, len: usize, limits: ListLimits) -> bool {
        match at.map(|at| self.chunks.get(at)) {
            Some(Chunk::Packed(packed)) => limits.allows_insert(packed.size(), packed.len(), len),
            _ => false,
        }
    }

    /// Adds an element of `len` bytes at one end.
    #[inline]
    pub(super) fn push(&mut self, end: End, element: Element<'_>, len: usize, limits: ListLimits) {
        let at = self.chunks.end(end);
        if let Some(at) = at
            && !limits.is_large(len)
            && self.allows_insert(Some(at), len, limits)
        {
            self.push_into(at, end, element, limits);
            return;
        }
        if let Some(at) = at {
            self.chunks.edit(at, |chunk| {
                if let Chunk::Packed(packed) = chunk {
                    packed.seal();
                }
            });
        }
        let chunk = Self::chunk_of(element, len, end, limits);
        self.chunks.push(end, chunk);
    }

    #[inline]
    fn push_into(&mut self, at: At, end: End, element: Element<'_>, limits: ListLimits) {
        self.chunks.edit(at, |chunk| {
            if let Chunk::Packed(packed) = chunk {
                packed.push(end, element, limits.size_max());
            }
        });
    }

    /// A chunk with one element; more are expected from `end`.
    fn chunk_of(element: Element<'_>, len: usize, end: End, limits: ListLimits) -> Chunk {
        if limits.is_large(len) {
            return Chunk::plain(element.to_vec().into_boxed_slice());
        }
        let room = if limits.max_listpack_size < 0 {
            limits.size_max() / 8
        } else {
            0
        };
        let mut packed = Packed::with_room(end, room);
        packed.push(end, element, limits.size_max());
        Chunk::Packed(packed)
    }

    /// Removes up to `count` elements at one end, after having shown them, the outermost first.
    pub(super) fn drain(&mut self, end: End, count: usize, mut visit: impl FnMut(Element<'_>)) {
        let mut left = count;
        while left > 0
            && let Some(at) = self.chunks.end(end)
        {
            let empty = self.chunks.edit(at, |chunk| match chunk {
                Chunk::Packed(packed) => {
                    left -= packed.drain(end, left, &mut visit);
                    packed.len() == 0
                }
                Chunk::Plain(plain) => {
                    visit(Element::Bytes(&plain.bytes));
                    left -= 1;
                    true
                }
            });
            if empty {
                self.chunks.remove(at);
            }
        }
    }

    /// Removes `count` elements at one end.
    pub(super) fn cut(&mut self, end: End, count: usize) {
        let mut left = count;
        while left > 0
            && let Some(at) = self.chunks.end(end)
        {
            let len = self.chunks.get(at).len();
            if len <= left {
                self.chunks.remove(at);
                left -= len;
            } else {
                self.chunks.edit(at, |chunk| {
                    if let Chunk::Packed(packed) = chunk {
                        packed.cut(end, left);
                    }
                });
                left = 0;
            }
        }
    }

    /// Puts an element of `len` bytes beside the element `index` of the chunk at `at`.
    pub(super) fn insert(
        &mut self,
        (at, index): (At, usize),
        side: Side,
        element: Element<'_>,
        len: usize,
        limits: ListLimits,
    ) {
        let before = side == Side::Before;
        let outermost = match side {
            Side::Before => index == 0,
            Side::After => index + 1 == self.chunks.get(at).len(),
        };
        if limits.is_large(len) {
            let chunk = Self::chunk_of(element, len, End::Back, limits);
            if outermost {
                self.insert_chunk(at, side, chunk);
            } else {
                let (_, rest) = self.split(at, if before { index } else { index + 1 });
                self.chunks.insert_before(rest, chunk);
            }
        } else if self.allows_insert(Some(at), len, limits) {
            self.chunks.edit(at, |chunk| {
                if let Chunk::Packed(packed) = chunk {
                    let offset = packed.offset(if before { index } else { index + 1 });
                    packed.insert(offset, element, limits.size_max());
                }
            });
        } else if outermost {
            let (neighbour, end) = match side {
                Side::Before => (self.chunks.prev(at), End::Back),
                Side::After => (self.chunks.next(at), End::Front),
            };
            match neighbour {
                Some(neighbour) if self.allows_insert(Some(neighbour), len, limits) => {
                    self.push_into(neighbour, end, element, limits);
                }
                _ => {
                    let chunk = Self::chunk_of(element, len, end, limits);
                    self.insert_chunk(at, side, chunk);
                }
            }
        } else {
            let (at, rest) = self.split(at, if before { index } else { index + 1 });
            // Redis puts the element into the part that it takes out of the chunk, and merges around what is left.
            let (to, end, center) = match side {
                Side::Before => (at, End::Back, rest),
                Side::After => (rest, End::Front, at),
            };
            self.push_into(to, end, element, limits);
            self.merge_around(center, limits);
        }
    }

    fn insert_chunk(&mut self, at: At, side: Side, chunk: Chunk) {
        match side {
            Side::Before => self.chunks.insert_before(at, chunk),
            Side::After => self.chunks.insert_after(at, chunk),
        };
    }

    /// Puts what begins with the element `index` into a chunk of its own, behind the one at `at`. Returns the places of both.
    fn split(&mut self, at: At, index: usize) -> (At, At) {
        let rest = self.chunks.edit(at, |chunk| match chunk {
            Chunk::Packed(packed) => packed.split_off(index),
            Chunk::Plain(_) => Packed::default(), // has one element, which nothing is inside of
        });
        let rest = self.chunks.insert_after(at, Chunk::Packed(rest));
        (self.chunks.prev(rest).unwrap_or(at), rest)
    }

    /// Puts another element, of `len` bytes, in the place of the element `index` of the chunk at `at`.
    pub(super) fn replace(
        &mut self,
        (at, index): (At, usize),
        element: Element<'_>,
        len: usize,
        limits: ListLimits,
    ) {
        let large = limits.is_large(len);
        let chunk_len = self.chunks.get(at).len();
        match self.chunks.get(at) {
            Chunk::Packed(_) if !large => {
                let size = self.chunks.edit(at, |chunk| match chunk {
                    Chunk::Packed(packed) => {
                        let offset = packed.offset(index);
                        packed.replace(offset, element, limits.size_max());
                        packed.size()
                    }
                    Chunk::Plain(_) => 0,
                });
                // Small elements replaced by larger ones, again and again: Redis lets the chunk grow without limit.
                if size > 4 * limits.size_max() && chunk_len > 1 {
                    self.split(at, chunk_len / 2);
                }
            }
            Chunk::Plain(_) if !large => {
                // As in Redis, the neighbour behind it takes the element if there is room.
                let next = self.chunks.next(at);
                if let Some(next) = next
                    && self.allows_insert(Some(next), len, limits)
                {
                    self.push_into(next, End::Front, element, limits);
                    self.chunks.remove(at);
                } else {
                    let chunk = Self::chunk_of(element, len, End::Back, limits);
                    self.chunks.replace(at, chunk);
                }
            }
            Chunk::Plain(_) => {
                let chunk = Self::chunk_of(element, len, End::Back, limits);
                self.chunks.replace(at, chunk);
            }
            Chunk::Packed(_) => {
                let mut at = at;
                if index + 1 < chunk_len {
                    (at, _) = self.split(at, index + 1);
                }
                let chunk = Self::chunk_of(element, len, End::Back, limits);
                let new = self.chunks.insert_after(at, chunk);
                let at = self.chunks.prev(new).unwrap_or(at);
                let empty = self.chunks.edit(at, |chunk| {
                    if let Chunk::Packed(packed) = chunk {
                        packed.cut(End::Back, 1);
                    }
                    chunk.len() == 0
                });
                if empty {
                    self.chunks.remove(at);
                }
            }
        }
    }

    /// Removes up to `count` elements that are `bytes`, the nearest to `from` first. Returns how many.
    pub(super) fn remove_matching(
        &mut self,
        bytes: &[u8],
        from: End,
        count: usize,
        limits: ListLimits,
    ) -> usize {
        let needle = Needle::new(bytes);
        let mut gone = Vec::new();
        let mut removed = 0;
        let mut next = self.chunks.end(from);
        while removed < count
            && let Some(at) = next
        {
            let chunk = self.chunks.get(at);
            let matches = match chunk {
                Chunk::Packed(packed) => {
                    super::find_all(packed, &needle, from, count - removed, &mut gone);
                    gone.len()
                }
                Chunk::Plain(plain) => usize::from(*plain.bytes == *bytes),
            };
            removed += matches;
            let place = if matches == chunk.len() {
                let before = self.chunks.prev(at);
                let behind = self.chunks.remove(at);
                next = match from {
                    End::Front => behind,
                    End::Back => before,
                };
                continue;
            } else if matches > 0 {
                self.chunks.edit(at, |chunk| {
                    if let Chunk::Packed(packed) = chunk {
                        packed.remove_all(&gone);
                    }
                });
                self.merge_sparse(at, from, limits)
            } else {
                at
            };
            next = match from {
                End::Front => self.chunks.next(place),
                End::Back => self.chunks.prev(place),
            };
        }
        removed
    }

    /// Merges a chunk that lost elements with the one that was visited before it, if both together are at most three
    /// quarters of a chunk. Returns where the elements are now.
    fn merge_sparse(&mut self, at: At, from: End, limits: ListLimits) -> At {
        let visited = match from {
            End::Front => self.chunks.prev(at),
            End::Back => self.chunks.next(at),
        };
        let Some(visited) = visited.filter(|_| self.chunks.count() >= SPARSE_CHUNKS_MIN) else {
            return at;
        };
        let (first, second) = match from {
            End::Front => (visited, at),
            End::Back => (at, visited),
        };
        match (
            self.chunks.get(first).packed(),
            self.chunks.get(second).packed(),
        ) {
            (Some(one), Some(other)) if one.size() + other.size() <= limits.size_max() / 4 * 3 => {
                self.merge(first, second, limits).unwrap_or(at)
            }
            _ => at,
        }
    }

    /// Merges two neighbours if the limits allow; returns the place of the result, which is that of the first.
    fn merge(&mut self, first: At, second: At, limits: ListLimits) -> Option<At> {
        let one = self.chunks.get(first).packed()?;
        let other = self.chunks.get(second).packed()?;
        let size = one.size() + other.size() - super::rules::LISTPACK_OVERHEAD;
        if limits.exceeds(size, one.len() + other.len()) {
            return None;
        }
        let other = other.clone();
        self.chunks.edit(first, |chunk| {
            if let Chunk::Packed(packed) = chunk {
                packed.append(&other, limits.size_max());
            }
        });
        self.chunks.remove(second);
        Some(first)
    }

    /// Merges the neighbours of a chunk with each other and it with them, where the limits allow, in Redis's order.
    fn merge_around(&mut self, mut center: At, limits: ListLimits) {
        // What is behind comes first, because that leaves the places before it as they are.
        let next = self.chunks.next(center);
        let behind_next = next.and_then(|next| self.chunks.next(next));
        let prev = self.chunks.prev(center);
        let before_prev = prev.and_then(|prev| self.chunks.prev(prev));
        if let (Some(next), Some(behind)) = (next, behind_next) {
            self.merge(next, behind, limits);
        }
        if let (Some(before), Some(prev)) = (before_prev, prev)
            && self.merge(before, prev, limits).is_some()
        {
            // The center is behind the merged one now.
            center = self.chunks.next(before).unwrap_or(before);
        }
        if let Some(prev) = self.chunks.prev(center)
            && let Some(merged) = self.merge(prev, center, limits)
        {
            center = merged;
        }
        if let Some(next) = self.chunks.next(center) {
            self.merge(center, next, limits);
        }
    }
}
