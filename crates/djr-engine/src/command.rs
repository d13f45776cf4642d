//! What follows from a [`CommandSpec`]: arity, key positions, ACL categories, flags.

use crate::spec::{
    Access, Arg, ArgKind, BeginSearch, CommandSpec, FindKeys, Flags, Group, KeySpec, Keys, Reach,
    Run,
};

/// A command as the dispatcher sees it: its declaration and everything derived from it.
#[derive(Debug)]
#[repr(C)] // What every request looks at is in one cache line.
pub struct Command {
    /// What executes it: a copy of the declaration's.
    pub run: Run,
    /// The quick way to its keys.
    pub key_shape: KeyShape,
    /// Exact number of arguments, name included; negative: at least so many.
    pub arity: i32,
    /// Index of the argument that is loaded as a key before the command runs; 0: none. In a script's call, a key if it has any.
    pub prefetched_key: u32,
    /// What it reads hangs from its key's entry: a list, a hash, …
    pub wants_structure: bool,
    /// Index of the argument that it looks up in there (a field or a member), if it is known beforehand; 0: none.
    pub member_at: u8,
    /// It may wait: [`Flags::BLOCKING`].
    pub blocks: bool,
    /// The server looks twice before it runs: it may wait, or what it makes may be far larger than its request.
    pub careful: bool,
    /// A number of its own among all commands and subcommands, dense from 0: an index for statistics.
    pub id: usize,
    /// Which requests' time may be taken together: the `id` of a command that is always short, `usize::MAX` where each is timed by itself.
    pub timed_with: usize,
    /// The declaration.
    pub spec: &'static CommandSpec,
    /// `set`, or `object|encoding` for a subcommand.
    pub full_name: String,
    /// The declared flags and those that follow from the key specifications.
    pub flags: Flags,
    /// Where its keys are.
    pub keys: Vec<KeySpec>,
    /// The old description of key positions: first, last, step; zeros if there are none.
    pub key_range: (i32, i32, i32),
    /// ACL categories without `@`, sorted.
    pub categories: Vec<&'static str>,
    /// Subcommands, in the order of their declaration.
    pub subcommands: Vec<Command>,
}

/// The quick way to a command's keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyShape {
    /// It has none.
    None,
    /// Exactly one, at this argument.
    One(u32),
    /// From `first` to `last` (negative: from the end), every `step`-th argument.
    Range {
        /// Index of the first key.
        first: u32,
        /// Index of the last one; negative: counted from the end.
        last: i32,
        /// Distance between keys.
        step: u32,
    },
    /// To be found by the key specifications.
    Search,
}

/// Commands that may make much out of a short request: memory is looked at before each of them, not now and then.
const AMPLIFYING: &[&str] = &[
    "bitfield",
    "bitop",
    "copy",
    "geosearchstore",
    "georadius",
    "georadiusbymember",
    "pfmerge",
    "restore",
    "sdiffstore",
    "setbit",
    "setrange",
    "sinterstore",
    "sort",
    "sunionstore",
    "xautoclaim",
    "xclaim",
    "zdiffstore",
    "zinterstore",
    "zrangestore",
    "zunionstore",
];

/// Commands that are short for all that Redis does not flag them as fast: they may evict, or drop a value.
const SHORT: &[&str] = &["set", "setex", "psetex"];

impl Command {
    pub(crate) fn derive(
        spec: &'static CommandSpec,
        parent: Option<&str>,
        next_id: &mut usize,
    ) -> Self {
        let full_name = match parent {
            Some(parent) => format!("{parent}|{}", spec.name),
            None => spec.name.to_owned(),
        };
        let id = *next_id;
        *next_id += 1;
        let subcommands: Vec<_> = spec
            .subcommands
            .iter()
            .map(|sub| Command::derive(sub, Some(spec.name), next_id))
            .collect();
        let names = if parent.is_some() { 2 } else { 1 };
        let arity = if subcommands.is_empty() || !matches!(spec.run, Run::Container) {
            arity(spec, names)
        } else {
            -2
        };
        let keys = match spec.keys {
            Keys::FromSyntax => key_specs(spec.syntax, names as u32),
            Keys::Explicit(keys) => keys.to_vec(),
        };
        let mut flags = spec.flags;
        let searchable = |key: &KeySpec| {
            matches!(
                (key.begin, key.find),
                (BeginSearch::Index(_), FindKeys::Range { .. })
            ) && !key.access.has(Access::INCOMPLETE)
        };
        if !keys.iter().all(searchable) {
            flags = flags.with(Flags::MOVABLE_KEYS);
        }
        let key_shape = match spec.reach {
            Reach::Keys if !matches!(spec.run, Run::Script(_)) && spec.find_keys.is_none() => {
                key_shape(&keys, arity)
            }
            _ => KeyShape::Search,
        };
        Self {
            run: spec.run,
            arity,
            prefetched_key: match key_shape {
                KeyShape::One(at) => at,
                KeyShape::Range { first, .. } => first,
                // EVAL script numkeys key …
                KeyShape::Search if matches!(spec.run, Run::Script(_)) => 3,
                KeyShape::None | KeyShape::Search => 0,
            },
            wants_structure: matches!(
                spec.group,
                Group::List | Group::Set | Group::SortedSet | Group::Hash | Group::Stream
            ),
            member_at: member_at(spec),
            blocks: flags.has(Flags::BLOCKING),
            careful: flags.has(Flags::BLOCKING) || AMPLIFYING.contains(&spec.name),
            flags,
            key_range: key_range(&keys),
            key_shape,
            categories: categories(spec, parent.is_some()),
            keys,
            subcommands,
            full_name,
            id,
            timed_with: if !matches!(spec.run, Run::Script(_))
                && !flags.has(Flags::BLOCKING)
                && (flags.has(Flags::FAST) || SHORT.contains(&spec.name))
            {
                id
            } else {
                usize::MAX
            },
            spec,
        }
    }

    /// Whether a request of `argc` arguments, the name included, fits the arity.
    #[inline]
    pub fn accepts(&self, argc: usize) -> bool {
        let wanted = self.arity.unsigned_abs() as usize;
        if self.arity >= 0 {
            argc == wanted
        } else {
            argc >= wanted
        }
    }

    /// Whether replicas may have to hear of it: it writes, or is a message, or PFCOUNT, which keeps the count for all its flags say.
    /// Scripts are judged by what they run.
    pub fn may_replicate(&self) -> bool {
        self.flags.has(Flags::WRITE) || matches!(self.spec.name, "pfcount" | "publish" | "spublish")
    }

    /// Whether it may take memory that its own request does not tell: it is careful, or runs other commands.
    pub fn may_grow(&self) -> bool {
        self.careful || matches!(self.run, Run::Script(_)) || self.spec.name == "exec"
    }

    /// Whether the whole keyspace is opened for it.
    pub fn opens_all(&self) -> bool {
        self.spec.reach == Reach::Whole || matches!(self.run, Run::Script(_))
    }
}

/// The number of arguments, counted with `names` words of name; negative if more may follow.
fn arity(spec: &CommandSpec, names: i32) -> i32 {
    let (least, exact) = length(spec.syntax);
    let least = least + names;
    if exact && !spec.ignores_more {
        least
    } else {
        -least
    }
}

/// The least number of arguments, and whether it is the only possible one.
fn length(args: &[Arg]) -> (i32, bool) {
    let mut sum = (0, true);
    for arg in args {
        let (least, exact) = arg_length(arg);
        sum = (sum.0 + least, sum.1 && exact);
    }
    sum
}

fn arg_length(arg: &Arg) -> (i32, bool) {
    if arg.optional {
        return (0, false);
    }
    let (inner, exact) = match arg.kind {
        // Of a choice of which a branch may be empty, one argument is there.
        ArgKind::OneOf(args)
            if args
                .iter()
                .any(|arg| arg_length(arg).0 == 0 && !matches!(arg.kind, ArgKind::Token)) =>
        {
            (1, false)
        }
        ArgKind::Token => (0, true),
        ArgKind::OneOf(args) => {
            let lengths: Vec<_> = args.iter().map(arg_length).collect();
            let least = lengths.iter().map(|(least, _)| *least).min().unwrap_or(0);
            (least, lengths.iter().all(|length| *length == (least, true)))
        }
        ArgKind::Block(args) => length(args),
        _ => (1, true),
    };
    (
        inner + i32::from(arg.token.is_some()),
        exact && !arg.multiple,
    )
}

/// Key specifications from the syntax: a key at a fixed place, a run of keys to the end (less what
/// follows it), or a run counted by the `numkeys` argument before it.
fn key_specs(syntax: &[Arg], first_argument: u32) -> Vec<KeySpec> {
    let mut specs: Vec<KeySpec> = Vec::new();
    let mut index = first_argument;
    let mut numkeys_at = None;
    for (position, arg) in syntax.iter().enumerate() {
        let run = match arg.kind {
            ArgKind::Key(access) => Some((access, 1)),
            ArgKind::Block(
                [
                    Arg {
                        kind: ArgKind::Key(access),
                        ..
                    },
                    rest @ ..,
                ],
            ) if arg.multiple && arg.token.is_none() => Some((*access, 1 + length(rest).0 as u32)),
            _ => None,
        };
        if let (Some((access, step)), None) = (run, arg.token) {
            let find = match numkeys_at {
                Some(at) if at + 1 == index => FindKeys::KeyNum {
                    index: 0,
                    first: 1,
                    step,
                },
                _ if arg.multiple => {
                    let after = length(&syntax[position + 1..]).0;
                    FindKeys::Range {
                        last: -1 - after,
                        step,
                        limit: 0,
                    }
                }
                _ => FindKeys::Range {
                    last: 0,
                    step,
                    limit: 0,
                },
            };
            let begin = match find {
                FindKeys::KeyNum { .. } => index - 1,
                _ => index,
            };
            match (specs.last_mut(), find) {
                // Neighbours that are used alike are one run.
                (
                    Some(KeySpec {
                        begin: BeginSearch::Index(start),
                        find: FindKeys::Range { last, step: 1, .. },
                        access: before,
                    }),
                    FindKeys::Range { last: 0, .. },
                ) if *before == access && *last >= 0 && *start + *last as u32 + 1 == index => {
                    *last += 1
                }
                _ => specs.push(KeySpec {
                    begin: BeginSearch::Index(begin),
                    find,
                    access,
                }),
            }
        }
        if arg.name == "numkeys" {
            numkeys_at = Some(index);
        }
        match arg_length(arg) {
            (length, true) => index += length as u32,
            // Nothing behind an argument of unknown length has a fixed place.
            _ => break,
        }
    }
    specs
}

/// Where the field or member is that is looked up first, in a request without options: in front, or in the first block behind the key.
fn member_at(spec: &CommandSpec) -> u8 {
    let Some((key, behind)) = spec.syntax.split_first() else {
        return 0;
    };
    let Some(first) = behind.iter().find(|arg| !arg.optional) else {
        return 0;
    };
    let args = match first.kind {
        ArgKind::Block(args) => args,
        _ => std::slice::from_ref(first),
    };
    let is_member =
        |arg: &Arg| matches!(arg.kind, ArgKind::String) && matches!(arg.name, "member" | "field");
    match args.iter().position(is_member) {
        Some(at) if matches!(key.kind, ArgKind::Key(_)) => 2 + at as u8,
        _ => 0,
    }
}

fn key_range(keys: &[KeySpec]) -> (i32, i32, i32) {
    let mut range: Option<(i32, i32, i32)> = None;
    for key in keys {
        let (BeginSearch::Index(first), FindKeys::Range { last, step, .. }) = (key.begin, key.find)
        else {
            continue;
        };
        let first = first as i32;
        let last = if last >= 0 { first + last } else { last };
        range = Some(match range {
            None => (first, last, step as i32),
            // Redis joins specifications that follow one another.
            Some((start, end, 1)) if end + 1 == first && step == 1 => (start, last, 1),
            Some(range) => range,
        });
    }
    range.unwrap_or((0, 0, 0))
}

fn key_shape(keys: &[KeySpec], arity: i32) -> KeyShape {
    match keys {
        _ if keys.iter().all(|key| key.access.has(Access::NOT_KEY)) => KeyShape::None,
        [
            KeySpec {
                begin: BeginSearch::Index(at),
                find: FindKeys::Range { last: 0, .. },
                ..
            },
        ] if arity.unsigned_abs() > *at => KeyShape::One(*at),
        [
            KeySpec {
                begin: BeginSearch::Index(first),
                find:
                    FindKeys::Range {
                        last,
                        step,
                        limit: 0,
                    },
                ..
            },
        ] => KeyShape::Range {
            first: *first,
            last: if *last >= 0 {
                *first as i32 + last
            } else {
                *last
            },
            step: *step,
        },
        _ => KeyShape::Search,
    }
}

/// The ACL categories in the order in which Redis and Valkey list them.
pub const CATEGORIES: [&str; 21] = [
    "keyspace",
    "read",
    "write",
    "set",
    "sortedset",
    "list",
    "hash",
    "string",
    "bitmap",
    "hyperloglog",
    "geo",
    "stream",
    "pubsub",
    "admin",
    "fast",
    "slow",
    "blocking",
    "dangerous",
    "connection",
    "transaction",
    "scripting",
];

fn categories(spec: &CommandSpec, is_subcommand: bool) -> Vec<&'static str> {
    let mut names: Vec<&'static str> = spec.acl.to_vec();
    // A container has no rights of its own to give.
    // SORT belongs to the types that it sorts, WAIT to the connection.
    let of_others = matches!(spec.group, crate::spec::Group::Generic)
        && (names.contains(&"list") || names.contains(&"connection"));
    if (spec.subcommands.is_empty() || is_subcommand) && !of_others {
        names.extend(spec.group.acl());
    }
    let implied = [
        (Flags::WRITE, "write"),
        (Flags::READONLY, "read"),
        (Flags::ADMIN, "admin"),
        (Flags::ADMIN, "dangerous"),
        (Flags::PUBSUB, "pubsub"),
        (Flags::BLOCKING, "blocking"),
        (Flags::FAST, "fast"),
    ];
    names.extend(
        implied
            .iter()
            .filter(|(flag, _)| spec.flags.has(*flag))
            .map(|(_, name)| *name),
    );
    if matches!(spec.group, crate::spec::Group::Scripting) {
        // What a script does is judged command by command.
        names.retain(|name| *name != "read");
    }
    if !spec.flags.has(Flags::FAST) {
        names.push("slow");
    }
    let place = |name: &&str| CATEGORIES.iter().position(|known| known == name);
    names.sort_unstable_by_key(place);
    names.dedup();
    names
}
