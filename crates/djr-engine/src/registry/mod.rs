//! Finds commands by name.

mod names;
mod rename;

use crate::Args;
use crate::command::Command;
use crate::spec::CommandSpec;
use names::Names;
use rename::Renames;

pub use rename::{Rename, RenameError};

/// All commands that a server knows.
#[derive(Debug)]
pub struct Registry {
    commands: &'static [Command],
    names: Names,
    /// What has been renamed, if anything, and the registry where it was not.
    renamed: Option<(Renames, &'static Self)>,
    count: usize,
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
        // Declarations are ours: a wrong one must not get as far as a client.
        for (index, command) in commands.iter().enumerate() {
            let is_same = |other: &Command| other.full_name == command.full_name;
            assert!(
                !commands[..index].iter().any(is_same),
                "{} is declared twice",
                command.full_name
            );
        }
        let names = commands
            .iter()
            .map(|command| (command.full_name.clone().into(), command));
        Box::leak(Box::new(Self {
            commands,
            names: Names::new(names),
            renamed: None,
            count: next_id,
        }))
    }

    /// The same commands under other names, or under none. Lives as long as the process, too.
    pub fn leak_renamed(&'static self, renames: &[Rename]) -> Result<&'static Self, RenameError> {
        let (names, renames) = Renames::apply(self, renames)?;
        Ok(Box::leak(Box::new(Self {
            commands: self.commands,
            names: Names::new(names),
            renamed: Some((renames, self)),
            count: self.count,
        })))
    }

    /// The command of that name, in any case.
    #[inline]
    pub fn find(&self, name: &[u8]) -> Option<&'static Command> {
        self.names.find(name)
    }

    /// What a request's command was called before it was renamed.
    #[inline]
    pub(crate) fn original_name(&self, name: &[u8]) -> Option<&'static str> {
        let (renames, _) = self.renamed.as_ref()?;
        renames.original(name)
    }

    /// Whether any command has another name than its own.
    #[inline]
    pub(crate) fn has_renames(&self) -> bool {
        self.renamed.is_some()
    }

    /// The registry with all commands under their own names: for requests that are no client's.
    pub fn declared(&'static self) -> &'static Self {
        self.renamed.as_ref().map_or(self, |(_, declared)| declared)
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
            None => Resolved::UnknownSubcommand,
        }
    }

    /// A command or subcommand by its full name in any case, `config|get` or `get`.
    pub fn by_full_name(&self, name: &[u8]) -> Option<&'static Command> {
        let mut words = name.splitn(2, |byte| *byte == b'|');
        let command = self.find(words.next()?)?;
        let Some(sub) = words.next() else {
            return Some(command);
        };
        let mut subs = command.subcommands.iter();
        subs.find(|command| command.spec.name.as_bytes().eq_ignore_ascii_case(sub))
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

    /// Those that have a name with which they can be called.
    pub fn callable(&self) -> impl Iterator<Item = &'static Command> {
        let gone = |command: &Command| {
            let renamed = self.renamed.as_ref();
            renamed.is_some_and(|(renames, _)| renames.is_gone(command.id))
        };
        self.commands.iter().filter(move |command| !gone(command))
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
    /// A container has no such subcommand.
    UnknownSubcommand,
}

#[cfg(test)]
mod tests {

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
