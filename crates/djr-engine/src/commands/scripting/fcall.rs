//! FCALL function numkeys [key …] [arg …], FCALL_RO

use super::super::prelude::*;
use super::eval::{EVAL, FLAGS, keys};
use crate::script::{self, RunScript};
use crate::spec::Keys;

pub(super) static FCALL: CommandSpec = CommandSpec {
    name: "fcall",
    since: "7.0.0",
    summary: "Calls a function of a library.",
    complexity: "Depends on the function.",
    syntax: &[
        Arg::string("function"),
        Arg::integer("numkeys"),
        Arg::key("key", Access::READ_UPDATE).optional().multiple(),
        Arg::string("arg").optional().multiple(),
    ],
    run: Run::Script(script::fcall as RunScript),
    ..EVAL
};

pub(super) static FCALL_RO: CommandSpec = CommandSpec {
    name: "fcall_ro",
    summary: "Calls a function of a library that has declared not to write.",
    syntax: &[
        Arg::string("function"),
        Arg::integer("numkeys"),
        Arg::key("key", Access::READ).optional().multiple(),
        Arg::string("arg").optional().multiple(),
    ],
    flags: FLAGS.with(Flags::READONLY),
    keys: Keys::Explicit(&[keys(Access::READ)]),
    run: Run::Script(script::fcall_ro as RunScript),
    ..FCALL
};
