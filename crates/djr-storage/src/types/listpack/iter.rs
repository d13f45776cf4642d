//! Walking over a listpack, or a part of one.

use super::{Element, HEADER_SIZE, Listpack, entry};

impl Listpack {
    /// The elements, first to last.
    #[inline]
    pub fn iter(&self) -> Iter<'_> {
        self.iter_from(HEADER_SIZE)
    }

    /// The elements from `at` on.
    #[inline]
    pub fn iter_from(&self, at: usize) -> Iter<'_> {
        Iter {
            bytes: &self.as_bytes()[..self.end()],
            at,
        }
    }

    /// The elements, last to first.
    #[inline]
    pub fn iter_rev(&self) -> IterRev<'_> {
        self.iter_rev_before(self.end())
    }

    /// The elements before `at`, last to first.
    #[inline]
    pub fn iter_rev_before(&self, at: usize) -> IterRev<'_> {
        IterRev {
            bytes: self.as_bytes(),
            start: HEADER_SIZE,
            at,
        }
    }
}

impl<'a> IntoIterator for &'a Listpack {
    type Item = Element<'a>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl<B: AsRef<[u8]>> FromIterator<B> for Listpack {
    fn from_iter<I: IntoIterator<Item = B>>(elements: I) -> Self {
        let mut listpack = Self::new();
        for element in elements {
            listpack.push_back(element.as_ref());
        }
        listpack
    }
}

/// Elements, first to last.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    /// Up to the end of the last entry.
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Iter<'a> {
    /// The position of the element that comes next.
    #[inline]
    pub fn position(&self) -> usize {
        self.at
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = Element<'a>;

    #[inline]
    fn next(&mut self) -> Option<Element<'a>> {
        let rest = self.bytes.get(self.at..)?;
        let element = entry::decode(rest)?;
        self.at += entry::size(rest);
        Some(element)
    }
}

/// Elements, last to first.
#[derive(Clone, Debug)]
pub struct IterRev<'a> {
    bytes: &'a [u8],
    /// Position of the first entry.
    start: usize,
    /// Position of the entry that came last, or the end.
    at: usize,
}

impl<'a> IterRev<'a> {
    /// The position of the element that came last.
    #[inline]
    pub fn position(&self) -> usize {
        self.at
    }
}

impl<'a> Iterator for IterRev<'a> {
    type Item = Element<'a>;

    #[inline]
    fn next(&mut self) -> Option<Element<'a>> {
        if self.at <= self.start {
            return None;
        }
        let at = self.at.checked_sub(entry::last_size(self.bytes, self.at))?;
        let element = entry::decode(self.bytes.get(at..self.at)?)?;
        self.at = at;
        Some(element)
    }
}
