//! The table of all parameters: their names, values, defaults and what they do. Everything else follows from it: the
//! reader of files and command lines, `CONFIG`, `djr.conf`, `docs/configuration.md`.
//!
//! Adding a parameter is adding its row. What reads it says `const NAME: Number = Number::of("name")` and asks the
//! [`Config`](super::Config) for it: a plain load, no look-up, no lock.

mod cluster;
mod data;
mod general;
mod network;
mod persistence;
mod replication;
mod tls;

use super::live;
use super::special;
use super::value::{Kind, Refusal};
use crate::shared::Shared;

/// Parameters that belong together.
pub(crate) struct Section {
    pub(crate) title: &'static str,
    pub(crate) parameters: &'static [Parameter],
}

/// Everything, in the order in which it is documented.
pub(crate) static SECTIONS: &[Section] = &[
    network::SECTION,
    tls::SECTION,
    general::SECTION,
    general::LOGGING,
    general::LIMITS,
    persistence::SECTION,
    persistence::SNAPSHOTS,
    data::MEMORY,
    data::SCRIPTS,
    data::ENCODINGS,
    general::MONITORING,
    replication::SECTION,
    cluster::SECTION,
    general::SYSTEM,
];

/// One parameter.
pub(crate) struct Parameter {
    pub(crate) name: &'static str,
    /// Other names of it, which `CONFIG GET` shows, too.
    pub(crate) aliases: &'static [&'static str],
    pub(crate) default: &'static str,
    pub(crate) kind: Kind,
    pub(crate) change: Change,
    /// One line for people.
    pub(crate) doc: &'static str,
    pub(crate) meaning: Meaning,
    /// Shown by `CONFIG GET` only if asked for by its name.
    pub(crate) hidden: bool,
    /// Never to be written into the server's log.
    pub(crate) secret: bool,
    /// Called at the start and after each change, when the new value is in place. An error undoes the change.
    pub(crate) apply: Option<Apply>,
}

/// Puts a value that is in place into effect, or says why it can't be.
pub(crate) type Apply = fn(&Shared) -> Result<(), Refusal>;

/// When a parameter may be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// At any time, by `CONFIG SET`.
    Live,
    /// Before the start only.
    Start,
    /// As `Start`; `CONFIG SET` says "protected", as Redis does.
    Protected,
}

/// What a parameter does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// What it says.
    Used,
    /// Its value is kept and does nothing yet: this says what will bring it.
    Later(&'static str),
    /// Its value is kept and will never do anything: this says why.
    NoEffect(&'static str),
    /// Only the default is accepted: this says why.
    DefaultOnly(&'static str),
}

impl Parameter {
    const fn new(
        name: &'static str,
        aliases: &'static [&'static str],
        default: &'static str,
        kind: Kind,
        change: Change,
        doc: &'static str,
    ) -> Self {
        Self {
            name,
            aliases,
            default,
            kind,
            change,
            doc,
            meaning: Meaning::Used,
            hidden: false,
            secret: false,
            apply: None,
        }
    }

    const fn later(mut self, what: &'static str) -> Self {
        self.meaning = Meaning::Later(what);
        self
    }

    const fn no_effect(mut self, why: &'static str) -> Self {
        self.meaning = Meaning::NoEffect(why);
        self
    }

    const fn default_only(mut self, why: &'static str) -> Self {
        self.meaning = Meaning::DefaultOnly(why);
        self
    }

    const fn hidden(mut self) -> Self {
        self.hidden = true;
        self
    }

    const fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    const fn apply(mut self, apply: Apply) -> Self {
        self.apply = Some(apply);
        self
    }

    /// Its name and its other names.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.name).chain(self.aliases.iter().copied())
    }
}

/// Rows of the table: `"name" | "alias" = "default", kind, change, "what it does", .more(…);`
macro_rules! rows {
    ($($name:literal $(| $alias:literal)* = $default:literal, $kind:expr, $change:ident, $doc:literal
        $(, .$method:ident($($arg:expr),*))*;)*) => {
        &[$(
            $crate::config::table::Parameter::new(
                $name, &[$($alias),*], $default, $kind, $crate::config::table::Change::$change, $doc,
            )$(.$method($($arg),*))*
        ),*]
    };
}
use rows;

/// The kinds under short names, for the rows.
mod kinds {
    use super::Kind;
    pub(super) use super::Kind::{Choice, Text, YesNo};
    use super::special::Special;

    /// The largest numbers that Redis takes for parameters held in an `int`, an `unsigned int`, a `long long`.
    pub(super) const INT: i64 = i32::MAX as i64;
    pub(super) const UINT: i64 = u32::MAX as i64;
    pub(super) const LONG: i64 = i64::MAX;

    pub(super) const fn integer(min: i64, max: i64) -> Kind {
        Kind::Integer { min, max }
    }
    pub(super) const fn memory(min: u64, max: u64) -> Kind {
        Kind::Memory { min, max }
    }
    pub(super) const ANY_MEMORY: Kind = Kind::Memory {
        min: 0,
        max: u64::MAX,
    };
    pub(super) const LONG_MEMORY: Kind = Kind::Memory {
        min: 0,
        max: i64::MAX as u64,
    };
    pub(super) const fn octal(max: i64) -> Kind {
        Kind::Octal { max }
    }
    pub(super) const fn special(special: &'static Special) -> Kind {
        Kind::Special(special)
    }
}

/// How many parameters there are.
pub(crate) const COUNT: usize = {
    let (mut count, mut section) = (0, 0);
    while section < SECTIONS.len() {
        count += SECTIONS[section].parameters.len();
        section += 1;
    }
    count
};

/// A parameter's place in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Id(usize);

impl Id {
    pub(crate) const fn index(self) -> usize {
        self.0
    }

    pub(crate) fn all() -> impl Iterator<Item = Id> {
        (0..COUNT).map(Id)
    }

    /// The parameter itself.
    pub(crate) fn parameter(self) -> &'static Parameter {
        ALL[self.0]
    }

    /// The parameter with this name or other name, in any case.
    pub(crate) fn find(name: &[u8]) -> Option<Id> {
        let has_name = |id: &Id| {
            id.parameter()
                .names()
                .any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
        };
        Id::all().find(has_name)
    }
}

/// All parameters, one after the other.
static ALL: [&Parameter; COUNT] = {
    let mut all = [&SECTIONS[0].parameters[0]; COUNT];
    let (mut index, mut section) = (0, 0);
    while section < SECTIONS.len() {
        let mut row = 0;
        while row < SECTIONS[section].parameters.len() {
            all[index] = &SECTIONS[section].parameters[row];
            index += 1;
            row += 1;
        }
        section += 1;
    }
    all
};

/// A parameter that holds a number, found when compiling: a name that is not in the table does not compile.
#[derive(Clone, Copy)]
pub(crate) struct Number(pub(super) Id);

/// A parameter that holds bytes, found when compiling.
#[derive(Clone, Copy)]
pub(crate) struct Words(pub(super) Id);

impl Number {
    pub(crate) const fn of(name: &str) -> Self {
        let id = place_of(name);
        assert!(!matches!(ALL[id.0].kind, Kind::Text), "holds no number");
        Self(id)
    }
}

impl Words {
    pub(crate) const fn of(name: &str) -> Self {
        let id = place_of(name);
        assert!(
            matches!(ALL[id.0].kind, Kind::Text | Kind::Special(_)),
            "holds no text"
        );
        Self(id)
    }
}

const fn place_of(name: &str) -> Id {
    let mut index = 0;
    while index < COUNT {
        if equal(ALL[index].name.as_bytes(), name.as_bytes()) {
            return Id(index);
        }
        index += 1;
    }
    // Evaluated by the compiler: a wrong name does not build.
    panic!("no parameter has this name")
}

const fn equal(left: &[u8], right: &[u8]) -> bool {
    if left.len() != right.len() {
        return false;
    }
    let mut index = 0;
    while index < left.len() {
        if left[index] != right[index] {
            return false;
        }
        index += 1;
    }
    true
}

/// What a directive that is no parameter is answered: directives of Redis and Valkey that are refused, and why.
pub(crate) static REFUSED: &[(&str, &str)] = &[
    (
        "loadmodule",
        "modules are not supported: they are compiled against the inside of another server",
    ),
    (
        "sentinel",
        "this is no Sentinel: those of Redis and Valkey can be used",
    ),
];

/// Directives of old versions that have done nothing for long, and still do nothing.
pub(crate) static OBSOLETE: &[&str] = &[
    "list-max-ziplist-entries",
    "list-max-ziplist-value",
    "lua-replicate-commands",
];
