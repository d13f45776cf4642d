//! Other names for commands, or none: `rename-command`.
//!
//! The log, the rules of users and whatever tells about commands keep to their own names.

use std::collections::{HashMap, HashSet};

use super::Registry;
use super::names::is_name;
use crate::command::Command;

/// One renaming. They take place one after the other: each is about the names that those before it have left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rename {
    /// The name so far, in any case.
    pub from: Vec<u8>,
    /// The new one; empty: it can't be called any more.
    pub to: Vec<u8>,
}

/// Why commands can't be renamed so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenameError {
    /// There is no command of that name.
    #[error("No such command in rename-command")]
    Unknown,
    /// The new name is another command's.
    #[error("Target command name already exists")]
    Taken,
    /// The new name can't be one.
    #[error("a command's name does not end with a zero")]
    NoName,
}

/// What has been renamed.
#[derive(Debug)]
pub(super) struct Renames {
    /// By the new name, in lower case: the own one.
    originals: HashMap<Vec<u8>, &'static str>,
    /// The [`Command::id`] of those that can't be called.
    gone: HashSet<usize>,
}

impl Renames {
    /// The names that are left of those of `registry`, and what has become of them.
    pub(super) fn apply(
        registry: &Registry,
        renames: &[Rename],
    ) -> Result<(HashMap<Vec<u8>, &'static Command>, Self), RenameError> {
        let commands = registry.commands().iter();
        let mut names: HashMap<Vec<u8>, &'static Command> = commands
            .map(|command| (command.full_name.clone().into(), command))
            .collect();
        let mut gone = HashSet::new();
        for Rename { from, to } in renames {
            let command = names.remove(&from.to_ascii_lowercase());
            let command = command.ok_or(RenameError::Unknown)?;
            if to.is_empty() {
                gone.insert(command.id);
                continue;
            }
            if !is_name(to) {
                return Err(RenameError::NoName);
            }
            if names.insert(to.to_ascii_lowercase(), command).is_some() {
                return Err(RenameError::Taken);
            }
        }
        let renamed = names
            .iter()
            .filter(|(name, command)| *name != command.full_name.as_bytes());
        let originals = renamed
            .map(|(name, command)| (name.clone(), command.spec.name))
            .collect();
        Ok((names, Self { originals, gone }))
    }

    pub(super) fn original(&self, name: &[u8]) -> Option<&'static str> {
        self.originals.get(&name.to_ascii_lowercase()).copied()
    }

    pub(super) fn is_gone(&self, id: usize) -> bool {
        self.gone.contains(&id)
    }
}

impl Registry {
    /// Whether these renamings are possible, which [`Registry::leak_renamed`] carries out.
    pub fn check_renames(&self, renames: &[Rename]) -> Result<(), RenameError> {
        Renames::apply(self, renames).map(drop)
    }
}
