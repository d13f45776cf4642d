//! Strings.

mod get;
mod incr;

use crate::spec::CommandSpec;

/// The commands of this family.
pub static COMMANDS: &[&CommandSpec] = &[
    &get::SPEC,
    &incr::INCR,
    &incr::DECR,
    &incr::INCRBY,
    &incr::DECRBY,
];
