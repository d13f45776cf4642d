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
    commands: &'static [Command],
    /// Open addressing: the folded names of at most eight bytes, which nearly all are, and their commands.
    short: Box<[(u64, Option<&'static Command>)]>,
    /// The same for longer names.
    long: Box<[(FoldedName, Option<&'static Command>)]>,
    by_full_name: HashMap<String, usize>,
    count: usize,
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
        let commands: &'static [Command] = Box::leak(commands.into());
        let mut short = vec![(0, None); SLOTS];
        let mut long = vec![(FoldedName::default(), None); SLOTS];
        let mut by_full_name = HashMap::new();
        assert!(
            commands.len() < SLOTS / 2,
            "too many commands for the table of names"
        );
        for (index, command) in commands.iter().enumerate() {
            let text = command.spec.name.as_bytes();
            // Declarations are ours: a wrong one must not get as far as a client.
            let name = FoldedName::new(text)
                .unwrap_or_else(|| panic!("{}: name too long", command.spec.name));
            assert!(
                by_full_name
                    .insert(command.full_name.clone(), index)
                    .is_none(),
                "{} is declared twice",
                command.spec.name
            );
            if text.len() <= 8 {
                put(&mut short, slot(name.0[0]), (name.0[0], Some(command)));
            } else {
                put(&mut long, name.slot(), (name, Some(command)));
            }
        }
        Box::leak(Box::new(Self {
            commands,
            short: short.into(),
            long: long.into(),
            by_full_name,
            count: next_id,
        }))
    }

    /// The command of that name, in any case.
    #[inline]
    pub fn find(&self, name: &[u8]) -> Option<&'static Command> {
        if name.len() > 8 || name.is_empty() {
            return self.find_long(name);
        }
        let word = fold(load(name));
        let mut slot = slot(word);
        loop {
            let (found, command) = self.short[slot % SLOTS];
            if found == word || command.is_none() {
                // A zero at the end is no padding.
                return command.filter(|command| command.spec.name.len() == name.len());
            }
            slot += 1;
        }
    }

    #[cold]
    fn find_long(&self, name: &[u8]) -> Option<&'static Command> {
        let name = FoldedName::new(name)?;
        let mut slot = name.slot();
        loop {
            let (found, command) = self.long[slot % SLOTS];
            if found == name || command.is_none() {
                return command;
            }
            slot += 1;
        }
    }

    /// The command or, of a container, the subcommand that a request names.
    #[inline]
    pub fn resolve(&self, args: &Args<'_>) -> Resolved {
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
    pub fn by_full_name(&self, name: &[u8]) -> Option<&'static Command> {
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
    pub fn by_id(&self, id: usize) -> Option<&'static Command> {
        // Ids rise in the order of declaration, a container's before those of its subcommands.
        let after = self.commands.partition_point(|command| command.id <= id);
        let command = self.commands.get(after.checked_sub(1)?)?;
        match id - command.id {
            0 => Some(command),
            sub => command.subcommands.get(sub - 1),
        }
    }

    /// All commands, in the order of their declaration; subcommands are inside their containers.
    pub fn commands(&self) -> &'static [Command] {
        self.commands
    }

    /// How many commands and subcommands there are: the bound of [`Command::id`].
    pub fn id_count(&self) -> usize {
        self.count
    }
}

/// What a request's name leads to.
#[derive(Clone, Copy, Debug)]
pub enum Resolved {
    /// This command, or subcommand.
    Command(&'static Command),
    /// No command has that name.
    Unknown,
    /// This container has no such subcommand.
    UnknownSubcommand(&'static Command),
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

    #[test]
    fn finds_each_name_and_no_other() {
        let registry = crate::testkit::registry();
        for command in registry.commands() {
            let name = command.spec.name;
            for text in [name.to_owned(), name.to_uppercase()] {
                let found = registry.find(text.as_bytes());
                assert_eq!(found.map(|found| found.id), Some(command.id), "{name}");
            }
            for text in [
                format!("{name}\0"),
                format!("\0{name}"),
                format!("{name}x-"),
            ] {
                assert!(registry.find(text.as_bytes()).is_none(), "{text:?}");
            }
        }
        assert!(registry.find(b"").is_none());
        assert!(registry.find(&[0; 8]).is_none());
        assert!(registry.find(&[b'g'; 99]).is_none());
    }

    #[test]
    fn knows_where_the_member_is() {
        let registry = crate::testkit::registry();
        let member_at = |name: &str| {
            registry
                .find(name.as_bytes())
                .expect("it is there")
                .member_at
        };
        for (name, at) in [
            ("sadd", 2),
            ("sismember", 2),
            ("hset", 2),
            ("hget", 2),
            ("zadd", 3),
            ("geoadd", 4),
            ("zscore", 2),
            ("get", 0),
            ("lpush", 0),
            ("hgetall", 0),
            ("sintercard", 0),
        ] {
            assert_eq!(member_at(name), at, "{name}");
        }
    }
}
