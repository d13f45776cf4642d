//! The bytes of a whole file.
#![allow(unsafe_code)]

use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Deref;

use memmap2::{Advice, Mmap};

/// The bytes of a file, mapped or in memory. Made by [`Disk::contents`](super::Disk::contents).
pub struct Contents(Source);

enum Source {
    Mapped(Mmap),
    Owned(Vec<u8>),
}

impl Contents {
    /// Bytes that are in memory.
    pub fn owned(bytes: Vec<u8>) -> Self {
        Self(Source::Owned(bytes))
    }

    /// Maps a file. Reading it with calls would need a second copy of all bytes, and one thread that hands them out; a mapped one is read by all
    /// threads at once, and what has been read can be dropped by the system at any time.
    pub(super) fn mapped(file: &File) -> io::Result<Self> {
        // SAFETY: the bytes must not change while they are mapped. These are files in the server's own data directory (or one that is checked):
        // snapshots, which are complete before they get their name and are replaced, never written to. Should somebody else cut such a file off
        // while it is read, the system ends the process, as it would a server that finds half of its data gone.
        let map = unsafe { Mmap::map(file) }?;
        // Only a hint.
        let _ = map.advise(Advice::Sequential);
        Ok(Self(Source::Mapped(map)))
    }
}

impl Deref for Contents {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Source::Mapped(map) => map,
            Source::Owned(bytes) => bytes,
        }
    }
}

impl fmt::Debug for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.len())
    }
}
