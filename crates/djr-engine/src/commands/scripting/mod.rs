//! Scripts.

mod eval;
mod script;

use crate::spec::CommandSpec;

/// The commands of this family.
pub static COMMANDS: &[&CommandSpec] = &[
    &eval::EVAL,
    &eval::EVALSHA,
    &eval::EVAL_RO,
    &eval::EVALSHA_RO,
    &script::SPEC,
];
