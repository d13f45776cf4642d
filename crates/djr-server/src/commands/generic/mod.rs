//! Commands of the keyspace's family that are about other servers.

mod migrate;
mod wait;

use djr_engine::spec::CommandSpec;

pub(crate) use migrate::{Migration, Migrations};
pub(crate) use wait::{WaitsForLog, answer_late, look_at_log};

use super::{Entry, ServerRun};

pub(super) static COMMANDS: &[&CommandSpec] = &[&migrate::SPEC, &wait::WAIT, &wait::WAITAOF];

pub(super) static RUNS: &[&[Entry]] = &[&[
    (&migrate::SPEC, ServerRun::TopLevel(migrate::run)),
    (
        &wait::WAIT,
        ServerRun::Waiting(wait::wait, wait::wait_inside),
    ),
    (
        &wait::WAITAOF,
        ServerRun::Waiting(wait::waitaof, wait::waitaof_inside),
    ),
]];
