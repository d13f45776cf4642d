//! Commands about the server.

mod config;
mod shutdown;

use djr_engine::spec::CommandSpec;

use super::{Entry, ServerRun};

pub(super) static COMMANDS: &[&CommandSpec] = &[&config::SPEC, &shutdown::SPEC];

pub(super) static RUNS: &[&[Entry]] = &[config::RUNS, OWN_RUNS];

static OWN_RUNS: &[Entry] = &[(&shutdown::SPEC, ServerRun::Plain(shutdown::run))];
