//! Walking over a list, or a part of one, from either end.

use super::chunks::{Chunk, ChunkIter};
use super::{End, Form, List};
use crate::types::listpack::{Element, entry};

impl List {
    /// The elements, first to last.
    pub fn iter(&self) -> Iter<'_> {
        self.iter_from(0)
    }

    /// The elements from this index (from the first, 0) on.
    pub fn iter_from(&self, index: usize) -> Iter<'_> {
        let mut iter = Iter::default();
        match &self.form {
            Form::One(packed) if index < packed.len() => {
                iter.entries = &packed.entries()[packed.offset(index)..];
            }
            Form::One(_) => {}
            Form::Many(quicklist) => {
                if let Some((at, index)) = quicklist.chunks.locate(index) {
                    match quicklist.chunks.get(at) {
                        Chunk::Packed(packed) => {
                            iter.entries = &packed.entries()[packed.offset(index)..];
                        }
                        Chunk::Plain(plain) => iter.plain = Some(&plain.bytes),
                    }
                    iter.chunks = quicklist.chunks.behind(at);
                }
            }
        }
        iter
    }

    /// The elements, last to first.
    pub fn iter_rev(&self) -> IterRev<'_> {
        match self.len().checked_sub(1) {
            Some(last) => self.iter_rev_from(last),
            None => IterRev::default(),
        }
    }

    /// The elements from this index (from the first, 0) on towards the first.
    pub fn iter_rev_from(&self, index: usize) -> IterRev<'_> {
        let mut iter = IterRev::default();
        match &self.form {
            Form::One(packed) if index < packed.len() => {
                iter.entries = &packed.entries()[..packed.offset(index + 1)];
            }
            Form::One(_) => {}
            Form::Many(quicklist) => {
                if let Some((at, index)) = quicklist.chunks.locate(index) {
                    match quicklist.chunks.get(at) {
                        Chunk::Packed(packed) => {
                            iter.entries = &packed.entries()[..packed.offset(index + 1)];
                        }
                        Chunk::Plain(plain) => iter.plain = Some(&plain.bytes),
                    }
                    iter.chunks = quicklist.chunks.before(at);
                }
            }
        }
        iter
    }
}

impl<'a> IntoIterator for &'a List {
    type Item = Element<'a>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// Elements, first to last.
#[derive(Clone, Debug, Default)]
pub struct Iter<'a> {
    /// Those left of the chunk.
    entries: &'a [u8],
    /// Or this one.
    plain: Option<&'a [u8]>,
    /// What comes then.
    chunks: ChunkIter<'a>,
}

impl<'a> Iterator for Iter<'a> {
    type Item = Element<'a>;

    #[inline]
    fn next(&mut self) -> Option<Element<'a>> {
        loop {
            if let Some(element) = entry::decode(self.entries) {
                self.entries = self.entries.get(entry::size(self.entries)..)?;
                return Some(element);
            }
            if let Some(bytes) = self.plain.take() {
                return Some(Element::Bytes(bytes));
            }
            match self.chunks.next(End::Front)? {
                Chunk::Packed(packed) => self.entries = packed.entries(),
                Chunk::Plain(plain) => self.plain = Some(&plain.bytes),
            }
        }
    }
}

/// Elements, last to first.
#[derive(Clone, Debug, Default)]
pub struct IterRev<'a> {
    entries: &'a [u8],
    plain: Option<&'a [u8]>,
    chunks: ChunkIter<'a>,
}

impl<'a> Iterator for IterRev<'a> {
    type Item = Element<'a>;

    #[inline]
    fn next(&mut self) -> Option<Element<'a>> {
        loop {
            let end = self.entries.len();
            if end > 0 {
                let at = end.checked_sub(entry::last_size(self.entries, end))?;
                let (rest, last) = self.entries.split_at(at);
                self.entries = rest;
                return entry::decode(last);
            }
            if let Some(bytes) = self.plain.take() {
                return Some(Element::Bytes(bytes));
            }
            match self.chunks.next(End::Back)? {
                Chunk::Packed(packed) => self.entries = packed.entries(),
                Chunk::Plain(plain) => self.plain = Some(&plain.bytes),
            }
        }
    }
}
