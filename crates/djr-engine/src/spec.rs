//! The declaration of a command: everything that is said *about* it is said once, here.
//!
//! A command's file holds one `static SPEC: CommandSpec`. Dispatch, arity errors, `COMMAND *`, ACL
//! categories, key extraction, hints of the CLI, `docs/commands.md` and the generator of random
//! commands all derive from it (see [`crate::command`]).

use crate::context::{ReadContext, WriteContext};
use crate::{Args, CommandError, Effect, Reply};

/// What a command is: its name, its syntax and the function that runs it.
#[derive(Debug)]
pub struct CommandSpec {
    /// In lower case; of a subcommand, only its own part (`get` of `CONFIG GET`).
    pub name: &'static str,
    /// The version of Redis or Valkey that brought it.
    pub since: &'static str,
    /// The family that it is documented in.
    pub group: Group,
    /// One line of help, in our words.
    pub summary: &'static str,
    /// Cost in big-O terms, in our words.
    pub complexity: &'static str,
    /// Its arguments after the name. Arity and key positions follow from them.
    pub syntax: &'static [Arg],
    /// More arguments than the syntax has are accepted and ignored (`QUIT`).
    pub ignores_more: bool,
    /// Its behaviour.
    pub flags: Flags,
    /// ACL categories that follow neither from `flags` nor from `group`.
    pub acl: &'static [&'static str],
    /// Hints for proxies and cluster clients, as `COMMAND INFO` gives them.
    pub tips: &'static [&'static str],
    /// How keys are found where the syntax alone does not say it.
    pub keys: Keys,
    /// Finds the keys of a request where the key specifications can't.
    pub find_keys: Option<FindKeysIn>,
    /// What part of the keyspace it opens.
    pub reach: Reach,
    /// Subcommands, of a container such as `OBJECT`.
    pub subcommands: &'static [&'static CommandSpec],
    /// What runs it.
    pub run: Run,
}

impl CommandSpec {
    /// The value of every field that most commands leave alone: `..CommandSpec::DEFAULT`.
    pub const DEFAULT: Self = Self {
        name: "",
        since: "1.0.0",
        group: Group::Generic,
        summary: "",
        complexity: "O(1)",
        syntax: &[],
        ignores_more: false,
        flags: Flags::NONE,
        acl: &[],
        tips: &[],
        keys: Keys::FromSyntax,
        find_keys: None,
        reach: Reach::Keys,
        subcommands: &[],
        run: Run::Container,
    };
}

/// Calls the function with the index of each key of a request, and what is done to it.
pub type FindKeysIn = fn(&Args<'_>, &mut dyn FnMut(usize, Access));

/// A command that only reads.
pub type Read = fn(&mut ReadContext<'_>, &Args<'_>, &mut Reply<'_>) -> Result<(), CommandError>;

/// A command that may write.
pub type Write =
    fn(&mut WriteContext<'_, '_>, &Args<'_>, &mut Reply<'_>) -> Result<Effect, CommandError>;

/// The function that executes a command.
#[derive(Clone, Copy)]
pub enum Run {
    /// Only reads: it gets the keyspace shared, so it can't write.
    Read(Read),
    /// May write, and must say what it did.
    Write(Write),
    /// Runs other commands: `EVAL` and its kin, which see the whole keyspace.
    Script(crate::script::RunScript),
    /// Concerns the session or the server, not the keyspace: run by the [`crate::Shell`].
    Shell,
    /// A container: only its subcommands run.
    Container,
}

impl std::fmt::Debug for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Run::Read(_) => "Read",
            Run::Write(_) => "Write",
            Run::Script(_) => "Script",
            Run::Shell => "Shell",
            Run::Container => "Container",
        })
    }
}

/// What part of the keyspace must be open while a command runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The shards of its keys (none, if it names no key).
    Keys,
    /// Every shard: the keys can't be known beforehand.
    Whole,
    /// Every shard if one of SORT's patterns leads to other keys, else those of its key and destination.
    Sort,
    /// The shard that the SCAN cursor in the first argument points into.
    Cursor,
}

/// Where the key specifications come from.
#[derive(Clone, Copy, Debug)]
pub enum Keys {
    /// Derived from the syntax: the usual case.
    FromSyntax,
    /// Given in full, where the syntax can't express them.
    Explicit(&'static [KeySpec]),
}

/// One place where a command takes keys, as `COMMAND INFO` describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeySpec {
    /// How the first key is found.
    pub begin: BeginSearch,
    /// How the others follow from it.
    pub find: FindKeys,
    /// What is done to these keys.
    pub access: Access,
}

/// How the search for keys begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BeginSearch {
    /// At this argument (the name is argument 0).
    Index(u32),
    /// After this keyword, looked for from argument `start_from` (negative: from the end backwards).
    Keyword {
        /// In upper case.
        keyword: &'static str,
        /// Where the search starts.
        start_from: i32,
    },
    /// Not known.
    Unknown,
}

/// How keys are found from where the search began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FindKeys {
    /// Up to `last` (relative to the first; negative: from the end), every `step`-th argument;
    /// `limit` n > 1 stops after the n-th part of the arguments.
    Range {
        /// Last key relative to the first, or counted from the end if negative.
        last: i32,
        /// Distance between keys.
        step: u32,
        /// 0 or 1: none; n: only the first n-th of what is left.
        limit: u32,
    },
    /// Their number is an argument.
    KeyNum {
        /// Where the number is, relative to the begin.
        index: u32,
        /// Where the first key is, relative to the begin.
        first: u32,
        /// Distance between keys.
        step: u32,
    },
    /// Not known.
    Unknown,
}

/// What a command does to a key: the flags of a key specification.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Access(u16);

impl Access {
    /// Reads its metadata or value, changes nothing.
    pub const RO: Self = Self(1);
    /// Reads and changes.
    pub const RW: Self = Self(2);
    /// Overwrites without reading.
    pub const OW: Self = Self(4);
    /// Removes.
    pub const RM: Self = Self(8);
    /// The value is read, copied or returned.
    pub const ACCESS: Self = Self(16);
    /// The value is changed in a way that depends on arguments.
    pub const UPDATE: Self = Self(32);
    /// Something is added to the value, nothing taken away.
    pub const INSERT: Self = Self(64);
    /// Something is taken from the value, or the key as a whole.
    pub const DELETE: Self = Self(128);
    /// Not a key, though it stands like one.
    pub const NOT_KEY: Self = Self(256);
    /// There are keys that this specification does not find.
    pub const INCOMPLETE: Self = Self(512);
    /// The true flags depend on the arguments.
    pub const VARIABLE: Self = Self(1024);
    /// Reads the value.
    pub const READ: Self = Self::RO.with(Self::ACCESS);
    /// Reads and updates the value.
    pub const READ_UPDATE: Self = Self::RW.with(Self::ACCESS).with(Self::UPDATE);
    /// Overwrites the value.
    pub const OVERWRITE: Self = Self::OW.with(Self::UPDATE);

    /// Both sets of flags.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// These flags but for those of `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether all flags of `other` are set.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The flags' names, in the order of Redis.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        const NAMES: [(Access, &str); 11] = [
            (Access::RO, "RO"),
            (Access::RW, "RW"),
            (Access::OW, "OW"),
            (Access::RM, "RM"),
            (Access::ACCESS, "access"),
            (Access::UPDATE, "update"),
            (Access::INSERT, "insert"),
            (Access::DELETE, "delete"),
            (Access::NOT_KEY, "not_key"),
            (Access::INCOMPLETE, "incomplete"),
            (Access::VARIABLE, "variable_flags"),
        ];
        NAMES
            .into_iter()
            .filter(move |(flag, _)| self.has(*flag))
            .map(|(_, name)| name)
    }
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

/// What kind of command it is: the flags of `COMMAND INFO`, in the order in which Redis and Valkey list them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Flags(u32);

macro_rules! flags {
    ($($(#[$doc:meta])* $konst:ident = $bit:literal, $name:literal;)*) => {
        impl Flags {
            $($(#[$doc])* pub const $konst: Self = Self(1 << $bit);)*
            const NAMES: &'static [(Self, &'static str)] = &[$((Self::$konst, $name)),*];
        }
    };
}

flags! {
    /// May change the keyspace.
    WRITE = 0, "write";
    /// Reads the keyspace, never changes it.
    READONLY = 1, "readonly";
    /// May need memory: refused when the limit is reached.
    DENY_OOM = 2, "denyoom";
    /// For administrators.
    ADMIN = 3, "admin";
    /// Publish/subscribe.
    PUBSUB = 4, "pubsub";
    /// Not allowed in scripts.
    NO_SCRIPT = 5, "noscript";
    /// May wait.
    BLOCKING = 6, "blocking";
    /// Allowed while the data set loads.
    LOADING = 7, "loading";
    /// Allowed on a replica that has lost its primary.
    STALE = 8, "stale";
    /// Not shown to MONITOR.
    SKIP_MONITOR = 9, "skip_monitor";
    /// Not in the slow log.
    SKIP_SLOWLOG = 10, "skip_commandlog";
    /// Accepted by a cluster node during a slot's import.
    ASKING = 11, "asking";
    /// Constant or logarithmic time.
    FAST = 12, "fast";
    /// Allowed before authentication.
    NO_AUTH = 13, "no_auth";
    /// May name no key at all.
    NO_MANDATORY_KEYS = 14, "no_mandatory_keys";
    /// Refused during an asynchronous load.
    NO_ASYNC_LOADING = 15, "no_async_loading";
    /// Not allowed inside MULTI.
    NO_MULTI = 16, "no_multi";
    /// Key positions depend on the arguments.
    MOVABLE_KEYS = 17, "movablekeys";
    /// Allowed while a script runs too long.
    ALLOW_BUSY = 18, "allow_busy";
}

impl Flags {
    /// No flag.
    pub const NONE: Self = Self(0);

    /// Both sets of flags.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all flags of `other` are set.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any flag of `other` is set.
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The names of the set flags.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES
            .iter()
            .filter(move |(flag, _)| self.has(*flag))
            .map(|(_, name)| *name)
    }
}

impl std::fmt::Debug for Flags {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

/// The family of a command, as `COMMAND DOCS` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Group {
    Generic,
    String,
    List,
    Set,
    SortedSet,
    Hash,
    Stream,
    Bitmap,
    HyperLogLog,
    Geo,
    PubSub,
    Transactions,
    Connection,
    Server,
    Scripting,
    Cluster,
}

impl Group {
    /// Its name in `COMMAND DOCS`.
    pub const fn name(self) -> &'static str {
        match self {
            Group::Generic => "generic",
            Group::String => "string",
            Group::List => "list",
            Group::Set => "set",
            Group::SortedSet => "sorted-set",
            Group::Hash => "hash",
            Group::Stream => "stream",
            Group::Bitmap => "bitmap",
            Group::HyperLogLog => "hyperloglog",
            Group::Geo => "geo",
            Group::PubSub => "pubsub",
            Group::Transactions => "transactions",
            Group::Connection => "connection",
            Group::Server => "server",
            Group::Scripting => "scripting",
            Group::Cluster => "cluster",
        }
    }

    /// The ACL category that every command of the group belongs to, if there is one.
    pub const fn acl(self) -> Option<&'static str> {
        match self {
            Group::Generic => Some("keyspace"),
            Group::String => Some("string"),
            Group::List => Some("list"),
            Group::Set => Some("set"),
            Group::SortedSet => Some("sortedset"),
            Group::Hash => Some("hash"),
            Group::Stream => Some("stream"),
            Group::Bitmap => Some("bitmap"),
            Group::HyperLogLog => Some("hyperloglog"),
            Group::Geo => Some("geo"),
            Group::Transactions => Some("transaction"),
            Group::Connection => Some("connection"),
            Group::Scripting => Some("scripting"),
            // The flag of that name says it.
            Group::PubSub | Group::Server | Group::Cluster => None,
        }
    }
}

/// One argument, or a group of them, as `COMMAND DOCS` describes it.
#[derive(Clone, Copy, Debug)]
pub struct Arg {
    /// Its name in documents.
    pub name: &'static str,
    /// What it may be.
    pub kind: ArgKind,
    /// The word that announces it (or that it is, for [`ArgKind::Token`]).
    pub token: Option<&'static str>,
    /// May be left out.
    pub optional: bool,
    /// May be repeated.
    pub multiple: bool,
    /// The token is repeated with it.
    pub multiple_token: bool,
}

/// What an argument may be.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub enum ArgKind {
    Key(Access),
    String,
    Integer,
    Double,
    Pattern,
    UnixTime,
    /// Just the token.
    Token,
    /// Exactly one of these.
    OneOf(&'static [Arg]),
    /// All of these, in this order.
    Block(&'static [Arg]),
}

impl ArgKind {
    /// Its name in `COMMAND DOCS`.
    pub const fn name(&self) -> &'static str {
        match self {
            ArgKind::Key(_) => "key",
            ArgKind::String => "string",
            ArgKind::Integer => "integer",
            ArgKind::Double => "double",
            ArgKind::Pattern => "pattern",
            ArgKind::UnixTime => "unix-time",
            ArgKind::Token => "pure-token",
            ArgKind::OneOf(_) => "oneof",
            ArgKind::Block(_) => "block",
        }
    }
}

impl Arg {
    const fn of(name: &'static str, kind: ArgKind) -> Self {
        Self {
            name,
            kind,
            token: None,
            optional: false,
            multiple: false,
            multiple_token: false,
        }
    }
    /// A key, with what is done to it.
    pub const fn key(name: &'static str, access: Access) -> Self {
        Self::of(name, ArgKind::Key(access))
    }
    /// Any bytes.
    pub const fn string(name: &'static str) -> Self {
        Self::of(name, ArgKind::String)
    }
    /// A signed 64-bit integer.
    pub const fn integer(name: &'static str) -> Self {
        Self::of(name, ArgKind::Integer)
    }
    /// A floating-point number.
    pub const fn double(name: &'static str) -> Self {
        Self::of(name, ArgKind::Double)
    }
    /// A glob-style pattern.
    pub const fn pattern(name: &'static str) -> Self {
        Self::of(name, ArgKind::Pattern)
    }
    /// A point in time, in seconds or milliseconds as the name says.
    pub const fn unix_time(name: &'static str) -> Self {
        Self::of(name, ArgKind::UnixTime)
    }
    /// A word that stands for itself.
    pub const fn token(name: &'static str, token: &'static str) -> Self {
        Self {
            token: Some(token),
            ..Self::of(name, ArgKind::Token)
        }
    }
    /// Exactly one of `args`.
    pub const fn one_of(name: &'static str, args: &'static [Arg]) -> Self {
        Self::of(name, ArgKind::OneOf(args))
    }
    /// All of `args`, one after the other.
    pub const fn block(name: &'static str, args: &'static [Arg]) -> Self {
        Self::of(name, ArgKind::Block(args))
    }
    /// The same, announced by a word.
    #[must_use]
    pub const fn after(mut self, token: &'static str) -> Self {
        self.token = Some(token);
        self
    }
    /// The same, but it may be left out.
    #[must_use]
    pub const fn optional(mut self) -> Self {
        self.optional = true;
        self
    }
    /// The same, once or more often.
    #[must_use]
    pub const fn multiple(mut self) -> Self {
        self.multiple = true;
        self
    }
    /// The same, once or more often, each time with its token.
    #[must_use]
    pub const fn multiple_with_token(mut self) -> Self {
        self.multiple = true;
        self.multiple_token = true;
        self
    }
}

impl std::fmt::Display for Arg {
    /// As documents show it: `key [EX seconds|PX milliseconds] [arg ...]`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.optional {
            f.write_str("[")?;
        }
        self.write_once(f)?;
        if self.multiple {
            f.write_str(" [")?;
            if self.multiple_token || self.token.is_none() {
                self.write_once(f)?;
            } else {
                self.write_value(f)?;
            }
            f.write_str(" ...]")?;
        }
        if self.optional {
            f.write_str("]")?;
        }
        Ok(())
    }
}

impl Arg {
    fn write_once(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(token) = self.token {
            f.write_str(if token.is_empty() { "\"\"" } else { token })?;
            if matches!(self.kind, ArgKind::Token) {
                return Ok(());
            }
            f.write_str(" ")?;
        }
        self.write_value(f)
    }

    fn write_value(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (args, separator) = match self.kind {
            ArgKind::OneOf(args) => (args, "|"),
            ArgKind::Block(args) => (args, " "),
            _ => return f.write_str(self.name),
        };
        for (index, arg) in args.iter().enumerate() {
            if index > 0 {
                f.write_str(separator)?;
            }
            // Inside a choice nothing is optional: the choice is.
            let arg = Arg {
                optional: arg.optional && separator == " ",
                ..*arg
            };
            write!(f, "{arg}")?;
        }
        Ok(())
    }
}
