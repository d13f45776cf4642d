//! Scripts.

mod eval;
mod fcall;
mod function;
mod script;

use crate::spec::CommandSpec;

/// The commands of this family.
pub static COMMANDS: &[&CommandSpec] = &[
    &eval::EVAL,
    &eval::EVALSHA,
    &eval::EVAL_RO,
    &eval::EVALSHA_RO,
    &fcall::FCALL,
    &fcall::FCALL_RO,
    &function::SPEC,
    &script::SPEC,
];
