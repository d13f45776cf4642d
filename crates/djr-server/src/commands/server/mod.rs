//! Commands about the server.

mod acl;
mod command;
mod config;
mod debug;
mod info;
mod lastsave;
mod lolwut;
mod memory;
mod shutdown;
mod time;

use djr_engine::spec::CommandSpec;

use super::{Entry, ServerRun};

pub(super) static COMMANDS: &[&CommandSpec] = &[
    &acl::SPEC,
    &command::SPEC,
    &config::SPEC,
    &debug::SPEC,
    &info::SPEC,
    &lastsave::SPEC,
    &lolwut::SPEC,
    &memory::SPEC,
    &shutdown::SPEC,
    &time::SPEC,
];

pub(super) static RUNS: &[&[Entry]] = &[
    acl::RUNS,
    command::RUNS,
    config::RUNS,
    memory::RUNS,
    &[
        (&debug::SPEC, ServerRun::TopLevel(debug::run)),
        (&info::SPEC, ServerRun::Plain(info::run)),
        (&lastsave::SPEC, ServerRun::Plain(lastsave::run)),
        (&lolwut::SPEC, ServerRun::Plain(lolwut::run)),
        (&shutdown::SPEC, ServerRun::Plain(shutdown::run)),
        (&time::SPEC, ServerRun::Plain(time::run)),
    ],
];
