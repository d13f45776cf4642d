//! Finds commands by name.

use std::collections::HashMap;

use crate::Args;
use crate::command::Command;
use crate::spec::CommandSpec;

/// Names up to this length are found without touching the heap. No command's name is longer.
const NAME_LEN_MAX: usize = 24;
/// Slots of the table of names: a power of two, several times the number of commands.
const SLOTS: usize = 2048;

/// All commands that a server knows.
#[derive(Debug)]
pub struct Registry {
    commands: Vec<Command>,
    /// Open addressing: for each slot the folded name and the index of its command.
    slots: Vec<Option<(FoldedName, u16)>>,
    by_full_name: HashMap<String, usize>,
    count: usize,
}

/// A name in lower case, padded with zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FoldedName([u64; NAME_LEN_MAX / 8]);

impl FoldedName {
    #[inline]
    fn new(name: &[u8]) -> Option<Self> {
        // The padding would make it equal to a shorter name.
        if name.last() == Some(&0) {
            return None;
        }
        let mut words = [0; NAME_LEN_MAX / 8];
        if name.len() <= 8 {
            words[0] = fold(load(name));
        } else {
            if name.len() > NAME_LEN_MAX {
                return None;
            }
            for (word, chunk) in words.iter_mut().zip(name.chunks(8)) {
                *word = fold(load(chunk));
            }
        }
        Some(Self(words))
    }

    #[inline]
    fn slot(&self) -> usize {
        let [a, b, c] = self.0;
        let mixed = (a ^ b.rotate_left(23) ^ c.rotate_left(41)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (mixed >> 48) as usize % SLOTS
    }
}

/// Up to eight bytes as a little-endian word.
#[inline]
fn load(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    match bytes {
        [a, b, c] => return u64::from(*a) | u64::from(*b) << 8 | u64::from(*c) << 16,
        _ => word[..bytes.len()].copy_from_slice(bytes),
    }
    u64::from_le_bytes(word)
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

impl Registry {
    /// The registry of these families. Commands live as long as the process (there is one registry
    /// in it), so that a request can hold on to its command.
    pub fn leak(families: &[&[&'static CommandSpec]]) -> &'static Self {
        let mut next_id = 0;
        let commands: Vec<Command> = families
            .iter()
            .flat_map(|family| family.iter())
            .map(|spec| Command::derive(spec, None, &mut next_id))
            .collect();
        let mut slots = vec![None; SLOTS];
        let mut by_full_name = HashMap::new();
        for (index, command) in commands.iter().enumerate() {
            let name = FoldedName::new(command.spec.name.as_bytes());
            // Declarations are ours: a wrong one must not get as far as a client.
            let name = name.unwrap_or_else(|| panic!("{}: name too long", command.spec.name));
            let mut slot = name.slot();
            while let Some((other, _)) = slots[slot] {
                assert!(other != name, "{} is declared twice", command.spec.name);
                slot = (slot + 1) % SLOTS;
            }
            slots[slot] = Some((name, index as u16));
            by_full_name.insert(command.full_name.clone(), index);
        }
        assert!(
            commands.len() < SLOTS / 2,
            "too many commands for the table of names"
        );
        Box::leak(Box::new(Self {
            commands,
            slots,
            by_full_name,
            count: next_id,
        }))
    }

    /// The command of that name, in any case.
    #[inline]
    pub fn find(&self, name: &[u8]) -> Option<&Command> {
        let name = FoldedName::new(name)?;
        let mut slot = name.slot();
        loop {
            match &self.slots[slot] {
                Some((found, index)) if *found == name => {
                    return self.commands.get(usize::from(*index));
                }
                Some(_) => slot = (slot + 1) % SLOTS,
                None => return None,
            }
        }
    }

    /// The command or, of a container, the subcommand that a request names.
    #[inline]
    pub fn resolve(&self, args: &Args<'_>) -> Resolved<'_> {
        let Some(command) = self.find(args.get(0)) else {
            return Resolved::Unknown;
        };
        if command.subcommands.is_empty() || args.len() < 2 {
            return Resolved::Command(command);
        }
        let name = args.get(1);
        match command
            .subcommands
            .iter()
            .find(|sub| sub.spec.name.as_bytes().eq_ignore_ascii_case(name))
        {
            Some(sub) => Resolved::Command(sub),
            None => Resolved::UnknownSubcommand(command),
        }
    }

    /// A command or subcommand by its full name in any case, `config|get` or `get`.
    pub fn by_full_name(&self, name: &[u8]) -> Option<&Command> {
        let name = std::str::from_utf8(name).ok()?.to_ascii_lowercase();
        match name.split_once('|') {
            None => self
                .by_full_name
                .get(&name)
                .map(|index| &self.commands[*index]),
            Some((container, sub)) => {
                let container = &self.commands[*self.by_full_name.get(container)?];
                container
                    .subcommands
                    .iter()
                    .find(|command| command.spec.name == sub)
            }
        }
    }

    /// The command or subcommand with this [`Command::id`].
    pub fn by_id(&self, id: usize) -> Option<&Command> {
        // Ids rise in the order of declaration, a container's before those of its subcommands.
        let after = self.commands.partition_point(|command| command.id <= id);
        let command = self.commands.get(after.checked_sub(1)?)?;
        match id - command.id {
            0 => Some(command),
            sub => command.subcommands.get(sub - 1),
        }
    }

    /// All commands, in the order of their declaration; subcommands are inside their containers.
    pub fn commands(&self) -> &[Command] {
        &self.commands
    }

    /// How many commands and subcommands there are: the bound of [`Command::id`].
    pub fn id_count(&self) -> usize {
        self.count
    }
}

/// What a request's name leads to.
#[derive(Clone, Copy, Debug)]
pub enum Resolved<'r> {
    /// This command, or subcommand.
    Command(&'r Command),
    /// No command has that name.
    Unknown,
    /// This container has no such subcommand.
    UnknownSubcommand(&'r Command),
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
}
