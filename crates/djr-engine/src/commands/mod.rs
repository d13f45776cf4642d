//! All data commands, a directory a family, a file a command or tight group.

pub mod bitmap;
pub mod generic;
pub mod geo;
pub mod hash;
pub mod hyperloglog;
pub mod list;
pub mod scripting;
pub mod set;
pub mod sorted_set;
pub mod stream;
pub mod string;

mod draws;
#[cfg(test)]
mod events_tests;
mod expiration;
mod prelude;
mod scan_options;

pub(crate) use generic::{scan_footprint, sort_footprint};

use crate::spec::CommandSpec;

/// The families of this crate. The server adds its own to make the registry.
pub static FAMILIES: &[&[&CommandSpec]] = &[
    string::COMMANDS,
    list::COMMANDS,
    set::COMMANDS,
    hash::COMMANDS,
    sorted_set::COMMANDS,
    geo::COMMANDS,
    bitmap::COMMANDS,
    hyperloglog::COMMANDS,
    stream::COMMANDS,
    generic::COMMANDS,
    scripting::COMMANDS,
];
