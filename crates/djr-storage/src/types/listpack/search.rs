//! Looking for an element, from entry to entry: what a field of a packed hash costs.

use super::entry::{self, Needle};
use crate::types::prefetch_bytes;

/// The first element that is `bytes`, among that at `from` and every `step`th after it. `all` is a listpack.
pub(super) fn find(all: &[u8], from: usize, bytes: &[u8], step: usize) -> Option<usize> {
    // The search goes from length to length: without it each line would be waited for.
    prefetch_bytes(all.get(from..)?);
    let needle = Needle::new(bytes);
    match bytes.len() {
        len @ 8..=0x3f if !needle.is_integer() => {
            // Entries of the same length begin with the same byte; their ends differ more often than their beginnings.
            let tail = bytes.last_chunk::<8>()?;
            let tag = 0x80 | len as u8;
            find_by(all, from, step, |first, entry| {
                first == tag
                    && entry.get(1 + len - 8..).and_then(<[u8]>::first_chunk) == Some(tail)
                    && entry.get(1..1 + len) == Some(bytes)
            })
        }
        _ => find_by(all, from, step, |_, entry| {
            entry::decode(entry).is_some_and(|element| needle.matches(element))
        }),
    }
}

/// The first entry for which `is_it` says so: it gets the entry's first byte, and all from there on.
#[inline(always)]
fn find_by(
    all: &[u8],
    from: usize,
    step: usize,
    mut is_it: impl FnMut(u8, &[u8]) -> bool,
) -> Option<usize> {
    let mut at = from;
    loop {
        let entry = all.get(at..)?;
        let first = *entry.first()?;
        if first == entry::END {
            return None;
        }
        if is_it(first, entry) {
            return Some(at);
        }
        let before = at;
        for _ in 0..step.max(1) {
            // At the end it is 0.
            at += entry::size(all.get(at..)?);
        }
        if at == before {
            return None; // no listpack
        }
    }
}
