//! Commands about the server.

mod acl;
mod bgrewriteaof;
mod bgsave;
mod command;
mod config;
mod debug;
mod info;
mod lastsave;
mod lolwut;
mod memory;
mod save;
mod shutdown;
mod time;

pub use debug::start_again;
use djr_engine::spec::CommandSpec;

use super::{Entry, ServerRun};

pub(super) static COMMANDS: &[&CommandSpec] = &[
    &acl::SPEC,
    &bgrewriteaof::SPEC,
    &bgsave::SPEC,
    &command::SPEC,
    &config::SPEC,
    &debug::SPEC,
    &info::SPEC,
    &lastsave::SPEC,
    &lolwut::SPEC,
    &memory::SPEC,
    &save::SPEC,
    &shutdown::SPEC,
    &time::SPEC,
];

pub(super) static RUNS: &[&[Entry]] = &[
    acl::RUNS,
    command::RUNS,
    config::RUNS,
    memory::RUNS,
    &[
        (&bgrewriteaof::SPEC, ServerRun::Plain(bgrewriteaof::run)),
        (&bgsave::SPEC, ServerRun::Plain(bgsave::run)),
        (&debug::SPEC, ServerRun::TopLevel(debug::run)),
        (&info::SPEC, ServerRun::Plain(info::run)),
        (&lastsave::SPEC, ServerRun::Plain(lastsave::run)),
        (&lolwut::SPEC, ServerRun::Plain(lolwut::run)),
        (&save::SPEC, ServerRun::TopLevel(save::run)),
        (&shutdown::SPEC, ServerRun::Plain(shutdown::run)),
        (&time::SPEC, ServerRun::Plain(time::run)),
    ],
];
