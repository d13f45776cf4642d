//! Commands about the server.

mod command;
mod debug;
mod info;
mod lastsave;
mod lolwut;
mod time;

use djr_engine::spec::CommandSpec;

use super::{Entry, ServerRun};

pub(super) static COMMANDS: &[&CommandSpec] = &[
    &command::SPEC,
    &debug::SPEC,
    &info::SPEC,
    &lastsave::SPEC,
    &lolwut::SPEC,
    &time::SPEC,
];

pub(super) static RUNS: &[&[Entry]] = &[
    command::RUNS,
    &[
        (&debug::SPEC, ServerRun::TopLevel(debug::run)),
        (&info::SPEC, ServerRun::Plain(info::run)),
        (&lastsave::SPEC, ServerRun::Plain(lastsave::run)),
        (&lolwut::SPEC, ServerRun::Plain(lolwut::run)),
        (&time::SPEC, ServerRun::Plain(time::run)),
    ],
];
