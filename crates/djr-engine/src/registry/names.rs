//! The table of names: a name is found by one word, compared with one other.

use std::collections::HashMap;

use crate::command::Command;

/// Names up to this length are found without touching the heap: all but those that somebody has given in their place.
const NAME_LEN_MAX: usize = 24;
/// Slots of the table of names: a power of two, several times the number of commands.
const SLOTS: usize = 2048;

/// Commands by the names that requests use.
#[derive(Debug)]
pub(super) struct Names {
    /// Open addressing: the folded names of at most eight bytes, which nearly all are, and their commands.
    short: Box<[(u64, Option<&'static Command>)]>,
    /// The same for longer names.
    long: Box<[(FoldedName, Option<&'static Command>)]>,
    /// Names that are too long for that, in lower case.
    longest: HashMap<Vec<u8>, &'static Command>,
}

impl Names {
    /// A table of these names, in lower case. Each is there once, and [`is_name`].
    pub(super) fn new(names: impl IntoIterator<Item = (Vec<u8>, &'static Command)>) -> Self {
        let mut table = Self {
            short: vec![(0, None); SLOTS].into(),
            long: vec![(FoldedName::default(), None); SLOTS].into(),
            longest: HashMap::new(),
        };
        for (name, command) in names {
            match FoldedName::new(&name) {
                None => drop(table.longest.insert(name, command)),
                Some(folded) if name.len() <= 8 => {
                    let word = folded.0[0];
                    put(&mut table.short, slot(word), (word, Some(command)));
                }
                Some(folded) => put(&mut table.long, folded.slot(), (folded, Some(command))),
            }
        }
        table
    }

    /// The command of that name, in any case.
    #[inline]
    pub(super) fn find(&self, name: &[u8]) -> Option<&'static Command> {
        // A zero at the end would be taken for padding.
        if name.len() > 8 || matches!(name, [] | [.., 0]) {
            return self.find_long(name);
        }
        let word = fold(load(name));
        let mut slot = slot(word);
        loop {
            let (found, command) = self.short[slot % SLOTS];
            if found == word || command.is_none() {
                return command;
            }
            slot += 1;
        }
    }

    #[cold]
    fn find_long(&self, name: &[u8]) -> Option<&'static Command> {
        if name.len() > NAME_LEN_MAX {
            let known = !self.longest.is_empty();
            return known
                .then(|| self.longest.get(&name.to_ascii_lowercase()).copied())
                .flatten();
        }
        let name = FoldedName::new(name).filter(|_| name.len() > 8)?;
        let mut slot = name.slot();
        loop {
            let (found, command) = self.long[slot % SLOTS];
            if found == name || command.is_none() {
                return command;
            }
            slot += 1;
        }
    }
}

/// Whether requests can use this as the name of a command.
pub(super) fn is_name(name: &[u8]) -> bool {
    !matches!(name, [] | [.., 0])
}

/// A name in lower case, padded with zeros.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct FoldedName([u64; NAME_LEN_MAX / 8]);

impl FoldedName {
    fn new(name: &[u8]) -> Option<Self> {
        // The padding would make it equal to a shorter name.
        if name.len() > NAME_LEN_MAX || name.last() == Some(&0) {
            return None;
        }
        let mut words = [0; NAME_LEN_MAX / 8];
        for (word, chunk) in words.iter_mut().zip(name.chunks(8)) {
            *word = fold(load(chunk));
        }
        Some(Self(words))
    }

    fn slot(&self) -> usize {
        let [a, b, c] = self.0;
        slot(a ^ b.rotate_left(23) ^ c.rotate_left(41))
    }
}

#[inline]
fn slot(word: u64) -> usize {
    (word.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 48) as usize % SLOTS
}

/// One to eight bytes as a little-endian word.
#[inline]
fn load(bytes: &[u8]) -> u64 {
    let four = |at: usize| {
        let chunk = bytes.get(at..).and_then(|rest| rest.first_chunk());
        u64::from(u32::from_le_bytes(chunk.copied().unwrap_or_default()))
    };
    match *bytes {
        [a, b, c] => u64::from(a) | u64::from(b) << 8 | u64::from(c) << 16,
        [a, b] => u64::from(a) | u64::from(b) << 8,
        [a] => u64::from(a),
        // The two halves overlap where there are less than eight.
        [_, _, _, _, ..] if bytes.len() <= 8 => {
            four(0) | four(bytes.len() - 4) << ((bytes.len() - 4) * 8)
        }
        _ => 0,
    }
}

/// ASCII letters of all eight bytes in lower case.
#[inline]
const fn fold(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let heptets = word & (ONES * 0x7f);
    // The top bit of a byte is set where the byte is at least 'A', or greater than 'Z'.
    let at_least_a = heptets + ONES * (0x80 - b'A' as u64);
    let above_z = heptets + ONES * (0x7f - b'Z' as u64);
    let upper = at_least_a & !above_z & !word & (ONES * 0x80);
    word | (upper >> 2)
}

/// Puts an element of a table with open addressing into the first free slot from its own on.
fn put<N>(
    slots: &mut [(N, Option<&'static Command>)],
    mut slot: usize,
    element: (N, Option<&'static Command>),
) {
    while slots[slot % SLOTS].1.is_some() {
        slot += 1;
    }
    slots[slot % SLOTS] = element;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_only_letters() {
        for byte in 0..=255_u8 {
            let folded = fold(load(&[b'x', byte, b'Y'])).to_le_bytes();
            assert_eq!(
                folded[..3],
                [b'x', byte.to_ascii_lowercase(), b'y'],
                "byte {byte}"
            );
        }
    }

    #[test]
    fn loads_any_length() {
        let text = b"ABCDefgh";
        for len in 1..=text.len() {
            let mut padded = [0; 8];
            padded[..len].copy_from_slice(&text[..len]);
            assert_eq!(load(&text[..len]).to_le_bytes(), padded, "{len}");
        }
    }
}
