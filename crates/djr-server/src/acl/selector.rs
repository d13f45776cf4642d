//! A selector: a set of commands together with the keys, channels and dbs that they may touch. A user has one at least.

use std::collections::{BTreeMap, BTreeSet};

use djr_engine::command::Command;
use djr_engine::registry::Registry;
use djr_engine::spec::Access;

use super::pattern::{Name, Pattern};
use super::rule::RuleError;

/// What a selector lets a user do with the keys of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KeyAccess {
    pub(super) read: bool,
    pub(super) write: bool,
}

impl KeyAccess {
    pub(super) const BOTH: Self = Self {
        read: true,
        write: true,
    };

    /// What is needed for what a command does to a key. Looking whether it exists, or how long it is, needs nothing.
    #[inline]
    pub(super) fn needed(access: Access) -> Self {
        Self {
            read: access.has(Access::ACCESS),
            write: access.has(Access::UPDATE)
                || access.has(Access::INSERT)
                || access.has(Access::DELETE),
        }
    }

    #[inline]
    fn covers(self, needed: Self) -> bool {
        (self.read || !needed.read) && (self.write || !needed.write)
    }
}

/// A rule about keys.
#[derive(Clone, Debug, PartialEq, Eq)]
struct KeyRule {
    pattern: Pattern,
    access: KeyAccess,
}

/// A set of commands and what they may touch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Selector {
    /// Every command: also those that may be added in a later version.
    pub(super) all_commands: bool,
    /// What is said of commands that no rule names: those of a later version.
    future_commands: bool,
    /// By [`Command::id`].
    commands: Box<[u64]>,
    /// First arguments with which a command may be called that may not be called otherwise; in lower case.
    first_args: BTreeMap<usize, Vec<Box<[u8]>>>,
    /// The rules about commands and categories so far, each with its sign; what a later one undoes is gone.
    command_rules: Vec<String>,
    pub(super) all_keys: bool,
    keys: Vec<KeyRule>,
    pub(super) all_channels: bool,
    channels: Vec<Pattern>,
    /// The dbs; `None` for all.
    pub(super) dbs: Option<BTreeSet<u32>>,
}

impl Selector {
    /// Without any right.
    pub(super) fn new(registry: &Registry, all_channels: bool) -> Self {
        Self {
            all_commands: false,
            future_commands: false,
            commands: vec![0; registry.id_count().div_ceil(64)].into(),
            first_args: BTreeMap::new(),
            command_rules: Vec::new(),
            all_keys: false,
            keys: Vec::new(),
            all_channels,
            channels: Vec::new(),
            dbs: None,
        }
    }

    /// Applies one rule.
    pub(super) fn apply(&mut self, rule: &[u8], registry: &Registry) -> Result<(), RuleError> {
        let is = |word: &str| rule.eq_ignore_ascii_case(word.as_bytes());
        if is("allkeys") || is("~*") {
            self.all_keys = true;
            self.keys.clear();
        } else if is("resetkeys") {
            self.all_keys = false;
            self.keys.clear();
        } else if is("allchannels") || is("&*") {
            self.all_channels = true;
            self.channels.clear();
        } else if is("resetchannels") {
            self.all_channels = false;
            self.channels.clear();
        } else if is("allcommands") || is("+@all") {
            self.all_commands = true;
            self.set_all_commands(true);
        } else if is("nocommands") || is("-@all") {
            self.all_commands = false;
            self.set_all_commands(false);
        } else if is("alldbs") {
            self.dbs = None;
        } else if is("resetdbs") {
            self.dbs = Some(BTreeSet::new());
        } else {
            match rule {
                [b'~' | b'%', ..] => self.add_keys(rule)?,
                [b'&', pattern @ ..] => self.add_channels(pattern)?,
                [b'+', b'@', name @ ..] => self.set_category(name, true, registry)?,
                [b'-', b'@', name @ ..] => self.set_category(name, false, registry)?,
                [b'+', name @ ..] => self.allow(name, registry)?,
                [b'-', name @ ..] => {
                    let command = registry.by_full_name(name).ok_or(RuleError::Unknown)?;
                    self.set_command(command, false);
                    self.note(&command.full_name, false);
                }
                [b'd' | b'D', b'b' | b'B', b'=', list @ ..] => {
                    self.dbs = Some(parse_dbs(list)?);
                }
                _ => return Err(RuleError::Syntax),
            }
        }
        Ok(())
    }

    fn set_all_commands(&mut self, allow: bool) {
        self.future_commands = allow;
        self.commands.fill(if allow { u64::MAX } else { 0 });
        self.first_args.clear();
        self.command_rules.clear();
    }

    fn set_bit(&mut self, id: usize, allow: bool) {
        let Some(word) = self.commands.get_mut(id / 64) else {
            return;
        };
        if allow {
            *word |= 1 << (id % 64);
        } else {
            *word &= !(1 << (id % 64));
            self.all_commands = false;
        }
    }

    /// A command and its subcommands.
    fn set_command(&mut self, command: &Command, allow: bool) {
        self.set_bit(command.id, allow);
        self.first_args.remove(&command.id);
        for sub in &command.subcommands {
            self.set_bit(sub.id, allow);
        }
    }

    fn set_category(
        &mut self,
        name: &[u8],
        allow: bool,
        registry: &Registry,
    ) -> Result<(), RuleError> {
        let category = super::category(name).ok_or(RuleError::Unknown)?;
        for command in registry.commands() {
            if command.categories.contains(&category) {
                self.set_command(command, allow);
            }
            for sub in &command.subcommands {
                if sub.categories.contains(&category) {
                    self.set_command(sub, allow);
                }
            }
        }
        self.note(&format!("@{category}"), allow);
        Ok(())
    }

    /// `+command`, `+container|subcommand` or `+command|first-argument`.
    fn allow(&mut self, name: &[u8], registry: &Registry) -> Result<(), RuleError> {
        let Some(bar) = name.iter().rposition(|byte| *byte == b'|') else {
            let command = registry.by_full_name(name).ok_or(RuleError::Unknown)?;
            self.set_command(command, true);
            self.note(&command.full_name, true);
            return Ok(());
        };
        let (parent, sub) = (&name[..bar], &name[bar + 1..]);
        let command = registry.by_full_name(parent).ok_or(RuleError::Unknown)?;
        if parent.contains(&b'|') {
            return Err(RuleError::FirstArgOfSubcommand);
        }
        if sub.is_empty() {
            return Err(RuleError::Syntax);
        }
        if command.subcommands.is_empty() {
            let arguments = self.first_args.entry(command.id).or_default();
            let argument: Box<[u8]> = sub.to_ascii_lowercase().into();
            if !arguments.contains(&argument) {
                arguments.push(argument);
            }
        } else {
            let command = registry.by_full_name(name).ok_or(RuleError::Unknown)?;
            self.set_command(command, true);
        }
        self.note(&String::from_utf8_lossy(name), true);
        Ok(())
    }

    /// Adds a rule about commands; those that it makes meaningless go: the same one, and those about its subcommands.
    fn note(&mut self, rule: &str, allow: bool) {
        let rule = rule.to_ascii_lowercase();
        self.command_rules.retain(|known| {
            let rest = known.get(1..).and_then(|known| known.strip_prefix(&*rule));
            !rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('|'))
        });
        let sign = if allow { '+' } else { '-' };
        self.command_rules.push(format!("{sign}{rule}"));
    }

    fn add_keys(&mut self, rule: &[u8]) -> Result<(), RuleError> {
        if self.all_keys {
            return Err(RuleError::AfterAllKeys);
        }
        let (access, pattern) = match rule {
            [b'%', rest @ ..] => {
                let end = rest.iter().position(|byte| *byte == b'~');
                let (letters, pattern) = match end {
                    Some(end) => (&rest[..end], &rest[end + 1..]),
                    None => (rest, &b""[..]),
                };
                let mut access = KeyAccess {
                    read: false,
                    write: false,
                };
                for letter in letters {
                    let right = match letter.to_ascii_uppercase() {
                        b'R' => &mut access.read,
                        b'W' => &mut access.write,
                        _ => return Err(RuleError::Syntax),
                    };
                    if std::mem::replace(right, true) {
                        return Err(RuleError::Syntax);
                    }
                }
                if letters.is_empty() {
                    return Err(RuleError::Syntax);
                }
                (access, pattern)
            }
            [_, pattern @ ..] => (KeyAccess::BOTH, pattern),
            [] => return Err(RuleError::Syntax),
        };
        if has_spaces(pattern) {
            return Err(RuleError::Syntax);
        }
        match self
            .keys
            .iter_mut()
            .find(|rule| rule.pattern.text() == pattern)
        {
            Some(known) => {
                known.access.read |= access.read;
                known.access.write |= access.write;
            }
            None => self.keys.push(KeyRule {
                pattern: Pattern::new(pattern),
                access,
            }),
        }
        Ok(())
    }

    fn add_channels(&mut self, pattern: &[u8]) -> Result<(), RuleError> {
        if self.all_channels {
            return Err(RuleError::AfterAllChannels);
        }
        if has_spaces(pattern) {
            return Err(RuleError::Syntax);
        }
        if !self.channels.iter().any(|known| known.text() == pattern) {
            self.channels.push(Pattern::new(pattern));
        }
        Ok(())
    }

    /// Whether a command may be called with these first arguments.
    #[inline]
    pub(super) fn has_bit(&self, id: usize) -> bool {
        let word = self.commands.get(id / 64).copied().unwrap_or(0);
        word & (1 << (id % 64)) != 0
    }

    /// Whether a command may be called with this first argument, though not with others.
    #[cold]
    pub(super) fn allows_first_arg(&self, id: usize, first: &[u8]) -> bool {
        self.first_args.get(&id).is_some_and(|allowed| {
            allowed
                .iter()
                .any(|allowed| allowed.eq_ignore_ascii_case(first))
        })
    }

    #[inline]
    pub(super) fn allows_key(&self, key: &[u8], needed: KeyAccess) -> bool {
        let name = Name::new(key);
        self.keys
            .iter()
            .any(|rule| rule.pattern.matches(name) && rule.access.covers(needed))
    }

    /// Whether every key may be read, as far as the patterns are concerned.
    pub(super) fn reads_all_keys(&self) -> bool {
        self.all_keys
            || self
                .keys
                .iter()
                .any(|rule| rule.access.read && rule.pattern.text() == b"*")
    }

    /// Whether a channel may be used; a pattern of channels has to be named by a rule literally.
    pub(super) fn allows_channel(&self, name: &[u8], is_pattern: bool) -> bool {
        self.all_channels
            || self.channels.iter().any(|rule| {
                if is_pattern {
                    rule.text() == name
                } else {
                    rule.matches(Name::new(name))
                }
            })
    }

    pub(super) fn describe_commands(&self) -> String {
        let mut text = String::from(if self.future_commands {
            "+@all"
        } else {
            "-@all"
        });
        for rule in &self.command_rules {
            text.push(' ');
            text.push_str(rule);
        }
        text
    }

    pub(super) fn describe_keys(&self) -> Vec<u8> {
        if self.all_keys {
            return b"~*".to_vec();
        }
        let rules = self.keys.iter().map(|rule| {
            let sign = match (rule.access.read, rule.access.write) {
                (true, true) => &b"~"[..],
                (true, false) => b"%R~",
                _ => b"%W~",
            };
            [sign, rule.pattern.text()].concat()
        });
        join(rules)
    }

    pub(super) fn describe_channels(&self) -> Vec<u8> {
        if self.all_channels {
            return b"&*".to_vec();
        }
        join(
            self.channels
                .iter()
                .map(|rule| [b"&", rule.text()].concat()),
        )
    }

    /// `alldbs`, nothing (none), or `db=…`.
    pub(super) fn describe_dbs(&self) -> String {
        match &self.dbs {
            None => "alldbs".into(),
            Some(dbs) if dbs.is_empty() => String::new(),
            Some(dbs) => {
                let dbs: Vec<_> = dbs.iter().map(ToString::to_string).collect();
                format!("db={}", dbs.join(","))
            }
        }
    }

    /// The rules that make it.
    pub(super) fn describe(&self) -> Vec<u8> {
        let mut parts = vec![self.describe_keys()];
        if self.all_channels {
            parts.push(b"&*".to_vec());
        } else {
            parts.push(b"resetchannels".to_vec());
            parts.push(self.describe_channels());
        }
        match &self.dbs {
            None => {}
            Some(dbs) if dbs.is_empty() => parts.push(b"resetdbs".to_vec()),
            Some(_) => parts.push(self.describe_dbs().into_bytes()),
        }
        parts.push(self.describe_commands().into_bytes());
        parts.retain(|part| !part.is_empty());
        join(parts.into_iter())
    }
}

fn join(parts: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    parts.collect::<Vec<_>>().join(&b' ')
}

/// What would end a word in a file of users.
pub(super) fn has_spaces(text: &[u8]) -> bool {
    text.iter()
        .any(|byte| byte.is_ascii_whitespace() || *byte == 0 || *byte == 0x0b)
}

fn parse_dbs(list: &[u8]) -> Result<BTreeSet<u32>, RuleError> {
    list.split(|byte| *byte == b',')
        .map(|word| {
            let number = djr_storage::value::parse_integer(word).ok_or(RuleError::Syntax)?;
            match i32::try_from(number) {
                Ok(number @ 0..) => Ok(number as u32),
                _ => Err(RuleError::BadDatabase),
            }
        })
        .collect()
}
