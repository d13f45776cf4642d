//! Whether a user may run a command with these arguments.

use djr_engine::command::Command;
use djr_engine::keys::each_key_access;
use djr_engine::spec::{Access, Flags};
use djr_engine::{Args, CommandError};

use super::selector::{KeyAccess, Selector};
use super::user::User;

/// Why a user may not. In the order in which one counts for more than another where several selectors refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Denied {
    /// The db named by this argument; 0: the selected one, or all of them.
    Database(usize),
    /// The command itself.
    Command,
    /// This argument, a key.
    Key(usize),
    /// This argument, a channel.
    Channel(usize),
}

impl Denied {
    /// The word of ACL LOG.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Database(_) => "database",
            Self::Command => "command",
            Self::Key(_) => "key",
            Self::Channel(_) => "channel",
        }
    }

    /// What was refused, for ACL LOG.
    pub(crate) fn object(self, command: &Command, args: &Args<'_>) -> Vec<u8> {
        match self {
            Self::Command => command.full_name.clone().into_bytes(),
            Self::Database(at) | Self::Key(at) | Self::Channel(at) => args.get(at).to_vec(),
        }
    }

    /// The error's text behind its code.
    pub(crate) fn text(self, user: &User, command: &Command) -> String {
        match self {
            Self::Database(_) => "No permissions to access database".into(),
            Self::Command => format!(
                "User {} has no permissions to run the '{}' command",
                String::from_utf8_lossy(user.name()),
                command.full_name
            ),
            Self::Key(_) => "No permissions to access a key".into(),
            Self::Channel(_) => "No permissions to access a channel".into(),
        }
    }

    /// The same, for an administrator who wants to know exactly (`ACL DRYRUN`).
    pub(crate) fn full_text(self, user: &User, command: &Command, args: &Args<'_>) -> Vec<u8> {
        let (kind, at) = match self {
            Self::Command => return self.text(user, command).into_bytes(),
            Self::Database(at) => ("database ", at),
            Self::Key(at) => ("the '", at),
            Self::Channel(at) => ("the '", at),
        };
        let end: &[u8] = match self {
            Self::Key(_) => b"' key",
            Self::Channel(_) => b"' channel",
            _ => b"",
        };
        [
            b"User ",
            user.name(),
            b" has no permissions to access ",
            kind.as_bytes(),
            args.get(at),
            end,
        ]
        .concat()
    }

    /// What EXEC says of a command that may not run any more.
    pub(crate) fn at_exec(self) -> CommandError {
        let reason = match self {
            Self::Command => "no permission to execute the command or subcommand",
            Self::Key(_) => "no permission to touch the specified keys",
            Self::Channel(_) => "no permission to access one of the channels used as arguments",
            Self::Database(_) => "no permission to access the database",
        };
        CommandError::format(format!(
            "NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. This command is \
             no longer allowed for the following reason: {reason}"
        ))
    }
}

impl User {
    /// Whether there is nothing that this user may not do.
    pub(crate) fn is_unlimited(&self) -> bool {
        self.selectors.iter().any(|selector| {
            selector.all_commands
                && selector.all_keys
                && selector.all_channels
                && selector.dbs.is_none()
        })
    }

    /// Whether this user may run a command in a session of `db`. `dbs` is how many there are.
    #[inline]
    pub(crate) fn check(
        &self,
        command: &Command,
        args: &Args<'_>,
        db: u32,
        dbs: u32,
    ) -> Result<(), Denied> {
        let mut worst = Denied::Database(0);
        for selector in &self.selectors {
            match selector.check(command, args, db, dbs) {
                Ok(()) => return Ok(()),
                Err(denied) => worst = worst.max(denied),
            }
        }
        Err(worst)
    }

    /// Whether this user may subscribe to a channel, or to a pattern of channels.
    pub(crate) fn may_subscribe(&self, name: &[u8], is_pattern: bool) -> bool {
        self.selectors
            .iter()
            .any(|selector| selector.allows_channel(name, is_pattern))
    }

    /// SORT's patterns lead to any key: they need the right to read all of them.
    pub(crate) fn check_sort(
        &self,
        command: &Command,
        args: &Args<'_>,
        db: u32,
        dbs: u32,
    ) -> Result<(), CommandError> {
        let denied = |option: &str| {
            Err(CommandError::format(format!(
                "ERR {option} option of SORT denied due to insufficient ACL permissions."
            )))
        };
        let may_read_all = self.selectors.iter().any(|selector| {
            selector.check(command, args, db, dbs).is_ok() && selector.reads_all_keys()
        });
        let mut index = 2;
        while !may_read_all && index < args.len() {
            let is = |word| args.is(index, word);
            let more = args.len() - index - 1;
            if is("by") && more >= 1 {
                if args.get(index + 1).contains(&b'*') {
                    return denied("BY");
                }
                index += 1;
            } else if is("get") && more >= 1 {
                return denied("GET");
            } else if is("limit") && more >= 2 {
                if args.integer(index + 1).is_err() || args.integer(index + 2).is_err() {
                    // SORT's own error, which it sees first.
                    return Ok(());
                }
                index += 2;
            } else if is("store") && more >= 1 {
                index += 1;
            } else if !(is("asc") || is("desc") || is("alpha")) {
                // A syntax error, which SORT sees first.
                return Ok(());
            }
            index += 1;
        }
        Ok(())
    }
}

impl Selector {
    #[inline]
    fn check(&self, command: &Command, args: &Args<'_>, db: u32, dbs: u32) -> Result<(), Denied> {
        if self.dbs.is_some() {
            self.check_dbs(command, args, db, dbs)?;
        }
        if !self.has_bit(command.id)
            && !command.flags.has(Flags::NO_AUTH)
            && !self.allows_first_arg(command.id, args.get(1))
        {
            return Err(Denied::Command);
        }
        if !self.all_keys {
            let mut denied = None;
            let found = each_key_access(command, args, |index, access| {
                if denied.is_none() && !self.allows_key(args.get(index), KeyAccess::needed(access))
                {
                    denied = Some(Denied::Key(index));
                }
            });
            // Where not all of its keys can be found (numkeys that is no number, or too large) the command says so itself, and
            // touches none: as in Redis it is not the user's rights that are wrong.
            if let (Ok(()), Some(denied)) = (found, denied) {
                return Err(denied);
            }
        }
        if !self.all_channels && command.flags.has(Flags::PUBSUB) {
            self.check_channels(command, args)?;
        }
        Ok(())
    }

    #[cold]
    fn check_channels(&self, command: &Command, args: &Args<'_>) -> Result<(), Denied> {
        let (count, is_pattern) = match command.spec.name {
            "publish" | "spublish" => (1, false),
            "subscribe" | "ssubscribe" => (usize::MAX, false),
            "psubscribe" => (usize::MAX, true),
            _ => return Ok(()),
        };
        for index in (1..args.len()).take(count) {
            if !self.allows_channel(args.get(index), is_pattern) {
                return Err(Denied::Channel(index));
            }
        }
        Ok(())
    }

    /// Commands that look at the selected db need it; those that name another one need that, too.
    #[cold]
    fn check_dbs(
        &self,
        command: &Command,
        args: &Args<'_>,
        db: u32,
        dbs: u32,
    ) -> Result<(), Denied> {
        let Some(allowed) = &self.dbs else {
            return Ok(());
        };
        let named = |at: usize| match args.integer(at).map(u32::try_from) {
            Ok(Ok(db)) if !allowed.contains(&db) => Err(Denied::Database(at)),
            // What is wrong with the number is the command's own to say.
            _ => Ok(()),
        };
        match command.full_name.as_str() {
            "select" => return named(1),
            "swapdb" => {
                named(1)?;
                return named(2);
            }
            "flushall" if (0..dbs).any(|db| !allowed.contains(&db)) => {
                return Err(Denied::Database(0));
            }
            "move" => named(2)?,
            "copy" => {
                if let Some(at) = (3..args.len().saturating_sub(1)).find(|at| args.is(*at, "db")) {
                    named(at + 1)?;
                }
            }
            _ => {}
        }
        let has_keys = command
            .keys
            .iter()
            .any(|key| !key.access.has(Access::NOT_KEY));
        let looks = has_keys || command.flags.intersects(Flags::READONLY.with(Flags::WRITE));
        if looks && !allowed.contains(&db) {
            return Err(Denied::Database(0));
        }
        Ok(())
    }
}
