//! Lists: one packed chunk while small, else a deque of packed chunks.
//!
//! ```text
//!   listpack    one chunk (packed.rs), by `list-max-listpack-size`
//!   quicklist   segments of up to 64 chunks (chunks.rs, quicklist.rs); a large element is a chunk of its own
//! ```
//!
//! A chunk has the entries of a listpack, with room on both sides, so a push or pop costs no more than its bytes. What
//! fits into a chunk, and when a list changes its form, is decided by the sizes that Redis (7.2 and later) would see
//! (`rules.rs`).
//!
//! Chunks are not compressed: `list-compress-depth` has no effect.

mod chunks;
mod iter;
mod keep;
mod packed;
mod quicklist;
mod rules;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use iter::{Iter, IterRev};

use super::kept::{Kept, Ticket, keep_above};
use super::listpack::{Element, Needle, entry};
use super::{ListLimits, Listpack, Object, REWRITE_PORTION, prefetch_value};
use crate::value::{Encoding, INTEGER_TEXT_SIZE_MAX, Kind};
use chunks::Chunk;
use packed::Packed;
use quicklist::Quicklist;

/// One end of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Where the first element is (left).
    Front,
    /// Where the last one is (right).
    Back,
}

/// On which side of another element one is put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Nearer to the first.
    Before,
    /// Nearer to the last.
    After,
}

/// A list of byte strings.
#[derive(Clone, Debug, Default)]
pub struct List {
    form: Form,
}

#[derive(Clone, Debug)]
enum Form {
    /// "listpack".
    One(Packed),
    /// "quicklist".
    Many(Box<Quicklist>),
}

impl Default for Form {
    fn default() -> Self {
        Self::One(Packed::default())
    }
}

/// A chunk as files of Redis have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node<'a> {
    /// Packed elements.
    Packed(Listpack),
    /// One large element.
    Plain(&'a [u8]),
}

impl List {
    /// The list without elements. Allocates nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of elements.
    #[inline]
    pub fn len(&self) -> usize {
        match &self.form {
            Form::One(packed) => packed.len(),
            Form::Many(quicklist) => quicklist.chunks.len(),
        }
    }

    /// Whether there are no elements.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Pushes elements at one end, one after the other.
    pub fn push<'a>(
        &mut self,
        end: End,
        elements: impl Iterator<Item = &'a [u8]> + Clone,
        limits: ListLimits,
    ) {
        if let Form::One(_) = self.form {
            let (bytes, count) = elements
                .clone()
                .fold((0usize, 0), |(bytes, count), element| {
                    (bytes.saturating_add(element.len()), count + 1)
                });
            self.make_way(bytes, count, limits);
        }
        match &mut self.form {
            Form::One(packed) => {
                for element in elements {
                    packed.push(end, Element::of(element), usize::MAX);
                }
            }
            Form::Many(quicklist) => {
                for element in elements {
                    quicklist.push(end, Element::of(element), element.len(), limits);
                }
            }
        }
    }

    /// Pushes an element of a list at one end.
    pub fn push_element(&mut self, end: End, element: Element<'_>, limits: ListLimits) {
        // Redis has an integer in hand here, and does not count its bytes.
        let len = match element {
            Element::Int(_) => 0,
            Element::Bytes(bytes) => bytes.len(),
        };
        self.make_way(len, 1, limits);
        match &mut self.form {
            Form::One(packed) => packed.push(end, element, usize::MAX),
            Form::Many(quicklist) => quicklist.push(end, element, element.len(), limits),
        }
    }

    /// The element at one end.
    #[inline]
    pub fn peek(&self, end: End) -> Option<Element<'_>> {
        match &self.form {
            Form::One(packed) => packed.peek(end),
            Form::Many(quicklist) => {
                let at = quicklist.chunks.end(end)?;
                match quicklist.chunks.get(at) {
                    Chunk::Packed(packed) => packed.peek(end),
                    Chunk::Plain(plain) => Some(Element::Bytes(&plain.bytes)),
                }
            }
        }
    }

    /// Removes up to `count` elements at one end, the outermost first, and shows each to `visit` before.
    #[inline]
    pub fn drain(
        &mut self,
        end: End,
        count: usize,
        limits: ListLimits,
        visit: impl FnMut(Element<'_>),
    ) {
        match &mut self.form {
            Form::One(packed) => {
                packed.drain(end, count, visit);
            }
            Form::Many(quicklist) => {
                quicklist.drain(end, count, visit);
                self.settle_after_removal(limits);
            }
        }
    }

    /// Takes the element at one end, if there is one, and puts it at the other or the same: shows it to `visit`. Only then, as in
    /// Redis, is it seen whether the list goes back to one chunk.
    pub fn rotate(
        &mut self,
        from: End,
        to: End,
        limits: ListLimits,
        mut visit: impl FnMut(Element<'_>),
    ) {
        let mut moved = None;
        let take = |element: Element<'_>| {
            visit(element);
            moved = Some(element.to_vec());
        };
        match &mut self.form {
            Form::One(packed) => {
                packed.drain(from, 1, take);
            }
            Form::Many(quicklist) => quicklist.drain(from, 1, take),
        }
        if let Some(moved) = moved {
            self.push_element(to, Element::of(&moved), limits);
            self.settle_after_removal(limits);
        }
    }

    /// The element with this index, counted from the first (0, 1, …) or from the last (-1, -2, …).
    pub fn get(&self, index: i64) -> Option<Element<'_>> {
        let index = self.index(index)?;
        match &self.form {
            Form::One(packed) => packed.get(packed.offset(index)),
            Form::Many(quicklist) => {
                let (at, index) = quicklist.chunks.locate(index)?;
                match quicklist.chunks.get(at) {
                    Chunk::Packed(packed) => packed.get(packed.offset(index)),
                    Chunk::Plain(plain) => Some(Element::Bytes(&plain.bytes)),
                }
            }
        }
    }

    /// Puts `bytes` in the place of an element, whose index is counted as by [`List::get`]. `false`: there is none.
    pub fn set(&mut self, index: i64, bytes: &[u8], limits: ListLimits) -> bool {
        let Some(index) = self.index(index) else {
            return false;
        };
        self.make_way(bytes.len(), 1, limits);
        let element = Element::of(bytes);
        match &mut self.form {
            Form::One(packed) => packed.replace(packed.offset(index), element, usize::MAX),
            Form::Many(quicklist) => {
                if let Some(place) = quicklist.chunks.locate(index) {
                    quicklist.replace(place, element, bytes.len(), limits);
                }
            }
        }
        self.settle_after_removal(limits);
        true
    }

    /// Puts `bytes` beside the first element that is `pivot`. `false`: there is none.
    pub fn insert(&mut self, side: Side, pivot: &[u8], bytes: &[u8], limits: ListLimits) -> bool {
        let needle = Needle::new(pivot);
        let Some(index) = self.iter().position(|element| needle.matches(element)) else {
            return false;
        };
        self.make_way(bytes.len(), 1, limits);
        let element = Element::of(bytes);
        match &mut self.form {
            Form::One(packed) => {
                let offset = packed.offset(match side {
                    Side::Before => index,
                    Side::After => index + 1,
                });
                packed.insert(offset, element, usize::MAX);
            }
            Form::Many(quicklist) => {
                if let Some(place) = quicklist.chunks.locate(index) {
                    quicklist.insert(place, side, element, bytes.len(), limits);
                }
            }
        }
        true
    }

    /// Removes up to `count` elements that are `bytes`, those nearest to `from`. Returns how many they were.
    pub fn remove_matching(
        &mut self,
        bytes: &[u8],
        from: End,
        count: usize,
        limits: ListLimits,
    ) -> usize {
        let removed = match &mut self.form {
            Form::One(packed) => {
                let mut gone = Vec::new();
                find_all(packed, &Needle::new(bytes), from, count, &mut gone);
                packed.remove_all(&gone);
                gone.len()
            }
            Form::Many(quicklist) => quicklist.remove_matching(bytes, from, count, limits),
        };
        if removed > 0 {
            self.settle_after_removal(limits);
        }
        removed
    }

    /// Removes all but `count` elements from the index `start` on.
    pub fn keep_range(&mut self, start: usize, count: usize, limits: ListLimits) {
        let len = self.len();
        let front = start.min(len);
        let back = (len - front).saturating_sub(count);
        match &mut self.form {
            Form::One(packed) => {
                packed.cut(End::Front, front);
                packed.cut(End::Back, back);
            }
            Form::Many(quicklist) => {
                quicklist.cut(End::Front, front);
                quicklist.cut(End::Back, back);
            }
        }
        self.settle_after_removal(limits);
    }

    /// The chunks as files of Redis have them. A list that is small is one packed node.
    pub fn nodes(&self) -> impl Iterator<Item = Node<'_>> {
        let (one, many) = match &self.form {
            Form::One(packed) => (Some(packed), None),
            Form::Many(quicklist) => (None, Some(quicklist.chunks.iter())),
        };
        let node =
            |packed: &Packed| Node::Packed(Listpack::from_entries(packed.entries(), packed.len()));
        one.into_iter()
            .map(node)
            .chain(many.into_iter().flatten().map(move |chunk| match chunk {
                Chunk::Packed(packed) => node(packed),
                Chunk::Plain(plain) => Node::Plain(&plain.bytes),
            }))
    }

    /// The bytes of each chunk.
    pub fn node_sizes(&self) -> impl Iterator<Item = usize> {
        self.nodes().map(|node| match node {
            Node::Packed(listpack) => listpack.entries().len(),
            Node::Plain(bytes) => bytes.len(),
        })
    }

    /// Appends a chunk from a file. [`List::settle`] is to follow the last one.
    pub fn push_node(&mut self, node: Node<'_>) {
        let chunk = match node {
            Node::Packed(listpack) if listpack.is_empty() => return,
            Node::Packed(listpack) => {
                Chunk::Packed(Packed::from_entries(listpack.entries(), listpack.len()))
            }
            Node::Plain(bytes) => Chunk::plain(bytes.into()),
        };
        let mut quicklist = self.take_many();
        quicklist.chunks.push(End::Back, chunk);
        self.form = Form::Many(quicklist);
    }

    /// Changes the form to what the limits say: after loading a list from elsewhere.
    pub fn settle(&mut self, limits: ListLimits) {
        self.make_way(0, 0, limits);
        self.unite(limits, false);
    }

    /// The index from the first, if there is such an element.
    #[inline]
    fn index(&self, index: i64) -> Option<usize> {
        let len = self.len();
        let from_front = if index < 0 {
            len.checked_sub(usize::try_from(index.unsigned_abs()).ok()?)?
        } else {
            usize::try_from(index).ok()?
        };
        (from_front < len).then_some(from_front)
    }

    /// Before `count` elements of together `bytes` bytes are added: a list of one chunk that would get too large gets several.
    #[inline]
    fn make_way(&mut self, bytes: usize, count: usize, limits: ListLimits) {
        if let Form::One(packed) = &self.form
            && limits.exceeds(packed.size().saturating_add(bytes), packed.len() + count)
        {
            self.form = Form::Many(self.take_many());
        }
    }

    /// The chunks of a list that has several, or from now on may.
    fn take_many(&mut self) -> Box<Quicklist> {
        match std::mem::take(&mut self.form) {
            Form::One(packed) => Box::new(Quicklist::of(packed)),
            Form::Many(quicklist) => quicklist,
        }
    }

    /// After elements were removed: back to one chunk if that is half full at most.
    #[inline]
    fn settle_after_removal(&mut self, limits: ListLimits) {
        self.unite(limits, true);
    }

    fn unite(&mut self, limits: ListLimits, shrinking: bool) {
        let Form::Many(quicklist) = &mut self.form else {
            return;
        };
        if quicklist.chunks.count() > 1 {
            return;
        }
        let one = match quicklist.chunks.end(End::Front) {
            None => Packed::default(),
            Some(only) => match quicklist.chunks.get(only) {
                Chunk::Packed(packed) if limits.is_one(packed.size(), packed.len(), shrinking) => {
                    match std::mem::take(&mut quicklist.chunks).into_only() {
                        Some(Chunk::Packed(packed)) => packed,
                        _ => Packed::default(),
                    }
                }
                _ => return,
            },
        };
        self.form = Form::One(one);
    }
}

impl Object for List {
    fn prefetch(&self, _member: Option<&[u8]>) -> Option<u64> {
        match &self.form {
            Form::One(packed) => packed.prefetch(),
            Form::Many(quicklist) => prefetch_value(&**quicklist),
        }
        None
    }

    const KIND: Kind = Kind::List;

    fn memory_bytes(&self) -> usize {
        match &self.form {
            Form::One(packed) => packed.memory_bytes(),
            Form::Many(quicklist) => size_of::<Quicklist>() + quicklist.chunks.memory_bytes(),
        }
    }

    fn relocate(&mut self, from: u128, budget: usize) -> u128 {
        match &mut self.form {
            Form::One(packed) => {
                packed.relocate();
                0
            }
            Form::Many(quicklist) => {
                let from = usize::try_from(from).unwrap_or(usize::MAX);
                let next = quicklist.chunks.relocate(from, budget);
                next.map_or(0, |next| next as u128)
            }
        }
    }

    fn is_vacant(&self) -> bool {
        self.is_empty()
    }

    fn keep(&mut self, ticket: &Arc<Ticket>, out: &mut Vec<u8>) -> bool {
        match &mut self.form {
            Form::Many(quicklist) if quicklist.chunks.memory_bytes() > keep_above() => {
                quicklist.chunks.keep(ticket, out);
                true
            }
            _ => false,
        }
    }

    fn kept(&mut self) -> Option<&mut dyn Kept> {
        match &mut self.form {
            Form::Many(quicklist) if quicklist.chunks.keep.is_some() => Some(&mut quicklist.chunks),
            _ => None,
        }
    }

    fn encoding(&self) -> Encoding {
        match self.form {
            Form::One(_) => Encoding::Listpack,
            Form::Many(_) => Encoding::Quicklist,
        }
    }

    fn rewrite(&self, key: &[u8], emit: &mut dyn FnMut(&[&[u8]])) {
        let mut elements = self.iter();
        let mut buffers = [[0; INTEGER_TEXT_SIZE_MAX]; REWRITE_PORTION];
        loop {
            let mut words: Vec<&[u8]> = Vec::with_capacity(REWRITE_PORTION + 2);
            words.extend([&b"RPUSH"[..], key]);
            // In this order: an element is only taken if there is a buffer left.
            let portion = buffers.iter_mut().zip(elements.by_ref());
            words.extend(portion.map(|(buffer, element)| element.to_bytes(buffer)));
            if words.len() == 2 {
                break;
            }
            emit(&words);
        }
    }
}

/// Lists are equal if their elements are, whatever the chunks.
impl PartialEq for List {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl Eq for List {}

/// Puts into `found` where up to `count` elements lie that the needle matches, nearest to `from` first; then sorts them.
fn find_all(
    packed: &Packed,
    needle: &Needle<'_>,
    from: End,
    count: usize,
    found: &mut Vec<(u32, u32)>,
) {
    found.clear();
    let entries = packed.entries();
    match from {
        End::Front => {
            let mut at = 0;
            while found.len() < count
                && let Some(element) = entry::decode(&entries[at..])
            {
                let next = at + entry::size(&entries[at..]);
                if needle.matches(element) {
                    found.push((at as u32, next as u32));
                }
                at = next;
            }
        }
        End::Back => {
            let mut next = entries.len();
            while found.len() < count && next > 0 {
                let at = next - entry::last_size(entries, next);
                if let Some(element) = entry::decode(&entries[at..])
                    && needle.matches(element)
                {
                    found.push((at as u32, next as u32));
                }
                next = at;
            }
            found.reverse();
        }
    }
}
