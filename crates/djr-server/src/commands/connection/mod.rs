//! Commands about the connection.

mod ping;
mod select;

use djr_engine::spec::CommandSpec;

use super::{Entry, ServerRun};

pub(super) static COMMANDS: &[&CommandSpec] = &[&ping::SPEC, &select::SPEC];

pub(super) static RUNS: &[Entry] = &[
    (&ping::SPEC, ServerRun::Plain(ping::run)),
    (&select::SPEC, ServerRun::Plain(select::run)),
];
