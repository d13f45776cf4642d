//! Commands of the keyspace's family that are about other servers.

mod wait;

use djr_engine::spec::CommandSpec;

pub(crate) use wait::{WaitsForLog, answer_late, look_at_log};

use super::{Entry, ServerRun};

pub(super) static COMMANDS: &[&CommandSpec] = &[&wait::WAIT, &wait::WAITAOF];

pub(super) static RUNS: &[&[Entry]] = &[&[
    (
        &wait::WAIT,
        ServerRun::Waiting(wait::wait, wait::wait_inside),
    ),
    (
        &wait::WAITAOF,
        ServerRun::Waiting(wait::waitaof, wait::waitaof_inside),
    ),
]];
