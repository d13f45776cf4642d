//! EVAL script numkeys [key …] [arg …], EVALSHA sha1 numkeys [key …] [arg …], and both with _RO

use super::super::prelude::*;
use crate::script::{self, RunScript};
use crate::spec::{BeginSearch, FindKeys, KeySpec, Keys};

pub(super) const FLAGS: Flags = Flags::NO_SCRIPT
    .with(Flags::SKIP_MONITOR)
    .with(Flags::STALE)
    .with(Flags::NO_MANDATORY_KEYS);

pub(super) const fn keys(access: Access) -> KeySpec {
    KeySpec {
        begin: BeginSearch::Index(2),
        find: FindKeys::KeyNum {
            index: 0,
            first: 1,
            step: 1,
        },
        access,
    }
}

pub(super) static EVAL: CommandSpec = CommandSpec {
    name: "eval",
    since: "2.6.0",
    group: Group::Scripting,
    summary: "Runs a Lua script.",
    complexity: "Depends on the script.",
    syntax: &[
        Arg::string("script"),
        Arg::integer("numkeys"),
        Arg::key("key", Access::READ_UPDATE).optional().multiple(),
        Arg::string("arg").optional().multiple(),
    ],
    flags: FLAGS,
    keys: Keys::Explicit(&[keys(Access::READ_UPDATE)]),
    run: Run::Script(script::eval as RunScript),
    ..CommandSpec::DEFAULT
};

pub(super) static EVALSHA: CommandSpec = CommandSpec {
    name: "evalsha",
    summary: "Runs a Lua script that the server knows, by its SHA-1.",
    syntax: &[
        Arg::string("sha1"),
        Arg::integer("numkeys"),
        Arg::key("key", Access::READ_UPDATE).optional().multiple(),
        Arg::string("arg").optional().multiple(),
    ],
    run: Run::Script(script::evalsha as RunScript),
    ..EVAL
};

pub(super) static EVAL_RO: CommandSpec = CommandSpec {
    name: "eval_ro",
    since: "7.0.0",
    summary: "Runs a Lua script that may not write.",
    syntax: &[
        Arg::string("script"),
        Arg::integer("numkeys"),
        Arg::key("key", Access::READ).optional().multiple(),
        Arg::string("arg").optional().multiple(),
    ],
    flags: FLAGS.with(Flags::READONLY),
    keys: Keys::Explicit(&[keys(Access::READ)]),
    run: Run::Script(script::eval_ro as RunScript),
    ..EVAL
};

pub(super) static EVALSHA_RO: CommandSpec = CommandSpec {
    name: "evalsha_ro",
    summary: "Runs a Lua script that may not write and that the server knows, by its SHA-1.",
    syntax: &[
        Arg::string("sha1"),
        Arg::integer("numkeys"),
        Arg::key("key", Access::READ).optional().multiple(),
        Arg::string("arg").optional().multiple(),
    ],
    run: Run::Script(script::evalsha_ro as RunScript),
    ..EVAL_RO
};
